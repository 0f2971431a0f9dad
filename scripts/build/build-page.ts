import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, globSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '..', '..');
const example = join(root, 'examples', 'crm');
const stampFile = join(example, 'dist', '.sources');
/** Whatever ends up in the page: the example's own files, the client, and the versions of everything else. */
const SOURCES = [
  'package-lock.json',
  'tsconfig.base.json',
  'packages/client/package.json',
  'packages/client/src/**/*',
  'examples/crm/{index.html,vite.config.ts,package.json,tsconfig.json}',
  'examples/crm/{src,public,data}/**/*',
];

/** Builds the page of the example unless what is there was built from the same sources. Throws when building fails. */
export function buildPage(): void {
  const stamp = hashOfSources();
  if (existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp) {
    console.error('The page is built already.');
    return;
  }
  const startedAtMs = performance.now();
  console.error('Building the page …');
  const vite = join(root, 'node_modules', '.bin', 'vite');
  const args = [vite, 'build', '--logLevel', 'warn'];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: example, encoding: 'utf8' });
  if (status !== 0) {
    process.stderr.write(`${stdout}${stderr}`);
    throw new Error('Building the page failed.');
  }
  writeFileSync(stampFile, stamp);
  console.error(`Page built in ${((performance.now() - startedAtMs) / 1000).toFixed(1)} s.`);
}

function hashOfSources(): string {
  const hash = createHash('sha256');
  const files = globSync(SOURCES, { cwd: root, withFileTypes: true })
    .filter((entry) => entry.isFile() && !/\.test(-d)?\.tsx?$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .toSorted();
  for (const file of files)
    hash
      .update(`${file.slice(root.length)}\0`)
      .update(readFileSync(file))
      .update('\0');
  return hash.digest('hex');
}
