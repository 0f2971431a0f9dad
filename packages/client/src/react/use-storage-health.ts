import { useSyncExternalStore } from 'react';
import { type StorageHealth, WELL } from '../queue/store/storage-keeper.ts';
import { type AnyQueue, useQueue } from './queue-context.ts';
import { useQueueSubscribe } from './use-reading.ts';

/** Whether what is added survives this tab; live. `degraded`: it is kept in memory only. */
export function useStorageHealth(queue?: AnyQueue): StorageHealth {
  const found = useQueue(queue);
  return useSyncExternalStore(
    useQueueSubscribe(found),
    () => found.getStorageHealth(),
    () => WELL,
  );
}
