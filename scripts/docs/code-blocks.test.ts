import { spawnSync } from 'node:child_process';
import { existsSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { afterAll, expect, test } from 'vitest';

const root = resolve(import.meta.dirname, '..', '..');
const folder = join(root, 'temp', 'code-blocks');
const pages = globSync(['*.md', 'docs/**/*.md', 'packages/*/*.md', 'examples/*/*.md', 'sim/*.md'], { cwd: root })
  .toSorted()
  .map((path) => ({ path, text: readFileSync(join(root, path), 'utf8') }));

afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('house · every TypeScript block of the docs compiles', () => {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  for (const { path, text } of pages) {
    // The blocks of a page are read from top to bottom, so a later one may use what an earlier one declares; one that names a file in its
    // first line is that file.
    const blocks = [...text.matchAll(/^```tsx?\n([\s\S]*?)^```$/gm)].map(([, block = '']) => block);
    const byFile = Object.groupBy(blocks, (block) => /^\/\/ ([\w.-]+\.tsx?)\n/.exec(block)?.[1] ?? '');
    for (const [name, own = []] of Object.entries(byFile)) {
      const file = `${path} ${name}`.replaceAll(/[\\/. ]/g, '-');
      writeFileSync(join(folder, `${file}.tsx`), `${own.join('\n')}\nexport {};\n`);
    }
  }
  const compilerOptions = {
    lib: ['ES2024', 'DOM', 'DOM.Iterable'],
    types: ['node', 'vite/client'],
    jsx: 'react-jsx',
    isolatedDeclarations: false,
    declaration: false,
  };
  writeFileSync(join(folder, 'block.ts'), 'export {};\n'); // so that no block at all is not an error either
  writeFileSync(
    join(folder, 'tsconfig.json'),
    JSON.stringify({ extends: '../../tsconfig.base.json', compilerOptions, include: ['.'] }),
  );

  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  const { stdout } = spawnSync(process.execPath, [tsc, '-p', folder, '--pretty', 'false'], {
    cwd: folder,
    encoding: 'utf8',
  });

  expect(stdout).toBe('');
});

test('house · every link of the docs to a file of the repository leads somewhere', () => {
  const dead = pages.flatMap(({ path, text }) =>
    [...text.matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)]
      .map((match) => match[1] ?? '')
      .filter((target) => !/^[a-z]+:/.test(target) && !existsSync(join(root, dirname(path), target)))
      .map((target) => `${path}: ${target}`),
  );
  expect(dead).toEqual([]);
});
