import { HoldfastError, isHoldfastError, toHoldfastError } from '../mutation/holdfast-error.ts';
import { scanAll } from '../ports/scan-all.ts';
import type {
  Change,
  CommitResult,
  Entry,
  OpenStorage,
  ScanQuery,
  Storage,
  StorageApart,
  StorageBatch,
} from '../ports/storage.ts';

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
/** In a mirror that somebody goes on with alone, where the first has no room for it: the first was written apart from it, too. */
const LEFT = 'meta/left';
const MARK = '1';
const TOLD = '2';
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
    const [[witness = null, wasAlone = null], [copied = null, isAhead = null, isLeft = null]] = await Promise.all([
      own.read([WITNESS, ALONE]),
      copy.read([WITNESS, ALONE, LEFT]),
    ]);
    if (isAhead !== null && (wasAlone ?? isLeft) !== null && witness !== null) {
      // Under the same numbers each may have stored another mutation, and sent it. Said once, however often it takes to bring them together.
      if (wasAlone !== TOLD) {
        const told = [REWOUND, ALONE].map((key): Change => ({ kind: 'put', key, value: TOLD }));
        await own.commit({ expect: [], changes: told });
      }
      return new MirroredStorage(own, copy, options, true);
    }
    if (isAhead !== null || witness === null) await restore(own, copy, options);
    const mirrored = new MirroredStorage(own, copy, options);
    if (copied === null || (wasAlone !== null && isAhead === null)) await mirrored.copyAll();
    // Only now: a kill before this begins anew.
    else if (isAhead !== null) await notAlone(own, copy);
    return mirrored;
  };
}

async function notAlone(...storages: readonly Storage[]): Promise<void> {
  for (const storage of storages)
    await storage.commit({ expect: [], changes: [ALONE, LEFT].map((key) => ({ kind: 'delete', key })) });
}

const MARKED: Change = { kind: 'put', key: ALONE, value: MARK };

async function markAlone(storage: Storage): Promise<void> {
  await storage.commit({ expect: [], changes: [MARKED] });
}

/**
 * Used without the other one: what is stored from now on stands in this one only, and the next to open both must know. Said with each
 * commit: one who has opened both meanwhile has taken the mark away.
 */
async function alone(storage: Storage): Promise<Storage> {
  await markAlone(storage);
  return {
    durability: storage.durability,
    commit: ({ expect, changes }) =>
      storage.commit({ expect, changes: changes.length === 0 ? [] : [...changes, MARKED] }),
    read: (keys) => storage.read(keys),
    scan: (query) => storage.scan(query),
    estimate: () => storage.estimate(),
    close: () => storage.close(),
    isCopyBehind: async () => true,
  };
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
  changes.delete(LEFT);
  changes.set(REWOUND, { kind: 'put', key: REWOUND, value: '1' });
  // Another tab may have done it.
  const result = await own.commit({ expect: [{ key: WITNESS, value: before }], changes: [...changes.values()] });
  if (result.kind === 'committed') onRestore?.(changes.size - 1);
}

class MirroredStorage implements Storage {
  private readonly own: Storage;
  private readonly copy: Storage;
  private readonly options: MirroredStorageOptions;
  /** A commit is missing in the mirror: it is copied anew before the next. The first says so too, for the next run. */
  private isBehind = false;
  /** What the mirror holds is not in the first: nothing is brought over until it is. */
  private isApart: boolean;
  /** The mirror's own mark. */
  private copyMark: string | null;
  /** Somebody goes on with the mirror alone: what is there stays until both are opened anew. */
  private isLeft = false;

  constructor(own: Storage, copy: Storage, options: MirroredStorageOptions, isApart: boolean = false) {
    this.own = own;
    this.copy = copy;
    this.options = options;
    this.isApart = isApart;
    this.copyMark = isApart ? MARK : null;
  }

  get apart(): StorageApart | undefined {
    if (!this.isApart) return undefined;
    const taken = async (): Promise<void> => {
      this.isApart = false;
      await this.copyAll();
    };
    return { storage: this.copy, taken };
  }

  get durability(): Storage['durability'] {
    return this.own.durability;
  }

  async commit({ expect, changes }: StorageBatch): Promise<CommitResult> {
    const isMarked = changes.length > 0 && (this.isBehind || this.isLeft);
    const result = await this.own.commit({ expect, changes: isMarked ? [...changes, MARKED] : changes });
    if (result.kind === 'committed' && changes.length > 0) await this.mirror(changes);
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

  /** Makes the mirror hold what the first holds, and nothing else; killed in the middle of it, that is begun anew. */
  async copyAll(): Promise<void> {
    await this.guarded(async () => {
      if (this.copyMark === null) await markAlone(this.own);
      for (const storage of [this.copy, this.own])
        for await (const { key } of scanAll(storage, '')) if (key !== ALONE && key !== LEFT) await this.bring([key]);
      await notAlone(this.copy, this.own);
      this.copyMark = null;
      this.isBehind = false;
    });
  }

  async repair(keys: readonly string[]): Promise<boolean> {
    if (this.isBehind || this.isApart || this.isLeft) return false;
    const [[isMarked = null, ...found], copied] = await Promise.all([
      this.own.read([ALONE, ...keys]),
      this.copy.read(keys),
    ]);
    // Another tab knows that the mirror is behind.
    if (isMarked !== null) return false;
    const others = keys.flatMap((key, index) => {
      const [value = null, known = null] = [copied[index], found[index]];
      return value === null || known === null || value === known ? [] : [{ key, value, known }];
    });
    if (others.length === 0) return false;
    const result = await this.own.commit({
      expect: others.map(({ key, known }) => ({ key, value: known })),
      changes: others.map(({ key, value }) => ({ kind: 'put', key, value })),
    });
    return result.kind === 'committed';
  }

  async isCopyBehind(): Promise<boolean> {
    if (this.isBehind || this.isApart || this.isLeft) return true;
    // Another tab may know more.
    const marks = await Promise.all([this.own.read([ALONE]), this.copy.read([ALONE])]);
    return marks.some(([mark = null]) => mark !== null);
  }

  private async mirror(changes: readonly Change[]): Promise<void> {
    if (this.isApart || this.isLeft) return;
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
      const result = await this.copy.commit({ expect: [{ key: ALONE, value: this.copyMark }], changes });
      if (result.kind === 'committed') continue;
      this.isLeft = true;
      throw isElsewhere();
    }
  }

  private async guarded(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      const wasBehind = this.isBehind;
      this.isBehind = true;
      this.options.onError?.(toHoldfastError(error), 'mirror');
      // Where that fails, the next commit says so. But what somebody else goes on with would take the place of the first until then.
      if (!wasBehind)
        await markAlone(this.own).catch(() =>
          this.isLeft
            ? this.copy.commit({ expect: [], changes: [{ kind: 'put', key: LEFT, value: MARK }] })
            : undefined,
        );
    }
  }
}

function isElsewhere(): HoldfastError {
  return new HoldfastError({
    code: 'STORAGE_FAILED',
    message: 'Another tab could not open the first store, and goes on with the mirror alone.',
    hint: 'Nothing to do: what each of them stores is brought together when both are opened again.',
  });
}
