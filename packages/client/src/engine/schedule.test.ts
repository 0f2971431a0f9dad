import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Entry } from './entry.ts';
import { Schedule } from './schedule.ts';
import { EngineRig } from './testing-engine/engine-rig.ts';

const rig = new EngineRig();

function entryOf(seq: number, lane: string, payloadBytes = 1): Entry {
  const header = rig.header({ seq, lane, payloadBytes });
  return { header, phase: { kind: 'waiting' }, mayHaveBeenSent: false, lastError: null, deferralCount: 0 };
}

const send = (entry: Entry): void => {
  entry.phase = { kind: 'sending', batchId: 1 };
};

type Step =
  | { readonly kind: 'insert'; readonly seq: number; readonly lane: string }
  | { readonly kind: 'take'; readonly maxCount: number }
  | { readonly kind: 'settle' | 'return' | 'refuse'; readonly index: number }
  | { readonly kind: 'pass'; readonly ms: number }
  | { readonly kind: 'hurry' };

/** The same rules without heaps: every lane's first, if it waits and is due, by number. */
class NaiveSchedule {
  readonly entries: Entry[] = [];
  readonly dueAtMs = new Map<string, number>();

  take(maxCount: number, nowMs: number): Entry[] {
    const heads = new Map<string, Entry>();
    for (const entry of this.entries.toSorted((left, right) => left.header.seq - right.header.seq)) {
      if (!heads.has(entry.header.lane)) heads.set(entry.header.lane, entry);
    }
    return [...heads.values()]
      .filter(({ phase, header }) => phase.kind === 'waiting' && (this.dueAtMs.get(header.lane) ?? 0) <= nowMs)
      .toSorted((left, right) => left.header.seq - right.header.seq)
      .slice(0, maxCount);
  }

  remove(entry: Entry): void {
    this.entries.splice(this.entries.indexOf(entry), 1);
    this.dueAtMs.delete(entry.header.lane);
  }
}

test('Q7 · whatever comes and goes, the heads of the lanes that are due go next, in the order of their numbers', () => {
  const step: fc.Arbitrary<Step> = fc.oneof(
    fc.record({
      kind: fc.constant('insert' as const),
      seq: fc.integer({ min: 1, max: 40 }),
      lane: fc.constantFrom('a', 'b', 'c'),
    }),
    fc.record({ kind: fc.constant('take' as const), maxCount: fc.integer({ min: 0, max: 4 }) }),
    fc.record({ kind: fc.constantFrom('settle' as const, 'return' as const, 'refuse' as const), index: fc.nat(3) }),
    fc.record({ kind: fc.constant('pass' as const), ms: fc.integer({ min: 1, max: 15 }) }),
    fc.record({ kind: fc.constant('hurry' as const) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
      const schedule = new Schedule();
      const model = new NaiveSchedule();
      const sending: Entry[] = [];
      let nowMs = 0;
      for (const each of steps) {
        switch (each.kind) {
          case 'insert': {
            if (model.entries.some(({ header }) => header.seq === each.seq)) break;
            // A number below one that is on its way does not turn up: the engine is given them without gaps.
            if (sending.some(({ header }) => header.lane === each.lane && header.seq > each.seq)) break;
            const entry = entryOf(each.seq, each.lane);
            model.entries.push(entry);
            schedule.insert(entry, nowMs);
            break;
          }
          case 'take': {
            const expected = model.take(each.maxCount, nowMs);
            expect(schedule.hasReady(nowMs)).toBe(model.take(1, nowMs).length > 0);
            const taken = schedule.take(each.maxCount, 1_000_000, nowMs, send);
            expect(taken).toEqual(expected);
            sending.push(...taken);
            break;
          }
          case 'pass':
            nowMs += each.ms;
            break;
          case 'hurry':
            model.dueAtMs.clear();
            schedule.hurry(nowMs);
            break;
          default: {
            const entry = sending[each.index];
            if (entry === undefined) break;
            sending.splice(each.index, 1);
            entry.phase = { kind: 'waiting' };
            if (each.kind === 'settle') {
              model.remove(entry);
              schedule.remove(entry, nowMs, true);
              break;
            }
            if (each.kind === 'refuse') {
              model.dueAtMs.set(entry.header.lane, nowMs + 10);
              schedule.delay(entry, nowMs + 10);
            }
            schedule.returned(entry, nowMs);
          }
        }
      }
      // Nothing that waits is forgotten: with all back and all delays over, every lane is taken.
      for (const entry of sending) {
        entry.phase = { kind: 'waiting' };
        schedule.returned(entry, nowMs);
      }
      const left = model.take(100, nowMs + 1_000);
      expect(schedule.take(100, 1_000_000, nowMs + 1_000, send)).toEqual(left);
    }),
    { numRuns: 1_000 },
  );
});

test('Q7 · one that comes back with a lower number than the head does not make the head go twice', () => {
  // given: 2 is listed as the head; 1 turns up before it (its settlement was lost), goes, and is settled
  const schedule = new Schedule();
  const [first, second] = [entryOf(1, 'a'), entryOf(2, 'a')];
  schedule.insert(second, 0);
  schedule.insert(first, 0);
  expect(schedule.take(1, 1_000, 0, send)).toEqual([first]);
  schedule.remove(first, 0, true);

  // when, then
  expect(schedule.take(10, 1_000, 0, send)).toEqual([second]);
});
