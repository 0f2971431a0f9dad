import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Entry } from './entry.ts';
import { Schedule } from './schedule.ts';
import { EngineRig, entryOf } from './testing-engine/engine-rig.ts';

const rig = new EngineRig();

const LEVELS = ['high', 'normal', 'low'] as const;
type Level = (typeof LEVELS)[number];

function entryAt(seq: number, lane: string, priority: Level = 'normal', nowMs = 0): Entry {
  return entryOf(rig.header({ seq, lane, priority, payloadBytes: 1 }), nowMs);
}

const send = (entry: Entry): void => {
  entry.phase = { kind: 'sending', batchId: 1 };
};

type Step =
  | { readonly kind: 'insert'; readonly seq: number; readonly lane: string; readonly priority: Level }
  | { readonly kind: 'take'; readonly maxCount: number }
  | { readonly kind: 'settle' | 'return' | 'refuse'; readonly index: number }
  | { readonly kind: 'pass'; readonly ms: number }
  | { readonly kind: 'hurry' };

/** The same rules without heaps: every lane's first, if it waits and is due, by how long it waits and the highest priority behind it. */
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
      .toSorted((left, right) => this.rankMs(left) - this.rankMs(right) || left.header.seq - right.header.seq)
      .slice(0, maxCount);
  }

  private rankMs({ header, waitingSinceMs }: Entry): number {
    const levels = this.entries
      .filter(({ header: { lane } }) => lane === header.lane)
      .map((entry) => LEVELS.indexOf(entry.header.priority));
    return waitingSinceMs + Math.min(...levels) * 60_000;
  }

  remove(entry: Entry): void {
    this.entries.splice(this.entries.indexOf(entry), 1);
    this.dueAtMs.delete(entry.header.lane);
  }
}

test('Q7 · whatever comes and goes, the heads of the lanes that are due go next, the most urgent first', () => {
  const step: fc.Arbitrary<Step> = fc.oneof(
    fc.record({
      kind: fc.constant('insert' as const),
      seq: fc.integer({ min: 1, max: 40 }),
      lane: fc.constantFrom('a', 'b', 'c'),
      priority: fc.constantFrom(...LEVELS),
    }),
    fc.record({ kind: fc.constant('take' as const), maxCount: fc.integer({ min: 0, max: 4 }) }),
    fc.record({ kind: fc.constantFrom('settle' as const, 'return' as const, 'refuse' as const), index: fc.nat(3) }),
    fc.record({
      kind: fc.constant('pass' as const),
      ms: fc.oneof(fc.integer({ min: 1, max: 15 }), fc.constant(70_000)),
    }),
    fc.record({ kind: fc.constant('hurry' as const) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
      const schedule = new Schedule();
      const model = new NaiveSchedule();
      const sending: Entry[] = [];
      const tried: Entry[] = [];
      let nowMs = 0;
      for (const each of steps) {
        switch (each.kind) {
          case 'insert': {
            if (model.entries.some(({ header }) => header.seq === each.seq)) break;
            // A number below one that is on its way, or was, does not turn up: the engine is given them without gaps.
            if (tried.some(({ header }) => header.lane === each.lane && header.seq > each.seq)) break;
            const entry = entryAt(each.seq, each.lane, each.priority, nowMs);
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
            tried.push(...taken);
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
              schedule.delay(entry, nowMs + 10, nowMs);
            }
            schedule.freed(entry, nowMs);
          }
        }
      }
      // Nothing that waits is forgotten: with all back and all delays over, every lane is taken.
      for (const entry of sending) {
        entry.phase = { kind: 'waiting' };
        schedule.freed(entry, nowMs);
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
  const [first, second] = [entryAt(1, 'a'), entryAt(2, 'a')];
  schedule.insert(second, 0);
  schedule.insert(first, 0);
  expect(schedule.take(1, 1_000, 0, send)).toEqual([first]);
  schedule.remove(first, 0, true);

  // when, then
  expect(schedule.take(10, 1_000, 0, send)).toEqual([second]);
});

test('Q7 · a lane that is held twice for the same number is free when that is stored', () => {
  const schedule = new Schedule();
  const [expired, next] = [entryAt(1, 'a'), entryAt(2, 'a')];
  schedule.insert(next, 0);

  // A look into the store has brought it back before its end was stored, and it has ended once more.
  schedule.hold(expired);
  schedule.hold(expired);
  expect(schedule.take(10, 100, 0, send)).toEqual([]);
  schedule.unhold(1, 0);

  expect(schedule.take(10, 100, 0, send)).toEqual([next]);
});

test('Q11 · nothing is merged past one whose end is not stored yet: with another leader that is pending again', () => {
  const schedule = new Schedule();
  const [before, expired, behind] = [entryAt(1, 'a'), entryAt(2, 'a'), entryAt(3, 'a')];
  schedule.insert(before, 0);
  schedule.hold(expired);
  expect(schedule.newestOf('a')).toBeUndefined();

  schedule.insert(behind, 0);
  expect(schedule.newestOf('a')).toBe(behind);
  schedule.remove(behind, 0, true);
  schedule.unhold(2, 0);

  expect(schedule.newestOf('a')).toBe(before);
});

test('Q6 · one whose delay was cut short goes when that is over, and once', () => {
  const schedule = new Schedule();
  const entry = entryAt(1, 'a');
  schedule.insert(entry, 0);
  schedule.delay(entry, 1_000, 0);
  schedule.delay(entry, 500, 0);

  expect(schedule.take(10, 1_000, 499, send)).toEqual([]);
  expect(schedule.take(10, 1_000, 1_000, send)).toEqual([entry]);
  expect(schedule.take(10, 1_000, 1_001, send)).toEqual([]);
});
