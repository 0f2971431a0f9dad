export { HoldfastProvider, type HoldfastProviderProps } from './holdfast-provider.tsx';
export type { AuditWords } from './audit/audit-entry-view.tsx';
export type { AuditOption } from './audit/audit-filters.tsx';
export { AuditLogViewer, type AuditLogViewerProps } from './audit/audit-log-viewer.tsx';
export type { Question } from './controls/confirm-dialog.tsx';
export { QueueControls, type QueueControlsProps } from './controls/queue-controls.tsx';
export { MutationTimeline, type MutationTimelineProps } from './timeline/mutation-timeline.tsx';
export { type TimelineStep, timelineOf } from './timeline/timeline-steps.ts';
export { PendingList, type PendingListProps } from './pending-list.tsx';
export { type AnyQueue, useQueue } from './queue-context.ts';
export { StorageBanner, type StorageBannerProps } from './storage-banner.tsx';
export { useStorageHealth } from './use-storage-health.ts';
export { type StorageRoom, useStorageRoom } from './use-storage-room.ts';
export { StatusPill, type StatusPillProps } from './status-pill.tsx';
export { describeQueue, describeStage, type PillState } from './status-text.ts';
export { createQueueHooks, useMutationQueue, type UseMutationQueue } from './use-mutation-queue.ts';
export { type AdminQueueControls, useAdminQueueControls } from './use-admin-queue-controls.ts';
export { useAuditLogs, type UseAuditLogs, type UseAuditLogsOptions } from './use-audit-logs.ts';
export { type MutationHistoryOptions, useMutationHistory } from './use-mutation-history.ts';
export type { SyncProgress } from './sync-progress.ts';
export type { AuditPagesSnapshot } from './audit-pages.ts';
export { useSyncProgress, type UseSyncProgress } from './use-sync-progress.ts';
export { useMutationStatus } from './use-mutation-status.ts';
export { useNetworkStatus } from './use-network-status.ts';
export { detectMemoryLeaks, type LeakReport, type LeakSearchOptions } from './resources/detect-memory-leaks.ts';
export { type MemoryUsage, readMemoryUsage } from './resources/memory-usage.ts';
export { debounceCleanup, throttleCleanup } from './resources/rate-limits.ts';
export type { ResourceManager } from './resources/resource-manager.ts';
export { type CancellablePromise, useCancellablePromise } from './resources/use-cancellable-promise.ts';
export { useCleanup } from './resources/use-cleanup.ts';
export { type MemoryMonitorOptions, useMemoryMonitor } from './resources/use-memory-monitor.ts';
export { useResourceManager } from './resources/use-resource-manager.ts';
export { type SafeAsync, useSafeAsync } from './resources/use-safe-async.ts';
export { useSafeState } from './resources/use-safe-state.ts';
export { type ClearableTimer, useInterval, useTimeout } from './resources/use-timers.ts';
export { createWeakCache, type WeakCache } from './resources/weak-cache.ts';
export { LongOfflineNotice, type LongOfflineNoticeProps } from './long-offline-notice.tsx';
export { HealthPanel, type HealthPanelProps } from './monitoring/health-panel.tsx';
export type {
  DetailedMetrics,
  MonitoringMetrics,
  MonitoringOptions,
  MonitoringSnapshot,
} from './monitoring/production-monitor.ts';
export {
  type ProductionMonitoring,
  ProductionMonitoringProvider,
  type ProductionMonitoringProviderProps,
  useProductionMonitoring,
} from './monitoring/production-monitoring-provider.tsx';
export { type LongOfflineOptions, useLongOffline } from './use-long-offline.ts';
export type { Path, Side } from './conflicts/chosen-payload.ts';
export { ConflictChooser, type ConflictChooserProps } from './conflicts/conflict-chooser.tsx';
export { useConflicts, type UseConflictsOptions } from './conflicts/use-conflicts.ts';
export {
  createEntityHooks,
  type EntityHook,
  type EntityHooks,
  type EntityHooksOptions,
} from './entities/create-entity-hooks.ts';
export type { EntityDefinitions, UndoAnswer } from './entities/undo-mutation.ts';
export type { EntityMutation, EntityMutationState, MutateOptions } from './entities/use-entity-mutation.ts';
export { createToasts, type MutationToasts, type ToastsOptions } from './toasts/mutation-toasts.ts';
export type { ToastChange } from './toasts/toast-parts.ts';
export { type SonnerLike, sonnerToasts } from './toasts/sonner-toasts.ts';
export { useToasts } from './toasts/toast-context.ts';
export type { Toast, ToastAction, ToastPort } from './toasts/toast-port.ts';
export type { CommonWords, ToastTexts, ToastWords, TypeTexts } from './toasts/toast-texts.ts';
export { useBulkMutation, type UseBulkMutation } from './use-bulk-mutation.ts';
