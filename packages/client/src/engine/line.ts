import type { Random } from '../ports/clock.ts';
import type { WireError } from '../protocol/wire.ts';
import { LINE_DELAY_MS_BASE, LINE_DELAY_MS_MAX, lineDelayMs, resetDelayMs } from './backoff.ts';

/** What the user is told: no network, a server that answers but cannot serve, or that what is to be sent cannot be read here. */
export type LineCause = 'network' | 'circuit' | 'storage';

/**
 * The breaker. One failure of the line stops every send, since it says nothing about any mutation; then the server is
 * asked whether it is back, at growing intervals.
 *
 *   up ──failure──▶ down ──checkAtMs──▶ checking ──reached, or a batch answered──▶ up
 *                    ▲                      └──not reached──┐
 *                    └───── twice the delay ◀───────────────┘
 *   down by the server's own word ──probe answered──▶ a wait of 0 to 30 s ──▶ up
 *
 * The check is a probe. When a batch fails right after a probe that succeeded, the next check is a batch itself, since
 * the probe has shown that it cannot tell; so an outage costs one request a check, whatever its kind.
 */
export type LineState =
  | { readonly kind: 'up' }
  | {
      readonly kind: 'down';
      readonly cause: LineCause;
      readonly error: WireError;
      readonly checkAtMs: number;
      readonly checkBy: 'probe' | 'batch';
      readonly isChecking: boolean;
    };

/** That something may be better now: the platform or the user says so, or the user is at work. */
export type WakeSign = 'hint' | 'added';

/** A wake signal by the user's doing may bring a check forward, but not closer to the last than this, in milliseconds. */
const CHECK_GAP_MS: Readonly<Record<WakeSign, number>> = { hint: LINE_DELAY_MS_BASE, added: 15_000 };

/** So many failures in a row are an outage, and not a hiccup. */
const OUTAGE_FAILURES_MIN = 3;
/** Devices begin again within this time after an outage of the server, in milliseconds. */
const SPREAD_MS = 30_000;
/** With waits from here on, and up to 20 % of jitter on each, devices are spread over 30 s by themselves, in milliseconds. */
const OUT_OF_STEP_MS = 150_000;

/** When a check that stands at `checkAtMs` is made, now that there is a sign. */
export function checkAfterSign(sign: WakeSign, checkAtMs: number, lastCheckAtMs: number, nowMs: number): number {
  return Math.min(checkAtMs, Math.max(nowMs, lastCheckAtMs + CHECK_GAP_MS[sign]));
}

export class Line {
  state: LineState = { kind: 'up' };
  /** Failures in a row; a probe that succeeds does not end the row, an answered batch does. */
  private failureCount = 0;
  private lastCheckAtMs = Number.NEGATIVE_INFINITY;
  private probeSucceeded = false;
  /** The server itself has said that it cannot serve, in this row of failures: then so it has to every other device. */
  private isServersFault = false;
  private lastDelayMs = 0;
  private lastFailedAtMs = Number.NEGATIVE_INFINITY;
  private isSpreading = false;

  /**
   * `minDelayMs` is what the server asked for (`Retry-After`); an absurd one is not obeyed. A connection that was there and
   * was cut (`wasReset`) is worth one more try at once: the server may just have been replaced.
   */
  failed(
    cause: LineCause,
    error: WireError,
    nowMs: number,
    random: Random,
    { minDelayMs = 0, wasReset = false }: { readonly minDelayMs?: number; readonly wasReset?: boolean } = {},
  ): void {
    this.failureCount += 1;
    if (cause === 'circuit') this.isServersFault = true;
    this.isSpreading = false;
    const isWorthATry = wasReset && this.failureCount === 1;
    const delayMs = isWorthATry ? resetDelayMs(random) : lineDelayMs(this.failureCount, random);
    this.lastDelayMs = delayMs;
    this.lastFailedAtMs = nowMs;
    this.state = {
      kind: 'down',
      cause,
      error,
      checkAtMs: nowMs + Math.max(Math.min(minDelayMs, LINE_DELAY_MS_MAX), delayMs),
      // A probe of the server tells nothing of what is stored here.
      checkBy: cause === 'storage' || isWorthATry || this.probeSucceeded ? 'batch' : 'probe',
      isChecking: false,
    };
    this.lastCheckAtMs = nowMs;
    this.probeSucceeded = false;
  }

  /** The platform says there is no network. Believed at once, yet checked like any other failure: it may be wrong. */
  wentOffline(nowMs: number, random: Random, error: WireError): void {
    if (this.state.kind === 'down' && this.state.cause === 'network') return;
    this.failed('network', error, nowMs, random);
  }

  /** A sign that the line may be back: check soon. */
  wake(sign: WakeSign, nowMs: number): void {
    // Past failures say little about the line now: should the next attempt fail too, or one under way, waits begin short again.
    if (sign === 'hint') this.ownsRecovery();
    if (this.state.kind !== 'down') return;
    this.state = { ...this.state, checkAtMs: checkAfterSign(sign, this.state.checkAtMs, this.lastCheckAtMs, nowMs) };
  }

  /** The check that is due now, if there is one; it counts as begun. */
  beginCheck(nowMs: number): 'probe' | 'batch' | null {
    if (this.state.kind !== 'down' || this.state.isChecking || this.state.checkAtMs > nowMs) return null;
    if (this.state.checkBy === 'probe') this.state = { ...this.state, isChecking: true };
    this.lastCheckAtMs = nowMs;
    return this.state.checkBy;
  }

  /**
   * A probe was answered. After an outage of the server all devices find that out at nearly the same time; so each begins
   * at a moment of its own within 30 s, unless it has a sign that it was its own line that came back, or checks so rarely
   * that it has fallen out of step with the others anyway; as has one that had nothing to send since, or left that to another tab.
   */
  reached(nowMs: number, random: Random): void {
    if (this.isSpreading) return;
    const { state } = this;
    const isOutage = this.isServersFault && this.failureCount >= OUTAGE_FAILURES_MIN;
    const isInStep = Math.max(this.lastDelayMs, nowMs - this.lastFailedAtMs) < OUT_OF_STEP_MS;
    if (state.kind === 'down' && isOutage && isInStep) {
      this.isSpreading = true;
      const checkAtMs = nowMs + SPREAD_MS * random();
      this.state = { ...state, checkAtMs, checkBy: 'batch', isChecking: false };
      return;
    }
    this.opened();
  }

  /** The next batch may go, and is the check. */
  opened(): void {
    this.probeSucceeded = true;
    this.isSpreading = false;
    this.state = { kind: 'up' };
  }

  answered(): void {
    this.ownsRecovery();
    this.probeSucceeded = false;
    this.isSpreading = false;
    this.state = { kind: 'up' };
  }

  private ownsRecovery(): void {
    this.failureCount = 0;
    this.isServersFault = false;
  }

  get nextCheckAtMs(): number | null {
    return this.state.kind === 'down' && !this.state.isChecking ? this.state.checkAtMs : null;
  }
}
