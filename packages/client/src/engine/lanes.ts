import { lanesOf, placeOf } from '../mutation/record.ts';
import type { Entry } from './entry.ts';
import { LongLane, type SettledInLane } from './long-lane.ts';

/** A lane rises one level for each of these that its head has waited, in milliseconds. */
export const LEVEL_MS = 60_000;
/** One that may kill its server lets others go first, by this much for each time, in milliseconds. */
const SUSPICION_MS = 600_000;

/**
 * Mutations by lane, each of which is delivered strictly in order: only its head may be in flight. A long queue has very many lanes
 * with one mutation each, so that one is all that is kept of such a lane.
 */
export class Lanes {
  /** The one that is alone there, or all of them from when there are more. */
  private readonly byName = new Map<string, Entry | LongLane>();
  /** Brings one that stands alone in the lane of this name, and is not in memory as an entry yet; none where nobody does. */
  private readonly fetch: (name: string) => Entry | undefined;

  constructor(fetch: (name: string) => Entry | undefined = () => undefined) {
    this.fetch = fetch;
  }

  private at(name: string): Entry | LongLane | undefined {
    return this.byName.get(name) ?? this.fetch(name);
  }

  headOf(name: string): Entry | undefined {
    const lane = this.at(name);
    return lane instanceof LongLane ? lane.head : lane;
  }

  /** The newest. */
  tailOf(name: string): Entry | undefined {
    const lane = this.at(name);
    return lane instanceof LongLane ? lane.tail : lane;
  }

  sizeOf(name: string): number {
    const lane = this.at(name);
    return lane instanceof LongLane ? lane.size : lane === undefined ? 0 : 1;
  }

  /** The highest priority that waits there: 0 for high, 1 for normal, 2 for low. Of a lane that nobody stands in there is none. */
  levelOf(name: string): number {
    const lane = this.at(name);
    return lane instanceof LongLane
      ? lane.level
      : lane === undefined
        ? Number.POSITIVE_INFINITY
        : LEVELS[lane.priority];
  }

  /** The last one in its order that the server is known to have settled; null when none is known. */
  settledOf(name: string): SettledInLane | null {
    const lane = this.at(name);
    return lane instanceof LongLane ? lane.settled : null;
  }

  /** Kept while others stand there. */
  noteSettled(name: string, settled: SettledInLane | null): void {
    const lane = this.at(name);
    if (lane !== undefined) this.longLane(name, lane).settled = settled;
  }

  /**
   * When this head of its lanes began to wait, and a minute later for each level that the highest of them is below the highest: so a
   * lane that has waited a minute longer goes before one of the next higher level. It does not change while time passes, so it can
   * stand in a heap.
   */
  rankMsOf(head: Entry): number {
    let level = Number.POSITIVE_INFINITY;
    for (const name of lanesOf(head)) level = Math.min(level, this.levelOf(name));
    return head.waitingSinceMs + level * LEVEL_MS + head.suspicionCount * SUSPICION_MS;
  }

  /** Those that stand there behind this place; looks at the whole lane. */
  after(name: string, place: number): Entry[] {
    const lane = this.at(name);
    if (lane instanceof LongLane) return lane.after(place);
    return lane !== undefined && placeOf(lane) > place ? [lane] : [];
  }

  /** The first one for which this holds; looks no further. */
  find(name: string, isWanted: (entry: Entry) => boolean): Entry | undefined {
    const lane = this.at(name);
    if (lane instanceof LongLane) return lane.find(isWanted);
    return lane !== undefined && isWanted(lane) ? lane : undefined;
  }

  /** The last one for which this holds; looks no further. */
  findLast(name: string, isWanted: (entry: Entry) => boolean): Entry | undefined {
    const lane = this.at(name);
    return lane instanceof LongLane ? lane.findLast(isWanted) : this.find(name, isWanted);
  }

  /** Keeps the order of their places, whichever order they become known in. */
  insert(name: string, entry: Entry): void {
    const lane = this.at(name);
    if (lane === undefined) this.byName.set(name, entry);
    else this.longLane(name, lane).insert(entry);
  }

  /** Takes out an entry, nearly always the head. */
  remove(name: string, entry: Entry): void {
    const lane = this.at(name);
    if (lane instanceof LongLane) lane.remove(entry);
    if (lane === entry || (lane instanceof LongLane && lane.size === 0)) this.byName.delete(name);
  }

  private longLane(name: string, lane: Entry | LongLane): LongLane {
    if (lane instanceof LongLane) return lane;
    const long = new LongLane(lane);
    this.byName.set(name, long);
    return long;
  }
}

/** Of a waiting one that is alone in its lane. */
export function rankMsAlone({ waitingSinceMs, priority }: Pick<Entry, 'waitingSinceMs' | 'priority'>): number {
  return waitingSinceMs + LEVELS[priority] * LEVEL_MS;
}

const LEVELS = { high: 0, normal: 1, low: 2 } as const;
