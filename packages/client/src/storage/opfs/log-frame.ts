import { checksumOfBytes } from '../../mutation/checksum.ts';
import { BYTES_PER_UNIT_MAX, readText, writeText } from './byte-text.ts';

/*
 * A log file is a header and frames; each frame is what was written and flushed at once, and counts whole or not at all.
 *
 *   header  MAGIC 'H' · generation                    · checksum of these
 *   frame   MAGIC 'F' · generation · bytes of entries · checksum of the entries · checksum of these
 *   entry   bytes of the key · bytes of the value, or DELETED · checksum of these and the key · key · value
 *
 * Numbers are 32 bits, low byte first. The first byte of MAGIC stands in no text, so no value looks like a frame. The
 * checksum of the entries tells a torn frame; that of a key lets the entries beside a damaged one be found. Whether a value
 * is what was written is for the records themselves to tell: each has a checksum of its own.
 */
const MAGIC = [0xff, 0x48, 0x4c];
const HEADER_MARK = 0x48;
const FRAME_MARK = 0x46;
export const HEADER_BYTES = 12;
export const FRAME_HEADER_BYTES = 20;
export const ENTRY_HEADER_BYTES = 12;
const DELETED = 0xffff_ffff;

/** Where an entry stands: counted from the beginning of what was searched. */
export interface FoundEntry {
  readonly key: string;
  readonly at: number;
  readonly keyBytes: number;
  /** Null for a deletion. */
  readonly valueBytes: number | null;
}

export interface FrameHeader {
  readonly generation: number;
  readonly payloadBytes: number;
  readonly payloadChecksum: number;
}

export function makeHeader(generation: number): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES);
  mark(bytes, HEADER_MARK);
  putNumber(bytes, 4, generation);
  putNumber(bytes, 8, checksumOfBytes(bytes.subarray(0, 8)));
  return bytes;
}

/** The generation; null where no whole header stands. */
export function readHeader(bytes: Uint8Array): number | null {
  if (!isMarked(bytes, 0, HEADER_MARK) || bytes.length < HEADER_BYTES) return null;
  return takeNumber(bytes, 8) === checksumOfBytes(bytes.subarray(0, 8)) ? takeNumber(bytes, 4) : null;
}

/** Whether another version has written this. */
export function isOtherFormat(bytes: Uint8Array): boolean {
  const kind = bytes[MAGIC.length];
  return MAGIC.every((byte, index) => bytes[index] === byte) && kind !== HEADER_MARK && bytes.length >= HEADER_BYTES;
}

/** Writes entries, one after the other, behind the room for a frame's header. */
export class FrameWriter {
  private bytes = new Uint8Array(64 * 1024);
  private length = FRAME_HEADER_BYTES;

  /** Bytes of the frame so far. */
  get sizeBytes(): number {
    return this.length;
  }

  /** Where the entry stands, from the beginning of the frame. */
  add(key: string, value: string | null): FoundEntry {
    const at = this.length;
    this.makeRoom(ENTRY_HEADER_BYTES + BYTES_PER_UNIT_MAX * (key.length + (value?.length ?? 0)));
    const keyBytes = writeText(key, this.bytes.subarray(at + ENTRY_HEADER_BYTES));
    const valueAt = at + ENTRY_HEADER_BYTES + keyBytes;
    const valueBytes = value === null ? null : writeText(value, this.bytes.subarray(valueAt));
    putNumber(this.bytes, at, keyBytes);
    putNumber(this.bytes, at + 4, valueBytes ?? DELETED);
    putNumber(this.bytes, at + 8, checksumOfKey(this.bytes, at, keyBytes));
    this.length = valueAt + (valueBytes ?? 0);
    return { key, at, keyBytes, valueBytes };
  }

  /** Takes an entry as it stands elsewhere; where it stands now. */
  copy(entry: Uint8Array): number {
    const at = this.length;
    this.makeRoom(entry.length);
    this.bytes.set(entry, at);
    this.length += entry.length;
    return at;
  }

  /** The whole frame, good until something is added again: then another one begins. */
  finish(generation: number): Uint8Array {
    const frame = this.bytes.subarray(0, this.length);
    mark(frame, FRAME_MARK);
    putNumber(frame, 4, generation);
    putNumber(frame, 8, this.length - FRAME_HEADER_BYTES);
    putNumber(frame, 12, checksumOfBytes(frame.subarray(FRAME_HEADER_BYTES)));
    putNumber(frame, 16, checksumOfBytes(frame.subarray(0, 16)));
    this.reset();
    return frame;
  }

  reset(): void {
    this.length = FRAME_HEADER_BYTES;
  }

  private makeRoom(byteCount: number): void {
    if (this.length + byteCount <= this.bytes.length) return;
    const larger = new Uint8Array(2 * (this.length + byteCount));
    larger.set(this.bytes.subarray(0, this.length));
    this.bytes = larger;
  }
}

export function readFrameHeader(bytes: Uint8Array, at: number): FrameHeader | null {
  if (at + FRAME_HEADER_BYTES > bytes.length || !isMarked(bytes, at, FRAME_MARK)) return null;
  if (takeNumber(bytes, at + 16) !== checksumOfBytes(bytes.subarray(at, at + 16))) return null;
  return {
    generation: takeNumber(bytes, at + 4),
    payloadBytes: takeNumber(bytes, at + 8),
    payloadChecksum: takeNumber(bytes, at + 12),
  };
}

/** The first place from `at` on where a frame's header may begin; -1 where there is none. */
export function findFrame(bytes: Uint8Array, at: number): number {
  for (let index = bytes.indexOf(MAGIC[0] ?? 0, at); index !== -1; index = bytes.indexOf(MAGIC[0] ?? 0, index + 1)) {
    if (readFrameHeader(bytes, index) !== null) return index;
  }
  return -1;
}

/** The entries between the two places; of damaged ones, those that still read. */
export function readEntries(bytes: Uint8Array, from: number, to: number): readonly FoundEntry[] {
  const entries: FoundEntry[] = [];
  for (let at = from; at + ENTRY_HEADER_BYTES <= to; ) {
    const entry = readEntry(bytes, at, to);
    if (entry === null) {
      at += 1;
      continue;
    }
    entries.push(entry);
    at += entryBytes(entry);
  }
  return entries;
}

export function entryBytes({ keyBytes, valueBytes }: Pick<FoundEntry, 'keyBytes' | 'valueBytes'>): number {
  return ENTRY_HEADER_BYTES + keyBytes + (valueBytes ?? 0);
}

/** The entry at this place; null where none reads. */
export function readEntry(bytes: Uint8Array, at: number, to: number): FoundEntry | null {
  const keyBytes = takeNumber(bytes, at);
  const valueField = takeNumber(bytes, at + 4);
  const valueBytes = valueField === DELETED ? null : valueField;
  if (at + entryBytes({ keyBytes, valueBytes }) > to) return null;
  if (takeNumber(bytes, at + 8) !== checksumOfKey(bytes, at, keyBytes)) return null;
  const keyAt = at + ENTRY_HEADER_BYTES;
  return { key: readText(bytes.subarray(keyAt, keyAt + keyBytes)), at, keyBytes, valueBytes };
}

function checksumOfKey(bytes: Uint8Array, at: number, keyBytes: number): number {
  const keyAt = at + ENTRY_HEADER_BYTES;
  return checksumOfBytes(bytes.subarray(keyAt, keyAt + keyBytes), checksumOfBytes(bytes.subarray(at, at + 8)));
}

function mark(bytes: Uint8Array, kind: number): void {
  bytes.set([...MAGIC, kind]);
}

function isMarked(bytes: Uint8Array, at: number, kind: number): boolean {
  return MAGIC.every((byte, index) => bytes[at + index] === byte) && bytes[at + MAGIC.length] === kind;
}

/** 32 bits, low byte first. */
export function putNumber(bytes: Uint8Array, at: number, value: number): void {
  for (let index = 0; index < 4; index += 1) bytes[at + index] = (value >>> (8 * index)) & 0xff;
}

export function takeNumber(bytes: Uint8Array, at: number): number {
  let value = 0;
  for (let index = 3; index >= 0; index -= 1) value = value * 256 + (bytes[at + index] ?? 0);
  return value;
}
