import { checksumOfBytes } from '../../mutation/checksum.ts';
import { HoldfastError } from '../../mutation/holdfast-error.ts';
import { readText } from './byte-text.ts';
import type { LogFile, LogFiles } from './log-file.ts';
import {
  entryBytes,
  findFrame,
  type FoundEntry,
  FRAME_HEADER_BYTES,
  type FrameHeader,
  HEADER_BYTES,
  isOtherFormat,
  makeHeader,
  readEntries,
  readFrameHeader,
  readHeader,
} from './log-frame.ts';

/** Which of the two files is the log. */
export interface LogHead {
  readonly slot: 0 | 1;
  readonly generation: number;
}

const WINDOW_BYTES = 4 * 1024 * 1024;
/** What no longer reads is kept up to this. */
const ASIDE_BYTES_MAX = 16 * 1024 * 1024;

/** Finds the log, or begins one. */
export function readHead({ slots, aside, newGeneration }: LogFiles): LogHead {
  const headers = slots.map((file) => readHeader(bytesOf(file, 0, HEADER_BYTES)));
  const [first = null, second = null] = headers;
  if (first !== null || second !== null) {
    return (first ?? -1) > (second ?? -1) ? { slot: 0, generation: first ?? 0 } : { slot: 1, generation: second ?? 0 };
  }
  // A header is written last: where none is whole, the older frames are the log, and the others an unfinished copy of it.
  const [oldest] = slots
    .map((file, slot) => ({ slot: slot === 0 ? (0 as const) : (1 as const), generation: generationOfFrames(file) }))
    .filter((each): each is LogHead => each.generation !== null)
    .sort((left, right) => left.generation - right.generation);
  const head = oldest ?? { slot: 0, generation: newGeneration() };
  const file = slots[head.slot];
  if (oldest === undefined && file.getSize() > 0) {
    setAside(aside, bytesOf(file, 0, file.getSize()));
    file.truncate(0);
  }
  file.write(makeHeader(head.generation), { at: 0 });
  return head;
}

/** Where the log is read, from which place on. */
export interface Stretch {
  readonly file: LogFile;
  readonly aside: LogFile;
  readonly generation: number;
  readonly from: number;
}

/** Bytes in the middle of a log that do not read as a whole frame. */
export interface Damage {
  readonly at: number;
  readonly bytes: Uint8Array;
}

/**
 * Tells each entry in order, and where the last whole frame ends. A frame that is not whole was never confirmed if nothing
 * whole comes after it, and is set aside and cut off. Else it has been damaged since, and what still reads of it is told.
 */
export function replay(
  { file, aside, generation, from }: Stretch,
  tell: (entry: FoundEntry, textOf: () => string) => void,
  onDamage: (damage: Damage) => void,
): number {
  const view = new View(file);
  const tellAll = (start: number, end: number): void => {
    const bytes = view.bytes(start, end);
    for (const entry of readEntries(bytes, 0, bytes.length)) {
      const endAt = entry.at + entryBytes(entry);
      const textOf = (): string => readText(bytes.subarray(endAt - (entry.valueBytes ?? 0), endAt));
      tell({ ...entry, at: start + entry.at }, textOf);
    }
  };
  let at = from;
  while (at < view.sizeBytes) {
    const header = frameAt(view, at, generation);
    const end = at + FRAME_HEADER_BYTES + (header?.payloadBytes ?? 0);
    if (header !== null && isWhole(view, at, header)) {
      tellAll(at + FRAME_HEADER_BYTES, end);
      at = end;
      continue;
    }
    const next = nextWhole(view, at + 1, generation);
    if (next === null) {
      setAside(aside, view.bytes(at, view.sizeBytes));
      file.truncate(at);
      file.flush();
      return at;
    }
    onDamage({ at, bytes: view.bytes(at, next).slice() });
    tellAll(header === null ? at : at + FRAME_HEADER_BYTES, header === null ? next : Math.min(end, next));
    at = next;
  }
  return at;
}

function frameAt(view: View, at: number, generation: number): FrameHeader | null {
  const header = readFrameHeader(view.bytes(at, at + FRAME_HEADER_BYTES), 0);
  return header?.generation === generation ? header : null;
}

function isWhole(view: View, at: number, { payloadBytes, payloadChecksum }: FrameHeader): boolean {
  const start = at + FRAME_HEADER_BYTES;
  if (start + payloadBytes > view.sizeBytes) return false;
  return checksumOfBytes(view.bytes(start, start + payloadBytes)) === payloadChecksum;
}

function nextWhole(view: View, from: number, generation: number): number | null {
  const rest = view.bytes(from, view.sizeBytes);
  for (let at = findFrame(rest, 0); at !== -1; at = findFrame(rest, at + 1)) {
    const header = frameAt(view, from + at, generation);
    if (header !== null && isWhole(view, from + at, header)) return from + at;
  }
  return null;
}

/** Of the first frame that stands there; null where there is none. */
function generationOfFrames(file: LogFile): number | null {
  const bytes = bytesOf(file, 0, file.getSize());
  if (isOtherFormat(bytes)) throw tooNew();
  const at = findFrame(bytes, 0);
  return at === -1 ? null : (readFrameHeader(bytes, at)?.generation ?? null);
}

function setAside(aside: LogFile, bytes: Uint8Array): void {
  const at = aside.getSize();
  // What the file system had not yet filled tells nothing.
  if (at + bytes.length > ASIDE_BYTES_MAX || bytes.every((byte) => byte === 0)) return;
  aside.write(bytes, { at });
  aside.flush();
}

export function bytesOf(file: LogFile, from: number, to: number): Uint8Array {
  const bytes = new Uint8Array(Math.max(0, to - from));
  const length = file.read(bytes, { at: from });
  return bytes.subarray(0, length);
}

/** A file that is read from the beginning to the end, and held only in part. */
class View {
  readonly sizeBytes: number;
  private readonly file: LogFile;
  private start = 0;
  private held: Uint8Array = new Uint8Array();

  constructor(file: LogFile) {
    this.file = file;
    this.sizeBytes = file.getSize();
  }

  bytes(from: number, to: number): Uint8Array {
    const end = Math.min(to, this.sizeBytes);
    if (from < this.start || end > this.start + this.held.length) {
      this.held = bytesOf(this.file, from, Math.min(this.sizeBytes, Math.max(end, from + WINDOW_BYTES)));
      this.start = from;
    }
    return this.held.subarray(from - this.start, Math.max(from, end) - this.start);
  }
}

function tooNew(): HoldfastError {
  return new HoldfastError({
    code: 'STORAGE_TOO_NEW',
    message:
      'The mutations on this device were stored in a form of the log that this version of the app does not read.',
    hint: 'Update the app. Nothing was changed, and nothing is lost.',
  });
}
