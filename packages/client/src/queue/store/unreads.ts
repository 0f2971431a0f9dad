import type { WireError } from '../../protocol/wire.ts';

/** One that could not be read so often is given up, and not sooner than after this time, in milliseconds. */
const UNREADS_MAX = 3;
const UNREAD_MS_MIN = 10_000;

/** Said of the line: a batch of nothing else is not sent. */
export const NOT_READ_NOW: WireError = {
  category: 'STORAGE_ERROR',
  code: 'STORAGE_FAILED',
  message: 'Not sent: the storage of this device could not read it.',
  hint: 'Nothing to do: it is read again. One that cannot be read at all is set aside, and costs no other.',
};

/** Bodies that the store cannot read although it reads others: for a moment, or for good. */
export class Unreads {
  private readonly found = new Map<number, { count: number; readonly sinceMs: number }>();

  /** These could not be read at this time (monotonic). Says which of them are not waited for any more. */
  noted(seqs: readonly number[], nowMs: number): readonly number[] {
    const lost: number[] = [];
    for (const seq of seqs) {
      const unread = this.found.get(seq) ?? { count: 0, sinceMs: nowMs };
      unread.count += 1;
      this.found.set(seq, unread);
      if (unread.count < UNREADS_MAX || nowMs - unread.sinceMs < UNREAD_MS_MIN) continue;
      this.found.delete(seq);
      lost.push(seq);
    }
    return lost;
  }
}
