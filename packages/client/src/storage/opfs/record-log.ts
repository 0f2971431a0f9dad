import { HoldfastError, messageOf } from '../../mutation/holdfast-error.ts';
import type { CommitResult, Entry, ScanQuery, StorageBatch } from '../../ports/storage.ts';
import { toBase64 } from '../base64.ts';
import { QUARANTINED_LOG } from '../quarantined-log.ts';
import { readText } from './byte-text.ts';
import { Checkpoint, CheckpointDoubted, makeCheckpoint } from './log-checkpoint.ts';
import type { LogFile, LogFiles } from './log-file.ts';
import { entryBytes, type FoundEntry, FrameWriter, HEADER_BYTES, makeHeader, readEntry } from './log-frame.ts';
import { LogPlaces, type Place } from './log-places.ts';
import { bytesOf, type Damage, type LogHead, readHead, replay } from './log-replay.ts';

export interface LogSizes {
  /** What is dead may take so much beside what lives, before the log is written anew; and so much of it may have no checkpoint. */
  readonly slackBytes: number;
  /** Read or copied at once. */
  readonly chunkBytes: number;
}

const SIZES: LogSizes = { slackBytes: 1024 * 1024, chunkBytes: 1024 * 1024 };
const SHORT_UNITS = 32;
/** Values no further apart than this are read at once. */
const GAP_BYTES = 4 * 1024;
/** While there is other work, this many times as much of the log may have no checkpoint as when there is none. */
const BUSY_FACTOR = 8;

/** The log up to `end` is in a checkpoint, which takes so much room. */
interface Noted {
  readonly end: number;
  readonly sizeBytes: number;
}

const NOTHING_NOTED: Noted = { end: 0, sizeBytes: 0 };

/**
 * An append-only log of records, and where in it each one stands. All calls of one group are one frame, written and flushed
 * once; it counts whole or not at all. When more is dead than alive, what lives is copied to the other file, which becomes the
 * log with its header, the last thing written. Until then the other file may hold a checkpoint:
 *
 *   slot 0  header 1 · frame · frame · frame        (the log)
 *   slot 1  checkpoint         · copies · header 2  (the log from here on; slot 0 is emptied)
 */
export class RecordLog {
  private files: LogFiles;
  private head: LogHead;
  /** Behind the last whole frame. */
  private end = HEADER_BYTES;
  private places = new LogPlaces(null);
  /** Some of them are known from a checkpoint only: each is compared with the log when it is read. */
  private isUnproven = false;
  private noted: Noted = NOTHING_NOTED;
  /** After one that found no room, the log must have grown to this before another one. */
  private noteFromBytes = 0;
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
      this.sure(() => this.read(this.end));
      return;
    }
    this.head = head;
    this.load();
  }

  /** Each batch as if alone and in their order, all in one write. What throws has stored nothing of any. */
  commit(batches: readonly StorageBatch[]): readonly CommitResult[] {
    return this.sure(() => this.write(batches));
  }

  values(keys: readonly string[]): readonly (string | null)[] {
    return this.sure(() => this.valuesOf(keys));
  }

  scan({ prefix, after, limit }: ScanQuery): readonly Entry[] {
    return this.sure(() => {
      const keys = this.places.find(prefix, after, limit);
      const values = this.valuesOf(keys);
      return keys.map((key, index) => ({ key, value: values[index] ?? '' }));
    });
  }

  get sizeBytes(): number {
    return this.end;
  }

  get wantsCompaction(): boolean {
    return this.end > 2 * this.places.liveBytes + this.sizes.slackBytes && this.end >= this.compactFromBytes;
  }

  /** Copies what lives to the other file. What throws has changed nothing. */
  compact(): void {
    this.sure(() => this.copy());
  }

  /** Whether opening would read much of the log. */
  wantsCheckpoint(isIdle: boolean): boolean {
    const most = this.sizes.slackBytes + this.noted.sizeBytes / 4;
    return this.end - this.noted.end > (isIdle ? 1 : BUSY_FACTOR) * most && this.end >= this.noteFromBytes;
  }

  /** Writes down where all stands. Where that fails, opening reads the log. */
  checkpoint(): void {
    this.sure(() => {
      const log = { file: this.file, generation: this.head.generation };
      // Another tab may have written one meanwhile.
      const found = Checkpoint.read(this.other, log);
      if (found !== null && found.end > this.noted.end) {
        this.noted = notedIn(found);
        if (!this.wantsCheckpoint(true)) return;
      }
      const parts = makeCheckpoint(this.places, log, this.end);
      let sizeBytes = 0;
      try {
        // What it speaks of must not be lost while it is there.
        this.file.flush();
        this.other.truncate(0);
        for (const part of parts) {
          writeAll(this.other, part, sizeBytes);
          sizeBytes += part.length;
        }
        this.other.flush();
        this.noted = { end: this.end, sizeBytes };
      } catch {
        this.giveUpCheckpoint();
      }
    });
  }

  private write(batches: readonly StorageBatch[]): readonly CommitResult[] {
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
    // All are looked up before anything is written: behind that nothing may throw.
    const kept = [...changed].filter(([key, value]) => this.places.get(key) !== undefined || value !== null);
    if (kept.length === 0) return results;
    const written = kept.map(([key, text]) => ({ entry: this.writer.add(key, text), text }));
    this.append(this.writer.finish(this.head.generation), (at) => {
      for (const { entry, text } of written) this.place(entry, at, text);
    });
    return results;
  }

  private valuesOf(keys: readonly string[]): readonly (string | null)[] {
    const found: (string | null)[] = keys.map(() => null);
    const wanted: { readonly index: number; readonly key: string; readonly place: Place }[] = [];
    keys.forEach((key, index) => {
      const place = this.places.get(key);
      if (place === undefined) return;
      if (place.text === null) wanted.push({ index, key, place });
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
      for (const { index, key, place } of wanted.slice(first, last)) {
        const end = place.at - from + entryBytes(place);
        this.prove(key, place, bytes.subarray(place.at - from, end));
        found[index] = readText(bytes.subarray(end - place.valueBytes, end));
      }
      first = last;
    }
    return found;
  }

  private copy(): void {
    const target = this.other;
    const generation = this.head.generation + 1;
    const places = new LogPlaces(null);
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
      for (const [key, place] of this.places.all()) {
        const entry = bytesOf(this.file, place.at, place.at + entryBytes(place));
        this.prove(key, place, entry);
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
      this.noted = NOTHING_NOTED;
      throw error instanceof CheckpointDoubted ? error : asFailure(error);
    }
    const old = this.file;
    this.head = { slot: this.head.slot === 0 ? 1 : 0, generation };
    this.places = places;
    this.end = end;
    this.compactFromBytes = 0;
    this.isUnproven = false;
    this.noted = NOTHING_NOTED;
    this.noteFromBytes = 0;
    // What is left of it counts no more, since its generation is lower.
    attempt(() => old.truncate(0));
  }

  private get file(): LogFile {
    return this.files.slots[this.head.slot];
  }

  private get other(): LogFile {
    return this.files.slots[1 - this.head.slot] as LogFile;
  }

  private load(): void {
    try {
      this.loadFrom(Checkpoint.read(this.other, { file: this.file, generation: this.head.generation }));
    } catch (error) {
      if (!(error instanceof CheckpointDoubted)) throw error;
      this.loadFrom(null);
    }
  }

  private loadFrom(checkpoint: Checkpoint | null): void {
    this.places = new LogPlaces(checkpoint);
    this.isUnproven = checkpoint !== null;
    this.noted = checkpoint === null ? NOTHING_NOTED : notedIn(checkpoint);
    this.hasRemains = false;
    if (checkpoint === null && this.other.getSize() > 0) this.other.truncate(0);
    this.read(checkpoint?.end ?? HEADER_BYTES);
  }

  /** Where a checkpoint turns out not to be right, the log itself tells. */
  private sure<Result>(work: () => Result): Result {
    try {
      return work();
    } catch (error) {
      if (!(error instanceof CheckpointDoubted)) throw error;
      this.loadFrom(null);
      return work();
    }
  }

  private prove(key: string, place: Place, bytes: Uint8Array): void {
    if (!this.isUnproven) return;
    const entry = readEntry(bytes, 0, bytes.length);
    if (entry?.key !== key || entry.valueBytes !== place.valueBytes) throw new CheckpointDoubted();
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
    if (valueBytes === null) {
      this.places.delete(key);
      return;
    }
    const isShort = text !== null && text.length <= SHORT_UNITS;
    this.places.set(key, { at: from + at, keyBytes, valueBytes, text: isShort ? text : null });
  }

  private append(frame: Uint8Array, onWritten: (at: number) => void): void {
    const at = this.end;
    for (;;) {
      try {
        writeAll(this.file, frame, at);
        this.file.flush();
        break;
      } catch (error) {
        this.hasRemains = true;
        attempt(() => this.clearRemains());
        const failure = asFailure(error);
        if (failure.code !== 'STORAGE_FULL' || this.hasRemains || this.noted.end === 0) throw failure;
        // The checkpoint makes room.
        this.giveUpCheckpoint();
      }
    }
    this.end = at + frame.length;
    onWritten(at);
  }

  private giveUpCheckpoint(): void {
    this.noted = NOTHING_NOTED;
    this.noteFromBytes = this.end + this.sizes.slackBytes;
    attempt(() => this.other.truncate(0));
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
    return this.valuesOf([key])[0] ?? null;
  }
}

function notedIn({ end, sizeBytes }: Checkpoint): Noted {
  return { end, sizeBytes };
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
