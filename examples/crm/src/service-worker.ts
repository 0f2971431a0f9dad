// Keeps the built page on the device, so that it opens without a network. It never touches /v1 and /api: what the server
// says is asked fresh or not at all, and what the user changes is Holdfast's to keep.

export {}; // a module, so that `self` is declared anew for it alone
// the library types a worker of any kind; this one is a service worker
const worker = self as unknown as ServiceWorkerGlobalScope;
/** Put in by the build: every file of the page with the hash of its content. */
declare const __PRECACHE__: readonly { readonly url: string; readonly integrity: string }[];

const FILES = __PRECACHE__;
const PREFIX = 'meridian-page-';
/** The name follows from the content, so that each build has a cache of its own and is stored whole or not at all. */
const CACHE_NAME = `${PREFIX}${FILES.map(({ integrity }) => integrity.slice(7, 13)).join('')}`;
const PATHS = new Set(FILES.map(({ url }) => url));

worker.addEventListener('install', (event) => {
  event.waitUntil(
    (async () => {
      const cache = await caches.open(CACHE_NAME);
      // a hash that does not match (a captive portal's page, a half-finished deployment) fails the installation
      await cache.addAll(FILES.map(({ url, integrity }) => new Request(url, { integrity, cache: 'no-cache' })));
      await worker.skipWaiting();
    })(),
  );
});

worker.addEventListener('activate', (event) => {
  event.waitUntil(
    (async () => {
      const names = await caches.keys();
      await Promise.all(
        names.filter((name) => name.startsWith(PREFIX) && name !== CACHE_NAME).map((name) => caches.delete(name)),
      );
      await worker.clients.claim();
    })(),
  );
});

worker.addEventListener('fetch', (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== 'GET' || url.origin !== worker.location.origin) return;
  if (url.pathname.startsWith('/v1/') || url.pathname.startsWith('/api/')) return;
  const path = request.mode === 'navigate' ? '/' : url.pathname;
  if (!PATHS.has(path)) return;
  event.respondWith(
    (async () => {
      const cache = await caches.open(CACHE_NAME);
      return (await cache.match(path)) ?? (await fetch(request));
    })(),
  );
});
