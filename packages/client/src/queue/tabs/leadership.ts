import { toHoldfastError } from '../../mutation/holdfast-error.ts';
import type { PartPorts } from '../part-ports.ts';

export interface LeadershipPorts extends Pick<PartPorts, 'tabs' | 'alarms' | 'clock' | 'random' | 'report'> {
  /** Whether anything waits that somebody should deliver. */
  readonly hasWork: () => boolean;
  readonly isLeader: () => boolean;
  /** The number under which this tab's claims count, if it leads. */
  readonly epoch: () => number;
  /**
   * Raises the epoch in the store, above `heardEpoch` in any case, and reads what stands there; says how far an earlier leader may have
   * come. Null when it is not wanted any more, and then nothing was raised.
   */
  readonly takeOver: (isWanted: () => boolean, heardEpoch: number) => Promise<number | null>;
  readonly begin: (earlierSeq: number) => void;
  /** The store cannot be written or read, so that nobody delivers from this tab; null when that is over. */
  readonly storeFails: (error: unknown) => void;
  /** Nothing is sent after this. */
  readonly standDown: () => void;
  /** Asks the others whether anybody delivers. */
  readonly ask: () => void;
}

/** Taking over that failed is tried again after this, in milliseconds. */
const TAKE_OVER_AGAIN_MS = 1_000;
/** A take-over takes no longer than this as a rule, in milliseconds; one that does is not spoken for any more. */
const TAKE_OVER_MS_MAX = 30_000;
/** Lost to a higher epoch, the lead is asked for again only after this, so that two tabs do not take it in turns. */
const LEAD_AGAIN_MS = 10_000;
/** How often a tab that has work looks whether it has heard of a leader, in milliseconds. */
const CHECK_MS = 3_000;
/** The same where there is no lock and nobody has answered: the only tab there is should not wait long. */
const CHECK_MS_WITHOUT_LOCK = 500;
/** So many checks without a word are taken for a dead leader: at most 12 s after its last, of the 15 s it may cost. */
const SILENCES_MAX = 3;
/** Where there is no lock, tabs that hear of a leader's going do not all follow it at once, in milliseconds. */
const FOLLOW_MS_MAX = 300;

/**
 * Whether this tab is the one that delivers. The lock says so, and the epoch in the store makes it hold.
 *
 *   following ──granted──▶ taking over ──store read──▶ leading
 *    ▲  └─ work, and no word of a leader ─▲              │
 *    └──── lost: page put away, lock taken by force, or a higher epoch
 *
 * A leader that is frozen or hangs keeps its lock, so a follower that has work asks for a word of it, and without one
 * takes the lead by force. Should the silent one wake up, its claims and settlements no longer count.
 */
export class Leadership {
  private readonly ports: LeadershipPorts;
  private stopLeading: () => void = () => {};
  private isInLine = false;
  private isResigned = false;
  /** Grows with each gain and loss, so that a take-over that was overtaken does not end as a lead. */
  private term = 0;
  private takingSinceMs: number | null = null;
  private cancelCheck: (() => void) | null = null;
  private silenceCount = 0;
  private lastWordAtMs = Number.NEGATIVE_INFINITY;
  private highestEpoch = 0;
  /** Until then this tab leaves the lead to others. */
  private waivedUntilMs = Number.NEGATIVE_INFINITY;
  /** Why taking over failed, as it was reported; it may fail for the same reason very often. */
  private reportedFailure: string | null = null;

  constructor(ports: LeadershipPorts) {
    this.ports = ports;
  }

  start(): void {
    this.ports.ask();
    this.join(false);
    if (!this.ports.tabs.hasLock) this.followAfter(CHECK_MS_WITHOUT_LOCK);
  }

  stop(): void {
    this.term += 1;
    this.stopLeading();
  }

  /** Whether the others may count on this tab to deliver. */
  get isAnswering(): boolean {
    const { isLeader, clock } = this.ports;
    return isLeader() || (this.takingSinceMs !== null && clock.nowMs() - this.takingSinceMs < TAKE_OVER_MS_MAX);
  }

  /** A word of one that leads, or believes so; false for one that has been replaced since. */
  heard(epoch: number): boolean {
    if (epoch < this.highestEpoch) return false;
    this.highestEpoch = epoch;
    this.lastWordAtMs = this.ports.clock.nowMs();
    if (epoch > this.ports.epoch()) this.fenced();
    return true;
  }

  /** The one that delivers ends. A lock passes on by itself. */
  heardOfGoing(): void {
    this.lastWordAtMs = Number.NEGATIVE_INFINITY;
    if (!this.ports.tabs.hasLock) this.followAfter(FOLLOW_MS_MAX * this.ports.random());
  }

  /** Another tab's epoch stands in the store. */
  fenced(): void {
    // A send, a write and a message may all find out; the lead must be asked for once, or this tab would keep a lock for ever.
    if (this.ports.isLeader()) this.leaveTheLine();
  }

  /**
   * Another tab may do better: it leads if it wants to, else this one does again, when others have had the time to find out. One
   * that only waits for the lead steps out of the line too, or it would get it before the one that does better.
   */
  giveWay(): void {
    this.waivedUntilMs = this.ports.clock.nowMs() + LEAD_AGAIN_MS;
    if (this.ports.isLeader() || this.isInLine) this.leaveTheLine();
  }

  private leaveTheLine(): void {
    this.stopLeading();
    this.isInLine = false;
    this.lose();
    this.joinLater();
  }

  /** This tab must not lead any more. False when it knew. */
  resign(): boolean {
    if (this.isResigned) return false;
    this.isResigned = true;
    this.stopLeading();
    this.isInLine = false;
    this.lose();
    return true;
  }

  /** To be called whenever there may be work, or none any more. */
  watch(): void {
    const { hasWork, isLeader } = this.ports;
    if (hasWork() && !isLeader() && this.takingSinceMs === null) {
      if (this.cancelCheck === null) this.checkLater();
      return;
    }
    this.cancelCheck?.();
    this.cancelCheck = null;
    this.silenceCount = 0;
  }

  private checkLater(): void {
    const { alarms, tabs, clock } = this.ports;
    const sinceMs = clock.nowMs();
    const hasWord = this.silenceCount === 0 && this.lastWordAtMs > Number.NEGATIVE_INFINITY;
    const delayMs = tabs.hasLock || hasWord ? CHECK_MS : CHECK_MS_WITHOUT_LOCK;
    this.cancelCheck = alarms.after(delayMs, () => this.check(sinceMs));
  }

  private check(sinceMs: number): void {
    this.cancelCheck = null;
    const isWaived = this.ports.clock.nowMs() < this.waivedUntilMs;
    this.silenceCount = isWaived || this.lastWordAtMs >= sinceMs ? 0 : this.silenceCount + 1;
    if (this.silenceCount >= SILENCES_MAX) {
      this.join(true);
      // Without waiting for the lock, which may be what is broken.
      this.take();
      return;
    }
    if (this.silenceCount > 0) this.ports.ask();
    this.checkLater();
  }

  private join(isForced: boolean): void {
    if (this.isResigned) return;
    // Asked for twice, only one of the two could be given back.
    this.stopLeading();
    this.isInLine = true;
    const lead = { onGranted: (): void => this.take(), onLost: (): void => this.lose() };
    this.stopLeading = this.ports.tabs.lead(lead, { isForced });
  }

  /** A lock that two tabs believe to hold is broken: while another one is heard of, this one does not ask again. */
  private joinLater(): void {
    const sinceMs = this.ports.clock.nowMs();
    this.ports.alarms.after(LEAD_AGAIN_MS, () => {
      if (this.isInLine) return;
      if (this.lastWordAtMs >= sinceMs) this.joinLater();
      else this.join(false);
    });
  }

  private followAfter(delayMs: number): void {
    const sinceMs = this.ports.clock.nowMs();
    this.ports.alarms.after(delayMs, () => {
      if (this.lastWordAtMs < sinceMs) this.take();
    });
  }

  private take(): void {
    if (this.isResigned || this.ports.isLeader() || this.takingSinceMs !== null) return;
    this.takingSinceMs = this.ports.clock.nowMs();
    this.term += 1;
    this.watch();
    void this.takeOver(this.term);
  }

  private async takeOver(term: number): Promise<void> {
    try {
      const earlierSeq = await this.ports.takeOver(() => term === this.term, this.highestEpoch);
      if (term !== this.term || earlierSeq === null) return;
      this.takingSinceMs = null;
      this.storeWorks();
      this.ports.begin(earlierSeq);
    } catch (error) {
      const { code } = toHoldfastError(error);
      if (code !== this.reportedFailure) this.ports.report(error);
      this.reportedFailure = code;
      if (term === this.term) this.ports.storeFails(error);
      this.ports.alarms.after(TAKE_OVER_AGAIN_MS, () => {
        if (term === this.term) void this.takeOver(term);
      });
    }
  }

  private lose(): void {
    this.term += 1;
    this.takingSinceMs = null;
    this.storeWorks();
    if (this.ports.isLeader()) this.ports.standDown();
    this.watch();
  }

  private storeWorks(): void {
    if (this.reportedFailure === null) return;
    this.reportedFailure = null;
    this.ports.storeFails(null);
  }
}
