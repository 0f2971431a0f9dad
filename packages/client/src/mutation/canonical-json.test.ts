import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { LIMITS } from '../protocol/wire.ts';
import { canonicalJson, parseJson, utf8Bytes } from './canonical-json.ts';

// Any text that JSON and Postgres can carry: no NUL, no lone surrogates.
const text = fc.string({ unit: 'binary' }).map((value) => value.replaceAll('\0', ''));
const json = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    fc.constant(null),
    fc.boolean(),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.integer(),
    text,
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(text, tie('value'), { maxKeys: 4 }),
  ),
})).value;

function textOf(value: unknown): string {
  const result = canonicalJson(value, LIMITS.jsonDepth);
  if (result.kind === 'notJson') throw new Error(result.reason);
  return result.text;
}

/** The same value with the keys of every object in the other order. */
function reversed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reversed);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .toReversed()
      .map(([key, item]) => [key, reversed(item)]),
  );
}

describe('canonical JSON', () => {
  test('P1 · it reads back as the value it was made of', () => {
    fc.assert(
      fc.property(json, (value) => {
        expect(parseJson(textOf(value))).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
  });

  test('P1 · equal values have equal text, whatever the order of their keys', () => {
    fc.assert(
      fc.property(json, (value) => {
        expect(textOf(reversed(value))).toBe(textOf(value));
      }),
    );
  });

  test('P1 · different values have different text', () => {
    fc.assert(
      fc.property(json, json, (left, right) => {
        const isEqual = JSON.stringify(sorted(left)) === JSON.stringify(sorted(right));
        expect(textOf(left) === textOf(right)).toBe(isEqual);
      }),
    );
  });

  test('P1 · keys stand in the order of their code units', () => {
    expect(textOf({ b: 1, a: { d: [], c: {} }, '\u{1f600}': 1, '\uffee': 2, 10: 0, 9: 0 })).toBe(
      '{"10":0,"9":0,"a":{"c":{},"d":[]},"b":1,"\u{1f600}":1,"\uffee":2}',
    );
  });

  test('P1 · a key without a value is left out, as JSON.stringify does', () => {
    expect(textOf({ a: undefined, b: null })).toBe('{"b":null}');
  });

  test('P1 · minus zero and zero are one value', () => {
    expect(textOf({ a: -0 })).toBe(textOf({ a: 0 }));
  });

  test('P1 · a key named `__proto__` is a key like any other', () => {
    expect(textOf(JSON.parse('{"__proto__":{"a":1}}'))).toBe('{"__proto__":{"a":1}}');
  });

  class Point {
    readonly x = 1;
  }
  const cycle: unknown[] = [];
  cycle.push(cycle);
  test.each([
    { name: 'NaN', value: { a: Number.NaN }, path: ['a'], reason: 'the number NaN' },
    { name: 'an infinity', value: { a: [1, Number.POSITIVE_INFINITY] }, path: ['a', 1], reason: 'the number Infinity' },
    { name: 'a bigint', value: { a: 1n }, path: ['a'], reason: 'a bigint' },
    { name: 'a function', value: { a: () => {} }, path: ['a'], reason: 'a function' },
    { name: 'a symbol', value: { a: Symbol('x') }, path: ['a'], reason: 'a symbol' },
    { name: 'nothing at all', value: undefined, path: [], reason: 'undefined' },
    { name: 'a hole in an array', value: { a: [1, undefined] }, path: ['a', 1], reason: 'undefined' },
    { name: 'a date', value: { a: { b: new Date(0) } }, path: ['a', 'b'], reason: 'an instance of Date' },
    { name: 'a map', value: { a: new Map() }, path: ['a'], reason: 'an instance of Map' },
    { name: 'an object of a class', value: { a: new Point() }, path: ['a'], reason: 'an instance of Point' },
    {
      name: 'an object of a class without a name',
      value: { a: Object.create({ constructor: 'none' }) as object },
      path: ['a'],
      reason: 'an instance of an unnamed class',
    },
    {
      name: 'NUL in a text',
      value: { a: 'x\0' },
      path: ['a'],
      reason: 'text with the character NUL, which Postgres cannot hold',
    },
    {
      name: 'NUL in a key',
      value: { 'x\0': 1 },
      path: ['x\0'],
      reason: 'text with the character NUL, which Postgres cannot hold',
    },
    { name: 'a high surrogate alone', value: { a: '\ud83d' }, path: ['a'], reason: 'text with an unpaired surrogate' },
    {
      name: 'a high surrogate before another',
      value: { a: '\ud83d\ud83d\ude00' },
      path: ['a'],
      reason: 'text with an unpaired surrogate',
    },
    { name: 'a low surrogate alone', value: { a: '\ude00x' }, path: ['a'], reason: 'text with an unpaired surrogate' },
  ])('Q1 · $name is refused, with its place and the reason', ({ value, path, reason }) => {
    expect(canonicalJson(value, 32)).toEqual({ kind: 'notJson', path, reason });
  });

  test('Q1 · a cycle is refused for its depth', () => {
    expect(canonicalJson({ a: cycle }, 32)).toMatchObject({ kind: 'notJson', reason: 'nesting deeper than 32' });
  });

  test.each([
    { depth: LIMITS.jsonDepth - 1, kind: 'json' },
    { depth: LIMITS.jsonDepth, kind: 'json' },
    { depth: LIMITS.jsonDepth + 1, kind: 'notJson' },
  ])('Q1 · nesting of $depth is $kind', ({ depth, kind }) => {
    let value: unknown = 'innermost';
    for (let level = 0; level < depth; level += 1) value = level % 2 === 0 ? { a: value } : [value];

    expect(canonicalJson(value, LIMITS.jsonDepth).kind).toBe(kind);
  });

  test('Q1 · what a getter throws is not taken for a payload that is not JSON', () => {
    const value = {
      get a(): string {
        throw new RangeError('mine');
      },
    };

    expect(() => canonicalJson(value, 32)).toThrow('mine');
  });

  test('Q1 · an object without a prototype is a plain object', () => {
    expect(textOf(Object.assign(Object.create(null), { a: 1 }))).toBe('{"a":1}');
  });
});

test('Q1 · the length in bytes is that of the encoded text', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (value) => {
      expect(utf8Bytes(value)).toBe(new TextEncoder().encode(value).length);
    }),
  );
  expect(canonicalJson({ ä: '€\u{1f600}' }, 1)).toMatchObject({
    bytes: new TextEncoder().encode('{"ä":"€\u{1f600}"}').length,
  });
});

function sorted(value: unknown): unknown {
  if (Object.is(value, -0)) return 0;
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  // A list of pairs, since an object would move keys that look like numbers to the front.
  return {
    pairs: Object.entries(value)
      .toSorted(([left], [right]) => (left < right ? -1 : 1))
      .map(([key, item]) => [key, sorted(item)]),
  };
}
