import { useMemo } from 'react';
import { type AnyQueue, useQueue } from './queue-context.ts';

/** What people in charge of a queue do with it. Each says how many it touched, and is recorded with actor and reason. */
export interface AdminQueueControls {
  /** `queue.clear`: disposes of dead letters and of what surely was never sent. */
  readonly clearQueue: AnyQueue['clear'];
  readonly retryFailed: AnyQueue['retryFailed'];
  readonly pauseQueue: AnyQueue['pause'];
  readonly resumeQueue: AnyQueue['resume'];
  readonly getQueueStatus: AnyQueue['getStatus'];
  readonly forceRetry: AnyQueue['forceRetry'];
  readonly clearStuckMutations: AnyQueue['clearStuck'];
  readonly restartQueue: AnyQueue['restart'];
  /** Shows what happens in the console; returns what ends that. */
  readonly enableDebugLogging: AnyQueue['enableDebugLogging'];
}

/** The acts of an operator on this device's queue. They stay the same functions as long as the queue does. */
export function useAdminQueueControls(queue?: AnyQueue): AdminQueueControls {
  const found = useQueue(queue);
  return useMemo(
    () => ({
      clearQueue: found.clear.bind(found),
      retryFailed: found.retryFailed.bind(found),
      pauseQueue: found.pause.bind(found),
      resumeQueue: found.resume.bind(found),
      getQueueStatus: found.getStatus.bind(found),
      forceRetry: found.forceRetry.bind(found),
      clearStuckMutations: found.clearStuck.bind(found),
      restartQueue: found.restart.bind(found),
      enableDebugLogging: found.enableDebugLogging.bind(found),
    }),
    [found],
  );
}
