import { useEffect, useMemo, useState, useSyncExternalStore } from 'react';
import type { MutationStatus } from '../queue/mutation-status.ts';
import { type AnyQueue, useQueue } from './queue-context.ts';
import { WatchedStatus } from './status-watch.ts';

/**
 * Where a mutation stands, live; undefined while that is being looked up, and for an id that this device does not know. Renders when
 * that changes, and not for other mutations: each row of a long list may have one.
 */
export function useMutationStatus(id: string | undefined, queue?: AnyQueue): MutationStatus | undefined {
  return useMutationLookup(id, queue).status;
}

/** The same, and whether it is being looked up: before that nobody can say that there is none. */
export function useMutationLookup(
  id: string | undefined,
  queue?: AnyQueue,
): { readonly status: MutationStatus | undefined; readonly isLooking: boolean } {
  const found = useQueue(queue);
  const watched = useMemo(() => new WatchedStatus(found, id), [found, id]);
  // On a server, and while its page is taken over, nothing of the queue is shown yet.
  const live = useSyncExternalStore(watched.subscribe, watched.getSnapshot, () => null);
  const [past, setPast] = useState<{ readonly id: string; readonly status: MutationStatus | undefined } | null>(null);
  const mustLookUp = id !== undefined && live === undefined;

  useEffect(() => {
    if (!mustLookUp) return undefined;
    let isWanted = true;
    // A queue that cannot be opened has told its `onError`; here it means: not known.
    const tell = (status?: MutationStatus): void => {
      if (isWanted) setPast({ id, status });
    };
    found.getMutationStatus(id).then(tell, () => tell());
    return () => {
      isWanted = false;
    };
  }, [found, id, mustLookUp]);

  const lookedUp = past?.id === id ? past : null;
  return { status: live ?? lookedUp?.status, isLooking: !live && lookedUp === null };
}
