/**
 * The keys of a store in code-unit order. Adding and removing cost nothing but a note; the order is made when someone
 * looks, so that a burst of additions is sorted once. A few stay in a list of their own beside the others: to bring them
 * in would be a walk over all, at each look.
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
    this.added.sort();
    if (this.added.length ** 2 > this.sorted.length) {
      // Two sorted runs, which the platform's sort merges in one pass.
      this.sorted = [...this.sorted, ...this.added].sort();
      this.added = [];
    }
    const { sorted, added } = this;
    const found: string[] = [];
    for (
      let [left, right] = [firstFrom(sorted, prefix, after), firstFrom(added, prefix, after)];
      found.length < limit;
    ) {
      const [one, other] = [sorted[left], added[right]];
      const isLeft = other === undefined || (one !== undefined && one < other);
      const key = isLeft ? one : other;
      if (key === undefined || !key.startsWith(prefix)) break;
      if (isLeft) left += 1;
      else right += 1;
      if (!this.removed.has(key)) found.push(key);
    }
    return found;
  }
}

/** Index of the first key that is neither before the prefix nor up to `after`. */
export function firstFrom(sorted: readonly string[], prefix: string, after?: string): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const key = sorted[middle] as string;
    if (key < prefix || (after !== undefined && key <= after)) low = middle + 1;
    else high = middle;
  }
  return low;
}
