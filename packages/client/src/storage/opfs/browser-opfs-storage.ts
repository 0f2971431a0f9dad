import { HoldfastError, toHoldfastError } from '../../mutation/holdfast-error.ts';
import type { CommitResult, Entry, OpenStorage, ScanQuery, Storage, StorageBatch } from '../../ports/storage.ts';
import { Turns } from '../turns.ts';
import { hasLogFiles } from './browser-log-files.ts';
import { LogHold } from './browser-log-hold.ts';
import type { RecordLog } from './record-log.ts';

/**
 * Keeps records in an append-only log in the browser's private file system (OPFS), one log a name. Works in a worker only: a
 * page has it by `workerStorage`. Calls made together share one write; a commit resolves when it has been flushed. Tabs share
 * a log in turns. Rejects with `STORAGE_UNAVAILABLE` where the platform has no such files.
 */
export function opfsStorage(): OpenStorage {
  return async (name) => {
    if (!hasLogFiles()) throw unavailable(null);
    const hold = new LogHold(name);
    try {
      await hold.with(() => {});
    } catch (error) {
      hold.close();
      throw error instanceof HoldfastError ? error : unavailable(error);
    }
    return new OpfsStorage(hold);
  };
}

/** What was asked for, and waits for the next turn. */
interface Waiting {
  /** Null for one that only reads. */
  readonly batch: StorageBatch | null;
  /** With what became of the batch. */
  readonly finish: (log: RecordLog, result: CommitResult | null) => void;
  readonly reject: (error: HoldfastError) => void;
}

class OpfsStorage implements Storage {
  readonly durability = 'strict';
  private readonly hold: LogHold;
  private readonly turns: Turns<Waiting>;
  private isClosed = false;

  constructor(hold: LogHold) {
    this.hold = hold;
    this.turns = new Turns(async (group) => {
      try {
        await hold.with((log) => run(log, group));
      } catch (error) {
        for (const { reject } of group) reject(toHoldfastError(error));
      }
    });
  }

  commit(batch: StorageBatch): Promise<CommitResult> {
    return this.ask(batch, (_, result) => result ?? { kind: 'committed' });
  }

  read(keys: readonly string[]): Promise<readonly (string | null)[]> {
    return this.ask(null, (log) => log.values(keys));
  }

  scan(query: ScanQuery): Promise<readonly Entry[]> {
    return this.ask(null, (log) => log.scan(query));
  }

  async estimate(): ReturnType<Storage['estimate']> {
    try {
      const { usage = null, quota = null } = await navigator.storage.estimate();
      return { usedBytes: usage, quotaBytes: quota };
    } catch {
      return { usedBytes: null, quotaBytes: null };
    }
  }

  async close(): Promise<void> {
    this.isClosed = true;
    await this.turns.rest();
    this.hold.close();
  }

  private ask<Value>(
    batch: StorageBatch | null,
    take: (log: RecordLog, result: CommitResult | null) => Value,
  ): Promise<Value> {
    if (this.isClosed) return Promise.reject(closed());
    return new Promise((resolve, reject) => {
      this.turns.add({ batch, finish: (log, result) => resolve(take(log, result)), reject });
    });
  }
}

/** What is written is written first, all of it at once; what is read sees it. */
function run(log: RecordLog, group: readonly Waiting[]): void {
  const writing = group.flatMap(({ batch, ...rest }) => (batch === null ? [] : [{ batch, ...rest }]));
  try {
    const results = log.commit(writing.map(({ batch }) => batch));
    writing.forEach(({ finish }, index) => finish(log, results[index] ?? null));
  } catch (error) {
    if (toHoldfastError(error).code !== 'STORAGE_FULL') throw error;
    // What frees room, or is small, shall not wait for what is large.
    for (const { batch, finish, reject } of writing) {
      try {
        finish(log, log.commit([batch])[0] ?? null);
      } catch (cause) {
        reject(toHoldfastError(cause));
      }
    }
  }
  for (const { batch, finish } of group) if (batch === null) finish(log, null);
  try {
    if (log.wantsCompaction) log.compact();
    if (log.wantsCheckpoint(false)) log.checkpoint();
  } catch {
    // The log goes on as it is, and tries again when it has grown.
  }
}

function closed(): HoldfastError {
  return new HoldfastError({
    code: 'STORAGE_FAILED',
    message: 'Not done: the store is closed.',
    hint: 'Open the store again, or use the queue of the current login.',
  });
}

function unavailable(cause: unknown): HoldfastError {
  return new HoldfastError({
    code: 'STORAGE_UNAVAILABLE',
    message:
      cause === null
        ? 'There are no files here to keep records in: this is no worker, or the browser has none.'
        : `The browser could not open its files (${cause instanceof Error ? cause.message : 'unknown'}).`,
    hint: 'Open it in a worker (`serveStorage(opfsStorage())`), and `indexedDbStorage()` where there is no OPFS.',
    cause: cause ?? undefined,
  });
}
