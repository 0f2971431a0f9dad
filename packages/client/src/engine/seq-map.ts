/** Numbers of one chunk follow each other, as those of mutations nearly always do. */
const CHUNK_COUNT = 256;

interface Chunk<Item> {
  readonly items: (Item | undefined)[];
  count: number;
}

/** Like a map from numbers, in a fifth of its room: a place in a list for each number, as long as one near it is there. */
export class SeqMap<Item> {
  private readonly chunks = new Map<number, Chunk<Item>>();

  get(seq: number): Item | undefined {
    return this.chunks.get(Math.floor(seq / CHUNK_COUNT))?.items[seq % CHUNK_COUNT];
  }

  set(seq: number, item: Item): void {
    const number = Math.floor(seq / CHUNK_COUNT);
    let chunk = this.chunks.get(number);
    if (chunk === undefined) {
      chunk = { items: Array.from({ length: CHUNK_COUNT }), count: 0 };
      this.chunks.set(number, chunk);
    }
    if (chunk.items[seq % CHUNK_COUNT] === undefined) chunk.count += 1;
    chunk.items[seq % CHUNK_COUNT] = item;
  }

  delete(seq: number): void {
    const number = Math.floor(seq / CHUNK_COUNT);
    const chunk = this.chunks.get(number);
    if (chunk === undefined || chunk.items[seq % CHUNK_COUNT] === undefined) return;
    chunk.items[seq % CHUNK_COUNT] = undefined;
    chunk.count -= 1;
    if (chunk.count === 0) this.chunks.delete(number);
  }
}
