import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Json, JsonObject } from '../../protocol/wire.ts';
import { isSameJson } from './same-json.ts';
import { changesOf, mergeThreeWay, withFields } from './three-way-merge.ts';

const ROW: JsonObject = { id: 'a', name: 'Oslo', beds: 3, tags: ['x'], address: { city: 'Oslo', street: null, no: 1 } };

describe('three-way merge', () => {
  test('C1 · what only I changed stays mine, what only they changed stays theirs', () => {
    const merged = mergeThreeWay({
      base: ROW,
      mine: { name: 'Bergen', beds: 3 },
      theirs: { ...ROW, beds: 5, tags: ['y'] },
    });
    expect(merged).toEqual({ kind: 'merged', payload: { name: 'Bergen', beds: 5 } });
  });

  test('C1 · a field that both changed, each to something else, is in conflict, by its path', () => {
    const merged = mergeThreeWay({
      base: ROW,
      mine: { name: 'Bergen', address: { city: 'Bergen', street: 'Quay', no: 1 } },
      theirs: { ...ROW, name: 'Oslo!', address: { city: 'Moss', street: null, no: 2 } },
    });
    expect(merged).toEqual({
      kind: 'conflict',
      payload: { name: 'Bergen', address: { city: 'Bergen', street: 'Quay', no: 2 } },
      fields: [['name'], ['address', 'city']],
    });
  });

  test('C1 · both changed to the same: no conflict', () => {
    expect(mergeThreeWay({ base: ROW, mine: { beds: 4 }, theirs: { ...ROW, beds: 4 } })).toEqual({
      kind: 'merged',
      payload: { beds: 4 },
    });
  });

  test('C1 · objects are merged field by field, arrays as one value', () => {
    const mine = { tags: ['x', 'mine'], address: { city: 'Oslo', street: 'Quay', no: 1 } };
    const theirs = { ...ROW, tags: ['x', 'theirs'], address: { city: 'Moss', street: null, no: 1 } };
    expect(mergeThreeWay({ base: ROW, mine, theirs })).toEqual({
      kind: 'conflict',
      payload: { tags: ['x', 'mine'], address: { city: 'Moss', street: 'Quay', no: 1 } },
      fields: [['tags']],
    });
  });

  test('C1 · a field taken out of an object stays out, unless the other side changed it', () => {
    const base = { box: { kept: 1, gone: 2, changed: 3 } };
    const merged = mergeThreeWay({
      base,
      mine: { box: { kept: 1 } },
      theirs: { box: { kept: 1, gone: 2, changed: 4 } },
    });
    expect(merged).toEqual({ kind: 'conflict', payload: { box: { kept: 1 } }, fields: [['box', 'changed']] });
  });

  test('C1 · without the row it was made on, every field that differs is in conflict', () => {
    expect(mergeThreeWay({ base: {}, mine: { name: 'Bergen', beds: 3 }, theirs: ROW })).toMatchObject({
      kind: 'conflict',
      fields: [['name']],
    });
  });

  test('C1 · an object that both sides put where there was none, or nothing, is merged field by field', () => {
    for (const base of [{}, { box: null }]) {
      expect(mergeThreeWay({ base, mine: { box: { a: 1, b: 2 } }, theirs: { box: { b: 2, c: 3 } } })).toEqual({
        kind: 'merged',
        payload: { box: { a: 1, b: 2, c: 3 } },
      });
    }
    expect(mergeThreeWay({ base: { box: 'full' }, mine: { box: { a: 1 } }, theirs: { box: { b: 2 } } })).toEqual({
      kind: 'conflict',
      payload: { box: { a: 1 } },
      fields: [['box']],
    });
  });

  test('C1 · what an edit changes are the fields that differ, and those alone', () => {
    expect(changesOf(ROW, { name: 'Bergen', beds: 3, colour: 'red' })).toEqual({ name: 'Bergen', colour: 'red' });
  });

  const key = fc.constantFrom('a', 'b', 'c', 'd', '__proto__', 'constructor', 'prototype', 'toString');
  const value = fc.letrec<{ json: Json; object: JsonObject }>((tie) => ({
    json: fc.oneof(
      { depthSize: 'small' },
      fc.constantFrom(null, 0, 1, 'x'),
      fc.array(fc.constantFrom(1, 2), { maxLength: 2 }),
      tie('object'),
    ),
    object: fc.array(fc.tuple(key, tie('json')), { maxLength: 4 }).map((entries) => Object.fromEntries(entries)),
  })).object;

  test('C1 · an edit that changed nothing gives way, and one on an unchanged row stands as it is', () => {
    fc.assert(
      fc.property(value, value, (base, other) => {
        const own = Object.fromEntries(Object.entries(base).filter(([name]) => Object.hasOwn(other, name)));
        const merged = mergeThreeWay({ base, mine: own, theirs: other });
        expect(merged.kind).toBe('merged');
        for (const name of Object.keys(own)) expect(isSameJson(merged.payload[name], other[name])).toBe(true);
        expect(mergeThreeWay({ base, mine: other, theirs: base })).toEqual({ kind: 'merged', payload: other });
      }),
    );
  });

  test('C1 · the two sides may be exchanged: without a conflict, both come to the same', () => {
    fc.assert(
      fc.property(value, value, value, (base, left, right) => {
        const box = (inner: JsonObject): JsonObject => ({ box: inner });
        const one = mergeThreeWay({ base: box(base), mine: box(left), theirs: box(right) });
        const two = mergeThreeWay({ base: box(base), mine: box(right), theirs: box(left) });
        expect(one.kind).toBe(two.kind);
        if (one.kind === 'merged') expect(isSameJson(one.payload, two.payload)).toBe(true);
      }),
    );
  });

  test('C1 · what an edit changes, set on the row it was made on, is the row as it was meant', () => {
    fc.assert(
      fc.property(value, value, (base, edit) => {
        expect(isSameJson(withFields(base, changesOf(base, edit)), withFields(base, edit))).toBe(true);
      }),
    );
  });

  test('inv-W9 · no key of any of the three reaches a prototype', () => {
    const before = Object.getOwnPropertyNames(Object.prototype).join();
    fc.assert(
      fc.property(value, value, value, (base, mine, theirs) => {
        const { payload } = mergeThreeWay({ base, mine, theirs });
        expect(Object.getPrototypeOf(payload)).toBe(Object.prototype);
        expect(Object.getOwnPropertyNames(Object.prototype).join()).toBe(before);
      }),
    );
  });
});
