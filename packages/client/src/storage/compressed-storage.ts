import {
  apartUnder,
  repairIn,
  type Change,
  type CommitResult,
  type Entry,
  isCopyBehindOf,
  type OpenStorage,
  type ScanQuery,
  type Storage,
  type StorageApart,
  type StorageBatch,
} from '../ports/storage.ts';
import { type Coding, commitCoded } from './coded-commit.ts';
import { compressText, decompressText, isCompressed } from './compressed-text.ts';
import { TextCache } from './text-cache.ts';

/** Values longer than this are compressed, in characters. */
export const COMPRESS_OVER_LENGTH = 1_024;

/**
 * The same stores, with long values compressed in them where that pays; what stands there uncompressed reads as before.
 * `cache`: keeps what was compressed or decompressed lately.
 */
export function compressedStorage(
  open: OpenStorage,
  overLength: number = COMPRESS_OVER_LENGTH,
  cache: TextCache = new TextCache(0),
): OpenStorage {
  return async (name) => {
    const layer = (storage: Storage): Storage => new CompressedStorage(storage, { name, overLength, cache }, layer);
    return layer(await open(name));
  };
}

class CompressedStorage implements Storage {
  private readonly storage: Storage;
  private readonly layer: (storage: Storage) => Storage;
  private readonly overLength: number;
  private readonly coding: Coding;
  private readonly cache: TextCache;
  /** Begins the names of its entries in the cache, which it may share. */
  private readonly place: string;

  constructor(
    storage: Storage,
    { name, overLength, cache }: { readonly name: string; readonly overLength: number; readonly cache: TextCache },
    layer: (storage: Storage) => Storage,
  ) {
    this.storage = storage;
    this.layer = layer;
    this.overLength = overLength;
    this.cache = cache;
    this.place = `compressed ${name} `;
    this.coding = {
      storedForm: (key, value) => this.compress(key, value),
      decode: async (entries) => entries.map((entry) => this.decompress(entry)),
    };
  }

  get apart(): StorageApart | undefined {
    return apartUnder(this.storage, this.layer);
  }

  get durability(): Storage['durability'] {
    return this.storage.durability;
  }

  commit({ expect, changes }: StorageBatch): Promise<CommitResult> {
    const compressed = changes.map((change): Change => {
      if (change.kind === 'delete') {
        this.cache.forget(this.place + change.key);
        return change;
      }
      const value = this.compress(change.key, change.value);
      return value === change.value ? change : { ...change, value };
    });
    return commitCoded(this.storage, this.coding, { expect, changes: compressed });
  }

  async read(keys: readonly string[]): Promise<readonly (string | null)[]> {
    const stored = await this.storage.read(keys);
    return stored.map((value, index) => (value === null ? null : this.decompress({ key: keys[index] ?? '', value })));
  }

  async scan(query: ScanQuery): Promise<readonly Entry[]> {
    const stored = await this.storage.scan(query);
    // What is read page by page is seldom asked for again soon, and would push out what is.
    return stored.map((entry) => ({ key: entry.key, value: this.decompress(entry, false) }));
  }

  estimate(): ReturnType<Storage['estimate']> {
    return this.storage.estimate();
  }

  close(): Promise<void> {
    return this.storage.close();
  }

  repair(keys: readonly string[]): Promise<boolean> {
    return repairIn(this.storage, keys);
  }

  isCopyBehind(): Promise<boolean> {
    return isCopyBehindOf(this.storage);
  }

  private compress(key: string, text: string): string {
    if (text.length <= this.overLength) return compressText(text, this.overLength);
    const at = this.place + key;
    const known = this.cache.storedOf(at, text);
    if (known !== null) return known;
    const stored = compressText(text, this.overLength);
    if (stored.length < text.length) this.cache.keep(at, stored, text);
    return stored;
  }

  private decompress({ key, value }: Entry, isToKeep = true): string {
    if (!isCompressed(value)) return decompressText(value);
    const at = this.place + key;
    const known = this.cache.textOf(at, value);
    if (known !== undefined) return known;
    const text = decompressText(value);
    // What is not whole comes as it stands.
    if (isToKeep && text !== value) this.cache.keep(at, value, text);
    return text;
  }
}
