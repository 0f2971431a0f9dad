import type { Engine } from '../engine/engine.ts';
import type { Settlement, WaitingFor } from '../engine/engine-io.ts';
import type { Entry } from '../engine/entry.ts';
import type { AnyMutationDefinition, MutationInput, MutationOptions } from '../mutation/definition.ts';
import { errorFromWire, HoldfastError, toHoldfastError } from '../mutation/holdfast-error.ts';
import type { CompletedRecord, DeadLetter } from '../mutation/record.ts';
import { NetworkMonitor } from '../network/network-monitor.ts';
import type { Durability } from '../ports/storage.ts';
import type { JsonObject, WireError } from '../protocol/wire.ts';
import { Emitter } from '../telemetry/emitter.ts';
import type { CancelAnswer } from './ask-leader.ts';
import { GroupCommit } from './group-commit.ts';
import {
  type Explanation,
  type MutationStatus,
  statusOfCompleted,
  statusOfEntry,
  WAITING_ADVICE,
} from './mutation-status.ts';
import { type Identity, type QueueOptions, type ResolvedOptions, resolveOptions, retryRulesOf } from './options.ts';
import { prepareMutation } from './prepare-mutation.ts';
import type { QueueEvents, Settled } from './queue-events.ts';
import { QueueStore } from './queue-store.ts';
import { Runner } from './runner.ts';

/** What `add` resolves to, once the mutation is durable. */
export interface MutationHandle {
  readonly id: string;
  /** What it survives from now on, as the store gave it. */
  readonly durability: Durability;
  /** The server's verdict, however long it takes. Never rejects. */
  readonly settled: Promise<Settled>;
  /** Takes it back if it cannot have been sent; see `MutationQueue.cancel`. */
  readonly cancel: () => Promise<CancelAnswer>;
}

/** The queue at a glance. The object stays the same until something in it changes. */
export interface QueueSnapshot {
  /** False until what is stored on this device has been read. */
  readonly isReady: boolean;
  readonly pendingCount: number;
  /** Of the pending ones, those on their way. */
  readonly processingCount: number;
  /** Dead letters. */
  readonly failedCount: number;
  readonly isPaused: boolean;
  /** Whether this tab is the one that delivers. */
  readonly isLeader: boolean;
  /** What stops everything, if anything does. */
  readonly waitingFor: WaitingFor;
  readonly error: WireError | null;
}

/** Counts and summaries for a status page. */
export interface QueueStatus {
  readonly totalMutations: number;
  readonly pendingMutations: readonly MutationStatus[];
  readonly processingMutations: readonly MutationStatus[];
  readonly failedMutations: readonly MutationStatus[];
  readonly counts: {
    readonly pending: number;
    readonly processing: number;
    readonly completed: number;
    readonly failed: number;
  };
  /** Retries that pending mutations and dead letters on this page have used. */
  readonly retryCount: number;
  readonly isPaused: boolean;
  readonly isProcessing: boolean;
  /** Null when nothing is pending. */
  readonly oldestPendingAgeMs: number | null;
  /** Payloads of what is pending. */
  readonly sizeBytes: number;
}

export interface DrainResult {
  readonly succeeded: number;
  readonly failed: number;
  readonly total: number;
}

/** What `resume` came to: something is on its way, nothing is due, or what still stops it. */
export type ResumeResult =
  | { readonly kind: 'processing' }
  | { readonly kind: 'nothingDue' }
  | { readonly kind: 'waiting'; readonly waitingFor: WaitingFor };

/** What is on its way when the queue is paused is given this long to end, in milliseconds. */
const PAUSE_GRACE_MS = 5_000;
/** History of confirmed mutations is kept this long, in milliseconds. */
const HISTORY_MS = 7 * 24 * 3_600_000;
/** Confirmed mutations that stay in memory, for status and hooks. */
const RECENT_COUNT = 200;
/** Summaries on one page of `getStatus`. */
const PAGE_COUNT = 100;

type Listeners = { readonly [Name in keyof QueueEvents]: Emitter<QueueEvents[Name]> };

/**
 * A durable queue of mutations, made by `createQueue`. One queue belongs to one login; close it when the login ends, and
 * open another for the next one: what the first has not sent stays on the device for when they are back.
 */
export class MutationQueue<Definitions extends readonly AnyMutationDefinition[] = readonly AnyMutationDefinition[]> {
  readonly identity: Identity;
  readonly network: NetworkMonitor;
  readonly definitions: ReadonlyMap<string, AnyMutationDefinition>;
  private readonly options: ResolvedOptions;
  private readonly listeners: Listeners;
  private runner: Runner | null = null;
  private store: QueueStore | null = null;
  private readonly commits: GroupCommit;
  private snapshot: QueueSnapshot;
  private opening: Promise<void>;
  private isRead = false;
  private isClosed = false;
  private readonly waiters = new Map<string, ((settled: Settled) => void)[]>();
  /** The latest confirmed ones, oldest first. */
  private readonly recent = new Map<string, { readonly record: CompletedRecord; isObserved: boolean }>();
  private readonly onRetries = new Map<string, NonNullable<MutationOptions['onRetry']>>();
  /** On their way into the store, and not counted by the engine yet. */
  private adding = { count: 0, bytes: 0 };
  /** Grows with every change, so that lists can be cached. */
  version = 0;

  constructor(options: QueueOptions<Definitions>) {
    this.options = resolveOptions(options);
    this.identity = this.options.identity;
    this.definitions = this.options.definitions;
    const onThrow = (error: unknown): void => this.fail(toHoldfastError(error));
    this.listeners = {
      stored: new Emitter(onThrow),
      settled: new Emitter(onThrow),
      retryComplete: new Emitter(onThrow),
      // A listener for errors that throws has nobody left to tell.
      error: new Emitter(() => {}),
      change: new Emitter(onThrow),
      progress: new Emitter(onThrow),
    };
    this.network = new NetworkMonitor(this.options.network, this.options.clock, onThrow);
    this.snapshot = snapshotOf(null, false);
    this.opening = this.open();
    this.commits = new GroupCommit(
      async () => (await this.opened()).store,
      (headers) => this.runner?.added(headers),
    );
    // Whoever awaits `ready` or `add` is told; nobody has to.
    this.opening.catch(() => {});
  }

  /** Resolves once what is stored on this device has been read; rejects when the store cannot be opened. */
  get ready(): Promise<void> {
    return this.opening;
  }

  /**
   * Makes a mutation durable on this device, and resolves when it is. Delivery follows by itself.
   * Rejects with a `HoldfastError`, and then nothing is stored: `UNDECLARED_TYPE`, `INVALID_PAYLOAD`, `PAYLOAD_NOT_JSON`,
   * `PAYLOAD_TOO_LARGE`, `INVALID_OPTION`, `QUEUE_FULL`, `PARENT_FAILED`, `UNKNOWN_MUTATION`, `STORAGE_FULL`, `STORAGE_UNAVAILABLE`, `STORAGE_FAILED`, `QUEUE_CLOSED`.
   */
  async add(input: MutationInput<Definitions[number]>): Promise<MutationHandle> {
    const { clock, newId } = this.options;
    const wallMs = clock.wallMs();
    const id = newId(wallMs);
    let payload: JsonObject = {};
    let durability: Durability = 'volatile';
    let release = (): void => {};
    // The place in the order of calls is taken here, before anything is awaited.
    const { seq } = await this.commits
      .add(async () => {
        const prepared = await prepareMutation(this.definitions, input, { id, wallMs });
        ({ durability } = (await this.opened()).store);
        const dependsOn = await this.openParentsOf(prepared.header.dependsOn);
        release = this.claimRoom(prepared.header.payloadBytes);
        payload = prepared.payload;
        return { ...prepared, header: { ...prepared.header, dependsOn } };
      })
      .finally(() => release());
    this.listeners.stored.emit({ id, seq, type: input.type, payload });
    if (input.onRetry !== undefined) this.onRetries.set(id, input.onRetry);
    return { id, durability, settled: this.verdictOn(id), cancel: () => this.cancel(id) };
  }

  /**
   * Takes a mutation back. `cancelled`: it is gone and never was sent. `tooLate`: it may have been sent, or is settled.
   * `unknown`: this device does not know it, or the tab that delivers did not answer; it may be sent, or not.
   */
  async cancel(id: string): Promise<CancelAnswer> {
    const { runner } = await this.opened();
    return runner.cancel(id);
  }

  /** The verdict on a mutation by its id: also after a restart, and from any tab. Rejects with `UNKNOWN_MUTATION`. */
  async settled(id: string): Promise<Settled> {
    const { runner, store } = await this.opened();
    // What another tab has added, or this one behind it, is in memory only once this tab has looked for it.
    if (runner.engine.mutations.get(id) === undefined && !this.recent.has(id)) await runner.watch.catchUp();
    const entry = runner.engine.mutations.get(id);
    if (entry?.phase.kind === 'failed') return { status: 'failed', id, error: entry.phase.error };
    if (entry !== undefined) return new Promise((resolve) => this.waitFor(id, resolve));
    if (this.recent.has(id) || (await store.completed(id)) !== null)
      return { status: 'completed', id, result: null, wasRepeat: true };
    if (await store.wasDiscarded(id)) return { status: 'cancelled', id };
    throw unknownMutation(id);
  }

  subscribe(listener: () => void): () => void {
    return this.listeners.change.on(listener);
  }

  getSnapshot(): QueueSnapshot {
    return this.snapshot;
  }

  /** Calls back for each event of the name; returns an unsubscribe. A listener that throws harms nothing. */
  on<Name extends keyof QueueEvents>(name: Name, listener: (event: QueueEvents[Name]) => void): () => void {
    return this.listeners[name].on(listener);
  }

  onRetryComplete(listener: (event: QueueEvents['retryComplete']) => void): () => void {
    return this.on('retryComplete', listener);
  }

  onError(listener: (error: HoldfastError) => void): () => void {
    return this.on('error', listener);
  }

  onQueueChange(listener: (snapshot: QueueSnapshot) => void): () => void {
    return this.on('change', () => listener(this.snapshot));
  }

  onProgress(listener: (event: QueueEvents['progress']) => void): () => void {
    return this.on('progress', listener);
  }

  /** Where a mutation stands; undefined for an id that this device does not know (any more). */
  async getMutationStatus(id: string): Promise<MutationStatus | undefined> {
    const { runner, store } = await this.opened();
    const looks = [async () => {}, () => runner.watch.catchUp(), () => runner.watch.reconcile()];
    // What another tab has stored or settled is in memory only once this tab has looked for it: first a little, then all.
    for (const look of looks) {
      await look();
      const known = this.peekStatus(id);
      if (known !== undefined) return known;
      const record = await store.completed(id);
      if (record !== null) return statusOfCompleted(record, false);
      if (await store.wasDiscarded(id)) return undefined;
    }
    return undefined;
  }

  /** The same for mutations that are in memory: unconfirmed, or among the last confirmed. */
  peekStatus(id: string): MutationStatus | undefined {
    const entry = this.runner?.engine.mutations.get(id);
    if (entry !== undefined && this.runner !== null)
      return statusOfEntry(this.runner.engine, entry, this.runner.moment());
    const recent = this.recent.get(id);
    return recent === undefined ? undefined : statusOfCompleted(recent.record, recent.isObserved);
  }

  /** Why a mutation stands where it stands, and what to do. Rejects with `UNKNOWN_MUTATION`. */
  async explain(id: string): Promise<Explanation> {
    const status = await this.getMutationStatus(id);
    if (status === undefined) throw unknownMutation(id);
    const engine = this.runner?.engine;
    const entry = engine?.mutations.get(id);
    const head = entry === undefined ? undefined : engine?.mutations.schedule.lane(entry.header.lane)?.head;
    const whatToDo =
      status.status === 'failed'
        ? (status.lastError?.hint ?? 'Correct it and call `retry(id)`, or `discard(id)` it.')
        : WAITING_ADVICE[status.waitingFor];
    return {
      ...status,
      behindId: status.waitingFor === 'lane' ? (head?.header.id ?? null) : null,
      login: this.identity,
      whatToDo,
    };
  }

  /** Unconfirmed mutations, at most `limit` of them: dead letters first, then pending ones in the order they were added. */
  listUnconfirmed(limit: number = PAGE_COUNT): readonly MutationStatus[] {
    const { runner } = this;
    if (runner === null) return [];
    const moment = runner.moment();
    const { deadLetters } = runner.engine.mutations;
    const entries = firstOf(deadLetters, limit);
    entries.push(
      ...firstOf(runner.engine.mutations.all(), limit - entries.length, ({ phase }) => phase.kind !== 'failed'),
    );
    return entries.map((entry) => statusOfEntry(runner.engine, entry, moment));
  }

  /** The last confirmed ones, newest first, at most `limit` of them. */
  listRecentlyConfirmed(limit: number = PAGE_COUNT): readonly MutationStatus[] {
    return [...this.recent.values()]
      .slice(-limit)
      .reverse()
      .map(({ record, isObserved }) => statusOfCompleted(record, isObserved));
  }

  /** Exact counts, and summaries of the first 100 of each kind. */
  async getStatus(): Promise<QueueStatus> {
    const { runner, store } = await this.opened();
    const { mutations } = runner.engine;
    const moment = runner.moment();
    const summaries = (entries: readonly Entry[]): MutationStatus[] =>
      entries.map((entry) => statusOfEntry(runner.engine, entry, moment));
    const { pending, processing, failed } = mutations.counts;
    const page = {
      pending: summaries(
        firstOf(mutations.all(), Math.min(PAGE_COUNT, pending - processing), ({ phase }) => phase.kind === 'waiting'),
      ),
      processing: summaries(
        firstOf(mutations.all(), Math.min(PAGE_COUNT, processing), ({ phase }) => phase.kind === 'sending'),
      ),
      failed: summaries(firstOf(mutations.deadLetters, PAGE_COUNT)),
    };
    const completed = await store.completedCount();
    const oldest = mutations.oldestPending;
    return {
      totalMutations: pending + failed + completed,
      pendingMutations: page.pending,
      processingMutations: page.processing,
      failedMutations: page.failed,
      counts: { pending, processing, completed, failed },
      retryCount: [...page.pending, ...page.processing, ...page.failed].reduce(
        (sum, { attemptCount }) => sum + Math.max(0, attemptCount - 1),
        0,
      ),
      isPaused: runner.engine.gates.isPaused,
      isProcessing: processing > 0,
      oldestPendingAgeMs: oldest === undefined ? null : Math.max(0, moment.wallMs - oldest.header.createdAtMs),
      sizeBytes: mutations.counts.pendingBytes,
    };
  }

  /**
   * Stops sending, in every tab and after a restart too. What is on its way is let finish, and cut off after 5 s (it is
   * sent again later, and takes effect once). Resolves when nothing is on its way from this tab. Adding goes on.
   */
  async pause(): Promise<void> {
    const { runner, store } = await this.opened();
    await store.setPaused(this.options.clock.wallMs());
    runner.dispatch({ kind: 'paused' });
    runner.post({ kind: 'paused' });
    await runner.whenIdle(PAUSE_GRACE_MS);
  }

  /** Sends again, and says whether that has begun. */
  async resume(): Promise<ResumeResult> {
    const { runner, store } = await this.opened();
    await store.setPaused(null);
    runner.dispatch({ kind: 'resumed' });
    runner.post({ kind: 'resumed' });
    const { counts } = runner.engine.mutations;
    if (counts.processing > 0) return { kind: 'processing' };
    if (counts.pending === 0) return { kind: 'nothingDue' };
    const first = runner.engine.mutations.oldestPending;
    const waitingFor =
      first === undefined ? 'nothing' : runner.engine.waitingFor(first, runner.moment().nowMs).waitingFor;
    return { kind: 'waiting', waitingFor };
  }

  /**
   * Drains now: forgets backoffs, asks the server at once if the line was down, and resolves when all that is pending at
   * the call has settled, or when nothing can go on without something else happening (network, login, `resume`).
   */
  async process(onProgress?: (doneCount: number, totalCount: number) => void): Promise<DrainResult> {
    const { runner } = await this.opened();
    const open = new Set(
      [...runner.engine.mutations.all()].filter(({ phase }) => phase.kind !== 'failed').map(({ header }) => header.id),
    );
    const total = open.size;
    let succeeded = 0;
    let failed = 0;
    if (total === 0) return { succeeded, failed, total };
    return new Promise((resolve) => {
      const stops: (() => void)[] = [];
      const finish = (): void => {
        for (const stop of stops) stop();
        resolve({ succeeded, failed, total });
      };
      stops.push(
        this.on('settled', ({ id, status }) => {
          if (!open.delete(id)) return;
          if (status === 'completed') succeeded += 1;
          else failed += 1;
          onProgress?.(total - open.size, total);
          this.listeners.progress.emit({ doneCount: total - open.size, totalCount: total });
          if (open.size === 0) finish();
        }),
        this.on('change', () => {
          // What else this change brings, such as the last verdict, is still counted.
          if (!this.isDraining(runner)) void Promise.resolve().then(finish);
        }),
      );
      runner.post({ kind: 'nudge' });
      runner.dispatch({ kind: 'hint', hint: 'nudge' });
      if (!this.isDraining(runner)) finish();
    });
  }

  /** The same as `process`. */
  sync(onProgress?: (doneCount: number, totalCount: number) => void): Promise<DrainResult> {
    return this.process(onProgress);
  }

  /**
   * Builds this tab's part anew from what is stored, as a reload of the page would: what is on its way is called off and
   * sent again. Resolves when that is read; rejects when the store cannot be opened. Calls made meanwhile wait.
   */
  async restart(): Promise<void> {
    const { runner } = await this.opened();
    await this.commits.whenFlushed();
    this.isRead = false;
    this.opening = runner.close().then(() => this.open());
    await this.opening;
  }

  /** Tells the queue that the app has signed in again (the same user), so that it need not wait for its next try. */
  loginChanged(): void {
    this.runner?.dispatch({ kind: 'loginChanged' });
  }

  /** Sends a dead letter again, last in its lane. False when it is not a dead letter (any more). */
  async retry(id: string): Promise<boolean> {
    const { runner, store } = await this.opened();
    const deadLetter = deadLetterOf(runner.engine, id);
    const header = deadLetter === null ? null : await store.retry(deadLetter);
    if (header === null) return false;
    runner.added([header]);
    // Behind others that this tab has not looked at, it becomes known with them.
    // It is stored, whatever becomes of the look; that is reported and repeated elsewhere.
    if (runner.engine.mutations.get(id)?.header.seq !== header.seq) await runner.watch.catchUp().catch(() => {});
    return true;
  }

  /** Disposes of a dead letter for good; who asked and why is kept. False when it is not a dead letter (any more). */
  async discard(id: string, reason: string): Promise<boolean> {
    const { runner, store } = await this.opened();
    const deadLetter = deadLetterOf(runner.engine, id);
    if (deadLetter === null || !(await store.discard(deadLetter, reason, this.options.clock.wallMs()))) return false;
    runner.watch.discarded([id]);
    runner.post({ kind: 'discarded', ids: [id] });
    this.discarded([id]);
    return true;
  }

  /** Payloads of pending mutations (all, or those of these ids), in the order they were added; for views that show them. */
  async readPending(
    ids?: readonly string[],
  ): Promise<
    readonly { readonly id: string; readonly seq: number; readonly type: string; readonly payload: JsonObject }[]
  > {
    const { runner, store } = await this.opened();
    const { mutations } = runner.engine;
    const entries =
      ids === undefined
        ? [...mutations.all()]
        : ids.map((id) => mutations.get(id)).filter((entry) => entry !== undefined);
    const headers = entries.filter(({ phase }) => phase.kind !== 'failed').map(({ header }) => header);
    const payloads = await store.payloads(headers);
    return headers.flatMap(({ id, type, seq }) => {
      const payload = payloads.get(seq);
      return payload === undefined ? [] : [{ id, seq, type, payload }];
    });
  }

  /** Fresh data contains the effect of these confirmed mutations. */
  markObserved(ids: Iterable<string>): void {
    for (const id of ids) {
      const recent = this.recent.get(id);
      if (recent !== undefined) recent.isObserved = true;
    }
    this.changed([]);
  }

  /** Ends this tab's part: nothing more is sent from here. What is stored stays, for the next tab or run. */
  async close(): Promise<void> {
    if (this.isClosed) return;
    this.isClosed = true;
    this.network.close();
    await this.ready.catch(() => {});
    await this.commits.whenFlushed();
    await this.runner?.close();
  }

  private async open(): Promise<void> {
    const { openStorage, openTabs, name, identity, newId, clock } = this.options;
    const storeName = ['holdfast', name, identity.workspaceId, identity.userId].map(encodeURIComponent).join('/');
    const store = await QueueStore.open(await openStorage(storeName), () => newId(clock.wallMs()));
    const runner = new Runner(
      {
        store,
        tabs: openTabs(storeName),
        clock,
        random: this.options.random,
        network: this.network,
        transport: this.options.transport,
        getToken: this.options.getToken,
        workspaceId: identity.workspaceId,
        attemptTimeoutMs: this.options.attemptTimeoutMs,
        retryRules: (type) => retryRulesOf(this.definitions.get(type)),
        newId: () => newId(clock.wallMs()),
      },
      {
        changed: (ids) => this.changed(ids),
        settled: (settlement) => this.noticeSettlement(settlement),
        discarded: (ids) => this.discarded(ids),
        failed: (error) => this.fail(error),
      },
    );
    this.store = store;
    this.runner = runner;
    await runner.open();
    await store.sweepCompleted(clock.wallMs() - HISTORY_MS);
    this.isRead = true;
    this.changed([]);
  }

  private async opened(): Promise<{
    readonly runner: Runner;
    readonly store: QueueStore;
  }> {
    await this.ready;
    const { runner, store } = this;
    if (this.isClosed || runner === null || store === null) {
      throw new HoldfastError({
        code: 'QUEUE_CLOSED',
        message: 'This queue is closed.',
        hint: 'Use the queue of the current login.',
      });
    }
    return { runner, store };
  }

  /** Parents that are not confirmed yet. Rejects when one of them has failed, or is not known here. */
  private async openParentsOf(ids: readonly string[]): Promise<readonly string[]> {
    const open: string[] = [];
    for (const id of ids) {
      const status = await this.getMutationStatus(id);
      if (status?.status === 'pending' || status?.status === 'processing') open.push(id);
      else if (status === undefined) throw unknownMutation(id);
      else if (status.status !== 'completed') throw parentFailed(id);
    }
    return open;
  }

  /** Room for one more within the caps, also against those being stored at this moment; returns what gives it back. */
  private claimRoom(payloadBytes: number): () => void {
    const { queueCapCount, queueCapBytes } = this.options;
    const counts = this.runner?.engine.mutations.counts ?? { pending: 0, failed: 0, pendingBytes: 0 };
    const count = counts.pending + counts.failed + this.adding.count;
    const bytes = counts.pendingBytes + this.adding.bytes;
    if (count >= queueCapCount || bytes + payloadBytes > queueCapBytes) throw queueFull(count, bytes);
    this.adding = { count: this.adding.count + 1, bytes: this.adding.bytes + payloadBytes };
    return () => {
      this.adding = { count: this.adding.count - 1, bytes: this.adding.bytes - payloadBytes };
    };
  }

  private isDraining(runner: Runner): boolean {
    const { engine } = runner;
    const { state } = engine.gates.line;
    const isChecking = (state.kind === 'down' && state.isChecking) || engine.gates.isRefreshing;
    // A tab that does not deliver sees only what the other one tells.
    return engine.isLeader
      ? engine.isBusy(runner.moment().nowMs) || isChecking
      : this.snapshot.waitingFor === 'nothing' && this.snapshot.pendingCount > 0;
  }

  private noticeSettlement(settlement: Settlement): void {
    switch (settlement.kind) {
      case 'completed': {
        const { record, result, wasRepeat } = settlement;
        const isKnown = this.recent.has(record.id);
        this.remember(record);
        // Told once, though several tabs or a repeat may bring it again.
        if (!isKnown) this.verdict({ status: 'completed', id: record.id, result, wasRepeat }, record.attemptCount);
        return;
      }
      case 'failed': {
        const { header, error } = settlement.deadLetter;
        this.verdict({ status: 'failed', id: header.id, error }, header.attempts.length);
        this.fail(errorFromWire(error));
        return;
      }
      case 'cancelled':
        this.verdict({ status: 'cancelled', id: settlement.header.id }, 0);
        return;
      case 'refused': {
        const { id, attempts } = settlement.header;
        const error = attempts.at(-1)?.error;
        if (error === undefined) return;
        this.callOnRetry({ id, attemptCount: attempts.length, error });
        this.fail(errorFromWire(error));
        return;
      }
    }
  }

  /** Waits from the first moment on, so that nothing that goes wrong while looking for it can make it reject. */
  private verdictOn(id: string): Promise<Settled> {
    return new Promise((resolve) => {
      this.waitFor(id, resolve);
      this.settled(id).then(resolve, () => {});
    });
  }

  private waitFor(id: string, resolve: (settled: Settled) => void): void {
    this.waiters.set(id, [...(this.waiters.get(id) ?? []), resolve]);
  }

  private callOnRetry(event: Parameters<NonNullable<MutationOptions['onRetry']>>[0]): void {
    try {
      this.onRetries.get(event.id)?.(event);
    } catch (error) {
      this.fail(toHoldfastError(error));
    }
  }

  private verdict(settled: Settled, attemptCount: number): void {
    this.onRetries.delete(settled.id);
    for (const resolve of this.waiters.get(settled.id) ?? []) resolve(settled);
    this.waiters.delete(settled.id);
    this.listeners.settled.emit(settled);
    if (attemptCount > 1)
      this.listeners.retryComplete.emit({ id: settled.id, isSuccess: settled.status === 'completed', attemptCount });
  }

  private discarded(ids: readonly string[]): void {
    for (const id of ids) this.verdict({ status: 'cancelled', id }, 0);
  }

  private remember(record: CompletedRecord): void {
    this.recent.set(record.id, { record, isObserved: false });
    if (this.recent.size <= RECENT_COUNT) return;
    const [oldest] = this.recent.keys();
    if (oldest !== undefined) this.recent.delete(oldest);
  }

  private fail(error: HoldfastError): void {
    this.listeners.error.emit(error);
  }

  private changed(ids: readonly string[]): void {
    this.version += 1;
    const snapshot = snapshotOf(this.runner, this.isRead);
    if (!isSame(snapshot, this.snapshot)) this.snapshot = snapshot;
    this.listeners.change.emit({ ids });
  }
}

function snapshotOf(runner: Runner | null, isReady: boolean): QueueSnapshot {
  const counts = runner?.engine.mutations.counts ?? { pending: 0, processing: 0, failed: 0 };
  const closed = runner?.engine.closed(runner.moment().nowMs) ?? null;
  return {
    isReady,
    pendingCount: counts.pending,
    processingCount: counts.processing,
    failedCount: counts.failed,
    isPaused: runner?.engine.gates.isPaused ?? false,
    isLeader: runner?.engine.isLeader ?? false,
    waitingFor: closed?.waitingFor ?? 'nothing',
    error: closed?.error ?? null,
  };
}

function firstOf(entries: Iterable<Entry>, count: number, isWanted: (entry: Entry) => boolean = () => true): Entry[] {
  const first: Entry[] = [];
  for (const entry of entries) {
    if (first.length >= count) break;
    if (isWanted(entry)) first.push(entry);
  }
  return first;
}

function isSame(left: QueueSnapshot, right: QueueSnapshot): boolean {
  return (Object.keys(left) as (keyof QueueSnapshot)[]).every((key) => left[key] === right[key]);
}

function deadLetterOf(engine: Engine, id: string): DeadLetter | null {
  const entry = engine.mutations.get(id);
  if (entry?.phase.kind !== 'failed') return null;
  return { header: entry.header, error: entry.phase.error, failedAtMs: entry.phase.failedAtMs };
}

function queueFull(count: number, bytes: number): HoldfastError {
  return new HoldfastError({
    code: 'QUEUE_FULL',
    message: `Not stored: the queue holds ${count} mutations with ${bytes} bytes, its limit.`,
    hint: 'Send what is pending, retry or discard dead letters, or raise `queueCapCount` or `queueCapBytes`.',
  });
}

function parentFailed(id: string): HoldfastError {
  return new HoldfastError({
    code: 'PARENT_FAILED',
    message: `Not stored: the change ${id}, which it depends on, did not take effect.`,
    hint: 'Retry that one first.',
  });
}

function unknownMutation(id: string): HoldfastError {
  return new HoldfastError({
    code: 'UNKNOWN_MUTATION',
    message: `This device knows no mutation ${id}.`,
    hint: 'Check the id. History of confirmed mutations is kept for 7 days.',
  });
}
