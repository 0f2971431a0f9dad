/** `@holdfast/server`: the Postgres half of Holdfast. SQL that applies each mutation exactly once, and a door to it. */
export type { AuditAction, AuditEntry, AuditResponse, Change, LiveMessage } from 'holdfast/protocol';
export {
  archiveMonths,
  type ArchiveManifest,
  type ArchiveOptions,
  type ArchiveReport,
  type ChainHead,
} from './archive.ts';
export {
  type HandledMutation,
  type HandlerContext,
  type MutationHandler,
  type MutationHandlers,
  Rejection,
} from './apply-handled.ts';
export { type AuthOptions, createTokenVerifier, type TokenVerifier } from './auth.ts';
export {
  type CallerClaims,
  type CallerOrigin,
  type CallerRole,
  queryAsCaller,
  withCaller,
  type WithCallerOptions,
  workspaceOf,
} from './caller.ts';
export { type ChangePage, readChanges, type ReadChangesOptions } from './change-feed.ts';
export {
  type AnswerOptions,
  type Database,
  DatabaseUnavailableError,
  type Session,
  type Statement,
} from './database.ts';
export { createDoor, type DoorLogEntry, type DoorLogger, type DoorOptions } from './door.ts';
export {
  type Export,
  exportAuditLogs,
  type ExportFormat,
  type ExportOptions,
  exportRows,
  type LogsQuery,
} from './export.ts';
export {
  createLiveChannel,
  type LiveChannel,
  type LiveChannelOptions,
  type LiveSink,
} from './live-channel.ts';
export { attachLiveSocket, type LiveSocketOptions } from './live-socket.ts';
export {
  maintain,
  type Maintenance,
  type MaintenanceOptions,
  type MaintenanceReport,
  startMaintenance,
} from './maintenance.ts';
export { migrate, MigrationError, type MigrateOptions, type MigrationReport } from './migrate.ts';
export { openPg, type OpenPgOptions } from './pg-database.ts';
export { openPglite, type OpenPgliteOptions } from './pglite-database.ts';
export type { RateLimit } from './rate-limit.ts';
export { shutDown, type ShutDownOptions, type ShutDownResult } from './shut-down.ts';
export { Refusal, type RefusalCode, refusalOf } from './refusal.ts';
