import { Buffer } from 'node:buffer';
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { Dice } from './dice.ts';

/**
 * The special choices of a world, by purpose, in the order in which the purpose makes them: `[number, value]`. What is
 * not on it is as if nothing had happened: no fault, the first of a list, the shortest time. So deleting from it never
 * leaves a hole, and it can be edited by hand.
 */
export type ChoiceTape = { readonly [purpose: string]: readonly Choice[] };
export type Choice = readonly [number: number, value: number];

/** `request d0 2 responseLost` is of the family `request d0`, its number is 2; −1 for what has none. */
export function partsOf(purpose: string): { readonly family: string; readonly number: number; readonly what: string } {
  const [, family = purpose, number = '-1', what = ''] = /^(.+?) (\d+)( .+)?$/.exec(purpose) ?? [];
  return { family, number: Number(number), what };
}

/** How many special choices a tape makes. */
export function countChoices(tape: ChoiceTape): number {
  return Object.values(tape).reduce((total, choices) => total + choices.length, 0);
}

/** One line that replays anywhere: `npm run sim -- --replay TOKEN`. */
export function tokenOf(tape: ChoiceTape): string {
  return deflateRawSync(Buffer.from(JSON.stringify(tape)), { level: 9 }).toString('base64url');
}

/** Throws when it is not one. */
export function tapeOfToken(token: string): ChoiceTape {
  try {
    return readTape(JSON.parse(inflateRawSync(Buffer.from(token, 'base64url')).toString('utf8')));
  } catch (cause) {
    throw new TypeError(`${token.slice(0, 40)} is no token of a tape.`, { cause });
  }
}

/** Throws when it is not one. */
export function readTape(value: unknown): ChoiceTape {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new TypeError('Not a tape of choices.');
  for (const [purpose, choices] of Object.entries(value)) {
    const isRight =
      Array.isArray(choices) &&
      choices.every(
        (choice) => Array.isArray(choice) && choice.length === 2 && choice.every((part) => Number.isFinite(part)),
      );
    if (!isRight) throw new TypeError(`The choices of ${JSON.stringify(purpose)} are not pairs of numbers.`);
  }
  return value as ChoiceTape;
}

/** Told of every special choice as it is made. */
export type ChoiceListener = (purpose: string, number: number, value: number) => void;

/** Throws the seeded dice and writes down what comes. */
export function recordingDice(seeded: Dice): { readonly dice: Dice; readonly tape: () => ChoiceTape } {
  const deck = new Deck(seeded, {}, null);
  return { dice: deck.of('root'), tape: () => deck.tape() };
}

/** Dice that fall as the tape says, and what of the tape was read. */
export function replayingDice(
  tape: ChoiceTape,
  onChoice: ChoiceListener | null,
): { readonly dice: Dice; readonly read: () => ChoiceTape } {
  const deck = new Deck(null, tape, onChoice);
  return { dice: deck.of('root'), read: () => deck.tape() };
}

/** All purposes of one world. */
class Deck {
  readonly seeded: Dice | null;
  readonly onChoice: ChoiceListener | null;
  private readonly given: ChoiceTape;
  private readonly purposes = new Map<string, PurposeDice>();
  private readonly recorded = new Map<string, Choice[]>();
  /** Ids are no choice: all tapes have the same, each another one. */
  private readonly ids = new Dice(0);

  constructor(seeded: Dice | null, given: ChoiceTape, onChoice: ChoiceListener | null) {
    this.seeded = seeded;
    this.given = given;
    this.onChoice = onChoice;
  }

  of(purpose: string, number?: number): Dice {
    const name = number === undefined ? purpose : `${purpose} ${number}`;
    let dice = this.purposes.get(name);
    if (dice === undefined) {
      dice = new PurposeDice(this, name, new Map(this.given[name]));
      this.purposes.set(name, dice);
    }
    return dice;
  }

  countNumbers(purpose: string): number {
    const numbers = Object.keys(this.given)
      .map(partsOf)
      .filter(({ family }) => family === purpose);
    return Math.max(0, ...numbers.map(({ number }) => number + 1));
  }

  record(purpose: string, choice: Choice): void {
    const choices = this.recorded.get(purpose);
    if (choices === undefined) this.recorded.set(purpose, [choice]);
    else choices.push(choice);
  }

  tape(): ChoiceTape {
    return Object.fromEntries(this.recorded);
  }

  hex(digitCount: number): string {
    this.seeded?.hex(digitCount);
    return this.ids.hex(digitCount);
  }
}

/** The choices of one purpose: thrown and written down, or read. */
class PurposeDice extends Dice {
  private readonly deck: Deck;
  private readonly purpose: string;
  private readonly given: ReadonlyMap<number, number>;
  private count = 0;

  constructor(deck: Deck, purpose: string, given: ReadonlyMap<number, number>) {
    super(0);
    this.deck = deck;
    this.purpose = purpose;
    this.given = given;
  }

  override of(purpose: string, number?: number): Dice {
    return this.deck.of(purpose, number);
  }

  override next(otherwise = 0): number {
    return this.choose(otherwise, (dice) => dice.next());
  }

  /** What has a name has a line of its own, so that it stays where it is when something else is asked before it. */
  override chance(probability: number, what?: string): boolean {
    if (what !== undefined) return this.deck.of(`${this.purpose} ${what}`).chance(probability);
    return this.choose(0, (dice) => (dice.chance(probability) ? 1 : 0)) !== 0;
  }

  override happens(): boolean {
    return this.choose(0, () => 1) !== 0;
  }

  override momentAfter(nowMs: number, perMinute: number): number | null {
    const atMs = this.choose(-1, (dice) => dice.momentAfter(nowMs, perMinute) ?? -1);
    return atMs < 0 ? null : Math.max(nowMs, atMs);
  }

  override howMany(purpose: string, planned: number): number {
    return this.deck.seeded === null ? this.deck.countNumbers(purpose) : planned;
  }

  override below(count: number): number {
    return Math.min(Math.max(0, Math.floor(this.choose(0, (dice) => dice.below(count)))), Math.max(0, count - 1));
  }

  override between(low: number, high: number): number {
    return Math.min(
      Math.max(
        this.choose(low, (dice) => dice.between(low, high)),
        low,
      ),
      high,
    );
  }

  override logBetween(low: number, high: number): number {
    return Math.min(
      Math.max(
        this.choose(low, (dice) => dice.logBetween(low, high)),
        low,
      ),
      high,
    );
  }

  override hex(digitCount: number): string {
    return this.deck.hex(digitCount);
  }

  private choose(otherwise: number, draw: (seeded: Dice) => number): number {
    const { deck, purpose, count } = this;
    this.count += 1;
    if (deck.seeded === null) {
      const value = this.given.get(count);
      if (value === undefined) return otherwise;
      deck.onChoice?.(purpose, count, value);
      deck.record(purpose, [count, value]);
      return value;
    }
    const value = draw(deck.seeded);
    if (value !== otherwise) deck.record(purpose, [count, value]);
    return value;
  }
}
