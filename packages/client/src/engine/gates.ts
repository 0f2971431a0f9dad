import type { WireError } from '../protocol/wire.ts';
import { lineDelayMs } from './backoff.ts';
import type { Moment, WaitingFor } from './engine-io.ts';
import { checkAfterSign, Line, type WakeSign } from './line.ts';

/** A token refused within this time of being fetched is one that does not help, in milliseconds. */
const FRESH_TOKEN_MS = 60_000;
/** Longest obeyed `Retry-After`, in milliseconds: an absurd one must not stop a queue for a year. */
export const RATE_LIMIT_MS_MAX = 300_000;

type Login =
  | { readonly kind: 'valid' }
  /** The app has been asked for a fresh token. */
  | { readonly kind: 'refreshing'; readonly error: WireError }
  /** There is none, or it did not help: the app is asked again at `checkAtMs`, or when it says that the login changed. */
  | {
      readonly kind: 'waiting';
      readonly error: WireError;
      readonly checkAtMs: number;
      readonly sinceMs: number;
      /** The login is good and may not do this: a sign that the network is back says nothing about that. */
      readonly isForbidden: boolean;
    };

const PACED: WireError = {
  category: 'RATE_LIMITED',
  code: 'TOO_MANY_REQUESTS',
  message: 'The server takes no more requests before its limit is renewed.',
  hint: 'Nothing to do: it goes on by itself.',
};

const SIGNED_OUT: WireError = {
  category: 'AUTH_ERROR',
  code: 'SIGNED_OUT',
  message: 'The user of this queue has signed out.',
  hint: 'Let the same user sign in again, and create their queue anew. What is stored on this device is kept for them.',
};

/** What may stop every send, each with its reason and its way out. */
export class Gates {
  isPaused = false;
  isSignedOut = false;
  /** Why what is stored cannot be read, while its keys are away. */
  lockedBy: WireError | null = null;
  /** Why this tab cannot deliver, while its store can not be written or read. */
  storageError: WireError | null = null;
  readonly line: Line = new Line();
  private login: Login = { kind: 'valid' };
  /** Tokens refused or not to be had, in a row. */
  private loginFailureCount = 0;
  /** When the app gave, or could not give, its last token (monotonic). */
  private refreshedAtMs = Number.NEGATIVE_INFINITY;
  /** Limited calls in a row. */
  private limitCount = 0;
  private rateLimit: { readonly untilMs: number; readonly error: WireError } | null = null;
  private upgrade: WireError | null = null;

  /** What stops a send at this moment, and the error behind it. */
  closed(nowMs: number): { readonly waitingFor: WaitingFor; readonly error: WireError | null } | null {
    if (this.isSignedOut) return { waitingFor: 'auth', error: SIGNED_OUT };
    if (this.isPaused) return { waitingFor: 'paused', error: null };
    if (this.lockedBy !== null) return { waitingFor: 'locked', error: this.lockedBy };
    if (this.upgrade !== null) return { waitingFor: 'upgrade', error: this.upgrade };
    if (this.storageError !== null) return { waitingFor: 'storage', error: this.storageError };
    if (this.login.kind !== 'valid') return { waitingFor: 'auth', error: this.login.error };
    const { state } = this.line;
    if (state.kind === 'down') return { waitingFor: state.cause, error: state.error };
    if (this.rateLimit !== null && this.rateLimit.untilMs > nowMs)
      return { waitingFor: 'rateLimit', error: this.rateLimit.error };
    return null;
  }

  /** Nothing is sent before the server's time has passed; when it goes on refusing, not before a growing time of our own. */
  rateLimited(error: WireError, retryAfterMs: number | null, moment: Moment): void {
    this.limitCount += 1;
    const delayMs = Math.min(
      RATE_LIMIT_MS_MAX,
      Math.max(retryAfterMs ?? 0, lineDelayMs(this.limitCount, moment.random)),
    );
    this.rateLimit = { untilMs: moment.nowMs + delayMs, error };
  }

  /** The server takes no more before its limit is renewed: better to wait than to be refused. */
  paced(resetMs: number, { nowMs }: Moment): void {
    this.rateLimit = { untilMs: nowMs + Math.min(RATE_LIMIT_MS_MAX, Math.max(0, resetMs)), error: PACED };
  }

  /** True when the app must be asked for a fresh token now; false when that has just failed and it must wait. */
  unauthorized(error: WireError, moment: Moment): boolean {
    // A token that has lived for a while has simply run out: that says nothing about the one the app gives next.
    if (moment.nowMs - this.refreshedAtMs > FRESH_TOKEN_MS) this.loginFailureCount = 0;
    this.loginFailureCount += 1;
    if (this.loginFailureCount === 1) {
      this.login = { kind: 'refreshing', error };
      return true;
    }
    this.waitForLogin(error, this.loginFailureCount - 1, moment, false);
    return false;
  }

  forbidden(error: WireError, moment: Moment): void {
    this.loginFailureCount += 1;
    this.waitForLogin(error, 8 + this.loginFailureCount, moment, true);
  }

  tokenRefreshed(isThere: boolean, moment: Moment): void {
    if (this.login.kind !== 'refreshing') return;
    this.refreshedAtMs = moment.nowMs;
    if (isThere) {
      this.login = { kind: 'valid' };
      return;
    }
    this.waitForLogin(this.login.error, this.loginFailureCount, moment, false);
    this.loginFailureCount += 1;
  }

  /** A sign that the line may be back, and with it the one who gives out tokens. */
  wake(sign: WakeSign, nowMs: number): void {
    this.line.wake(sign, nowMs);
    const { login } = this;
    if (login.kind === 'waiting' && login.isForbidden) return;
    // As for the line: should it fail again, or what is under way, waits begin short.
    if (sign === 'hint') this.loginFailureCount = Math.min(1, this.loginFailureCount);
    if (login.kind !== 'waiting') return;
    this.login = { ...login, checkAtMs: checkAfterSign(sign, login.checkAtMs, login.sinceMs, nowMs) };
  }

  /** Whether the app has been asked for a token and has not answered. */
  get isRefreshing(): boolean {
    return this.login.kind === 'refreshing';
  }

  /** Closed until a person opens it: nothing is sent, asked or waited for. */
  get isStopped(): boolean {
    return this.isPaused || this.isSignedOut || this.upgrade !== null;
  }

  loginChanged(): void {
    this.login = { kind: 'valid' };
    this.loginFailureCount = 0;
  }

  needsUpgrade(error: WireError): void {
    this.upgrade = error;
  }

  /** The server took a batch: the login is good, the line is up, no limit holds. */
  answered(): void {
    this.loginChanged();
    this.rateLimit = null;
    this.limitCount = 0;
    this.line.answered();
  }

  /** True when the app must be asked for a token again. */
  beginLoginCheck(nowMs: number): boolean {
    if (this.login.kind !== 'waiting' || this.login.checkAtMs > nowMs) return false;
    this.login = { kind: 'refreshing', error: this.login.error };
    return true;
  }

  /** When the next gate may open by itself (monotonic). */
  nextCheckAtMs(nowMs: number): number | null {
    if (this.isStopped) return null;
    const times = [
      this.line.nextCheckAtMs,
      this.login.kind === 'waiting' ? this.login.checkAtMs : null,
      this.rateLimit !== null && this.rateLimit.untilMs > nowMs ? this.rateLimit.untilMs : null,
    ].filter((time) => time !== null);
    return times.length === 0 ? null : Math.min(...times);
  }

  private waitForLogin(error: WireError, failureNumber: number, { nowMs, random }: Moment, isForbidden: boolean): void {
    this.login = {
      kind: 'waiting',
      error,
      checkAtMs: nowMs + lineDelayMs(failureNumber, random),
      sinceMs: nowMs,
      isForbidden,
    };
  }
}
