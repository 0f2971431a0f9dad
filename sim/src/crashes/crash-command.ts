import { availableParallelism } from 'node:os';
import { performance } from 'node:perf_hooks';
import process from 'node:process';
import { Worker } from 'node:worker_threads';
import type { CrashPoint, Position } from '../crasher.ts';
import type { CrashFailure, CrashTally } from './crash-suite.ts';

export interface CrashOptions {
  /** So many second crashes in each story at most; 0 for none. */
  readonly pairCountMax: number;
  readonly isJson: boolean;
  readonly plant: string | null;
  /** Part of a scenario's name; null for all. */
  readonly scenario: string | null;
  /** The points to crash at, as a failure prints them; null for all. */
  readonly at: string | null;
}

const TOLD_COUNT = 10;

/** Crashes at every point of every scenario, or tells one story with the given crashes. The exit code. */
export async function runCrashes({ pairCountMax, isJson, plant, scenario, at }: CrashOptions): Promise<number> {
  const { addCrashTallies, tell } = await import('./crash-suite.ts');
  const { SCENARIOS } = await import('./scenarios.ts');
  const chosen = SCENARIOS.filter(({ name }) => scenario === null || name.includes(scenario));
  const [first] = chosen;
  if (first === undefined) throw new TypeError(`No scenario is called ${scenario}.`);
  if (at !== null) {
    const { violations, trace, portCalls } = await tell(first, pointsOf(at));
    print(`${first.name}, ${portCalls.length} calls:`, ...trace.map((line) => `  ${line.slice(0, 240)}`));
    print(...violations.map(({ invariant, message }) => `${invariant} · ${message}`));
    return violations.length > 0 ? 1 : 0;
  }
  const startedAtMs = performance.now();
  const threadCount = Math.min(2, availableParallelism());
  const tallies = Array.from({ length: threadCount }, (_, share) => {
    const names = chosen.flatMap(({ name }, index) => (index % threadCount === share ? [name] : []));
    return crashInThread(names, pairCountMax, plant);
  });
  const { scenarios, portCalls, crashes, runs, failures } = addCrashTallies(await Promise.all(tallies));
  const seconds = Math.round((performance.now() - startedAtMs) / 100) / 10;
  if (isJson)
    print(JSON.stringify({ scenarios, portCalls, crashPoints: crashes, violations: failures.length, seconds }));
  else {
    for (const failure of failures.slice(0, TOLD_COUNT)) print(...tellFailure(failure, plant));
    print(
      `${scenarios} scenarios with ${portCalls} port calls, ${crashes} ${pairCountMax > 0 ? 'single and double crashes' : 'crashes'} ` +
        `in ${runs} runs: ${failures.length} broke a promise, ${seconds} s.`,
    );
  }
  return failures.length > 0 ? 1 : 0;
}

export function tellFailure({ scenario, points, violations }: CrashFailure, plant: string | null): readonly string[] {
  const at = points.map(({ call, position }) => `${call}:${position}`).join();
  const more = plant === null ? '' : ` --plant ${plant}`;
  return [
    `\n${scenario}, crashed at ${at === '' ? 'no point' : at}:`,
    ...violations.slice(0, 3).map((message) => `  ${message}`),
    `Replay it: npm run sim -- --crashes --scenario '${scenario}' --at '${at}'${more}`,
  ];
}

function pointsOf(text: string): readonly CrashPoint[] {
  return text.split(',').flatMap((point) => {
    if (point === '') return [];
    const [, call, position] = /^(\d+):(before|after|returned)$/.exec(point) ?? [];
    if (call === undefined) throw new TypeError(`--at takes points such as 17:after, not ${JSON.stringify(point)}.`);
    return [{ call: Number(call), position: position as Position }];
  });
}

/** In a thread of its own, since a planted bug is in what that loads. */
export function crashInThread(
  names: readonly string[],
  pairCountMax: number,
  plant: string | null,
): Promise<CrashTally> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL('crash-worker.ts', import.meta.url), {
      workerData: { names, pairCountMax, plant },
      execArgv: ['--disable-warning=ExperimentalWarning', '--conditions=@holdfast/source'],
    });
    worker.once('message', resolve);
    worker.once('error', reject);
  });
}

function print(...lines: readonly string[]): void {
  process.stdout.write(`${lines.join('\n')}\n`);
}
