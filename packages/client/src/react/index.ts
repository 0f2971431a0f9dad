export { HoldfastProvider, type HoldfastProviderProps } from './holdfast-provider.tsx';
export { PendingList, type PendingListProps } from './pending-list.tsx';
export { type AnyQueue, useQueue } from './queue-context.ts';
export { StatusPill, type StatusPillProps } from './status-pill.tsx';
export { describeQueue, describeStage, type PillState } from './status-text.ts';
export { createQueueHooks, useMutationQueue, type UseMutationQueue } from './use-mutation-queue.ts';
export { useMutationStatus } from './use-mutation-status.ts';
export { useNetworkStatus } from './use-network-status.ts';
