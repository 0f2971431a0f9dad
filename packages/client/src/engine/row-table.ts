const FIRST_CAPACITY = 64;

/**
 * A hash table of rows that stand elsewhere, in a number each: what they are hashed by and compared with is looked up there. A row must
 * still say the same when it is taken out.
 */
export class RowTable {
  private readonly hashOf: (row: number) => number;
  /** Each row, and one more: 0 stands for none. */
  private places: Uint32Array = new Uint32Array(FIRST_CAPACITY);
  private count = 0;

  constructor(hashOf: (row: number) => number) {
    this.hashOf = hashOf;
  }

  /** The row of this hash for which it holds. */
  find(hash: number, isWanted: (row: number) => boolean): number | undefined {
    for (let at = this.homeOf(hash); ; at = this.after(at)) {
      const place = this.places[at] as number;
      if (place === 0) return undefined;
      if (isWanted(place - 1)) return place - 1;
    }
  }

  add(row: number): void {
    this.count += 1;
    // In small steps: a table that is twice as large as it must be would take more than all that stands in it.
    if (this.count > 0.8 * this.places.length) this.resize(Math.ceil(1.2 * this.places.length));
    this.put(row);
  }

  delete(row: number): void {
    let gap = this.homeOf(this.hashOf(row));
    while (this.places[gap] !== row + 1) gap = this.after(gap);
    this.count -= 1;
    // Whatever was pushed on by others moves up, so that no look ends at a gap before it.
    for (let at = this.after(gap); ; at = this.after(at)) {
      const place = this.places[at] as number;
      if (place === 0) break;
      const home = this.homeOf(this.hashOf(place - 1));
      if (this.distance(home, at) < this.distance(gap, at)) continue;
      this.places[gap] = place;
      gap = at;
    }
    this.places[gap] = 0;
    if (this.count < 0.3 * this.places.length && this.places.length > FIRST_CAPACITY)
      this.resize(Math.max(FIRST_CAPACITY, Math.ceil(this.places.length / 2)));
  }

  private resize(capacity: number): void {
    const before = this.places;
    this.places = new Uint32Array(capacity);
    for (const place of before) if (place > 0) this.put(place - 1);
  }

  private put(row: number): void {
    let at = this.homeOf(this.hashOf(row));
    while (this.places[at] !== 0) at = this.after(at);
    this.places[at] = row + 1;
  }

  /** Any capacity will do: the high bits of a hash are spread over it. */
  private homeOf(hash: number): number {
    return Math.floor(((hash >>> 0) / 2 ** 32) * this.places.length);
  }

  private after(at: number): number {
    return at + 1 === this.places.length ? 0 : at + 1;
  }

  private distance(from: number, to: number): number {
    return to >= from ? to - from : to - from + this.places.length;
  }
}
