import { type CrashPoint, POSITIONS } from '../crasher.ts';
import { replayingDice } from '../choice-tape.ts';
import { Dice } from '../dice.ts';
import { type Plan, SIMPLEST, WAKE_SIGNS } from '../plan.ts';
import { run, type SimulationResult } from '../simulate.ts';
import { Trace } from '../trace.ts';
import { Notebook } from './notebook.ts';
import type { Scenario } from './scenarios.ts';
import { Stage } from './stage.ts';

/** A scenario that broke a promise, and the crashes that made it. */
export interface CrashFailure {
  readonly scenario: string;
  readonly points: readonly CrashPoint[];
  readonly violations: readonly string[];
}

export interface CrashTally {
  readonly scenarios: number;
  readonly portCalls: number;
  /** Runs in which at least one process died at its point. */
  readonly crashes: number;
  readonly runs: number;
  readonly failures: readonly CrashFailure[];
}

/** One telling of the story, with these crashes. */
export function tell(scenario: Scenario, points: readonly CrashPoint[]): Promise<SimulationResult> {
  const plan: Plan = {
    ...SIMPLEST,
    durationMs: 4_000,
    tabCountMax: 2,
    maxRetries: 1,
    hasView: true,
    wakeSign: WAKE_SIGNS.indexOf('online'),
    isWorkspaceShared: true,
    ...scenario.plan,
  };
  const { dice } = replayingDice(scenario.tape ?? {}, null);
  const notebook = scenario.notebook === undefined ? null : new Notebook(scenario.notebook);
  return run(dice, plan, new Trace(), {
    play: (world, [device]) => {
      if (device !== undefined) scenario.play(new Stage(world, device, notebook));
    },
    crashes: points,
    story: notebook,
  });
}

/**
 * Tells the story once to the end, and then once for each call of a port and each position around its effect, with a
 * crash there. With a second crash it crashes again at points of the recovery: at each, or at so many as `pairCountMax` says, thrown
 * over all recoveries of the story, and the same ones each time.
 */
export async function crashEverywhere(scenario: Scenario, pairCountMax = 0): Promise<CrashTally> {
  const failures: CrashFailure[] = [];
  let runs = 0;
  let crashes = 0;
  const attempt = async (points: readonly CrashPoint[]): Promise<SimulationResult> => {
    const result = await tell(scenario, points);
    runs += 1;
    if (result.crashCount > 0) crashes += 1;
    const violations = result.violations.map(({ invariant, message }) => `${invariant} · ${message}`);
    if (violations.length > 0) failures.push({ scenario: scenario.name, points, violations });
    return result;
  };
  const { portCalls } = await attempt([]);
  const pairs: (readonly [CrashPoint, CrashPoint])[] = [];
  for (const first of pointsFrom(1, portCalls.length)) {
    const { portCalls: recovered, crashCount } = await attempt([first]);
    if (pairCountMax === 0 || crashCount === 0) continue;
    for (const second of pointsFrom(first.call + 1, recovered.length)) pairs.push([first, second]);
  }
  const dice = new Dice(pairs.length);
  const chosen = pairs.length <= pairCountMax ? pairs : Array.from({ length: pairCountMax }, () => dice.pick(pairs));
  for (const pair of chosen) await attempt(pair);
  return { scenarios: 1, portCalls: portCalls.length, crashes, runs, failures };
}

export function addCrashTallies(tallies: readonly CrashTally[]): CrashTally {
  const sum = (of: (tally: CrashTally) => number): number => tallies.reduce((total, tally) => total + of(tally), 0);
  return {
    scenarios: sum(({ scenarios }) => scenarios),
    portCalls: sum(({ portCalls }) => portCalls),
    crashes: sum(({ crashes }) => crashes),
    runs: sum(({ runs }) => runs),
    failures: tallies.flatMap(({ failures }) => failures),
  };
}

function pointsFrom(first: number, last: number): readonly CrashPoint[] {
  const points: CrashPoint[] = [];
  for (let call = first; call <= last; call += 1) for (const position of POSITIONS) points.push({ call, position });
  return points;
}
