import {
  createContext,
  type ReactNode,
  useCallback,
  useContext,
  useEffect,
  useMemo,
  useState,
  useSyncExternalStore,
} from 'react';
import { HoldfastError } from '../../mutation/holdfast-error.ts';
import type { ActOptions, ActResult } from '../../queue/acts.ts';
import type { DrainResult } from '../../queue/delivering/drain.ts';
import { type AnyQueue, useQueue } from '../queue-context.ts';
import {
  type DetailedMetrics,
  type MonitoringOptions,
  type MonitoringSnapshot,
  NOT_LOOKED_YET,
  ProductionMonitor,
} from './production-monitor.ts';

interface Watched {
  readonly queue: AnyQueue;
  readonly monitor: ProductionMonitor;
}

const MonitoringContext = createContext<Watched | null>(null);

export interface ProductionMonitoringProviderProps extends MonitoringOptions {
  /** @default the provider's */
  readonly queue?: AnyQueue;
  readonly children?: ReactNode;
}

/** Watches the queue while it is there. Its options count when it appears, and when the queue is another one. */
export function ProductionMonitoringProvider({
  queue,
  children,
  ...options
}: ProductionMonitoringProviderProps): ReactNode {
  const found = useQueue(queue);
  const [firstOptions] = useState(options);
  const watched = useMemo(
    () => ({ queue: found, monitor: new ProductionMonitor(found, firstOptions) }),
    [found, firstOptions],
  );
  useEffect(() => watched.monitor.start(), [watched]);
  return <MonitoringContext.Provider value={watched}>{children}</MonitoringContext.Provider>;
}

export interface ProductionMonitoring extends MonitoringSnapshot {
  readonly isOnline: () => boolean;
  /** Sends now all that can be sent. */
  readonly syncAll: (onProgress?: (doneCount: number, totalCount: number) => void) => Promise<DrainResult>;
  /**
   * Discards what is pending and every dead letter of this user on this device, recorded with actor and reason. What may have been
   * sent stays: it cannot be taken back. Ask the user first, with the count.
   */
  readonly clearAllData: (options: ActOptions) => Promise<ActResult>;
  readonly refreshMetrics: () => Promise<void>;
  readonly getDetailedMetrics: () => Promise<DetailedMetrics>;
}

/** How the queue does, live, and what can be done about it. Needs a `ProductionMonitoringProvider` above it. */
export function useProductionMonitoring(): ProductionMonitoring {
  const watched = useContext(MonitoringContext);
  if (watched === null) {
    throw new HoldfastError({
      code: 'INVALID_OPTION',
      message: '`useProductionMonitoring` was used outside of a `<ProductionMonitoringProvider>`.',
      hint: 'Put the provider around the component, within the `<HoldfastProvider>`.',
    });
  }
  const { queue, monitor } = watched;
  const snapshot = useSyncExternalStore(
    useCallback((listener) => monitor.subscribe(listener), [monitor]),
    () => monitor.getSnapshot(),
    () => NOT_LOOKED_YET,
  );
  const actions = useMemo(
    () => ({
      isOnline: () => queue.network.isOnline(),
      syncAll: (onProgress?: (doneCount: number, totalCount: number) => void) => queue.process(onProgress),
      clearAllData: (options: ActOptions) => queue.clear({}, options),
      refreshMetrics: () => monitor.refresh(),
      getDetailedMetrics: () => monitor.getDetailed(),
    }),
    [queue, monitor],
  );
  return useMemo(() => ({ ...snapshot, ...actions }), [snapshot, actions]);
}
