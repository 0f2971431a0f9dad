import { Dice } from './dice.ts';
import {
  BY_THE_MINUTE,
  FAULT_CLASSES,
  type FaultClass,
  type FaultRates,
  NO_SIGN,
  type Plan,
  SIMPLEST,
  UNPACKED,
} from './plan.ts';

/** How many worlds of a simpler plan are tried before it counts as too simple to fail. */
const TRY_COUNT = 40;
const WORLD_COUNT_MAX = 4_000;
const DURATION_MS_MIN = 200;

/**
 * A world of some thousand choices is chaotic: take one away, and everything after it comes at other moments. So the plan is
 * made simpler first (fewer changes, tabs and sorts of faults, in a shorter time), and worlds of the simpler plan are
 * thrown until one of them fails in the same way. `fails` answers what it found, or null.
 */
export async function shrinkPlan<Found>(
  plan: Plan,
  fails: (plan: Plan, dice: Dice) => Promise<Found | null>,
): Promise<{ readonly plan: Plan; readonly found: Found; readonly worldCount: number } | null> {
  let best: { readonly plan: Plan; readonly found: Found } | null = null;
  let worldCount = 0;
  const accept = async (simpler: Plan): Promise<boolean> => {
    for (let number = 0; number < TRY_COUNT && worldCount < WORLD_COUNT_MAX; number += 1) {
      worldCount += 1;
      const found = await fails(simpler, new Dice(worldCount));
      if (found === null) continue;
      best = { plan: simpler, found };
      return true;
    }
    return false;
  };
  let current = plan;
  for (let isSimpler = true; isSimpler; ) {
    isSimpler = false;
    for (const step of STEPS) {
      for (let simpler = step(current); simpler !== null && (await accept(simpler)); simpler = step(current)) {
        current = simpler;
        isSimpler = true;
      }
    }
    for (const change of singleSteps(current)) {
      const simpler = { ...current, ...change, rates: { ...current.rates, ...change.rates } };
      if (!(await accept(simpler))) continue;
      current = simpler;
      isSimpler = true;
    }
  }
  return best === null ? null : { ...(best as { readonly plan: Plan; readonly found: Found }), worldCount };
}

/** Each makes a plan simpler, or answers null when it is as simple as it can be in this. */
const STEPS: readonly ((plan: Plan) => Plan | null)[] = [
  (plan) => withoutHalfTheFaults(plan, 0),
  (plan) => withoutHalfTheFaults(plan, 1),
  (plan) => (plan.deviceCount === 1 ? null : { ...plan, deviceCount: 1 }),
  (plan) => (plan.actionsPerMinute === 0 ? null : { ...plan, actionsPerMinute: 0 }),
  (plan) => (plan.atomicRate === 0 ? null : { ...plan, atomicRate: 0 }),
  (plan) => (plan.operatorsPerMinute === 0 ? null : { ...plan, operatorsPerMinute: 0 }),
  (plan) => (plan.rolloutsPerMinute === 0 ? null : { ...plan, rolloutsPerMinute: 0 }),
  (plan) => (plan.rewindsPerMinute === 0 ? null : { ...plan, rewindsPerMinute: 0 }),
  (plan) => (plan.updateAtMs === 0 ? null : { ...plan, updateAtMs: 0 }),
  (plan) => (plan.tabCountMax === 1 ? null : { ...plan, tabCountMax: 1 }),
  (plan) => (plan.tabCountMax <= 2 ? null : { ...plan, tabCountMax: 2 }),
  (plan) => (plan.laneCount === 1 ? null : { ...plan, laneCount: Math.ceil(plan.laneCount / 2) }),
  (plan) => (plan.rejectedRate === 0 ? null : { ...plan, rejectedRate: 0 }),
  (plan) => (plan.burstRate === 0 ? null : { ...plan, burstRate: 0 }),
  (plan) => (plan.mutationCount === 1 ? null : { ...plan, mutationCount: Math.ceil(plan.mutationCount / 2) }),
  shorter,
  (plan) =>
    plan.mutationCount === 1
      ? null
      : {
          ...plan,
          mutationCount:
            Math.ceil(plan.mutationCount * 0.7) === plan.mutationCount
              ? plan.mutationCount - 1
              : Math.ceil(plan.mutationCount * 0.7),
        },
  (plan) => (plan.maxRetries === 0 ? null : { ...plan, maxRetries: 0 }),
  (plan) => (plan.readPageCount === SIMPLEST.readPageCount ? null : { ...plan, readPageCount: SIMPLEST.readPageCount }),
  (plan) => (plan.packOverCount === UNPACKED ? null : { ...plan, packOverCount: UNPACKED }),
  (plan) => (plan.wakeSign === NO_SIGN ? null : { ...plan, wakeSign: NO_SIGN }),
];

/** What is tried once a round: each sort of fault, and each yes-or-no that is not as in the simplest plan. */
function singleSteps(plan: Plan): readonly (Partial<Omit<Plan, 'rates'>> & { readonly rates?: Partial<FaultRates> })[] {
  const flags = Object.entries<unknown>({ ...SIMPLEST }).filter(
    ([name, simplest]) => typeof simplest === 'boolean' && plan[name as keyof Plan] !== simplest,
  );
  return [
    ...flags.map(([name, simplest]) => ({ [name]: simplest })),
    ...FAULT_CLASSES.filter((name) => plan.rates[name] > 0).map((name) => ({ rates: { [name]: 0 } })),
  ];
}

/** Half the time, and as much in it. */
function shorter(plan: Plan): Plan | null {
  if (plan.durationMs <= DURATION_MS_MIN) return null;
  const rates = { ...plan.rates };
  for (const name of BY_THE_MINUTE) rates[name] *= 2;
  return { ...plan, durationMs: Math.round(plan.durationMs / 2), actionsPerMinute: plan.actionsPerMinute * 2, rates };
}

function withoutHalfTheFaults(plan: Plan, half: 0 | 1): Plan | null {
  const present = FAULT_CLASSES.filter((name) => plan.rates[name] > 0);
  if (present.length < 2) return null;
  const gone: readonly FaultClass[] = present.filter((_name, index) => index % 2 === half);
  return { ...plan, rates: { ...plan.rates, ...Object.fromEntries(gone.map((name) => [name, 0])) } };
}
