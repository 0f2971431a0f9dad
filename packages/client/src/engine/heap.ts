/** A binary heap: the item that sorts first comes out first. Pushing and popping cost the logarithm of its size. */
export class Heap<Item> {
  private readonly items: Item[] = [];
  private readonly compare: (left: Item, right: Item) => number;

  constructor(compare: (left: Item, right: Item) => number) {
    this.compare = compare;
  }

  get size(): number {
    return this.items.length;
  }

  peek(): Item | undefined {
    return this.items[0];
  }

  push(item: Item): void {
    const { items } = this;
    let index = items.length;
    items.push(item);
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (this.compare(items[parent] as Item, item) <= 0) break;
      items[index] = items[parent] as Item;
      index = parent;
    }
    items[index] = item;
  }

  pop(): Item | undefined {
    const { items } = this;
    const first = items[0];
    const last = items.pop();
    if (items.length > 0 && last !== undefined) this.sink(last);
    return first;
  }

  /** Puts the item at the root and lets it sink to its place. */
  private sink(item: Item): void {
    const { items } = this;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= items.length) break;
      if (child + 1 < items.length && this.compare(items[child + 1] as Item, items[child] as Item) < 0) child += 1;
      if (this.compare(item, items[child] as Item) <= 0) break;
      items[index] = items[child] as Item;
      index = child;
    }
    items[index] = item;
  }
}
