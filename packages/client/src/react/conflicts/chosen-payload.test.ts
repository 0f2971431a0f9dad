import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../protocol/wire.ts';
import { choiceOf, type Side, valueAt } from './chosen-payload.ts';

// The edit only carries the phone along, and the other side has changed it.
const merged = { id: '1', name: 'Mine', phone: '2', address: { city: 'Oslo', zip: '1' } };
const theirs = { id: '1', name: 'Theirs', phone: '2', address: { city: 'Bergen', zip: '1' }, version: 7 };
const fields = [['name'], ['address', 'city']];

function choose(sides: Readonly<Record<string, Side>>, edit: JsonObject = merged) {
  return choiceOf({ merged: edit, theirs, fields }, (path) => sides[path.join('.')] ?? 'mine');
}

describe('a choice by field', () => {
  it('C1 · all of one side is that side; a mixture is the edit with the other side’s values where they were chosen', () => {
    expect(choose({})).toBe('mine');
    expect(choose({ name: 'theirs' })).toEqual({ payload: { ...merged, name: 'Theirs' } });
    expect(choose({ 'address.city': 'theirs' })).toEqual({
      payload: { ...merged, address: { city: 'Bergen', zip: '1' } },
    });
    expect(choose({ name: 'theirs', 'address.city': 'theirs' })).toBe('theirs');
  });

  it('C1 · what the edit set besides the fields in conflict is not given up with them', () => {
    expect(choose({ name: 'theirs', 'address.city': 'theirs' }, { ...merged, note: 'mine alone' })).toEqual({
      payload: { ...merged, name: 'Theirs', address: { city: 'Bergen', zip: '1' }, note: 'mine alone' },
    });
  });

  it('C1 · a field that the other side does not have is taken out, and a key that is called __proto__ is only a key', () => {
    const conflict = { merged: { id: '1', note: 'x', kept: 1 }, theirs: { id: '1' }, fields: [['note']] };
    expect(choiceOf(conflict, () => 'theirs')).toEqual({ payload: { id: '1', kept: 1 } });
    const odd = JSON.parse('{"id":"1","kept":1,"__proto__":{"polluted":true}}') as JsonObject;
    const chosen = choiceOf({ merged: odd, theirs: { id: '1' }, fields: [['__proto__', 'polluted']] }, () => 'theirs');
    expect(Object.hasOwn((chosen as { payload: object }).payload, '__proto__')).toBe(true);
    expect(({} as { readonly polluted?: boolean }).polluted).toBeUndefined();
    expect(valueAt(theirs, ['toString'])).toBeUndefined();
  });
});
