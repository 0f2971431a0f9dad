import { useCallback, useSyncExternalStore } from 'react';
import type { NetworkStatus } from '../network/network-monitor.ts';
import { type AnyQueue, useQueue } from './queue-context.ts';

/** Where nobody has looked yet. */
export const NETWORK_ON_A_SERVER: NetworkStatus = {
  isOnline: true,
  quality: 'unknown',
  latencyMs: null,
  type: 'unknown',
  generation: null,
  isMetered: null,
  bandwidthMbps: null,
  stability: 1,
  score: 50,
  appState: 'active',
};

/** Whether the server can be reached, and how well; live. */
export function useNetworkStatus(queue?: AnyQueue): NetworkStatus {
  const { network } = useQueue(queue);
  return useSyncExternalStore(
    useCallback((listener) => network.onChange(listener), [network]),
    () => network.getSnapshot(),
    () => NETWORK_ON_A_SERVER,
  );
}
