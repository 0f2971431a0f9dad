import { spawnSync } from 'node:child_process';
import { join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '..', '..');

/** Bundles one package by its tsdown.config.ts. When that fails, it says so and ends the script: nothing can follow. */
export function buildPackage(folder: string): void {
  const startedAtMs = performance.now();
  const tsdown = join(root, 'node_modules', '.bin', 'tsdown');
  const { status } = spawnSync(process.execPath, [tsdown, '--logLevel', 'warn', '--config-loader', 'native'], {
    cwd: join(root, folder),
    stdio: ['ignore', 2, 2],
  });
  if (status !== 0) {
    console.error(`Building ${folder} failed.`);
    process.exit(1);
  }
  console.error(`Built ${folder} in ${((performance.now() - startedAtMs) / 1000).toFixed(1)} s.`);
}
