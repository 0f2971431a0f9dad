import { spawn } from 'node:child_process';
import { resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { PLANTS } from './plants.ts';

const root = resolve(import.meta.dirname, '../..');
const SEED_COUNT_MAX = 400;

interface Run {
  readonly exitCode: number | null;
  readonly output: string;
  readonly complaint: string;
}

/** A process of its own, since a planted bug is in the source as that process loads it. */
function simulate(...args: readonly string[]): Promise<Run> {
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

describe.concurrent('sim · each planted bug is found', () => {
  test.each(PLANTS)(
    '$name',
    async ({ name, firstSeed = 1 }) => {
      const { exitCode, output, complaint } = await simulate(
        '--plant',
        name,
        '--first',
        `${firstSeed}`,
        '--seeds',
        `${SEED_COUNT_MAX}`,
      );
      expect(complaint).toBe('');
      expect(output).toContain(`Replay it: npm run sim -- --seed`);
      expect(exitCode).toBe(1);
    },
    60_000,
  );
});

test('sim · with nothing planted the same seeds hold', async () => {
  const { exitCode, output } = await simulate('--seeds', `${SEED_COUNT_MAX}`, '--json');
  expect(JSON.parse(output)).toMatchObject({ seeds: SEED_COUNT_MAX, violations: 0 });
  expect(exitCode).toBe(0);
}, 60_000);

test('sim · an unknown plant, or one whose text has moved, is said and not passed over', async () => {
  const { exitCode, complaint } = await simulate('--plant', 'no-such-plant', '--seeds', '1');
  expect(complaint).toContain('No plant is called no-such-plant');
  expect(exitCode).not.toBe(0);
});
