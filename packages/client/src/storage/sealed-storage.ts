import type { KeyProvider, OpenKeys, SealingKey } from '../ports/keys.ts';
import {
  type Change,
  type CommitResult,
  type Entry,
  isCopyBehindOf,
  type OpenStorage,
  repairIn,
  type ScanQuery,
  type Storage,
  type StorageApart,
  type StorageBatch,
} from '../ports/storage.ts';
import { type Coding, commitCoded } from './coded-commit.ts';
import { readSeal, SEAL_KEY, type Seal, type SealSearch, writeSeal } from './seal.ts';
import { keyIdOf, openValue, sealValue } from './sealed-value.ts';
import { keyIsMissing, keyIsWornOut, locked, unlocked } from './storage-locked.ts';
import { TextCache } from './text-cache.ts';

export interface SealedOptions {
  readonly keys: OpenKeys;
  /** Whether what stands under this key may be read by anybody: numbers and ids that say nothing about a person. */
  readonly isClear?: (key: string) => boolean;
  /** Only values for which this holds are sealed; what is not sealed counts as it stands. @default all that is not clear */
  readonly isSealed?: (value: string) => boolean;
  /** Keeps what was sealed or opened lately. @default one that keeps nothing */
  readonly cache?: TextCache;
  /** @default KEY_USES */
  readonly keyUses?: KeyUses;
}

/** How many values one key may seal. */
export interface KeyUses {
  /** From here on the provider is asked for a new one. */
  readonly renewAfter: number;
  /** No more than these. */
  readonly max: number;
  /** So many at a time are written down before they are sealed; what a crash leaves of them counts as used. */
  readonly step: number;
}

/** With random nonces one key must not seal more than 2^32 values (NIST SP 800-38D, 8.3). */
const KEY_USES: KeyUses = { renewAfter: 2 ** 28, max: 2 ** 32, step: 2 ** 16 };

/** Before a value in the clear where none may stand any more: somebody else put it there, and it must not read as a record. */
const NOT_SEALED = '~not sealed: ';

/** Values at a time that are sealed anew after the key has changed. */
const RESEAL_COUNT = 100;

/**
 * The same stores with their values sealed: what cannot be opened with the store's keys cannot be read, and what was moved,
 * mixed or changed comes as unreadable. Keys stay readable, and so do counts and sizes.
 *
 * Which key a store is sealed with stands in the store (`SEAL_KEY`), and every commit expects that it still does. So when the
 * provider has a new key, one commit moves the store to it, whoever still seals with the old one finds out before anything
 * is stored, and what is sealed with the old one is sealed anew page by page, from the beginning after a crash:
 *
 *   sealed with A ──provider has B──▶ new values with B, old ones with A ──all sealed anew──▶ sealed with B, A released
 *
 * A store that was written in the clear becomes a sealed one in the same way. Without its keys nothing is read or written, and
 * nothing is lost: every call rejects with `STORAGE_LOCKED` until they are back.
 */
export function sealedStorage(open: OpenStorage, options: SealedOptions): OpenStorage {
  return async (name) => {
    const storage = await open(name);
    try {
      const keys = await unlocked(() => options.keys(name));
      const layer = (keys: KeyProvider, inner: Storage, apart?: StorageApart): SealedStorage =>
        new SealedStorage({ ...options, keys, storage: inner, name, apart });
      const { apart } = storage;
      // The copy is read, and made like this one then: it is not sealed anew for that, and no key is missed when this one is opened, or let go.
      const sealed = layer(keys, storage, apart && { ...apart, storage: layer(keepingAll(keys), apart.storage) });
      await sealed.start();
      return sealed;
    } catch (error) {
      await storage.close();
      throw error;
    }
  };
}

/** The same keys, none of which is let go. */
function keepingAll(keys: KeyProvider): KeyProvider {
  return { current: () => keys.current(), find: (id) => keys.find(id) };
}

/**
 * Refuses a store whose values are sealed, for one who has no keys: they would look like rubbish. Found out with the first
 * read, which is the first thing that every queue does.
 */
export function unsealedStorage(open: OpenStorage): OpenStorage {
  return async (name) => {
    const storage = await open(name);
    let isChecked = false;
    return {
      durability: storage.durability,
      // Written by nobody else, and read only when this one was found to be in the clear.
      get apart() {
        return storage.apart;
      },
      commit: (batch) => storage.commit(batch),
      read: async (keys) => {
        if (isChecked) return storage.read(keys);
        const values = await storage.read([...keys, SEAL_KEY]);
        if ((values[keys.length] ?? null) !== null)
          throw locked(null, 'The mutations on this device are encrypted, and the queue was opened without keys.');
        isChecked = true;
        return values.slice(0, keys.length);
      },
      scan: (query) => storage.scan(query),
      estimate: () => storage.estimate(),
      close: () => storage.close(),
      repair: (keys) => repairIn(storage, keys),
    };
  };
}

class SealedStorage implements Storage {
  private readonly storage: Storage;
  private readonly sealedApart: StorageApart | undefined;
  private readonly name: string;
  private readonly keys: KeyProvider;
  private readonly isClear: (key: string) => boolean;
  /** Null where all is sealed that is not clear. */
  private readonly isSealed: ((value: string) => boolean) | null;
  private readonly coding: Coding;
  private readonly cache: TextCache;
  private readonly keyUses: KeyUses;
  /** Values that this tab may seal with the key of this id before it writes down that there are more. */
  private reserved: { readonly keyId: string | null; leftCount: number } = { keyId: null, leftCount: 0 };
  private seal: Seal | null = null;
  private isClosed = false;
  /** Commits reach the store in the order in which they were called, however long it takes to seal them. */
  private last: Promise<unknown> = Promise.resolve();
  private resealing: Promise<void> | null = null;

  constructor(parts: {
    readonly storage: Storage;
    readonly name: string;
    readonly keys: KeyProvider;
    readonly apart: StorageApart | undefined;
    readonly isClear?: (key: string) => boolean;
    readonly isSealed?: (value: string) => boolean;
    readonly cache?: TextCache;
    readonly keyUses?: KeyUses;
  }) {
    this.storage = parts.storage;
    this.sealedApart = parts.apart;
    this.name = parts.name;
    this.keys = parts.keys;
    this.isClear = (key) => key === SEAL_KEY || parts.isClear?.(key) === true;
    this.isSealed = parts.isSealed ?? null;
    this.cache = parts.cache ?? new TextCache(0);
    this.keyUses = parts.keyUses ?? KEY_USES;
    this.coding = {
      // Sealed twice, a value stands as two texts: which of them is known only of the last one that was seen.
      storedForm: (key, value) =>
        this.mayStandClear(key, value) ? value : this.cache.storedOf(this.inCache(key), value),
      decode: (entries) => this.openAll(entries),
    };
  }

  /** Finds out which keys the store is sealed with, and goes on with what a crash may have cut short. */
  async start(): Promise<void> {
    const { seal } = await this.currentSeal();
    if (!seal.isDone) this.resealLater();
    else await this.release(seal);
  }

  get durability(): Storage['durability'] {
    return this.storage.durability;
  }

  get apart(): StorageApart | undefined {
    return this.storage.apart && this.sealedApart;
  }

  /** Whether this value may be written as it is. */
  private mayStandClear(key: string, value: string): boolean {
    return this.isClear(key) || this.isSealed?.(value) === false;
  }

  /** Whether this value, as it stands in the store, is not sealed and need not be. */
  private standsClear({ key, value }: Entry): boolean {
    return this.isClear(key) || (this.isSealed?.(value) === false && keyIdOf(value) === null);
  }

  commit({ expect, changes }: StorageBatch): Promise<CommitResult> {
    const before = this.last;
    // With nothing to seal no key is asked for. An empty batch asks whether the keys are there.
    const isAllClear = changes.every(
      (change) => change.kind === 'delete' || this.mayStandClear(change.key, change.value),
    );
    if (this.isSealed !== null && changes.length > 0 && isAllClear) {
      const committed = before.then(() => commitCoded(this.storage, this.coding, { expect, changes }));
      this.last = committed.catch(() => {});
      return committed;
    }
    const first = this.sealAll(changes);
    const committed = (async () => {
      await before;
      for (let sealed = await first; ; sealed = await this.sealAll(changes)) {
        const { text } = sealed.seal;
        const result = await commitCoded(this.storage, this.coding, { expect, changes: sealed.changes }, [
          { key: SEAL_KEY, value: text },
        ]);
        if (result.kind === 'committed' || result.key !== SEAL_KEY) return result;
        // Another tab has moved the store to another key.
        this.forget(text);
      }
    })();
    this.last = committed.catch(() => {});
    // Told by `committed`, in its turn.
    first.catch(() => {});
    return committed;
  }

  async read(keys: readonly string[]): Promise<readonly (string | null)[]> {
    const stored = await this.storage.read(keys);
    const entries = keys.flatMap((key, index) => {
      const value = stored[index] ?? null;
      return value === null ? [] : [{ key, value }];
    });
    const opened = (await this.openAll(entries)).values();
    return stored.map((value) => (value === null ? null : (opened.next().value ?? null)));
  }

  async scan({ prefix, after, limit }: ScanQuery): Promise<readonly Entry[]> {
    // The seal is none of the entries.
    const isAmong = SEAL_KEY.startsWith(prefix);
    const from = after === undefined ? {} : { after };
    const found = await this.storage.scan({ prefix, ...from, limit: isAmong ? limit + 1 : limit });
    const entries = found.filter(({ key }) => key !== SEAL_KEY).slice(0, limit);
    // What is read page by page is seldom asked for again soon, and would push out what is.
    const opened = await this.openAll(entries, false);
    return entries.map(({ key }, index) => ({ key, value: opened[index] ?? '' }));
  }

  estimate(): ReturnType<Storage['estimate']> {
    return this.storage.estimate();
  }

  repair(keys: readonly string[]): Promise<boolean> {
    return repairIn(this.storage, keys);
  }

  isCopyBehind(): Promise<boolean> {
    return isCopyBehindOf(this.storage);
  }

  async close(): Promise<void> {
    this.isClosed = true;
    await this.resealing;
    await this.last;
    this.cache.clear();
    await this.storage.close();
  }

  /** Seals the values of a batch, and says under which seal of the store they may be stored. */
  private async sealAll(
    changes: readonly Change[],
  ): Promise<{ readonly seal: Seal; readonly changes: readonly Change[] }> {
    const isToSeal = (change: Change): boolean =>
      change.kind === 'put' && !this.mayStandClear(change.key, change.value);
    const { seal, key } = await this.sealFor(changes.filter(isToSeal).length);
    const sealed = await unlocked(() =>
      Promise.all(
        changes.map(async (change): Promise<Change> => {
          if (change.kind === 'delete') this.cache.forget(this.inCache(change.key));
          if (change.kind === 'delete' || !isToSeal(change)) return change;
          const value = await sealValue(key, this.placeOf(change.key), change.value);
          this.cache.keep(this.inCache(change.key), value, change.value);
          return { ...change, value };
        }),
      ),
    );
    return { seal, changes: sealed };
  }

  private async openAll(entries: readonly Entry[], isToKeep = true): Promise<readonly string[]> {
    const found = new Map<string, Promise<SealingKey | null>>();
    return Promise.all(entries.map((entry) => this.openOne(entry, { found, isToKeep })));
  }

  /** The value as it was. What is not whole comes as it stands: it does not read as a record, and its bytes are kept. */
  private async openOne(
    { key, value }: Entry,
    look: { readonly found: Map<string, Promise<SealingKey | null>>; readonly isToKeep: boolean },
    isSecondLook = false,
  ): Promise<string> {
    if (this.standsClear({ key, value })) return value;
    const seal = await this.knownSeal();
    const keyId = keyIdOf(value);
    if (keyId === null) return seal.mayBeClear ? value : NOT_SEALED + value;
    if (keyId !== seal.keyId && !seal.earlierIds.includes(keyId)) {
      if (isSecondLook) return value;
      // Another tab may have moved the store to a new key.
      this.forget(seal.text);
      return this.openOne({ key, value }, look, true);
    }
    let finding = look.found.get(keyId);
    if (finding === undefined) {
      finding = this.find(keyId);
      look.found.set(keyId, finding);
    }
    const sealingKey = await finding;
    if (sealingKey === null) throw keyIsMissing(keyId);
    // Only once its key is there: a locked store tells nothing.
    const known = this.cache.textOf(this.inCache(key), value);
    if (known !== undefined) return known;
    const text = await unlocked(() => openValue(sealingKey, this.placeOf(key), value));
    if (text !== null && look.isToKeep) this.cache.keep(this.inCache(key), value, text);
    return text ?? value;
  }

  /** The seal as this tab knows it; another may have changed it. */
  private async knownSeal(): Promise<Seal> {
    this.seal ??= await readSeal(this.sealSearch());
    return this.seal;
  }

  /** The seal and its key, after the store has been moved to the provider's current one. */
  private async currentSeal(): Promise<{ readonly seal: Seal; readonly key: SealingKey }> {
    for (;;) {
      const seal = await this.knownSeal();
      const current = await this.withKeys(() => this.keys.current());
      if (current.id === seal.keyId) return { seal, key: current };
      if (seal.earlierIds.includes(current.id)) {
        // The provider has not heard yet of the key that another tab has moved the store to.
        const key = await this.find(seal.keyId);
        if (key === null) throw keyIsMissing(seal.keyId);
        return { seal, key };
      }
      const earlierIds = [...seal.earlierIds, seal.keyId];
      const next = { ...seal, keyId: current.id, earlierIds, isDone: false, usedCount: 0 };
      if (await this.change(seal, next, current)) this.resealLater();
    }
  }

  /** The same for so many values more: they are written down as sealed before they are, and a key that has sealed enough is renewed. */
  private async sealFor(count: number): Promise<{ readonly seal: Seal; readonly key: SealingKey }> {
    const { renewAfter, max, step } = this.keyUses;
    for (let isRenewed = false; ; ) {
      const { seal, key } = await this.currentSeal();
      if (this.reserved.keyId !== key.id) this.reserved = { keyId: key.id, leftCount: 0 };
      const { reserved } = this;
      if (reserved.leftCount >= count) {
        reserved.leftCount -= count;
        return { seal, key };
      }
      if (seal.usedCount >= renewAfter && !isRenewed) {
        isRenewed = true;
        // One that cannot be had now is asked for again with the next values.
        await this.keys.renew?.(key.id).catch(() => {});
        continue;
      }
      const takenCount = Math.max(step, count);
      const usedCount = seal.usedCount + takenCount;
      // The seal itself is one more.
      if (usedCount >= max) throw keyIsWornOut(key.id, seal.usedCount);
      if (await this.change(seal, { ...seal, usedCount }, key)) reserved.leftCount += takenCount;
    }
  }

  /** True when the seal was still as this tab knew it. */
  private async change(seal: Seal, wanted: Omit<Seal, 'text'>, key: SealingKey): Promise<boolean> {
    const next = { ...wanted, usedCount: wanted.usedCount + 1 };
    const text = await unlocked(() => writeSeal(next, key, this.name));
    const result = await this.storage.commit({
      expect: [{ key: SEAL_KEY, value: seal.text }],
      changes: [{ kind: 'put', key: SEAL_KEY, value: text }],
    });
    this.seal = result.kind === 'committed' ? { ...next, text } : null;
    return result.kind === 'committed';
  }

  private forget(text: string): void {
    if (this.seal?.text === text) this.seal = null;
  }

  private resealLater(): void {
    // What goes wrong is tried again when the store is opened again, or the next key comes.
    this.resealing = (this.resealing ?? Promise.resolve()).then(() => this.reseal()).catch(() => {});
  }

  /** Seals with the current key what is sealed with an earlier one or not at all, a page at a time, and lets the earlier ones go. */
  private async reseal(): Promise<void> {
    const { keyId } = (await this.currentSeal()).seal;
    const leftIds = new Set<string>();
    for (let after: string | undefined; ; ) {
      const { seal } = await this.currentSeal();
      if (this.isClosed || seal.isDone || seal.keyId !== keyId) return;
      const from = after === undefined ? {} : { after };
      const page = await this.storage.scan({ prefix: '', ...from, limit: RESEAL_COUNT });
      const old = page.filter((entry) => !this.standsClear(entry) && keyIdOf(entry.value) !== keyId);
      if (!(await this.resealPage(old, keyId, leftIds))) continue;
      const last = page.at(-1);
      if (last === undefined || page.length < RESEAL_COUNT) break;
      after = last.key;
    }
    for (;;) {
      const { seal, key } = await this.currentSeal();
      if (seal.isDone || seal.keyId !== keyId) return;
      // What did not open stays, and so does its key.
      const keptIds = seal.earlierIds.filter((id) => leftIds.has(id));
      const next = { ...seal, mayBeClear: false, isDone: true, keptIds };
      if (!(await this.change(seal, next, key))) continue;
      await this.release(next);
      return;
    }
  }

  /** False when something there has changed meanwhile: look again. */
  private async resealPage(old: readonly Entry[], keyId: string, leftIds: Set<string>): Promise<boolean> {
    const opened = await this.openAll(old, false);
    const { seal, key } = await this.sealFor(old.length);
    if (key.id !== keyId) return false;
    const whole = old.flatMap(({ key: at, value }, index) => {
      const text = opened[index] ?? value;
      const oldId = keyIdOf(value);
      if (oldId === null ? seal.mayBeClear : text !== value) return [{ at, value, text }];
      if (oldId !== null) leftIds.add(oldId);
      return [];
    });
    if (whole.length === 0) return true;
    const changes = await Promise.all(
      whole.map(
        async ({ at, text }): Promise<Change> => ({
          kind: 'put',
          key: at,
          value: await sealValue(key, this.placeOf(at), text),
        }),
      ),
    );
    const result = await this.storage.commit({
      expect: [...whole.map(({ at, value }) => ({ key: at, value })), { key: SEAL_KEY, value: seal.text }],
      changes,
    });
    if (result.kind === 'committed') return true;
    if (result.key === SEAL_KEY) this.forget(seal.text);
    return false;
  }

  /** Said again at each opening: a crash may have come between, or a copy may have been away. */
  private async release({ earlierIds, keptIds }: Pick<Seal, 'earlierIds' | 'keptIds'>): Promise<void> {
    const ids = earlierIds.filter((id) => !keptIds.includes(id));
    if (ids.length === 0 || (await isCopyBehindOf(this.storage).catch(() => true))) return;
    await this.keys.release?.(ids).catch(() => {});
  }

  private find(id: string): Promise<SealingKey | null> {
    return this.withKeys(() => this.keys.find(id));
  }

  /** What was opened with keys that are away now is forgotten, too. */
  private async withKeys<Result>(ask: () => Promise<Result>): Promise<Result> {
    try {
      return await unlocked(ask);
    } catch (error) {
      this.cache.clear();
      throw error;
    }
  }

  /** What its entries in the cache are called, which it may share. */
  private inCache(key: string): string {
    return `sealed ${this.name} ${key}`;
  }

  private placeOf(key: string): { readonly storeName: string; readonly key: string } {
    return { storeName: this.name, key };
  }

  private sealSearch(): SealSearch {
    return {
      storage: this.storage,
      name: this.name,
      isClear: (entry) => this.standsClear(entry),
      find: (id) => this.find(id),
      current: () => unlocked(() => this.keys.current()),
    };
  }
}
