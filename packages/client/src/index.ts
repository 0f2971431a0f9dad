export type { LiveSocket, OpenSocket } from './reading/browser-socket.ts';
export { followChanges, type LiveChanges, type LiveChangesOptions, type LiveState } from './reading/live-changes.ts';
export { type ClassifiedFailure, classifyFailure } from './delivery/classify-failure.ts';
export {
  applyJsonPatch,
  type JsonPatch,
  type JsonPatchOperation,
  parseJsonPatch,
} from './delivery/conflicts/json-patch.ts';
export { applyMergePatch } from './delivery/conflicts/merge-patch.ts';
export {
  type CallAttempt,
  type ExecuteOptions,
  executeWithRetry,
  type UpcomingRetry,
} from './delivery/execute-with-retry.ts';
export type { Verdict } from './delivery/failure-table.ts';
export { type FetchRetryOptions, fetchWithRetry } from './delivery/fetch-with-retry.ts';
export {
  type HandlerContext,
  handlerTransport,
  type HandlerTransportOptions,
  type MutationHandler,
  type MutationHandlers,
} from './delivery/handler-transport.ts';
export type { Fetch } from './delivery/http-fetch.ts';
export { httpAuditLog, type HttpAuditLogOptions } from './reading/http-audit-log.ts';
export { httpTransport, type HttpTransportOptions } from './delivery/http-transport.ts';
export { routeTransport, type RouteTransportOptions } from './delivery/route-transport.ts';
export {
  type BoundSavedRequests,
  type RequestQueue,
  type RetriedRequests,
  type SavedRequest,
  type SavedRequests,
  savedRequests,
  type SavedRequestsOptions,
} from './delivery/saved-requests.ts';
export {
  supabaseAuth,
  type SupabaseAuthClient,
  type SupabaseAuthOptions,
  type SupabaseSessionAnswer,
} from './delivery/supabase-auth.ts';
export { type PlainFetch, type SupabaseFetch, supabaseFetch } from './delivery/http-supabase-fetch.ts';
export type { AnswerHeaders } from './delivery/retry-after.ts';
export {
  type SupabaseCall,
  type SupabaseResult,
  type SupabaseRpcClient,
  supabaseTransport,
  type SupabaseTransportOptions,
} from './delivery/supabase-transport.ts';
export type { WaitingFor } from './engine/engine-io.ts';
export type { ProbeResult } from './engine/probe-result.ts';
export type { Pace, RestAnswer, TransportAnswer } from './engine/transport-answer.ts';
export type { AtomicPayload } from './mutation/atomic.ts';
export {
  type AnyMutationDefinition,
  type AtomicMember,
  type ConflictStrategy,
  type ConflictVersions,
  type DeadLetterPolicy,
  defineMutation,
  type EditBase,
  type MutationDefinition,
  type MutationInput,
  type MutationOptions,
  type PayloadInput,
  type PayloadSchema,
  RETRY_DEFAULTS,
  type RetryRules,
} from './mutation/definition.ts';
export { DELIVERY_POLICIES, type DeliveryPolicy, type DeliveryPolicyName } from './mutation/delivery-policy.ts';
export {
  type ErrorDetails,
  type ErrorIssue,
  HoldfastError,
  type HoldfastErrorInput,
  isHoldfastError,
} from './mutation/holdfast-error.ts';
export { describeRefusal } from './mutation/refusal-words.ts';
export type { Act, ActKind, ActRecord, AttemptRecord, MutationHeader } from './mutation/record.ts';
export type { UndeclaredMutation } from './mutation/undeclared.ts';
export type { Slot, SlotValue, WithSlots } from './mutation/slots.ts';
export { browserNetwork, type BrowserNetworkOptions } from './network/browser-network.ts';
export {
  type AppStateLike,
  type NetInfoLike,
  netInfoNetwork,
  type NetInfoNetworkOptions,
  type NetInfoStateLike,
} from './network/net-info-network.ts';
export {
  type NetworkChange,
  type NetworkMonitor,
  type NetworkQuality,
  type NetworkStatus,
} from './network/network-monitor.ts';
export { nodeNetwork, type NodeNetworkOptions } from './network/node-network.ts';
export {
  connectStore,
  type ConnectStoreOptions,
  type StoreConnection,
  type StoreLike,
} from './optimistic/connect-store.ts';
export {
  createOptimisticStore,
  type OptimisticStore,
  type OptimisticStoreOptions,
} from './optimistic/optimistic-store.ts';
export type { AuditExport, AuditExportQuery, AuditFilter, AuditPageQuery, AuditSource } from './ports/audit-source.ts';
export type { Clock, Random } from './ports/clock.ts';
export type {
  AppNotification,
  NotificationKind,
  NotificationPermissionState,
  NotificationPort,
} from './ports/notifications.ts';
export type { KeyProvider, OpenKeys, SealingKey } from './ports/keys.ts';
export type {
  AppState,
  CellularGeneration,
  Connection,
  ConnectionType,
  NetworkHint,
  NetworkSource,
} from './ports/network-source.ts';
export type {
  Change,
  CommitResult,
  Durability,
  Entry,
  Expectation,
  OpenStorage,
  ScanQuery,
  Storage,
  StorageBatch,
} from './ports/storage.ts';
export type { Persistence } from './ports/persistence.ts';
export type { ClientAnchor } from './ports/client-anchor.ts';
export type { StoragePointer } from './ports/storage-pointer.ts';
export type { Lead, LeadOptions, OpenTabs, Tabs } from './ports/tabs.ts';
export type { WakeReason, Wakeups } from './ports/wakeups.ts';
export type { Transport } from './ports/transport.ts';
export type { AuditAction, AuditEntry, AuditResponse } from './protocol/audit.ts';
export type { ErrorCode } from './protocol/error-codes.ts';
export type {
  EntityRef,
  ErrorCategory,
  Json,
  JsonObject,
  LostChanges,
  MutationMetadata,
  MutationSource,
  Operation,
  WireError,
  WireMutation,
  WireOutcome,
} from './protocol/wire.ts';
export type { ConflictChoice, OpenConflictView } from './queue/delivering/conflict-desk.ts';
export {
  addMany,
  type BulkFailure,
  type BulkOptions,
  type BulkProgress,
  type BulkReport,
  type BulkRun,
  type BulkState,
} from './queue/adding/bulk.ts';
export { createQueue } from './queue/create-queue.ts';
export type { ListedStatus, ListQuery, ListSort, MutationPage } from './queue/list-query.ts';
export {
  importLegacy,
  type LegacyImport,
  type LegacyImportOptions,
  type LegacyRecord,
  type LegacyRefusal,
} from './queue/adding/import-legacy.ts';
export { type Defaults, defaults } from './queue/defaults.ts';
export type { ActOptions, ActResult, MutationFilter } from './queue/acts.ts';
export type { LogExport } from './queue/store/log-export.ts';
export type { DrainResult } from './queue/delivering/drain.ts';
export type { CancelAnswer } from './queue/tabs/ask-leader.ts';
export type { CapacityEvent } from './queue/adding/capacity.ts';
export type { EditAnswer, MutationHandle } from './queue/mutation-handle.ts';
export type { MutationQueue, ResumeResult } from './queue/mutation-queue.ts';
export type { SignOutChoice, SignOutResult } from './queue/sign-out.ts';
export type { Explanation, MutationStatus, Stage, Status } from './queue/mutation-status.ts';
export type { Identity, QueueOptions } from './queue/options.ts';
export type { QueueEvents, Settled, StoredEvent } from './queue/queue-events.ts';
export type {
  BlockedLane,
  DeadLetterDetails,
  PendingMutation,
  CorruptedMutation,
  QueueStatus,
} from './queue/queue-reader.ts';
export { type Packing, packPending } from './queue/pack-pending.ts';
export type { QueueSnapshot } from './queue/queue-snapshot.ts';
export type { ImportResult } from './queue/store/importer.ts';
export type { StorageCapacityEvent, StorageUsage } from './queue/store/storage-watch.ts';
export type { StorageHealth } from './queue/store/storage-keeper.ts';
export type { QuarantinedMutation } from './queue/store/quarantine.ts';
export type { RecoveryAction, RecoveryResult } from './queue/store/recovery.ts';
export { asyncStorage, type AsyncStorageLike } from './storage/async-storage.ts';
export { browserPointer } from './storage/browser-pointer.ts';
export { browserKeys, type BrowserKeys, type BrowserKeysOptions } from './storage/browser-keys.ts';
export {
  type SecureStore,
  secureStoreKeys,
  type SecureStoreKeys,
  type SecureStoreKeysOptions,
} from './storage/system-secure-store-keys.ts';
export { aesGcmCipherKey, type CipherModule, type GcmCipher, type GcmDecipher } from './storage/cipher-aes-gcm.ts';
export { secureStoreSecrets, type SecureStoreSecretsOptions } from './storage/system-secure-store-secrets.ts';
export { indexedDbStorage, type IndexedDbOptions } from './storage/indexeddb-storage.ts';
export { journaledStorage, type JournaledStorageOptions } from './storage/journal/journaled-storage.ts';
export type { JournalLimits, KeyValueStore } from './storage/journal/key-value-store.ts';
export { mirroredStorage, type MirroredStorageOptions } from './storage/mirrored-storage.ts';
export { memoryStorage } from './storage/memory-storage.ts';
export { type MmkvLike, mmkvStorage } from './storage/mmkv-storage.ts';
export { opfsStorage } from './storage/opfs/browser-opfs-storage.ts';
export {
  type BetterSqlite3Database,
  betterSqlite3Driver,
  type BetterSqlite3Statement,
  type ExpoSqliteDatabase,
  expoSqliteDriver,
  type NodeSqliteDatabase,
  nodeSqliteDriver,
  type OpSqliteDatabase,
  opSqliteDriver,
  type SqliteWasmDatabase,
  sqliteWasmDriver,
} from './storage/sqlite-drivers.ts';
export { type SqliteDriver, type SqliteOptions, sqliteStorage, type SqliteValue } from './storage/sqlite-storage.ts';
export { secureStoreAnchor, type SecureStoreLike } from './storage/secure-store-anchor.ts';
export { aesGcmKey } from './storage/system-aes-gcm.ts';
export { serveStorage } from './storage/worker/browser-serve-storage.ts';
export { workerStorage, type WorkerStorageOptions } from './storage/worker/browser-worker-storage.ts';
export { browserTabs } from './tabs/browser-tabs.ts';
export type { DebugOption, LogCategory, LogData, LogEntry } from './telemetry/debug-log.ts';
export { soloTabs } from './tabs/solo-tabs.ts';
export type { MetricCounts, QueueMetrics } from './telemetry/queue-metrics.ts';
export {
  backgroundSyncWakeups,
  type BackgroundSyncOptions,
  requestBackgroundSync,
  serveBackgroundSync,
  type ServeBackgroundSyncOptions,
  type SyncableQueue,
} from './tasks/browser-background-sync.ts';
export { pageWakeups } from './tasks/browser-page-wakeups.ts';
export type {
  AllTaskStats,
  TaskContext,
  TaskFunction,
  TaskOptions,
  TaskReason,
  TaskRun,
  TaskStats,
  TaskType,
} from './tasks/task.ts';
export { createTaskRunner, type TaskEvent, TaskRunner, type TaskRunnerOptions } from './tasks/task-runner.ts';
export {
  assessHealth,
  HEALTH_LIMITS,
  type HealthFigures,
  type HealthIssue,
  type HealthLimits,
  type HealthStatus,
  type SystemHealth,
} from './telemetry/health.ts';
export { browserNotifications } from './telemetry/notifications/browser-notifications.ts';
export {
  createNotifier,
  type NotificationFigures,
  type NotificationTexts,
  type Notifier,
  type NotifierOptions,
  type NotifyingQueue,
} from './telemetry/notifications/notifier.ts';
