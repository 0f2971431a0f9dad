import { LINE_DELAY_MS_MAX, resetDelayMs, retryDelayMs } from '../engine/backoff.ts';
import { RETRY_DEFAULTS, type RetryRules } from '../mutation/definition.ts';
import { HoldfastError, isHoldfastError } from '../mutation/holdfast-error.ts';
import type { Clock, Random } from '../ports/clock.ts';
import { systemClock, systemRandom } from '../ports/system-clock.ts';
import type { WireError } from '../protocol/wire.ts';
import { type ClassifiedFailure, classifyFailure } from './classify-failure.ts';
import { wait } from './wait.ts';

export interface ExecuteOptions {
  /** Attempts after the first. @default 3 */
  readonly maxRetries?: number;
  /** Delay before the first retry, before jitter, in milliseconds. @default 1_000 */
  readonly initialDelayMs?: number;
  /** What each delay is to the one before it, for `exponential`. @default 2 */
  readonly backoffMultiplier?: number;
  /** Longest delay, in milliseconds. A longer `Retry-After` is obeyed, up to five minutes. @default 30_000 */
  readonly delayMsMax?: number;
  /** How the delay grows. @default 'exponential' */
  readonly strategy?: RetryRules['strategy'];
  /** @default 'full' */
  readonly jitter?: RetryRules['jitter'];
  /** Ends it: also during a wait. What was on its way goes on unless the call itself listens to the signal too. */
  readonly signal?: AbortSignal;
  /** Whether this failure is worth another attempt. @default failures of the line, rate limits, 5xx and failures nobody knows */
  readonly isRetryable?: (failure: ClassifiedFailure) => boolean;
  /** Told before each wait. */
  readonly onRetry?: (retry: UpcomingRetry) => void;
  /** @default the platform's */
  readonly clock?: Clock;
  /** @default the platform's */
  readonly random?: Random;
}

export interface UpcomingRetry {
  /** Of the attempt that failed; the first is 1. */
  readonly attemptNumber: number;
  /** Until the next attempt. */
  readonly delayMs: number;
  readonly error: WireError;
}

/** What an attempt is told. */
export interface CallAttempt {
  /** The first is 1. */
  readonly attemptNumber: number;
  readonly signal: AbortSignal | undefined;
}

/**
 * Calls until it succeeds, by the rules that the queue retries by. A failure is understood as `classifyFailure` does; one
 * that will not pass ends it at once. Rejects with a `HoldfastError` whose `cause` is the last failure, or with the signal's
 * reason. A call that got no answer may have taken effect: what must happen once belongs into the queue.
 */
export function executeWithRetry<Value>(
  call: (attempt: CallAttempt) => Promise<Value> | Value,
  options: ExecuteOptions = {},
): Promise<Value> {
  return retryCall({ call: async (attempt) => ({ kind: 'value', value: await call(attempt) }) }, options);
}

/** What an attempt came to: a value, or an answer that is a failure and yet what the caller gets if no other comes. */
export type CallOutcome<Value> =
  | { readonly kind: 'value'; readonly value: Value }
  | { readonly kind: 'failedAnswer'; readonly value: Value };

export interface RetriedCall<Value> {
  readonly call: (attempt: CallAttempt) => Promise<CallOutcome<Value>>;
  /** A failed answer is not handed out, because another attempt follows. */
  readonly discard?: (value: Value) => void;
  /** Why there can be no other attempt, whatever the failure; it is thrown in place of what was thrown. */
  readonly whyOnce?: (cause: unknown) => HoldfastError | null;
}

/**
 * attempt ──value──▶ returned
 *    │ ▲
 *    │ └──────── wait ◀── a failure that may pass, retries left
 *    └─failure──▶ returned if it is an answer, else thrown
 */
export async function retryCall<Value>(
  { call, discard, whyOnce }: RetriedCall<Value>,
  options: ExecuteOptions,
): Promise<Value> {
  const { rules, clock, random, isRetryable } = resolveOptions(options);
  const { signal, onRetry } = options;
  for (let attemptNumber = 1; ; attemptNumber += 1) {
    if (isAborted(signal)) throw signal?.reason as unknown;
    const ended = await attempt(() => call({ attemptNumber, signal }));
    if (ended.kind === 'value') return ended.value;
    if (ended.kind === 'threw') {
      if (isAborted(signal)) throw signal?.reason as unknown;
      // Somebody within wished it to stop.
      if (ended.cause instanceof Error && ended.cause.name === 'AbortError') throw ended.cause;
    }
    const failure = classifyFailure(ended.kind === 'threw' ? ended.cause : ended.value);
    const isLast = attemptNumber > rules.maxRetries || !isRetryable(failure);
    const once = isLast || ended.kind !== 'threw' ? null : (whyOnce?.(ended.cause) ?? null);
    if (once !== null) throw once;
    if (isLast) {
      if (ended.kind === 'failedAnswer') return ended.value;
      throw toError(failure, ended.cause);
    }
    if (ended.kind === 'failedAnswer') discard?.(ended.value);
    const delayMs = delayAfter(failure, attemptNumber, rules, random);
    onRetry?.({ attemptNumber, delayMs, error: failure.error });
    await wait(clock, delayMs, signal);
  }
}

async function attempt<Value>(
  call: () => Promise<CallOutcome<Value>>,
): Promise<CallOutcome<Value> | { readonly kind: 'threw'; readonly cause: unknown }> {
  try {
    return await call();
  } catch (cause) {
    return { kind: 'threw', cause };
  }
}

function isAborted(signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true;
}

function delayAfter(failure: ClassifiedFailure, attemptNumber: number, rules: RetryRules, random: Random): number {
  const isFirstReset = failure.wasReset && attemptNumber === 1;
  const ownMs = isFirstReset ? resetDelayMs(random) : retryDelayMs(rules, attemptNumber, random);
  // An absurd wish is not obeyed; the queue has the same limit.
  return Math.max(ownMs, Math.min(LINE_DELAY_MS_MAX, failure.retryAfterMs ?? 0));
}

function mayPass({ verdict }: ClassifiedFailure): boolean {
  return verdict === 'line' || verdict === 'rateLimit' || verdict === 'refused';
}

function toError({ error }: ClassifiedFailure, cause: unknown): HoldfastError {
  return isHoldfastError(cause) ? cause : new HoldfastError({ ...error, cause });
}

interface ResolvedExecuteOptions {
  readonly rules: RetryRules;
  readonly clock: Clock;
  readonly random: Random;
  readonly isRetryable: (failure: ClassifiedFailure) => boolean;
}

const MAX_RETRIES = 3;

function resolveOptions(options: ExecuteOptions): ResolvedExecuteOptions {
  const rules: RetryRules = {
    maxRetries: options.maxRetries ?? MAX_RETRIES,
    strategy: options.strategy ?? RETRY_DEFAULTS.strategy,
    backoffMultiplier: options.backoffMultiplier ?? RETRY_DEFAULTS.backoffMultiplier,
    backoffMsBase: options.initialDelayMs ?? RETRY_DEFAULTS.backoffMsBase,
    backoffMsMax: options.delayMsMax ?? RETRY_DEFAULTS.backoffMsMax,
    jitter: options.jitter ?? RETRY_DEFAULTS.jitter,
  };
  expectAtLeast('maxRetries', rules.maxRetries, 0);
  expectAtLeast('initialDelayMs', rules.backoffMsBase, 0);
  expectAtLeast('backoffMultiplier', rules.backoffMultiplier, 1);
  expectAtLeast('delayMsMax', rules.backoffMsMax, 0);
  return {
    rules,
    clock: options.clock ?? systemClock,
    random: options.random ?? systemRandom,
    isRetryable: options.isRetryable ?? mayPass,
  };
}

function expectAtLeast(option: string, value: number, least: number): void {
  if (value >= least) return;
  throw new HoldfastError({
    code: 'INVALID_OPTION',
    message: `executeWithRetry: \`${option}\` must be a number of at least ${least}; it is ${String(value)}.`,
    hint: `Correct \`${option}\` at the call.`,
  });
}
