import { HoldfastError } from '../../mutation/holdfast-error.ts';
import type {
  CommitResult,
  Durability,
  Entry,
  OpenStorage,
  ScanQuery,
  Storage,
  StorageBatch,
} from '../../ports/storage.ts';
import { Turns } from '../turns.ts';
import type { FromWorker, StorageAnswer, StorageCall, ToWorker } from './worker-message.ts';

export interface WorkerStorageOptions {
  /** Starts the worker: a module whose only work is `serveStorage(…)`. Each store that is opened has a worker of its own. */
  readonly worker: () => Worker;
}

/** Longest wait for the worker to open the log, in milliseconds: its script may not load. */
const OPEN_TIMEOUT_MS = 15_000;

/**
 * A store that lives in a worker: `opfsStorage` and SQLite on OPFS can only be there, and any other may. What is asked while the
 * worker is busy goes to it together.
 */
export function workerStorage({ worker }: WorkerStorageOptions): OpenStorage {
  return async (name) => {
    const storage = new StorageInWorker(name, worker);
    await storage.start();
    return storage;
  };
}

interface Waiting {
  readonly call: StorageCall;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: HoldfastError) => void;
}

/** The page's end. One group of calls is with the worker; what comes meanwhile is the next group. */
class StorageInWorker implements Storage {
  durability: Durability = 'volatile';
  private readonly name: string;
  private readonly startWorker: () => Worker;
  private worker: Promise<Worker> | null = null;
  private rejectAnswers: (error: HoldfastError) => void = () => {};
  private readonly turns = new Turns<Waiting>((group) => this.run(group));
  private isClosed = false;

  constructor(name: string, startWorker: () => Worker) {
    this.name = name;
    this.startWorker = startWorker;
  }

  /** The worker, started anew when the last one has died. */
  start(): Promise<Worker> {
    this.worker ??= this.open().catch((error: unknown) => {
      this.worker = null;
      throw error;
    });
    return this.worker;
  }

  commit(batch: StorageBatch): Promise<CommitResult> {
    return this.ask({ kind: 'commit', batch });
  }

  read(keys: readonly string[]): Promise<readonly (string | null)[]> {
    return this.ask({ kind: 'read', keys });
  }

  scan(query: ScanQuery): Promise<readonly Entry[]> {
    return this.ask({ kind: 'scan', query });
  }

  estimate(): ReturnType<Storage['estimate']> {
    return this.ask({ kind: 'estimate' });
  }

  async close(): Promise<void> {
    if (this.isClosed) return;
    this.isClosed = true;
    await this.turns.rest();
    const worker = await this.worker?.catch(() => null);
    this.worker = null;
    if (worker === null || worker === undefined) return;
    await new Promise<void>((resolve) => {
      listen(worker, (message) => {
        if (message.kind === 'closed') resolve();
      });
      worker.onerror = () => resolve();
      tell(worker, { kind: 'close' });
    });
    worker.terminate();
  }

  private async open(): Promise<Worker> {
    const { worker, durability } = await openWorker(this.startWorker, this.name, () => this.onDeath());
    this.durability = durability;
    return worker;
  }

  private ask<Value>(call: StorageCall): Promise<Value> {
    if (this.isClosed) return Promise.reject(failed('Not done: the store is closed.', null));
    return new Promise<Value>((resolve, reject) => {
      this.turns.add({ call, resolve: (value) => resolve(value as Value), reject });
    });
  }

  private async run(group: readonly Waiting[]): Promise<void> {
    try {
      const worker = await this.start();
      const answers = await this.answersOf(worker, group);
      group.forEach(({ resolve, reject }, index) => {
        const answer = answers[index];
        if (answer?.kind === 'done') resolve(answer.value);
        else reject(answer === undefined ? failed('No answer.', null) : new HoldfastError(answer.error));
      });
    } catch (error) {
      const known = error instanceof HoldfastError ? error : failed('The worker of the store failed.', error);
      for (const { reject } of group) reject(known);
    }
  }

  private answersOf(worker: Worker, asked: readonly Waiting[]): Promise<readonly StorageAnswer[]> {
    return new Promise((resolve, reject) => {
      this.rejectAnswers = reject;
      listen(worker, (message) => {
        if (message.kind === 'answers') resolve(message.answers);
      });
      tell(worker, { kind: 'run', calls: asked.map(({ call }) => call) });
    });
  }

  private onDeath(): void {
    this.worker = null;
    this.rejectAnswers(failed('The worker of the store ended; whether this was stored is not known.', null));
  }
}

function openWorker(
  start: () => Worker,
  name: string,
  onDeath: () => void,
): Promise<{ readonly worker: Worker; readonly durability: Durability }> {
  return new Promise((resolve, reject) => {
    let worker: Worker;
    try {
      worker = start();
    } catch (cause) {
      reject(unavailable(cause));
      return;
    }
    const refuse = (error: HoldfastError): void => {
      clearTimeout(timer);
      worker.terminate();
      reject(error);
    };
    const timer = setTimeout(() => refuse(unavailable(null)), OPEN_TIMEOUT_MS);
    worker.onerror = (event) => {
      event.preventDefault();
      refuse(unavailable(event.message));
    };
    listen(worker, (message) => {
      if (message.kind === 'notOpened') refuse(new HoldfastError(message.error));
      if (message.kind !== 'opened') return;
      clearTimeout(timer);
      worker.onerror = (event) => {
        event.preventDefault();
        worker.terminate();
        onDeath();
      };
      resolve({ worker, durability: message.durability });
    });
    tell(worker, { kind: 'open', name });
  });
}

function listen(worker: Worker, listener: (message: FromWorker) => void): void {
  // From our own worker.
  worker.onmessage = ({ data }: MessageEvent<FromWorker>) => listener(data);
}

function tell(worker: Worker, message: ToWorker): void {
  worker.postMessage(message);
}

function failed(message: string, cause: unknown): HoldfastError {
  return new HoldfastError({
    code: 'STORAGE_FAILED',
    message,
    hint: 'Try again; if it lasts, reload.',
    cause: cause ?? undefined,
  });
}

function unavailable(cause: unknown): HoldfastError {
  return new HoldfastError({
    code: 'STORAGE_UNAVAILABLE',
    message: 'The worker that keeps the records did not start.',
    hint: 'Check that the script of `workerStorage({ worker })` loads, and calls `serveStorage`.',
    cause: cause ?? undefined,
  });
}
