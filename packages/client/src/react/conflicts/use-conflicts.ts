import { useEffect, useMemo, useState } from 'react';
import type { OpenConflictView } from '../../queue/conflict-desk.ts';
import { type AnyQueue, useQueue } from '../queue-context.ts';
import { NOT_YET, useQueueVersion } from '../use-queue-version.ts';

export interface UseConflictsOptions {
  /** @default the provider's */
  readonly queue?: AnyQueue;
  /** How many unconfirmed mutations are looked through. @default 500 */
  readonly limit?: number;
}

/** The edits that wait for a person to choose, the oldest first; live. */
export function useConflicts({ queue, limit = 500 }: UseConflictsOptions = {}): readonly OpenConflictView[] {
  const found = useQueue(queue);
  const version = useQueueVersion(found);
  const ids = useMemo(
    () =>
      version === NOT_YET
        ? ''
        : found
            .listUnconfirmed(limit)
            .filter(({ waitingFor }) => waitingFor === 'conflict')
            .map(({ id }) => id)
            .join(' '),
    // oxlint-disable-next-line react/exhaustive-deps -- the version stands for the queue's state
    [found, limit, version],
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
