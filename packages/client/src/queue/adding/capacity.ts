import { HoldfastError } from '../../mutation/holdfast-error.ts';
import type { MaybeLater } from '../../mutation/maybe-later.ts';
import { FillMark } from '../fill-mark.ts';

export interface Load {
  readonly count: number;
  readonly bytes: number;
}

/** How full the queue is, told when it has come this far. */
export interface CapacityEvent extends Load {
  /** Of the cap that is nearer. */
  readonly percent: 80 | 100;
  readonly capCount: number;
  readonly capBytes: number;
}

export interface CapacityPorts {
  readonly cap: Load;
  /** What is pending now. */
  readonly pending: () => Load;
  /** Asks for this much room to be made; whether it was. */
  readonly evict: (needed: Load) => Promise<boolean>;
  readonly reached: (event: CapacityEvent) => void;
}

/**
 * The caps of a queue. What is on its way into the store counts before the engine knows of it; dead letters do not count,
 * or those that nobody looks at would keep out new work.
 */
export class Capacity {
  private readonly ports: CapacityPorts;
  private readonly adding = { count: 0, bytes: 0 };
  private readonly mark = new FillMark();

  constructor(ports: CapacityPorts) {
    this.ports = ports;
  }

  /** Like `claim`, and makes room first where that is allowed. Rejects with `QUEUE_FULL`. */
  claimOrEvict(more: Load): MaybeLater<void> {
    const missing = this.missing(more);
    return missing === null ? this.take(more) : this.ports.evict(missing).then(() => this.claim(more));
  }

  /** Room for more, also against what is being stored at this moment; to be given back when that is over. Throws `QUEUE_FULL`. */
  claim(more: Load): void {
    if (this.missing(more) !== null) throw queueFull(this.load);
    this.take(more);
  }

  /** What was claimed is stored, and counts as pending, or will not be. */
  giveBack({ count, bytes }: Load): void {
    this.adding.count -= count;
    this.adding.bytes -= bytes;
  }

  hasRoom(more: Load): boolean {
    return this.missing(more) === null;
  }

  private take({ count, bytes }: Load): void {
    this.adding.count += count;
    this.adding.bytes += bytes;
  }

  /** To be called whenever it may have become more, or less. */
  look(): void {
    const { cap, pending, reached } = this.ports;
    const load = pending();
    const percent = this.mark.passed(Math.max(load.count / cap.count, load.bytes / cap.bytes));
    if (percent !== null) reached({ ...load, percent, capCount: cap.count, capBytes: cap.bytes });
  }

  private get load(): Load {
    const pending = this.ports.pending();
    return { count: pending.count + this.adding.count, bytes: pending.bytes + this.adding.bytes };
  }

  /** What must go before there is room for more; null for nothing. */
  private missing(more: Load): Load | null {
    const { cap } = this.ports;
    const { load } = this;
    const count = Math.max(0, load.count + more.count - cap.count);
    const bytes = Math.max(0, load.bytes + more.bytes - cap.bytes);
    return count === 0 && bytes === 0 ? null : { count, bytes };
  }
}

function queueFull({ count, bytes }: Load): HoldfastError {
  return new HoldfastError({
    code: 'QUEUE_FULL',
    message: `Not stored: the queue holds ${count} pending mutations with ${bytes} bytes, its limit.`,
    hint: 'Send what is pending, or raise `queueCapCount` or `queueCapBytes`; `evict` lets those of low priority make room.',
  });
}
