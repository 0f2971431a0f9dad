import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Json, JsonObject } from '../../protocol/wire.ts';
import { createJsonPatch } from './create-json-patch.ts';
import { applyJsonPatch, type JsonPatch, parseJsonPatch } from './json-patch.ts';
import { applyMergePatch, createMergePatch } from './merge-patch.ts';
import { isSameJson } from './same-json.ts';
import { hasUnsafeKey } from './unsafe-key.ts';

const apply = (document: JsonObject, patch: Json): Json => applyJsonPatch(document, parseJsonPatch(patch));

describe('JSON Patch', () => {
  // RFC 6902, appendix A; the numbers are its own.
  test.each<[string, JsonObject, Json, Json]>([
    ['A.1', { foo: 'bar' }, [{ op: 'add', path: '/baz', value: 'qux' }], { baz: 'qux', foo: 'bar' }],
    ['A.2', { foo: ['bar', 'baz'] }, [{ op: 'add', path: '/foo/1', value: 'qux' }], { foo: ['bar', 'qux', 'baz'] }],
    ['A.3', { baz: 'qux', foo: 'bar' }, [{ op: 'remove', path: '/baz' }], { foo: 'bar' }],
    ['A.4', { foo: ['bar', 'qux', 'baz'] }, [{ op: 'remove', path: '/foo/1' }], { foo: ['bar', 'baz'] }],
    ['A.5', { baz: 'qux', foo: 'bar' }, [{ op: 'replace', path: '/baz', value: 'boo' }], { baz: 'boo', foo: 'bar' }],
    [
      'A.6',
      { foo: { bar: 'baz', waldo: 'fred' }, qux: { corge: 'grault' } },
      [{ op: 'move', from: '/foo/waldo', path: '/qux/thud' }],
      { foo: { bar: 'baz' }, qux: { corge: 'grault', thud: 'fred' } },
    ],
    [
      'A.7',
      { foo: ['all', 'grass', 'cows', 'eat'] },
      [{ op: 'move', from: '/foo/1', path: '/foo/3' }],
      { foo: ['all', 'cows', 'eat', 'grass'] },
    ],
    [
      'A.8',
      { baz: 'qux', foo: ['a', 2, 'c'] },
      [
        { op: 'test', path: '/baz', value: 'qux' },
        { op: 'test', path: '/foo/1', value: 2 },
      ],
      { baz: 'qux', foo: ['a', 2, 'c'] },
    ],
    [
      'A.10',
      { foo: 'bar' },
      [{ op: 'add', path: '/child', value: { grandchild: {} } }],
      { foo: 'bar', child: { grandchild: {} } },
    ],
    ['A.11', { foo: 'bar' }, [{ op: 'add', path: '/baz', value: 'qux', xyz: 123 }], { foo: 'bar', baz: 'qux' }],
    ['A.14', { '/': 9, '~1': 10 }, [{ op: 'test', path: '/~01', value: 10 }], { '/': 9, '~1': 10 }],
    [
      'A.16',
      { foo: ['bar'] },
      [{ op: 'add', path: '/foo/-', value: ['abc', 'def'] }],
      { foo: ['bar', ['abc', 'def']] },
    ],
  ])('C3 · does what example %s of RFC 6902 says', (_, document, patch, result) => {
    expect(apply(document, patch)).toEqual(result);
  });

  test.each<[string, JsonObject, Json]>([
    ['A.9', { baz: 'qux' }, [{ op: 'test', path: '/baz', value: 'bar' }]],
    ['A.12', { foo: 'bar' }, [{ op: 'add', path: '/baz/bat', value: 'qux' }]],
    ['A.15', { '/': 9, '~1': 10 }, [{ op: 'test', path: '/~01', value: '10' }]],
    ['an index with a leading zero', { a: [1, 2] }, [{ op: 'remove', path: '/a/01' }]],
    ['a negative index', { a: [1, 2] }, [{ op: 'replace', path: '/a/-1', value: 0 }]],
    ['an index that is none', { a: [1, 2] }, [{ op: 'remove', path: '/a/x' }]],
    ['an index beyond the end', { a: [1] }, [{ op: 'add', path: '/a/2', value: 0 }]],
    ['what every object inherits', { a: 1 }, [{ op: 'remove', path: '/toString' }]],
    ['a move into itself', { a: { b: 1 } }, [{ op: 'move', from: '/a', path: '/a/b' }]],
    ['a pointer without a slash', { a: 1 }, [{ op: 'remove', path: 'a' }]],
    ['a broken escape', { 'a~2': 1 }, [{ op: 'remove', path: '/a~2' }]],
    ['an unknown operation', { a: 1 }, [{ op: 'spam', path: '/a' }]],
    ['a missing value', { a: 1 }, [{ op: 'add', path: '/a' }]],
    ['what is no array', { a: 1 }, { op: 'remove', path: '/a' }],
    ['an operation that is no object', { a: 1 }, ['remove /a']],
    ['a pointer that is no text', { a: 1 }, [{ op: 'remove', path: 7 }]],
    ['to take out all of it', { a: 1 }, [{ op: 'remove', path: '' }]],
    ['to move all of it', { a: 1 }, [{ op: 'move', from: '', path: '/a' }]],
    ['to copy what is not there', { a: 1 }, [{ op: 'copy', from: '/b', path: '/a' }]],
    [
      'a move to behind the end, as it is when the moved item is out',
      { a: [1, 2, 3] },
      [{ op: 'move', from: '/a/0', path: '/a/3' }],
    ],
    [
      'a test of what is alike but not the same',
      { a: { b: [1, { c: 2 }] } },
      [{ op: 'test', path: '/a', value: { b: [1, { c: 3 }] } }],
    ],
  ])('C3 · refuses %s', (_, document, patch) => {
    const before = structuredClone(document);
    expect(() => apply(document, patch)).toThrow(expect.objectContaining({ code: 'INVALID_PATCH' }));
    expect(document).toEqual(before);
  });

  test('C3 · all of a document can be tested, replaced and copied', () => {
    expect(
      apply({ a: 1 }, [
        { op: 'test', path: '', value: { a: 1 } },
        { op: 'copy', from: '', path: '/before' },
        { op: 'add', path: '/after', value: true },
      ]),
    ).toEqual({ a: 1, before: { a: 1 }, after: true });
    expect(apply({ a: 1 }, [{ op: 'add', path: '', value: { b: 2 } }])).toEqual({ b: 2 });
    expect(apply({ a: 1 }, [{ op: 'replace', path: '', value: [1] }])).toEqual([1]);
  });

  test('C3 · items are moved within a list as they stand when the moved one is out', () => {
    expect(apply({ a: [1, { b: 2 }, { c: 3 }] }, [{ op: 'move', from: '/a/0', path: '/a/1/was' }])).toEqual({
      a: [{ b: 2 }, { c: 3, was: 1 }],
    });
  });

  test('C3 · the patch from one row to another makes the other of it', () => {
    fc.assert(
      fc.property(plainObject, plainObject, (source, target) => {
        const patch = createJsonPatch(source, target) as JsonPatch;
        expect(isSameJson(applyJsonPatch(source, patch), target)).toBe(true);
      }),
    );
  });
});

describe('merge patch', () => {
  // RFC 7396, appendix A.
  test.each<[Json, Json, Json]>([
    [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
    [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
    [{ a: 'b' }, { a: null }, {}],
    [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
    [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
    [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
    [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
    [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
    [
      ['a', 'b'],
      ['c', 'd'],
      ['c', 'd'],
    ],
    [{ a: 'b' }, ['c'], ['c']],
    [{ a: 'foo' }, null, null],
    [{ a: 'foo' }, 'bar', 'bar'],
    [{ e: null }, { a: 1 }, { e: null, a: 1 }],
    [[1, 2], { a: 'b', c: null }, { a: 'b' }],
    [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
  ])('C3 · %j patched with %j is %j, as RFC 7396 says', (target, patch, result) => {
    expect(applyMergePatch(target, patch)).toEqual(result);
  });

  test('C3 · the patch from one row to another makes the other of it, or there is none', () => {
    let madeCount = 0;
    fc.assert(
      fc.property(plainObject, plainObject, (source, target) => {
        const patch = createMergePatch(source, target);
        if (patch === null) return;
        madeCount += 1;
        expect(isSameJson(applyMergePatch(source, patch), target)).toBe(true);
      }),
    );
    expect(madeCount).toBeGreaterThan(10);
  });

  test('C3 · a field set to null cannot be said in a merge patch', () => {
    expect(createMergePatch({ a: 1 }, { a: null })).toBeNull();
    expect(createMergePatch({ a: { b: 1 } }, { a: { b: null } })).toBeNull();
    expect(createMergePatch({ a: null }, { a: null, b: 1 })).toEqual({ b: 1 });
  });
});

describe('prototypes', () => {
  test('C3 · a document with a field of an unsafe name is not patched', () => {
    const document = JSON.parse('{"a":{"__proto__":{"polluted":1}}}') as JsonObject;
    expect(() => apply(document, [{ op: 'add', path: '/b', value: 1 }])).toThrow(
      expect.objectContaining({ code: 'UNSAFE_KEY' }),
    );
  });

  const unsafe = fc.constantFrom('__proto__', 'constructor', 'prototype');
  /** Nested at random, in arrays and objects, with one of the names somewhere. */
  const hostile: fc.Arbitrary<Json> = fc.letrec<{ value: Json; inner: Json }>((tie) => ({
    value: fc.oneof(
      fc
        .tuple(unsafe, tie('inner'))
        .map(([key, inner]) => JSON.parse(`{${JSON.stringify(key)}:${JSON.stringify(inner)}}`) as Json),
      fc.tuple(fc.constantFrom('a', 'b'), tie('value')).map(([key, inner]): Json => ({ [key]: inner })),
      tie('value').map((inner): Json => [1, inner]),
    ),
    inner: fc.constantFrom<Json>({ polluted: 1 }, null, 'x', { prototype: { polluted: 1 } }, [{ polluted: 1 }]),
  })).value;
  const escaped = fc.tuple(
    fc.constantFrom('', '/a', '/a/0', '/~0', '/~1', '/a~01'),
    unsafe,
    fc.constantFrom('', '/polluted', '/0', '/~1x'),
  );
  const refused = expect.objectContaining({ code: 'UNSAFE_KEY' }) as Error;

  test('inv-W9 · a patch that speaks of a prototype is refused, however nested or escaped, and nothing is polluted', () => {
    const before = traces();
    const document: JsonObject = { a: [{ b: 1 }], '~': {}, '/': {} };
    fc.assert(
      fc.property(
        hostile,
        escaped,
        fc.constantFrom('add', 'replace', 'test', 'remove', 'move', 'copy'),
        (value, [front, name, back], op) => {
          expect(() => applyMergePatch(document, value)).toThrow(refused);
          const pointer = `${front}/${name}${back}`;
          const spoken = [
            { op, path: pointer, value: 1, from: '/a' },
            { op: 'add', path: '/c', value },
            { op: 'copy', path: '/c', from: pointer },
          ];
          for (const operation of spoken) expect(() => apply(document, [operation])).toThrow(refused);
          expect(createMergePatch({}, { value })).toBeNull();
          expect(createJsonPatch({}, { value })).toBeNull();
          expect(hasUnsafeKey(value)).toBe(true);
          expect(traces()).toBe(before);
        },
      ),
    );
  });

  test('inv-W9 · a name spelled with unicode escapes is the same name', () => {
    const patch = JSON.parse('[{"op":"add","path":"/\\u005f_proto__/polluted","value":1}]') as Json;
    expect(() => parseJsonPatch(patch)).toThrow(refused);
    expect(() => applyMergePatch({}, JSON.parse('{"\\u005f\\u005fproto__":{"polluted":1}}') as Json)).toThrow(refused);
  });

  test('inv-W9 · a name that only looks like one of them is a field like any other', () => {
    expect(apply({}, [{ op: 'add', path: '/~0__proto__', value: 1 }])).toEqual({ '~__proto__': 1 });
    expect(applyMergePatch({}, { proto: 1, Constructor: 2 })).toEqual({ proto: 1, Constructor: 2 });
  });

  function traces(): string {
    return [Object.prototype, Function.prototype, Array.prototype]
      .map((each) => Object.getOwnPropertyNames(each).join())
      .join(';');
  }
});

const plainValue = fc.letrec<{ json: Json; object: JsonObject }>((tie) => ({
  json: fc.oneof(
    { depthSize: 'small' },
    fc.constantFrom<Json>(null, 0, 1, 'x', false),
    fc.array(tie('json'), { maxLength: 3 }),
    tie('object'),
  ),
  object: fc
    .dictionary(fc.constantFrom('a', 'b', '/', '~', '', 'toString', '0', '-'), tie('json'), { maxKeys: 4 })
    .map((made) => ({ ...made })),
}));
const plainObject = plainValue.object;
