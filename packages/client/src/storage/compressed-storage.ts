import type { Change, CommitResult, Entry, OpenStorage, ScanQuery, Storage, StorageBatch } from '../ports/storage.ts';
import { type Coding, commitCoded } from './coded-commit.ts';
import { compressText, decompressText } from './compressed-text.ts';

/** Values longer than this are compressed, in characters. */
export const COMPRESS_OVER_LENGTH = 1_024;

/** The same stores, with long values compressed in them where that pays; what stands there uncompressed reads as before. */
export function compressedStorage(open: OpenStorage, overLength: number = COMPRESS_OVER_LENGTH): OpenStorage {
  return async (name) => new CompressedStorage(await open(name), overLength);
}

class CompressedStorage implements Storage {
  private readonly storage: Storage;
  private readonly overLength: number;
  private readonly coding: Coding;

  constructor(storage: Storage, overLength: number) {
    this.storage = storage;
    this.overLength = overLength;
    this.coding = {
      storedForm: (_key, value) => compressText(value, overLength),
      decode: async (entries) => entries.map(({ value }) => decompressText(value)),
    };
  }

  get durability(): Storage['durability'] {
    return this.storage.durability;
  }

  commit({ expect, changes }: StorageBatch): Promise<CommitResult> {
    const compressed = changes.map((change): Change => {
      if (change.kind === 'delete') return change;
      const value = compressText(change.value, this.overLength);
      return value === change.value ? change : { ...change, value };
    });
    return commitCoded(this.storage, this.coding, { expect, changes: compressed });
  }

  async read(keys: readonly string[]): Promise<readonly (string | null)[]> {
    const stored = await this.storage.read(keys);
    return stored.map((value) => (value === null ? null : decompressText(value)));
  }

  async scan(query: ScanQuery): Promise<readonly Entry[]> {
    const stored = await this.storage.scan(query);
    return stored.map(({ key, value }) => ({ key, value: decompressText(value) }));
  }

  estimate(): ReturnType<Storage['estimate']> {
    return this.storage.estimate();
  }

  close(): Promise<void> {
    return this.storage.close();
  }
}
