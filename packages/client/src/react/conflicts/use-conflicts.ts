import { useEffect, useMemo, useState } from 'react';
import type { OpenConflictView } from '../../queue/delivering/conflict-desk.ts';
import { type AnyQueue, useQueue } from '../queue-context.ts';
import { NOT_YET, useQueueVersion } from '../use-queue-version.ts';

export interface UseConflictsOptions {
  /** @default the provider's */
  readonly queue?: AnyQueue;
}

/** The edits that wait for a person to choose, the oldest first; live. */
export function useConflicts({ queue }: UseConflictsOptions = {}): readonly OpenConflictView[] {
  const found = useQueue(queue);
  const version = useQueueVersion(found);
  const ids = useMemo(
    () =>
      // Most of the time there is none, and nothing to look through.
      version === NOT_YET || found.getSnapshot().conflictCount === 0
        ? ''
        : found
            .listUnconfirmed(Infinity, { status: 'pending' })
            .filter(({ waitingFor }) => waitingFor === 'conflict')
            .map(({ id }) => id)
            .join(' '),
    // oxlint-disable-next-line react/exhaustive-deps -- the version stands for the queue's state
    [found, version],
  );
  const [conflicts, setConflicts] = useState<readonly OpenConflictView[]>([]);
  const wanted = useMemo(() => (ids === '' ? [] : ids.split(' ')), [ids]);
  // One that is just being stored is told of with a later change of the queue.
  const isWhole = wanted.every((id) => conflicts.some((view) => view.id === id));
  const lookedAt = isWhole ? NOT_YET : version;

  useEffect(() => {
    let isWanted = true;
    // A queue that cannot be read has told its `onError`.
    Promise.all(wanted.map((id) => found.getConflict(id))).then(
      (views) => isWanted && setConflicts(views.filter((view) => view !== undefined)),
      () => {},
    );
    return () => {
      isWanted = false;
    };
    // oxlint-disable-next-line react/exhaustive-deps -- looks again while some are missing
  }, [found, wanted, lookedAt]);
  return conflicts;
}
