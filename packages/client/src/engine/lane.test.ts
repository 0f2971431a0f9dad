import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Entry } from './entry.ts';
import { Lane, LEVEL_MS } from './lane.ts';
import { EngineRig, entryOf } from './testing-engine/engine-rig.ts';

const rig = new EngineRig();
const PRIORITIES = ['high', 'normal', 'low'] as const;
const entryAt = (seq: number): Entry => entryOf(rig.header({ seq, priority: PRIORITIES[seq % 3] ?? 'normal' }));

test('Q7 · a lane keeps the order of its numbers, whichever order they come and go in', () => {
  const step = fc.record({
    kind: fc.constantFrom('insert', 'removeHead', 'remove'),
    seq: fc.integer({ min: 1, max: 30 }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
      const lane = new Lane('a');
      let model: Entry[] = [];
      for (const { kind, seq } of steps) {
        if (kind === 'insert') {
          if (model.some((entry) => entry.header.seq === seq)) continue;
          const entry = entryAt(seq);
          lane.insert(entry);
          model = [...model, entry].toSorted((left, right) => left.header.seq - right.header.seq);
        } else {
          const gone = kind === 'removeHead' ? model[0] : model.find((entry) => entry.header.seq === seq);
          if (gone === undefined) continue;
          lane.remove(gone);
          model = model.filter((entry) => entry !== gone);
        }
        expect(lane.head).toBe(model[0]);
        expect(lane.tail).toBe(model.at(-1));
        expect(lane.size).toBe(model.length);
        const isEven = ({ header }: Entry): boolean => header.seq % 2 === 0;
        expect(lane.find(isEven)).toBe(model.find(isEven));
        expect(lane.findLast(isEven)).toBe(model.findLast(isEven));
        expect(lane.after(15)).toEqual(model.filter(({ header }) => header.seq > 15));
        const level = Math.min(...model.map(({ header }) => PRIORITIES.indexOf(header.priority)));
        expect(lane.rankMs).toBe(model[0] === undefined ? 0 : model[0].waitingSinceMs + level * LEVEL_MS);
      }
    }),
  );
});

test('Q7 · taking out one that is not in the lane changes nothing', () => {
  const lane = new Lane('a');
  const [first, stranger] = [entryAt(1), entryAt(2)];
  lane.insert(first);

  lane.remove(stranger);
  expect(lane.head).toBe(first);
  expect(lane.size).toBe(1);

  const third = entryAt(3);
  lane.insert(third);
  lane.remove(stranger);
  expect([lane.head, lane.tail, lane.size]).toEqual([first, third, 2]);
});

test('Q11 · the newest of a lane is known, and the newest of a kind, also after others have left', () => {
  const lane = new Lane('a');
  const [first, second, third] = [entryAt(1), entryAt(2), entryAt(3)];
  expect(lane.tail).toBeUndefined();
  for (const entry of [first, second, third]) lane.insert(entry);
  lane.remove(first);

  expect(lane.tail).toBe(third);
  expect(lane.findLast(({ header }) => header.seq < 3)).toBe(second);
  expect(
    lane.findLast(({ header }) => header.seq < 2),
    'it has left',
  ).toBeUndefined();

  lane.remove(second);
  lane.remove(third);
  expect(lane.tail).toBeUndefined();
});
