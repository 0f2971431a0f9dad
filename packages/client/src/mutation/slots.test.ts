import { describe, expect, test } from 'vitest';
import {
  KEPT_RESULT_CHARS,
  keptResult,
  placeholderOf,
  type Slot,
  slotsIn,
  valueAt,
  valuesIn,
  withoutSlots,
  withValues,
} from './slots.ts';

const PARENT = '0190e0a5-0000-7000-8000-000000000001';
const slot = (path: readonly string[], kind: 'string' | 'number' = 'string'): Slot => ({
  holdfastSlot: { mutationId: PARENT, path, kind },
});

describe('placeholders', () => {
  test('Q8 · for the id it is the mutation’s own id; for another text another UUID; for a number a negative one', () => {
    expect(placeholderOf(PARENT, ['id'], 'string')).toBe(PARENT);
    const other = placeholderOf(PARENT, ['owner', 'id'], 'string');
    expect(other).toMatch(/^0190e0a5-0000-7000-8000-[0-9a-f]{12}$/);
    expect(other).not.toBe(PARENT);
    const number = placeholderOf(PARENT, ['id'], 'number');
    expect(Number.isSafeInteger(number) && Number(number) < 0).toBe(true);
  });

  test('Q8 · the same slot has the same placeholder, and another one another', () => {
    const names = ['a', 'b', 'c'].flatMap((key) =>
      (['string', 'number'] as const).map((kind) => placeholderOf(PARENT, [key], kind)),
    );
    expect(new Set(names).size).toBe(names.length);
    expect(placeholderOf(PARENT, ['a'], 'number')).toBe(placeholderOf(PARENT, ['a'], 'number'));
  });
});

describe('payloads', () => {
  const payload = { id: slot(['id']), tags: ['x', { of: slot(['n'], 'number') }], at: null };

  test('Q8 · slots are found wherever they stand, also after they travelled as JSON', () => {
    expect(slotsIn(payload)).toHaveLength(2);
    expect(slotsIn(JSON.parse(JSON.stringify(payload)))).toHaveLength(2);
    expect(slotsIn({ a: new Date(0), b: [undefined], c: 'text' })).toEqual([]);
  });

  test('Q8 · each is replaced, and what was given stays as it was', () => {
    const before = JSON.stringify(payload);
    const filled = withoutSlots(payload, ({ holdfastSlot: { kind } }) => (kind === 'string' ? PARENT : -5));
    expect(filled).toEqual({ id: PARENT, tags: ['x', { of: -5 }], at: null });
    expect(JSON.stringify(payload)).toBe(before);
  });

  test('Q8 · placeholders become values wherever they ended up', () => {
    const stored = { id: PARENT, list: [PARENT, -5, 'x'], deep: { n: -5 } };
    const values = new Map<string | number, string | number>([
      [PARENT, 'real'],
      [-5, 7],
    ]);
    expect(withValues(stored, values)).toEqual({ id: 'real', list: ['real', 7, 'x'], deep: { n: 7 } });
    expect(valuesIn(stored, new Set([PARENT, 'nowhere']))).toEqual(new Set([PARENT]));
  });

  test('Q8 · a payload in circles does not keep anyone busy', () => {
    const circle: Record<string, unknown> = {};
    circle['self'] = circle;
    expect(slotsIn(circle)).toEqual([]);
  });
});

describe('results', () => {
  const result = { id: 'r', n: 3, owner: { id: 'o' }, list: [{ id: 'first' }] };

  test.each([
    { path: ['id'], kind: 'string', value: 'r' },
    { path: ['owner', 'id'], kind: 'string', value: 'o' },
    { path: ['list', 0, 'id'], kind: 'string', value: 'first' },
    { path: ['n'], kind: 'number', value: 3 },
    { path: ['n'], kind: 'string', value: undefined },
    { path: ['owner'], kind: 'string', value: undefined },
    { path: ['nothing', 'id'], kind: 'string', value: undefined },
    { path: ['toString'], kind: 'string', value: undefined },
  ] as const)('Q8 · at $path as a $kind stands $value', ({ path, kind, value }) => {
    expect(valueAt(result, path, kind)).toBe(value);
    expect(valueAt(null, path, kind)).toBeUndefined();
  });

  test('Q8 · a small result is kept whole; of a large one the values at its top, and what is waited for', () => {
    expect(keptResult(result, [])).toEqual(result);
    const large = { ...result, text: 'x'.repeat(KEPT_RESULT_CHARS) };
    expect(keptResult(large, [])).toEqual({ id: 'r', n: 3 });
    expect(
      keptResult(large, [
        ['owner', 'id'],
        ['missing', 'id'],
      ]),
    ).toMatchObject({ id: 'r', owner: { id: 'o' } });
    expect(valueAt(keptResult(large, [['text']]), ['text'], 'string')).toHaveLength(KEPT_RESULT_CHARS);
    expect(keptResult(null, [['id']])).toBeNull();
  });
});
