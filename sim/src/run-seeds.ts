import type { Shape } from './plan.ts';
import { type SimulationResult, simulate } from './simulate.ts';

/** What a run over many seeds came to. */
export interface Tally {
  readonly seeds: number;
  readonly events: number;
  readonly faults: number;
  readonly violations: number;
  readonly virtualMs: number;
  readonly faultsOfEachSeed: readonly number[];
  readonly healingMsOfEachSeed: readonly number[];
  readonly faultsByClass: Readonly<Record<string, number>>;
  /** How often each situation of `facts.ts` was reached. */
  readonly facts: Readonly<Record<string, number>>;
  readonly eventsOfEachSeed: readonly number[];
  readonly failures: readonly Failure[];
}

/** A seed that did not hold, as far as it is told. */
export interface Failure {
  readonly seed: number;
  readonly violations: readonly string[];
  readonly trace: readonly string[];
}

/** Every so many seeds one is run twice, to see that nothing but the seed decides. */
const TWICE_EVERY = 20;
const TRACE_COUNT = 40;

/** How seeds are run. */
export interface SeedsOptions {
  /** Given to every world. @default {} */
  readonly shape?: Shape;
  /** Whether to stop at the first seed that fails. @default false */
  readonly isFirstFailureEnough?: boolean;
  /** Told of each failure at once, since a long run is long. */
  readonly failed?: (failure: Failure) => void;
}

/** Runs the seeds one after the other. */
export async function runSeeds(
  seeds: readonly number[],
  { shape = {}, isFirstFailureEnough = false, failed = () => {} }: SeedsOptions = {},
): Promise<Tally> {
  const results: SimulationResult[] = [];
  const failures: Failure[] = [];
  const faultsByClass: Record<string, number> = {};
  const facts: Record<string, number> = {};
  for (const seed of seeds) {
    const result = await simulate(seed, shape);
    const violations = result.violations.map(({ invariant, message }) => `${invariant} · ${message}`);
    if (violations.length === 0 && seed % TWICE_EVERY === 0 && (await simulate(seed, shape)).hash !== result.hash) {
      violations.push('determinism · a second run of the same seed made other calls');
    }
    results.push({ ...result, tape: [], trace: [], effects: [], rows: new Map() });
    addCounts(faultsByClass, result.faultsByClass);
    addCounts(facts, result.facts);
    if (violations.length === 0) continue;
    const failure = { seed, violations, trace: result.trace.slice(-TRACE_COUNT) };
    failures.push(failure);
    failed(failure);
    if (isFirstFailureEnough) break;
  }
  const sum = (of: (result: SimulationResult) => number): number =>
    results.reduce((total, result) => total + of(result), 0);
  return {
    seeds: results.length,
    events: sum(({ events }) => events),
    faults: sum(({ faults }) => faults),
    violations: failures.reduce((total, { violations }) => total + violations.length, 0),
    virtualMs: sum(({ virtualMs }) => virtualMs),
    faultsOfEachSeed: results.map(({ faults }) => faults),
    healingMsOfEachSeed: results.map(({ healingMs }) => healingMs),
    faultsByClass,
    facts,
    eventsOfEachSeed: results.map(({ events }) => events),
    failures,
  };
}

export function addTallies(tallies: readonly Tally[]): Tally {
  const sum = (of: (tally: Tally) => number): number => tallies.reduce((total, tally) => total + of(tally), 0);
  const faultsByClass: Record<string, number> = {};
  const facts: Record<string, number> = {};
  for (const tally of tallies) {
    addCounts(faultsByClass, Object.entries(tally.faultsByClass));
    addCounts(facts, Object.entries(tally.facts));
  }
  return {
    seeds: sum(({ seeds }) => seeds),
    events: sum(({ events }) => events),
    faults: sum(({ faults }) => faults),
    violations: sum(({ violations }) => violations),
    virtualMs: sum(({ virtualMs }) => virtualMs),
    faultsOfEachSeed: tallies.flatMap(({ faultsOfEachSeed }) => faultsOfEachSeed),
    healingMsOfEachSeed: tallies.flatMap(({ healingMsOfEachSeed }) => healingMsOfEachSeed),
    faultsByClass,
    facts,
    eventsOfEachSeed: tallies.flatMap(({ eventsOfEachSeed }) => eventsOfEachSeed),
    failures: tallies.flatMap(({ failures }) => failures).sort((left, right) => left.seed - right.seed),
  };
}

function addCounts(to: Record<string, number>, counts: Iterable<readonly [name: string, count: number]>): void {
  for (const [name, count] of counts) to[name] = (to[name] ?? 0) + count;
}
