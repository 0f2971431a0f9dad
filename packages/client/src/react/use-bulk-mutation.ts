import { useCallback, useMemo, useState, useSyncExternalStore } from 'react';
import type { AnyMutationDefinition, MutationInput } from '../mutation/definition.ts';
import { addMany, type BulkOptions, type BulkProgress, type BulkReport, type BulkRun } from '../queue/adding/bulk.ts';
import type { MutationQueue } from '../queue/mutation-queue.ts';
import { type AnyQueue, useQueue } from './queue-context.ts';

export interface UseBulkMutation<Input> {
  /** Adds all of them; see `addMany`. Resolves to what became of them, and never rejects. One that runs already goes on by itself. */
  readonly run: (inputs: readonly Input[], options?: BulkOptions) => Promise<BulkReport<Input>>;
  /** Stops the last one. */
  readonly cancel: () => void;
  /** How far the last one is; null before there is one. */
  readonly progress: BulkProgress | null;
  readonly isRunning: boolean;
  /** Sends again what the server has refused of a report, but for rows that were changed again since: those it would overwrite. */
  readonly retryFailed: (report: BulkReport<Input>) => Promise<number>;
}

/** Many changes as one piece of work, with progress, a report of what failed, and a way to stop it. It goes on when the component is gone. */
export function useBulkMutation<
  Definitions extends readonly AnyMutationDefinition[] = readonly AnyMutationDefinition[],
>(queue?: MutationQueue<Definitions>): UseBulkMutation<MutationInput<Definitions[number]>> {
  type Input = MutationInput<Definitions[number]>;
  // The provider's queue is of the app's definitions; `createQueueHooks` says which.
  const found = useQueue(queue as AnyQueue | undefined) as unknown as MutationQueue<Definitions>;
  const [last, setLast] = useState<BulkRun<Input> | null>(null);
  const progress = useSyncExternalStore(
    last?.subscribe ?? noSubscription,
    () => last?.getSnapshot() ?? null,
    () => null,
  );
  const run = useCallback(
    (inputs: readonly Input[], options?: BulkOptions) => {
      const next: BulkRun<Input> = addMany(found, inputs, options);
      setLast(next);
      return next.done;
    },
    [found],
  );
  const retryFailed = useCallback(
    async ({ failures }: BulkReport<Input>) => {
      const overtaken = found.listOvertaken();
      const ids = new Set(failures.map(({ id }) => id).filter((id) => id !== null && !overtaken.has(id)));
      const { touchedCount } = await found.retryFailed({ where: ({ id }) => ids.has(id) });
      return touchedCount;
    },
    [found],
  );
  return useMemo(() => {
    const isRunning = progress !== null && progress.state !== 'done' && progress.state !== 'cancelled';
    return { run, retryFailed, progress, isRunning, cancel: () => void last?.cancel() };
  }, [run, retryFailed, progress, last]);
}

function noSubscription(): () => void {
  return () => {};
}
