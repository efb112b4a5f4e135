// Puts the rows of the list on a map: each site's cell of the chosen hour, with its colour and words, as a link.
"use strict";

const figure = document.getElementById("map-figure");
const rows = [...document.querySelectorAll("tbody[data-lat]")];

if (figure && rows.length && window.L) {
  figure.hidden = false; // before the map is made: it measures its box
  const box = document.getElementById("map");
  const moving = !matchMedia("(prefers-reduced-motion: reduce)").matches;
  const map = L.map(box, {
    attributionControl: false, // the page names the source of the tiles below the map
    zoomControl: false,
    zoomSnap: 0.5, // whole steps would leave half of a phone's map empty
    scrollWheelZoom: false, // a map must not catch who scrolls to the list
    fadeAnimation: moving,
    zoomAnimation: moving,
    markerZoomAnimation: moving,
    inertia: moving,
  });
  L.control.zoom({ zoomInTitle: box.dataset.in, zoomOutTitle: box.dataset.out }).addTo(map);
  // Operators of tiles ask for the name of the page's host; the pages' usual policy would leave it out.
  L.tileLayer(box.dataset.tiles, { maxZoom: 17, referrerPolicy: "origin" }).addTo(map);
  const places = rows.map((row) => [Number(row.dataset.lat), Number(row.dataset.lon)]);
  map.fitBounds(places, { padding: [66, 30], maxZoom: 12, animate: false }); // half a sign with its name
  const signs = rows.map((row, index) => {
    const name = row.querySelector("th a");
    const cell = row.querySelector("td[data-shown]") ?? row.querySelector("td.none");
    const link = document.createElement("a");
    link.href = name.href;
    link.title = name.textContent;
    link.className = `pin ${cell.className}`;
    const named = document.createElement("span");
    named.className = "name";
    const [short] = name.textContent.split(" ("); // the commune behind it does not fit
    named.textContent = short;
    const more = document.createElement("span");
    more.className = "hidden";
    more.textContent = `${name.textContent.slice(short.length)} `;
    link.append(named, more);
    for (const part of cell.hasAttribute("data-shown") ? cell.querySelectorAll("b, .mark") : cell.children) {
      link.append(part.cloneNode(true));
    }
    const icon = L.divIcon({ className: "pin-place", html: link, iconSize: null });
    const marker = L.marker(places[index], { icon, keyboard: false, riseOnHover: true }).addTo(map);
    const line = L.polyline([], { className: "pin-line", interactive: false }).addTo(map);
    return { link, marker, line, place: places[index] };
  });

  // Each sign stands at its place, or else at the nearest free spot around it with a line to its place.
  const put = () => {
    const taken = [];
    let all = true;
    for (const { link, marker, line, place } of signs) {
      const half = { x: link.offsetWidth / 2 + 2, y: link.offsetHeight / 2 + 2 };
      const at = map.latLngToLayerPoint(place);
      const inside = (spot) => {
        const { x, y } = map.layerPointToContainerPoint(spot);
        return x >= half.x && y >= half.y && x <= box.clientWidth - half.x && y <= box.clientHeight - half.y;
      };
      const mustBeInside = inside(at);
      const isFree = (spot) =>
        (!mustBeInside || inside(spot)) &&
        taken.every(
          (other) =>
            Math.abs(other.spot.x - spot.x) >= other.half.x + half.x ||
            Math.abs(other.spot.y - spot.y) >= other.half.y + half.y,
        );
      let spot = isFree(at) ? at : null;
      for (let away = 1; !spot && away <= 8; away += 1) {
        for (let turn = 0; !spot && turn < 16; turn += 1) {
          const angle = (turn * Math.PI) / 8;
          const there = at.add([away * half.x * Math.cos(angle), away * half.y * Math.sin(angle)]);
          spot = isFree(there) ? there : null;
        }
      }
      all &&= spot !== null;
      spot ??= at;
      taken.push({ spot, half });
      const shown = map.layerPointToLatLng(spot);
      marker.setLatLng(shown);
      line.setLatLngs(spot === at ? [] : [place, shown]);
    }
    return all;
  };
  const spread = () => {
    box.classList.add("named");
    if (!put()) {
      box.classList.remove("named"); // smaller signs: the list below has the names
      put();
    }
  };
  map.on("zoomend resize", spread);
  spread();
}
