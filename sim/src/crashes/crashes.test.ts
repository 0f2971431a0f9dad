import { describe, expect, test } from 'vitest';
import { crashInThread, tellFailure } from './crash-command.ts';
import { crashEverywhere, tell } from './crash-suite.ts';
import { PLANTS } from '../plants.ts';
import { CRASHING_PLANTS } from '../plants/crashing.ts';
import { SCENARIOS } from './scenarios.ts';

describe('S12 · whichever call a tab dies at, before its effect, before its return or after, no promise is broken', () => {
  test.each(SCENARIOS)('$name', async (scenario) => {
    const { failures, crashes, portCalls } = await crashEverywhere(scenario);
    expect(failures.map((failure) => tellFailure(failure, null).join('\n'))).toEqual([]);
    // Nearly all points are reached: some calls are still on their way when all is at rest.
    expect(crashes).toBeGreaterThan(2.5 * portCalls);
  });
});

test('sim · a story is small: at most 2 tabs, 6 changes and 130 port calls', async () => {
  for (const scenario of SCENARIOS) {
    const { portCalls, effects, events } = await tell(scenario, []);
    expect(portCalls.length, scenario.name).toBeLessThanOrEqual(130);
    expect(effects.length, scenario.name).toBeLessThanOrEqual(6);
    expect(events, scenario.name).toBeGreaterThan(40);
  }
});

test('sim · a bug that only a crash shows is found, and told with the command that shows it', async () => {
  const { failures } = await crashInThread(['Q1 one change'], 0, 'delete-before-answer');
  const [failure] = failures;
  expect(failures.flatMap(({ violations }) => violations)).toContain(
    'inv-I1 · a was promised, and the device does not know it',
  );
  expect(failure === undefined ? [] : tellFailure(failure, 'delete-before-answer').at(-1)).toMatch(
    /^Replay it: npm run sim -- --crashes --scenario 'Q1 one change' --at '\d+:\w+' --plant delete-before-answer$/,
  );
}, 60_000);

/** One for each kind of thing that people do, or that may come between. */
test.each([
  ['edit-told-before-stored', 'Q21 edited by the tab that does not deliver'],
  ['merge-told-before-stored', 'Q11 merged by the tab that does not deliver'],
  ['duplicate-under-its-own-id', 'Q9 the same in two tabs at once'],
  ['hold-forgotten-after-restart', 'Q7 nobody decides on a held lane before long'],
  ['retry-loses-its-place', 'Q7 a held lane, and its dead letter is retried'],
  ['filled-before-stored', 'Q8 an id that is given while the disk is full'],
  ['expired-although-sent', 'Q15 one expires while it is on its way'],
  ['nobody-is-asked', 'C1 someone chooses their own version'],
  ['atomic-in-one-lane', 'R8 two together, between others of their lanes'],
  ['evicted-thrown-away', 'Q12 one of low priority makes room'],
  ['discard-leaves-the-record', 'Q14 a lane is cleared by the tab that does not deliver'],
  ['act-recorded-afterwards', 'Q14 a dead letter is disposed of by someone with a name'],
])(
  'sim · the planted bug %s is found in the story "%s"',
  async (plant, story) => {
    const { scenarios, failures } = await crashInThread([story], 0, plant);
    expect(scenarios).toBe(1);
    expect(failures).not.toEqual([]);
  },
  60_000,
);

test('sim · no two stories, and no two planted bugs, share a name', () => {
  expect(new Set(SCENARIOS.map(({ name }) => name)).size).toBe(SCENARIOS.length);
  const plants = [...PLANTS, ...CRASHING_PLANTS].map(({ name }) => name);
  expect(new Set(plants).size).toBe(plants.length);
});
