import type { JsonObject } from 'holdfast';
import { MERGED, MERGING_TYPE } from './app-mutations.ts';
import type { AppTab, ChangeOptions } from './app-tab.ts';
import type { Device, SeenRow } from './device.ts';
import type { Dice } from './dice.ts';
import { hasGivenWay } from './conflict-checks.ts';
import { isAcknowledged, type Made } from './history.ts';
import type { Plan } from './plan.ts';
import { FIELDS } from './server-model.ts';
import type { World } from './world.ts';

/** What a mutation may say to be refused while the server is in the mood. */
export const MOODS: readonly string[] = ['tired', 'busy', 'cross'];

/** Everything that people do in the time of the plan. */
export function scheduleWork(world: World, devices: readonly Device[]): void {
  const { plan, scheduler } = world;
  const prefix = world.dice.hex(8);
  const entities = Array.from({ length: plan.laneCount }, (_, index) => uuidOf(prefix, index));
  const untilMs = plan.durationMs * 0.95;
  for (let opened = 1; opened < plan.tabCountMax; opened += 1) {
    const dice = world.dice.of('opening', opened);
    scheduler.at(dice.between(0, untilMs / 2), () => {
      const device = dice.pick(devices);
      if (!device.isSignedOut && device.liveTabs.length < plan.tabCountMax) device.openTab();
    });
  }
  const changeCount = world.dice.howMany('change', plan.mutationCount);
  const burstAtMs = world.dice.of('burst').between(0, untilMs);
  for (let number = 0; number < changeCount; number += 1) {
    const dice = world.dice.of('change', number);
    if (!dice.happens()) continue;
    const atMs = dice.chance(plan.burstRate) ? burstAtMs + dice.between(0, 50) : dice.between(0, untilMs);
    scheduler.at(atMs, () => makeChange(world, dice.pick(devices), dice.pick(entities), number, dice));
  }
  const actionCount = world.dice.howMany('action', Math.min(200, (plan.actionsPerMinute * plan.durationMs) / 60_000));
  for (let number = 0; number < actionCount; number += 1) {
    const dice = world.dice.of('action', number);
    if (!dice.happens()) continue;
    scheduler.at(dice.between(0, plan.durationMs), () => act(world, dice.pick(devices), dice));
  }
  scheduleDecisions(world, devices);
}

/** People who look after what failed, hangs, or waits for a decision. */
function scheduleDecisions(world: World, devices: readonly Device[]): void {
  const { plan, scheduler } = world;
  const count = world.dice.howMany('decision', Math.min(40, (plan.actionsPerMinute * plan.durationMs) / 120_000));
  for (let number = 0; number < count; number += 1) {
    const dice = world.dice.of('decision', number);
    if (!dice.happens()) continue;
    scheduler.at(dice.between(0, plan.durationMs), () => {
      const device = dice.pick(devices);
      const tab = device.anyTab(dice);
      tab.process.enter('user decides', () => steer(world, device, tab, dice));
    });
  }
}

function steer({ history }: World, device: Device, tab: AppTab, dice: Dice): void {
  const own = history.made.filter(
    (made) => made.deviceIndex === device.index && !made.isDiscardAsked && made.keptIn === null,
  );
  const failed = own.filter(({ toldFailedStep }) => toldFailedStep !== null);
  switch (dice.below(8)) {
    case 0:
      if (failed.length > 0) tab.forceRetry(dice.pick(failed));
      return;
    case 1:
      if (failed.length > 0) tab.retryAll(failed);
      return;
    case 2:
      tab.queue.clearStuck().catch(() => {});
      return;
    case 3: {
      if (own.length === 0) return;
      const { lane } = dice.pick(own);
      tab.clear(
        lane,
        own.filter((made) => made.lane === lane && made.effectCount === 0),
      );
      return;
    }
    default:
      tab.decide(dice);
  }
}

function makeChange(world: World, device: Device, sharedEntity: string, number: number, dice: Dice): void {
  if (device.isSignedOut) return;
  const { plan } = world;
  // In workspaces of their own the devices have rows of their own, since an id is one in the whole database.
  const entityId = plan.isWorkspaceShared ? sharedEntity : ownId(sharedEntity, device.index);
  const tag = `d${device.index}m${number}`;
  const isThere = world.history.made.some((made) => made.entityId === entityId && made.deviceIndex === device.index);
  // Of a purpose of their own, so that tapes which do not know of them are worlds without.
  const kind = world.dice.of('kind', number);
  const other = kind.chance(0.3) ? MERGING_TYPE : 'item.update';
  const type = !isThere || dice.chance(0.05) ? 'item.create' : dice.chance(0.05) ? 'item.delete' : other;
  const tab = device.anyTab(dice);
  const seen = type === 'item.update' && kind.chance(plan.editRate) ? device.look(entityId, kind) : null;
  if (seen !== null) {
    makeEdit(world, device, tab, { entityId, tag, ...seen }, dice);
    return;
  }
  const more = fieldsOf(world, type, dice);
  if (type === 'item.update' && kind.chance(plan.atomicRate)) {
    const others = rowsBeside(world, device, entityId);
    const second = others.length === 0 ? [] : [kind.pick(others)];
    const members = [entityId, ...second].map((id, index) => ({
      entityId: id,
      tag: index === 0 ? tag : `${tag}b`,
      more: index === 0 ? more : fieldsOf(world, type, kind),
    }));
    tab.process.enter(`user makes ${tag} together with another`, () => tab.addTogether(members));
    return;
  }
  const options = type === MERGING_TYPE ? mergingOptionsOf(dice) : optionsOf(world, device, dice);
  tab.process.enter(`user makes ${tag}`, () => tab.add(type, entityId, tag, more, options));
}

/** Other rows that this device has changed. */
function rowsBeside({ history }: World, device: Device, entityId: string): readonly string[] {
  const own = history.made.filter((made) => made.deviceIndex === device.index && made.entityId !== entityId);
  return [...new Set(own.map((made) => made.entityId))];
}

/** Some fields of a row as its user saw it are set; the payload has those alone, or the others too, as they were. */
function makeEdit(
  world: World,
  device: Device,
  tab: AppTab,
  { entityId, tag, row, isFresh }: SeenRow & { readonly entityId: string; readonly tag: string },
  dice: Dice,
): void {
  const own = FIELDS.filter(() => dice.chance(0.5));
  const seenTags = row.entries.flatMap((entry) => entry.split(MERGED));
  const isAllSeen = world.history.made.every((made) => {
    if (made.deviceIndex !== device.index || made.entityId !== entityId) return true;
    const kept = made.keptIn ?? made;
    return seenTags.includes(kept.tag) || isDead(kept) || (mayBeGone(kept) && tab.hasForgotten(kept));
  });
  // On a screen that shows changes which the row has not, the user would keep those too.
  const kept = isAllSeen && dice.chance(0.9) ? row.fields : {};
  const fields = { ...kept, ...Object.fromEntries(own.map((field) => [field, tag])) };
  const type = dice.chance(0.3) ? 'item.yield' : 'item.edit';
  const options = { ...optionsOf(world, device, dice), edit: { row, isFresh, own } };
  tab.process.enter(`user edits ${tag}`, () => tab.add(type, entityId, tag, fields, options));
}

function isDead({ toldFailedStep, isDiscarded, isRefused }: Made): boolean {
  return toldFailedStep !== null || isDiscarded || isRefused;
}

/** It gave way, perhaps unheard, or somebody has asked for it to be disposed of, perhaps too late; then it is still shown. */
function mayBeGone(made: Made): boolean {
  return hasGivenWay(made) || (made.isDiscardAsked && made.effectCount === 0);
}

/** Creations of new rows in one tab, each in a lane of its own where lanes are; nothing about them can be refused. */
export function makeCalmChanges(world: World, device: Device, count: number): readonly Made[] {
  const { history } = world;
  const prefix = world.dice.hex(8);
  const tab = device.anyTab(world.dice.of('calm', device.index));
  const firstNumber = history.made.length;
  tab.process.enter(`user makes ${count} more`, () => {
    for (let number = 0; number < count; number += 1) {
      const options = { priority: 'normal', delayMs: 0, parents: [], slotOf: null, expiresInMs: null } as const;
      tab.add('item.create', uuidOf(prefix, 0x40 + number), `d${device.index}c${firstNumber + number}`, {}, options);
    }
  });
  return history.made.slice(firstNumber);
}

/** Few enough that most changes of a row are sent under the same conditions. */
function mergingOptionsOf(dice: Dice): ChangeOptions {
  const delayMs = dice.chance(0.3) ? 2_000 : 0;
  return { priority: 'normal', delayMs, parents: [], slotOf: null, expiresInMs: null };
}

function optionsOf({ history, plan, scheduler }: World, device: Device, dice: Dice): ChangeOptions {
  // What may yet be merged into another one has no id that anybody could name.
  const own = history.made.filter(
    (made) => made.deviceIndex === device.index && made.keptIn === null && (!made.isMerging || isAcknowledged(made)),
  );
  const creations = own.filter(({ isCreate }) => isCreate);
  return {
    priority: dice.pick(['high', 'normal', 'normal', 'low']),
    delayMs: dice.chance(0.15) ? Math.ceil(dice.logBetween(1, longestDelayMs(plan, scheduler.nowMs))) : 0,
    parents: own.length > 0 && dice.chance(0.1) ? [dice.pick(own)] : [],
    slotOf: creations.length > 0 && dice.chance(0.15) ? dice.pick(creations) : null,
    expiresInMs: dice.chance(0.1) ? Math.ceil(dice.logBetween(100, 600_000)) : null,
  };
}

/** Over before the world is healed; a clock that is set back lets a window begin anew. */
function longestDelayMs({ durationMs, rates }: Plan, nowMs: number): number {
  return rates.clockJump > 0 ? 10_000 : Math.max(2, durationMs - nowMs);
}

function fieldsOf({ plan }: World, type: string, dice: Dice): JsonObject {
  if (type === MERGING_TYPE) return { level: dice.below(4) };
  const fields = { mood: dice.chance(0.5) ? dice.pick(MOODS) : null, level: dice.below(100) };
  if (type === 'item.delete' || !dice.chance(plan.rejectedRate)) return fields;
  return dice.chance(0.5) ? { ...fields, level: -1 } : { ...fields, colour: 'none' };
}

function act(world: World, device: Device, dice: Dice): void {
  if (device.isSignedOut) return;
  const { history } = world;
  const tab = device.anyTab(dice);
  const own = history.made.filter((made) => made.deviceIndex === device.index && made.keptIn === null);
  const failed = own.filter(({ toldFailedStep, isDiscardAsked }) => toldFailedStep !== null && !isDiscardAsked);
  // What stands for another one waits the same undo window anew, which must be over before the world is healed.
  const msLeft = world.plan.durationMs - world.scheduler.nowMs;
  // What others are merged into is not edited as well: the edit would take their place.
  const editable = own
    .slice(-10)
    .filter((made) => !made.isMerging && made.together.length === 0 && history.edits.firstOf(made).delayMs < msLeft);
  tab.process.enter('user acts', () => {
    switch (dice.below(14)) {
      case 0:
        device.pauseIn(tab);
        return;
      case 1:
      case 2:
        device.resumeIn(tab).catch(() => {});
        return;
      case 3:
        tab.queue.process().catch(() => {});
        return;
      case 4:
      case 5:
        if (failed.length > 0) tab.retry(dice.pick(failed));
        return;
      case 6:
        if (failed.length > 0) tab.discard(dice.pick(failed));
        return;
      case 7:
        if (own.length > 0) tab.inspect(dice.pick(own));
        return;
      case 8:
      case 9:
        if (own.length > 0) tab.cancel(dice.pick(own.slice(-10)));
        return;
      case 10:
      case 11:
        if (editable.length > 0) tab.edit(dice.pick(editable), { level: dice.below(100) });
        return;
      default:
        tab.refresh().catch(() => {});
        // Again, before the first has come.
        if (dice.chance(0.3)) tab.refresh().catch(() => {});
    }
  });
}

function uuidOf(prefix: string, index: number): string {
  return `${prefix}-0000-4000-8000-${index.toString(16).padStart(12, '0')}`;
}

/** The same row number under another id; the lane goes by its last two digits. */
function ownId(entityId: string, deviceIndex: number): string {
  return `${entityId.slice(0, 24)}${deviceIndex.toString(16)}${entityId.slice(25)}`;
}
