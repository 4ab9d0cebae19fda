// Keeps the member's card at hand without a network: every page that cannot be reached shows it. Nothing else is kept,
// and no card while support looks at a member's pages.
const CARD = "card-1";
self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));
self.addEventListener("fetch", (event) => {
  const url = new URL(event.request.url);
  if (event.request.method !== "GET" || url.origin !== location.origin) return;
  if (url.pathname === "/me/card") {
    event.respondWith(fetch(event.request).then(async (answer) => {
      if (answer.ok && !answer.redirected && !answer.headers.has("X-Looking")) (await caches.open(CARD)).put("/me/card", answer.clone());
      else await caches.delete(CARD);
      return answer;
    }).catch(async () => (await caches.match("/me/card")) ?? Response.error()));
  } else if (event.request.mode === "navigate" && url.pathname.startsWith("/me")) {
    event.respondWith(fetch(event.request).catch(async () => (await caches.match("/me/card")) ?? Response.error()));
  } else if (url.pathname.startsWith("/static/") || url.pathname.startsWith("/brand/")) {
    event.respondWith(caches.match(event.request).then((kept) => kept ?? fetch(event.request).then(async (answer) => {
      if (answer.ok && (url.searchParams.has("v") || url.pathname.startsWith("/brand/"))) (await caches.open(CARD)).put(event.request, answer.clone());
      return answer;
    })));
  }
});
// Signing out takes the card away from this device.
self.addEventListener("message", (event) => { if (event.data === "forget") event.waitUntil(caches.delete(CARD)); });
