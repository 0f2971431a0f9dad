import fc from 'fast-check';
import { expect, test } from 'vitest';
import { SeqMap } from './seq-map.ts';

test('S3 · numbers near each other and far apart are found, put again and forgotten as in a map', () => {
  const seq = fc.oneof(
    fc.integer({ min: 1, max: 600 }),
    fc.integer({ min: Number.MAX_SAFE_INTEGER - 300, max: Number.MAX_SAFE_INTEGER }),
  );
  const step = fc.record({ kind: fc.constantFrom('set', 'delete'), seq, item: fc.string() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const map = new SeqMap<string>();
      const model = new Map<number, string>();
      for (const { kind, seq: at, item } of steps) {
        if (kind === 'set') {
          map.set(at, item);
          model.set(at, item);
        } else {
          map.delete(at);
          model.delete(at);
        }
        for (const { seq: each } of steps) expect(map.get(each)).toBe(model.get(each));
      }
    }),
    // What chance may leave out: put twice, taken out twice, and taken out where nothing ever stood.
    {
      examples: [
        [
          [
            { kind: 'set', seq: 1, item: 'a' },
            { kind: 'set', seq: 1, item: 'b' },
            { kind: 'set', seq: 2, item: 'c' },
            { kind: 'delete', seq: 1, item: '' },
            { kind: 'delete', seq: 1, item: '' },
            { kind: 'delete', seq: 600, item: '' },
          ],
        ],
      ],
    },
  );
});
