import { useEffect, useMemo, useState } from 'react';
import type { OpenConflictView } from '../../queue/delivering/conflict-desk.ts';
import { type AnyQueue, useQueue } from '../queue-context.ts';
import { useReading } from '../use-reading.ts';

export interface UseConflictsOptions {
  /** @default the provider's */
  readonly queue?: AnyQueue;
}

/** The edits that wait for a person to choose, the oldest first; live. */
export function useConflicts({ queue }: UseConflictsOptions = {}): readonly OpenConflictView[] {
  const found = useQueue(queue);
  const ids = useReading(found, readIds, Object.is, '');
  const [conflicts, setConflicts] = useState<readonly OpenConflictView[]>([]);
  const wanted = useMemo(() => (ids === '' ? [] : ids.split(' ')), [ids]);
  // One that is just being stored is told of with a later change of the queue.
  const isWhole = wanted.every((id) => conflicts.some((view) => view.id === id));

  useEffect(() => {
    let isWanted = true;
    const look = (): void => {
      // A queue that cannot be read has told its `onError`.
      Promise.all(wanted.map((id) => found.getConflict(id))).then(
        (views) => isWanted && setConflicts(views.filter((view) => view !== undefined)),
        () => {},
      );
    };
    look();
    const stop = isWhole ? null : found.subscribe(look);
    return () => {
      isWanted = false;
      stop?.();
    };
  }, [found, wanted, isWhole]);
  return conflicts;
}

function readIds(queue: AnyQueue): string {
  // Most of the time there is none, and nothing to look through.
  if (queue.getSnapshot().conflictCount === 0) return '';
  const pending = queue.listUnconfirmed(Infinity, { status: 'pending' });
  return pending
    .filter(({ waitingFor }) => waitingFor === 'conflict')
    .map(({ id }) => id)
    .join(' ');
}
