import type { ChoiceTape } from './choice-tape.ts';
import type { DeliveryPolicy } from 'holdfast';
import type { Dice } from './dice.ts';

/** Every class of fault, with the highest rate it is drawn at: a probability per opportunity, or times per minute. */
export const HIGHEST_RATE = {
  // the line, per request
  requestLost: 0.4,
  responseLost: 0.4,
  requestDuplicated: 0.3,
  delayed: 0.4,
  halfOpen: 0.2,
  proxyError: 0.3,
  bodyTruncated: 0.2,
  bodyForeign: 0.2,
  answerShuffled: 0.5,
  answerPartial: 0.2,
  answerSwapped: 0.1,
  // the server, per request
  failedBeforeCommit: 0.3,
  failedAfterCommit: 0.3,
  rateLimited: 0.1,
  // times per minute
  partition: 2,
  captivePortal: 1,
  offlineHint: 2,
  tokenRevoked: 1,
  loginGone: 0.5,
  serverMood: 6,
  killTab: 3,
  closeTab: 3,
  freezeTab: 2,
  clockJump: 2,
  storageFull: 1,
  recordDamaged: 1,
  powerLoss: 0.5,
  signOut: 1,
  // the device, per opportunity
  killAtWrite: 0.03,
  commitFailed: 0.1,
  commitUnheard: 0.1,
  readFailed: 0.05,
  openFailed: 0.3,
  storageSlow: 0.2,
  messageLost: 0.5,
  messageDoubled: 0.3,
  messageLate: 0.3,
  lockReleasedLate: 0.5,
  // all or nothing
  lockBroken: 1,
} as const;

/** Those that come by the minute, one after the other. */
export const BY_THE_MINUTE: readonly FaultClass[] = [
  'partition',
  'captivePortal',
  'offlineHint',
  'tokenRevoked',
  'loginGone',
  'serverMood',
  'killTab',
  'closeTab',
  'freezeTab',
  'clockJump',
  'storageFull',
  'recordDamaged',
  'powerLoss',
  'signOut',
];

export type FaultClass = keyof typeof HIGHEST_RATE;
export type FaultRates = Record<FaultClass, number>;

export const FAULT_CLASSES = Object.keys(HIGHEST_RATE) as readonly FaultClass[];

const NO_RATES = Object.fromEntries(FAULT_CLASSES.map((name) => [name, 0])) as FaultRates;

/** What may tell a device that all is well again. */
export const WAKE_SIGNS = ['online', 'foreground', 'drain', 'add'] as const;
export const NO_SIGN = -1;

/** Another world for every seed: who is there, how much happens, and what goes wrong how often. */
export interface Plan {
  readonly seed: number;
  /** How long faults and work go on, in virtual milliseconds. */
  readonly durationMs: number;
  readonly deviceCount: number;
  readonly tabCountMax: number;
  readonly laneCount: number;
  readonly mutationCount: number;
  /** Share of the mutations that come in bursts. */
  readonly burstRate: number;
  /** Chance that a mutation is one that the server rejects. */
  readonly rejectedRate: number;
  /** Share of the updates that are edits of a row as their user saw it. */
  readonly editRate: number;
  /** Share of the changes that are made together with others, and take effect with them or not at all. */
  readonly atomicRate: number;
  /** Two people with names act on the same mutations at the same moment, in whichever tabs, so often per minute. */
  readonly operatorsPerMinute: number;
  /** Somebody restarts a queue, looks through its store, backs it up, or signs out once all is sent, so often per minute. */
  readonly choresPerMinute: number;
  /** The keys of the store are away for a while (a phone is locked), so often per minute. */
  readonly locksPerMinute: number;
  /** From then on the app that opens is the next version, in which mutations have other payloads; 0 for never. */
  readonly updateAtMs: number;
  /** The servers are replaced one after the other, so often per minute. */
  readonly rolloutsPerMinute: number;
  /** The server is put back to an earlier state, so often per minute, and says so; 0 for one that knows no epochs. */
  readonly rewindsPerMinute: number;
  readonly maxRetries: number;
  /** Every type holds its lane when it is a dead letter. */
  readonly areLanesHeld: boolean;
  /** Several entities in one lane, instead of a lane for each. */
  readonly hasWideLanes: boolean;
  readonly isWorkspaceShared: boolean;
  readonly hasView: boolean;
  /** People pause, resume, retry, discard and drain this often, per minute. */
  readonly actionsPerMinute: number;
  /** The one of `WAKE_SIGNS` that reaches the device when all is well again; `NO_SIGN` when it must find out by itself. */
  readonly wakeSign: number;
  /** Whether what is stored reaches the disk only some time later, and the queue is told so. */
  readonly isStoreRelaxed: boolean;
  /** Two devices are two users of one browser: they share its disk, and nothing else. */
  readonly isBrowserShared: boolean;
  /** Whether all goes at full speed again is tried out at the end, with more changes. */
  readonly isSpeedChecked: boolean;
  /** The tab that delivers is frozen when the faults end, and stays so, with its lock. */
  readonly isLeaderForsaken: boolean;
  /** False for a platform with no locks between tabs. */
  readonly hasLock: boolean;
  /** The one of `POLICIES` that may hold back what waits. */
  readonly policy: number;
  /** Mutations that are read at a time when a queue opens: few, so that delivery begins before all are read. */
  readonly readPageCount: number;
  /** So many stand before those that are kept in little memory; `UNPACKED` in nearly all worlds. */
  readonly packOverCount: number;
  readonly rates: FaultRates;
}

/** What a dense world is full of besides faults: whatever its seed draws, edits of shared rows, what people do to mutations, or to queues. */
export const DENSE_FOCUSES = ['any', 'edits', 'acts', 'chores'] as const;
export type DenseFocus = (typeof DENSE_FOCUSES)[number];

/** What a world is given instead of what its seed draws: worlds of one kind, to look for what shows in few others. */
export type Shape = Partial<Omit<Plan, 'seed' | 'rates'>> & {
  readonly rates?: Partial<FaultRates>;
  /** Squeezed into half a minute, and full of this. */
  readonly dense?: DenseFocus;
};

/** Under all but the first something waits, on a cellular network; never longer than everything may take to settle. */
export const POLICIES: readonly DeliveryPolicy[] = [
  {},
  { wifiAboveBytes: 400, anyNetworkFromBytes: 2_000, holdMsMax: 5_000 },
  { wifiAboveBytes: 0, holdMsMax: 5_000 },
  { strategy: 'batched', batchCount: 5, batchDelayMs: 3_000 },
  { strategy: 'scheduled', intervalMs: 4_000 },
];

/** More than ever wait. */
export const UNPACKED = 1_000_000;

/** The plan of an empty tape, on which nothing happens. */
export const SIMPLEST: Plan = {
  seed: 0,
  durationMs: 20_000,
  deviceCount: 1,
  tabCountMax: 1,
  laneCount: 1,
  mutationCount: 0,
  burstRate: 0,
  rejectedRate: 0,
  editRate: 0,
  atomicRate: 0,
  operatorsPerMinute: 0,
  choresPerMinute: 0,
  locksPerMinute: 0,
  updateAtMs: 0,
  rolloutsPerMinute: 0,
  rewindsPerMinute: 0,
  maxRetries: 0,
  areLanesHeld: false,
  hasWideLanes: false,
  isWorkspaceShared: false,
  hasView: false,
  actionsPerMinute: 0,
  wakeSign: NO_SIGN,
  isSpeedChecked: false,
  isBrowserShared: false,
  isStoreRelaxed: false,
  isLeaderForsaken: false,
  hasLock: true,
  policy: 0,
  readPageCount: 1_000,
  packOverCount: UNPACKED,
  rates: NO_RATES,
};
/** What only says how often something is thrown; a tape says itself what happens. */
const ONLY_FOR_DICE: readonly string[] = [
  'seed',
  'mutationCount',
  'burstRate',
  'rejectedRate',
  'editRate',
  'atomicRate',
  'operatorsPerMinute',
  'choresPerMinute',
  'locksPerMinute',
  'rolloutsPerMinute',
  'actionsPerMinute',
];

const EDIT_RATES: readonly number[] = [0.9, 0.5, 0.9, 0];

export function drawPlan(seed: number, dice: Dice, { rates, ...shape }: Omit<Shape, 'dense'> = {}): Plan {
  const mutationCount = 20 + dice.below(131);
  const durationMs = dice.chance(0.15) ? dice.logBetween(900_000, 5_400_000) : dice.logBetween(20_000, 900_000);
  const plan = {
    seed,
    durationMs,
    deviceCount: dice.chance(0.35) ? 2 : 1,
    tabCountMax: 1 + dice.below(3),
    laneCount: 1 + dice.below(8),
    mutationCount,
    burstRate: dice.pick([0, 0.3, 0.8]),
    rejectedRate: dice.pick([0, 0.02, 0.1]),
    maxRetries: dice.pick([0, 1, 2, 5, 5, 5]),
    areLanesHeld: dice.chance(0.4),
    hasWideLanes: dice.chance(0.2),
    isWorkspaceShared: dice.chance(0.7),
    hasView: dice.chance(0.5),
    actionsPerMinute: dice.pick([0, 1, 4]),
    wakeSign: dice.chance(0.5) ? NO_SIGN : dice.below(WAKE_SIGNS.length),
    isSpeedChecked: dice.chance(0.7),
    isBrowserShared: dice.chance(0.4),
    isStoreRelaxed: dice.chance(0.15),
    isLeaderForsaken: dice.chance(0.2),
    hasLock: !dice.chance(0.05),
    policy: dice.chance(0.7) ? 0 : dice.below(POLICIES.length),
    rates: drawRates(dice),
    // Thrown last: the other choices of a seed are as they were.
    readPageCount: dice.pick([1_000, 1, 2, 5, 20]),
  };
  // Of the seed and not of the dice, so that the other worlds are what they were before there were edits. Not yet together
  // with what people do to mutations, nor where a store forgets or is shared: what is then nobody's fault is not known.
  const { actionsPerMinute, areLanesHeld, isBrowserShared, isStoreRelaxed } = plan;
  const isRewound = seed % 97 === REWOUND_SEED && Object.keys(shape).length === 0 && rates === undefined;
  const hasEdits = actionsPerMinute === 0 && !areLanesHeld && !isBrowserShared && !isStoreRelaxed;
  return {
    ...plan,
    editRate: hasEdits ? (EDIT_RATES[seed % EDIT_RATES.length] ?? 0) : 0,
    atomicRate: 0,
    operatorsPerMinute: 0,
    choresPerMinute: seed % CHORES_EVERY === 11 ? 3 : 0,
    locksPerMinute: seed % LOCKS_EVERY === 17 ? 2 : 0,
    rolloutsPerMinute: 0,
    rewindsPerMinute: 0,
    updateAtMs: 0,
    ...(seed % 11 === 1 ? { updateAtMs: Math.ceil((durationMs * (10 + (seed % 71))) / 100), editRate: 0 } : {}),
    ...SPECIAL[seed % 11],
    ...(isRewound ? REWOUND : {}),
    packOverCount: UNPACKED,
    ...(seed % PACKED_OF === 2
      ? { packOverCount: PACK_OVER_COUNTS[Math.floor(seed / 5) % 5] ?? 1, hasWideLanes: false }
      : {}),
    ...shape,
    rates: { ...plan.rates, ...(isRewound ? UNFORGETTING : {}), ...rates },
  };
}

/** Of forty-one seeds one has somebody who restarts queues, and so on. */
const CHORES_EVERY = 41;
/** Of forty-three one has a store that is sealed, with keys that come and go. */
const LOCKS_EVERY = 43;

/** One world of five packs what waits behind few others; where each row has a lane of its own. Of the seed, so that the others are what they were. */
const PACKED_OF = 5;
const PACK_OVER_COUNTS: readonly number[] = [1, 2, 5, 20, 50];

/** Of ninety-seven seeds one has a server that is put back now and then. */
const REWOUND_SEED = 40;

/**
 * Nobody decides anything about mutations, no two users share rows, and no store loses or forgets what it had: what is sent again
 * and what is refused then has one reason only. No view either: an app that reads from a server that was put back sees that.
 */
const REWOUND: Partial<Plan> = {
  rewindsPerMinute: 1,
  durationMs: 300_000,
  editRate: 0,
  atomicRate: 0,
  operatorsPerMinute: 0,
  choresPerMinute: 0,
  locksPerMinute: 0,
  updateAtMs: 0,
  actionsPerMinute: 0,
  areLanesHeld: false,
  isWorkspaceShared: false,
  isStoreRelaxed: false,
  hasView: false,
  rejectedRate: 0,
};
const UNFORGETTING: Partial<FaultRates> = { clockJump: 0, recordDamaged: 0, powerLoss: 0, signOut: 0, rateLimited: 0 };

/**
 * Of eleven seeds three have what the others have not, and another an update. Of the seed too: all other worlds are what they were.
 */
const SPECIAL: Readonly<Record<number, Partial<Plan>>> = {
  3: { atomicRate: 0.4 },
  6: { operatorsPerMinute: 4, rejectedRate: 0.1 },
  9: { rolloutsPerMinute: 2 },
};

/** What of the plan a tape has to say: where it differs from the simplest. */
export function choicesOfPlan(plan: Plan): ChoiceTape {
  const entries = Object.entries(plan).flatMap(([name, value]: [string, unknown]) => {
    const isChoice = (typeof value === 'number' || typeof value === 'boolean') && !ONLY_FOR_DICE.includes(name);
    return isChoice && value !== SIMPLEST[name as keyof Plan] ? [[`plan ${name}`, [[0, Number(value)]]] as const] : [];
  });
  return Object.fromEntries(entries);
}

export function planOfTape(tape: ChoiceTape): Plan {
  const entries = Object.entries(SIMPLEST).map(([name, simplest]: [string, unknown]) => {
    const value = tape[`plan ${name}`]?.[0]?.[1];
    return [name, value === undefined ? simplest : typeof simplest === 'boolean' ? value !== 0 : value];
  });
  return Object.fromEntries(entries) as Plan;
}

function drawRates(dice: Dice): FaultRates {
  const rates = { ...NO_RATES };
  const kind = dice.next();
  if (kind < 0.1) return rates;
  const only = dice.pick(FAULT_CLASSES);
  const share = dice.between(0.1, 0.7);
  for (const name of FAULT_CLASSES) {
    if (kind < 0.2 ? name !== only : !dice.chance(name === 'lockBroken' ? share / 3 : share)) continue;
    rates[name] = name === 'lockBroken' ? 1 : HIGHEST_RATE[name] * dice.logBetween(0.05, 1);
  }
  return rates;
}
