import type { AnyMutationDefinition, MutationInput } from '../../mutation/definition.ts';
import { HoldfastError, invalidOption, toHoldfastError } from '../../mutation/holdfast-error.ts';
import type { MutationQueue } from '../mutation-queue.ts';
import type { Settled } from '../queue-events.ts';

/**
 * - `storing`: rows are being made durable on this device, and are delivered meanwhile.
 * - `waitingForRoom`: the queue is full; it goes on as the server confirms.
 * - `delivering`: all are stored.
 * - `done`: all are settled. `cancelled`: someone has stopped it.
 */
export type BulkState = 'storing' | 'waitingForRoom' | 'delivering' | 'done' | 'cancelled';

/** How far a bulk operation is. */
export interface BulkProgress {
  readonly state: BulkState;
  readonly totalCount: number;
  /** Durable on this device. */
  readonly storedCount: number;
  readonly confirmedCount: number;
  /** Not stored, or refused by the server; see `BulkReport.failures`. */
  readonly failedCount: number;
  /** Taken back, or never stored, because someone has stopped it. */
  readonly cancelledCount: number;
  /** Settled one way or the other, of all: 0 to 1. */
  readonly doneShare: number;
}

/** One that did not work. */
export interface BulkFailure<Input> {
  /** Of the input, from 0. */
  readonly index: number;
  readonly input: Input;
  /** Of its dead letter; null when it was not stored. */
  readonly id: string | null;
  readonly error: HoldfastError;
}

export interface BulkReport<Input> extends BulkProgress {
  /** In the order of the inputs. */
  readonly failures: readonly BulkFailure<Input>[];
  /** Neither settled nor taken back when it was stopped: they may have been sent, and settle by themselves. */
  readonly underWayCount: number;
}

export interface BulkOptions {
  /** Stored together in one go, and then looked at again whether to go on. @default 100 */
  readonly chunkCount?: number;
  /** Aborting is the same as `cancel()`. */
  readonly signal?: AbortSignal;
}

/** Many mutations as one piece of work; see `addMany`. */
export class BulkRun<Input> {
  /** What became of them, when all are settled or someone has stopped it. Never rejects. */
  readonly done: Promise<BulkReport<Input>>;
  private readonly queue: MutationQueue<readonly AnyMutationDefinition[]>;
  private readonly inputs: readonly Input[];
  private readonly chunkCount: number;
  private readonly listeners = new Set<() => void>();
  private readonly failures = new Map<number, BulkFailure<Input>>();
  /** Stored and without a verdict: index of the input by id. */
  private readonly open = new Map<string, number[]>();
  private state: BulkState = 'storing';
  private storedCount = 0;
  private confirmedCount = 0;
  private cancelledCount = 0;
  private isTellDue = false;
  /** What is being stored at the moment. Never rejects. */
  private adding: Promise<readonly (number | null)[]> = Promise.resolve([]);
  private snapshot: BulkProgress;
  private finish: (report: BulkReport<Input>) => void = () => {};
  private readonly stopListening: () => void;

  constructor(
    queue: MutationQueue<readonly AnyMutationDefinition[]>,
    inputs: readonly Input[],
    { chunkCount = 100, signal }: BulkOptions,
  ) {
    if (!(Number.isSafeInteger(chunkCount) && chunkCount > 0)) throw invalidChunk(chunkCount);
    this.queue = queue;
    this.inputs = inputs;
    this.chunkCount = chunkCount;
    this.snapshot = this.look();
    this.done = new Promise((resolve) => {
      this.finish = resolve;
    });
    this.stopListening = queue.on('settled', (settled) => this.settled(settled));
    const stop = (): void => void this.cancel();
    signal?.addEventListener('abort', stop, { once: true });
    void this.done.then(() => signal?.removeEventListener('abort', stop));
    if (signal?.aborted === true) stop();
    else void this.store();
  }

  getSnapshot = (): BulkProgress => this.snapshot;

  subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => {
      this.listeners.delete(listener);
    };
  };

  /** Stores no more, and takes back what surely was never sent. What may have been sent settles by itself. */
  cancel = async (): Promise<void> => {
    if (this.isOver) return;
    this.state = 'cancelled';
    this.tellNow();
    // Before that it is not known what there is to take back.
    await this.adding;
    const isOurs = ({ id, status }: { readonly id: string; readonly status: string }): boolean =>
      this.open.has(id) && status === 'pending';
    try {
      await this.queue.clear({ where: isOurs }, { reason: 'A bulk operation was stopped' });
    } catch (error) {
      this.queue.report(error);
    }
    this.cancelledCount +=
      this.inputs.length - this.storedCount - [...this.failures.values()].filter(isNotStored).length;
    this.end();
  };

  private get isOver(): boolean {
    return this.state === 'cancelled' || this.state === 'done';
  }

  private async store(): Promise<void> {
    let waiting = this.inputs.map((_, index) => index);
    while (waiting.length > 0 && !this.isOver) {
      const chunk = waiting.slice(0, this.chunkCount);
      this.adding = Promise.all(chunk.map((index) => this.add(index)));
      const full = (await this.adding).flatMap((index) => index ?? []);
      waiting = [...full, ...waiting.slice(this.chunkCount)];
      if (full.length > 0 && !this.isOver) await this.untilRoom();
    }
    if (this.isOver) return;
    this.state = 'delivering';
    this.tell();
    this.endIfSettled();
  }

  /** The index again, when the queue has no room for it. */
  private async add(index: number): Promise<number | null> {
    const input = this.inputs[index] as Input;
    try {
      // The inputs are of the queue's own types: `addMany` takes no others.
      const { id, settled } = await this.queue.add(input as Parameters<typeof this.queue.add>[0]);
      this.storedCount += 1;
      const same = this.open.get(id);
      if (same === undefined) {
        this.open.set(id, [index]);
        // Told by an event as a rule; it may have settled before this was known to be ours.
        void settled.then((verdict) => this.settled(verdict));
      } else same.push(index);
    } catch (cause) {
      const error = toHoldfastError(cause);
      if (error.code === 'QUEUE_FULL') return index;
      this.failures.set(index, { index, input, id: null, error });
    }
    this.tell();
    return null;
  }

  private async untilRoom(): Promise<void> {
    this.state = 'waitingForRoom';
    this.tell();
    await new Promise<void>((resolve) => {
      const full = this.queue.getSnapshot().pendingCount;
      const stops = [
        this.queue.subscribe(() => {
          if (this.queue.getSnapshot().pendingCount < full) end();
        }),
        this.subscribe(() => {
          if (this.isOver) end();
        }),
      ];
      const end = (): void => {
        for (const stop of stops) stop();
        resolve();
      };
      if (this.queue.getSnapshot().pendingCount === 0) end();
    });
    if (!this.isOver) this.state = 'storing';
  }

  private settled(settled: Settled): void {
    const indexes = this.open.get(settled.id);
    if (indexes === undefined) return;
    this.open.delete(settled.id);
    if (settled.status === 'completed') this.confirmedCount += indexes.length;
    else if (settled.status === 'cancelled') this.cancelledCount += indexes.length;
    else {
      const error = new HoldfastError(settled.error);
      for (const index of indexes)
        this.failures.set(index, { index, input: this.inputs[index] as Input, id: settled.id, error });
    }
    this.tell();
    this.endIfSettled();
  }

  private endIfSettled(): void {
    if (this.state !== 'delivering' || this.open.size > 0) return;
    this.state = 'done';
    this.end();
  }

  private end(): void {
    this.stopListening();
    this.tellNow();
    const failures = [...this.failures.values()].sort((a, b) => a.index - b.index);
    const underWayCount = [...this.open.values()].reduce((sum, indexes) => sum + indexes.length, 0);
    this.finish({ ...this.snapshot, failures, underWayCount });
  }

  private look(): BulkProgress {
    const { storedCount, confirmedCount, cancelledCount, state } = this;
    const totalCount = this.inputs.length;
    const failedCount = this.failures.size;
    const doneCount = confirmedCount + failedCount + cancelledCount;
    const doneShare = totalCount === 0 ? 1 : doneCount / totalCount;
    return { state, totalCount, storedCount, confirmedCount, failedCount, cancelledCount, doneShare };
  }

  /** Once for all that happens together. */
  private tell(): void {
    if (this.isTellDue) return;
    this.isTellDue = true;
    void Promise.resolve().then(() => this.tellNow());
  }

  private tellNow(): void {
    this.isTellDue = false;
    this.snapshot = this.look();
    for (const listener of [...this.listeners]) listener();
  }
}

/**
 * Adds many mutations, thousands of them, as one piece of work with progress, a report of what failed, and a way to stop it. They are
 * stored in chunks and delivered meanwhile; when the queue is full it waits for room. Each takes effect by itself: what is stored
 * stays stored when the app ends, and what was not yet stored is not.
 *
 * ```ts
 * const run = addMany(queue, ids.map((id) => ({ type: 'account.archive', payload: { id } })));
 * const { confirmedCount, failures } = await run.done;
 * ```
 */
export function addMany<Definitions extends readonly AnyMutationDefinition[]>(
  queue: MutationQueue<Definitions>,
  inputs: readonly MutationInput<NoInfer<Definitions>[number]>[],
  options: BulkOptions = {},
): BulkRun<MutationInput<Definitions[number]>> {
  return new BulkRun(queue as unknown as MutationQueue<readonly AnyMutationDefinition[]>, inputs, options);
}

function isNotStored({ id }: { readonly id: string | null }): boolean {
  return id === null;
}

function invalidChunk(chunkCount: number): HoldfastError {
  return invalidOption('chunkCount', `addMany: \`chunkCount\` must be a whole number above 0; it is ${chunkCount}.`);
}
