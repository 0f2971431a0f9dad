import { type HoldfastError, toHoldfastError } from '../mutation/holdfast-error.ts';
import type { AuditFilter, AuditSource } from '../ports/audit-source.ts';
import type { AuditEntry } from '../protocol/audit.ts';
import type { AnyQueue } from './queue-context.ts';

/** What has been read of the audit log. */
export interface AuditPagesSnapshot {
  /** Newest first. */
  readonly entries: readonly AuditEntry[];
  /** A page is on its way. */
  readonly isLoading: boolean;
  /** There are older ones. */
  readonly hasMore: boolean;
  /** Why the last reading failed; what was read before is still there. Null when it did not. */
  readonly error: HoldfastError | null;
}

export const NOTHING_READ: AuditPagesSnapshot = { entries: [], isLoading: true, hasMore: false, error: null };

export interface AuditPagesOptions {
  readonly source: AuditSource;
  readonly queue: AnyQueue;
  readonly workspaceId: string;
  readonly filter: AuditFilter;
  readonly limit: number;
}

/**
 * Pages of the audit log, newest first, and live while someone listens: what comes is put before what is there. Reads begin
 * with the first listener and are called off with the last.
 */
export class AuditPages {
  private readonly options: AuditPagesOptions;
  private readonly listeners = new Set<() => void>();
  private snapshot = NOTHING_READ;
  private nextBefore: string | null = null;
  private reading: AbortController | null = null;
  private isNewsDue = false;
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

  /** The next, older page. */
  loadMore = (): void => {
    if (this.reading === null && this.nextBefore !== null) void this.read(this.nextBefore);
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
    this.reading?.abort();
    this.reading = null;
    this.isNewsDue = false;
  }

  private async read(before: string | null): Promise<void> {
    const { source, workspaceId, filter, limit } = this.options;
    const reading = new AbortController();
    this.reading = reading;
    this.show({ isLoading: true });
    try {
      const page = await source.readPage({ ...filter, workspaceId, limit, before }, reading.signal);
      if (this.reading !== reading) return;
      if (before === null) this.takeNewest(page.entries, page.nextBefore);
      else {
        this.nextBefore = page.nextBefore;
        this.show({ entries: [...this.snapshot.entries, ...page.entries], hasMore: page.nextBefore !== null });
      }
      this.show({ error: null });
    } catch (error) {
      if (this.reading !== reading) return;
      this.show({ error: toHoldfastError(error) });
    }
    this.reading = null;
    this.show({ isLoading: false });
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
