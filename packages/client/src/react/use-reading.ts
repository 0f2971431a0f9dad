import { useCallback, useMemo, useSyncExternalStore } from 'react';
import type { AnyQueue } from './queue-context.ts';

/**
 * What is read from the queue, live. Read again at each of its changes, and rendered when that brings something else: hand in the same
 * function as long as it reads the same.
 */
export function useReading<Value>(
  queue: AnyQueue,
  read: (queue: AnyQueue) => Value,
  isSame: (one: Value, other: Value) => boolean,
  onServer: Value,
): Value {
  const look = useMemo(() => lookAt(queue, read, isSame), [queue, read, isSame]);
  return useSyncExternalStore(useQueueSubscribe(queue), look, () => onServer);
}

function lookAt<Value>(
  queue: AnyQueue,
  read: (queue: AnyQueue) => Value,
  isSame: (one: Value, other: Value) => boolean,
): () => Value {
  let last: { readonly version: number; readonly value: Value } | null = null;
  return () => {
    const { version } = queue;
    if (last?.version === version) return last.value;
    const value = read(queue);
    last = { version, value: last !== null && isSame(last.value, value) ? last.value : value };
    return last.value;
  };
}

/** The same function as long as the queue is the same: with another one React would listen anew after each rendering. */
export function useQueueSubscribe(queue: AnyQueue): (listener: () => void) => () => void {
  return useCallback((listener) => queue.subscribe(listener), [queue]);
}
