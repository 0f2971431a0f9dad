import type { MutationHeader } from '../../mutation/record.ts';
import { type Change, type CommitResult, type Expectation, put, type Storage } from '../../ports/storage.ts';
import { META } from './record-keys.ts';
import { isBroken } from './storage-errors.ts';
import { isStored } from './storage-keeper.ts';
import { changeOfSeq, countText, lastSeqOf, readCount, seqAnew, textOfSeq } from './stored-meta.ts';

/** A mutation that is about to become durable; its number comes with the commit. */
export interface NewMutation {
  readonly header: Omit<MutationHeader, 'seq'>;
  readonly body: string;
}

/** Gives mutations their numbers, each only once, in one commit with what is stored under them. */
export class NumberGiver {
  private readonly storage: Storage;
  /** The last one given out. */
  private lastSeq: number;
  /** Numbers that the next commit leaves out. */
  private gapCount: number;
  private readonly wallMs: () => number;
  private readonly mended: (key: string) => void;

  /** `mended`: called when the last one given out did not read any more, and was found anew. */
  constructor(
    storage: Storage,
    start: { readonly lastSeq: number; readonly gapCount: number },
    wallMs: () => number,
    mended: (key: string) => void,
  ) {
    this.storage = storage;
    this.lastSeq = start.lastSeq;
    this.gapCount = start.gapCount;
    this.wallMs = wallMs;
    this.mended = mended;
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
    if (seenSeq !== null) this.lastSeq = seenSeq;
    for (;;) {
      const firstSeq = this.lastSeq + this.gapCount + 1;
      const lastSeq = firstSeq + count - 1;
      const { result, changes } = write(firstSeq);
      const batch = {
        expect: [{ key: META.seq, value: textOfSeq(this.lastSeq) }, ...expect],
        changes: count === 0 ? changes : [changeOfSeq(lastSeq), ...changes],
      };
      const outcome = await this.storage.commit(batch).catch((error: unknown) => this.committedAnyway(error, changes));
      if (outcome.kind === 'committed') {
        if (count > 0) {
          this.lastSeq = lastSeq;
          this.gapCount = 0;
        }
        return result;
      }
      if (outcome.key === META.seq) this.lastSeq = await this.standing(outcome.actual);
      if (outcome.key !== META.seq || seenSeq !== null) return null;
    }
  }

  /**
   * Whoever is told that their change was not stored makes it again, as another one: so it is looked for first. Its numbers stand nowhere
   * else; what counts may have moved on since.
   */
  private async committedAnyway(error: unknown, changes: readonly Change[]): Promise<CommitResult> {
    const own = changes.filter(({ key }) => !key.startsWith('meta/'));
    if (isBroken(error) && (await isStored(this.storage, own).catch(() => false))) return { kind: 'committed' };
    throw error;
  }

  /** What stands there by now. Damaged, or behind what this tab knows of, it is written anew before another number is given out. */
  private async standing(text: string | null): Promise<number> {
    const read = readCount(text);
    if (read !== null && read >= this.lastSeq) return read;
    const lastSeq = seqAnew(this.wallMs(), Math.max(this.lastSeq, await lastSeqOf(this.storage, text)));
    const outcome = await this.storage.commit({
      expect: [{ key: META.seq, value: text }],
      changes: [changeOfSeq(lastSeq)],
    });
    if (outcome.kind === 'mismatch') return this.standing(outcome.actual);
    this.mended(META.seq);
    return lastSeq;
  }
}

/** That one with this number goes where it may not be looked for: retried, or in another's stead. */
export function retriedMark(seq: number): Change {
  return put(META.retried, countText(seq));
}
