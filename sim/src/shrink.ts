import { type ChoiceTape, countChoices, partsOf } from './choice-tape.ts';
import { BY_THE_MINUTE } from './plan.ts';

/** What became of replaying a tape: whether it still breaks what it is to break, and what of it was read. */
export interface Attempt {
  readonly isFailure: boolean;
  readonly read: ChoiceTape;
}

export interface Shrunk {
  readonly tape: ChoiceTape;
  readonly replayCount: number;
}

interface Item {
  readonly purpose: string;
  readonly number: number;
  readonly value: number;
}

/** No more replays than this, whatever is left. */
const REPLAY_COUNT_MAX = 6_000;
/** Removing each two of so many choices is still quick. */
const PAIR_COUNT_MAX = 60;

/**
 * The smallest tape it can find that still fails: whole kinds of choices go first (all orders, all delays of storage),
 * then what belongs to one change, request or call, then single choices, then pairs; what is left gets round values and
 * low numbers. Null when the tape does not fail at all.
 */
export async function shrink(
  tape: ChoiceTape,
  attempt: (tape: ChoiceTape) => Promise<Attempt>,
): Promise<Shrunk | null> {
  const shrinker = new Shrinker(attempt);
  if (!(await shrinker.accept(itemsOf(tape)))) return null;
  for (let before = Number.POSITIVE_INFINITY; shrinker.items.length < before && !shrinker.isTired; ) {
    before = shrinker.items.length;
    await shrinker.dropGroups(kindOf);
    await shrinker.dropGroups(unitOf);
    await shrinker.dropSingles();
    await shrinker.closeGaps();
    await shrinker.round();
    if (shrinker.items.length === before) await shrinker.dropPairs();
  }
  return { tape: tapeOf(shrinker.items), replayCount: shrinker.replayCount };
}

class Shrinker {
  items: readonly Item[] = [];
  replayCount = 0;
  private readonly attempt: (tape: ChoiceTape) => Promise<Attempt>;
  private readonly refused = new Set<string>();

  constructor(attempt: (tape: ChoiceTape) => Promise<Attempt>) {
    this.attempt = attempt;
  }

  get isTired(): boolean {
    return this.replayCount >= REPLAY_COUNT_MAX;
  }

  /** Whether it still fails so; then it is what we go on from, without what nobody read. */
  async accept(items: readonly Item[]): Promise<boolean> {
    const tape = tapeOf(items);
    const text = JSON.stringify(tape);
    if (this.isTired || this.refused.has(text)) return false;
    this.replayCount += 1;
    const { isFailure, read } = await this.attempt(tape);
    if (isFailure) this.items = itemsOf(countChoices(read) < items.length ? read : tape);
    else this.refused.add(text);
    return isFailure;
  }

  /** Takes away groups: half of them at once, then a quarter, down to one. */
  async dropGroups(groupOf: (purpose: string) => string): Promise<void> {
    const groups = [...new Set(this.items.map(({ purpose }) => groupOf(purpose)))];
    await this.dropChunks(groups, (gone) => {
      const names = new Set(gone);
      return withoutGaps(
        this.items.filter(({ purpose }) => !names.has(groupOf(purpose))),
        CHAINS,
      );
    });
  }

  async dropSingles(): Promise<void> {
    await this.dropChunks([...this.items], (gone) => {
      const names = new Set(gone.map(nameOf));
      return withoutGaps(
        this.items.filter((item) => !names.has(nameOf(item))),
        CHAINS,
      );
    });
  }

  async dropPairs(): Promise<void> {
    const all = this.items;
    if (all.length > PAIR_COUNT_MAX) return;
    for (const [index, left] of all.entries()) {
      for (const right of all.slice(index + 1)) {
        const names = new Set([nameOf(left), nameOf(right)]);
        if (await this.accept(this.items.filter((item) => !names.has(nameOf(item))))) return;
      }
    }
  }

  /** So that the first change is change 0; and what came at the ninth opportunity may come at an earlier one. */
  async closeGaps(): Promise<void> {
    const families = [...new Set(this.items.map(({ purpose }) => partsOf(purpose).family))];
    await this.accept(withoutGaps(this.items, families));
    for (const family of families) await this.accept(withoutGaps(this.items, [family]));
  }

  /** Round numbers, and small ones. */
  async round(): Promise<void> {
    for (const { purpose, number, value } of this.items) {
      for (const simpler of simplerThan(value)) {
        const items = this.items.map((item) =>
          item.purpose === purpose && item.number === number ? { purpose, number, value: simpler } : item,
        );
        if (await this.accept(items)) break;
      }
    }
  }

  private async dropChunks<Part>(
    parts: readonly Part[],
    without: (gone: readonly Part[]) => readonly Item[],
  ): Promise<void> {
    let left = [...parts];
    for (let size = Math.ceil(left.length / 2); size >= 1; size = Math.floor(size / 2)) {
      for (let at = 0; at < left.length && !this.isTired; ) {
        const items = without(left.slice(at, at + size));
        const isGone = items.length < this.items.length && (await this.accept(items));
        if (isGone) left = [...left.slice(0, at), ...left.slice(at + size)];
        else at += size;
      }
    }
  }
}

/** What comes by the minute comes one after the other: without the first there is no second. */
const CHAINS: readonly string[] = BY_THE_MINUTE;

function withoutGaps(items: readonly Item[], families: readonly string[]): readonly Item[] {
  const numbers = new Map<string, number[]>(families.map((family) => [family, []]));
  for (const { purpose } of items) {
    const { family, number } = partsOf(purpose);
    const known = numbers.get(family);
    if (number >= 0 && known?.includes(number) === false) known.push(number);
  }
  for (const known of numbers.values()) known.sort((left, right) => left - right);
  return items.map((item) => {
    const { family, number, what } = partsOf(item.purpose);
    const known = numbers.get(family);
    if (known === undefined || number < 0) return item;
    const first = FIRST_IS_ONE.test(family) ? 1 : 0;
    return { ...item, purpose: `${family} ${known.indexOf(number) + first}${what}` };
  });
}

const FIRST_IS_ONE = /^(storage d|request d|message to |opening$)/;

/** All orders, all delays of storage, all lost requests. */
function kindOf(purpose: string): string {
  const { family, what } = partsOf(purpose);
  return `${family.split(' ', 1)[0]}${what}`;
}

/** All that belongs to one change, one request, one call. */
function unitOf(purpose: string): string {
  const { family, number } = partsOf(purpose);
  return `${family} ${number}`;
}

function simplerThan(value: number): readonly number[] {
  const candidates = [
    1,
    Math.round(value),
    Number(value.toPrecision(1)),
    Number(value.toPrecision(2)),
    Math.trunc(value / 2),
  ];
  return [...new Set(candidates)]
    .filter((each) => each !== 0 && length(each) < length(value))
    .sort((left, right) => length(left) - length(right));
}

function length(value: number): number {
  return `${value}`.length + (value > 1 ? 0.5 : 0);
}

function nameOf({ purpose, number }: Item): string {
  return `${purpose} [${number}]`;
}

function itemsOf(tape: ChoiceTape): readonly Item[] {
  return Object.entries(tape).flatMap(([purpose, choices]) =>
    choices.map(([number, value]) => ({ purpose, number, value })),
  );
}

function tapeOf(items: readonly Item[]): ChoiceTape {
  const tape: Record<string, [number, number][]> = {};
  for (const { purpose, number, value } of items) (tape[purpose] ??= []).push([number, value]);
  return tape;
}
