/** What is compared with tolerance: the numbers of one, in the order that its type gives them. */
interface Listed<Item> {
  /** The first number; all are alike in it when a type compares none. */
  readonly first: number;
  readonly values: readonly number[];
  /** Who came first. */
  readonly order: number;
  readonly item: Item;
}

/**
 * Finds those that are near in every number, among those of one exact key. A look costs the logarithm of how many have
 * that key, and those near in the first number.
 */
export class NearIndex<Item> {
  /** By exact key; sorted by the first number. */
  private readonly byKey = new Map<string, Listed<Item>[]>();

  add(key: string, values: readonly number[], order: number, item: Item): void {
    const list = this.byKey.get(key) ?? [];
    this.byKey.set(key, list);
    const [first = 0] = values;
    list.splice(firstFrom(list, first), 0, { first, values, order, item });
  }

  remove(key: string, values: readonly number[], item: Item): void {
    const list = this.byKey.get(key) ?? [];
    const [first = 0] = values;
    let at = firstFrom(list, first);
    while (at < list.length && list[at]?.item !== item) at += 1;
    list.splice(at, 1);
    if (list.length === 0) this.byKey.delete(key);
  }

  /** All within the tolerances, whoever came first before the others. */
  find(key: string, values: readonly number[], tolerances: readonly number[]): readonly Item[] {
    const list = this.byKey.get(key) ?? [];
    const [value = 0] = values;
    const [tolerance = 0] = tolerances;
    const found: Listed<Item>[] = [];
    for (let at = firstFrom(list, value - tolerance); at < list.length; at += 1) {
      const each = list[at] as Listed<Item>;
      if (each.first > value + tolerance) break;
      // One that was kept by an earlier version of the app may have been described by other numbers.
      if (each.values.length === values.length && isNear(each.values, values, tolerances)) found.push(each);
    }
    return found.sort((left, right) => left.order - right.order).map(({ item }) => item);
  }
}

/** Where the first one stands whose first number is not below `value`. */
function firstFrom<Item>(list: readonly Listed<Item>[], value: number): number {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((list[middle] as Listed<Item>).first < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** All three are of one length. */
function isNear(left: readonly number[], right: readonly number[], tolerances: readonly number[]): boolean {
  return left.every((value, index) => Math.abs(value - (right[index] as number)) <= (tolerances[index] as number));
}
