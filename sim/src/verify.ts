import type { QueueStatus, Settled } from 'holdfast';
import { type AppState, MERGED } from './app-mutations.ts';
import type { AppTab } from './app-tab.ts';
import { hasUnreadable } from './damage.ts';
import type { Device } from './device.ts';
import { hasGivenWay } from './conflict-checks.ts';
import { finish } from './finish.ts';
import { areRetriesUnknown, type History, type Made } from './history.ts';
import type { LedgerRow } from '../../packages/client/src/testing/ledger.ts';
import { checkActs } from './operators.ts';
import { makeCalmChanges } from './workload.ts';
import type { World } from './world.ts';

/** Whether everything that was promised has come to its end, and every tab that must know does. */
export function isAtRest(world: World, devices: readonly Device[]): boolean {
  const { history } = world;
  if (history.made.some(isStuck)) return false;
  return devices.every((device) => device.liveTabs.every((tab) => hasNothingPending(world, device, tab)));
}

/** It was promised, and nobody knows its end. */
function isStuck(made: Made): boolean {
  const { places, effectCount, toldFailedStep, isDiscardAsked, isDamaged, keptIn } = made;
  // What was merged into another is that one's, which is looked at by itself.
  const isPromised = places[0]?.acknowledgedStep != null && !isDiscardAsked && !isDamaged && keptIn === null;
  return isPromised && effectCount === 0 && toldFailedStep === null && !hasGivenWay(made);
}

/** But what was damaged in the store: a tab that does not deliver cannot tell what becomes of it. */
function hasNothingPending({ history }: World, { index }: Device, { queue }: AppTab): boolean {
  const { isReady, pendingCount } = queue.getSnapshot();
  if (!isReady || pendingCount === 0) return isReady;
  const damaged = history.made.filter(({ deviceIndex, isDamaged }) => deviceIndex === index && isDamaged);
  return pendingCount <= damaged.filter(({ id }) => queue.peekStatus(id)?.status === 'pending').length;
}

/** What must hold at the end: looked at through a tab that is opened for it, so that only what is stored counts. */
export async function checkAtRest(world: World, devices: readonly Device[], boundMs: number): Promise<void> {
  const { history } = world;
  if (!isAtRest(world, devices)) {
    const stuck = history.made.filter(isStuck);
    const snapshots = devices.flatMap(({ liveTabs }) =>
      liveTabs.map(({ process, queue }) => `${process.name} ${JSON.stringify(queue.getSnapshot())}`),
    );
    const forgotten = stuck.filter(({ isForgotten }) => isForgotten);
    if (forgotten.length > 0)
      history.violated(
        'inv-I25',
        `${forgotten.map(({ tag }) => tag).join()} was confirmed, and the server that was put back did not get it again`,
      );
    const what = stuck.length > 0 ? stuck.map(({ tag }) => tag).join() : 'a tab';
    history.violated(
      'inv-I14',
      `${what} is not settled ${Math.round(boundMs / 1000)} s after the last fault: ${snapshots.join('; ')}`,
    );
    return;
  }
  // What a full disk refused is written again within half a minute; what a dying tab stored unheard is found within one.
  await world.scheduler.runUntil(world.scheduler.nowMs + 100_000, () => history.violations.length > 0);
  if (history.violations.length > 0) return;
  if (world.plan.isSpeedChecked) for (const device of devices) await checkFullSpeed(world, device);
  for (const device of devices) await checkDevice(world, device);
}

/** With all well, changes made in any tab are confirmed at once, in every tab, and in batches that have grown back. */
async function checkFullSpeed(world: World, device: Device): Promise<void> {
  const { history, scheduler, plan } = world;
  // A pause that the server has asked for is kept first.
  const isPaced = (): boolean => device.liveTabs.some(({ queue }) => queue.getSnapshot().waitingFor === 'rateLimit');
  await scheduler.runUntil(scheduler.nowMs + PACED_MS_MAX, () => history.violations.length > 0 || !isPaced());
  const sentBefore = history.sendCount;
  const count = world.crasher === null ? CALM_COUNT : FEW_COUNT;
  const calm = makeCalmChanges(world, device, count);
  const isDone = (): boolean =>
    calm.every(({ effectCount }) => effectCount === 1) &&
    device.liveTabs.every((tab) => hasNothingPending(world, device, tab));
  // The one that takes over may have been told to wait when it delivered before.
  const wasPaced = world.faults.countByClass.has('rateLimited') || world.faults.countByClass.has('proxyError');
  const takeOverMsMax = TAKE_OVER_MS_MAX + (wasPaced ? RATE_LIMIT_MS_MAX : 0);
  // Whoever decides about a dead letter that holds its lane may try it several times, each when the policy allows.
  const decidingMs = plan.areLanesHeld && plan.policy > 0 ? DECIDING_MS_MAX : 0;
  // Where two could lead at once, the one that believes it does learns only now that another has led, and is dead.
  const mayLackLeader = plan.isLeaderForsaken || world.faults.countByClass.has('lockBroken');
  const maxMs = CALM_MS_MAX + decidingMs + (mayLackLeader ? takeOverMsMax : 0);
  await scheduler.runUntil(scheduler.nowMs + maxMs, () => history.violations.length > 0 || isDone());
  // After an outage that the server had owned up to, devices begin again spread over half a minute.
  const isSpreading = device.liveTabs.some(({ queue }) => queue.getSnapshot().waitingFor === 'network');
  const hasServerFailed =
    plan.rolloutsPerMinute > 0 || SERVER_FAULTS.some((name) => world.faults.countByClass.has(name));
  if (!isDone() && isSpreading && hasServerFailed)
    await scheduler.runUntil(scheduler.nowMs + SPREAD_MS_MAX, () => history.violations.length > 0 || isDone());
  const wasDoneInTime = isDone();
  // What is told is stored a moment later; another tab may just be opening by then.
  await scheduler.runUntil(scheduler.nowMs + 1_000, () => history.violations.length > 0);
  if (history.violations.length > 0) return;
  if (!wasDoneInTime) history.violated('inv-I14', `with all well, changes take longer than ${maxMs / 1_000} s`);
  const sendCount = history.sendCount - sentBefore;
  if (!plan.hasWideLanes && sendCount > CALM_SENDS_MAX)
    history.violated('inv-I14', `with all well, ${count} changes take ${sendCount} requests`);
}

/** With nothing left to do a tab looks around now and then, each sort of look with a timer of its own. */
const TIMERS_MAX = 6;
const PACED_MS_MAX = 300_000;
const CALM_COUNT = 40;
/** In small stories, which are told thousands of times. */
const FEW_COUNT = 2;
const CALM_MS_MAX = 10_000;
const DECIDING_MS_MAX = 60_000;
const SPREAD_MS_MAX = 30_000;
/** Also who signs in for a network answers in the name of the server. */
const SERVER_FAULTS = ['serverMood', 'proxyError', 'captivePortal'] as const;
/** Longest until the work of a leader that gives no sign of life is taken over. */
const TAKE_OVER_MS_MAX = 15_000;
/** Longest that a server's wish to be left alone is obeyed. */
const RATE_LIMIT_MS_MAX = 300_000;
/** Batches double with each answer. */
const CALM_SENDS_MAX = 12;

async function checkDevice(world: World, device: Device): Promise<void> {
  const { history } = world;
  const open = device.liveTabs;
  const refreshed = await finish(world, Promise.all(open.map((each) => each.refresh())));
  if (refreshed === null) history.violated('inv-I14', 'a tab cannot be refreshed');
  for (const tab of open) tab.checkAnswered();
  for (const { process } of open) {
    if (process.timerCount > TIMERS_MAX)
      history.violated('inv-I16', `${process.name} keeps ${process.timerCount} timers although nothing is left to do`);
  }
  for (const each of open) {
    if (each.view === null) continue;
    const shown = JSON.stringify(sorted(withoutDamaged(world, each, each.view.getSnapshot().items)));
    if (shown !== JSON.stringify(sorted(withoutDamaged(world, each, each.serverItems())))) {
      history.violated(
        'inv-I7',
        `${each.process.name} shows after a refresh ${differenceOf(each.view.getSnapshot().items, each.serverItems())}`,
      );
    }
  }
  const tab = device.openTab();
  const looked = await finish(
    world,
    look(
      tab,
      history.made.filter(({ deviceIndex, keptIn }) => deviceIndex === device.index && keptIn === null),
    ),
  );
  if (looked === null) {
    history.violated('inv-I14', `${tab.process.name} cannot be asked`);
    return;
  }
  const counts = { completed: 0, failed: 0, cancelled: 0 };
  let unknownCount = 0;
  let gatedCount = 0;
  for (const { made, settled } of looked.ends) {
    // Whoever waits for all that is whole to settle does not wait for the gate behind which the next look would find the damage.
    if (settled === 'pending' && made.isDamaged && tab.queue.getSnapshot().waitingFor !== 'nothing') {
      gatedCount += 1;
      continue;
    }
    if (settled !== null && settled !== 'pending') counts[settled.status] += 1;
    if (settled === null && made.isDamaged) {
      unknownCount += 1;
      continue;
    }
    // History is kept for 7 days by the device's clock, which has been set forward by more than that.
    if (settled === null && device.hasClockJumped && made.effectCount === 1) {
      // A dead letter that had taken effect unheard was not confirmed when it was disposed of.
      if (made.isDiscardAsked || made.mayBeDiscarded) unknownCount += 1;
      else counts.completed += 1;
      continue;
    }
    if (settled === null && device.hasClockJumped && hasGivenWay(made)) continue;
    checkEnd(world, made, settled);
  }
  await checkStrangers(world, device, tab);
  await checkActs(world, device, tab);
  for (const { made, attemptCount } of looked.attempts)
    if (attemptCount > world.plan.maxRetries + 1)
      history.violated('inv-I15', `${made.tag} was tried ${attemptCount} times, with ${world.plan.maxRetries} retries`);
  if (hasUnreadable(device) && device.unreadableCount === 0)
    history.violated('inv-I21', `device ${device.index} holds a record that does not read, and nobody was told`);
  const { pending, processing, completed, failed } = looked.status.counts;
  if (pending + processing > gatedCount) history.violated('inv-I14', `${pending} are pending at the end`);
  // History that no longer reads was counted when it did.
  const surplus = completed - counts.completed;
  const unheardCount = history.edits.unheardOn(device.index);
  const failedSurplus = failed - counts.failed;
  // Made anew from the history, which does not reach back so far, it says less.
  const isTooLow = surplus < 0 && !device.damagedTexts.has('meta/completed');
  if (isTooLow || surplus > unknownCount + unheardCount || failedSurplus < 0 || failedSurplus > unheardCount) {
    history.violated(
      'inv-I9',
      `counted ${completed} completed and ${failed} failed; they are ${counts.completed} and ${counts.failed}`,
    );
  }
}

/** Another user of the same browser: their mutations are none of this one's business. */
async function checkStrangers(world: World, device: Device, { queue, process }: AppTab): Promise<void> {
  const { history, plan } = world;
  if (!plan.isBrowserShared) return;
  const others = history.made.filter(({ deviceIndex }) => deviceIndex !== device.index);
  const statuses = await finish(world, Promise.all(others.map(({ id }) => queue.getMutationStatus(id))));
  const seen = others.find((_made, index) => statuses?.[index] !== undefined);
  if (seen !== undefined) history.violated('inv-I19', `${process.name} knows ${seen.tag}, which another user has made`);
}

function checkEnd({ history, server }: World, made: Made, settled: Settled | 'pending' | null): void {
  const isPromised = made.places[0]?.acknowledgedStep != null;
  const ledger = server.model.ledgerRows(made.id);
  if (settled === null) {
    if (made.toldFailedStep !== null && !made.isDiscardAsked)
      history.violated('inv-I10', `${made.tag} was a dead letter, and the device does not know it any more`);
    else if (isPromised && !made.isDiscardAsked)
      history.violated('inv-I1', `${made.tag} was promised, and the device does not know it`);
    if (made.effectCount > 0 && !made.isDiscardAsked)
      history.violated('inv-I9', `${made.tag} took effect, and the device does not know it`);
    return;
  }
  if (settled === 'pending') {
    history.violated('inv-I14', `${made.tag} is pending at the end`);
    return;
  }
  if (made.isRefused) history.violated('inv-I1', `${made.tag} is stored although its add was refused`);
  if (made.isDiscarded && settled.status !== 'cancelled')
    history.violated('inv-I26', `${made.tag} was disposed of, and is shown as ${settled.status}`);
  if (settled.status === 'failed') checkRetries(history, made, settled.error.code, ledger);
  if (settled.status === 'completed' && made.effectCount !== 1) {
    history.violated('inv-I22', `${made.tag} is shown as completed; it took effect ${made.effectCount} times`);
  }
  // With the power a relaxed store may lose that a retry succeeded; the next retry is answered as a duplicate.
  if (
    settled.status === 'failed' &&
    !made.isDamaged &&
    ledger.some(({ verdict }) => verdict === 'applied') &&
    ledger.some(({ verdict }) => verdict === 'rejected')
  ) {
    history.violated('inv-I4', `${made.tag} has an effect and a refusal`);
  }
}

/** A retry is a new beginning: the server is asked again, and all attempts are there again. */
function checkRetries(history: History, made: Made, code: string, ledger: readonly LedgerRow[]): void {
  if (areRetriesUnknown(made)) return;
  const generation = made.places.length - 1;
  const refusedCount = made.refusedOfGeneration[generation] ?? 0;
  if (code === '40001') {
    if (refusedCount <= history.maxRetries)
      history.violated('inv-I20', `${made.tag} was given up after ${refusedCount} refusals since it was last retried`);
    return;
  }
  const verdicts = ledger.filter((row) => row.verdict === 'rejected' && row.error?.code === code);
  if (verdicts.length > 0 && !verdicts.some((row) => row.generation >= generation))
    history.violated('inv-I4', `${made.tag} was retried, and failed by the verdict on an earlier try`);
}

interface Looked {
  readonly ends: readonly { readonly made: Made; readonly settled: Settled | 'pending' | null }[];
  readonly attempts: readonly { readonly made: Made; readonly attemptCount: number }[];
  readonly status: QueueStatus;
}

async function look({ queue }: AppTab, all: readonly Made[]): Promise<Looked> {
  await queue.ready;
  const ends = await Promise.all(
    all.map(async (made) => {
      if (queue.peekStatus(made.id)?.status === 'pending' || queue.peekStatus(made.id)?.status === 'processing') {
        return { made, settled: 'pending' as const };
      }
      return { made, settled: await queue.settled(made.id).catch(() => null) };
    }),
  );
  const attempts = await Promise.all(
    all.map(async (made) => ({ made, attemptCount: (await queue.getMutationStatus(made.id))?.attemptCount ?? 0 })),
  );
  return { ends, attempts, status: await queue.getStatus() };
}

/** What was damaged may be shown by those to whom it is still pending, whether it took effect or not. */
function withoutDamaged({ history }: World, { queue }: AppTab, items: AppState['items']): AppState['items'] {
  const isPending = ({ id }: Made): boolean =>
    ['pending', 'processing'].includes(queue.peekStatus(id)?.status ?? 'unknown');
  const damaged = new Set(
    history.made.filter((made) => (made.keptIn ?? made).isDamaged && isPending(made)).map(({ tag }) => tag),
  );
  if (damaged.size === 0) return items;
  const kept = Object.entries(items).map(
    ([id, tags]) => [id, tags.filter((tag) => !tag.split(MERGED).some((part) => damaged.has(part)))] as const,
  );
  return Object.fromEntries(kept.filter(([, tags]) => tags.length > 0));
}

function sorted<Value>(record: { readonly [key: string]: Value }): readonly (readonly [string, Value])[] {
  return Object.entries(record).sort(([left], [right]) => (left < right ? -1 : 1));
}

function differenceOf(shown: AppState['items'], actual: AppState['items']): string {
  const tags = (items: AppState['items']): readonly string[] => Object.values(items).flat();
  const surplus = tags(shown).filter((tag) => !tags(actual).includes(tag));
  const missing = tags(actual).filter((tag) => !tags(shown).includes(tag));
  return `what the server does not have (${surplus.join()}), or not what it has (${missing.join()})`;
}
