import type { Entry } from './entry.ts';

/** Mutations that are delivered strictly in order: only the head may be in flight. */
export class Lane {
  readonly name: string;
  /** The head is not tried before this time (monotonic): a backoff, or a deferral. */
  dueAtMs = 0;
  /** The `seq` under which the lane stands in the ready heap, so that it stands there once. */
  listedSeq: number | null = null;
  /** The last one that the server is known to have settled; null when none is known. */
  settledSeq: number | null = null;
  private entries: Entry[] = [];
  private first = 0;

  constructor(name: string) {
    this.name = name;
  }

  get head(): Entry | undefined {
    return this.entries[this.first];
  }

  get size(): number {
    return this.entries.length - this.first;
  }

  /** Keeps the order of `seq`, whichever order they become known in. */
  insert(entry: Entry): void {
    const { entries } = this;
    let index = entries.length;
    while (index > this.first && (entries[index - 1] as Entry).header.seq > entry.header.seq) index -= 1;
    entries.splice(index, 0, entry);
  }

  /** Takes out an entry, nearly always the head. */
  remove(entry: Entry): void {
    if (this.head !== entry) {
      const index = this.entries.indexOf(entry, this.first);
      if (index >= 0) this.entries.splice(index, 1);
      return;
    }
    this.first += 1;
    // Freed in halves, so that removing costs the same however long the lane is.
    if (this.first * 2 > this.entries.length) {
      this.entries = this.entries.slice(this.first);
      this.first = 0;
    }
  }
}
