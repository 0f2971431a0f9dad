import { placeOf } from '../mutation/record.ts';
import type { Entry } from './entry.ts';

/** The last one in the order of a lane that the server is known to have settled. */
export interface SettledInLane {
  readonly seq: number;
  readonly place: number;
}

/** Those that stand in one lane, in the order of their places, and how many wait there of each priority. */
export class LongLane {
  settled: SettledInLane | null = null;
  private entries: Entry[];
  private first = 0;
  private highCount = 0;
  private normalCount = 0;
  private lowCount = 0;

  constructor(only: Entry) {
    this.entries = [only];
    this.count(only, 1);
  }

  get head(): Entry | undefined {
    return this.entries[this.first];
  }

  /** The newest. */
  get tail(): Entry | undefined {
    return this.entries.at(-1);
  }

  get size(): number {
    return this.entries.length - this.first;
  }

  /** The highest of those that wait here: 0 for high, 1 for normal, 2 for low. */
  get level(): number {
    return this.highCount > 0 ? 0 : this.normalCount > 0 ? 1 : 2;
  }

  /** Those that stand behind this place; looks at all of them. */
  after(place: number): Entry[] {
    return this.entries.slice(this.first).filter((entry) => placeOf(entry) > place);
  }

  /** The first one for which this holds; looks no further. */
  find(isWanted: (entry: Entry) => boolean): Entry | undefined {
    for (let index = this.first; index < this.entries.length; index += 1) {
      const entry = this.entries[index] as Entry;
      if (isWanted(entry)) return entry;
    }
    return undefined;
  }

  /** The last one for which this holds; looks no further. */
  findLast(isWanted: (entry: Entry) => boolean): Entry | undefined {
    for (let index = this.entries.length - 1; index >= this.first; index -= 1) {
      const entry = this.entries[index] as Entry;
      if (isWanted(entry)) return entry;
    }
    return undefined;
  }

  /** Keeps the order of their places, whichever order they become known in. */
  insert(entry: Entry): void {
    this.count(entry, 1);
    const { entries } = this;
    const place = placeOf(entry);
    let index = entries.length;
    while (index > this.first && placeOf(entries[index - 1] as Entry) > place) index -= 1;
    entries.splice(index, 0, entry);
  }

  /** Takes out an entry, nearly always the head. */
  remove(entry: Entry): void {
    const index = this.head === entry ? this.first : this.entries.indexOf(entry, this.first);
    if (index < 0) return;
    this.count(entry, -1);
    if (index > this.first) {
      this.entries.splice(index, 1);
      return;
    }
    this.first += 1;
    // Freed in halves, so that removing costs the same however long the lane is.
    if (this.first * 2 > this.entries.length) {
      this.entries = this.entries.slice(this.first);
      this.first = 0;
    }
  }

  private count({ priority }: Entry, change: 1 | -1): void {
    if (priority === 'high') this.highCount += change;
    else if (priority === 'normal') this.normalCount += change;
    else this.lowCount += change;
  }
}
