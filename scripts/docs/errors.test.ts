import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { ERROR_CODES } from 'holdfast/protocol';
import { expect, test } from 'vitest';

const page = readFileSync(join(resolve(import.meta.dirname, '..', '..'), 'docs', 'errors.md'), 'utf8');
const entries = page
  .split(/^### /m)
  .slice(1)
  .map((entry) => ({ code: entry.slice(0, entry.indexOf('\n')), text: entry }));

test('R1 · docs/errors.md has one entry for each code, in the order of the list', () => {
  expect(entries.map(({ code }) => code)).toEqual(Object.keys(ERROR_CODES));
});

test.each(entries)('R1 · the entry of $code gives its category, when it happens and what to do', ({ code, text }) => {
  const category = /^- Category: `(\w+)`$/m.exec(text)?.[1];
  expect(category).toBe((ERROR_CODES as Readonly<Record<string, string>>)[code]);
  expect(text).toMatch(/^- When: \S/m);
  expect(text).toMatch(/^- What to do: \S/m);
});
