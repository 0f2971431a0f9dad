import { spawnSync } from 'node:child_process';
import { resolve } from 'node:path';
import { expect, test } from 'vitest';

const root = resolve(import.meta.dirname, '..');
const COMMANDS = [
  ['sim', 'sim/src/main.ts'],
  ['kills', 'sim/src/kills/main.ts'],
  ['kills:server', 'packages/server/src/testing-kills/main.ts'],
  ['bench:server', 'bench/server/main.ts'],
  ['bench:storage', 'bench/storage/main.ts'],
] as const;

test.each(COMMANDS)('B3 · npm run %s -- --help shows what it takes, and does nothing', (name, file) => {
  const { status, stdout } = run(file, '--help');
  expect(stdout).toMatch(new RegExp(`^npm run ${name} `));
  expect(status).toBe(0);
});

test('B3 · an option that a command does not have, or a value it cannot read, is said in one line', () => {
  const unknown = run('sim/src/main.ts', '--seedz', '3');
  expect(unknown.stderr).toBe("Unknown option '--seedz'. The options are shown by --help.\n");
  expect(unknown.status).toBe(2);
  const wrong = run('packages/server/src/testing-kills/main.ts', '--kills', 'many');
  expect(wrong.stderr).toBe('--kills takes a whole number, not "many".\n');
  expect(wrong.status).toBe(2);
});

function run(file: string, ...args: readonly string[]): { status: number | null; stdout: string; stderr: string } {
  const node = ['--disable-warning=ExperimentalWarning', '--conditions=@holdfast/source', resolve(root, file)];
  return spawnSync(process.execPath, [...node, ...args], { cwd: root, encoding: 'utf8' });
}
