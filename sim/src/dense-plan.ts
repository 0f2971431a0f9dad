import { Dice } from './dice.ts';
import {
  type DenseFocus,
  drawPlan,
  FAULT_CLASSES,
  type FaultRates,
  HIGHEST_RATE,
  type Plan,
  type Shape,
} from './plan.ts';

/** In a world of half a minute what happens some times a minute must come more often to meet anything. */
const TIMES_PER_MINUTE: Partial<FaultRates> = {
  partition: 4,
  captivePortal: 3,
  offlineHint: 4,
  tokenRevoked: 3,
  loginGone: 2,
  serverMood: 8,
  killTab: 8,
  closeTab: 8,
  freezeTab: 6,
  clockJump: 5,
  storageFull: 4,
  recordDamaged: 4,
  powerLoss: 3,
  signOut: 3,
};

/** The plan of a seed, of the given shape. */
export function planOf(seed: number, dice: Dice, { dense, ...shape }: Shape): Plan {
  const plan = drawPlan(seed, dice, shape);
  return dense === undefined ? plan : squeezed(plan, dense);
}

/**
 * The world of a seed, squeezed into half a minute: few lanes, many faults, slow stores. One thousand of them find as much as ten
 * thousand ordinary ones, and some of what those never meet.
 */
function squeezed(plan: Plan, focus: DenseFocus): Plan {
  const dice = new Dice(plan.seed * 7_919 + 13);
  const rates = { ...plan.rates };
  const share = dice.pick([0.15, 0.3, 0.5]);
  for (const name of FAULT_CLASSES) {
    const isOfThem = dice.chance(name === 'lockBroken' ? share / 3 : share);
    const highest = TIMES_PER_MINUTE[name] ?? HIGHEST_RATE[name];
    rates[name] = isOfThem ? (name === 'lockBroken' ? 1 : highest * dice.logBetween(0.2, 1)) : 0;
  }
  const durationMs = Math.round(dice.between(15_000, 45_000));
  const dense = {
    ...plan,
    durationMs,
    mutationCount: 12 + dice.below(40),
    laneCount: 1 + dice.below(3),
    readPageCount: dice.pick([1_000, 1, 2, 5]),
    // A server that is put back shares its world with little else.
    rewindsPerMinute: 0,
    updateAtMs: plan.updateAtMs === 0 ? 0 : Math.ceil(durationMs * dice.between(0.1, 0.8)),
    actionsPerMinute: plan.actionsPerMinute === 0 ? 0 : dice.pick([10, 30]),
    operatorsPerMinute: plan.operatorsPerMinute === 0 ? 0 : 30,
    choresPerMinute: plan.choresPerMinute === 0 ? 0 : 20,
    locksPerMinute: plan.locksPerMinute === 0 ? 0 : 6,
    rolloutsPerMinute: plan.rolloutsPerMinute === 0 ? 0 : 8,
    isSpeedChecked: plan.isSpeedChecked && dice.chance(0.3),
    rates,
  };
  switch (focus) {
    case 'any':
      return dense;
    case 'edits':
      return {
        ...dense,
        editRate: 0.9,
        actionsPerMinute: 0,
        operatorsPerMinute: 0,
        rolloutsPerMinute: 0,
        updateAtMs: 0,
        areLanesHeld: false,
        isBrowserShared: false,
        isStoreRelaxed: false,
        // A person chooses for each edit in turn, which takes as long as it takes.
        isSpeedChecked: false,
        isWorkspaceShared: dice.chance(0.6),
        deviceCount: 1 + dice.below(2),
        tabCountMax: 1 + dice.below(4),
        laneCount: 1 + dice.below(2),
        atomicRate: dice.chance(0.3) ? 0.9 : 0,
      };
    case 'chores':
      return {
        ...dense,
        choresPerMinute: 20,
        locksPerMinute: dice.pick([0, 0, 6]),
        tabCountMax: 1 + dice.below(4),
        isSpeedChecked: false,
      };
    case 'acts':
      return {
        ...dense,
        editRate: 0,
        atomicRate: dice.chance(0.3) ? 0.3 : 0,
        actionsPerMinute: 40,
        updateAtMs: 0,
        areLanesHeld: dice.chance(0.4),
        isSpeedChecked: false,
        deviceCount: 1,
        tabCountMax: 2 + dice.below(3),
        laneCount: 1 + dice.below(2),
      };
  }
}
