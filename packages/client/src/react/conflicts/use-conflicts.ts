import { useEffect, useMemo, useState } from 'react';
import type { OpenConflictView } from '../../queue/conflict-desk.ts';
import { type AnyQueue, useQueue } from '../queue-context.ts';
import { useQueueVersion } from '../use-queue-version.ts';

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
      found
        .listUnconfirmed(limit)
        .filter(({ waitingFor }) => waitingFor === 'conflict')
        .map(({ id }) => id)
        .join(' '),
    // oxlint-disable-next-line react/exhaustive-deps -- the version stands for the queue's state
    [found, limit, version],
  );
  const [conflicts, setConflicts] = useState<readonly OpenConflictView[]>([]);

  useEffect(() => {
    let isWanted = true;
    const wanted = ids === '' ? [] : ids.split(' ');
    // A queue that cannot be read has told its `onError`.
    Promise.all(wanted.map((id) => found.getConflict(id))).then(
      (views) => isWanted && setConflicts(views.filter((view) => view !== undefined)),
      () => {},
    );
    return () => {
      isWanted = false;
    };
  }, [found, ids]);
  return conflicts;
}
