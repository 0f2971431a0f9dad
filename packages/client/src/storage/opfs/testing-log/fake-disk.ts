import type { LogFile, LogFiles } from '../log-file.ts';

const SECTOR_BYTES = 512;

/** Files that can fail at any operation, have no room left, and lose what was not flushed. */
export class FakeDisk {
  readonly files: LogFiles;
  /** Operations that change something, so far. */
  operationCount = 0;
  /** Bytes that were read, so far. */
  readBytes = 0;
  /** What all files may take together. */
  roomBytes: number = Number.POSITIVE_INFINITY;
  /** Before which operation it happens; from then on nothing works. */
  private killAt = Number.POSITIVE_INFINITY;
  private readonly failing = new Map<number, 'short' | 'throws'>();
  private readonly fakes: readonly FakeFile[];
  private generationCount = 0;

  constructor(contents: readonly Uint8Array[] = []) {
    const fakes = [0, 1, 2].map((index) => new FakeFile(this, contents[index] ?? new Uint8Array()));
    this.fakes = fakes;
    const [one, other, aside] = fakes as [FakeFile, FakeFile, FakeFile];
    this.files = { slots: [one, other], aside, newGeneration: () => (this.generationCount += 1) };
  }

  killBefore(operation: number): void {
    this.killAt = operation;
  }

  /** This operation fails once: by an error, or by writing only half. */
  failAt(operation: number, how: 'short' | 'throws'): void {
    this.failing.set(operation, how);
  }

  step(): 'short' | 'throws' | 'goesOn' {
    this.operationCount += 1;
    if (this.operationCount >= this.killAt) throw new Error('killed');
    return this.failing.get(this.operationCount) ?? 'goesOn';
  }

  /** The process ended: everything that was written is there, and may be lost still where it was not flushed. */
  afterKill(): FakeDisk {
    const disk = new FakeDisk(this.fakes.map(({ flushed }) => flushed.slice()));
    disk.fakes.forEach((fake, index) => {
      fake.bytes = this.contents()[index]?.slice() ?? new Uint8Array();
    });
    return disk;
  }

  /** The power went: of what was not flushed, each sector is there or not, as `keeps` says. */
  afterPowerLoss(keeps: () => boolean): FakeDisk {
    return new FakeDisk(this.fakes.map((file) => file.torn(keeps)));
  }

  get usedBytes(): number {
    return this.fakes.reduce((sum, { bytes }) => sum + bytes.length, 0);
  }

  contents(): readonly Uint8Array[] {
    return this.fakes.map(({ bytes }) => bytes);
  }
}

class FakeFile implements LogFile {
  bytes: Uint8Array;
  flushed: Uint8Array;
  private readonly disk: FakeDisk;

  constructor(disk: FakeDisk, bytes: Uint8Array) {
    this.disk = disk;
    this.bytes = bytes;
    this.flushed = bytes.slice();
  }

  read(buffer: Uint8Array, { at }: { readonly at: number }): number {
    const part = this.bytes.subarray(at, at + buffer.length);
    this.disk.readBytes += part.length;
    buffer.set(part);
    return part.length;
  }

  write(bytes: Uint8Array, { at }: { readonly at: number }): number {
    const how = this.disk.step();
    if (how === 'throws') throw new DOMException('The disk failed.', 'InvalidStateError');
    const fitting = Math.max(0, this.disk.roomBytes - this.disk.usedBytes + this.bytes.length - at);
    const part = how === 'short' ? bytes.subarray(0, bytes.length >> 1) : bytes.subarray(0, fitting);
    const size = Math.max(this.bytes.length, at + part.length);
    const grown = new Uint8Array(size);
    grown.set(this.bytes);
    grown.set(part, at);
    this.bytes = grown;
    return part.length;
  }

  truncate(sizeBytes: number): void {
    if (this.disk.step() !== 'goesOn') throw new DOMException('The disk failed.', 'InvalidStateError');
    const cut = new Uint8Array(sizeBytes);
    cut.set(this.bytes.subarray(0, sizeBytes));
    this.bytes = cut;
  }

  getSize(): number {
    return this.bytes.length;
  }

  flush(): void {
    if (this.disk.step() !== 'goesOn') throw new DOMException('The disk failed.', 'InvalidStateError');
    this.flushed = this.bytes.slice();
  }

  torn(keeps: () => boolean): Uint8Array {
    // The new length may have reached the disk or not; what was never filled reads as zeros.
    const size = keeps() ? this.bytes.length : this.flushed.length;
    const torn = new Uint8Array(size);
    for (let at = 0; at < size; at += SECTOR_BYTES) {
      const source = keeps() ? this.bytes : this.flushed;
      torn.set(source.subarray(at, Math.min(size, at + SECTOR_BYTES)), at);
    }
    return torn;
  }
}
