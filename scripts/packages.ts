// npm run packages: builds both packages and checks them as their users would get them: what `exports` promises is there
// (publint), and types and code of every entry resolve alike (attw).
import { spawnSync } from 'node:child_process';
import { join, resolve } from 'node:path';
import { buildPackage } from './build/build-package.ts';

const root = resolve(import.meta.dirname, '..');
const failed: string[] = [];

for (const folder of ['packages/client', 'packages/server']) {
  buildPackage(folder);
  check('publint', ['--strict', '--pack', 'npm'], folder);
  // Stylesheets have no types to resolve.
  check(
    'attw',
    ['--pack', '.', '--profile', 'esm-only', '--quiet', '--exclude-entrypoints', './react/styles.css'],
    folder,
  );
}
if (failed.length > 0) {
  console.error(`Package checks failed: ${failed.join(', ')}.`);
  process.exitCode = 1;
}

function check(name: string, args: readonly string[], folder: string): void {
  const tool = join(root, 'node_modules', '.bin', name);
  const { status } = spawnSync(process.execPath, [tool, ...args], { cwd: join(root, folder), stdio: 'inherit' });
  if (status !== 0) failed.push(`${name} in ${folder}`);
}
