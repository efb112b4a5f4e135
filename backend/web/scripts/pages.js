// The pages are complete without this script. It only saves taps.
"use strict";

// A form that changes only the view is sent as soon as a choice in it changes.
for (const form of document.querySelectorAll("form[data-auto]")) {
  form.addEventListener("change", () => form.requestSubmit());
}

// The pilot's own sites and limits stay in this browser. A club's link does not change them: only what the
// pilot adds, removes or applies is kept. An address without sites gets them back.
const kept = {
  get(name) { try { return localStorage.getItem(name); } catch { return null; } },
  set(name, value) { try { localStorage.setItem(name, value); } catch { /* the address still has them */ } },
};
for (const link of document.querySelectorAll("a[data-own]")) {
  link.addEventListener("click", () => kept.set("s", new URL(link.href).searchParams.get("s") ?? ""));
}
const limits = document.querySelector("form[data-limits]");
if (limits) {
  limits.addEventListener("submit", () => {
    for (const name of ["lim", "glim", "u"]) kept.set(name, limits.elements[name].value);
  });
  const address = new URL(location.href);
  let restored = false;
  for (const name of ["s", "lim", "glim", "u"]) {
    const value = kept.get(name);
    if (value && !address.searchParams.has(name) && limits.elements[name]?.value !== value) {
      address.searchParams.set(name, value);
      restored = true;
    }
  }
  // Without a connection, only an address that was seen: worker.js would lead from any other one back to here.
  const marked = document.getElementById("old")?.hidden === false;
  if (restored) (async () => {
    if (!marked || await caches.match(address.href)) location.replace(address);
  })();
}

// Sites by their distance. The position is rounded to a kilometre before it leaves the browser.
const nearest = document.querySelector("[data-nearest]");
if (nearest && navigator.geolocation) {
  nearest.hidden = false;
  nearest.addEventListener("click", () => navigator.geolocation.getCurrentPosition(({ coords }) => {
    const address = new URL(location.href);
    address.searchParams.set("lat", coords.latitude.toFixed(2));
    address.searchParams.set("lon", coords.longitude.toFixed(2));
    address.searchParams.delete("page");
    location.assign(address);
  }, () => { nearest.disabled = true; }));
}

// Without signal the last pages seen stay readable (worker.js). An old page is named as such.
const worker = new URL("worker.js", document.currentScript.src);
if (navigator.serviceWorker) navigator.serviceWorker.register(worker).catch(() => { /* without it, no page is kept */ });
const old = document.getElementById("old");
const nameAge = () => {
  const minutes = (Date.now() - Number(old.dataset.at)) / 60000;
  old.querySelector("span").hidden = navigator.onLine;
  if (!navigator.onLine || minutes > 30) old.hidden = false;
};
if (old) {
  if (old.hidden) nameAge(); // else worker.js has marked it, also if the browser assumes a connection
  for (const name of ["online", "offline"]) addEventListener(name, nameAge);
  addEventListener("pageshow", ({ persisted }) => { if (persisted) nameAge(); });
  document.addEventListener("visibilitychange", nameAge);
}

// A text to send on.
for (const button of document.querySelectorAll("button[data-copy]")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const text = document.getElementById(button.dataset.copy);
    try { await navigator.clipboard.writeText(text.value); } catch { text.select(); document.execCommand("copy"); }
    const status = button.parentElement.querySelector("[data-copied]");
    status.textContent = status.dataset.copied;
  });
}
