import { expect, test } from 'vitest';
import { type ChoiceTape, countChoices, readTape, tapeOfToken, tokenOf } from './choice-tape.ts';
import { readKeptTapes } from './tape-files.ts';
import type { Effect } from './server-model.ts';
import { record, replay, simulate } from './simulate.ts';

test('sim · the tape of a seed makes the same calls at the same times', async () => {
  for (const seed of [7, 12, 40]) {
    const { result, tape } = await record(seed);
    const { result: replayed } = await replay(tapeOfToken(tokenOf(tape)));
    const { events, healingMs } = await simulate(seed);
    expect([result.events, result.healingMs]).toEqual([events, healingMs]);
    expect([replayed.hash, replayed.events, replayed.healingMs]).toEqual([result.hash, events, healingMs]);
  }
});

test('sim · on an empty tape nothing happens', async () => {
  const { effects, faults, violations } = (await replay({})).result;
  expect({ effects: effects.filter(isOfTape), faults, violations }).toEqual({ effects: [], faults: 0, violations: [] });
});

test('sim · a tape written by hand is a world: one change, whose first answer is lost', async () => {
  const tape: ChoiceTape = { 'change 0': [[0, 1]], 'request d0 1 responseLost': [[0, 1]] };
  const { effects, faultsByClass, violations, trace } = (await replay(tape, true)).result;
  expect(countChoices(tape)).toBe(2);
  expect([...faultsByClass]).toEqual([['responseLost', 1]]);
  expect(effects.filter(isOfTape).map(({ tag }) => tag)).toEqual(['d0m0']);
  expect(violations).toEqual([]);
  expect(trace.filter((line) => line.includes(' · '))).toEqual([
    '0.000 · change 0 [0] = 1',
    expect.stringContaining('· request d0 1 responseLost [0] = 1'),
  ]);
});

test.each(readKeptTapes())('sim · a world that once broke a promise holds: $name', async ({ tape }) => {
  const { result, tape: read } = await replay(tape);
  expect(result.violations).toEqual([]);
  // Where nothing of it is read any more it says nothing, and must be found anew.
  expect(countChoices(read)).toBeGreaterThan(0);
});

test('sim · what is not a tape is said and not replayed', () => {
  expect(() => readTape([])).toThrow('Not a tape');
  expect(() => readTape({ order: [[1]] })).toThrow('order');
  expect(() => tapeOfToken('no-token')).toThrow('is no token');
});

/** Not one of the changes that are made at the end of every world, to see that it is in full health. */
function isOfTape({ tag }: Effect): boolean {
  return /^d\dm\d+$/.test(tag);
}
