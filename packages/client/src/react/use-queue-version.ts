import { useSyncExternalStore } from 'react';
import type { AnyQueue } from './queue-context.ts';

const NEVER = 0;

/** Renders again with every change of the queue; the number stands for its state, so lists can be memoized by it. */
export function useQueueVersion(queue: AnyQueue): number {
  return useSyncExternalStore(
    (listener) => queue.subscribe(listener),
    () => queue.version,
    () => NEVER,
  );
}
