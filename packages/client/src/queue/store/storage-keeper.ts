import { HoldfastError, toHoldfastError } from '../../mutation/holdfast-error.ts';
import type { Clock } from '../../ports/clock.ts';
import {
  type Change,
  type CommitResult,
  type Durability,
  type OpenStorage,
  put,
  repairIn,
  type Storage,
  type StorageBatch,
} from '../../ports/storage.ts';
import type { StoragePointer } from '../../ports/storage-pointer.ts';
import type { LostChanges, WireError } from '../../protocol/wire.ts';
import { isBroken, isFull } from './storage-errors.ts';

/** How the place where mutations are kept does. The object stays the same until something in it changes. */
export interface StorageHealth {
  /** `degraded`: the store of this device cannot be used, and what is added is kept in memory only. */
  readonly kind: 'well' | 'degraded';
  /** What a commit survives now; null before the store is open. */
  readonly durability: Durability | null;
  /** Why it is degraded. */
  readonly error: WireError | null;
  /** Since when it is degraded, by the device's clock. */
  readonly sinceMs: number | null;
  /** How often a connection that had died was replaced in this run. */
  readonly reopenCount: number;
  /** Databases that could not be used any more, and of which it is not known yet what is in them. */
  readonly leftBehindCount: number;
  /** Changes that were lost with an earlier state of the store; null for none, or after `dismissLost`. */
  readonly lost: LostChanges | null;
}

/** Before anything has gone wrong. */
export const WELL: StorageHealth = {
  kind: 'well',
  durability: null,
  error: null,
  sinceMs: null,
  reopenCount: 0,
  leftBehindCount: 0,
  lost: null,
};

/** How many mutations were brought into another store, and whether that was all. */
export interface MovedAll {
  readonly movedCount: number;
  readonly isWhole: boolean;
}

export interface StorageKeeperPorts {
  readonly openOwn: OpenStorage;
  readonly openMemory: OpenStorage;
  /** Null where there is no place for one: then no second database is made. */
  readonly pointer: StoragePointer | null;
  readonly clock: Clock;
  /** Brings all that can be read in one store into another, in one commit. `isLast`: what cannot is not looked at again. */
  readonly moveAll: (from: Storage, into: Storage, isLast: boolean) => Promise<MovedAll>;
  readonly changed: () => void;
  readonly degraded: (error: HoldfastError) => void;
  /** In use again; so many mutations were brought along. */
  readonly restored: (movedCount: number) => void;
  /** What this tab knows was read from another store: it reads anew. */
  readonly restart: () => void;
  readonly report: (error: HoldfastError) => void;
}

/** Waits before a connection is made anew, in milliseconds. */
const REOPEN_DELAYS_MS: readonly number[] = [0, 50, 250];
/** A store that failed so often in a row, although it could be opened, is given up. */
const FAILURES_MAX = 3;
/** How often a degraded queue looks whether its store can be used again, in milliseconds. */
const MOVE_BACK_MS = 15_000;

type CallKind = 'read' | 'write';

/** Which database is in use, and which were left behind with what is in them. */
interface Generations {
  readonly current: number;
  readonly left: readonly number[];
}

const NOTHING_MOVED: MovedAll = { movedCount: 0, isWhole: true };

const FIRST: Generations = { current: 1, left: [] };

/**
 * Keeps a queue on a store that works.
 *
 *   in use ──fails──▶ reopened (3 times) ──fails──▶ another database, the old one kept ──fails──▶ memory, said loudly
 *      ▲                    │                              │                                          │
 *      └────────────────────┴──────────────────────────────┴──── all moved back in one commit ◀───────┘
 *
 * A dead connection is never tried again: it is closed. A commit that failed is looked for before it is made again.
 */
export class StorageKeeper {
  private readonly ports: StorageKeeperPorts;
  private name = '';
  private inUse: Storage | null = null;
  private isInMemory = false;
  /** Grows when another store comes into use: whoever holds on to the one before is told. */
  private term = 0;
  /** In a row; a store may still be read although nothing can be written. */
  private failureCounts: Record<CallKind, number> = { read: 0, write: 0 };
  /** In a row: its connection works, and yet what is in it does not read. */
  private openingFailureCount = 0;
  private generation = 1;
  /** Of the store that was opened last. */
  private openedGeneration = 1;
  private healing: Promise<void> | null = null;
  private movingBack: Promise<void> | null = null;
  private isClosed = false;
  private callOff: () => void = () => {};
  private current: StorageHealth = WELL;

  constructor(ports: StorageKeeperPorts) {
    this.ports = ports;
  }

  get health(): StorageHealth {
    return this.current;
  }

  /** What is the same store for the server: one that is in memory, or has taken another one's place, is not. */
  queueNameOf(name: string): string {
    if (this.isInMemory) return `${name}~memory`;
    return nameOf(name, this.generations().current);
  }

  /** Under which name the tabs that share the store meet: one that is in memory is of one tab. */
  tabsNameOf(name: string, ownId: string): string {
    if (this.isInMemory) return `${name}/memory/${ownId}`;
    return nameOf(name, this.generations().current);
  }

  /** A store that works, whichever; rejects only for what is not its fault: keys that are away, a newer version. */
  async open(name: string): Promise<Storage> {
    this.name = name;
    if (this.inUse === null) {
      try {
        const storage = await this.reopened();
        // Asked for twice, while the first time takes long.
        await (this.inUse === null ? this.use(storage) : storage.close());
      } catch (error) {
        if (!isBroken(error)) throw error;
        await this.climb(toHoldfastError(error));
      }
      if (!this.isInMemory) await this.salvage();
    }
    return this.guarded();
  }

  /**
   * What is in the store could not be read when the queue opened. True where it is worth opening again: the same store, or, after it
   * has failed so some times, another one, with all of the first that can be read.
   */
  async openingFailed(error: unknown): Promise<boolean> {
    const { inUse } = this;
    if (inUse === null || this.isInMemory || this.isClosed || !isBroken(error)) return false;
    this.openingFailureCount += 1;
    if (this.openingFailureCount < FAILURES_MAX) {
      await this.wait(REOPEN_DELAYS_MS[this.openingFailureCount] ?? 0);
      return true;
    }
    this.openingFailureCount = 0;
    this.term += 1;
    await inUse.close().catch(() => {});
    await this.climb(toHoldfastError(error));
    await this.bringAlong();
    return true;
  }

  /** All of it could be read. */
  hasRead(): void {
    this.openingFailureCount = 0;
  }

  /** What can still be read of a store that opens goes on in the one that took its place, and stays where it is. */
  private async bringAlong(): Promise<void> {
    if (!this.isInMemory) return this.salvage();
    const memory = this.inUse;
    if (memory === null) return;
    try {
      const own = await this.opened(this.generations().current);
      const { isWhole } = await this.ports.moveAll(own, memory, false).finally(() => own.close());
      if (!isWhole) this.ports.report(partLeft());
    } catch (error) {
      if (!isBroken(error)) this.ports.report(toHoldfastError(error));
    }
  }

  /** The app has come to the foreground, or is asked to try again. */
  tryAgain(): Promise<void> {
    if (!this.isInMemory || this.isClosed) return Promise.resolve();
    this.callOff();
    this.movingBack ??= this.moveBack().finally(() => {
      this.movingBack = null;
    });
    return this.movingBack;
  }

  async close(): Promise<void> {
    this.isClosed = true;
    this.callOff();
    await this.movingBack;
    await this.inUse?.close();
  }

  private guarded(): Storage {
    const { term } = this;
    const read = <Result>(work: (storage: Storage) => Promise<Result>): Promise<Result> =>
      this.run('read', term, work, work);
    return {
      durability: this.inUse?.durability ?? 'volatile',
      apart: this.inUse?.apart,
      commit: (batch) =>
        this.run(
          'write',
          term,
          (storage) => storage.commit(batch),
          (storage) => commitAgain(storage, batch),
        ),
      read: (keys) => read((storage) => storage.read(keys)),
      scan: (query) => read((storage) => storage.scan(query)),
      estimate: () => read((storage) => storage.estimate()),
      repair: (keys) => read((storage) => repairIn(storage, keys)),
      // The queue restarts on the same store, or on another one: this one is closed by whoever replaces it.
      close: async () => {},
    };
  }

  private async run<Result>(
    kind: CallKind,
    term: number,
    work: (storage: Storage) => Promise<Result>,
    again: (storage: Storage) => Promise<Result>,
  ): Promise<Result> {
    await this.movingBack;
    if (term === this.term && this.hasMovedOn) await this.shared(() => this.follow());
    const storage = this.inUse;
    if (storage === null || term !== this.term) throw moved();
    try {
      const result = await work(storage);
      this.failureCounts[kind] = 0;
      return result;
    } catch (error) {
      if (this.isInMemory || this.isClosed || !isBroken(error)) throw error;
      await this.heal(kind, storage, toHoldfastError(error));
      if (term !== this.term) throw moved(error);
      // Once: what fails on a new connection too is told, and counted.
      const result = await again(this.inUse ?? storage);
      this.failureCounts[kind] = 0;
      return result;
    }
  }

  /** Whoever finds the connection dead meanwhile waits for the same one. */
  private async heal(kind: CallKind, dead: Storage, error: HoldfastError): Promise<void> {
    if (this.inUse === dead) await this.shared(() => this.replace(kind, dead, error));
  }

  private async shared(work: () => Promise<void>): Promise<void> {
    this.healing ??= work().finally(() => {
      this.healing = null;
    });
    await this.healing;
  }

  /** Another tab has gone on to another database, although this one's connection still works. */
  private get hasMovedOn(): boolean {
    return !this.isInMemory && !this.isClosed && this.inUse !== null && this.generations().current !== this.generation;
  }

  private async follow(): Promise<void> {
    const before = this.inUse;
    try {
      const storage = await this.opened(this.generations().current);
      this.term += 1;
      await this.use(storage);
    } catch (error) {
      if (!isBroken(error)) throw error;
      return;
    }
    await before?.close().catch(() => {});
    await this.salvage();
    this.ports.restart();
  }

  private async replace(kind: CallKind, dead: Storage, error: HoldfastError): Promise<void> {
    await dead.close().catch(() => {});
    this.failureCounts[kind] += 1;
    const isGivenUp = this.failureCounts[kind] > FAILURES_MAX;
    if (!isGivenUp) {
      const { generation } = this;
      try {
        const storage = await this.reopened();
        if (generation !== this.generation) this.term += 1;
        await this.use(storage);
        this.note({ reopenCount: this.current.reopenCount + 1 });
        if (generation !== this.generation) this.ports.restart();
        return;
      } catch (again) {
        if (!isBroken(again)) throw again;
      }
    }
    this.term += 1;
    await this.climb(error);
    if (isGivenUp) await this.bringAlong();
    this.ports.restart();
  }

  /** The database that is in use by now; another tab may have gone on to another one. */
  private async reopened(): Promise<Storage> {
    let last: unknown;
    for (const delayMs of REOPEN_DELAYS_MS) {
      await this.wait(delayMs);
      try {
        return await this.opened(this.generations().current);
      } catch (error) {
        if (!isBroken(error)) throw error;
        last = error;
      }
    }
    throw last;
  }

  /** One that has been opened may still be dead: something is read from it. */
  private async opened(generation: number): Promise<Storage> {
    const storage = await this.ports.openOwn(nameOf(this.name, generation));
    try {
      await storage.read(['meta/client']);
    } catch (error) {
      await storage.close().catch(() => {});
      throw error;
    }
    this.openedGeneration = generation;
    return storage;
  }

  /** Another database, or else memory. */
  private async climb(error: HoldfastError): Promise<void> {
    this.failureCounts = { read: 0, write: 0 };
    const { pointer } = this.ports;
    if (pointer !== null) {
      try {
        if (this.generations().current !== this.generation) {
          // Another tab was here before.
          await this.use(await this.opened(this.generations().current));
          return;
        }
        const { current, left } = this.generations();
        const storage = await this.opened(current + 1);
        // Not there, where nothing can be stored: then the next run would not find it again.
        await storage.commit({
          expect: [],
          changes: [put('meta/generation', `${current + 1}`)],
        });
        this.writeGenerations({ current: current + 1, left: [...left, current] });
        if (this.generations().current === current + 1) {
          await this.use(storage);
          this.ports.report(error);
          return;
        }
        await storage.close();
      } catch (again) {
        if (!isBroken(again) && !isFull(again)) throw again;
      }
    }
    this.isInMemory = true;
    await this.use(await this.ports.openMemory(this.name));
    this.note({ kind: 'degraded', error: error.toWire(), sinceMs: this.ports.clock.wallMs() });
    this.ports.degraded(error);
    this.tryLater();
  }

  private async use(storage: Storage): Promise<void> {
    this.inUse = storage;
    if (!this.isInMemory) this.generation = this.openedGeneration;
    if (this.isClosed) await storage.close();
    this.note({ durability: storage.durability, leftBehindCount: this.generations().left.length });
  }

  private tryLater(): void {
    this.callOff();
    if (!this.isClosed) this.callOff = this.ports.clock.schedule(MOVE_BACK_MS, () => void this.tryAgain());
  }

  /** What is added meanwhile waits. All is brought back in one commit, or nothing, and then it goes on in memory. */
  private async moveBack(): Promise<void> {
    const memory = this.inUse;
    let own: Storage | null = null;
    try {
      own = await this.opened(this.generations().current);
      const { movedCount } = memory === null ? NOTHING_MOVED : await this.ports.moveAll(memory, own, false);
      this.term += 1;
      this.isInMemory = false;
      this.failureCounts = { read: 0, write: 0 };
      await this.use(own);
      await memory?.close();
      this.note({ kind: 'well', error: null, sinceMs: null });
      this.ports.restored(movedCount);
      this.ports.restart();
    } catch (error) {
      await own?.close().catch(() => {});
      if (!isBroken(error) && !isFull(error)) this.ports.report(toHoldfastError(error));
      this.tryLater();
    }
  }

  /** What was left behind in databases that can be read by now comes along; they are kept as they are. */
  private async salvage(): Promise<void> {
    for (const generation of this.generations().left) {
      const { inUse } = this;
      if (inUse === null) return;
      try {
        const old = await this.opened(generation);
        this.openedGeneration = this.generation;
        const { movedCount, isWhole } = await this.ports.moveAll(old, inUse, true).finally(() => old.close());
        const { current, left } = this.generations();
        this.writeGenerations({ current, left: left.filter((each) => each !== generation) });
        if (!isWhole) this.ports.report(partLeft());
        this.note({ leftBehindCount: this.generations().left.length });
        if (movedCount > 0) this.ports.restored(movedCount);
      } catch (error) {
        // Still broken: the next run tries again.
        if (!isBroken(error)) this.ports.report(toHoldfastError(error));
      }
    }
  }

  private generations(): Generations {
    const text = this.ports.pointer?.read(this.name) ?? null;
    if (text === null) return FIRST;
    const [current = 1, ...left] = text.split(' ').map(Number).filter(Number.isSafeInteger);
    return { current, left };
  }

  private writeGenerations({ current, left }: Generations): void {
    this.ports.pointer?.write(this.name, [current, ...left].join(' '));
  }

  private note(change: Partial<StorageHealth>): void {
    this.current = { ...this.current, ...change };
    this.ports.changed();
  }

  private wait(delayMs: number): Promise<void> {
    if (delayMs === 0) return Promise.resolve();
    return new Promise((resolve) => this.ports.clock.schedule(delayMs, resolve));
  }
}

function nameOf(name: string, generation: number): string {
  return generation === 1 ? name : `${name}~${generation}`;
}

async function commitAgain(storage: Storage, batch: StorageBatch): Promise<CommitResult> {
  return (await isStored(storage, batch.changes)) ? { kind: 'committed' } : storage.commit(batch);
}

/** A commit that failed may have been stored all the same: it is, where all stands as it would have left it. */
export async function isStored(storage: Storage, changes: readonly Change[]): Promise<boolean> {
  const last = new Map(changes.map((change) => [change.key, change.kind === 'put' ? change.value : null]));
  const keys = [...last.keys()];
  const actual = keys.length === 0 ? [] : await storage.read(keys);
  return keys.length > 0 && keys.every((key, index) => actual[index] === last.get(key));
}

function partLeft(): HoldfastError {
  return new HoldfastError({
    code: 'STORAGE_FAILED',
    message: 'The database of this device is damaged: what could be read of it goes on elsewhere, and some could not.',
    hint: 'Nothing was deleted. Keep the database for whoever can repair it.',
  });
}

function moved(cause?: unknown): HoldfastError {
  return new HoldfastError({
    code: 'STORAGE_MOVED',
    message: 'Not done: the database of this device has broken, and the queue goes on in another one.',
    hint: 'Do it again.',
    cause,
  });
}
