import { useMemo, useSyncExternalStore } from 'react';
import type { AnyMutationDefinition, MutationInput } from '../mutation/definition.ts';
import type { MutationQueue } from '../queue/mutation-queue.ts';
import type { QueueSnapshot } from '../queue/queue-snapshot.ts';
import { type AnyQueue, useQueue } from './queue-context.ts';
import { useBulkMutation, type UseBulkMutation } from './use-bulk-mutation.ts';
import { useQueueSubscribe } from './use-reading.ts';

/** The queue's live counts and what can be done with it. */
export interface UseMutationQueue<Definitions extends readonly AnyMutationDefinition[]> extends QueueSnapshot {
  readonly queue: MutationQueue<Definitions>;
  /** `queue.add`: resolves when the mutation is durable on this device, rejects when it was not stored. */
  readonly addMutation: MutationQueue<Definitions>['add'];
  readonly getMutationStatus: MutationQueue<Definitions>['getMutationStatus'];
  readonly onRetryComplete: MutationQueue<Definitions>['onRetryComplete'];
  readonly onError: MutationQueue<Definitions>['onError'];
}

/**
 * Live counts, and `addMutation`. Renders when one of the counts changes that was read from what it returned: who only adds is not rendered.
 * Takes the queue from the provider, or the one that is handed in (and then its types).
 */
export function useMutationQueue<
  Definitions extends readonly AnyMutationDefinition[] = readonly AnyMutationDefinition[],
>(queue?: MutationQueue<Definitions>): UseMutationQueue<Definitions> {
  // The provider's queue is of the app's definitions; `createQueueHooks` says which.
  const found = useQueue(queue as AnyQueue | undefined) as unknown as MutationQueue<Definitions>;
  const fields = useMemo(() => fieldsRead(found.getSnapshot.bind(found)), [found]);
  const snapshot = useSyncExternalStore(
    useQueueSubscribe(found as unknown as AnyQueue),
    fields.look,
    () => SERVER_SNAPSHOT,
  );
  const actions = useMemo(
    () => ({
      queue: found,
      addMutation: found.add.bind(found),
      getMutationStatus: found.getMutationStatus.bind(found),
      onRetryComplete: found.onRetryComplete.bind(found),
      onError: found.onError.bind(found),
    }),
    [found],
  );
  return useMemo(() => fields.around(snapshot, actions), [fields, snapshot, actions]);
}

/** Remembers which fields of a snapshot were read, so that these alone are news. */
function fieldsRead(now: () => QueueSnapshot) {
  const read = new Set<keyof QueueSnapshot>();
  let last = now();
  const look = (): QueueSnapshot => {
    const next = now();
    if ([...read].some((key) => next[key] !== last[key])) last = next;
    return last;
  };
  return {
    look,
    around<Actions extends object>(snapshot: QueueSnapshot, actions: Actions): QueueSnapshot & Actions {
      const all = { ...actions } as QueueSnapshot & Actions;
      for (const key of Object.keys(snapshot) as (keyof QueueSnapshot)[])
        Object.defineProperty(all, key, {
          enumerable: true,
          get: () => {
            read.add(key);
            // One that nobody had read may have changed meanwhile: what is shown from here on is what the next change differs from.
            return (snapshot === SERVER_SNAPSHOT ? snapshot : look())[key];
          },
        });
      return all;
    },
  };
}

/** Hooks typed by the app's definitions: `export const { useMutationQueue, useBulkMutation } = createQueueHooks<typeof mutations>()`. */
export function createQueueHooks<Definitions extends readonly AnyMutationDefinition[]>(): {
  readonly useMutationQueue: (queue?: MutationQueue<Definitions>) => UseMutationQueue<Definitions>;
  readonly useBulkMutation: (queue?: MutationQueue<Definitions>) => UseBulkMutation<MutationInput<Definitions[number]>>;
} {
  return { useMutationQueue, useBulkMutation };
}

/** On a server nothing is stored and nothing pending. */
const SERVER_SNAPSHOT: QueueSnapshot = {
  isReady: false,
  pendingCount: 0,
  processingCount: 0,
  failedCount: 0,
  conflictCount: 0,
  isPaused: false,
  isLeader: false,
  isVolatile: false,
  waitingFor: 'nothing',
  error: null,
};
