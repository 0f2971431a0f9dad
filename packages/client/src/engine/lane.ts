import { placeOf } from '../mutation/record.ts';
import type { Entry } from './entry.ts';
import { LongLane } from './long-lane.ts';

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
  /** The last one in its order that the server is known to have settled; null when none is known. */
  settled: { readonly seq: number; readonly place: number } | null = null;
  /** The one that is alone here, as most are: a long queue has very many lanes. */
  private only: Entry | null = null;
  /** Instead, when more than one stands here. */
  private more: LongLane | null = null;

  constructor(name: string) {
    this.name = name;
  }

  get head(): Entry | undefined {
    return this.only ?? this.more?.head;
  }

  /** The newest. */
  get tail(): Entry | undefined {
    return this.only ?? this.more?.tail;
  }

  /** Whether one of high priority waits here. */
  get hasHigh(): boolean {
    return this.size > 0 && this.level === 0;
  }

  get size(): number {
    return this.only === null ? (this.more?.size ?? 0) : 1;
  }

  /**
   * When its head began to wait, and a minute later for each level below the highest: so a lane that has waited a minute
   * longer goes before one of the next higher level. It does not change while time passes, so it can stand in a heap.
   */
  get rankMs(): number {
    const { waitingSinceMs = 0, suspicionCount = 0 } = this.head ?? {};
    return waitingSinceMs + this.level * LEVEL_MS + suspicionCount * SUSPICION_MS;
  }

  /** Those that stand behind this place; looks at the whole lane. */
  after(place: number): Entry[] {
    if (this.only === null) return this.more?.after(place) ?? [];
    return placeOf(this.only.header) > place ? [this.only] : [];
  }

  /** The first one for which this holds; looks no further. */
  find(isWanted: (entry: Entry) => boolean): Entry | undefined {
    if (this.only === null) return this.more?.find(isWanted);
    return isWanted(this.only) ? this.only : undefined;
  }

  /** The last one for which this holds; looks no further. */
  findLast(isWanted: (entry: Entry) => boolean): Entry | undefined {
    return this.only === null ? this.more?.findLast(isWanted) : this.find(isWanted);
  }

  /** Keeps the order of their places, whichever order they become known in. */
  insert(entry: Entry): void {
    if (this.size === 0) {
      this.only = entry;
      return;
    }
    if (this.only !== null) this.more = new LongLane(this.only);
    this.only = null;
    this.more?.insert(entry);
  }

  /** Takes out an entry, nearly always the head. */
  remove(entry: Entry): void {
    if (this.only === entry) this.only = null;
    this.more?.remove(entry);
    if (this.more?.size === 0) this.more = null;
  }

  private get level(): number {
    return this.only === null ? (this.more?.level ?? 0) : LEVELS[this.only.header.priority];
  }
}

const LEVELS = { high: 0, normal: 1, low: 2 } as const;
