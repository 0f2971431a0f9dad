import { ERROR_CODES, type ErrorBody, type ErrorCode, type WireError } from 'holdfast/protocol';
import { DatabaseUnavailableError, fieldOf, sqlStateOf } from './database.ts';

/** The codes of the protocol that describe a whole request, and not one mutation of it. */
export type RefusalCode = Extract<
  ErrorCode,
  | 'TOKEN_MISSING'
  | 'TOKEN_INVALID'
  | 'TOKEN_EXPIRED'
  | 'WRONG_LOGIN'
  | 'FOREIGN_WORKSPACE'
  | 'FOREIGN_CLIENT'
  | 'INVALID_REQUEST'
  | 'NOT_FOUND'
  | 'BODY_TOO_LARGE'
  | 'BATCH_TOO_LARGE'
  | 'UPGRADE_REQUIRED'
  | 'TOO_MANY_REQUESTS'
  | 'INTERNAL'
  | 'SERVER_UNAVAILABLE'
>;

const STATUS_BY_CODE: Readonly<Record<RefusalCode, number>> = {
  TOKEN_MISSING: 401,
  TOKEN_INVALID: 401,
  TOKEN_EXPIRED: 401,
  WRONG_LOGIN: 401,
  FOREIGN_WORKSPACE: 403,
  FOREIGN_CLIENT: 403,
  INVALID_REQUEST: 400,
  NOT_FOUND: 404,
  BODY_TOO_LARGE: 413,
  BATCH_TOO_LARGE: 413,
  UPGRADE_REQUIRED: 426,
  TOO_MANY_REQUESTS: 429,
  INTERNAL: 500,
  SERVER_UNAVAILABLE: 503,
};

/** How long a client is told to wait when the database is away or busy, or it asks too often, in seconds. */
const RETRY_AFTER_SECONDS = 2;

/** The same for a device that is one too many of its user today: what the database counts goes by the day. */
const RETRY_NEW_DEVICE_AFTER_MS = 300_000;

/** Thrown by a route to answer the whole request with an error. Its text is for the person at the device. */
export class Refusal extends Error {
  override readonly name: string = 'Refusal';
  readonly code: RefusalCode;
  readonly hint: string;

  /** How long the client is told to wait, in whole seconds; null when coming again is of no use. */
  readonly retryAfterSeconds: number | null;

  constructor(code: RefusalCode, message: string, hint: string, cause?: unknown, retryAfterMs?: number) {
    super(message, { cause });
    this.code = code;
    this.hint = hint;
    this.retryAfterSeconds =
      retryAfterMs !== undefined
        ? Math.max(1, Math.ceil(retryAfterMs / 1_000))
        : code === 'SERVER_UNAVAILABLE' || code === 'TOO_MANY_REQUESTS'
          ? RETRY_AFTER_SECONDS
          : null;
  }

  get status(): number {
    return STATUS_BY_CODE[this.code];
  }

  toWireError(): WireError {
    return { category: ERROR_CODES[this.code], code: this.code, message: this.message, hint: this.hint };
  }

  toResponse(): Response {
    const body: ErrorBody = { error: this.toWireError() };
    return new Response(JSON.stringify(body), { status: this.status, headers: refusalHeaders(this) });
  }
}

/** Turns whatever a route threw into a refusal. What went wrong inside stays inside: it is the cause, for the log. */
export function refusalOf(error: unknown): Refusal {
  if (error instanceof Refusal) return error;
  if (error instanceof DatabaseUnavailableError) {
    return new Refusal('SERVER_UNAVAILABLE', 'The database is away.', 'Try again in a moment.', error);
  }
  const state = sqlStateOf(error);
  const word = fieldOf(error, 'detail');
  // holdfast.refuse puts the word of its code into the detail
  if (state?.startsWith('HF') === true && word !== null && isRefusalCode(word)) {
    const retryAfterMs = word === 'TOO_MANY_REQUESTS' ? RETRY_NEW_DEVICE_AFTER_MS : undefined;
    return new Refusal(word, fieldOf(error, 'message') ?? word, fieldOf(error, 'hint') ?? '', error, retryAfterMs);
  }
  if (state !== null && isPassing(state)) {
    return new Refusal('SERVER_UNAVAILABLE', 'The database is busy.', 'Try again in a moment.', error);
  }
  return new Refusal(
    'INTERNAL',
    'Something went wrong on the server.',
    'Try again later, or tell the operator.',
    error,
  );
}

/** Serialization failure, deadlock, lock not available, cancelled, a standby that is not promoted yet, out of resources, shutting down. */
function isPassing(state: string): boolean {
  return ['40001', '40P01', '55P03', '57014', '25006'].includes(state) || /^(53|57P|08)/.test(state);
}

function isRefusalCode(word: string): word is RefusalCode {
  return Object.hasOwn(STATUS_BY_CODE, word);
}

function refusalHeaders({ retryAfterSeconds, status }: Refusal): Record<string, string> {
  return {
    'content-type': 'application/json; charset=utf-8',
    ...(retryAfterSeconds === null ? {} : { 'retry-after': String(retryAfterSeconds) }),
    ...(status === 401 ? { 'www-authenticate': 'Bearer' } : {}),
  };
}
