// Background Sync, where the browser has it (Chromium): a page asks for it, and the service worker is woken once the line is
// back, also when every page is closed. It is a sign to send and no more; what is pending lies in the store all the same.
import { HoldfastError } from '../mutation/holdfast-error.ts';
import type { Wakeups } from '../ports/wakeups.ts';

const DEFAULT_TAG = 'holdfast';
const MESSAGE_KIND = 'holdfast/background-sync';
/** A browser ends a worker that takes much longer, in milliseconds. */
const WORK_MS_MAX = 20_000;

/** As much of a queue as is looked at. */
export interface SyncableQueue {
  getSnapshot(): { readonly pendingCount: number };
  subscribe(listener: () => void): () => void;
  readonly network: { isOnline(): boolean };
}

export interface BackgroundSyncOptions {
  /** Name of the sync: the same in the page and in the service worker. @default 'holdfast' */
  readonly tag?: string;
}

interface SyncManagerLike {
  register(tag: string): Promise<void>;
}

/**
 * In a page: asks the browser to wake the service worker when the line is back, whenever something is pending and the server
 * is out of reach, or the page is put away. Does nothing where there is no service worker or no Background Sync. Returns
 * what ends it.
 */
export function requestBackgroundSync(
  queue: SyncableQueue,
  { tag = DEFAULT_TAG }: BackgroundSyncOptions = {},
): () => void {
  const workers = globalThis.navigator?.serviceWorker;
  if (workers === undefined || typeof document === 'undefined') return () => {};
  let wasNeeded = false;
  const look = (): void => {
    const isAway = !queue.network.isOnline() || document.visibilityState === 'hidden';
    const isNeeded = isAway && queue.getSnapshot().pendingCount > 0;
    // The browser keeps one of each name; asking once for each time it is needed is enough.
    if (isNeeded && !wasNeeded) void register(workers, tag);
    wasNeeded = isNeeded;
  };
  const unsubscribe = queue.subscribe(look);
  document.addEventListener('visibilitychange', look);
  look();
  return () => {
    unsubscribe();
    document.removeEventListener('visibilitychange', look);
  };
}

async function register(workers: ServiceWorkerContainer, tag: string): Promise<void> {
  try {
    const registration = await workers.ready;
    await (registration as { readonly sync?: SyncManagerLike }).sync?.register(tag);
  } catch {
    // The user or the browser does not allow it: the queue sends when the app is opened again.
  }
}

/** In a page: the service worker was woken to send, and told this page too. For `createTaskRunner({ wakeups })`. */
export function backgroundSyncWakeups({ tag = DEFAULT_TAG }: BackgroundSyncOptions = {}): Wakeups {
  return (report) => {
    const workers = globalThis.navigator?.serviceWorker;
    if (workers === undefined) return () => {};
    const hear = ({ data }: MessageEvent<unknown>): void => {
      if (isSyncMessage(data) && data.tag === tag) report('backgroundSync');
    };
    workers.addEventListener('message', hear);
    workers.startMessages();
    return () => workers.removeEventListener('message', hear);
  };
}

interface SyncMessage {
  readonly kind: typeof MESSAGE_KIND;
  readonly tag: string;
}

function isSyncMessage(data: unknown): data is SyncMessage {
  return typeof data === 'object' && data !== null && (data as SyncMessage).kind === MESSAGE_KIND;
}

export interface ServeBackgroundSyncOptions extends BackgroundSyncOptions {
  /**
   * What is done when the browser wakes the worker: open the queue, `process()`, close it. When it rejects, the browser tries
   * again later, a few times. It shares the store, the lead and the server with whatever pages are open, as a tab does.
   */
  readonly work: (signal: AbortSignal) => Promise<unknown>;
  /** After this time the signal is aborted and the browser is told that it is not done, in milliseconds. @default 20_000 */
  readonly workMsMax?: number;
}

/** As much of a service worker as is used; TypeScript's library has no Background Sync. */
interface SyncWorkerScope {
  readonly clients: {
    matchAll(query: {
      readonly type: 'window';
      readonly includeUncontrolled: true;
    }): Promise<readonly { postMessage(message: unknown): void }[]>;
  };
  addEventListener(name: 'sync', listener: (event: SyncEventLike) => void): void;
}

interface SyncEventLike {
  readonly tag: string;
  waitUntil(work: Promise<unknown>): void;
}

/** In the service worker, while its script is first run: does the work when the browser says that the line is back. */
export function serveBackgroundSync({
  tag = DEFAULT_TAG,
  work,
  workMsMax = WORK_MS_MAX,
}: ServeBackgroundSyncOptions): void {
  const scope = globalThis as unknown as SyncWorkerScope;
  scope.addEventListener('sync', (event) => {
    if (event.tag === tag) event.waitUntil(Promise.all([tellPages(scope, tag), workInTime(work, workMsMax)]));
  });
}

async function tellPages(scope: SyncWorkerScope, tag: string): Promise<void> {
  const message: SyncMessage = { kind: MESSAGE_KIND, tag };
  const pages = await scope.clients.matchAll({ type: 'window', includeUncontrolled: true });
  for (const page of pages) page.postMessage(message);
}

async function workInTime(work: (signal: AbortSignal) => Promise<unknown>, workMsMax: number): Promise<void> {
  const abort = new AbortController();
  const error = new HoldfastError({
    code: 'TASK_TIMEOUT',
    message: `The background sync has not ended within ${workMsMax} ms.`,
    hint: 'Send less at once; the browser tries again later.',
  });
  const isOver = new Promise<never>((_resolve, reject) => {
    abort.signal.addEventListener('abort', () => reject(error), { once: true });
  });
  const timer = setTimeout(() => abort.abort(error), workMsMax);
  try {
    await Promise.race([work(abort.signal), isOver]);
  } finally {
    clearTimeout(timer);
  }
}
