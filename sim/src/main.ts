// npm run sim -- --seeds 500 [--first 1] [--json]     runs seeds; exit code 1 when one fails
// npm run sim -- --seed 17 [--trace FILE]             replays one, with what happened last; FILE gets all of it
// npm run sim -- --seed 17 --record FILE              writes down its choices, to be edited and replayed
// npm run sim -- --seeds 500 --shrink                 makes the first failing seed as small as it can; --record FILE keeps it
// npm run sim -- --replay TOKEN|FILE|SEED             replays a tape of choices, or a seed
// npm run sim -- --seeds 500 --plant NAME             with a planted bug; stops at the first seed that finds it
// npm run sim -- --seeds 500 --shape NAME             worlds in which that planted bug is looked for, without the bug
// npm run sim -- --seeds 500 --dense any|edits|acts|chores  worlds squeezed into half a minute: ten times as much goes wrong in them
// npm run sim -- --crashes [--double [--pairs 200]]   small stories, with a crash at every call of a port
// npm run sim -- --plants [--seeds 3000] [--json]     each planted bug in turn, and how many seeds it took to find it
import { writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { performance } from 'node:perf_hooks';
import process from 'node:process';
import { readOptions, wholeNumber } from '../../scripts/command-line.ts';
import { type Finding, findPlants } from './find-plants.ts';
import { DENSE_FOCUSES, type DenseFocus, type Shape } from './plan.ts';
import { plantBug, plantNamed } from './plant-bug.ts';
import { PLANTS } from './plants.ts';
import type { Tally } from './run-seeds.ts';

const values = readOptions(import.meta.filename, {
  seeds: { type: 'string', default: '500' },
  first: { type: 'string', default: '1' },
  seed: { type: 'string' },
  json: { type: 'boolean', default: false },
  plant: { type: 'string' },
  shape: { type: 'string' },
  dense: { type: 'string' },
  plants: { type: 'boolean', default: false },
  replay: { type: 'string' },
  record: { type: 'string' },
  trace: { type: 'string' },
  shrink: { type: 'boolean', default: false },
  crashes: { type: 'boolean', default: false },
  double: { type: 'boolean', default: false },
  pairs: { type: 'string' },
  scenario: { type: 'string' },
  at: { type: 'string' },
});
const shaped = values.shape ?? values.plant;
const shape: Shape = {
  ...(shaped === undefined
    ? {}
    : orComplain('--plant and --shape take the name of a planted bug', () => plantNamed(shaped)).shape),
  ...(values.dense === undefined ? {} : { dense: focusNamed(values.dense) }),
};
if (values.plants) process.exit(await showPlants());
if (values.plant !== undefined) plantBug(values.plant);
if (values.crashes) process.exit(await crashAll());
// Loaded only now, so that a planted bug is in what they import.
const { runSeeds } = await import('./run-seeds.ts');

if (values.replay !== undefined && !/^\d+$/.test(values.replay)) await replayTape(values.replay);
const oneSeed = values.seed ?? values.replay;
const firstSeed = wholeNumber(oneSeed === undefined ? 'first' : 'seed', oneSeed ?? values.first);
if (values.trace !== undefined) await writeTrace(firstSeed, values.trace);
if (values.record !== undefined && !values.shrink) await recordTape(firstSeed, values.record);
const seedCount = oneSeed === undefined ? wholeNumber('seeds', values.seeds) : 1;
const seeds = Array.from({ length: seedCount }, (_, index) => firstSeed + index);
const startedAtMs = performance.now();
const tally = await run();
const seedsPerHour = Math.round((tally.seeds * 3_600_000) / (performance.now() - startedAtMs));
report(tally);
const [failure] = tally.failures;
if (values.shrink && failure !== undefined) await showShrunk(failure.seed);
process.exitCode = tally.violations > 0 ? 1 : 0;

async function replayTape(text: string): Promise<never> {
  const { findTape } = await import('./tape-files.ts');
  const { tellTape } = await import('./replay-command.ts');
  const { replay: replayWorld } = await import('./simulate.ts');
  const tape = orComplain('--replay takes a token, a file or a seed', () => findTape(text));
  const { result } = await replayWorld(tape, true);
  print(tellTape(tape, result, withPlant()));
  process.exit(result.violations.length > 0 ? 1 : 0);
}

async function writeTrace(seed: number, file: string): Promise<never> {
  const { simulate } = await import('./simulate.ts');
  const { Trace } = await import('./trace.ts');
  const trace = new Trace(Number.POSITIVE_INFINITY);
  const { violations } = await simulate(seed, shape, trace);
  const lines = trace.last(Number.POSITIVE_INFINITY);
  writeFileSync(file, `${lines.join('\n')}\n`);
  for (const { invariant, message } of violations) print(`${invariant} · ${message}`);
  print(`${lines.length} lines written to ${file}.`);
  process.exit(violations.length > 0 ? 1 : 0);
}

async function recordTape(seed: number, file: string): Promise<never> {
  const { writeTapeFile } = await import('./tape-files.ts');
  const { record } = await import('./simulate.ts');
  const { result, tape } = await record(seed, shape);
  const story = result.violations.map(({ invariant, message }) => `${invariant} · ${message}`).join('; ');
  writeTapeFile(file, { story: story || `The world of seed ${seed}.`, tape });
  print(`Written. Replay it: npm run sim -- --replay ${file}`);
  process.exit(result.violations.length > 0 ? 1 : 0);
}

async function run(): Promise<Tally> {
  if (values.plant !== undefined || seedCount < 100)
    return runSeeds(seeds, { shape, isFirstFailureEnough: values.plant !== undefined });
  const { runInThreads } = await import('./run-in-threads.ts');
  return runInThreads(seeds, shape);
}

function report({
  seeds: count,
  events,
  faults,
  violations,
  failures,
  faultsOfEachSeed,
  healingMsOfEachSeed,
  virtualMs,
  faultsByClass,
  eventsOfEachSeed,
  facts,
}: Tally): void {
  if (values.json) {
    const medians = { medianEvents: median(eventsOfEachSeed), medianFaults: median(faultsOfEachSeed) };
    print(JSON.stringify({ seeds: count, events, faults, violations, seedsPerHour, ...medians, facts }));
    for (const { seed } of failures) process.stderr.write(`seed ${seed} failed: ${replay(seed)}\n`);
    return;
  }
  for (const { seed, violations: messages, trace } of failures) {
    print(`\nSeed ${seed} failed:`, ...messages.slice(0, 5).map((message) => `  ${message}`));
    print(
      'What happened last (seconds, who, « to the tab, » from the tab):',
      ...trace.map((line) => `  ${line.slice(0, 240)}`),
    );
    print(`Replay it: ${replay(seed)}`);
  }
  print(
    `${count} seeds from ${firstSeed}: ${events} events, ${faults} faults while work was unsettled (median ${median(faultsOfEachSeed)} a seed), ` +
      `${(virtualMs / 3_600_000).toFixed(1)} virtual hours, settled at most ${Math.round(Math.max(0, ...healingMsOfEachSeed) / 1000)} s after the last fault, ` +
      `${violations} violations, ${seedsPerHour} seeds an hour.`,
  );
  if (seedCount > 1)
    print(
      `Faults: ${
        Object.entries(faultsByClass)
          .map(([name, number]) => `${name} ${number}`)
          .join(', ') || 'none'
      }`,
    );
}

async function crashAll(): Promise<number> {
  const { runCrashes } = await import('./crashes/crash-command.ts');
  const { double: isDouble, pairs, json: isJson, plant = null, scenario = null, at = null } = values;
  const pairCountMax = !isDouble ? 0 : pairs === undefined ? Number.POSITIVE_INFINITY : wholeNumber('pairs', pairs);
  return runCrashes({ pairCountMax, isJson, plant, scenario, at });
}

async function showShrunk(seed: number): Promise<void> {
  const { shrinkSeed } = await import('./shrink-command.ts');
  const { tellTape } = await import('./replay-command.ts');
  const shrunk = await shrinkSeed(seed, shape);
  if (shrunk === null) {
    print(`Seed ${seed} cannot be shrunk: its tape does not fail.`);
    return;
  }
  const { tape, originalCount, choiceCount, worldCount, result } = shrunk;
  if (values.record !== undefined) {
    const { writeTapeFile } = await import('./tape-files.ts');
    const [violation] = result.violations;
    const plant = values.plant === undefined ? '' : `With ${values.plant} planted: `;
    writeTapeFile(values.record, { story: `${plant}${violation?.invariant} · ${violation?.message}`, tape });
  }
  print(
    `\nSeed ${seed} shrunk from ${originalCount} choices to ${choiceCount}, in ${worldCount} worlds.`,
    tellTape(tape, result, withPlant()),
  );
}

/** The exit code: 1 when one of them is not found. */
async function showPlants(): Promise<number> {
  const first = wholeNumber('first', values.first);
  const show = ({ name, isKept, seedsNeeded, invariant, choiceCount }: Finding): void => {
    const choices = choiceCount === null ? '' : `  ${choiceCount} choices`;
    const where = isKept ? 'kept' : String(seedsNeeded ?? 'not found');
    print(`${name.padEnd(36)} ${where.padStart(9)}  ${invariant ?? ''}${choices}`);
  };
  const findings = await findPlants(
    PLANTS.filter(({ name }) => values.plant === undefined || name === values.plant),
    first,
    wholeNumber('seeds', values.seeds),
    Math.min(2, availableParallelism()),
    values.shrink,
    values.json ? () => {} : show,
  );
  const needed = findings.flatMap(({ seedsNeeded }) => seedsNeeded ?? []);
  const choices = findings.flatMap(({ choiceCount }) => choiceCount ?? []);
  const keptCount = findings.filter(({ isKept }) => isKept).length;
  const found = needed.length + keptCount;
  if (values.json) print(JSON.stringify({ plants: findings.length, found, keptCount, findings }));
  else
    print(
      `${found} of ${findings.length} found: ${needed.length} after ${median(needed)} seeds (median; at most ${Math.max(0, ...needed)}), ${keptCount} in the worlds that are kept for them.`,
    );
  if (values.shrink && !values.json)
    print(`Shrunk to ${median(choices)} choices (median), at most ${Math.max(...choices)}.`);
  return found < findings.length ? 1 : 0;
}

function replay(seed: number): string {
  return `npm run sim -- --seed ${seed}${withPlant()}`;
}

function withPlant(): string {
  const plant = values.plant === undefined ? '' : ` --plant ${values.plant}`;
  const dense = values.dense === undefined ? '' : ` --dense ${values.dense}`;
  return `${plant}${values.shape === undefined ? '' : ` --shape ${values.shape}`}${dense}`;
}

function print(...lines: readonly string[]): void {
  process.stdout.write(`${lines.join('\n')}\n`);
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((left, right) => left - right)[Math.floor(numbers.length / 2)] ?? 0;
}

function focusNamed(name: string): DenseFocus {
  const focus = DENSE_FOCUSES.find((each) => each === name);
  if (focus === undefined) return complain(`--dense takes ${DENSE_FOCUSES.join(', ')}, not ${name}.`);
  return focus;
}

function complain(line: string): never {
  process.stderr.write(`${line}\n`);
  process.exit(2);
}

function orComplain<Value>(what: string, read: () => Value): Value {
  try {
    return read();
  } catch (error) {
    return complain(`${what}: ${(error as Error).message}`);
  }
}
