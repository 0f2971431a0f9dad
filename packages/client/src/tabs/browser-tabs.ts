import type { OpenTabs } from '../ports/tabs.ts';
import type { Json } from '../protocol/wire.ts';

/**
 * Tabs of one browser: Web Locks for leadership, BroadcastChannel for hints. The lock is asked for once and waited for
 * (asking whether it is free, and then asking for it, would let two tabs win). Where there are no locks every tab
 * delivers, one after the other by the store's epoch, which is safe: the ledger applies each mutation once.
 */
export const browserTabs: OpenTabs = (name) => {
  const channel = typeof BroadcastChannel === 'undefined' ? null : new BroadcastChannel(`holdfast:${name}`);
  return {
    lead(onGranted) {
      const locks = globalThis.navigator?.locks;
      if (locks === undefined) {
        onGranted();
        return () => {};
      }
      const waiting = new AbortController();
      let release = (): void => waiting.abort();
      locks
        .request(`holdfast:${name}`, { signal: waiting.signal }, () => {
          const held = new Promise<void>((resolve) => {
            release = resolve;
          });
          if (!waiting.signal.aborted) onGranted();
          return held;
        })
        // Stopped waiting, or the lock manager is broken: another tab delivers, or the next open does.
        .catch(() => {});
      return () => release();
    },
    post(message) {
      channel?.postMessage(message);
    },
    onMessage(listener) {
      if (channel === null) return () => {};
      const receive = (event: MessageEvent): void => listener(event.data as Json);
      channel.addEventListener('message', receive);
      return () => channel.removeEventListener('message', receive);
    },
    close() {
      channel?.close();
    },
  };
};
