import { spawn } from 'node:child_process';
import { resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { findPlant } from './find-plants.ts';
import { PLANTS } from './plants.ts';
import { runInThreads } from './run-in-threads.ts';
import { readKeptTapes } from './tape-files.ts';

const root = resolve(import.meta.dirname, '../..');
/** A planted bug is found within so many seeds; the figures of a run are those of `npm run sim -- --plants`. */
const SEED_COUNT_MAX = 600;

/** Of some the smallest world that shows it is kept; the others are found by fresh seeds. */
const keptNames = readKeptTapes().map(({ name }) => name);

/** In worlds of every shape. */
const findingSeeds: number[] = [];

describe.concurrent('sim · each planted bug is found', () => {
  test.each(PLANTS.filter(({ name }) => !keptNames.includes(name)))(
    '$name',
    async (plant) => {
      const { seed } = await findPlant(plant, plant.firstSeed ?? 1, SEED_COUNT_MAX);
      expect(seed, searching(plant.name)).not.toBeNull();
      if (seed !== null && plant.shape === undefined) findingSeeds.push(seed);
    },
    300_000,
  );

  test.each(PLANTS.filter(({ name }) => keptNames.includes(name)))(
    '$name, in the world that is kept',
    async ({ name }) => {
      const { exitCode, output } = await simulate('--replay', name, '--plant', name);
      expect(exitCode, searching(name)).toBe(1);
      expect(output).toContain('Replay it: npm run sim -- --replay');
    },
  );
});

test.each(PLANTS.filter(({ shape }) => shape !== undefined))(
  'sim · in worlds that $name is looked for in, all holds without it',
  async ({ name, firstSeed = 1 }) => {
    const { exitCode, output } = await simulate('--shape', name, '--first', `${firstSeed}`, '--seeds', '20', '--json');
    expect(JSON.parse(output)).toMatchObject({ seeds: 20, violations: 0 });
    expect(exitCode).toBe(0);
  },
  60_000,
);

test('sim · no two planted bugs share a name', () => {
  const names = PLANTS.map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
});

test('sim · with nothing planted the seeds that found them hold', async () => {
  expect(findingSeeds.length).toBeGreaterThan(30);
  const { failures } = await runInThreads([...new Set(findingSeeds)], {});
  expect(failures.map(({ seed, violations }) => `npm run sim -- --seed ${seed}: ${violations.join('; ')}`)).toEqual([]);
}, 120_000);

test('sim · an unknown plant, or one whose text has moved, is said and not passed over', async () => {
  const { exitCode, complaint } = await simulate('--plant', 'no-such-plant', '--seeds', '1');
  expect(complaint).toContain('No plant is called no-such-plant');
  expect(exitCode).not.toBe(0);
});

test('sim · a seed that finds a planted bug is named with the command that replays it', async () => {
  const { exitCode, output } = await simulate('--plant', 'acknowledge-before-commit', '--seeds', '100');
  expect(output).toContain('Replay it: npm run sim -- --seed');
  expect(exitCode).toBe(1);
});

test('sim · a seed that finds a planted bug is shrunk to a few choices, and one token replays it', async () => {
  // From a world that is small to begin with: larger ones take minutes beside other tests.
  const { output } = await simulate('--plant', 'html-is-success', '--first', '40', '--seeds', '100', '--shrink');
  const [, choiceCount] = /shrunk from \d+ choices to (\d+),/.exec(output) ?? [];
  expect(Number(choiceCount)).toBeLessThanOrEqual(8);
  const [, token = ''] = /--replay (\S+) --plant/.exec(output) ?? [];
  const again = await simulate('--plant', 'html-is-success', '--replay', token);
  expect(again.output).toContain('inv-I22 · ');
  expect(again.exitCode).toBe(1);
  expect((await simulate('--replay', token)).output).toContain('No invariant is broken.');
}, 120_000);

function searching(name: string): string {
  return `Not found here any more. Keep a world that shows it: npm run sim -- --plant ${name} --seeds 8000 --shrink --record sim/regressions/${name}.json`;
}

/** As a user calls it. */
function simulate(
  ...args: readonly string[]
): Promise<{ readonly exitCode: number | null; readonly output: string; readonly complaint: string }> {
  const node = [
    '--disable-warning=ExperimentalWarning',
    '--conditions=@holdfast/source',
    resolve(root, 'sim/src/main.ts'),
  ];
  const child = spawn(process.execPath, [...node, ...args], { cwd: root });
  const run = { output: '', complaint: '' };
  child.stdout.on('data', (chunk: Buffer) => {
    run.output += chunk.toString();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    run.complaint += chunk.toString();
  });
  return new Promise((done) => child.on('close', (exitCode) => done({ ...run, exitCode })));
}
