// npm test: everything that vitest.config.ts names, closed by one line: `N passed, N failed[, N skipped]`.
// Arguments go to vitest (`npm test -- packages/client`). With CI set, or --fail-on-skip, a skipped test fails the run.
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { findChromium } from './chromium.ts';
import { canInstall } from './debian.ts';
import { ensureFirefox } from './firefox.ts';
import { SUMMARY_FILE_VARIABLE, type TestSummary } from './test/summary-reporter.ts';
import { ensureWebKit } from './webkit.ts';

const root = resolve(import.meta.dirname, '..');
const skipsFail = process.argv.includes('--fail-on-skip') || isSet(process.env.CI);
const args = process.argv.slice(2).filter((arg) => arg !== '--fail-on-skip');

await findChromium(); // once, before tests that need it run side by side
const otherBrowsers = { Firefox: ensureFirefox(), WebKitGTK: ensureWebKit() };
const folder = mkdtempSync(join(tmpdir(), 'holdfast-test-'));
const file = join(folder, 'summary.json');
const exitCode = await runVitest(file);
const summary = readSummary(file);
rmSync(folder, { recursive: true, force: true, maxRetries: 3 });

const missing = Object.entries(otherBrowsers).flatMap(([name, browser]) =>
  'missing' in browser ? [`every test in ${name} (${browser.missing})`] : [],
);
for (const tests of missing) console.log(`LEFT OUT: ${tests}.`);
const hasBrowserFailure = missing.length > 0 && isSet(process.env.CI) && canInstall();
if (hasBrowserFailure) console.log('That fails this run: on CI as root on Debian it must be there.');
for (const { name, reason } of summary.skipped) console.log(`skipped: ${name} (${reason})`);
const hasSkipFailure = skipsFail && summary.skipped.length > 0;
if (hasSkipFailure) console.log('Skipped tests fail this run: on CI everything must be able to run.');
const failedCount = summary.failedCount === 0 && exitCode !== 0 ? 1 : summary.failedCount;
const skippedPart = summary.skipped.length > 0 ? `, ${summary.skipped.length} skipped` : '';
console.log(`${summary.passedCount} passed, ${failedCount} failed${skippedPart}`);
process.exitCode = failedCount > 0 || hasSkipFailure || hasBrowserFailure || summary.passedCount === 0 ? 1 : 0;

function runVitest(summaryFile: string): Promise<number> {
  const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs');
  const reporters = ['--reporter=default', `--reporter=${join(root, 'scripts', 'test', 'summary-reporter.ts')}`];
  const child = spawn(process.execPath, [vitest, 'run', '--root', root, ...reporters, ...args], {
    cwd: root,
    env: {
      ...process.env,
      [SUMMARY_FILE_VARIABLE]: summaryFile,
      // Hundreds of processes and threads load the same files: each is compiled once.
      NODE_COMPILE_CACHE: join(folder, 'compiled'),
    },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill(signal));
  return new Promise((done) => child.on('exit', (code) => done(code ?? 1)));
}

/** No summary means that vitest did not get to its end: one failure, whatever passed before. */
function readSummary(summaryFile: string): TestSummary {
  try {
    return JSON.parse(readFileSync(summaryFile, 'utf8')) as TestSummary;
  } catch {
    console.log('The test run did not come to its end.');
    return { passedCount: 0, failedCount: 1, skipped: [] };
  }
}

function isSet(value: string | undefined): boolean {
  return value !== undefined && value !== '' && value !== 'false' && value !== '0';
}
