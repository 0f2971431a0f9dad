/** A binary heap: the item that sorts first comes out first. Pushing and popping cost the logarithm of its size. */
export class Heap<Item> {
  private readonly items: Item[] = [];
  private readonly compare: (left: Item, right: Item) => number;
  private readonly placed: (item: Item, index: number) => void;

  /** `placed` hears where an item stands whenever it comes to stand elsewhere, -1 for one that was popped; `moved` wants to know it. */
  constructor(compare: (left: Item, right: Item) => number, placed: (item: Item, index: number) => void = () => {}) {
    this.compare = compare;
    this.placed = placed;
  }

  get size(): number {
    return this.items.length;
  }

  peek(): Item | undefined {
    return this.items[0];
  }

  push(item: Item): void {
    this.items.push(item);
    this.rise(item, this.items.length - 1);
  }

  pop(): Item | undefined {
    const { items } = this;
    const first = items[0];
    const last = items.pop();
    if (items.length > 0 && last !== undefined) this.sink(last, 0);
    if (first !== undefined) this.placed(first, -1);
    return first;
  }

  /** The item at this place sorts elsewhere now. */
  moved(index: number): void {
    const item = this.items[index] as Item;
    const isBefore = index > 0 && this.compare(item, this.items[(index - 1) >> 1] as Item) < 0;
    if (isBefore) this.rise(item, index);
    else this.sink(item, index);
  }

  /** Puts the item where there is room for it, or as far above as it belongs. */
  private rise(item: Item, from: number): void {
    const { items } = this;
    let index = from;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (this.compare(items[parent] as Item, item) <= 0) break;
      this.put(items[parent] as Item, index);
      index = parent;
    }
    this.put(item, index);
  }

  /** Puts the item where there is room for it, or as far below as it belongs. */
  private sink(item: Item, from: number): void {
    const { items } = this;
    let index = from;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= items.length) break;
      if (child + 1 < items.length && this.compare(items[child + 1] as Item, items[child] as Item) < 0) child += 1;
      if (this.compare(item, items[child] as Item) <= 0) break;
      this.put(items[child] as Item, index);
      index = child;
    }
    this.put(item, index);
  }

  private put(item: Item, index: number): void {
    this.items[index] = item;
    this.placed(item, index);
  }
}
