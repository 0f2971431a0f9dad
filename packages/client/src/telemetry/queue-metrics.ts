import type { Settlement } from '../engine/engine-io.ts';
import type { EntryView } from '../engine/entry.ts';
import type { RecordPriority } from '../mutation/record.ts';

/** How many stand where. `completed` counts since this tab was opened, the others what there is now. */
export interface MetricCounts {
  readonly pending: number;
  readonly processing: number;
  readonly completed: number;
  readonly failed: number;
}

/**
 * How a queue does. What was never measured is null. Rates and times are of the verdicts that this tab has heard of since it
 * was opened, whichever tab they came to.
 */
export interface QueueMetrics {
  /** All there are on this device now, and all that were ever confirmed. */
  readonly total: MetricCounts;
  readonly byType: Readonly<Record<string, MetricCounts>>;
  readonly byPriority: Readonly<Record<RecordPriority, MetricCounts>>;
  /** Verdicts that the rates and averages below are made of. */
  readonly verdictCount: number;
  /** Retries a verdict took. */
  readonly averageRetries: number | null;
  /** Of the verdicts, those that were confirmations: 0 to 1. */
  readonly successRate: number | null;
  /** Of the verdicts, those that were confirmations at the first attempt: 0 to 1. */
  readonly firstAttemptSuccessRate: number | null;
  /** From `add` to the confirmation, by the device's clock, with all the waiting; of the last 1,000. */
  readonly averageProcessingTimeMs: number | null;
  readonly processingTimeMs: { readonly p50: number | null; readonly p95: number | null; readonly p99: number | null };
  /** Verdicts within the last minute; scaled up while this tab has been open for less. */
  readonly throughputPerMinute: number | null;
  /** By how many more are pending than a minute ago, or than when this tab was opened if that is less; may be negative. */
  readonly growth: number | null;
}

/** Times that are kept for percentiles. */
const TIMES_KEPT = 1_000;
/** Types that are counted apart; what comes after counts as `OTHER_TYPES`. */
const TYPES_MAX = 200;
export const OTHER_TYPES = '(other types)';
const WINDOW_MS = 60_000;
/** The last minute is counted in slices of this length, in milliseconds. */
const SLICE_MS = 1_000;

interface Slice {
  readonly number: number;
  verdictCount: number;
  /** How many were pending at its end, as far as it goes. */
  pendingCount: number;
}

type Counts = { -readonly [Name in keyof MetricCounts]: number };

/** Listens to verdicts, and remembers a bounded part of them. */
export class MetricsBook {
  private readonly openedAtMs: number;
  private readonly completedByType = new Map<string, number>();
  private readonly completedByPriority: Record<RecordPriority, number> = { high: 0, normal: 0, low: 0 };
  private verdictCount = 0;
  private successCount = 0;
  private firstAttemptCount = 0;
  private retryCount = 0;
  /** A ring: the newest overwrites the oldest. */
  private readonly times: number[] = [];
  private timeCount = 0;
  private readonly slices: Slice[] = [];

  constructor(nowMs: number) {
    this.openedAtMs = nowMs;
  }

  settled(settlement: Settlement, pendingCount: number, nowMs: number): void {
    if (settlement.kind !== 'completed' && settlement.kind !== 'failed') return;
    this.verdictCount += 1;
    this.sliceOf(pendingCount, nowMs).verdictCount += 1;
    if (settlement.kind === 'failed') {
      this.retryCount += Math.max(0, settlement.deadLetter.header.attempts.length - 1);
      return;
    }
    const { type, priority = 'normal', attemptCount, createdAtMs, confirmedAtMs } = settlement.record;
    this.successCount += 1;
    if (attemptCount <= 1) this.firstAttemptCount += 1;
    this.retryCount += Math.max(0, attemptCount - 1);
    this.completedByPriority[priority] += 1;
    const name = this.completedByType.has(type) || this.completedByType.size < TYPES_MAX ? type : OTHER_TYPES;
    this.completedByType.set(name, (this.completedByType.get(name) ?? 0) + 1);
    // A clock that was set back says nothing about the time it took.
    if (confirmedAtMs < createdAtMs) return;
    this.times[this.timeCount % TIMES_KEPT] = confirmedAtMs - createdAtMs;
    this.timeCount += 1;
  }

  /** Something changed, so perhaps the number of those pending. */
  changed(pendingCount: number, nowMs: number): void {
    this.sliceOf(pendingCount, nowMs);
  }

  /** `everCompletedCount`: all that were ever confirmed on this device. */
  read(entries: Iterable<EntryView>, everCompletedCount: number, nowMs: number): QueueMetrics {
    const total: Counts = { ...nothing(), completed: everCompletedCount };
    const byType = new Map<string, Counts>();
    const byPriority: Record<RecordPriority, Counts> = { high: nothing(), normal: nothing(), low: nothing() };
    for (const [type, completed] of this.completedByType) byType.set(type, { ...nothing(), completed });
    for (const priority of ['high', 'normal', 'low'] as const)
      byPriority[priority].completed = this.completedByPriority[priority];
    for (const { type, priority, phase } of entries) {
      const name = byType.has(type) || byType.size < TYPES_MAX ? type : OTHER_TYPES;
      const ofType = byType.get(name) ?? nothing();
      byType.set(name, ofType);
      const kind = phase.kind === 'failed' ? 'failed' : phase.kind === 'sending' ? 'processing' : 'pending';
      for (const counts of [total, ofType, byPriority[priority]]) {
        counts[kind] += 1;
        // As elsewhere, those on their way are pending too.
        if (kind === 'processing') counts.pending += 1;
      }
    }
    const times = [...this.times].sort((left, right) => left - right);
    const ratio = (count: number): number | null => (this.verdictCount === 0 ? null : count / this.verdictCount);
    return {
      total,
      byType: Object.fromEntries(byType),
      byPriority,
      verdictCount: this.verdictCount,
      averageRetries: ratio(this.retryCount),
      successRate: ratio(this.successCount),
      firstAttemptSuccessRate: ratio(this.firstAttemptCount),
      averageProcessingTimeMs: times.length === 0 ? null : times.reduce((sum, time) => sum + time, 0) / times.length,
      processingTimeMs: { p50: percentile(times, 50), p95: percentile(times, 95), p99: percentile(times, 99) },
      ...this.lastMinute(total.pending, nowMs),
    };
  }

  private lastMinute(pendingCount: number, nowMs: number): Pick<QueueMetrics, 'throughputPerMinute' | 'growth'> {
    const spanMs = Math.min(WINDOW_MS, nowMs - this.openedAtMs);
    if (spanMs <= 0) return { throughputPerMinute: null, growth: null };
    const firstNumber = Math.floor((nowMs - WINDOW_MS) / SLICE_MS);
    const verdicts = this.slices
      .filter(({ number }) => number > firstNumber)
      .reduce((sum, slice) => sum + slice.verdictCount, 0);
    // What was pending when the minute began; the first that is known, while it is younger than that.
    const before = this.slices.filter(({ number }) => number <= firstNumber).at(-1) ?? this.slices[0];
    return {
      throughputPerMinute: (verdicts * WINDOW_MS) / spanMs,
      growth: before === undefined ? null : pendingCount - before.pendingCount,
    };
  }

  private sliceOf(pendingCount: number, nowMs: number): Slice {
    const number = Math.floor(nowMs / SLICE_MS);
    const last = this.slices.at(-1);
    if (last?.number === number) {
      // The very first is what there was when this tab was opened.
      if (this.slices.length > 1) last.pendingCount = pendingCount;
      return last;
    }
    const slice = { number, verdictCount: 0, pendingCount };
    // One from before the window stays, for what was pending then.
    const firstNumber = number - WINDOW_MS / SLICE_MS;
    while ((this.slices[1]?.number ?? number) <= firstNumber) this.slices.shift();
    this.slices.push(slice);
    return slice;
  }
}

function nothing(): Counts {
  return { pending: 0, processing: 0, completed: 0, failed: 0 };
}

/** The nearest rank. */
function percentile(sorted: readonly number[], percent: number): number | null {
  return sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)] ?? null;
}
