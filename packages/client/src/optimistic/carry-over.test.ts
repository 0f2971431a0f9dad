import { describe, expect, test } from 'vitest';
import { carryOver } from './carry-over.ts';

const row = (id: string, title: string, more: object = {}) => ({ id, title, ...more });
const [a, b, c] = [row('a', 'A'), row('b', 'B'), row('c', 'C')];
const mine = row('a', 'mine');
const made = row('n', 'new');

describe('what an app sets on top of what is shown', () => {
  test.each<[string, unknown, unknown, unknown, unknown]>([
    ['another row', [a, b], [mine, b], [mine, row('b', 'set')], [a, row('b', 'set')]],
    ['another field of the row', [a], [mine], [{ ...mine, isDone: true }], [row('a', 'A', { isDone: true })]],
    ['the very field', [a], [mine], [row('a', 'set')], [row('a', 'set')]],
    ['a row beside a pending creation', [a], [made, a], [made, row('a', 'set')], [row('a', 'set')]],
    ['a row behind one whose deletion is pending', [a, b, c], [a, c], [a, row('c', 'set')], [a, b, row('c', 'set')]],
    ['a row before one whose deletion is pending', [a, b], [b], [row('x', 'X'), b], [a, row('x', 'X'), b]],
    ['one row less', [a, b], [mine, b], [mine], [a]],
    ['another order', [a, b], [mine, b], [b, mine], [b, a]],
    ['a list of the server', [a], [mine], [row('x', 'X'), row('y', 'Y')], [row('x', 'X'), row('y', 'Y')]],
    ['one row', a, mine, { ...mine, isDone: true }, row('a', 'A', { isDone: true })],
    [
      'a row on a page',
      { pages: [[a], [b]], pageParams: [0, 1] },
      { pages: [[mine], [b]], pageParams: [0, 1] },
      { pages: [[mine], [row('b', 'set')]], pageParams: [0, 1] },
      { pages: [[a], [row('b', 'set')]], pageParams: [0, 1] },
    ],
    ['a field of a state', { x: 1, y: 1 }, { x: 2, y: 1 }, { x: 2, y: 5 }, { x: 1, y: 5 }],
    ['a field less', { x: 1, y: 1 }, { x: 2, y: 1 }, { x: 2 }, { x: 1 }],
    ['a field that is pending only', { x: 1 }, { x: 1, p: 1 }, { x: 3, p: 1 }, { x: 3 }],
    ['texts', ['x'], ['x', 'mine'], ['x', 'mine', 'set'], ['x', 'mine', 'set']],
    ['something that is no plain object', new Date(0), new Date(1), new Date(2), new Date(2)],
  ])('O1, O4 · %s', (_, base, shown, next, confirmed) => {
    expect(carryOver(base, shown, next)).toEqual(confirmed);
  });

  test('O1, O4 · what it leaves as it is shown is confirmed as it was', () => {
    const base = [a, b];
    const shown = [mine, b];
    expect(carryOver(base, shown, shown)).toBe(base);
  });

  test('O4 · rows are told by the id that the view gives', () => {
    const keyed = (key: string, title: string) => ({ key, title });
    const confirmed = carryOver(
      [keyed('a', 'A')],
      [keyed('a', 'mine')],
      [keyed('a', 'mine'), keyed('b', 'set')],
      (each) => Reflect.get(each, 'key'),
    );
    expect(confirmed).toEqual([keyed('a', 'A'), keyed('b', 'set')]);
  });
});
