import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { DENSE_FOCUSES, drawPlan } from './plan.ts';
import { Dice } from './dice.ts';
import { FACTS, RARE_FACTS } from './facts.ts';
import { runInThreads } from './run-in-threads.ts';
import type { Tally } from './run-seeds.ts';
import { simulate } from './simulate.ts';

/** Fresh ones every week, so that the suite goes on looking; a failing one is named, and replays anywhere. */
const FIRST_SEED = 100_000 * Math.floor(Date.now() / (7 * 86_400_000));
const SEED_COUNT = 2_000;
/** Of each focus, always the same. */
const DENSE_COUNT = 40;
/** The worlds in which something was found. They have become others since, and are run all the same. */
const REGRESSIONS = JSON.parse(
  readFileSync(resolve(import.meta.dirname, '../regressions/seeds.json'), 'utf8'),
) as readonly { readonly seed: number; readonly story: string }[];

/** What each invariant promises, in words a user would use; the names are those of docs/simulation.md. */
const INVARIANTS = {
  'inv-I1': 'nothing that add has acknowledged is lost, and nothing it refused takes effect',
  'inv-I2': 'each mutation takes effect at most once, under the id it was given',
  'inv-I3': 'what was sent is never changed, and what is merged is never lost',
  'inv-C1': 'an edit changes only what its user touched, and overwrites nothing unseen',
  'inv-C2': 'an edit that waits for a choice takes no effect before someone has chosen',
  'inv-C3': 'edits of one device are no conflict with each other',
  'inv-I4': 'a repeated delivery gets the outcome that was recorded',
  'inv-I5': 'a lane keeps the order in which its mutations were added',
  'inv-I6': 'nothing takes effect before what it depends on',
  'inv-I7': 'after a refresh every tab shows what the server has',
  'inv-I8': 'what a user has added stays in view until it is known to have failed',
  'inv-I9': 'the counts of a device add up to what was added',
  'inv-I10': 'a dead letter stays until someone disposes of it',
  'inv-I11': 'no send begins after pause was acknowledged',
  'inv-I14': 'once faults stop, everything settles in bounded time',
  'inv-I15': 'outages, refusals and messages cost a bounded number of calls',
  'inv-I16': 'with nothing left to do, a tab keeps a few timers and no more',
  'inv-I18': 'an app sends only what it understands, and what an older one has stored as migrated',
  'inv-I19': 'a mutation travels only under its own login',
  'inv-I20': 'trouble on the line or with the login uses no attempt and makes no dead letter',
  'inv-I21': 'damage costs what was damaged, which is reported and not sent, and nothing else',
  'inv-I22': 'completed is said only of what the server has applied',
  'inv-I23': 'who did what stands in the log once, and nothing that nobody did',
  'inv-I25': 'a server that was put back to an earlier state gets again what it had confirmed',
  'inv-I26': 'what was discarded is not sent',
} as const;

let tally: Tally;

beforeAll(async () => {
  const fresh = Array.from({ length: SEED_COUNT }, (_, index) => FIRST_SEED + index);
  tally = await runInThreads([...REGRESSIONS.map(({ seed }) => seed), ...fresh], {});
}, 600_000);

test.each(Object.entries(INVARIANTS))('%s · %s', (invariant) => {
  const found = tally.failures.flatMap(({ seed, violations }) =>
    violations
      .filter((message) => message.startsWith(`${invariant} `))
      .map((message) => `npm run sim -- --seed ${seed}: ${message}`),
  );
  expect(found).toEqual([]);
});

test('B3 · fresh seeds bring faults while work is unsettled, and nothing else goes wrong', () => {
  expect(
    tally.failures.map(({ seed, violations }) => `npm run sim -- --seed ${seed}: ${violations.join('; ')}`),
  ).toEqual([]);
  expect(tally.faults).toBeGreaterThan(10 * SEED_COUNT);
  expect(Object.keys(tally.faultsByClass).length).toBeGreaterThan(25);
});

test.each(DENSE_FOCUSES)('B3 · in worlds squeezed into half a minute nothing goes wrong either: %s', async (dense) => {
  const seeds = Array.from({ length: DENSE_COUNT }, (_, index) => index + 1);
  const { failures } = await runInThreads(seeds, { dense });
  expect(
    failures.map(({ seed, violations }) => `npm run sim -- --seed ${seed} --dense ${dense}: ${violations.join('; ')}`),
  ).toEqual([]);
});

test('sim · every situation worth being in is reached', () => {
  const expected = FACTS.filter((fact) => !RARE_FACTS.includes(fact));
  expect(expected.length).toBeGreaterThanOrEqual(30);
  expect(expected.filter((fact) => (tally.facts[fact] ?? 0) === 0)).toEqual([]);
});

test('B3 · a world is large, and much goes wrong in it', () => {
  expect(median(tally.eventsOfEachSeed)).toBeGreaterThan(1_500);
  expect(median(tally.faultsOfEachSeed)).toBeGreaterThanOrEqual(15);
});

test('sim · the same seed makes the same calls at the same times', async () => {
  const hashes = [await simulate(7), await simulate(7), await simulate(8)].map(({ hash }) => hash);
  expect(hashes[0]).toBe(hashes[1]);
  expect(hashes[0]).not.toBe(hashes[2]);
});

test('sim · about one seed in ten has no faults at all', () => {
  const plans = Array.from({ length: 500 }, (_, seed) => drawPlan(seed, new Dice(seed)));
  const calmCount = plans.filter(({ rates }) => Object.values(rates).every((rate) => rate === 0)).length;
  expect(calmCount).toBeGreaterThan(25);
  expect(calmCount).toBeLessThan(100);
});

function median(numbers: readonly number[]): number {
  return numbers.toSorted((left, right) => left - right)[Math.floor(numbers.length / 2)] ?? 0;
}
