import { type ChoiceListener, type ChoiceTape, recordingDice, replayingDice } from './choice-tape.ts';
import { Device } from './device.ts';
import { Dice } from './dice.ts';
import { Faults } from './faults.ts';
import { History, type Violation } from './history.ts';
import { drawPlan, type FaultClass, type Plan } from './plan.ts';
import { Scheduler } from './scheduler.ts';
import type { Effect, ItemRow } from './server-model.ts';
import { SimServer, type TapeEntry } from './sim-server.ts';
import { Trace } from './trace.ts';
import { checkAtRest, isAtRest } from './verify.ts';
import { scheduleFaults } from './weather.ts';
import { scheduleWork } from './workload.ts';
import type { World } from './world.ts';

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
  readonly trace: readonly string[];
  /** What arrived at the server, in its order. */
  readonly tape: readonly TapeEntry[];
  readonly rows: ReadonlyMap<string, ItemRow>;
  readonly effects: readonly Effect[];
}

/** Longest until everything is settled once faults have stopped: with a sign of the network's return, and without. */
const HEALING_MS_MAX = { woken: 30_000, alone: 330_000 } as const;
/** A request that the last fault has swallowed is waited for so long before anything else can happen. */
const ATTEMPT_TIMEOUT_MS = 30_000;
/** What a lane of the backlog may take on top, in milliseconds a mutation. */
const BACKLOG_MS = 300;

/** A server that asked for a pause is obeyed, whoever wakes the device. */
function healingMsMax({ isWoken, rates }: Plan, { countByClass }: Faults): number {
  const mayBePaced = rates.rateLimited > 0 || countByClass.has('rateLimited');
  return ATTEMPT_TIMEOUT_MS + (isWoken && !mayBePaced ? HEALING_MS_MAX.woken : HEALING_MS_MAX.alone);
}

/** The world of a seed. */
export function simulate(seed: number): Promise<SimulationResult> {
  return run(new Dice(seed), seed, new Trace());
}

/** The world of a seed, and the tape that replays it. Ids are those of a tape, so only ids differ from `simulate`. */
export async function record(seed: number): Promise<{ readonly result: SimulationResult; readonly tape: ChoiceTape }> {
  const { dice, tape } = recordingDice(seed);
  const result = await run(dice, seed, new Trace());
  return { result, tape: tape() };
}

/** The world of a tape. `isTold` puts each special choice into the trace. */
export function replay(tape: ChoiceTape, isTold = false): Promise<SimulationResult> {
  const trace = new Trace();
  const tell: ChoiceListener = (...choice) => trace.choice(...choice);
  return run(replayingDice(tape, isTold ? tell : null), 0, trace);
}

/** Work and faults first, and safety all the while; then everything is repaired, and what is left must settle in time. */
async function run(dice: Dice, seed: number, trace: Trace): Promise<SimulationResult> {
  const plan = drawPlan(seed, dice);
  const scheduler = new Scheduler(dice);
  const history = new History();
  const server = new SimServer(history);
  history.attach(server.model, plan.maxRetries);
  const faults = new Faults(dice, plan.rates, () => history.hasUnsettled);
  const world: World = { plan, dice, scheduler, trace, history, server, faults };
  const devices = Array.from({ length: plan.deviceCount }, (_, index) => new Device(world, index));
  for (const device of devices) {
    device.circle.isLockBroken = faults.strikes('lockBroken', dice.of('locks', device.index));
    device.circle.hasLock = plan.hasLock;
    device.openTab();
  }
  scheduleWork(world, devices);
  scheduleFaults(world, devices);
  const hasFailed = (): boolean => history.violations.length > 0;
  await scheduler.runUntil(plan.durationMs, hasFailed);
  let healingMs = 0;
  if (!hasFailed()) {
    const healedAtMs = scheduler.nowMs;
    heal(world, devices);
    const boundMs = healingMsMax(plan, faults) + BACKLOG_MS * plan.mutationCount;
    await scheduler.runUntil(healedAtMs + boundMs, () => hasFailed() || isAtRest(world, devices));
    healingMs = scheduler.nowMs - healedAtMs;
    if (!hasFailed()) await checkAtRest(world, devices, boundMs);
  }
  return {
    seed,
    plan,
    events: trace.eventCount,
    faults: faults.count,
    faultsByClass: faults.countByClass,
    violations: history.violations,
    hash: trace.hash,
    virtualMs: scheduler.nowMs,
    healingMs,
    trace: trace.last(120),
    tape: server.tape,
    rows: server.model.rows,
    effects: server.model.effects,
  };
}

/** Ends every fault. What was sent is still on its way; what is paused is resumed, and somebody is there. */
function heal(world: World, devices: readonly Device[]): void {
  const { faults, server, scheduler, trace, plan } = world;
  const dice = world.dice.of('healing');
  trace.note(scheduler.nowMs, 'world', 'healed');
  faults.isActive = false;
  server.model.failingMoods.clear();
  for (const device of devices) {
    device.line.heal();
    device.disk.isFull = false;
    device.isLoginGone = false;
    device.circle.isLockBroken = false;
    for (const { process } of device.tabs) process.thaw();
    if (plan.isLeaderForsaken) {
      for (const { process, queue } of device.liveTabs) if (queue.getSnapshot().isLeader) process.forsake();
    }
    device.anyTab(dice);
    resumeSomewhere(world, device);
    // A pause whose commit was still under way may come after the first.
    scheduler.at(11_000, () => resumeSomewhere(world, device));
    scheduler.at(100, () => {
      if (!plan.isWoken) return;
      device.line.hint('online');
      device.line.hint('foreground');
      for (const { process, queue } of device.liveTabs) {
        process.enter('user signs in and drains', () => {
          queue.loginChanged();
          queue.process().catch(() => {});
        });
      }
    });
  }
}

/** A page that cannot open, or is just closing, is replaced by another. */
function resumeSomewhere(world: World, device: Device): void {
  const tab = device.anyTab(world.dice.of('healing'));
  const again = (): void => void world.scheduler.at(200, () => resumeSomewhere(world, device));
  tab.process.onKilled(again);
  tab.process.enter('user resumes', () => {
    device.resumeIn(tab).catch(again);
  });
}
