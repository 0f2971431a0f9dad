import { useSyncExternalStore } from 'react';
import type { StorageHealth } from '../queue/store/storage-keeper.ts';
import { type AnyQueue, useQueue } from './queue-context.ts';
import { useQueueSubscribe } from './use-queue-version.ts';

const ON_A_SERVER: StorageHealth = {
  kind: 'well',
  durability: null,
  error: null,
  sinceMs: null,
  reopenCount: 0,
  leftBehindCount: 0,
  lost: null,
};

/** Whether what is added survives this tab; live. `degraded`: it is kept in memory only. */
export function useStorageHealth(queue?: AnyQueue): StorageHealth {
  const found = useQueue(queue);
  return useSyncExternalStore(
    useQueueSubscribe(found),
    () => found.getStorageHealth(),
    () => ON_A_SERVER,
  );
}
