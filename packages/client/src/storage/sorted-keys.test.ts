import fc from 'fast-check';
import { expect, test } from 'vitest';
import { SortedKeys } from './sorted-keys.ts';

test('S1 · keys in memory come in order whatever was added and removed in between', () => {
  const key = fc.string({ unit: fc.constantFrom('a', 'b', '/', '\uffff'), maxLength: 3 });
  const step = fc.oneof(
    fc.record({ kind: fc.constant('toggle' as const), key }),
    fc.record({
      kind: fc.constant('find' as const),
      prefix: key,
      after: fc.option(key, { nil: undefined }),
      limit: fc.nat(5),
    }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const model = new Set<string>();
      const keys = new SortedKeys();
      for (const each of steps) {
        if (each.kind === 'toggle') {
          if (model.delete(each.key)) {
            keys.remove(each.key);
          } else {
            model.add(each.key);
            keys.add(each.key);
          }
          continue;
        }
        const { prefix, after, limit } = each;
        const expected = [...model]
          .filter((one) => one.startsWith(prefix) && (after === undefined || one > after))
          .toSorted()
          .slice(0, limit);
        expect(keys.find(prefix, after, limit)).toEqual(expected);
      }
    }),
    { numRuns: 500 },
  );
});

test('S3 · a look after each of a thousand additions to many keys is no walk over all of them', () => {
  const keys = new SortedKeys();
  const keyOf = (index: number): string => `p/${String(index).padStart(9, '0')}`;
  for (let index = 0; index < 200_000; index += 1) keys.add(keyOf(index));
  keys.find('p/', undefined, 1);
  const before = process.cpuUsage();

  for (let index = 200_000; index < 201_000; index += 1) {
    keys.add(keyOf(index));
    expect(keys.find('p/', keyOf(index - 1), 10)).toEqual([keyOf(index)]);
  }

  const { user, system } = process.cpuUsage(before);
  // A walk over all takes 5 ms at least, so 5 s.
  expect((user + system) / 1_000).toBeLessThan(1_500);
});
