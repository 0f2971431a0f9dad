import type { MutationHeader } from '../mutation/record.ts';
import type { Change, Expectation, Storage } from '../ports/storage.ts';
import { META } from './record-keys.ts';

/** A mutation that is about to become durable; its number comes with the commit. */
export interface NewMutation {
  readonly header: Omit<MutationHeader, 'seq'>;
  readonly body: string;
}

/** Gives mutations their numbers, each only once, in one commit with what is stored under them. */
export class NumberGiver {
  private readonly storage: Storage;
  /** The last one given out, as it stands in the store; null for none. */
  private lastSeq: string | null;
  /** Numbers that the next commit leaves out. */
  private gapCount: number;

  constructor(storage: Storage, lastSeq: string | null, gapCount: number) {
    this.storage = storage;
    this.lastSeq = lastSeq;
    this.gapCount = gapCount;
  }

  /**
   * Commits changes that need new numbers, again with higher ones when another tab has taken them; null when `expect` does
   * not hold, or when a number was given out after `seenSeq`, for one who had to know them all.
   */
  async commit<Result>(
    count: number,
    expect: readonly Expectation[],
    write: (firstSeq: number) => { readonly result: Result; readonly changes: readonly Change[] },
    seenSeq: number | null = null,
  ): Promise<Result | null> {
    if (seenSeq !== null) this.lastSeq = seenSeq === 0 ? null : String(seenSeq);
    for (;;) {
      const firstSeq = Number(this.lastSeq ?? 0) + this.gapCount + 1;
      const lastSeq = String(firstSeq + count - 1);
      const { result, changes } = write(firstSeq);
      const outcome = await this.storage.commit({
        expect: [{ key: META.seq, value: this.lastSeq }, ...expect],
        changes: count === 0 ? changes : [{ kind: 'put', key: META.seq, value: lastSeq }, ...changes],
      });
      if (outcome.kind === 'committed') {
        if (count > 0) {
          this.lastSeq = lastSeq;
          this.gapCount = 0;
        }
        return result;
      }
      if (outcome.key === META.seq) this.lastSeq = outcome.actual;
      if (outcome.key !== META.seq || seenSeq !== null) return null;
    }
  }
}

/** That one with this number goes where it may not be looked for: retried, or in another's stead. */
export function retriedMark(seq: number): Change {
  return { kind: 'put', key: META.retried, value: String(seq) };
}
