// npm run kills [-- --sqlite 10000] [--pairs 1000] [--chromium 300] [--torn] [--opfs 300] [--seed 1] [--json]
//
// Kills Node processes with a queue on SQLite, and browsers with a queue on IndexedDB and on OPFS, at random moments, and holds them to
// what they had promised. With --torn the kills on IndexedDB are in the middle of a write to its log. A line for each; exit code 1 when a promise was broken.
import { performance } from 'node:perf_hooks';
import process from 'node:process';
import { readOptions, wholeNumber } from '../../../scripts/command-line.ts';
import type { KillReport } from './kill-devices.ts';
import { killChromium, killNode, killPairs } from './kill-worlds.ts';

const values = readOptions(import.meta.filename, {
  sqlite: { type: 'string', default: '1000' },
  pairs: { type: 'string', default: '200' },
  chromium: { type: 'string', default: '30' },
  opfs: { type: 'string', default: '30' },
  torn: { type: 'boolean', default: false },
  seed: { type: 'string', default: '1' },
  json: { type: 'boolean', default: false },
});
const sqliteCount = wholeNumber('sqlite', values.sqlite);
const pairsCount = wholeNumber('pairs', values.pairs);
const chromiumCount = wholeNumber('chromium', values.chromium);
const opfsCount = wholeNumber('opfs', values.opfs);
const seed = wholeNumber('seed', values.seed);

if (sqliteCount > 0) await run('sqlite', sqliteCount, killNode);
if (pairsCount > 0) await run('sqlite, two processes', pairsCount, killPairs);
if (chromiumCount > 0)
  await run(values.torn ? 'chromium, torn' : 'chromium', chromiumCount, (count, from, progress) =>
    killChromium(count, from, progress, 'indexeddb', values.torn),
  );
if (opfsCount > 0)
  await run('chromium, opfs', opfsCount, (count, from, progress) => killChromium(count, from, progress, 'opfs'));

async function run(
  world: string,
  count: number,
  kill: (count: number, seed: number, progress?: (kills: number) => void) => Promise<KillReport>,
): Promise<void> {
  const startedAtMs = performance.now();
  const showProgress = process.stderr.isTTY && !values.json;
  const report = await kill(
    count,
    seed,
    showProgress ? (kills) => void process.stderr.write(`\r${world}: ${kills} of ${count}`) : undefined,
  );
  if (showProgress) process.stderr.write('\r\u001B[K');
  const seconds = Math.round((performance.now() - startedAtMs) / 1_000);
  if (report.violations.length > 0) process.exitCode = 1;
  if (values.json) {
    print(JSON.stringify({ world, seed, seconds, ...report, violations: report.violations.length }));
  } else {
    const { kills, devices, acknowledged, effects } = report;
    print(
      `${world}: ${kills} kills of ${devices} devices in ${seconds} s; ${acknowledged} changes acknowledged, ` +
        `${effects} effects; ${report.violations.length} promises broken.`,
    );
  }
  for (const violation of report.violations) process.stderr.write(`${violation}\n`);
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
