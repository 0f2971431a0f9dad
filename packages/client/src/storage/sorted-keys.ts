/**
 * The keys of a store in code-unit order. Adding and removing cost nothing but a note; the order is made when someone
 * looks, so that a burst of additions is sorted once.
 */
export class SortedKeys {
  private sorted: string[] = [];
  private added: string[] = [];
  /** Gone, but still standing in one of the lists. */
  private readonly removed = new Set<string>();

  /** The key must not be in the store. */
  add(key: string): void {
    if (!this.removed.delete(key)) this.added.push(key);
  }

  /** The key must be in the store. */
  remove(key: string): void {
    this.removed.add(key);
    // Half of them gone: the lists are freed of them, so that looking does not become a walk over graves.
    if (2 * this.removed.size <= this.sorted.length + this.added.length) return;
    this.sorted = this.sorted.filter((each) => !this.removed.has(each));
    this.added = this.added.filter((each) => !this.removed.has(each));
    this.removed.clear();
  }

  /** Keys with the prefix, behind `after`, at most `limit` of them. */
  find(prefix: string, after: string | undefined, limit: number): string[] {
    if (this.added.length > 0) {
      // Two sorted runs, which the platform's sort merges in one pass.
      this.sorted = [...this.sorted, ...this.added.sort()].sort();
      this.added = [];
    }
    const found: string[] = [];
    for (let index = this.firstFrom(prefix, after); index < this.sorted.length && found.length < limit; index += 1) {
      const key = this.sorted[index] as string;
      if (!key.startsWith(prefix)) break;
      if (!this.removed.has(key)) found.push(key);
    }
    return found;
  }

  /** Index of the first key that is neither before the prefix nor up to `after`. */
  private firstFrom(prefix: string, after: string | undefined): number {
    let low = 0;
    let high = this.sorted.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const key = this.sorted[middle] as string;
      if (key < prefix || (after !== undefined && key <= after)) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
