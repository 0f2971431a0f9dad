import type { Entry, Storage } from '../../ports/storage.ts';
import { seqKey, seqOfKey } from './record-keys.ts';
import { isBroken } from './storage-errors.ts';

const PAGE = 1_000;

/** What could be had of a store that may not read everywhere. */
export interface Salvage {
  /** Whether nothing was left out. */
  isWhole: boolean;
  /** Nobody looks there again: a mutation whose payload cannot be read comes without it. Else it is left out, and comes another time. */
  readonly isLast: boolean;
}

/**
 * All under a prefix that can be read, where a store has damaged places: reads around them, by the numbers in the keys. Rejects
 * only for what is not the store's fault.
 */
export async function* salvageScan(
  storage: Storage,
  prefix: string,
  lastSeq: number,
  salvage: Salvage,
): AsyncIterable<Entry> {
  for (let [after, limit] = [0, PAGE]; ; ) {
    const page = await pageAfter(storage, prefix, after, limit);
    if (page !== null) {
      yield* page;
      if (page.length < limit) return;
      after = seqOfKey(page.at(-1)?.key ?? '');
      limit = Math.min(PAGE, limit * 2);
    } else if (limit > 1) {
      limit = Math.floor(limit / 2);
    } else {
      salvage.isWhole = false;
      const next = await nextThatReads(storage, prefix, after, lastSeq);
      if (next === null) return;
      after = next;
    }
  }
}

/** The lowest number behind which something reads again; null where nothing does. */
async function nextThatReads(storage: Storage, prefix: string, seq: number, lastSeq: number): Promise<number | null> {
  let [low, step] = [seq, 1];
  while ((await pageAfter(storage, prefix, seq + step, 1)) === null) {
    if (seq + step > lastSeq) return null;
    low = seq + step;
    step *= 2;
  }
  for (let high = seq + step; ; ) {
    if (high - low <= 1) return high;
    const middle = low + Math.floor((high - low) / 2);
    if ((await pageAfter(storage, prefix, middle, 1)) === null) low = middle;
    else high = middle;
  }
}

/** Null for a page that cannot be read. */
async function pageAfter(
  storage: Storage,
  prefix: string,
  seq: number,
  limit: number,
): Promise<readonly Entry[] | null> {
  try {
    return await storage.scan({ prefix, after: seqKey(prefix, seq), limit });
  } catch (error) {
    if (!isBroken(error)) throw error;
    return null;
  }
}
