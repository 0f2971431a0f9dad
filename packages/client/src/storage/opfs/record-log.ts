import { HoldfastError, messageOf } from '../../mutation/holdfast-error.ts';
import type { CommitResult, Entry, ScanQuery, StorageBatch } from '../../ports/storage.ts';
import { toBase64 } from '../base64.ts';
import { QUARANTINED_LOG } from '../quarantined-log.ts';
import { SortedKeys } from '../sorted-keys.ts';
import { readText } from './byte-text.ts';
import type { LogFile, LogFiles } from './log-file.ts';
import { entryBytes, type FoundEntry, FrameWriter, HEADER_BYTES, makeHeader } from './log-frame.ts';
import { bytesOf, type Damage, type LogHead, readHead, replay } from './log-replay.ts';

/** Where the last entry of a key stands. */
interface Place {
  readonly at: number;
  readonly keyBytes: number;
  readonly valueBytes: number;
  /** The value itself where it is short: counters and marks are compared with each commit. */
  readonly text: string | null;
}

export interface LogSizes {
  /** What is dead may take so much beside what lives, before the log is written anew. */
  readonly slackBytes: number;
  /** Read or copied at once. */
  readonly chunkBytes: number;
}

const SIZES: LogSizes = { slackBytes: 1024 * 1024, chunkBytes: 1024 * 1024 };
const SHORT_UNITS = 32;
/** Values no further apart than this are read at once. */
const GAP_BYTES = 4 * 1024;

/**
 * An append-only log of records, and where in it each one stands. All calls of one group are one frame, written and flushed
 * once; it counts whole or not at all. When more is dead than alive, what lives is copied to the other file, which becomes the
 * log with its header, the last thing written:
 *
 *   slot 0  header 1 · frame · frame · frame        (the log)
 *   slot 1                     · copies · header 2  (the log from here on; slot 0 is emptied)
 */
export class RecordLog {
  private files: LogFiles;
  private head: LogHead;
  /** Behind the last whole frame. */
  private end = HEADER_BYTES;
  private places = new Map<string, Place>();
  private keys = new SortedKeys();
  private liveBytes = 0;
  /** Something may stand behind the end that was never confirmed, and must go before anything else is written. */
  private hasRemains = false;
  /** After a copy that failed, the log must have grown to this before another one. */
  private compactFromBytes = 0;
  private readonly writer = new FrameWriter();
  private readonly sizes: LogSizes;

  private constructor(files: LogFiles, sizes: LogSizes) {
    this.files = files;
    this.sizes = sizes;
    this.head = readHead(files);
  }

  static open(files: LogFiles, sizes: LogSizes = SIZES): RecordLog {
    const log = new RecordLog(files, sizes);
    log.load();
    return log;
  }

  /** Goes on with the files, which another may have held meanwhile. */
  reopen(files: LogFiles): void {
    this.files = files;
    const head = readHead(files);
    if (head.generation === this.head.generation && head.slot === this.head.slot && this.file.getSize() >= this.end) {
      this.read(this.end);
      return;
    }
    this.head = head;
    this.load();
  }

  /** Each batch as if alone and in their order, all in one write. What throws has stored nothing of any. */
  commit(batches: readonly StorageBatch[]): readonly CommitResult[] {
    this.clearRemains();
    const changed = new Map<string, string | null>();
    const results = batches.map(({ expect, changes }): CommitResult => {
      for (const { key, value } of expect) {
        const actual = changed.get(key);
        const stands = actual === undefined ? this.valueOf(key) : actual;
        if (stands !== value) return { kind: 'mismatch', key, actual: stands };
      }
      for (const change of changes) changed.set(change.key, change.kind === 'put' ? change.value : null);
      return { kind: 'committed' };
    });
    const written: { readonly entry: FoundEntry; readonly text: string | null }[] = [];
    for (const [key, value] of changed) {
      if (value === null && !this.places.has(key)) continue;
      written.push({ entry: this.writer.add(key, value), text: value });
    }
    if (written.length === 0) return results;
    this.append(this.writer.finish(this.head.generation), (at) => {
      for (const { entry, text } of written) this.place(entry, at, text);
    });
    return results;
  }

  values(keys: readonly string[]): readonly (string | null)[] {
    const found: (string | null)[] = keys.map(() => null);
    const wanted: { readonly index: number; readonly place: Place }[] = [];
    keys.forEach((key, index) => {
      const place = this.places.get(key);
      if (place === undefined) return;
      if (place.text === null) wanted.push({ index, place });
      else found[index] = place.text;
    });
    wanted.sort((left, right) => left.place.at - right.place.at);
    for (let first = 0; first < wanted.length; ) {
      const from = wanted[first]?.place.at ?? 0;
      let [last, to] = [first, from];
      for (; last < wanted.length; last += 1) {
        const { at, keyBytes, valueBytes } = (wanted[last] as (typeof wanted)[number]).place;
        if (last > first && (at - to > GAP_BYTES || at - from > this.sizes.chunkBytes)) break;
        to = at + entryBytes({ keyBytes, valueBytes });
      }
      const bytes = bytesOf(this.file, from, to);
      for (const { index, place } of wanted.slice(first, last)) {
        const end = place.at - from + entryBytes(place);
        found[index] = readText(bytes.subarray(end - place.valueBytes, end));
      }
      first = last;
    }
    return found;
  }

  scan({ prefix, after, limit }: ScanQuery): readonly Entry[] {
    const keys = this.keys.find(prefix, after, limit);
    const values = this.values(keys);
    return keys.map((key, index) => ({ key, value: values[index] ?? '' }));
  }

  get sizeBytes(): number {
    return this.end;
  }

  get wantsCompaction(): boolean {
    return this.end > 2 * this.liveBytes + this.sizes.slackBytes && this.end >= this.compactFromBytes;
  }

  /** Copies what lives to the other file. What throws has changed nothing. */
  compact(): void {
    const target = this.files.slots[1 - this.head.slot] as LogFile;
    const generation = this.head.generation + 1;
    const places = new Map<string, Place>();
    let end = HEADER_BYTES;
    try {
      target.truncate(0);
      const copied: [string, Place, number][] = [];
      const writeFrame = (): void => {
        const frame = this.writer.finish(generation);
        writeAll(target, frame, end);
        for (const [key, place, at] of copied) places.set(key, { ...place, at: end + at });
        copied.length = 0;
        end += frame.length;
      };
      for (const [key, place] of this.places) {
        const entry = bytesOf(this.file, place.at, place.at + entryBytes(place));
        copied.push([key, place, this.writer.copy(entry)]);
        if (this.writer.sizeBytes >= this.sizes.chunkBytes) writeFrame();
      }
      if (copied.length > 0) writeFrame();
      target.flush();
      // From here on the copy is the log.
      writeAll(target, makeHeader(generation), 0);
      target.flush();
    } catch (error) {
      this.writer.reset();
      this.compactFromBytes = this.end + this.sizes.slackBytes;
      attempt(() => target.truncate(0));
      throw asFailure(error);
    }
    const old = this.file;
    this.head = { slot: this.head.slot === 0 ? 1 : 0, generation };
    this.places = places;
    this.end = end;
    this.compactFromBytes = 0;
    // What is left of it counts no more, since its generation is lower.
    attempt(() => old.truncate(0));
  }

  private get file(): LogFile {
    return this.files.slots[this.head.slot];
  }

  private load(): void {
    this.places = new Map();
    this.keys = new SortedKeys();
    this.liveBytes = 0;
    this.hasRemains = false;
    const other = this.files.slots[1 - this.head.slot] as LogFile;
    if (other.getSize() > 0) other.truncate(0);
    this.read(HEADER_BYTES);
  }

  private read(from: number): void {
    const { file } = this;
    const damages: Damage[] = [];
    this.end = replay(
      { file, aside: this.files.aside, generation: this.head.generation, from },
      (entry, textOf) => {
        const isShort = entry.valueBytes !== null && entry.valueBytes <= SHORT_UNITS;
        this.place(entry, 0, isShort ? textOf() : null);
      },
      (damage) => damages.push(damage),
    );
    this.hasRemains = false;
    if (damages.length > 0) attempt(() => this.quarantine(damages));
  }

  /** Where there is no room for it, it stands in the log still, and is found again. */
  private quarantine(damages: readonly Damage[]): void {
    const changes = damages.map(({ at, bytes }) => ({
      kind: 'put' as const,
      key: `${QUARANTINED_LOG}${this.head.generation}-${at}`,
      value: toBase64(bytes),
    }));
    this.commit([{ expect: [], changes }]);
    this.compact();
  }

  /** Where an entry stands from now on; `from` is added to its place. */
  private place({ key, at, keyBytes, valueBytes }: FoundEntry, from: number, text: string | null): void {
    const before = this.places.get(key);
    if (before !== undefined) this.liveBytes -= entryBytes(before);
    if (valueBytes === null) {
      if (this.places.delete(key)) this.keys.remove(key);
      return;
    }
    if (before === undefined) this.keys.add(key);
    const isShort = text !== null && text.length <= SHORT_UNITS;
    const place = { at: from + at, keyBytes, valueBytes, text: isShort ? text : null };
    this.places.set(key, place);
    this.liveBytes += entryBytes(place);
  }

  private append(frame: Uint8Array, onWritten: (at: number) => void): void {
    const at = this.end;
    try {
      writeAll(this.file, frame, at);
      this.file.flush();
    } catch (error) {
      this.hasRemains = true;
      attempt(() => this.clearRemains());
      throw asFailure(error);
    }
    this.end = at + frame.length;
    onWritten(at);
  }

  /** Nothing that was refused may come back when the log is opened again. */
  private clearRemains(): void {
    if (!this.hasRemains) return;
    try {
      this.file.truncate(this.end);
      this.file.flush();
    } catch (error) {
      throw asFailure(error);
    }
    this.hasRemains = false;
  }

  private valueOf(key: string): string | null {
    return this.values([key])[0] ?? null;
  }
}

function writeAll(file: LogFile, bytes: Uint8Array, at: number): void {
  if (file.write(bytes, { at }) < bytes.length) throw full(null);
}

function attempt(work: () => void): void {
  try {
    work();
  } catch {
    // It is tried again when it matters.
  }
}

function asFailure(error: unknown): HoldfastError {
  if (error instanceof HoldfastError) return error;
  if (error instanceof Error && error.name === 'QuotaExceededError') return full(error);
  return new HoldfastError({
    code: 'STORAGE_FAILED',
    message: `Not stored: the browser could not write its file (${messageOf(error)}).`,
    hint: 'Nothing was stored. Try again; if it lasts, reload.',
    cause: error,
  });
}

function full(cause: unknown): HoldfastError {
  return new HoldfastError({
    code: 'STORAGE_FULL',
    message: 'Not stored: the space that the browser allows is used up.',
    hint: 'Free space on the device, or send what is pending; then save again.',
    cause: cause ?? undefined,
  });
}
