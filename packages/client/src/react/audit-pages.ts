import { type HoldfastError, toHoldfastError } from '../mutation/holdfast-error.ts';
import type { AuditFilter, AuditSource } from '../ports/audit-source.ts';
import type { Clock } from '../ports/clock.ts';
import type { AuditEntry } from '../protocol/audit.ts';
import type { ErrorCategory } from '../protocol/wire.ts';
import type { AnyQueue } from './queue-context.ts';

/** What has been read of the audit log. */
export interface AuditPagesSnapshot {
  /** Newest first. */
  readonly entries: readonly AuditEntry[];
  /** A page is on its way. */
  readonly isLoading: boolean;
  /** It is one that somebody waits for: the first, or an older one. */
  readonly isAwaited: boolean;
  /** There are older ones. */
  readonly hasMore: boolean;
  /** Why the last reading failed; what was read before is still there. Null when it did not. */
  readonly error: HoldfastError | null;
}

export const NOTHING_READ: AuditPagesSnapshot = {
  entries: [],
  isLoading: true,
  isAwaited: true,
  hasMore: false,
  error: null,
};

export interface AuditPagesOptions {
  readonly source: AuditSource;
  readonly queue: AnyQueue;
  readonly clock: Clock;
  readonly workspaceId: string;
  readonly filter: AuditFilter;
  readonly limit: number;
}

/** What could not be read is read again after this, in milliseconds, doubling. */
const RETRY_MS_BASE = 5_000;
const RETRY_MS_MAX = 60_000;
/** Reading again does not help by itself. */
const LASTING: ReadonlySet<ErrorCategory> = new Set([
  'AUTH_ERROR',
  'FORBIDDEN',
  'NOT_FOUND',
  'VALIDATION_ERROR',
  'OUTDATED',
]);

/**
 * Pages of the audit log, newest first, and live while someone listens: what comes is put before what is there. Reads begin
 * with the first listener and are called off with the last. What may succeed later is read again until it does.
 */
export class AuditPages {
  private readonly options: AuditPagesOptions;
  private readonly listeners = new Set<() => void>();
  private snapshot = NOTHING_READ;
  private nextBefore: string | null = null;
  private reading: AbortController | null = null;
  private isNewsDue = false;
  private isMoreDue = false;
  private hasRead = false;
  private retryMs = RETRY_MS_BASE;
  private cancelRetry: (() => void) | null = null;
  private stops: readonly (() => void)[] = [];

  constructor(options: AuditPagesOptions) {
    this.options = options;
  }

  getSnapshot = (): AuditPagesSnapshot => this.snapshot;

  subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    if (this.listeners.size === 1) this.begin();
    return () => {
      this.listeners.delete(listener);
      if (this.listeners.size === 0) this.end();
    };
  };

  /** The next, older page; behind what is being read of news. */
  loadMore = (): void => {
    if (this.nextBefore === null) return;
    if (this.reading === null) void this.read(this.nextBefore);
    else if (!this.snapshot.isAwaited) {
      this.isMoreDue = true;
      this.show({ isAwaited: true });
    }
  };

  /** The newest page once more. */
  refresh = (): void => {
    if (this.reading === null) void this.read(null);
    else this.isNewsDue = true;
  };

  private begin(): void {
    const { source, queue } = this.options;
    this.stops = [
      source.onNews?.(this.refresh) ?? (() => {}),
      // What this device has done is news in any case.
      queue.on('settled', ({ status }) => {
        if (status === 'completed') this.refresh();
      }),
      queue.network.onChange(({ isOnline }) => {
        if (isOnline && this.snapshot.error !== null) this.refresh();
      }),
    ];
    this.refresh();
  }

  private end(): void {
    for (const stop of this.stops) stop();
    this.cancelRetry?.();
    this.retryMs = RETRY_MS_BASE;
    this.reading?.abort();
    this.reading = null;
    this.isNewsDue = false;
    this.isMoreDue = false;
  }

  /** Without a connection it is read when there is one. */
  private retryLater({ category }: HoldfastError): void {
    const { clock, queue } = this.options;
    if (LASTING.has(category) || !queue.network.isOnline()) return;
    this.cancelRetry = clock.schedule(this.retryMs, this.refresh);
    this.retryMs = Math.min(2 * this.retryMs, RETRY_MS_MAX);
  }

  private async read(before: string | null): Promise<void> {
    const { source, workspaceId, filter, limit } = this.options;
    const reading = new AbortController();
    this.reading = reading;
    this.cancelRetry?.();
    this.show({ isLoading: true, isAwaited: before !== null || !this.hasRead });
    try {
      const page = await source.readPage({ ...filter, workspaceId, limit, before }, reading.signal);
      if (this.reading !== reading) return;
      if (before === null) this.takeNewest(page.entries, page.nextBefore);
      else {
        this.nextBefore = page.nextBefore;
        this.show({ entries: [...this.snapshot.entries, ...page.entries], hasMore: page.nextBefore !== null });
      }
      this.hasRead = true;
      this.retryMs = RETRY_MS_BASE;
      this.show({ error: null });
    } catch (cause) {
      if (this.reading !== reading) return;
      const error = toHoldfastError(cause);
      this.show({ error });
      this.retryLater(error);
    }
    this.reading = null;
    const { isMoreDue, nextBefore } = this;
    this.isMoreDue = false;
    if (isMoreDue && nextBefore !== null) {
      void this.read(nextBefore);
      return;
    }
    this.show({ isLoading: false, isAwaited: false });
    if (!this.isNewsDue) return;
    this.isNewsDue = false;
    this.refresh();
  }

  /** Put before what is there; or instead of it, if so much has come that there is a gap. */
  private takeNewest(entries: readonly AuditEntry[], nextBefore: string | null): void {
    const known = new Set(this.snapshot.entries.map(({ id }) => id));
    const news = entries.filter(({ id }) => !known.has(id));
    const isGap = news.length === entries.length;
    if (isGap) {
      this.nextBefore = nextBefore;
      this.show({ entries, hasMore: nextBefore !== null });
    } else if (news.length > 0) this.show({ entries: [...news, ...this.snapshot.entries] });
  }

  private show(change: Partial<AuditPagesSnapshot>): void {
    this.snapshot = { ...this.snapshot, ...change };
    for (const listener of [...this.listeners]) listener();
  }
}
