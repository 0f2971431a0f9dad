import { HoldfastError } from '../../packages/client/src/mutation/holdfast-error.ts';
import type { CommitResult, Entry, Storage, StorageBatch } from '../../packages/client/src/ports/storage.ts';
import type { Dice } from './dice.ts';
import type { TabProcess } from './tab-process.ts';
import type { World } from './world.ts';

/** What one store holds: shared by the tabs of a device, and outliving them. */
export class StoredValues {
  readonly values = new Map<string, string>();
  private sortedKeys: string[] | null = null;
  /** What each of the last commits replaced, for those that the power may take; oldest first. */
  private undo: { readonly atMs: number; readonly step: number; readonly before: Map<string, string | null> }[] = [];

  apply({ expect, changes }: StorageBatch, atMs = 0, step = 0): CommitResult {
    for (const { key, value } of expect) {
      const actual = this.values.get(key) ?? null;
      if (actual !== value) return { kind: 'mismatch', key, actual };
    }
    this.undo = this.undo.filter((commit) => commit.atMs > atMs - FLUSHED_AFTER_MS);
    this.undo.push({ atMs, step, before: new Map(changes.map(({ key }) => [key, this.values.get(key) ?? null])) });
    for (const change of changes) {
      if (change.kind === 'put') {
        if (this.sortedKeys !== null && !this.values.has(change.key))
          this.sortedKeys.splice(lowerBound(this.sortedKeys, change.key), 0, change.key);
        this.values.set(change.key, change.value);
      } else if (this.values.delete(change.key)) {
        this.sortedKeys?.splice(lowerBound(this.sortedKeys, change.key), 1);
      }
    }
    return { kind: 'committed' };
  }

  /** Takes back commits that were not flushed yet, the last ones first; says since which step, or null for none. */
  losePower(nowMs: number, dice: Dice): number | null {
    const unflushed = this.undo.filter(({ atMs }) => atMs > nowMs - FLUSHED_AFTER_MS);
    const lost = unflushed.slice(dice.below(unflushed.length + 1));
    for (const { before } of lost.toReversed()) {
      for (const [key, value] of before) {
        if (value === null) this.values.delete(key);
        else this.values.set(key, value);
      }
    }
    this.sortedKeys = null;
    this.undo = [];
    return lost[0]?.step ?? null;
  }

  scan(prefix: string, after: string | undefined, limit: number): readonly Entry[] {
    this.sortedKeys ??= [...this.values.keys()].sort();
    const { sortedKeys } = this;
    const isAfter = after !== undefined && after >= prefix;
    let index = isAfter ? lowerBound(sortedKeys, after) : lowerBound(sortedKeys, prefix);
    if (isAfter && sortedKeys[index] === after) index += 1;
    const entries: Entry[] = [];
    for (; index < sortedKeys.length && entries.length < limit; index += 1) {
      const key = sortedKeys[index] ?? '';
      if (!key.startsWith(prefix)) break;
      entries.push({ key, value: this.values.get(key) ?? '' });
    }
    return entries;
  }
}

/** Where in sorted keys the first stands that does not come before this one. */
function lowerBound(sortedKeys: readonly string[], key: string): number {
  let [low, high] = [0, sortedKeys.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sortedKeys[middle] ?? '') < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** A relaxed store reaches the disk within this time, in milliseconds. */
const FLUSHED_AFTER_MS = 30_000;

/** Where the queue counts its leaders. */
const EPOCH_KEY = 'meta/epoch';

/** The disk of one device. */
export interface Disk {
  isFull: boolean;
  /** The keys that it is sealed with are away: nothing can be read or written. */
  isLocked: boolean;
  /** How often the power was lost: what was on its way to the disk then never gets there. */
  powerLossCount: number;
  /** Who raised the epoch last, and when: the one that may deliver. */
  lead: { readonly process: TabProcess; readonly step: number } | null;
  readonly stores: Map<string, StoredValues>;
}

type Call = <Result>(what: string, effect: (dice: Dice) => Result) => Promise<Result>;

/**
 * Storage as the port promises it, with everything that may come between: the process may die before the effect of a
 * commit, after it but before its return, or right after the return; a write may fail, and then nothing was stored.
 */
export function openSimStorage(world: World, process: TabProcess, disk: Disk, name: string): Promise<Storage> {
  const purpose = `storage ${process.name}`;
  process.openCount += 1;
  let callCount = 0;
  const call: Call = (what, effect) => {
    callCount += 1;
    return portCall(world, process, world.dice.of(purpose, callCount), what, effect);
  };
  return call('storage open', (dice) => {
    if (disk.isLocked) throw storageError('STORAGE_LOCKED');
    if (world.faults.strikes('openFailed', dice)) throw storageError('STORAGE_UNAVAILABLE');
    let stored = disk.stores.get(name);
    if (stored === undefined) {
      stored = new StoredValues();
      disk.stores.set(name, stored);
    }
    return storageOver(world, process, disk, stored, call);
  });
}

function storageOver(world: World, process: TabProcess, disk: Disk, stored: StoredValues, call: Call): Storage {
  const readable = (dice: Dice): void => {
    if (disk.isLocked) throw storageError('STORAGE_LOCKED');
    process.lastReadStep = world.history.nextStep();
    if (world.faults.strikes('readFailed', dice)) throw storageError('STORAGE_FAILED');
  };
  return {
    durability: world.plan.isStoreRelaxed ? 'relaxed' : 'strict',
    commit: (batch) => {
      const { powerLossCount } = disk;
      return call(`commit ${describeBatch(batch)}`, (dice) => {
        if (disk.powerLossCount > powerLossCount) return { kind: 'committed' as const };
        if (disk.isLocked) throw storageError('STORAGE_LOCKED');
        if (disk.isFull) throw storageError('STORAGE_FULL');
        if (world.faults.strikes('commitFailed', dice)) throw storageError('STORAGE_FAILED');
        if (world.faults.strikes('killAtWrite', dice)) killAroundWrite(world, process, dice);
        // Killed before the effect: the write never happens.
        if (!process.isAlive && dice.chance(0.5)) return { kind: 'committed' as const };
        const result = stored.apply(batch, world.scheduler.nowMs, world.history.nextStep());
        noteFacts(world, process, result);
        if (result.kind === 'committed' && batch.changes.some(({ key }) => key === EPOCH_KEY)) {
          disk.lead = { process, step: world.history.nextStep() };
        }
        // Done, and the caller is told that it failed: only where that says nothing to a person, who would do it again.
        if (isSettlement(batch) && world.faults.strikes('commitUnheard', dice)) throw storageError('STORAGE_FAILED');
        return result;
      });
    },
    read: (keys) =>
      call(`read ${keys.join()}`, (dice) => {
        readable(dice);
        if (keys.includes(EPOCH_KEY)) process.lastEpochReadStep = process.lastReadStep;
        return keys.map((key) => stored.values.get(key) ?? null);
      }),
    scan: ({ prefix, after, limit }) =>
      call(`scan ${prefix} after ${after ?? 'the start'}`, (dice) => {
        readable(dice);
        return stored.scan(prefix, after, limit);
      }),
    estimate: () => call('estimate', () => ({ usedBytes: null, quotaBytes: null })),
    close: () => call('storage close', () => undefined),
  };
}

function isSettlement({ expect, changes }: StorageBatch): boolean {
  return expect.length === 1 && expect[0]?.key === 'meta/epoch' && changes.every(({ key }) => key !== 'meta/epoch');
}

function noteFacts({ facts }: World, process: TabProcess, result: CommitResult): void {
  if (result.kind === 'mismatch' && result.key === EPOCH_KEY)
    facts.reached('a store refuses a tab that has lost the lead');
  if (result.kind === 'mismatch' && result.key === 'meta/seq') facts.reached('two tabs want the same number');
  if (result.kind === 'committed' && !process.isAlive) facts.reached('a write of a dead tab is stored');
}

/** Half of the time at once, before the effect or before the return; else just after the caller has been told. */
function killAroundWrite(world: World, process: TabProcess, dice: Dice): void {
  if (dice.chance(0.6)) {
    process.kill('killed at a write');
    world.facts.reached('a tab dies between a write and hearing of it');
  } else world.scheduler.at(dice.between(0, 12), () => process.kill('killed after a write'));
}

/** The effect happens some time after the call, and the caller learns of it some time after that. */
function portCall<Result>(
  world: World,
  process: TabProcess,
  dice: Dice,
  what: string,
  effect: (dice: Dice) => Result,
): Promise<Result> {
  const { scheduler, faults } = world;
  const port = process.begin(what);
  if (port === null) return new Promise(() => {});
  const delayMs = (): number =>
    faults.strikes('storageSlow', dice) ? dice.logBetween(10, 5_000) : dice.between(0.1, 5);
  return new Promise((resolve, reject) => {
    scheduler.at(delayMs(), () => {
      // A call of a process that has died since: its transaction was handed over, or was not.
      if (!process.isAlive && dice.chance(0.5)) return;
      let settle: () => void;
      try {
        const result = effect(dice);
        settle = () => resolve(result);
      } catch (error) {
        settle = () => reject(error as Error);
      }
      if (!port.hasHappened()) return;
      process.later(delayMs(), `returned: ${what.slice(0, 40)}`, () => {
        settle();
        port.hasReturned();
      });
    });
  });
}

function describeBatch({ expect, changes }: StorageBatch): string {
  const parts = changes.map((change) => `${change.kind === 'put' ? '+' : '−'}${change.key}`);
  return `if ${expect.map(({ key, value }) => `${key}=${value?.slice(0, 8)}`).join()} ${parts.join()}`;
}

function storageError(
  code: 'STORAGE_UNAVAILABLE' | 'STORAGE_FULL' | 'STORAGE_FAILED' | 'STORAGE_LOCKED',
): HoldfastError {
  return new HoldfastError({ code, message: `The simulated disk says ${code}.` });
}
