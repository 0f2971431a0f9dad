/** The only source of choices of a simulated world: everything it draws follows from the seed (sfc32). */
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

  /** From 0 (included) to 1 (excluded). */
  next(): number {
    return this.word() / 2 ** 32;
  }

  chance(probability: number): boolean {
    return probability > 0 && this.next() < probability;
  }

  /** A whole number from 0 to `count` − 1. */
  below(count: number): number {
    return Math.floor(this.next() * count);
  }

  between(low: number, high: number): number {
    return low + this.next() * (high - low);
  }

  /** Between the two, small ones as likely as large ones: delays of 10 ms and of 10 s deserve the same attention. */
  logBetween(low: number, high: number): number {
    return low * (high / low) ** this.next();
  }

  pick<Item>(items: readonly Item[]): Item {
    const item = items[this.below(items.length)];
    if (item === undefined) throw new Error('Nothing to pick from.');
    return item;
  }

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
