/** One that could not be read so often is given up, and not sooner than after this time, in milliseconds. */
const UNREADS_MAX = 3;
const UNREAD_MS_MIN = 10_000;

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
