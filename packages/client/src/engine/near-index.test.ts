import fc from 'fast-check';
import { expect, test } from 'vitest';
import { NearIndex } from './near-index.ts';

const calls = fc.array(
  fc.record({
    key: fc.constantFrom('line 1', 'line 2'),
    values: fc.tuple(fc.integer({ min: 0, max: 12 }), fc.integer({ min: 0, max: 4 })),
    isRemoved: fc.boolean(),
  }),
  { maxLength: 40 },
);

test('Q10 · finds exactly those near in every number, of the same key, the earliest first', () => {
  fc.assert(
    fc.property(calls, fc.tuple(fc.nat(12), fc.nat(4)), fc.tuple(fc.nat(3), fc.nat(2)), (all, values, tolerances) => {
      const index = new NearIndex<number>();
      all.forEach((call, order) => index.add(call.key, call.values, order, order));
      all.forEach((call, order) => {
        if (call.isRemoved) index.remove(call.key, call.values, order);
      });

      const expected = all.flatMap((call, order) =>
        !call.isRemoved &&
        call.key === 'line 1' &&
        Math.abs(call.values[0] - values[0]) <= tolerances[0] &&
        Math.abs(call.values[1] - values[1]) <= tolerances[1]
          ? [order]
          : [],
      );
      expect(index.find('line 1', values, tolerances)).toEqual(expected);
    }),
    { numRuns: 500 },
  );
});

test('Q10 · a type that compares no numbers compares the key alone', () => {
  const index = new NearIndex<string>();
  index.add('line 1', [], 1, 'first');
  index.add('line 1', [], 2, 'second');
  expect(index.find('line 1', [], [])).toEqual(['first', 'second']);
  index.remove('line 1', [], 'first');
  expect(index.find('line 1', [], [])).toEqual(['second']);
});

test('Q10 · one that an earlier version of the app described by other numbers is near to none', () => {
  const index = new NearIndex<string>();
  index.add('line 1', [7], 1, 'by its time');
  index.add('line 1', [7, 3], 2, 'by time and duration');
  expect(index.find('line 1', [7, 3], [1, 1])).toEqual(['by time and duration']);
  expect(index.find('line 1', [7], [1])).toEqual(['by its time']);
});

test('Q10 · taking out one that is not there changes nothing', () => {
  const index = new NearIndex<string>();
  index.add('line 1', [7], 1, 'first');

  index.remove('line 1', [7], 'a stranger');
  index.remove('line 2', [7], 'first');

  expect(index.find('line 1', [7], [0])).toEqual(['first']);
});
