import { useCallback, useSyncExternalStore } from 'react';
import type { AnyQueue } from './queue-context.ts';

/** On a server, and while its page is taken over: nothing of the queue is shown yet. */
export const NOT_YET: number = -1;

/** Renders again with every change of the queue; the number stands for its state, so lists can be memoized by it. */
export function useQueueVersion(queue: AnyQueue): number {
  return useSyncExternalStore(
    useQueueSubscribe(queue),
    () => queue.version,
    () => NOT_YET,
  );
}

/** The same function as long as the queue is the same: with another one React would listen anew after each rendering. */
export function useQueueSubscribe(queue: AnyQueue): (listener: () => void) => () => void {
  return useCallback((listener) => queue.subscribe(listener), [queue]);
}
