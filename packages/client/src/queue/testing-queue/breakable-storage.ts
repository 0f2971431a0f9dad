import { HoldfastError } from '../../mutation/holdfast-error.ts';
import type { OpenStorage, Storage } from '../../ports/storage.ts';
import type { StoragePointer } from '../../ports/storage-pointer.ts';
import { memoryStorage } from '../../storage/memory-storage.ts';

/** Stores whose connections die as those of a browser do: a dead one never works again, a new one may. */
export class BreakableStorage implements StoragePointer {
  /** Names that cannot be opened now. */
  readonly closed = new Set<string>();
  /** Reads work, and every commit fails. */
  isReadOnly = false;
  /** The next commits are stored, and reported as failed, with their connection dead. */
  unheardCount = 0;
  openCount = 0;
  /** Calls that were made on a dead connection after it had failed once. */
  deadCallCount = 0;
  private readonly openMemory = memoryStorage();
  private readonly values = new Map<string, string>();
  private handles: { isDead: boolean; isKnown: boolean }[] = [];
  private readonly names = new Set<string>();

  read(name: string): string | null {
    return this.values.get(name) ?? null;
  }

  write(name: string, value: string): void {
    this.values.set(name, value);
  }

  /** Every connection that is open now is dead. */
  killAll(): void {
    for (const handle of this.handles) handle.isDead = true;
  }

  /** Nothing of what there is can be opened any more, until `mend`. */
  breakAll(): void {
    this.killAll();
    for (const name of this.names) this.closed.add(name);
  }

  mend(): void {
    this.closed.clear();
  }

  get openNames(): readonly string[] {
    return [...this.names];
  }

  /** Whether another database can be made. */
  canOpenMore = true;

  readonly open: OpenStorage = async (name) => {
    this.openCount += 1;
    if (this.closed.has(name) || (!this.canOpenMore && !this.names.has(name))) throw failed('STORAGE_UNAVAILABLE');
    this.names.add(name);
    const storage = await this.openMemory(name);
    const handle = { isDead: false, isKnown: false };
    this.handles.push(handle);
    const check = (): void => {
      if (!handle.isDead) return;
      if (handle.isKnown) this.deadCallCount += 1;
      handle.isKnown = true;
      throw failed('STORAGE_FAILED');
    };
    return {
      durability: 'strict',
      commit: async (batch) => {
        check();
        if (this.isReadOnly) throw failed('STORAGE_FAILED');
        const result = await storage.commit(batch);
        if (this.unheardCount === 0) return result;
        this.unheardCount -= 1;
        handle.isDead = true;
        handle.isKnown = true;
        throw failed('STORAGE_FAILED');
      },
      read: async (keys) => {
        check();
        return storage.read(keys);
      },
      scan: async (query) => {
        check();
        return storage.scan(query);
      },
      estimate: () => storage.estimate(),
      close: () => storage.close(),
    } satisfies Storage;
  };
}

function failed(code: 'STORAGE_FAILED' | 'STORAGE_UNAVAILABLE'): HoldfastError {
  return new HoldfastError({ code, message: 'The connection to the database is lost.', hint: 'Reload.' });
}
