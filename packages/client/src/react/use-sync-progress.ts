import { useMemo, useSyncExternalStore } from 'react';
import { type AnyQueue, useQueue } from './queue-context.ts';
import { ALL_DONE, ProgressCounter, type SyncProgress } from './sync-progress.ts';

export interface UseSyncProgress extends SyncProgress {
  /** `queue.process`: sends now what is pending. */
  readonly sync: AnyQueue['process'];
}

/** How far what is pending has come, live: for a bar, or "12 of 40 saved". */
export function useSyncProgress(queue?: AnyQueue): UseSyncProgress {
  const found = useQueue(queue);
  const counter = useMemo(() => new ProgressCounter(found), [found]);
  const progress = useSyncExternalStore(counter.subscribe, counter.getSnapshot, () => ALL_DONE);
  return useMemo(() => ({ ...progress, sync: found.process.bind(found) }), [progress, found]);
}
