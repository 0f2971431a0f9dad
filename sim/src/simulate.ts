import process from 'node:process';
import { Budget } from './budget.ts';
import { type ChoiceTape, recordingDice, replayingDice } from './choice-tape.ts';
import { type CrashPoint, Crasher } from './crasher.ts';
import { planOf } from './dense-plan.ts';
import { Device } from './device.ts';
import { Dice } from './dice.ts';
import { type Fact, Facts } from './facts.ts';
import { Faults } from './faults.ts';
import { History, type Violation } from './history.ts';
import { choicesOfPlan, type FaultClass, NO_SIGN, type Plan, planOfTape, type Shape, WAKE_SIGNS } from './plan.ts';
import { Scheduler } from './scheduler.ts';
import type { Effect, ItemRow } from './server-model.ts';
import { SimServer, type TapeEntry } from './sim-server.ts';
import type { TabProcess } from './tab-process.ts';
import { KEPT_COUNT, Trace } from './trace.ts';
import { checkAtRest, isAtRest } from './verify.ts';
import { scheduleFaults } from './weather.ts';
import { scheduleChores } from './chores.ts';
import { scheduleOperators } from './operators.ts';
import { makeCalmChanges, scheduleWork } from './workload.ts';
import type { Story, World } from './world.ts';

export interface SimulationResult {
  readonly seed: number;
  readonly plan: Plan;
  readonly events: number;
  readonly faults: number;
  readonly faultsByClass: ReadonlyMap<FaultClass, number>;
  readonly violations: readonly Violation[];
  /** Of everything that was called and that happened. */
  readonly hash: number;
  readonly virtualMs: number;
  /** From the end of the faults until everything had settled. */
  readonly healingMs: number;
  /** Situations that were reached, and how often. */
  readonly facts: ReadonlyMap<Fact, number>;
  readonly trace: readonly string[];
  /** What arrived at the server, in its order. */
  readonly tape: readonly TapeEntry[];
  readonly rows: ReadonlyMap<string, ItemRow>;
  readonly effects: readonly Effect[];
  /** Calls that tabs made on their ports until all was at rest, and how often one crashed there; only where crashes are staged. */
  readonly portCalls: readonly string[];
  readonly crashCount: number;
}

/** Longest until everything is settled once faults have stopped: with a sign of the network's return, and without: five minutes and their jitter. */
const HEALING_MS_MAX = { woken: 30_000, alone: 360_000 } as const;
/** A request that the last fault has swallowed is waited for so long before anything else can happen. */
const ATTEMPT_TIMEOUT_MS = 30_000;
/** What a lane of the backlog may take on top, in milliseconds a mutation. */
const BACKLOG_MS = 300;

/** So long after a crash somebody opens the app again. */
const REOPENED_AFTER_MS = 500;

/** A server that asked for a pause is obeyed, whoever wakes the device. */
function healingMsMax({ wakeSign, rates }: Plan, { countByClass }: Faults): number {
  const mayBePaced = rates.rateLimited > 0 || countByClass.has('rateLimited');
  return ATTEMPT_TIMEOUT_MS + (wakeSign !== NO_SIGN && !mayBePaced ? HEALING_MS_MAX.woken : HEALING_MS_MAX.alone);
}

/** The world of a seed, of the given shape. */
export function simulate(seed: number, shape: Shape = {}, trace: Trace = new Trace()): Promise<SimulationResult> {
  const dice = new Dice(seed);
  return run(dice, planOf(seed, dice, shape), trace);
}

/** A world, and the tape that replays it. */
export interface Recorded {
  readonly result: SimulationResult;
  readonly tape: ChoiceTape;
}

/** The world of a seed, written down. Ids are those of a tape: only they differ from `simulate`. */
export function record(seed: number, shape: Shape = {}): Promise<Recorded> {
  const dice = new Dice(seed);
  return recordPlan(planOf(seed, dice, shape), dice);
}

/** A world of this plan, written down. */
export async function recordPlan(plan: Plan, seeded: Dice): Promise<Recorded> {
  const { dice, tape } = recordingDice(seeded);
  const result = await run(dice, plan, new Trace());
  return { result, tape: { ...choicesOfPlan(plan), ...tape() } };
}

/** The world of a tape, and what of the tape was read. `isTold` puts each special choice into the trace. */
export async function replay(tape: ChoiceTape, isTold = false): Promise<Recorded> {
  const trace = new Trace();
  const plan = planOfTape(tape);
  const { dice, read } = replayingDice(tape, isTold ? (...choice) => trace.choice(...choice) : null);
  const result = await run(dice, plan, trace);
  return { result, tape: { ...choicesOfPlan(plan), ...read() } };
}

/** What goes on in a world, and who is killed when. */
export interface Staging {
  /** Schedules all that people do and all that goes wrong. */
  readonly play: (world: World, devices: readonly Device[]) => void;
  /** The points of the world's port calls at which a process dies; null where only chance kills. */
  readonly crashes: readonly CrashPoint[] | null;
  readonly story?: Story | null;
}

const BY_CHANCE: Staging = {
  play: (world, devices) => {
    scheduleWork(world, devices);
    scheduleFaults(world, devices);
    scheduleOperators(world, devices);
    scheduleChores(world, devices);
  },
  crashes: null,
};

/** Work and faults first, and safety all the while; then everything is repaired, and what is left must settle in time. */
export async function run(
  dice: Dice,
  plan: Plan,
  trace: Trace,
  { play, crashes, story = null }: Staging = BY_CHANCE,
): Promise<SimulationResult> {
  const scheduler = new Scheduler(dice);
  const budget = new Budget((message) => history.violated('inv-I15', message));
  trace.observe((nowMs, who, what) => budget.note(nowMs, who, what));
  const facts = new Facts();
  const history = new History(facts);
  const server = new SimServer(history, facts, story?.perform);
  history.attach(server.model, () => scheduler.nowMs, plan);
  const faults = new Faults(dice, plan.rates, () => history.hasUnsettled);
  const reopen = (process: TabProcess): void => {
    const device = devices.find(({ tabs }) => tabs.some((tab) => tab.process === process));
    scheduler.at(REOPENED_AFTER_MS, () => device?.openTab());
  };
  const crasher = crashes === null ? null : new Crasher(crashes, (run) => scheduler.afterThis(run), reopen);
  const world: World = { plan, dice, scheduler, trace, history, server, facts, faults, crasher, story };
  const first = new Device(world, 0);
  const second =
    plan.deviceCount === 2 ? [new Device(world, 1, plan.isBrowserShared ? first.disk.stores : undefined)] : [];
  const devices: readonly Device[] = [first, ...second];
  for (const device of devices) {
    device.circle.isLockBroken = faults.strikes('lockBroken', dice.of('locks', device.index));
    device.circle.hasLock = plan.hasLock;
    device.openTab();
  }
  play(world, devices);
  const hasFailed = (): boolean => history.violations.length > 0;
  const onStray = (error: unknown): void => history.violated('stray', `a rejection nobody handles: ${String(error)}`);
  process.on('unhandledRejection', onStray);
  await scheduler.runUntil(plan.durationMs, hasFailed);
  let healingMs = 0;
  if (!hasFailed()) {
    const healedAtMs = scheduler.nowMs;
    if (history.hasUnsettled) facts.reached('the faults end while work is unsettled');
    heal(world, devices);
    const boundMs = healingMsMax(plan, faults) + BACKLOG_MS * history.made.length;
    await scheduler.runUntil(healedAtMs + boundMs, () => hasFailed() || isAtRest(world, devices));
    healingMs = scheduler.nowMs - healedAtMs;
    if (crasher !== null) crasher.isOver = true;
    // What a story makes besides is not known to the simulation, which would miss it in its counts.
    if (!hasFailed()) await (story === null ? checkAtRest(world, devices, boundMs) : story.judge(world, first));
  }
  process.off('unhandledRejection', onStray);
  return {
    seed: plan.seed,
    plan,
    events: trace.eventCount,
    faults: faults.count,
    faultsByClass: faults.countByClass,
    violations: history.violations,
    hash: trace.hash,
    virtualMs: scheduler.nowMs,
    healingMs,
    facts: facts.counts,
    trace: trace.last(KEPT_COUNT),
    tape: server.tape,
    rows: server.model.rows,
    effects: server.model.effects,
    portCalls: crasher?.calls ?? [],
    crashCount: crasher?.crashCount ?? 0,
  };
}

/** Ends every fault. What was sent is still on its way; what is paused is resumed, and somebody is there. */
function heal(world: World, devices: readonly Device[]): void {
  const { faults, server, scheduler, trace, plan } = world;
  const dice = world.dice.of('healing');
  trace.note(scheduler.nowMs, 'world', 'healed');
  faults.isActive = false;
  server.model.failingMoods.clear();
  server.rolloutUntilMs = 0;
  for (const device of devices) {
    device.line.heal();
    device.disk.isFull = false;
    device.disk.isLocked = false;
    device.isLoginGone = false;
    device.isSignedOut = false;
    device.circle.isLockBroken = false;
    for (const { process } of device.tabs) process.thaw();
    if (plan.isLeaderForsaken) {
      for (const { process, queue } of device.liveTabs) if (queue.getSnapshot().isLeader) process.forsake();
    }
    device.anyTab(dice);
    // What the next version has stored waits for it.
    if (plan.updateAtMs > 0) device.openTab();
    resumeSomewhere(world, device);
    signInSomewhere(world, device);
    // A pause whose commit was still under way may come after the first.
    scheduler.at(11_000, () => resumeSomewhere(world, device));
    if (plan.areLanesHeld) decideUntilRest(world, device, dice);
    scheduler.at(100, () => wake(world, device));
    // A device with nothing to say does not hear that the server was put back.
    if (plan.rewindsPerMinute > 0) scheduler.at(200, () => makeCalmChanges(world, device, 1));
    // People who are at work go on: a request that the last fault has swallowed may end only now.
    if (WAKE_SIGNS[plan.wakeSign] === 'add') scheduler.at(35_000, () => wake(world, device));
  }
}

/** One sign, and no other. */
function wake(world: World, device: Device): void {
  const sign = WAKE_SIGNS[world.plan.wakeSign];
  if (sign === 'online' || sign === 'foreground') device.line.hint(sign);
  if (sign === 'drain') {
    const { process, queue } = device.anyTab(world.dice.of('healing'));
    process.enter('user drains', () => void queue.process().catch(() => {}));
  }
  if (sign === 'add') makeCalmChanges(world, device, 1);
}

/** Somebody is there who decides on what holds its lane; such lanes do not move by themselves. */
function decideUntilRest(world: World, device: Device, dice: Dice): void {
  world.scheduler.at(500, () => {
    const isAsked = device.liveTabs.some(({ queue }) => queue.listBlockedLanes().some((each) => each.waitingCount > 0));
    if (isAsked) {
      const tab = device.anyTab(dice);
      tab.process.enter('user decides', () => tab.decide(dice));
    }
    decideUntilRest(world, device, dice);
  });
}

/** A sign-out may end after its user is back: whoever sees that signs in again. */
function signInSomewhere(world: World, device: Device): void {
  const isSignedOut = device.liveTabs.some(({ queue }) => queue.getSnapshot().error?.code === 'SIGNED_OUT');
  if (isSignedOut) device.openTab();
  world.scheduler.at(isSignedOut ? 60_000 : 1_000, () => signInSomewhere(world, device));
}

/** Whoever sees that it is paused resumes it. A page that cannot open, or is just closing, is replaced by another. */
function resumeSomewhere(world: World, device: Device): void {
  const tab = device.anyTab(world.dice.of('healing'));
  if (tab.queue.getSnapshot().isReady && !device.isPauseLikely) return;
  const again = (): void => void world.scheduler.at(200, () => resumeSomewhere(world, device));
  tab.process.onKilled(again);
  tab.process.enter('user resumes', () => {
    device.resumeIn(tab).catch(again);
  });
}
