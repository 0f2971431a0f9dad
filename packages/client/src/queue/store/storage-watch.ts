import type { Clock } from '../../ports/clock.ts';
import type { Persistence } from '../../ports/persistence.ts';
import { FillMark } from '../fill-mark.ts';
import { isFull } from './storage-errors.ts';

/** Room on the device, as far as the platform says. */
export interface StorageUsage {
  readonly usedBytes: number | null;
  readonly quotaBytes: number | null;
  /** Of the quota, from 0 to 1. */
  readonly usedShare: number | null;
  /** Whether the platform keeps what is stored when it needs room. */
  readonly isPersisted: boolean | null;
}

/** How full the device's storage is, told when it has come this far. */
export interface StorageCapacityEvent {
  /** 100 also when the store has refused a commit for want of room, whatever the platform says of its quota. */
  readonly percent: 80 | 100;
  readonly usedBytes: number | null;
  readonly quotaBytes: number | null;
}

export interface StorageWatchPorts {
  readonly estimate: () => Promise<{ readonly usedBytes: number | null; readonly quotaBytes: number | null }>;
  readonly persistence: Persistence | null;
  readonly clock: Clock;
  readonly reached: (event: StorageCapacityEvent) => void;
}

/** The platform is asked at most so often, in milliseconds: the answer takes a while, and is a rough one. */
const ESTIMATE_MS = 60_000;

/** Looks how much room there is, and never stands in the way: what the platform says of its quota is often wrong. */
export class StorageWatch {
  private readonly ports: StorageWatchPorts;
  private readonly mark = new FillMark();
  private nextAtMs = Number.NEGATIVE_INFINITY;
  private hasAsked = false;
  private wasRefused = false;

  constructor(ports: StorageWatchPorts) {
    this.ports = ports;
  }

  async usage(): Promise<StorageUsage> {
    const { estimate, persistence } = this.ports;
    const { usedBytes, quotaBytes } = await estimate();
    const usedShare = usedBytes === null || quotaBytes === null || quotaBytes <= 0 ? null : usedBytes / quotaBytes;
    return { usedBytes, quotaBytes, usedShare, isPersisted: (await persistence?.isPersisted()) ?? null };
  }

  /** To be called when something was stored. */
  look(): void {
    const nowMs = this.ports.clock.nowMs();
    // There is room again, so that the next time there is none is news.
    if (this.wasRefused) this.mark.forget();
    else if (nowMs < this.nextAtMs) return;
    this.wasRefused = false;
    this.nextAtMs = nowMs + ESTIMATE_MS;
    // Information only: whatever goes wrong there, goes wrong there.
    this.ask().catch(() => {});
  }

  private async ask(): Promise<void> {
    const usage = await this.usage();
    this.tell(usage.usedShare ?? 0, usage);
  }

  /** A commit was refused: there is no room, whatever the platform believes. */
  refused(error: unknown): void {
    if (!isFull(error)) return;
    this.wasRefused = true;
    this.tell(1, { usedBytes: null, quotaBytes: null });
  }

  /** Once in a run: asks the platform to keep what is stored. */
  async askToPersist(): Promise<boolean | null> {
    const { persistence } = this.ports;
    if (persistence === null || this.hasAsked) return null;
    this.hasAsked = true;
    return (await persistence.isPersisted()) === true ? true : persistence.request();
  }

  private tell(share: number, { usedBytes, quotaBytes }: Pick<StorageUsage, 'usedBytes' | 'quotaBytes'>): void {
    const percent = this.mark.passed(share);
    if (percent !== null) this.ports.reached({ percent, usedBytes, quotaBytes });
  }
}
