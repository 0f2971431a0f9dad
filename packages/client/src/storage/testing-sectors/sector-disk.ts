import type { Random } from '../../ports/clock.ts';

const SECTOR_BYTES = 512;

type Pending =
  | { readonly kind: 'write'; readonly at: number; readonly bytes: Uint8Array }
  | { readonly kind: 'size'; readonly bytes: number };

/** What a file holds: as programs see it, and as it surely stands on the disk. */
class Content {
  live: Uint8Array;
  private stored: Uint8Array;
  private pending: Pending[] = [];

  constructor(bytes: Uint8Array = new Uint8Array()) {
    this.live = bytes;
    this.stored = bytes;
  }

  write(at: number, bytes: Uint8Array): void {
    this.live = written(this.live, at, bytes);
    // The disk writes sectors, each by itself.
    for (let from = 0; from < bytes.length; ) {
      const to = Math.min(bytes.length, from + SECTOR_BYTES - ((at + from) % SECTOR_BYTES));
      this.pending.push({ kind: 'write', at: at + from, bytes: bytes.slice(from, to) });
      from = to;
    }
  }

  resize(bytes: number): void {
    this.live = resized(this.live, bytes);
    this.pending.push({ kind: 'size', bytes });
  }

  flush(): void {
    this.stored = this.live;
    this.pending = [];
  }

  /** Any of what was not flushed may have got there, in any order, and the last of it in part. */
  afterLoss(random: Random): Content {
    const share = random();
    const arrived = this.pending.filter(() => random() < share);
    for (let index = arrived.length - 1; index > 0; index -= 1) {
      const other = Math.floor(random() * (index + 1));
      [arrived[index], arrived[other]] = [arrived[other] as Pending, arrived[index] as Pending];
    }
    let bytes = this.stored;
    for (const [index, each] of arrived.entries()) {
      const isTorn = each.kind === 'write' && index === arrived.length - 1 && random() < 0.5;
      if (each.kind === 'size') bytes = resized(bytes, each.bytes);
      else {
        const count = isTorn ? Math.floor(random() * each.bytes.length) : each.bytes.length;
        bytes = written(bytes, each.at, each.bytes.subarray(0, count));
      }
    }
    return new Content(bytes);
  }
}

/** A name in the folder: what may stand under it after a loss, the last of them as programs see it. Null: nothing. */
type Name = (Content | null)[];

/**
 * A disk that loses its power: what was written and not flushed is lost, torn or there, sector by sector and in any order, and a
 * file that was removed may be there again unless the folder was flushed, too. From its last operation on everything fails.
 */
export class SectorDisk {
  private names = new Map<string, Name>();
  private leftCount = Number.POSITIVE_INFINITY;

  /** So many operations that change something, and then the power is gone. */
  losePowerAfter(count: number): void {
    this.leftCount = count;
  }

  get isOn(): boolean {
    return this.leftCount > 0;
  }

  /** Power is back. */
  restart(random: Random): void {
    const before = this.names;
    this.names = new Map();
    for (const [path, contents] of before) {
      const found = contents[Math.floor(random() * contents.length)] ?? null;
      if (found !== null) this.names.set(path, [found.afterLoss(random)]);
    }
    this.leftCount = Number.POSITIVE_INFINITY;
  }

  exists(path: string): boolean {
    return this.contentOf(path) !== null;
  }

  /** False where it would have to be made, and may not be. */
  open(path: string, mayCreate: boolean): boolean {
    if (this.exists(path)) return true;
    if (!mayCreate || !this.step()) return false;
    this.names.set(path, [...(this.names.get(path) ?? [null]), new Content()]);
    return true;
  }

  remove(path: string, isFolderFlushed: boolean): boolean {
    if (!this.step()) return false;
    this.names.set(path, isFolderFlushed ? [null] : [...(this.names.get(path) ?? []), null]);
    return true;
  }

  read(path: string, at: number, count: number): Uint8Array {
    return this.live(path).subarray(at, at + count);
  }

  sizeOf(path: string): number {
    return this.live(path).length;
  }

  write(path: string, at: number, bytes: Uint8Array): boolean {
    return this.change(path, (content) => content.write(at, bytes));
  }

  resize(path: string, bytes: number): boolean {
    return this.change(path, (content) => content.resize(bytes));
  }

  /** A file that is flushed is in its folder, too. */
  flush(path: string): boolean {
    return this.change(path, (content) => {
      content.flush();
      this.names.set(path, [content]);
    });
  }

  private change(path: string, work: (content: Content) => void): boolean {
    const content = this.contentOf(path);
    if (content === null || !this.step()) return false;
    work(content);
    return true;
  }

  private live(path: string): Uint8Array {
    return this.contentOf(path)?.live ?? new Uint8Array();
  }

  private contentOf(path: string): Content | null {
    return this.names.get(path)?.at(-1) ?? null;
  }

  private step(): boolean {
    this.leftCount -= 1;
    return this.leftCount >= 0;
  }
}

function written(file: Uint8Array, at: number, bytes: Uint8Array): Uint8Array {
  const next = new Uint8Array(Math.max(file.length, at + bytes.length));
  next.set(file);
  next.set(bytes, at);
  return next;
}

function resized(file: Uint8Array, bytes: number): Uint8Array {
  const next = new Uint8Array(bytes);
  next.set(file.subarray(0, bytes));
  return next;
}
