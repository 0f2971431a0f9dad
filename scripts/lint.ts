// npm run lint: format, rules of the linter (with types), directions of imports. `-- --fix` repairs what can be repaired.
import { spawnSync } from 'node:child_process';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { checkImports, type Finding, type Manifest } from './lint/check-imports.ts';

const root = resolve(import.meta.dirname, '..');
const fix = process.argv.includes('--fix');

const failed = [
  tool('biome', fix ? ['format', '--write'] : ['format']) ? null : 'format (npm run format repairs it)',
  tool('oxlint', ['--type-aware', '--deny-warnings', ...(fix ? ['--fix'] : [])]) ? null : 'rules',
  printFindings(findImports()) ? null : 'directions of imports',
].filter((name) => name !== null);

if (failed.length > 0) {
  console.error(`Lint failed: ${failed.join(', ')}.`);
  process.exitCode = 1;
}

function tool(name: string, args: readonly string[]): boolean {
  return (
    spawnSync(process.execPath, [join(root, 'node_modules', '.bin', name), ...args], { cwd: root, stdio: 'inherit' })
      .status === 0
  );
}

function findImports(): readonly Finding[] {
  const paths = globSync('{packages,sim,examples,scripts,bench}/**/*.{ts,tsx}', {
    cwd: root,
    exclude: (path) => /(^|[\\/])(node_modules|dist|temp|\.data)([\\/]|$)/.test(path),
  });
  return paths
    .map((path) => path.replaceAll('\\', '/'))
    .toSorted()
    .flatMap((path) => checkImports({ path, text: readFileSync(join(root, path), 'utf8') }, manifestOf(path)));
}

function printFindings(findings: readonly Finding[]): boolean {
  for (const { path, line, message } of findings) console.error(`${path}:${line} ${message}`);
  return findings.length === 0;
}

type Dependencies = Readonly<Record<string, string>>;
type PackageJson = Readonly<
  Partial<Record<'dependencies' | 'peerDependencies' | 'optionalDependencies' | 'devDependencies', Dependencies>>
>;

function manifestOf(path: string): Manifest {
  const folder = /^((?:packages|examples)\/[^/]+|sim|bench\/peers)\//.exec(path)?.[1] ?? '.';
  const own = readManifest(folder);
  const outer = readManifest('.');
  const declared = [own.dependencies, own.peerDependencies, own.optionalDependencies].flatMap((list) =>
    Object.keys(list ?? {}),
  );
  const forDevelopment = [
    ...declared,
    ...Object.keys(own.devDependencies ?? {}),
    ...Object.keys(outer.devDependencies ?? {}),
  ];
  // The scripts of the root are development through and through.
  return { declared: folder === '.' ? forDevelopment : declared, forDevelopment };
}

function readManifest(folder: string): PackageJson {
  const path = join(root, folder, 'package.json');
  return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as PackageJson) : {};
}
