import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isStorable } from './storable.ts';

test('P9 · what JSON can carry without loss is storable', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 5, stringUnit: 'grapheme' }), (value) => {
      fc.pre(!JSON.stringify(value).includes('\\u0000'));
      expect(isStorable(value)).toBe(true);
    }),
  );
});

test('P9 · one character that a database cannot hold, anywhere, makes a value unstorable', () => {
  fc.assert(
    fc.property(
      fc.jsonValue({ maxDepth: 3 }),
      fc.constantFrom('\u0000', '\ud800', '\udc00', 'a\ud83d'),
      fc.constantFrom('value' as const, 'key' as const, 'inside' as const),
      (value, bad, where) => {
        const spoilt = {
          value: [value, bad],
          key: { a: value, [bad]: 1 },
          inside: { a: [value, { b: [bad] }] },
        };
        expect(isStorable(spoilt[where])).toBe(false);
      },
    ),
  );
});

test('P9 · nesting is counted from the payload, which is depth 1', () => {
  const nest = (depth: number): unknown => (depth === 0 ? 'leaf' : { a: nest(depth - 1) });
  expect(isStorable(nest(32))).toBe(true);
  expect(isStorable(nest(33))).toBe(false);
});

test('P9 · a hundred thousand levels do not exhaust the stack', () => {
  expect(isStorable(JSON.parse(`${'['.repeat(100_000)}${']'.repeat(100_000)}`))).toBe(false);
});

test('P9 · a number that JSON would turn into null is unstorable', () => {
  expect(isStorable(JSON.parse('{"n": 1e400}'))).toBe(false);
});
