import { posix } from 'node:path';
import { parseSync, Visitor } from 'vite';
import { IMPORT_TABLE, IN_REPO_PACKAGES, isForDevelopment, type Part } from './import-table.ts';

export interface SourceFile {
  /** From the root of the repository, with forward slashes. */
  readonly path: string;
  readonly text: string;
}

export interface Manifest {
  /** Names in dependencies, peerDependencies and optionalDependencies of the package that the file belongs to. */
  readonly declared: readonly string[];
  /** The same with its devDependencies and those of the root. */
  readonly forDevelopment: readonly string[];
}

export interface Finding {
  readonly path: string;
  readonly line: number;
  readonly message: string;
}

/** Compares what a file imports with the table of directions, and with the dependencies its package declares. */
export function checkImports(file: SourceFile, manifest: Manifest): readonly Finding[] {
  const part = partOf(file.path);
  if (part === undefined) return [];
  const findings: Finding[] = [];
  const { imports, datesNow } = read(file);
  for (const { specifier, start } of imports) {
    const complaint = specifier.startsWith('.')
      ? complainOfFile(file.path, part, specifier)
      : complainOfPackage(file.path, part, specifier, manifest);
    if (complaint !== null) findings.push({ path: file.path, line: lineAt(file.text, start), message: complaint });
  }
  // The linter knows calls such as `Date.now()`; this spelling of the same it has no rule for.
  if (isTimeless(file.path)) {
    for (const start of datesNow) {
      findings.push({
        path: file.path,
        line: lineAt(file.text, start),
        message: '`new Date()` reads the clock: take the time from the Clock that is handed in.',
      });
    }
  }
  return findings;
}

function partOf(path: string): Part | undefined {
  return IMPORT_TABLE.filter((part) => isWithin(path, part.path)).sort((a, b) => b.path.length - a.path.length)[0];
}

function isTimeless(path: string): boolean {
  return path.startsWith('packages/client/src/') && !isForDevelopment(path) && !/\/(browser|system)-[^/]*$/.test(path);
}

function complainOfFile(path: string, part: Part, specifier: string): string | null {
  const target = posix.normalize(posix.join(posix.dirname(path), specifier.replace(/\?.*$/, '')));
  const ownPackage = packageFolder(path);
  const allowed =
    isForDevelopment(path) && ownPackage !== null ? [part.path, ownPackage, ...part.files] : [part.path, ...part.files];
  // A part that stands above others (`src` above `src/react`) means only what no other row describes.
  const isAllowed = allowed.some(
    (folder) => isWithin(target, folder) && (folder !== part.path || isForDevelopment(path) || partOf(target) === part),
  );
  if (isAllowed) return null;
  return `imports ${target}: ${part.path} may import ${sentence(part.files)}.`;
}

function complainOfPackage(path: string, part: Part, specifier: string, manifest: Manifest): string | null {
  if (specifier.startsWith('node:')) {
    return part.hasNode || isForDevelopment(path)
      ? null
      : `imports ${specifier}: ${part.path} runs where there is no Node.`;
  }
  const name = packageName(specifier);
  if (isForDevelopment(path)) {
    return IN_REPO_PACKAGES.includes(name) || manifest.forDevelopment.includes(name)
      ? null
      : `imports ${name}, which no package.json declares for it.`;
  }
  if (part.packages.includes(specifier) || part.packages.includes(name)) {
    return IN_REPO_PACKAGES.includes(name) || manifest.declared.includes(name)
      ? null
      : `imports ${name}, which its package.json does not declare.`;
  }
  if (IN_REPO_PACKAGES.includes(name) || ['react', 'react-dom'].includes(name) || !part.packages.includes('declared')) {
    return `imports ${specifier}: of packages ${part.path} may import ${sentence(part.packages)}.`;
  }
  return manifest.declared.includes(name) ? null : `imports ${name}, which its package.json does not declare.`;
}

interface Reading {
  readonly imports: readonly { readonly specifier: string; readonly start: number }[];
  /** Where `new Date()` stands. */
  readonly datesNow: readonly number[];
}

/** Every way to name another module: `import`, `export … from`, `import()` and `import('…')` in a type. */
function read(file: SourceFile): Reading {
  const { program, errors } = parseSync(file.path, file.text);
  const error = errors[0];
  if (error !== undefined) throw new Error(`${file.path} cannot be read: ${error.message}`);
  const imports: { specifier: string; start: number }[] = [];
  const datesNow: number[] = [];
  const add = (source: { readonly type: string; readonly value?: unknown; readonly start: number } | null): void => {
    if (source !== null && typeof source.value === 'string')
      imports.push({ specifier: source.value, start: source.start });
  };
  new Visitor({
    ImportDeclaration: (node) => add(node.source),
    ExportAllDeclaration: (node) => add(node.source),
    ExportNamedDeclaration: (node) => add(node.source),
    ImportExpression: (node) => add(node.source),
    TSImportType: (node) => add(node.source),
    NewExpression: (node) => {
      if (node.callee.type === 'Identifier' && node.callee.name === 'Date' && node.arguments.length === 0)
        datesNow.push(node.start);
    },
  }).visit(program);
  return { imports, datesNow };
}

function isWithin(path: string, folder: string): boolean {
  return path === folder || path.startsWith(`${folder}/`);
}

/** The package or app that a file belongs to; null for the scripts of the root, which have no other files to reach for. */
function packageFolder(path: string): string | null {
  return /^((?:packages|examples)\/[^/]+|sim)\//.exec(path)?.[1] ?? null;
}

function packageName(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}

function lineAt(text: string, index: number): number {
  return text.slice(0, index).split('\n').length;
}

function sentence(list: readonly string[]): string {
  return list.length === 0 ? 'nothing but itself' : `itself and ${list.join(', ')}`;
}
