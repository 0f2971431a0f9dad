import { checksumOfBytes } from '../../mutation/checksum.ts';
import { firstFrom } from '../sorted-keys.ts';
import type { LogFile } from './log-file.ts';
import { putNumber, takeNumber } from './log-frame.ts';
import type { Place } from './log-places.ts';
import { bytesOf } from './log-replay.ts';

/*
 * A checkpoint says where each record of a log stands, up to the end of one of its frames, so that whoever opens the log reads
 * this, and of the log only what was written since. It stands in the file that takes the next copy of the log, where a version that
 * knows no checkpoint removes it: when it opens the log, and before it writes it anew.
 *
 *   MAGIC · bytes of the directory · checksum of the directory · checksum of these | directory | block | block | …
 *
 * Directory and blocks are JSON. A block holds some hundred records in the order of their keys, and has a checksum in the directory:
 * it is looked at when the first of them is asked for. What does not fit in any way is never used: the log itself tells all.
 */
const MAGIC = [0xff, 0x48, 0x43, 1];
const HEADER_BYTES = 16;
const BLOCK_COUNT = 256;
/** So much of the log before the checkpoint's end must be what it was. */
const TAIL_BYTES = 4_096;
const ENCODER = new TextEncoder();
const DECODER = new TextDecoder();

/** Key, place, bytes of the key, bytes of the value, and the value itself where it is short. */
type Row = readonly [key: string, at: number, keyBytes: number, valueBytes: number, text: string | null];

interface Directory {
  readonly generation: number;
  /** It speaks of the log up to here. */
  readonly end: number;
  readonly tailChecksum: number;
  readonly count: number;
  readonly liveBytes: number;
  readonly blocks: readonly (readonly [firstKey: string, bytes: number, checksum: number])[];
}

interface Block {
  readonly keys: readonly string[];
  readonly places: readonly Place[];
}

/** What a checkpoint is made of. */
export interface Places {
  readonly count: number;
  readonly liveBytes: number;
  all(): Iterable<readonly [string, Place]>;
}

/** A checkpoint does not say what the log holds: only the log itself can tell. */
export class CheckpointDoubted extends Error {}

/** The log that a checkpoint is of. */
export interface CheckpointedLog {
  readonly file: LogFile;
  readonly generation: number;
}

export class Checkpoint {
  readonly end: number;
  readonly count: number;
  readonly liveBytes: number;
  readonly sizeBytes: number;
  private readonly bytes: Uint8Array;
  private readonly firstKeys: readonly string[];
  private readonly blocks: (Block | { readonly from: number; readonly to: number; readonly checksum: number })[] = [];

  private constructor({ end, count, liveBytes, blocks }: Directory, bytes: Uint8Array) {
    this.end = end;
    this.count = count;
    this.liveBytes = liveBytes;
    this.bytes = bytes;
    this.sizeBytes = bytes.length;
    this.firstKeys = blocks.map(([key]) => key);
    let from = 0;
    for (const [, size, checksum] of blocks) {
      this.blocks.push({ from, to: from + size, checksum });
      from += size;
    }
  }

  /** Null where there is none of this log. */
  static read(from: LogFile, log: CheckpointedLog): Checkpoint | null {
    const found = readDirectory(from);
    if (found === null) return null;
    const { directory, blocksAt } = found;
    const { generation, end, tailChecksum } = directory;
    if (generation !== log.generation || tailChecksum !== tailOf(log.file, end)) return null;
    return new Checkpoint(directory, bytesOf(from, blocksAt, from.getSize()));
  }

  get(key: string): Place | undefined {
    const index = firstFrom(this.firstKeys, key, key) - 1;
    if (index < 0) return undefined;
    const { keys, places } = this.block(index);
    const at = firstFrom(keys, key);
    return keys[at] === key ? places[at] : undefined;
  }

  /** From the first key on that is neither before the prefix nor up to `after`. */
  *keysFrom(prefix: string, after: string | undefined): Generator<string, undefined> {
    const first = firstFrom(this.firstKeys, prefix, after) - 1;
    for (let index = Math.max(0, first); index < this.blocks.length; index += 1) {
      const { keys } = this.block(index);
      for (let at = firstFrom(keys, prefix, after); at < keys.length; at += 1) yield keys[at] as string;
    }
  }

  private block(index: number): Block {
    const block = this.blocks[index] as (typeof this.blocks)[number];
    if ('keys' in block) return block;
    const bytes = this.bytes.subarray(block.from, block.to);
    if (checksumOfBytes(bytes) !== block.checksum) throw new CheckpointDoubted();
    // Its checksum says that this wrote it.
    const rows = JSON.parse(DECODER.decode(bytes)) as readonly Row[];
    const read: Block = {
      keys: rows.map(([key]) => key),
      places: rows.map(([, at, keyBytes, valueBytes, text]) => ({ at, keyBytes, valueBytes, text })),
    };
    this.blocks[index] = read;
    return read;
  }
}

/** What to write, from the beginning of the file. */
export function makeCheckpoint(places: Places, log: CheckpointedLog, end: number): readonly Uint8Array[] {
  const blocks: Uint8Array[] = [];
  const entries: (readonly [string, number, number])[] = [];
  let rows: Row[] = [];
  const finish = (): void => {
    const bytes = ENCODER.encode(JSON.stringify(rows));
    entries.push([rows[0]?.[0] ?? '', bytes.length, checksumOfBytes(bytes)]);
    blocks.push(bytes);
    rows = [];
  };
  for (const [key, { at, keyBytes, valueBytes, text }] of places.all()) {
    rows.push([key, at, keyBytes, valueBytes, text]);
    if (rows.length === BLOCK_COUNT) finish();
  }
  if (rows.length > 0) finish();
  const { count, liveBytes } = places;
  const directory: Directory = {
    generation: log.generation,
    end,
    tailChecksum: tailOf(log.file, end),
    count,
    liveBytes,
    blocks: entries,
  };
  const text = ENCODER.encode(JSON.stringify(directory));
  const header = new Uint8Array(HEADER_BYTES);
  header.set(MAGIC);
  putNumber(header, 4, text.length);
  putNumber(header, 8, checksumOfBytes(text));
  putNumber(header, 12, checksumOfBytes(header.subarray(0, 12)));
  return [header, text, ...blocks];
}

function readDirectory(file: LogFile): { readonly directory: Directory; readonly blocksAt: number } | null {
  const header = bytesOf(file, 0, HEADER_BYTES);
  const isWhole = header.length === HEADER_BYTES && MAGIC.every((byte, index) => header[index] === byte);
  if (!isWhole || takeNumber(header, 12) !== checksumOfBytes(header.subarray(0, 12))) return null;
  const blocksAt = HEADER_BYTES + takeNumber(header, 4);
  const text = bytesOf(file, HEADER_BYTES, blocksAt);
  if (checksumOfBytes(text) !== takeNumber(header, 8)) return null;
  // Its checksum says that this wrote it.
  return { directory: JSON.parse(DECODER.decode(text)) as Directory, blocksAt };
}

function tailOf(file: LogFile, end: number): number {
  return checksumOfBytes(bytesOf(file, Math.max(0, end - TAIL_BYTES), end));
}
