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
  map.fitBounds(places, { padding: [30, 30], maxZoom: 12, animate: false });
  rows.forEach((row, index) => {
    const name = row.querySelector("th a");
    const cell = row.querySelector("td[data-shown]") ?? row.querySelector("td.none");
    const link = document.createElement("a");
    link.href = name.href;
    link.title = name.textContent;
    link.className = `pin ${cell.className}`;
    const hidden = document.createElement("span");
    hidden.className = "hidden";
    hidden.textContent = `${name.textContent} `;
    link.append(hidden);
    for (const part of cell.hasAttribute("data-shown") ? cell.querySelectorAll("b, .mark") : cell.children) {
      link.append(part.cloneNode(true));
    }
    const icon = L.divIcon({ className: "pin-place", html: link, iconSize: null });
    L.marker(places[index], { icon, keyboard: false, riseOnHover: true }).addTo(map);
  });
}
