import { useEffect, useMemo, useState } from 'react';
import type { MutationStatus } from '../queue/mutation-status.ts';
import { type AnyQueue, useQueue } from './queue-context.ts';
import { NOT_YET, useQueueVersion } from './use-queue-version.ts';

/** Where a mutation stands, live; undefined while that is being looked up, and for an id that this device does not know. */
export function useMutationStatus(id: string | undefined, queue?: AnyQueue): MutationStatus | undefined {
  return useMutationLookup(id, queue).status;
}

/** The same, and whether it is being looked up: before that nobody can say that there is none. */
export function useMutationLookup(
  id: string | undefined,
  queue?: AnyQueue,
): { readonly status: MutationStatus | undefined; readonly isLooking: boolean } {
  const found = useQueue(queue);
  const version = useQueueVersion(found);
  const isKnown = id !== undefined && version !== NOT_YET;
  // oxlint-disable-next-line react/exhaustive-deps -- the version stands for the queue's state
  const live = useMemo(() => (isKnown ? found.peekStatus(id) : undefined), [found, id, isKnown, version]);
  const [past, setPast] = useState<{ readonly id: string; readonly status: MutationStatus | undefined } | null>(null);
  const mustLookUp = isKnown && live === undefined;

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
  return { status: live ?? lookedUp?.status, isLooking: live === undefined && lookedUp === null };
}
