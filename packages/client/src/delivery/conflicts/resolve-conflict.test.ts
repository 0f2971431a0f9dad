import { describe, expect, test } from 'vitest';
import type { JsonObject } from '../../protocol/wire.ts';
import { applyJsonPatch, parseJsonPatch } from './json-patch.ts';
import { applyMergePatch } from './merge-patch.ts';
import { type Conflict, resolveConflict } from './resolve-conflict.ts';
import { smallestPayload } from './wire-payload.ts';

const base = { id: 'a', name: 'Oslo', beds: 3 };
const edit = (more: Partial<Conflict> = {}): Conflict => ({
  operation: 'update',
  base,
  mine: { name: 'Bergen' },
  theirs: { ...base, beds: 4 },
  ...more,
});

describe('what becomes of an edit in conflict', () => {
  test('C1 · the server wins: the edit gives way', () => {
    expect(resolveConflict('server-wins', edit())).toEqual({ kind: 'superseded' });
  });

  test('C1 · the client wins: the edit goes again, whatever the row is', () => {
    expect(resolveConflict('client-wins', edit())).toEqual({
      kind: 'resend',
      payload: { name: 'Bergen' },
      isUnconditional: true,
    });
  });

  test('C1 · merged where each side changed other fields, a matter for a person where both changed one', () => {
    expect(resolveConflict('merge', edit())).toMatchObject({ kind: 'resend', payload: { name: 'Bergen' } });
    expect(resolveConflict('merge', edit({ theirs: { ...base, name: 'Moss' } }))).toEqual({
      kind: 'unresolved',
      fields: [['name']],
    });
  });

  test('C1 · a deletion is not merged with a change, in either direction', () => {
    expect(resolveConflict('merge', edit({ theirs: null }))).toEqual({ kind: 'unresolved', fields: [] });
    expect(resolveConflict('merge', edit({ operation: 'delete', mine: {} }))).toEqual({
      kind: 'unresolved',
      fields: [],
    });
  });

  test.each(['server-wins', 'client-wins', 'latest-wins', 'merge', undefined] as const)(
    'C1 · what was to be deleted and is gone needs nobody, with %s',
    (strategy) => {
      expect(resolveConflict(strategy, edit({ operation: 'delete', mine: {}, theirs: null }))).toEqual({
        kind: 'superseded',
      });
    },
  );

  test('C1 · a function decides, or leaves it to a person; without a strategy it is a person', () => {
    const longest = ({ mine, theirs }: { mine: JsonObject; theirs: JsonObject | null }): JsonObject | 'unresolved' =>
      theirs === null ? 'unresolved' : { name: `${String(theirs['name'])} & ${String(mine['name'])}` };
    expect(resolveConflict(longest, edit())).toMatchObject({ kind: 'resend', payload: { name: 'Oslo & Bergen' } });
    expect(resolveConflict(longest, edit({ theirs: null }))).toEqual({ kind: 'unresolved', fields: [] });
    expect(resolveConflict(undefined, edit({ theirs: { ...base, name: 'Moss' } }))).toEqual({
      kind: 'unresolved',
      fields: [['name']],
    });
    expect(resolveConflict(undefined, edit()), 'nothing that both have changed').toEqual({
      kind: 'unresolved',
      fields: [],
    });
  });

  test('C1 · without the version that the edit was made on, all fields that differ are in conflict', () => {
    const theirs = { name: 'Moss', beds: 3 };
    for (const strategy of ['merge', undefined] as const) {
      expect(resolveConflict(strategy, edit({ base: null, mine: { name: 'Bergen', beds: 3 }, theirs }))).toEqual({
        kind: 'unresolved',
        fields: [['name']],
      });
    }
  });
});

describe('how an edit travels', () => {
  const notes = 'a long remark that nobody has touched '.repeat(10);
  const row = {
    id: 'a',
    title: 'one',
    notes,
    tags: Array.from({ length: 40 }, (_, index) => `tag ${index}`),
    meta: { a: 1 },
  };

  test('C3 · as a merge patch where little has changed', () => {
    const sent = smallestPayload(row, { title: 'two', notes });
    expect(sent).toEqual({ payload: { title: 'two' }, encoding: 'mergePatch' });
    expect(applyMergePatch({ title: 'one', notes }, sent.payload)).toEqual({ title: 'two', notes });
  });

  test('C3 · as a JSON Patch where one item of a long list has', () => {
    const tags = [...row.tags, 'one more'];
    const sent = smallestPayload(row, { tags });
    expect(sent).toEqual({
      payload: { patch: [{ op: 'add', path: '/tags/-', value: 'one more' }] },
      encoding: 'jsonPatch',
    });
    expect(applyJsonPatch({ tags: row.tags }, parseJsonPatch(sent.payload['patch'] ?? null))).toEqual({ tags });
  });

  const list = Array.from({ length: 5_000 }, (_, index) => index);
  test.each<[string, readonly number[], object]>([
    ['at the end', [...list, -1], { op: 'add', path: '/list/-', value: -1 }],
    ['at the beginning', [-1, ...list], { op: 'add', path: '/list/0', value: -1 }],
    [
      'in the middle',
      [...list.slice(0, 2_500), -1, ...list.slice(2_500)],
      { op: 'add', path: '/list/2500', value: -1 },
    ],
    ['in the place of the last', [...list.slice(0, -1), -1], { op: 'replace', path: '/list/4999', value: -1 }],
  ])('C3 · one item of thousands, %s, is a JSON Patch that is made at once', (_, after, operation) => {
    // Pair by pair it would take minutes.
    expect(smallestPayload({ list }, { list: after })).toEqual({
      payload: { patch: [operation] },
      encoding: 'jsonPatch',
    });
  });

  test('C3 · a list in another order travels whole, and is not compared pair by pair', () => {
    for (const length of [500, 5_000]) {
      const payload = { list: list.slice(0, length).toReversed() };
      expect(smallestPayload({ list: list.slice(0, length) }, payload)).toEqual({ payload });
    }
  });

  test('C3 · whole where a patch would say more, or cannot say it', () => {
    expect(smallestPayload(row, { title: 'x' })).toEqual({ payload: { title: 'x' } });
    expect(smallestPayload(row, { title: null })).toEqual({ payload: { title: null } });
    expect(smallestPayload({ title: 'one' }, { id: 'a', title: 'two' })).toEqual({
      payload: { id: 'a', title: 'two' },
    });
    const unsafe = JSON.parse('{"meta":{"__proto__":{"polluted":1}}}') as JsonObject;
    expect(smallestPayload(row, unsafe)).toEqual({ payload: unsafe });
  });
});
