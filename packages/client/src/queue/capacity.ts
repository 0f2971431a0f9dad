import { HoldfastError } from '../mutation/holdfast-error.ts';

export interface Load {
  readonly count: number;
  readonly bytes: number;
}

/** The caps of a queue. What is on its way into the store counts before the engine knows of it. */
export class Capacity {
  private readonly cap: Load;
  private readonly stored: () => Load;
  private adding: Load = { count: 0, bytes: 0 };

  /** `stored` tells what the queue holds now. */
  constructor(cap: Load, stored: () => Load) {
    this.cap = cap;
    this.stored = stored;
  }

  /** Room for more, also against what is being stored at this moment; returns what gives it back. Throws `QUEUE_FULL`. */
  claim(more: Load): () => void {
    const stored = this.stored();
    const count = stored.count + this.adding.count;
    const bytes = stored.bytes + this.adding.bytes;
    if (count + more.count > this.cap.count || bytes + more.bytes > this.cap.bytes) throw queueFull(count, bytes);
    this.adding = { count: this.adding.count + more.count, bytes: this.adding.bytes + more.bytes };
    return () => {
      this.adding = { count: this.adding.count - more.count, bytes: this.adding.bytes - more.bytes };
    };
  }
}

function queueFull(count: number, bytes: number): HoldfastError {
  return new HoldfastError({
    code: 'QUEUE_FULL',
    message: `Not stored: the queue holds ${count} mutations with ${bytes} bytes, its limit.`,
    hint: 'Send what is pending, retry or discard dead letters, or raise `queueCapCount` or `queueCapBytes`.',
  });
}
