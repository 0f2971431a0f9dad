import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Heap } from './heap.ts';

test('Q7 · a heap gives its items in order, whatever was pushed and popped in between', () => {
  fc.assert(
    fc.property(fc.array(fc.option(fc.integer({ min: 0, max: 20 }))), (steps) => {
      const heap = new Heap<number>((left, right) => left - right);
      let model: number[] = [];
      for (const step of steps) {
        if (step === null) {
          expect(heap.pop()).toBe(model[0]);
          model = model.slice(1);
        } else {
          heap.push(step);
          model = [...model, step].toSorted((left, right) => left - right);
        }
        expect(heap.peek()).toBe(model[0]);
      }
    }),
  );
});

test('Q7 · an item of a heap that sorts elsewhere now is moved there, and the heap says where each stands', () => {
  const step = fc.record({ which: fc.nat(9), rank: fc.integer({ min: 0, max: 20 }), isPop: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step), (steps) => {
      const items = Array.from({ length: 10 }, (_, name) => ({ name, rank: 0, at: -1 }));
      const heap = new Heap<(typeof items)[number]>(
        (left, right) => left.rank - right.rank || left.name - right.name,
        (item, index) => {
          item.at = index;
        },
      );
      const inOrder = (): typeof items =>
        items.filter(({ at }) => at >= 0).toSorted((left, right) => left.rank - right.rank || left.name - right.name);
      for (const { which, rank, isPop } of steps) {
        const item = items[which] as (typeof items)[number];
        if (isPop) {
          const [first] = inOrder();
          expect(heap.pop()).toBe(first);
          expect(first?.at ?? -1).toBe(-1);
        } else {
          item.rank = rank;
          if (item.at < 0) heap.push(item);
          else heap.moved(item.at);
        }
        expect(heap.peek()).toBe(inOrder()[0]);
        expect(heap.size).toBe(inOrder().length);
      }
    }),
  );
});
