export type { AuditAction, AuditEntry, AuditResponse } from './audit.ts';
export { ERROR_CODES, type ErrorCode } from './error-codes.ts';
export {
  type ApplyRequest,
  type ApplyResponse,
  type EntityRef,
  ERROR_CATEGORIES,
  type ErrorBody,
  type ErrorCategory,
  type HealthResponse,
  type Json,
  type JsonObject,
  LIMITS,
  type MutationMetadata,
  type MutationSource,
  type Operation,
  type PatchEncoding,
  PROTOCOL_VERSION,
  type WireConflict,
  type WireError,
  type OriginalMutation,
  type WireMutation,
  type WireOutcome,
} from './wire.ts';
