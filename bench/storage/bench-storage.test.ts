import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Measurement } from '../measurement.ts';

const MEASURES = [
  'add-together',
  'add-together-cpu',
  'bytes',
  'add-sequential',
  'add-sequential-p95',
  'open-first',
  'heap',
  'read-again',
  'drain',
];

test('B1 · each measurement is one line, ours beside the raw store of the same run', () => {
  const { stdout, status } = spawnSync(
    process.execPath,
    [
      '--conditions=@holdfast/source',
      join(import.meta.dirname, 'main.ts'),
      '--json',
      ...['--sizes', '100', '--worlds', 'sqlite'],
    ],
    { encoding: 'utf8' },
  );

  expect(status).toBe(0);
  const all = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Measurement);
  const stores = all.filter(({ n }) => n === 100);
  expect([...new Set(stores.map(({ measure }) => measure))]).toEqual(MEASURES);
  for (const { measure, subject, value, ratioToRaw } of stores) {
    expect(subject).toMatch(/^(holdfast|raw)\/sqlite/);
    expect(Number.isFinite(value), `${measure} of ${subject}`).toBe(true);
    if (measure !== 'heap') expect(ratioToRaw).toBeGreaterThan(0);
  }
  const saved = all.filter(({ measure }) => measure === 'compression-saved').map(({ value }) => value);
  expect(Math.min(...saved)).toBeGreaterThan(0.6);
  // It waits for the disk some hundred times.
}, 120_000);

test('B1 · a store or a size that it does not know is refused with the reason', () => {
  const { stderr, status } = spawnSync(
    process.execPath,
    ['--conditions=@holdfast/source', join(import.meta.dirname, 'main.ts'), '--worlds', 'papyrus'],
    { encoding: 'utf8' },
  );

  expect(status).toBe(2);
  expect(stderr).toContain('--worlds takes some of sqlite,memory,indexeddb,opfs,peers');
});

test('B1 · what it cannot measure is refused with the reason', () => {
  const { stderr, status } = spawnSync(
    process.execPath,
    ['--conditions=@holdfast/source', join(import.meta.dirname, 'main.ts'), '--measures', 'weight'],
    { encoding: 'utf8' },
  );

  expect(status).toBe(2);
  expect(stderr).toContain(`--measures takes some of ${MEASURES.join()}`);
});
