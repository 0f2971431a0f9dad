import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Entry } from './entry.ts';
import { Lanes, LEVEL_MS } from './lanes.ts';
import { EngineRig, entryOf } from './testing-engine/engine-rig.ts';

const rig = new EngineRig();
const PRIORITIES = ['high', 'normal', 'low'] as const;
const entryAt = (seq: number): Entry =>
  entryOf(rig.header({ seq, lane: 'a', priority: PRIORITIES[seq % 3] ?? 'normal' }));

test('Q7 · a lane keeps the order of its numbers, whichever order they come and go in', () => {
  const step = fc.record({
    kind: fc.constantFrom('insert', 'removeHead', 'remove'),
    seq: fc.integer({ min: 1, max: 30 }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
      const lanes = new Lanes();
      let model: Entry[] = [];
      for (const { kind, seq } of steps) {
        if (kind === 'insert') {
          if (model.some((entry) => entry.header.seq === seq)) continue;
          const entry = entryAt(seq);
          lanes.insert('a', entry);
          model = [...model, entry].toSorted((left, right) => left.header.seq - right.header.seq);
        } else {
          const gone = kind === 'removeHead' ? model[0] : model.find((entry) => entry.header.seq === seq);
          if (gone === undefined) continue;
          lanes.remove('a', gone);
          model = model.filter((entry) => entry !== gone);
        }
        expect(lanes.headOf('a')).toBe(model[0]);
        expect(lanes.tailOf('a')).toBe(model.at(-1));
        expect(lanes.sizeOf('a')).toBe(model.length);
        const isEven = ({ header }: Entry): boolean => header.seq % 2 === 0;
        expect(lanes.find('a', isEven)).toBe(model.find(isEven));
        expect(lanes.findLast('a', isEven)).toBe(model.findLast(isEven));
        expect(lanes.after('a', 15)).toEqual(model.filter(({ header }) => header.seq > 15));
        const level = Math.min(...model.map(({ priority }) => PRIORITIES.indexOf(priority)));
        expect(lanes.levelOf('a')).toBe(level);
        if (model[0] !== undefined) expect(lanes.rankMsOf(model[0])).toBe(model[0].waitingSinceMs + level * LEVEL_MS);
      }
    }),
  );
});

test('Q7 · taking out one that is not in the lane changes nothing', () => {
  const lanes = new Lanes();
  const [first, stranger] = [entryAt(1), entryAt(2)];
  lanes.insert('a', first);

  lanes.remove('a', stranger);
  expect(lanes.headOf('a')).toBe(first);
  expect(lanes.sizeOf('a')).toBe(1);

  const third = entryAt(3);
  lanes.insert('a', third);
  lanes.remove('a', stranger);
  expect([lanes.headOf('a'), lanes.tailOf('a'), lanes.sizeOf('a')]).toEqual([first, third, 2]);
});

test('Q11 · the newest of a lane is known, and the newest of a kind, also after others have left', () => {
  const lanes = new Lanes();
  const [first, second, third] = [entryAt(1), entryAt(2), entryAt(3)];
  expect(lanes.tailOf('a')).toBeUndefined();
  for (const entry of [first, second, third]) lanes.insert('a', entry);
  lanes.remove('a', first);

  expect(lanes.tailOf('a')).toBe(third);
  expect(lanes.findLast('a', ({ seq }) => seq < 3)).toBe(second);
  expect(
    lanes.findLast('a', ({ seq }) => seq < 2),
    'it has left',
  ).toBeUndefined();

  lanes.remove('a', second);
  lanes.remove('a', third);
  expect(lanes.tailOf('a')).toBeUndefined();
});

test('Q7 · what was settled last in a lane is known while others stand there', () => {
  const lanes = new Lanes();
  const [first, second] = [entryAt(1), entryAt(2)];
  lanes.insert('a', first);
  lanes.insert('a', second);
  lanes.insert('b', second);
  expect(lanes.settledOf('a')).toBeNull();

  lanes.remove('a', first);
  lanes.noteSettled('a', { seq: 1, place: 1 });
  lanes.noteSettled('c', { seq: 1, place: 1 });
  expect(lanes.settledOf('a')).toEqual({ seq: 1, place: 1 });
  expect([lanes.settledOf('b'), lanes.settledOf('c')]).toEqual([null, null]);

  lanes.remove('a', second);
  lanes.insert('a', second);
  expect(lanes.settledOf('a')).toBeNull();
});

test('Q6 · one that stands in several lanes goes by the highest priority that waits in any of them', () => {
  const lanes = new Lanes();
  const both = entryOf(rig.header({ seq: 1, lane: 'a', alsoLanes: ['b'], priority: 'low' }));
  const high = entryOf(rig.header({ seq: 2, lane: 'b', priority: 'high' }));
  for (const name of ['a', 'b']) lanes.insert(name, both);
  expect(lanes.rankMsOf(both)).toBe(2 * LEVEL_MS);

  lanes.insert('b', high);
  expect(lanes.rankMsOf(both)).toBe(0);
});
