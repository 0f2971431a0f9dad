import { useEffect, useMemo, useState } from 'react';
import type { MutationStatus } from '../queue/mutation-status.ts';
import { type AnyQueue, useQueue } from './queue-context.ts';
import { NOT_YET, useQueueVersion } from './use-queue-version.ts';

/** Where a mutation stands, live; undefined while that is being looked up, and for an id that this device does not know. */
export function useMutationStatus(id: string | undefined, queue?: AnyQueue): MutationStatus | undefined {
  const found = useQueue(queue);
  const version = useQueueVersion(found);
  const isKnown = id !== undefined && version !== NOT_YET;
  // oxlint-disable-next-line react/exhaustive-deps -- the version stands for the queue's state
  const live = useMemo(() => (isKnown ? found.peekStatus(id) : undefined), [found, id, isKnown, version]);
  const [past, setPast] = useState<MutationStatus | undefined>(undefined);
  const mustLookUp = isKnown && live === undefined;

  useEffect(() => {
    if (!mustLookUp) return undefined;
    let isWanted = true;
    // A queue that cannot be opened has told its `onError`; here it means: not known.
    found.getMutationStatus(id).then(
      (status) => isWanted && setPast(status),
      () => {},
    );
    return () => {
      isWanted = false;
    };
  }, [found, id, mustLookUp]);

  return live ?? (past?.id === id ? past : undefined);
}
