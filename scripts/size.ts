// npm run size: what an app pays for the client in compressed kilobytes, bundled and minified from what would be published. Fails
// when a limit is passed. `-- --json` prints one line a bundle.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import filePlugin from '@size-limit/file';
import sizeLimit from 'size-limit';
import { build, type Rolldown } from 'vite';
import { buildPackage } from './build/build-package.ts';

interface Case {
  readonly name: string;
  /** What the app imports. */
  readonly source: string;
  /** Subtracted, where the question is what something costs on top. */
  readonly onTopOf?: string;
  /** Most bytes, compressed (Brotli); null where it only tells what a part takes. */
  readonly limitBytes: number | null;
  /** What it is meant to be. */
  readonly targetBytes: number | null;
}

const root = resolve(import.meta.dirname, '..');
const MAIN = "export { createQueue, defineMutation, httpTransport, indexedDbStorage } from 'holdfast';";
/** The rules of delivery by themselves, which decide and do nothing; then what they cannot be without. There is no queue in it yet. */
const RULES = `export { Engine } from '${join(root, 'packages/client/src/engine/engine.ts')}';`;
const RULES_AND_ENDS = `${RULES}export { defineMutation, httpTransport, indexedDbStorage } from '${join(root, 'packages/client/src/index.ts')}';`;
const HOOKS =
  "export { HoldfastProvider, createQueueHooks, useMutationQueue, useMutationStatus, useNetworkStatus, useSyncProgress, useMutationHistory, useAdminQueueControls, useAuditLogs } from 'holdfast/react';";

const CASES: readonly Case[] = [
  { name: 'queue with IndexedDB and HTTP', source: MAIN, limitBytes: 97_000, targetBytes: 20_000 },
  { name: 'its engine alone', source: RULES, limitBytes: null, targetBytes: null },
  { name: 'with IndexedDB, HTTP and defineMutation', source: RULES_AND_ENDS, limitBytes: null, targetBytes: null },
  { name: 'React hooks', source: `${MAIN}${HOOKS}`, onTopOf: MAIN, limitBytes: 5_000, targetBytes: 5_000 },
  {
    name: 'toasts and entity hooks',
    source: `${MAIN}${HOOKS}export { createToasts, sonnerToasts, createEntityHooks } from 'holdfast/react';`,
    onTopOf: `${MAIN}${HOOKS}`,
    limitBytes: 5_900,
    targetBytes: 5_000,
  },
  {
    name: 'TanStack Query adapter',
    source: `${MAIN}export * from 'holdfast/tanstack-query';`,
    onTopOf: MAIN,
    limitBytes: 12_000,
    targetBytes: 12_000,
  },
];

const folder = join(root, 'temp', 'size');
const isJson = process.argv.includes('--json');
buildPackage('packages/client');
rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });

const sizes = new Map<string, number>();
for (const { name, source, onTopOf, limitBytes, targetBytes } of CASES) {
  const bytes = (await sizeOf(source)) - (onTopOf === undefined ? 0 : await sizeOf(onTopOf));
  const isOver = limitBytes !== null && bytes > limitBytes;
  if (isOver) process.exitCode = 1;
  if (isJson)
    console.log(JSON.stringify({ measure: 'size', subject: name, value: bytes, unit: 'B', limitBytes, targetBytes }));
  else
    console.log(
      `${isOver ? 'FAIL' : 'ok  '} ${kilobytes(bytes)} ${limitBytes === null ? '            ' : `of ${kilobytes(limitBytes)}`}  ${name}${onTopOf === undefined ? '' : ', on top'}${note(bytes, targetBytes)}`,
    );
}

function note(bytes: number, targetBytes: number | null): string {
  return targetBytes !== null && bytes > targetBytes
    ? ` (meant to be ${kilobytes(targetBytes).trim()}; see docs/decisions/0041)`
    : '';
}

function kilobytes(bytes: number): string {
  return `${(bytes / 1000).toFixed(1)} kB`.padStart(8);
}

/** Bundled as an app's bundler would, with React and TanStack left to the app. */
async function sizeOf(source: string): Promise<number> {
  const known = sizes.get(source);
  if (known !== undefined) return known;
  const entry = join(folder, `entry-${sizes.size}.js`);
  writeFileSync(entry, source);
  const built = await build({
    configFile: false,
    logLevel: 'error',
    root,
    define: { 'process.env.NODE_ENV': '"production"' },
    build: {
      write: false,
      minify: true,
      modulePreload: false,
      rolldownOptions: {
        input: entry,
        preserveEntrySignatures: 'strict',
        external: [/^react(\/|-dom|$)/, /^@tanstack\//],
      },
    },
  });
  const outputs = (Array.isArray(built) ? built : [built as Rolldown.RolldownOutput]).flatMap(({ output }) => output);
  const code = outputs.flatMap((chunk) => (chunk.type === 'chunk' ? [chunk.code] : [])).join('\n');
  const file = join(folder, `bundle-${sizes.size}.js`);
  writeFileSync(file, code);
  // Its types say `object`.
  const [result] = (await sizeLimit([filePlugin], [file])) as readonly { readonly size?: number }[];
  if (result?.size === undefined) throw new Error(`size-limit gave no size for ${file}.`);
  sizes.set(source, result.size);
  return result.size;
}
