import { followChanges, type MutationQueue, type OptimisticStore } from 'holdfast';
import type { GetToken } from '../session/token-source.ts';
import type { AccountCache } from './account-cache.ts';
import type { CrmState } from './crm-state.ts';
import { withChanges } from './crm-state.ts';
import { FetchAccountsError, fetchAccounts } from './fetch-accounts.ts';

/** How fresh the accounts are. The object stays the same until something in it changes. */
export interface SyncSnapshot {
  /** Whether there is a list to show at all, from the server or kept on this device. */
  readonly hasList: boolean;
  /** When the server last answered, by the device's clock; null while it has not since the page was opened. */
  readonly answeredAtMs: number | null;
  readonly problem: FetchAccountsError | null;
}

export interface AccountSync {
  readonly subscribe: (listener: () => void) => () => void;
  readonly getSnapshot: () => SyncSnapshot;
  /** Asks now, or once more after the answer that is under way. */
  readonly refresh: () => Promise<void>;
  readonly stop: () => void;
}

interface SyncParts {
  readonly queue: Pick<MutationQueue, 'on' | 'network'>;
  readonly store: OptimisticStore<CrmState>;
  readonly cache: AccountCache;
  readonly getToken: GetToken;
  readonly fetch: typeof fetch;
  readonly hasList: boolean;
}

/** Between two questions while the page is visible, in milliseconds; doubled after each failure up to the maximum. */
const POLL_MS = 4_000;
const POLL_MS_MAX = 60_000;
/** The same while the server tells of changes by itself: only in case it does not. */
const POLL_MS_LIVE = 60_000;
/** Confirmations come in bursts; one refresh serves those of this time, in milliseconds. */
const GATHER_MS = 100;

/**
 * Keeps the confirmed accounts up to date: at once, when the page comes to the fore, when the network comes back, after
 * confirmations, as soon as the server tells of a change, and, while it does not, every few seconds while someone looks.
 */
export function startAccountSync({ queue, store, cache, getToken, fetch, hasList }: SyncParts): AccountSync {
  const listeners = new Set<() => void>();
  let snapshot: SyncSnapshot = { hasList, answeredAtMs: null, problem: null };
  let running: Promise<void> | null = null;
  let isAskedAgain = false;
  let failureCount = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let isStopped = false;
  // one after another, so that each joins on to the one before
  let keeping: Promise<void> = Promise.resolve();

  const set = (next: SyncSnapshot): void => {
    snapshot = next;
    for (const listener of listeners) listener();
  };

  const ask = async (): Promise<void> => {
    try {
      await store.refresh(async (base) => {
        const changes = await fetchAccounts(base.cursor, getToken, fetch);
        const after = withChanges(base, changes);
        keeping = keeping.then(() => cache.keep(changes, after));
        return after;
      });
      failureCount = 0;
      set({ hasList: true, answeredAtMs: Date.now(), problem: null });
    } catch (error) {
      failureCount += 1;
      const problem =
        error instanceof FetchAccountsError ? error : new FetchAccountsError('serverFailed', String(error));
      set({ ...snapshot, problem });
    }
  };

  const schedule = (delayMs: number): void => {
    clearTimeout(timer);
    if (!isStopped) timer = setTimeout(() => void refresh(), delayMs);
  };

  const refresh = (): Promise<void> => {
    if (running !== null) {
      isAskedAgain = true;
      return running;
    }
    clearTimeout(timer);
    running = (async () => {
      do {
        isAskedAgain = false;
        await ask();
      } while (isAskedAgain && !isStopped && failureCount === 0);
      running = null;
      if (document.visibilityState === 'visible') {
        schedule(live.state === 'live' ? POLL_MS_LIVE : Math.min(POLL_MS_MAX, POLL_MS * 2 ** failureCount));
      }
    })();
    return running;
  };

  const onVisible = (): void => {
    if (document.visibilityState === 'visible') void refresh();
  };
  document.addEventListener('visibilitychange', onVisible);
  addEventListener('focus', onVisible);
  addEventListener('online', onVisible);
  const stopSettled = queue.on('settled', () => schedule(GATHER_MS));
  const stopNetwork = queue.network.onChange(() => schedule(0));
  const live = followChanges({
    url: '/v1/live',
    getToken,
    fetch,
    onChanges: refresh,
    onRefresh: refresh,
    onState: (state) => {
      document.documentElement.dataset['live'] = state;
      // without it, asking now and then is all there is
      if (state !== 'live') schedule(POLL_MS);
    },
  });
  void refresh();

  return {
    subscribe: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    getSnapshot: () => snapshot,
    refresh,
    stop: () => {
      isStopped = true;
      live.stop();
      clearTimeout(timer);
      document.removeEventListener('visibilitychange', onVisible);
      removeEventListener('focus', onVisible);
      removeEventListener('online', onVisible);
      stopSettled();
      stopNetwork();
    },
  };
}
