import { checksum } from '../mutation/checksum.ts';
import { Entry } from './entry.ts';
import type { Rest } from './kept-header.ts';
import { rankMsAlone } from './lanes.ts';
import { mayCreate } from './parent-rows.ts';
import { RowTable } from './row-table.ts';

/** Rows of one chunk. */
const CHUNK_COUNT = 256;
/** In how many words of 32 bits a row stands, and in which of them. */
const ROW_WORDS = 12;
const ID = 0;
const LANE = 4;
const CREATED_AFTER = 8;
const PAYLOAD_BYTES = 9;
const CHECKSUM = 10;
/** Its shape in 7 bits (0: it is not there any more), whether it may have been sent in one, and how far its number is above the chunk's first. */
const STATE = 11;
const SHAPE_MAX = 0x7f;
const SENT = 0x80;
const SEQ_SHIFT = 8;
const SEQ_MAX = 0xff_ffff;
/** Where each word of a duplicate key ends, which has two halves of 11 digits in base 36. */
const KEY_ENDS = [6, 11, 17, 22];
const UUID = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/;
const UUID_LENGTH = 36;

/** What many say alike. */
interface Shape {
  readonly rest: Rest;
  /** What stands before the UUID that a lane's name ends with; null for lanes that are kept by name. */
  readonly lanePrefix: string | null;
}

interface Chunk {
  readonly firstSeq: number;
  /** None when no row of it is left: every row says 0 then. */
  words: Uint32Array;
  /** Of rows of types that have them; else all are 0. */
  keys: Uint32Array | null;
  laneNames: string[] | null;
  leftCount: number;
}

/**
 * What waits far from the front of a long queue and has met nothing, in a fifth of the room of an `Entry`: in words, in the order of
 * its numbers, which is also that in which it is to be sent. Whoever asks for one takes it out as an `Entry`, and it does not come back.
 */
export class PackedEntries {
  private shapes: Shape[] = [];
  private chunks: Chunk[] = [];
  private readonly byId: RowTable = new RowTable((row) => this.hashAt(row, ID));
  private readonly byLane: RowTable = new RowTable((row) => this.hashAt(row, LANE));
  private count = 0;
  private endRow = 0;
  /** No row before it is there any more; of those before the other, none may create a row. */
  private firstRow = 0;
  private firstCreation = 0;
  private lastSeq = 0;
  private lastRankMs = 0;
  private createdFromMs = 0;
  /** Since when they wait: those that were read together, since the same moment. Each moment, and the first row of it. */
  private waitingSinceMs: number[] = [];
  private waitingFromRow: number[] = [];

  private readonly overCount: number;

  /** One is packed only when more than so many are pending. */
  constructor(overCount: number) {
    this.overCount = overCount;
  }

  get size(): number {
    return this.count;
  }

  /** Whether it is kept here from now on: it must come after all that are here, by number and by rank. */
  add(entry: Entry, pendingCount: number, hasOnlyToWait: (entry: Entry) => boolean): boolean {
    if (pendingCount <= this.overCount || entry.priority === 'low' || !hasOnlyToWait(entry)) return false;
    const { seq, lane, shared: rest, dedupeKey, payloadBytes, waitingSinceMs } = entry;
    const rankMs = rankMsAlone(entry);
    if (this.count === 0) this.startAnew(entry, rankMs);
    if (rest === null || !entry.isUntroubled || seq < this.lastSeq || rankMs < this.lastRankMs) return false;
    const id = wordsOf(entry.id);
    const ofLane = wordsOf(lane.slice(-UUID_LENGTH));
    const key = dedupeKey === null ? [] : keyWordsOf(dedupeKey);
    const shape = this.shapeOf(rest, ofLane === null ? null : lane.slice(0, -UUID_LENGTH));
    const index = this.endRow % CHUNK_COUNT;
    const firstSeq = index === 0 ? seq : (this.chunks.at(-1) as Chunk).firstSeq;
    const numbers = [entry.createdAtMs - this.createdFromMs, payloadBytes];
    const fits = numbers.every((each) => each === each >>> 0) && seq - firstSeq <= SEQ_MAX;
    if (id === null || key === null || shape > SHAPE_MAX || !fits) return false;
    if (index === 0) this.chunks.push(newChunk(firstSeq));
    const chunk = this.chunks.at(-1) as Chunk;
    const state = shape | (entry.mayHaveBeenSent ? SENT : 0) | ((seq - firstSeq) << SEQ_SHIFT);
    const lanes = ofLane ?? [checksum(lane), 0, 0, 0];
    chunk.words.set([...id, ...lanes, ...numbers, entry.bodyChecksum, state], index * ROW_WORDS);
    if (key.length > 0) {
      chunk.keys ??= new Uint32Array(CHUNK_COUNT * KEY_ENDS.length);
      chunk.keys.set(key, index * KEY_ENDS.length);
    }
    if (ofLane === null) {
      chunk.laneNames ??= [];
      chunk.laneNames[index] = lane;
    }
    if (this.waitingSinceMs.at(-1) !== waitingSinceMs) {
      this.waitingSinceMs.push(waitingSinceMs);
      this.waitingFromRow.push(this.endRow);
    }
    chunk.leftCount += 1;
    this.byId.add(this.endRow);
    this.byLane.add(this.endRow);
    this.endRow += 1;
    this.count += 1;
    this.lastSeq = seq;
    this.lastRankMs = rankMs;
    return true;
  }

  /** The lowest number here, which is that of the first to go; and the rank of that one. */
  get firstSeq(): number {
    return this.count === 0 ? Number.POSITIVE_INFINITY : this.seqAt(this.firstThere());
  }
  get firstRankMs(): number {
    const row = this.firstThere();
    const { priority } = (this.shapeAt(row) as Shape).rest;
    return rankMsAlone({ priority, waitingSinceMs: this.waitingSinceMsAt(row) });
  }

  hasSeq(seq: number): boolean {
    return this.rowOfSeq(seq) !== undefined;
  }

  hasId(id: string): boolean {
    return this.rowOfId(id) !== undefined;
  }

  /** Whether one that may create a row has a lower number. */
  hasCreationBefore(seq: number): boolean {
    const isOne = (row: number): boolean => {
      const shape = this.shapeAt(row);
      return shape !== undefined && mayCreate(shape.rest);
    };
    while (this.firstCreation < this.endRow && !isOne(this.firstCreation)) this.firstCreation += 1;
    return this.firstCreation < this.endRow && this.seqAt(this.firstCreation) < seq;
  }

  takeSeq(seq: number): Entry | undefined {
    return this.take(this.rowOfSeq(seq));
  }

  takeId(id: string): Entry | undefined {
    return this.take(this.rowOfId(id));
  }

  /** The first one, if it goes before this head, or before none; what stands behind this number is not read yet. */
  takeBefore(head: Entry | undefined, readUpToSeq: number): Entry | undefined {
    const { firstSeq } = this;
    if (this.count === 0 || firstSeq > readUpToSeq) return undefined;
    if (head !== undefined && (head.listedRankMs - this.firstRankMs || head.seq - firstSeq) < 0) return undefined;
    return this.takeSeq(firstSeq);
  }

  takeLane(name: string): Entry | undefined {
    return this.take(this.rowOfLane(name));
  }

  /** Which of them may have been sent before, as it is known now: those up to this number. */
  sentUpTo(seq: number): void {
    for (const row of this.rows()) {
      const { words } = this.chunkOf(row);
      const at = (row % CHUNK_COUNT) * ROW_WORDS + STATE;
      words[at] = ((words[at] as number) & ~SENT) | (this.seqAt(row) <= seq ? SENT : 0);
    }
  }

  /** These and all that are here, by their numbers. For whoever only looks: what is made here is not the one that is taken out. */
  *among(others: Iterable<Entry>): Iterable<Entry> {
    // The last first: what was taken out was in any order.
    const entries = [...others].sort((left, right) => right.seq - left.seq);
    for (const row of this.rows()) {
      while ((entries.at(-1)?.seq ?? Number.POSITIVE_INFINITY) < this.seqAt(row)) yield entries.pop() as Entry;
      yield this.entryAt(row);
    }
    yield* entries.reverse();
  }

  *places(): Iterable<{ readonly seq: number }> {
    for (const row of this.rows()) yield { seq: this.seqAt(row) };
  }

  private *rows(): Iterable<number> {
    for (let row = this.firstRow; row < this.endRow; row += 1) if (this.shapeAt(row) !== undefined) yield row;
  }

  private startAnew({ createdAtMs }: Entry, rankMs: number): void {
    this.shapes = [];
    this.chunks = [];
    this.endRow = 0;
    this.firstRow = 0;
    this.firstCreation = 0;
    this.lastSeq = 0;
    this.lastRankMs = rankMs;
    this.createdFromMs = createdAtMs;
    this.waitingSinceMs = [];
    this.waitingFromRow = [];
  }

  private take(row: number | undefined): Entry | undefined {
    if (row === undefined) return undefined;
    const entry = this.entryAt(row);
    this.byId.delete(row);
    this.byLane.delete(row);
    this.count -= 1;
    const chunk = this.chunkOf(row);
    const at = (row % CHUNK_COUNT) * ROW_WORDS + STATE;
    // Its number stays, by which those near it are found.
    chunk.words[at] = (chunk.words[at] as number) & ~(SENT | SHAPE_MAX);
    chunk.leftCount -= 1;
    if (chunk.leftCount > 0 || row >= this.endRow - (this.endRow % CHUNK_COUNT)) return entry;
    chunk.words = NO_WORDS;
    chunk.keys = null;
    chunk.laneNames = null;
    return entry;
  }

  private entryAt(row: number): Entry {
    const { rest, lanePrefix } = this.shapeAt(row) as Shape;
    const { words, keys, laneNames } = this.chunkOf(row);
    const index = row % CHUNK_COUNT;
    const at = index * ROW_WORDS;
    return new Entry(
      {
        rest,
        seq: this.seqAt(row),
        id: uuidOf(words, at + ID),
        lane: lanePrefix === null ? ((laneNames as string[])[index] as string) : lanePrefix + uuidOf(words, at + LANE),
        createdAtMs: this.createdFromMs + (words[at + CREATED_AFTER] as number),
        payloadBytes: words[at + PAYLOAD_BYTES] as number,
        bodyChecksum: words[at + CHECKSUM] as number,
        dedupeKey: keys === null ? null : keyOf(keys, index),
      },
      {
        mayHaveBeenSent: (this.wordAt(row, STATE) & SENT) > 0,
        waitingSinceMs: this.waitingSinceMsAt(row),
        heldUntilMs: 0,
      },
    );
  }

  private rowOfSeq(seq: number): number | undefined {
    const row = firstFrom(this.firstRow, this.endRow, (each) => this.seqAt(each) >= seq);
    return row < this.endRow && this.seqAt(row) === seq && this.shapeAt(row) !== undefined ? row : undefined;
  }

  private waitingSinceMsAt(row: number): number {
    const rows = this.waitingFromRow;
    return this.waitingSinceMs[firstFrom(0, rows.length, (each) => (rows[each] as number) > row) - 1] as number;
  }

  private rowOfId(id: string): number | undefined {
    const words = this.count === 0 ? null : wordsOf(id);
    return words === null ? undefined : this.byId.find(hashOf(words, 0), (row) => this.isSame(row, ID, words));
  }

  private rowOfLane(name: string): number | undefined {
    if (this.count === 0) return undefined;
    const ofUuid = wordsOf(name.slice(-UUID_LENGTH));
    const prefix = ofUuid === null ? null : name.slice(0, -UUID_LENGTH);
    const words = ofUuid ?? [checksum(name), 0, 0, 0];
    return this.byLane.find(
      hashOf(words, 0),
      (row) =>
        this.isSame(row, LANE, words) &&
        (this.shapeAt(row) as Shape).lanePrefix === prefix &&
        (prefix !== null || (this.chunkOf(row).laneNames as string[])[row % CHUNK_COUNT] === name),
    );
  }

  /** One more than where it stands among the shapes; too high where there is no room for it. */
  private shapeOf(rest: Rest, lanePrefix: string | null): number {
    const known = this.shapes.findIndex((each) => each.rest === rest && each.lanePrefix === lanePrefix);
    if (known >= 0 || this.shapes.length === SHAPE_MAX) return (known < 0 ? SHAPE_MAX : known) + 1;
    return this.shapes.push({ rest, lanePrefix });
  }

  /** Of those that are not there any more, none. */
  private shapeAt(row: number): Shape | undefined {
    return this.shapes[(this.wordAt(row, STATE) & SHAPE_MAX) - 1];
  }

  private firstThere(): number {
    while (this.shapeAt(this.firstRow) === undefined) this.firstRow += 1;
    return this.firstRow;
  }

  /** Never falls from row to row, also where they are gone. */
  private seqAt(row: number): number {
    return this.chunkOf(row).firstSeq + (this.wordAt(row, STATE) >>> SEQ_SHIFT);
  }

  private hashAt(row: number, column: number): number {
    return hashOf(this.chunkOf(row).words, (row % CHUNK_COUNT) * ROW_WORDS + column);
  }

  private isSame(row: number, column: number, words: readonly number[]): boolean {
    return words.every((word, index) => this.wordAt(row, column + index) === word);
  }

  private wordAt(row: number, column: number): number {
    return (this.chunkOf(row).words[(row % CHUNK_COUNT) * ROW_WORDS + column] as number) >>> 0;
  }

  private chunkOf(row: number): Chunk {
    return this.chunks[Math.floor(row / CHUNK_COUNT)] as Chunk;
  }
}

const NO_WORDS: Uint32Array = new Uint32Array();

function newChunk(firstSeq: number): Chunk {
  const words = new Uint32Array(CHUNK_COUNT * ROW_WORDS);
  return { firstSeq, words, keys: null, laneNames: null, leftCount: 0 };
}

/** Null for what is no UUID as one is usually written. */
function wordsOf(text: string): readonly number[] | null {
  if (!UUID.test(text)) return null;
  const second = text.slice(9, 13) + text.slice(14, 18);
  const third = text.slice(19, 23) + text.slice(24, 28);
  return [text.slice(0, 8), second, third, text.slice(28)].map((digits) => Number.parseInt(digits, 16));
}

function uuidOf(words: Uint32Array, from: number): string {
  const [first, second, third, fourth] = [0, 1, 2, 3].map((word) =>
    digitsOf(words[from + word] as number),
  ) as FourTexts;
  return `${first}-${second.slice(0, 4)}-${second.slice(4)}-${third.slice(0, 4)}-${third.slice(4)}${fourth}`;
}

type FourTexts = [string, string, string, string];

function digitsOf(word: number): string {
  return word.toString(16).padStart(8, '0');
}

/** The first number of a range for which it holds, when it holds for all behind that; else the end of the range. */
function firstFrom(from: number, end: number, holds: (number: number) => boolean): number {
  let [low, high] = [from, end];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (holds(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** Null for what is no duplicate key as this version makes them. */
function keyWordsOf(key: string): readonly number[] | null {
  const words = KEY_ENDS.map((end, index) => Number.parseInt(key.slice(KEY_ENDS[index - 1] ?? 0, end), 36));
  return keyOf(Uint32Array.from(words), 0) === key ? words : null;
}

/** Null where all of it is 0. */
function keyOf(keys: Uint32Array, index: number): string | null {
  const words = keys.subarray(index * KEY_ENDS.length, (index + 1) * KEY_ENDS.length);
  if (words.every((word) => word === 0)) return null;
  return [...words].map((word, part) => word.toString(36).padStart(part % 2 === 0 ? 6 : 5, '0')).join('');
}

function hashOf(words: ArrayLike<number>, from: number): number {
  let hash = 0;
  for (let index = from; index < from + 4; index += 1) {
    hash = Math.imul(hash ^ (words[index] as number), 0x9e3779b1);
    hash ^= hash >>> 15;
  }
  return Math.imul(hash, 0x85ebca6b);
}
