import { useEffect, useState } from 'react';
import { type AnyQueue, useQueue } from './queue-context.ts';

/** What is confirmed is forgotten after so long when room is asked for, in milliseconds: what is on the screen stays known. */
const KEPT_MS = 3_600_000;

export interface StorageRoom {
  /** Of what the platform allows: 100 also when the store has refused a change for want of room. Null below 80. */
  readonly percent: 80 | 100 | null;
  /** Forgets history that nothing needs any more, and looks again. Resolves with how many records went. */
  readonly free: () => Promise<number>;
  /** Says nothing more until it is told anew. */
  readonly dismiss: () => void;
}

/** Whether room on this device is getting short; live, from the moment that it is. */
export function useStorageRoom(queue?: AnyQueue): StorageRoom {
  const found = useQueue(queue);
  const [percent, setPercent] = useState<80 | 100 | null>(null);
  useEffect(() => {
    let isCurrent = true;
    // It may have been told before anybody looked. A store that cannot be asked is another banner's matter.
    percentOf(found).then(
      (now) => {
        if (isCurrent) setPercent(now);
      },
      () => {},
    );
    const stop = found.on('storageCapacity', (told) => {
      // What was asked before is older.
      isCurrent = false;
      setPercent(told.percent);
    });
    return () => {
      isCurrent = false;
      stop();
    };
  }, [found]);
  const isFull = percent === 100;
  useEffect(() => {
    if (!isFull) return undefined;
    let isCurrent = true;
    // What is stored has found room, whatever was said of it.
    const stop = found.on('stored', () => {
      percentOf(found).then(
        (now) => {
          if (isCurrent) setPercent(now);
        },
        () => {},
      );
    });
    return () => {
      isCurrent = false;
      stop();
    };
  }, [found, isFull]);
  return {
    percent,
    free: async () => {
      const { removedCount } = await found.cleanup({ olderThanMs: KEPT_MS });
      setPercent(await percentOf(found));
      return removedCount;
    },
    dismiss: () => setPercent(null),
  };
}

async function percentOf(queue: AnyQueue): Promise<80 | 100 | null> {
  const { usedShare } = await queue.getStorageUsage();
  if (usedShare === null || usedShare < 0.8) return null;
  return usedShare >= 1 ? 100 : 80;
}
