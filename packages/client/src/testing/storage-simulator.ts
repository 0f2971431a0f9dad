import { HoldfastError } from '../mutation/holdfast-error.ts';
import type { Durability, OpenStorage, Storage, StorageBatch } from '../ports/storage.ts';
import { memoryStorage } from '../storage/memory-storage.ts';
import type { SimulatedTime } from './simulated-time.ts';

export interface StorageSimulatorOptions {
  /** A `FakeClock`, or `realTime`. */
  readonly clock: SimulatedTime;
  /** What the store says of itself. @default 'strict', or what the store that is given says */
  readonly durability?: Durability;
  /** A real store that the faults come before. Its commits are not kept. @default a store in memory that outlives the app */
  readonly open?: OpenStorage;
}

export interface FailingWrites {
  /** Writes that still succeed before the first that fails. @default 0 */
  readonly afterCount?: number;
  /** Writes that fail. @default 1 */
  readonly count?: number;
}

/** A disk that outlives the app, and that can be full, slow, broken, or the last thing that a crash lets through. */
export class StorageSimulator {
  /** Batches that were committed, oldest first. */
  readonly commits: StorageBatch[] = [];
  /** Refuses the batches it says true for, with `STORAGE_FULL`. */
  isFull: (batch: StorageBatch) => boolean = () => false;
  /** Refuses to read what it says true for, with `STORAGE_FAILED`: by key, a scan by its prefix. */
  isUnreadable: (key: string) => boolean = () => false;
  /** How long each call takes. */
  delayMs = 0;
  /** Called when the app dies at a write. */
  onCrash: () => void = () => {};
  private readonly clock: SimulatedTime;
  private readonly durability: Durability | undefined;
  private readonly openStore: OpenStorage;
  private readonly keepsCommits: boolean;
  private failing: { afterCount: number; count: number } | null = null;
  private crash: { afterCount: number; readonly when: 'before' | 'after' } | null = null;
  private readonly names = new Set<string>();

  constructor({ clock, durability, open }: StorageSimulatorOptions) {
    this.clock = clock;
    this.durability = durability ?? (open === undefined ? 'strict' : undefined);
    this.openStore = open ?? memoryStorage();
    this.keepsCommits = open === undefined;
  }

  /** From now on nothing can be stored any more, or everything again. */
  setFull(isFull: boolean): void {
    this.isFull = () => isFull;
  }

  /** Each call takes this long, in milliseconds. */
  setSlow(delayMs: number): void {
    this.delayMs = delayMs;
  }

  /** Writes fail with `STORAGE_FAILED`, and nothing of them is stored. */
  failWrites({ afterCount = 0, count = 1 }: FailingWrites = {}): void {
    this.failing = { afterCount, count };
  }

  /**
   * The app dies at a write, counted from now (1 is the next one): just `before` it, so that it is not stored, or just
   * `after` it, so that it is stored and nobody was told.
   */
  crashAtWrite(writeNumber: number, when: 'before' | 'after'): void {
    this.crash = { afterCount: writeNumber - 1, when };
  }

  readonly open: OpenStorage = async (name) => {
    await this.clock.delay(this.delayMs);
    this.names.add(name);
    const storage = await this.openStore(name);
    const call = async <Result>(work: () => Promise<Result>): Promise<Result> => {
      await this.clock.delay(this.delayMs);
      return work();
    };
    return {
      durability: this.durability ?? storage.durability,
      commit: (batch) => call(() => this.commit(storage, batch)),
      read: (keys) => call(() => this.readable(keys, () => storage.read(keys))),
      scan: (query) => call(() => this.readable([query.prefix], () => storage.scan(query))),
      estimate: () => storage.estimate(),
      close: () => storage.close(),
    };
  };

  /** Every record of every store, as it stands: name of the store → key → text. */
  async dump(): Promise<Record<string, Record<string, string>>> {
    const dumps: Record<string, Record<string, string>> = {};
    for (const name of this.names) {
      const entries = await (await this.openStore(name)).scan({ prefix: '', limit: Number.MAX_SAFE_INTEGER });
      dumps[name] = Object.fromEntries(entries.map(({ key, value }) => [key, value]));
    }
    return dumps;
  }

  /** Changes what stands in the stores behind the app's back: gets each text with its key, and returns it changed (null deletes). */
  async rewrite(change: (text: string, key: string) => string | null): Promise<void> {
    for (const [name, texts] of Object.entries(await this.dump())) {
      const storage = await this.openStore(name);
      for (const [key, text] of Object.entries(texts)) {
        const value = change(text, key);
        if (value === text) continue;
        await storage.commit({
          expect: [],
          changes: [value === null ? { kind: 'delete', key } : { kind: 'put', key, value }],
        });
      }
    }
  }

  private async commit(storage: Storage, batch: StorageBatch): ReturnType<Storage['commit']> {
    if (this.isFull(batch)) throw storageError('STORAGE_FULL', 'Not stored: no room.', 'Free space.');
    if (this.isFailing()) {
      throw storageError('STORAGE_FAILED', 'Not stored: the simulated disk failed.', 'Try again.');
    }
    const when = this.dies();
    if (when === 'before') return this.die();
    const result = await storage.commit(batch);
    if (result.kind === 'committed' && this.keepsCommits) this.commits.push(batch);
    return when === 'after' ? this.die() : result;
  }

  private async readable<Result>(keys: readonly string[], read: () => Promise<Result>): Promise<Result> {
    if (!keys.some((key) => this.isUnreadable(key))) return read();
    throw storageError('STORAGE_FAILED', 'Not read: the simulated disk failed.', 'Try again.');
  }

  private isFailing(): boolean {
    const { failing } = this;
    if (failing === null) return false;
    if (failing.afterCount > 0) {
      failing.afterCount -= 1;
      return false;
    }
    failing.count -= 1;
    if (failing.count <= 0) this.failing = null;
    return true;
  }

  private dies(): 'before' | 'after' | null {
    const { crash } = this;
    if (crash === null) return null;
    if (crash.afterCount > 0) {
      crash.afterCount -= 1;
      return null;
    }
    this.crash = null;
    return crash.when;
  }

  private die(): Promise<never> {
    this.onCrash();
    return new Promise(() => {});
  }
}

function storageError(code: 'STORAGE_FULL' | 'STORAGE_FAILED', message: string, hint: string): HoldfastError {
  return new HoldfastError({ code, message, hint });
}
