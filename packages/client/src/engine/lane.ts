import { placeOf } from '../mutation/record.ts';
import type { Entry } from './entry.ts';

/** A lane's turn: the lower the rank the sooner. */
export interface Listing {
  readonly lane: Lane;
  readonly head: Entry;
  readonly rankMs: number;
}

/** A lane rises one level for each of these that its head has waited, in milliseconds. */
export const LEVEL_MS = 60_000;
/** One that may kill its server lets others go first, by this much for each time, in milliseconds. */
const SUSPICION_MS = 600_000;

/** Mutations that are delivered strictly in order: only the head may be in flight. */
export class Lane {
  readonly name: string;
  /** How the lane stands in the ready heap; an older listing of it is stale. */
  listing: Listing | null = null;
  /** When the schedule looks at it again (monotonic), while its head is not due. */
  alarmAtMs: number | null = null;
  /** The last one in its order that the server is known to have settled under its number; null when none is known. */
  settled: { readonly seq: number; readonly place: number } | null = null;
  private entries: Entry[] = NO_ENTRIES;
  private first = 0;
  /** How many wait here of each priority. */
  private highCount = 0;
  private normalCount = 0;
  private lowCount = 0;

  constructor(name: string) {
    this.name = name;
  }

  get head(): Entry | undefined {
    return this.entries[this.first];
  }

  /** The newest. */
  get tail(): Entry | undefined {
    return this.entries.at(-1);
  }

  /** Whether one of high priority waits here. */
  get hasHigh(): boolean {
    return this.highCount > 0;
  }

  get size(): number {
    return this.entries.length - this.first;
  }

  /**
   * When its head began to wait, and a minute later for each level below the highest: so a lane that has waited a minute
   * longer goes before one of the next higher level. It does not change while time passes, so it can stand in a heap.
   */
  get rankMs(): number {
    const level = this.highCount > 0 ? 0 : this.normalCount > 0 ? 1 : this.lowCount > 0 ? 2 : 0;
    const { waitingSinceMs = 0, suspicionCount = 0 } = this.head ?? {};
    return waitingSinceMs + level * LEVEL_MS + suspicionCount * SUSPICION_MS;
  }

  /** Those that stand behind this place; looks at the whole lane. */
  after(place: number): Entry[] {
    return this.entries.slice(this.first).filter(({ header }) => placeOf(header) > place);
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
    if (this.size === 0) {
      // One that is alone, as most are, takes no more room than it needs.
      this.entries = [entry];
      this.first = 0;
      return;
    }
    const { entries } = this;
    const place = placeOf(entry.header);
    let index = entries.length;
    while (index > this.first && placeOf((entries[index - 1] as Entry).header) > place) index -= 1;
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

  private count({ header }: Entry, change: 1 | -1): void {
    if (header.priority === 'high') this.highCount += change;
    else if (header.priority === 'normal') this.normalCount += change;
    else this.lowCount += change;
  }
}

/** Never changed. */
const NO_ENTRIES: Entry[] = [];
