import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Measurement } from '../measurement.ts';

function run(...args: readonly string[]): {
  readonly stdout: string;
  readonly stderr: string;
  readonly status: number | null;
} {
  return spawnSync(process.execPath, ['--conditions=@holdfast/source', join(import.meta.dirname, 'main.ts'), ...args], {
    encoding: 'utf8',
  });
}

test('B2 · each measurement is one line, ours beside plain SQL in the same run', { timeout: 120_000 }, () => {
  const { stdout, stderr, status } = run(
    '--json',
    '--batches',
    '2',
    '--seconds',
    '0.1',
    '--ledger',
    '1000',
    '--export-rows',
    '2000',
  );

  expect(status, stderr).toBe(0);
  const all = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Measurement);
  expect([...new Set(all.map(({ measure }) => measure))]).toEqual([
    'plain-batch',
    'apply-vs-plain',
    'audit-cost',
    'batch-p50',
    'batch-p99',
    'batch-rate',
    'batch-limit',
    'export-memory',
    'export-speed',
    'ledger-growth',
  ]);
  for (const { subject, value, ratioToRaw, measure } of all) {
    expect(subject).toMatch(/^(holdfast|raw)\//);
    expect(value).toBeGreaterThanOrEqual(0);
    if (!/^(batch|export)/.test(measure)) expect(ratioToRaw).toBeGreaterThan(0);
  }
});

test('B2 · what it does not measure is refused with the reason', () => {
  const { stderr, status } = run('--measures', 'luck');

  expect(status).toBe(2);
  expect(stderr).toContain('--measures takes some of apply, latency, ledger, export');
});
