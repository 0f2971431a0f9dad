import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { paintMeasurements, toastMeasurements } from './measure-paint.ts';
import { scrollMeasurements } from './measure-scroll.ts';

test('B1 · frames of a trace are counted by how long they took, ours beside those of the raw run', () => {
  const raw = { frameMs: [16.7, 16.6, 17.6, 33.3], longestTaskMs: 0 };
  const ours = { frameMs: [16.7, 33.3, 33.4, 66.7], longestTaskMs: 61 };

  const lines = scrollMeasurements(10_000, 500, { raw, ours });

  expect(
    lines.map(({ subject, measure, value, ratioToRaw }) => `${subject}: ${measure} ${value} × ${ratioToRaw}`),
  ).toEqual([
    'raw/crm, nothing settles: scroll-frames 4 × 1',
    'raw/crm, nothing settles: frames-over-16.7 1 × 1',
    'raw/crm, nothing settles: frames-over-50 0 × null',
    'raw/crm, nothing settles: longest-task 0 × null',
    'holdfast crm, 500 settle: scroll-frames 4 × 1',
    'holdfast crm, 500 settle: frames-over-16.7 3 × 3',
    'holdfast crm, 500 settle: frames-over-50 1 × null',
    'holdfast crm, 500 settle: longest-task 61 × null',
  ]);
});

test('B1 · a change to the screen is told by its median and its 95th percentile, in ms and in frames', () => {
  const painted = (ms: number, frames: number) => ({ ms, frames });
  const raw = [painted(8, 1), painted(8, 1), painted(30, 2)];
  const ours = [painted(10, 1), painted(12, 1), painted(60, 3)];

  const lines = paintMeasurements(100, { raw, ours }).filter(({ subject }) => subject.startsWith('holdfast'));

  expect(lines.map(({ measure, value, ratioToRaw }) => [measure, value, ratioToRaw])).toEqual([
    ['add-painted', 12, 1.5],
    ['add-painted-p95', 60, 2],
    ['add-frames', 1, 1],
    ['add-frames-p95', 3, 1.5],
  ]);
});

test('B1, E2 · a word on a toast is told by its median and its 95th percentile, beside the library alone', () => {
  const lines = toastMeasurements(3, { raw: [1, 1, 2], ours: [1, 2, 4] });

  expect(lines.map(({ measure, subject, value }) => [measure, subject, value])).toEqual([
    ['toast-update', 'raw/sonner', 1],
    ['toast-update', 'holdfast, sonner', 2],
    ['toast-update-p95', 'raw/sonner', 2],
    ['toast-update-p95', 'holdfast, sonner', 4],
  ]);
});

test('B1 · what cannot be measured is refused with the reason', () => {
  const { stderr, status } = spawnSync(
    process.execPath,
    ['--conditions=@holdfast/source', join(import.meta.dirname, 'main.ts'), '--rows', '100', '--changes', '100'],
    { encoding: 'utf8' },
  );

  expect(status).toBe(2);
  expect(stderr).toContain('--changes fewer than those');
});
