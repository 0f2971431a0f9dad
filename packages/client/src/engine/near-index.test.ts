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
