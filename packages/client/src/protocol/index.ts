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
  type Operation,
  PROTOCOL_VERSION,
  type WireError,
  type WireMutation,
  type WireOutcome,
} from './wire.ts';
