import { globSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';

const root = resolve(import.meta.dirname, '..', '..');

/** How many features the specification has under each letter. Ids are stable: numbers are only ever added. */
const FEATURE_COUNTS = { Q: 21, S: 14, N: 5, R: 9, C: 3, O: 4, E: 10, P: 13, A: 3, M: 7, G: 12, K: 5, B: 3 };
const ids = Object.entries(FEATURE_COUNTS).flatMap(([letter, count]) =>
  Array.from({ length: count }, (_, index) => `${letter}${index + 1}`),
);

const rows = readFileSync(join(root, 'docs', 'features.md'), 'utf8')
  .split('\n')
  .filter((line) => /^\| [A-Z]\d+ \|/.test(line))
  .map((line) => {
    const [id = '', what = '', api = '', state = '', proof = ''] = line
      .split(/(?<!\\)\|/)
      .slice(1, -1)
      .map((cell) => cell.trim());
    return { id, what, api, state, tests: [...proof.matchAll(/`([^`]+)`/g)].map((match) => match[1] ?? '') };
  });

/** Sentences that name tests, as they stand in the source. */
const testNames = globSync('{packages,sim,examples,scripts,bench}/**/*.{test,test-d}.{ts,tsx}', {
  cwd: root,
  exclude: (path) => /(^|[\\/])(node_modules|dist|temp)([\\/]|$)/.test(path),
})
  .map((path) => readFileSync(join(root, path), 'utf8'))
  .flatMap((text) =>
    [...text.matchAll(/(['"`])((?:(?:(?:sec|inv|rival)-)?[A-Z]\d+(?:, )?)+ · (?:(?!\1).)+)\1/g)].map(
      (match) => match[2] ?? '',
    ),
  );

test('house · docs/features.md has each id of the specification once, in order', () => {
  expect(rows.map(({ id }) => id)).toEqual(ids);
});

test('house · a feature is said to work, to work in part, or not to be there yet', () => {
  for (const { id, state } of rows) expect(state, id).toMatch(/^(works|in part|not yet)$/);
});

test('house · what is said to work names its API and tests that exist and carry its id', () => {
  for (const { id, api, state, tests } of rows.filter((row) => row.state !== 'not yet')) {
    expect(api, `${id}: API`).not.toBe('');
    expect(tests.length, `${id} (${state}): tests`).toBeGreaterThan(0);
    for (const name of tests) {
      expect(namesId(name, id), `${id}: ${name}`).toBe(true);
      expect(testNames, `${id}: no test is called`).toContain(name);
    }
  }
});

test('house · what is said not to be there yet is named by no test', () => {
  const early = rows.filter((row) => row.state === 'not yet' && testNames.some((name) => namesId(name, row.id)));
  expect(early.map(({ id }) => id)).toEqual([]);
});

function namesId(name: string, id: string): boolean {
  return name.slice(0, name.indexOf(' · ')).split(', ').includes(id);
}
