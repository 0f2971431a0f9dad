// A service worker whose whole work is to say that it was woken, and to hang or fail when it is told to.
import { serveBackgroundSync } from '../browser-background-sync.ts';

let wokenCount = 0;
const answers = new BroadcastChannel('sync-worker');
const worker = self as unknown as {
  readonly clients: { claim(): Promise<void> };
  skipWaiting(): Promise<void>;
  addEventListener(
    name: 'install' | 'activate' | 'message',
    listener: (event: { readonly data: unknown; waitUntil(work: Promise<unknown>): void }) => void,
  ): void;
  dispatchEvent(event: Event): boolean;
};

worker.addEventListener('install', (event) => event.waitUntil(worker.skipWaiting()));
worker.addEventListener('activate', (event) => event.waitUntil(worker.clients.claim()));
serveBackgroundSync({
  tag: 'send',
  workMsMax: 50,
  work: async (signal) => {
    wokenCount += 1;
    if (wokenCount !== 2) return;
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
  },
});
// A browser that is driven by a program wakes nobody; the event itself is the browser's.
worker.addEventListener('message', ({ data }) => {
  const SyncEvent = (
    self as unknown as { readonly SyncEvent: new (name: string, init: { readonly tag: string }) => Event }
  ).SyncEvent;
  const event = new SyncEvent('sync', { tag: String(data) });
  const outcomes: Promise<unknown>[] = [];
  Object.defineProperty(event, 'waitUntil', { value: (work: Promise<unknown>) => outcomes.push(work) });
  worker.dispatchEvent(event);
  void Promise.allSettled(outcomes).then((settled) =>
    answers.postMessage({ wokenCount, outcomes: settled.map(({ status }) => status) }),
  );
});
