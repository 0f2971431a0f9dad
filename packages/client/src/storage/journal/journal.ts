import { HoldfastError } from '../../mutation/holdfast-error.ts';
import type { Entry, ScanQuery } from '../../ports/storage.ts';
import { QUARANTINED_LOG } from '../quarantined-log.ts';
import { SortedKeys } from '../sorted-keys.ts';
import {
  type Changed,
  escapeKey,
  pieceCountOf,
  piecesOf,
  readRecord,
  readValue,
  signed,
  unescapeKey,
  verified,
  writeRecord,
  writeValue,
} from './journal-text.ts';
import type { JournalLimits, KeyValueStore } from './key-value-store.ts';

/** In one commit's place in the journal: the commit itself, or how many pieces it stands in. */
const WHOLE = '=';
const PIECES = '+';
/** Values that are read, or written, at once. */
const PAGE_COUNT = 100;
const DIGITS = 12;

/**
 * Makes commits of a plain key-value store whole. A commit is written as one value of the journal: when that is there, it counts.
 * Only later, many together, are commits carried to the places of their keys:
 *
 *   commit ──▶ journal/7 ──▶ … ──▶ carried: values written, `carried = 9` written, journal/1 to 9 removed
 *
 * Killed anywhere in this, the journal is still whole, and what it says is said again at open. Until it has been carried, what it
 * says stands in memory before what stands in the places.
 *
 *   c            the last commit that was carried
 *   j/N          commit N, or of how many pieces `j/N/I` it is; these are written before
 *   d/KEY        a value, or of how many pieces `p/KEY/I` it is
 *   r            room that is kept for what frees room, and for what only puts a value in another's place
 *   x/last       the last commit, never confirmed, that does not read as a whole
 *
 * A commit before it that no longer reads as a whole was damaged since. What still reads of it counts, and its text goes into
 * quarantine, where a queue shows it.
 */
export class Journal {
  private readonly store: KeyValueStore;
  private readonly prefix: string;
  private readonly limits: JournalLimits;
  private readonly keys = new SortedKeys();
  private readonly known = new Set<string>();
  /** How many pieces stand there for a value. */
  private readonly pieceCounts = new Map<string, number>();
  /** Not yet carried. */
  private readonly waiting = new Map<string, string | null>();
  private journalKeys: string[] = [];
  private journalUnits = 0;
  private lastNumber = 0;
  private hasReserve = false;
  /** Carried, and not yet removed: with a torn mark they would be said again, so they go before the next one is written. */
  private carried: string[] = [];
  /** Of a commit that was refused, and may be there all the same. */
  private remains: readonly string[] = [];

  private constructor(store: KeyValueStore, name: string, limits: JournalLimits) {
    this.store = store;
    this.prefix = `holdfast/${escapeKey(name)}/`;
    this.limits = limits;
  }

  static async open(store: KeyValueStore, name: string, limits: JournalLimits): Promise<Journal> {
    const journal = new Journal(store, name, limits);
    await journal.load();
    return journal;
  }

  /** The values under the keys, in their order. */
  async values(keys: readonly string[]): Promise<readonly (string | null)[]> {
    const found = new Map<string, string | null>();
    const stored = [...new Set(keys)].filter((key) => {
      const waiting = this.waiting.get(key);
      if (waiting !== undefined) found.set(key, waiting);
      return waiting === undefined && this.known.has(key);
    });
    for (let first = 0; first < stored.length; first += PAGE_COUNT) {
      const page = stored.slice(first, first + PAGE_COUNT);
      const heads = await this.store.getMany(page.map((key) => this.placeOf(key)));
      for (const [index, key] of page.entries()) {
        const head = heads[index] ?? null;
        if (head !== null) found.set(key, readValue(await this.whole(head, (at) => this.pieceOf(key, at))));
      }
    }
    return keys.map((key) => found.get(key) ?? null);
  }

  async scan({ prefix, after, limit }: ScanQuery): Promise<readonly Entry[]> {
    const keys = this.keys.find(prefix, after, limit);
    const values = await this.values(keys);
    return keys.map((key, index) => ({ key, value: values[index] ?? '' }));
  }

  /** Resolves when a crash cannot take it any more. What rejects has stored nothing. */
  async commit(changed: Changed, mayTake: boolean): Promise<void> {
    // What grows must not use up what it was given up for.
    if (!mayTake) await this.keepReserve();
    try {
      await this.write(changed);
    } catch (error) {
      if (!mayTake || !this.hasReserve || asStorageError(error).code !== 'STORAGE_FULL') throw error;
      await this.store.removeMany([this.reserveKey]);
      this.hasReserve = false;
      await this.write(changed);
    }
  }

  private async write(changed: Changed): Promise<void> {
    if (this.remains.length > 0) {
      await this.store.removeMany(this.remains);
      this.remains = [];
    }
    const number = this.lastNumber + 1;
    const text = writeRecord(changed);
    const head = this.journalKey(number);
    const pieces = text.length < this.limits.valueUnits ? [] : piecesOf(text, this.limits.valueUnits);
    const pieceKeys = pieces.map((_, at) => `${head}/${at}`);
    try {
      for (const [at, piece] of pieces.entries()) await this.store.setMany([[`${head}/${at}`, piece]]);
      const value = pieces.length === 0 ? `${WHOLE}${text}` : `${PIECES}${signed(String(pieces.length))}`;
      await this.store.setMany([[head, value]]);
    } catch (error) {
      this.remains = [head, ...pieceKeys];
      await this.store.removeMany(this.remains).then(
        () => {
          this.remains = [];
        },
        () => {},
      );
      throw error;
    }
    this.lastNumber = number;
    this.journalKeys.push(head, ...pieceKeys);
    this.journalUnits += text.length;
    this.apply(changed);
  }

  get isLong(): boolean {
    const { journalCount, journalUnits } = this.limits;
    const isFull = !this.hasReserve && this.limits.reserveUnits > 0;
    return this.journalKeys.length > journalCount || this.journalUnits > journalUnits || isFull;
  }

  /** Carries all commits to the places of their keys. What rejects has lost nothing: it is done again. */
  async carry(): Promise<void> {
    // What is gone first: it makes room.
    const gone: string[] = [];
    const written: (readonly [string, string])[] = [];
    const pieceCounts = new Map<string, number>();
    for (const [key, value] of this.waiting) {
      const { head, pieces } = value === null ? { head: null, pieces: [] } : writeValue(value, this.limits.valueUnits);
      for (const [at, piece] of pieces.entries()) written.push([this.pieceOf(key, at), piece]);
      if (head === null) gone.push(this.placeOf(key));
      else written.push([this.placeOf(key), head]);
      for (let at = pieces.length; at < (this.pieceCounts.get(key) ?? 0); at += 1) gone.push(this.pieceOf(key, at));
      pieceCounts.set(key, pieces.length);
    }
    await this.removeCarried();
    await this.removeAll(gone);
    await this.writeAll(written);
    await this.store.setMany([[`${this.prefix}c`, signed(String(this.lastNumber))]]);
    for (const [key, count] of pieceCounts) {
      if (count > 0) this.pieceCounts.set(key, count);
      else this.pieceCounts.delete(key);
    }
    this.waiting.clear();
    this.carried = this.journalKeys;
    this.journalKeys = [];
    this.journalUnits = 0;
    await this.removeCarried();
    await this.keepReserve();
  }

  private async keepReserve(): Promise<void> {
    if (this.hasReserve || this.limits.reserveUnits === 0) return;
    await this.store.setMany([[this.reserveKey, '.'.repeat(this.limits.reserveUnits)]]);
    this.hasReserve = true;
  }

  private async removeCarried(): Promise<void> {
    await this.removeAll(this.carried);
    this.carried = [];
  }

  private async load(): Promise<void> {
    const all = (await this.store.keys()).filter((key) => key.startsWith(this.prefix));
    const rest = all.map((key) => key.slice(this.prefix.length));
    for (const key of rest) {
      if (key.startsWith('d/')) this.learn(unescapeKey(key.slice(2)));
      if (!key.startsWith('p/')) continue;
      const [, name = '', at = ''] = key.split('/');
      const owner = unescapeKey(name);
      this.pieceCounts.set(owner, Math.max(this.pieceCounts.get(owner) ?? 0, Number(at) + 1));
    }
    const [mark = null] = await this.store.getMany([`${this.prefix}c`]);
    const carried = Number((mark === null ? null : verified(mark)) ?? 0);
    this.lastNumber = carried;
    const numbers = rest.flatMap((key) => (/^j\/\d+$/.test(key) ? [Number(key.slice(2))] : [])).sort((a, b) => a - b);
    const live = numbers.filter((number) => number > carried);
    const used = new Set<string>();
    const damaged = new Map<string, string>();
    for (const [index, number] of live.entries()) {
      const head = this.journalKey(number);
      const keys = all.filter((key) => key === head || key.startsWith(`${head}/`));
      const text = await this.recordAt(head);
      const { isWhole, changed } = text === null ? { isWhole: false, changed: new Map() } : readRecord(text);
      const isLast = index === live.length - 1;
      if (!isWhole && isLast) {
        await this.store.setMany([[`${this.prefix}x/last`, text ?? '']]).catch(() => {});
        continue;
      }
      if (!isWhole) damaged.set(`${QUARANTINED_LOG}${number}`, text ?? '');
      this.apply(changed);
      for (const key of keys) used.add(key);
      this.journalKeys.push(...keys);
      this.journalUnits += text?.length ?? 0;
      this.lastNumber = number;
    }
    // Commits that were carried or never confirmed.
    const over = all.filter((key) => key.startsWith(`${this.prefix}j/`) && !used.has(key));
    await this.removeAll(over);
    this.hasReserve = all.includes(this.reserveKey);
    // Where there is no room, it is kept as soon as there is.
    await this.keepReserve().catch(() => {});
    if (damaged.size === 0) return;
    // Where there is no room for it, it stands in the journal still, and is found again.
    await this.write(damaged).then(
      () => this.carry(),
      () => {},
    );
  }

  private async recordAt(head: string): Promise<string | null> {
    const [value = null] = await this.store.getMany([head]);
    if (value === null) return null;
    const text = value.slice(WHOLE.length);
    const count = value.startsWith(PIECES) ? verified(text) : null;
    // Whatever its first character has become, the rest tells whether it is whole.
    if (count === null) return text;
    const pieces = await this.store.getMany(Array.from({ length: Number(count) }, (_, at) => `${head}/${at}`));
    return pieces.join('');
  }

  private apply(changed: Changed): void {
    for (const [key, value] of changed) {
      this.waiting.set(key, value);
      if (value === null) this.forget(key);
      else this.learn(key);
    }
  }

  private learn(key: string): void {
    if (this.known.has(key)) return;
    this.known.add(key);
    this.keys.add(key);
  }

  private forget(key: string): void {
    if (this.known.delete(key)) this.keys.remove(key);
  }

  private async whole(head: string, pieceAt: (at: number) => string): Promise<string> {
    const count = pieceCountOf(head);
    if (count === 0) return head;
    return (await this.store.getMany(Array.from({ length: count }, (_, at) => pieceAt(at)))).join('');
  }

  private async removeAll(keys: readonly string[]): Promise<void> {
    for (let first = 0; first < keys.length; first += PAGE_COUNT)
      await this.store.removeMany(keys.slice(first, first + PAGE_COUNT));
  }

  private async writeAll(entries: readonly (readonly [string, string])[]): Promise<void> {
    for (let first = 0; first < entries.length; ) {
      let [last, units] = [first, 0];
      while (last < entries.length && last - first < PAGE_COUNT && (last === first || units < this.limits.valueUnits)) {
        units += entries[last]?.[1].length ?? 0;
        last += 1;
      }
      await this.store.setMany(entries.slice(first, last));
      first = last;
    }
  }

  private get reserveKey(): string {
    return `${this.prefix}r`;
  }

  private journalKey(number: number): string {
    return `${this.prefix}j/${String(number).padStart(DIGITS, '0')}`;
  }

  private placeOf(key: string): string {
    return `${this.prefix}d/${escapeKey(key)}`;
  }

  private pieceOf(key: string, at: number): string {
    return `${this.prefix}p/${escapeKey(key)}/${at}`;
  }
}

/** What a plain store rejects with, as an error that an app can handle. */
export function asStorageError(error: unknown): HoldfastError {
  if (error instanceof HoldfastError) return error;
  const { name, message }: { name?: unknown; message?: unknown } =
    error instanceof Error ? error : { message: String(error) };
  if (name === 'QuotaExceededError' || /SQLITE_FULL|disk is full|quota/i.test(String(message))) {
    return new HoldfastError({
      code: 'STORAGE_FULL',
      message: 'Not stored: there is no room left in the store of this app.',
      hint: 'Send what is pending, or free some space; then save again. What was stored before is kept.',
      cause: error,
    });
  }
  return new HoldfastError({
    code: 'STORAGE_FAILED',
    message: `Not done: the store failed (${String(message)}).`,
    hint: 'Nothing was stored. Try again, or open the queue again.',
    cause: error,
  });
}
