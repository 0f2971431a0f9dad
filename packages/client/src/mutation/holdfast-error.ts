import { ERROR_CODES, type ErrorCode } from '../protocol/error-codes.ts';
import { type EntityRef, ERROR_CATEGORIES, type ErrorCategory, type WireError } from '../protocol/wire.ts';

const BRAND = '@@holdfast/error';

export interface HoldfastErrorInput {
  /** For programs. Holdfast's own are listed in `docs/errors.md`; databases and apps bring theirs. */
  readonly code: ErrorCode | (string & {});
  /** Needed only for a code that is not Holdfast's own. */
  readonly category?: ErrorCategory;
  /** For people: what happened. */
  readonly message: string;
  /** What to do, in the imperative. */
  readonly hint?: string | undefined;
  /** The original error, if there was one. */
  readonly cause?: unknown;
  /** What exactly was wrong with a payload, for `INVALID_PAYLOAD`. */
  readonly issues?: readonly ErrorIssue[];
  /** Of one that says what became of an attempt at a mutation. */
  readonly details?: ErrorDetails;
}

/** Which mutation a failure is about, and what becomes of it. */
export interface ErrorDetails {
  readonly mutationId: string;
  readonly type: string;
  readonly entity: EntityRef | null;
  /** Answers about it that used up an attempt, with this one. */
  readonly attemptCount: number;
  /** It is a dead letter now; else it is tried again. */
  readonly isFinal: boolean;
}

export interface ErrorIssue {
  readonly message: string;
  /** Where in the payload: keys and indexes from the outside in. */
  readonly path: readonly (string | number)[];
}

/** Everything Holdfast rejects or throws that an app must handle. Branch on `code` or `category`, show `message`, act on `hint`. */
export class HoldfastError extends Error {
  override readonly name = 'HoldfastError';
  readonly code: string;
  readonly category: ErrorCategory;
  readonly hint: string | undefined;
  readonly issues: readonly ErrorIssue[];
  /** Null where it is not about a mutation that is stored. */
  readonly details: ErrorDetails | null;

  constructor(input: HoldfastErrorInput) {
    super(input.message, input.cause === undefined ? undefined : { cause: input.cause });
    this.code = input.code;
    this.category = input.category ?? categoryOfCode(input.code);
    this.hint = input.hint;
    this.issues = input.issues ?? [];
    this.details = input.details ?? null;
    Object.defineProperty(this, BRAND, { value: true });
  }

  /** The same error in the shape it has on the wire and in storage. */
  toWire(): WireError {
    return {
      category: this.category,
      code: this.code,
      message: this.message,
      ...(this.hint === undefined ? {} : { hint: this.hint }),
    };
  }
}

/** For an option that makes no sense. */
export function invalidOption(
  option: string,
  message: string,
  hint: string = `Correct \`${option}\`, or leave it out.`,
): HoldfastError {
  return new HoldfastError({ code: 'INVALID_OPTION', message, hint });
}

/** True for errors of any loaded copy of the package, unlike `instanceof`. */
export function isHoldfastError(value: unknown): value is HoldfastError {
  return typeof value === 'object' && value !== null && BRAND in value;
}

export function errorFromWire(error: WireError, details: ErrorDetails): HoldfastError {
  return new HoldfastError({ ...error, details });
}

/** The category of one of Holdfast's own codes, and `UNKNOWN_ERROR` for any other. */
export function categoryOfCode(code: string): ErrorCategory {
  return Object.hasOwn(ERROR_CODES, code) ? ERROR_CODES[code as ErrorCode] : 'UNKNOWN_ERROR';
}

export function isErrorCategory(value: unknown): value is ErrorCategory {
  return (ERROR_CATEGORIES as readonly unknown[]).includes(value);
}

/** Whatever was thrown, as an error that an app can handle. What is not ours came from storage: nothing else is called there. */
export function toHoldfastError(error: unknown): HoldfastError {
  if (isHoldfastError(error)) return error;
  return new HoldfastError({ code: 'STORAGE_FAILED', message: messageOf(error), cause: error });
}

/** What was said by whatever was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
