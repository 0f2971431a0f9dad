import { HoldfastError, messageOf } from '../../mutation/holdfast-error.ts';
import {
  type CommitResult,
  type Durability,
  type Entry,
  mayTakeReserve,
  type OpenStorage,
  type ScanQuery,
  type Storage,
  type StorageBatch,
} from '../../ports/storage.ts';
import { Turns } from '../turns.ts';
import { asStorageError, Journal } from './journal.ts';
import { JOURNAL_LIMITS, type JournalLimits, type KeyValueStore } from './key-value-store.ts';

export interface JournaledStorageOptions {
  /** What a commit survives, which is what the store beneath makes of one write that it has confirmed. */
  readonly durability: Durability;
  readonly open: (name: string) => KeyValueStore | Promise<KeyValueStore>;
  /** @default values of 128 KiB, a journal of 64 commits or 256 KiB, a reserve of 32 KiB */
  readonly limits?: Partial<JournalLimits>;
}

/**
 * Makes a storage of any plain key-value store: whole commits by a journal, large values in pieces, scans by keys that are kept
 * in memory. Connections of one opener share a store; nobody else may write to it meanwhile, so it is for one JavaScript context.
 */
export function journaledStorage({ durability, open, limits }: JournaledStorageOptions): OpenStorage {
  const shared = new Map<string, SharedJournal>();
  return async (name) => {
    let journal = shared.get(name);
    if (journal === undefined) {
      const openJournal = async (): Promise<Journal> =>
        Journal.open(await open(name), name, { ...JOURNAL_LIMITS, ...limits });
      journal = new SharedJournal(openJournal, () => shared.delete(name));
      shared.set(name, journal);
    }
    await journal.join();
    return new Connection(journal, durability);
  };
}

type Call = CommitCall | ReadCall;

interface CommitCall {
  readonly kind: 'commit';
  readonly batch: StorageBatch;
  readonly resolve: (result: CommitResult) => void;
  readonly reject: (error: HoldfastError) => void;
}

interface ReadCall {
  readonly kind: 'read';
  readonly run: (journal: Journal) => Promise<void>;
  readonly reject: (error: HoldfastError) => void;
}

/** What all connections to one name have together. */
class SharedJournal {
  private readonly openJournal: () => Promise<Journal>;
  private readonly onUnused: () => void;
  private readonly turns = new Turns<Call>((group) => this.run(group));
  private journal: Promise<Journal> | null = null;
  private userCount = 0;

  constructor(openJournal: () => Promise<Journal>, onUnused: () => void) {
    this.openJournal = openJournal;
    this.onUnused = onUnused;
  }

  async join(): Promise<void> {
    this.userCount += 1;
    try {
      await this.opened();
    } catch (cause) {
      this.leave();
      throw new HoldfastError({
        code: 'STORAGE_UNAVAILABLE',
        message: `The store of this app could not be opened (${messageOf(cause)}).`,
        hint: 'Nothing can be saved on this device now. Try again later: the store may be locked with the device.',
        cause,
      });
    }
  }

  leave(): void {
    this.userCount -= 1;
    if (this.userCount === 0) this.onUnused();
  }

  ask(call: Call): void {
    this.turns.add(call);
  }

  rest(): Promise<void> {
    return this.turns.rest();
  }

  private opened(): Promise<Journal> {
    this.journal ??= this.openJournal().catch((error: unknown) => {
      this.journal = null;
      throw error;
    });
    return this.journal;
  }

  /** What is written is written first, all of it at once; what is read sees it. */
  private async run(group: readonly Call[]): Promise<void> {
    const commits = group.filter((call) => call.kind === 'commit');
    try {
      const journal = await this.opened();
      await commitAll(journal, commits);
      for (const call of group) {
        if (call.kind === 'read') await call.run(journal).catch((error: unknown) => call.reject(asStorageError(error)));
      }
      // Should it fail, the commits are safe in the journal, and it is done again after the next.
      if (journal.isLong) await journal.carry().catch(() => {});
    } catch (error) {
      for (const { reject } of group) reject(asStorageError(error));
    }
  }
}

async function commitAll(journal: Journal, commits: readonly CommitCall[]): Promise<void> {
  const expected = [...new Set(commits.flatMap(({ batch }) => batch.expect.map(({ key }) => key)))];
  const values = await journal.values(expected);
  const standing = new Map(expected.map((key, index) => [key, values[index] ?? null]));
  const changed = new Map<string, string | null>();
  const results = commits.map(({ batch: { expect, changes } }): CommitResult => {
    const wrong = expect.find(({ key, value }) => (standing.get(key) ?? null) !== value);
    if (wrong !== undefined) return { kind: 'mismatch', key: wrong.key, actual: standing.get(wrong.key) ?? null };
    for (const change of changes) {
      const value = change.kind === 'put' ? change.value : null;
      changed.set(change.key, value);
      standing.set(change.key, value);
    }
    return { kind: 'committed' };
  });
  try {
    if (changed.size > 0)
      await journal.commit(
        changed,
        commits.every(({ batch }) => mayTakeReserve(batch)),
      );
  } catch (error) {
    const known = asStorageError(error);
    // What frees room, or is small, shall not wait for what is large.
    if (known.code === 'STORAGE_FULL' && commits.length > 1)
      for (const commit of commits) await commitAll(journal, [commit]);
    else for (const { reject } of commits) reject(known);
    return;
  }
  commits.forEach(({ resolve }, index) => resolve(results[index] ?? { kind: 'committed' }));
}

class Connection implements Storage {
  readonly durability: Durability;
  private readonly shared: SharedJournal;
  private isClosed = false;

  constructor(shared: SharedJournal, durability: Durability) {
    this.shared = shared;
    this.durability = durability;
  }

  commit(batch: StorageBatch): Promise<CommitResult> {
    return this.ask((resolve, reject) => ({ kind: 'commit', batch, resolve, reject }));
  }

  read(keys: readonly string[]): Promise<readonly (string | null)[]> {
    return this.ask((resolve, reject) => ({
      kind: 'read',
      run: async (journal) => resolve(await journal.values(keys)),
      reject,
    }));
  }

  scan(query: ScanQuery): Promise<readonly Entry[]> {
    return this.ask((resolve, reject) => ({
      kind: 'read',
      run: async (journal) => resolve(await journal.scan(query)),
      reject,
    }));
  }

  async estimate(): ReturnType<Storage['estimate']> {
    // These stores do not say.
    return { usedBytes: null, quotaBytes: null };
  }

  async close(): Promise<void> {
    if (this.isClosed) return;
    this.isClosed = true;
    await this.shared.rest();
    this.shared.leave();
  }

  private ask<Value>(
    call: (resolve: (value: Value) => void, reject: (error: HoldfastError) => void) => Call,
  ): Promise<Value> {
    return new Promise((resolve, reject) => {
      if (!this.isClosed) this.shared.ask(call(resolve, reject));
      else
        reject(
          new HoldfastError({
            code: 'STORAGE_FAILED',
            message: 'Not done: the store is closed.',
            hint: 'Open the store again, or use the queue of the current login.',
          }),
        );
    });
  }
}
