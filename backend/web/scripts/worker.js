// Keeps the last pages seen for a place without signal. A page with a connection always comes from the service;
// one from the cache is marked as old: its hidden notice with the time of the page is shown.
"use strict";

const CACHE = "pages-1";
const MOST_PAGES = 30;
const ROOT = new URL("./", self.location).pathname;
const NOT_KEPT = /^(api|ops|docs|redoc|openapi)/;

self.addEventListener("install", () => self.skipWaiting());

self.addEventListener("activate", (event) => event.waitUntil((async () => {
  for (const name of await caches.keys()) if (name !== CACHE) await caches.delete(name);
  await self.clients.claim();
})()));

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  const path = url.pathname.slice(ROOT.length);
  if (request.method !== "GET" || url.origin !== self.location.origin || NOT_KEPT.test(path)) return;
  if (request.mode === "navigate") event.respondWith(page(event));
  else if (url.searchParams.has("v")) event.respondWith(asset(request));
});

async function page(event) {
  const cache = await caches.open(CACHE);
  try {
    const answer = await fetch(event.request, { cache: "no-cache" }); // "back" would show any age from the HTTP cache
    const html = (answer.headers.get("content-type") ?? "").startsWith("text/html");
    if (answer.ok && html) event.waitUntil(keep(cache, event.request.url, answer.clone()));
    return answer;
  } catch (error) {
    const known = await cache.match(event.request.url);
    if (known) return old(known);
    // Another page is shown at its own address: the same place with other choices, else the last one seen.
    const other = (await cache.keys(event.request.url, { ignoreSearch: true })).at(-1) ?? (await pages(cache)).at(-1);
    if (!other) throw error;
    return Response.redirect(other.url);
  }
}

async function pages(cache) {
  return (await cache.keys()).filter((key) => !new URL(key.url).searchParams.has("v"));
}

async function keep(cache, url, answer) {
  await cache.delete(url); // the order of the keys is that of the last visits
  await cache.put(url, answer);
  const known = await pages(cache);
  for (const key of known.slice(0, Math.max(0, known.length - MOST_PAGES))) await cache.delete(key);
}

async function old(known) {
  const text = (await known.text()).replace(/(<p id="old"[^>]*) hidden>/, "$1>");
  const headers = new Headers(known.headers);
  for (const name of ["content-encoding", "content-length"]) headers.delete(name);
  return new Response(text, { headers });
}

async function asset(request) {
  const cache = await caches.open(CACHE);
  const known = await cache.match(request);
  if (known) return known;
  const answer = await fetch(request);
  if (answer.ok) {
    await cache.delete(request, { ignoreSearch: true }); // the version before
    await cache.put(request, answer.clone());
  }
  return answer;
}
