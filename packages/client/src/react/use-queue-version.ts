import { useSyncExternalStore } from 'react';
import type { AnyQueue } from './queue-context.ts';

/** On a server, and while its page is taken over: nothing of the queue is shown yet. */
export const NOT_YET: number = -1;

/** Renders again with every change of the queue; the number stands for its state, so lists can be memoized by it. */
export function useQueueVersion(queue: AnyQueue): number {
  return useSyncExternalStore(
    (listener) => queue.subscribe(listener),
    () => queue.version,
    () => NOT_YET,
  );
}
