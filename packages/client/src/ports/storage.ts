/**
 * How much a commit survives. `strict`: a crash of app, browser and machine. `relaxed`: a crash of app and browser; power loss
 * may take the last commits, never one from the middle. `volatile`: nothing beyond this run of the app.
 */
export type Durability = 'strict' | 'relaxed' | 'volatile';

export type Change =
  | { readonly kind: 'put'; readonly key: string; readonly value: string }
  | { readonly kind: 'delete'; readonly key: string };

export function put(key: string, value: string): Change {
  return { kind: 'put', key, value };
}

export function drop(key: string): Change {
  return { kind: 'delete', key };
}

/** A value that must stand under a key for the batch to be stored; null means that the key must be absent. */
export interface Expectation {
  readonly key: string;
  readonly value: string | null;
}

export interface StorageBatch {
  readonly expect: readonly Expectation[];
  readonly changes: readonly Change[];
}

/** Whether a batch frees room, or only puts other values in the place of some that stand: a store may keep room for these. */
export function mayTakeReserve({ expect, changes }: StorageBatch): boolean {
  return (
    changes.some(({ kind }) => kind === 'delete') ||
    changes.every(({ key }) => expect.some((each) => each.key === key && each.value !== null))
  );
}

export type CommitResult =
  | { readonly kind: 'committed' }
  /** Nothing was stored, because another writer was there first. `actual` is what stands under the key now. */
  | { readonly kind: 'mismatch'; readonly key: string; readonly actual: string | null };

export interface Entry {
  readonly key: string;
  readonly value: string;
}

export interface ScanQuery {
  readonly prefix: string;
  /** Only keys after this one. */
  readonly after?: string;
  readonly limit: number;
}

/**
 * Where records outlive the process: text values under text keys. An implementation promises, and `storageContract`
 * checks, that
 * - `commit` resolves only once a crash of the kind that `durability` names cannot lose the batch;
 * - a batch is stored whole or not at all, its expectations checked in the same step;
 * - a scan yields keys in code-unit order, and sees each batch whole or not at all;
 * - several writers (tabs) work at once, each seeing what the others have committed.
 * What cannot be done rejects with a `HoldfastError` of category `STORAGE_ERROR`, and nothing is stored.
 */
export interface Storage {
  readonly durability: Durability;
  /** Records of the same queue that were made apart from these, until they have been brought in. @default none */
  readonly apart?: StorageApart | undefined;
  commit(batch: StorageBatch): Promise<CommitResult>;
  /** The values under the keys, in their order; null where there is none. One consistent view. */
  read(keys: readonly string[]): Promise<readonly (string | null)[]>;
  scan(query: ScanQuery): Promise<readonly Entry[]>;
  /** Bytes in use and allowed, as far as the platform says; null where it does not. */
  estimate(): Promise<{ readonly usedBytes: number | null; readonly quotaBytes: number | null }>;
  close(): Promise<void>;
  /**
   * Of a store that has a copy: puts back what the copy holds under these keys where that is another, and says whether it did.
   * Asked for what does not read.
   */
  repair?(keys: readonly string[]): Promise<boolean>;
  /** Of a store that has a copy: whether the copy may hold values that this one held before. Their keys must not be destroyed. */
  isCopyBehind?(): Promise<boolean>;
}

/** What a store with a copy finds where each of the two was used without the other. */
export interface StorageApart {
  readonly storage: Storage;
  /** All of it stands in the store that it was apart from. */
  readonly taken: () => Promise<void>;
}

/** The same under a layer. */
export function apartUnder({ apart }: Storage, layer: (storage: Storage) => Storage): StorageApart | undefined {
  return apart === undefined ? undefined : { ...apart, storage: layer(apart.storage) };
}

/** Null where nothing stands under the key. */
export async function readOne(storage: Storage, key: string): Promise<string | null> {
  const [value = null] = await storage.read([key]);
  return value;
}

/** Makes these changes where all that is expected holds, and says whether it did. */
export async function commitWhere(
  storage: Storage,
  expect: readonly Expectation[],
  changes: readonly Change[],
): Promise<boolean> {
  return (await storage.commit({ expect, changes })).kind === 'committed';
}

/** False where the store has no copy. */
export async function repairIn(storage: Storage, keys: readonly string[]): Promise<boolean> {
  return (await storage.repair?.(keys)) ?? false;
}

/** False where the store has no copy. */
export async function isCopyBehindOf(storage: Storage): Promise<boolean> {
  return (await storage.isCopyBehind?.()) ?? false;
}

/** Opens the store of this name, making it if there is none. Each (app, workspace, user) has a name of its own. */
export type OpenStorage = (name: string) => Promise<Storage>;
