import { type HoldfastError, isHoldfastError, toHoldfastError } from '../mutation/holdfast-error.ts';
import { scanAll } from '../ports/scan-all.ts';
import type { Change, CommitResult, Entry, OpenStorage, ScanQuery, Storage, StorageBatch } from '../ports/storage.ts';

export interface MirroredStorageOptions {
  /** Told when one of the two fails; the other one goes on. Nothing is lost by it, and nothing is doubly kept meanwhile. */
  readonly onError?: (error: HoldfastError, which: 'first' | 'mirror') => void;
  /** Told when the first had come back empty, and so many records were put back from the mirror. */
  readonly onRestore?: (recordCount: number) => void;
}

/** Every store that a queue has written has it, and an empty one has not. */
const WITNESS = 'meta/client';
/** In a store that was used without the other one. */
const ALONE = 'meta/alone';
/** A store that was put back from its mirror may be a little older than it was: whoever gives out numbers must know. */
const REWOUND = 'meta/rewound';

/**
 * The same records in two stores. A commit is decided by the first, and resolves when it stands in both. When the first comes back
 * empty it is put back from the mirror, in one commit; when it cannot be opened, the mirror is used in its stead.
 */
export function mirroredStorage(
  first: OpenStorage,
  mirror: OpenStorage,
  options: MirroredStorageOptions = {},
): OpenStorage {
  return async (name) => {
    const told = (which: 'first' | 'mirror') => (error: unknown) => {
      // Keys that are away, and a newer version, are nobody's failure.
      if (isHoldfastError(error) && error.category !== 'STORAGE_ERROR') throw error;
      options.onError?.(toHoldfastError(error), which);
      return null;
    };
    const copy = await mirror(name).catch(told('mirror'));
    if (copy === null) return alone(await first(name));
    const own = await first(name).catch(told('first'));
    if (own === null) return alone(copy);
    const [[witness = null, wasAlone = null], [copied = null, isAhead = null]] = await Promise.all([
      own.read([WITNESS, ALONE]),
      copy.read([WITNESS, ALONE]),
    ]);
    if (isAhead !== null || witness === null) await restore(own, copy, options);
    const mirrored = new MirroredStorage(own, copy, options);
    if (copied === null || (wasAlone !== null && isAhead === null)) await mirrored.copyAll();
    // Only now: a kill before this begins anew.
    if (isAhead !== null || wasAlone !== null)
      for (const storage of [own, copy])
        await storage.commit({ expect: [], changes: [{ kind: 'delete', key: ALONE }] });
    return mirrored;
  };
}

/** Used without the other one: what is stored from now on stands in this one only, and the next to open both must know. */
async function alone(storage: Storage): Promise<Storage> {
  await storage.commit({ expect: [], changes: [{ kind: 'put', key: ALONE, value: '1' }] });
  return storage;
}

/** Puts the mirror's records in the place of the first's. */
async function restore(own: Storage, copy: Storage, { onRestore }: MirroredStorageOptions): Promise<void> {
  const [[witness = null, seen = null], [before = null]] = await Promise.all([
    copy.read([WITNESS, ALONE]),
    own.read([WITNESS]),
  ]);
  if (witness === null) return;
  const changes = new Map<string, Change>();
  for await (const { key } of scanAll(own, '')) changes.set(key, { kind: 'delete', key });
  for await (const { key, value } of scanAll(copy, '')) changes.set(key, { kind: 'put', key, value });
  if (seen !== null) changes.set(ALONE, { kind: 'delete', key: ALONE });
  changes.set(REWOUND, { kind: 'put', key: REWOUND, value: '1' });
  // Another tab may have done it.
  const result = await own.commit({ expect: [{ key: WITNESS, value: before }], changes: [...changes.values()] });
  if (result.kind === 'committed') onRestore?.(changes.size - 1);
}

class MirroredStorage implements Storage {
  private readonly own: Storage;
  private readonly copy: Storage;
  private readonly options: MirroredStorageOptions;
  /** A commit is missing in the mirror: it is copied anew before the next. */
  private isBehind = false;

  constructor(own: Storage, copy: Storage, options: MirroredStorageOptions) {
    this.own = own;
    this.copy = copy;
    this.options = options;
  }

  get durability(): Storage['durability'] {
    return this.own.durability;
  }

  async commit(batch: StorageBatch): Promise<CommitResult> {
    const result = await this.own.commit(batch);
    if (result.kind === 'committed' && batch.changes.length > 0) await this.mirror(batch.changes);
    return result;
  }

  read(keys: readonly string[]): Promise<readonly (string | null)[]> {
    return this.own.read(keys);
  }

  scan(query: ScanQuery): Promise<readonly Entry[]> {
    return this.own.scan(query);
  }

  estimate(): ReturnType<Storage['estimate']> {
    return this.own.estimate();
  }

  async close(): Promise<void> {
    await this.own.close();
    await this.copy.close();
  }

  /** Makes the mirror hold what the first holds, and nothing else. */
  async copyAll(): Promise<void> {
    await this.guarded(async () => {
      for await (const { key } of scanAll(this.copy, '')) await this.bring([key]);
      for await (const { key } of scanAll(this.own, '')) await this.bring([key]);
      this.isBehind = false;
    });
  }

  private async mirror(changes: readonly Change[]): Promise<void> {
    if (this.isBehind) await this.copyAll();
    else await this.guarded(() => this.bring(changes.map(({ key }) => key)));
  }

  /**
   * Brings what stands under these keys over. Tabs do this at the same time, and one may bring what another has changed since:
   * whoever comes last looks again.
   */
  private async bring(keys: readonly string[]): Promise<void> {
    for (let before: readonly (string | null)[] | null = null; ; ) {
      const now = await this.own.read(keys);
      if (before !== null && keys.every((_, index) => now[index] === before?.[index])) return;
      before = now;
      const changes = keys.map((key, index): Change => {
        const value = now[index] ?? null;
        return value === null ? { kind: 'delete', key } : { kind: 'put', key, value };
      });
      await this.copy.commit({ expect: [], changes });
    }
  }

  private async guarded(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.isBehind = true;
      this.options.onError?.(toHoldfastError(error), 'mirror');
    }
  }
}
