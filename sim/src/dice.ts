/**
 * The only source of choices of a simulated world: everything it draws follows from the seed (sfc32). Whoever draws says
 * for what (`of`), and what it would be if nothing special happened is the zero of each choice: no fault, the first of a
 * list, the shortest time. So a world can also be read from a tape that names only what is special (`choice-tape.ts`).
 */
export class Dice {
  private a: number;
  private b: number;
  private c: number;
  private counter = 1;

  constructor(seed: number) {
    this.a = seed | 0;
    this.b = (seed / 2 ** 32) | 0;
    this.c = 0x9e3779b9;
    for (let round = 0; round < 12; round += 1) this.word();
  }

  /**
   * The choices of one purpose, such as the third request of a device. On a tape they stay together, whatever becomes of
   * others; the seed does not care.
   */
  of(_purpose: string, _number?: number): Dice {
    return this;
  }

  /** From 0 (included) to 1 (excluded). A tape that is silent says `otherwise`. */
  next(_otherwise = 0): number {
    return this.word() / 2 ** 32;
  }

  /** `_what` is the name of what happens then, for those who read a tape. */
  chance(probability: number, _what?: string): boolean {
    return probability > 0 && this.word() / 2 ** 32 < probability;
  }

  /** Of what happens in every world of a seed (one of its changes), and on a tape only if the tape says so. */
  happens(): boolean {
    return true;
  }

  /** The moment at which something comes that comes so often a minute, after `nowMs`; null for never. */
  momentAfter(nowMs: number, perMinute: number): number | null {
    return perMinute === 0 ? null : nowMs + (-Math.log(1 - this.next()) * 60_000) / perMinute;
  }

  /** How many numbers a purpose has: as many as planned, or as the tape has. */
  howMany(_purpose: string, planned: number): number {
    return planned;
  }

  /** A whole number from 0 to `count` − 1. */
  below(count: number): number {
    return Math.floor((this.word() / 2 ** 32) * count);
  }

  between(low: number, high: number): number {
    return low + (this.word() / 2 ** 32) * (high - low);
  }

  /** Between the two, small ones as likely as large ones: delays of 10 ms and of 10 s deserve the same attention. */
  logBetween(low: number, high: number): number {
    return low * (high / low) ** (this.word() / 2 ** 32);
  }

  pick<Item>(items: readonly Item[]): Item {
    const item = items[this.below(items.length)];
    if (item === undefined) throw new Error('Nothing to pick from.');
    return item;
  }

  /** For ids. Not a choice: a tape makes its own, each another one. */
  hex(digitCount: number): string {
    let text = '';
    while (text.length < digitCount) text += this.word().toString(16).padStart(8, '0');
    return text.slice(0, digitCount);
  }

  private word(): number {
    const sum = (((this.a + this.b) | 0) + this.counter) | 0;
    this.counter = (this.counter + 1) | 0;
    this.a = this.b ^ (this.b >>> 9);
    this.b = (this.c + (this.c << 3)) | 0;
    this.c = (((this.c << 21) | (this.c >>> 11)) + sum) | 0;
    return sum >>> 0;
  }
}
