import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const root = resolve(import.meta.dirname, '..', '..');
const oxlint = join(root, 'node_modules', '.bin', 'oxlint');
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-lint-'));
  copyFileSync(join(root, '.oxlintrc.json'), join(folder, '.oxlintrc.json'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function lint(path: string, text: string): string {
  const file = join(folder, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
  const answer = spawnSync(process.execPath, [oxlint, '--format=unix', file], { cwd: folder, encoding: 'utf8' });
  rmSync(file);
  return answer.stdout;
}

describe('house · a platform global is found where everything is handed in', () => {
  test.each([
    'Date.now()',
    'Math.random()',
    'AbortSignal.timeout(5)',
    'setTimeout(() => {}, 5)',
    'fetch("/")',
    'crypto.randomUUID()',
    'navigator.onLine',
    'performance.now()',
    'queueMicrotask(() => {})',
    'globalThis.fetch',
    'indexedDB.open("a")',
  ])('%s', (expression) => {
    expect(lint('packages/client/src/queue/planted.ts', `export const a = ${expression};\n`)).toMatch(
      /no-restricted-(globals|properties)/,
    );
  });
});

test.each(['browser-clock.ts', 'system-clock.ts', 'clock.test.ts'])('house · %s may use platform globals', (name) => {
  expect(lint(`packages/client/src/queue/${name}`, 'export const a = Date.now() + performance.now();\n')).not.toMatch(
    /no-restricted/,
  );
});

test('house · a name that is handed in is not taken for the global', () => {
  expect(
    lint('packages/client/src/queue/planted.ts', 'export const a = (fetch: () => void): void => fetch();\n'),
  ).not.toMatch(/no-restricted/);
});
