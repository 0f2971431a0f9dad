import type { Settlement, WaitingFor } from '../engine/engine-io.ts';
import type { Entry } from '../engine/entry.ts';
import type {
  AnyMutationDefinition,
  AtomicMember,
  DefinitionOf,
  InputOfType,
  MutationOptions,
  PayloadInput,
  ResultOfType,
} from '../mutation/definition.ts';
import { HoldfastError, invalidOption, toHoldfastError } from '../mutation/holdfast-error.ts';
import { type ActRecord, isMarkedSensitive, type MutationHeader } from '../mutation/record.ts';
import { withoutSensitive } from '../mutation/sensitive.ts';
import type { SlotKind } from '../mutation/slots.ts';
import { NetworkMonitor } from '../network/network-monitor.ts';
import type { Durability } from '../ports/storage.ts';
import { DebugLog, type DebugOption, errorData } from '../telemetry/debug-log.ts';
import type { JsonObject } from '../protocol/wire.ts';
import { Emitter, listenerFailed } from '../telemetry/emitter.ts';
import { MetricsBook, type QueueMetrics } from '../telemetry/queue-metrics.ts';
import { ReportBook } from '../telemetry/report-book.ts';
import { type ActOptions, type ActResult, Acts, matching, type MutationFilter } from './acts.ts';
import { Adder } from './adding/adder.ts';
import type { CancelAnswer } from './tabs/ask-leader.ts';
import { Capacity, type Load } from './adding/capacity.ts';
import type { ConflictChoice, OpenConflictView } from './delivering/conflict-desk.ts';
import { drain, type DrainResult } from './delivering/drain.ts';
import { parentsOf } from './store/history.ts';
import { exportFile } from './store/export-file.ts';
import { exportLog, type LogExport } from './store/log-export.ts';
import { type EditAnswer, type MutationHandle, slotOf } from './mutation-handle.ts';
import { EditBases } from './adding/edit-base.ts';
import type { Explanation, MutationStatus } from './mutation-status.ts';
import {
  HISTORY_MS,
  type Identity,
  onDeadLetterOf,
  type QueueOptions,
  type ResolvedOptions,
  resolveOptions,
} from './options.ts';
import type { Stored } from './adding/merge-plan.ts';
import { checkPayload } from './adding/check-payload.ts';
import { ownEffectOf } from './adding/prepare-mutation.ts';
import type { QueueEvents, Settled, StoredEvent } from './queue-events.ts';
import {
  type BlockedLane,
  type DeadLetterDetails,
  type PendingMutation,
  type ListFilter,
  type QueueStatus,
  unknownMutation,
} from './queue-reader.ts';
import { isSameSnapshot, type QueueSnapshot, snapshotOf } from './queue-snapshot.ts';
import { readBackup } from './store/backup.ts';
import type { ImportResult } from './store/importer.ts';
import type { QuarantinedMutation } from './store/quarantine.ts';
import { type Parts, queueClosed, QueueLife } from './queue-life.ts';
import type { RecoveryResult } from './store/recovery.ts';
import { type ListQuery, type MutationPage, PAGE_COUNT } from './list-query.ts';
import type { Runner } from './runner.ts';
import { type StorageUsage, StorageWatch } from './store/storage-watch.ts';
import { isMoved } from './store/storage-errors.ts';
import type { StorageHealth } from './store/storage-keeper.ts';
import { SignOut, type SignOutChoice, type SignOutResult } from './sign-out.ts';
import { type StoringCall, StoringCalls, type StoringEvent } from './adding/storing-calls.ts';
import { cancelled, completedOf, VerdictBook } from './delivering/verdict-book.ts';

/** What `resume` came to: something is on its way, nothing is due, or what still stops it. */
export type ResumeResult =
  | { readonly kind: 'processing' }
  | { readonly kind: 'nothingDue' }
  | { readonly kind: 'waiting'; readonly waitingFor: WaitingFor };

type Listeners = { readonly [Name in keyof QueueEvents]: Emitter<QueueEvents[Name]> };

/** Whether an export may hold sensitive fields. */
export interface SensitiveOptions {
  /** @default false */
  readonly includeSensitive?: boolean;
}

/**
 * A durable queue of mutations, made by `createQueue`. One queue belongs to one login; close it when the login ends, and
 * open another for the next one: what the first has not sent stays on the device for when they are back.
 */
export class MutationQueue<Definitions extends readonly AnyMutationDefinition[] = readonly AnyMutationDefinition[]> {
  readonly identity: Identity;
  readonly network: NetworkMonitor;
  readonly definitions: ReadonlyMap<string, AnyMutationDefinition>;
  private readonly options: ResolvedOptions;
  private readonly log: DebugLog;
  private readonly listeners: Listeners;
  private readonly payloads: Emitter<StoredEvent>;
  private readonly storing: Emitter<StoringEvent>;
  private readonly calls: StoringCalls;
  private readonly life: QueueLife;
  private readonly verdicts: VerdictBook;
  private readonly adder: Adder;
  private readonly capacity: Capacity;
  private readonly bases: EditBases;
  private readonly acts: Acts;
  private readonly signOuts: SignOut;
  private readonly storageWatch: StorageWatch;
  private snapshot: QueueSnapshot;
  private readonly metrics: MetricsBook;
  private readonly reports: ReportBook = new ReportBook();
  private readonly monitors = new Set<() => void>();
  /** Grows with every change, so that lists can be cached. */
  version = 0;

  constructor(options: QueueOptions<Definitions>) {
    this.options = resolveOptions(options);
    const { clock, definitions, identity, newId, persistence, queueCapCount, queueCapBytes } = this.options;
    this.metrics = new MetricsBook(clock.nowMs());
    this.identity = identity;
    this.definitions = definitions;
    this.log = new DebugLog(clock);
    this.log.watch(this.options.debug);
    const opened = (): Promise<Parts> => this.life.opened();
    const report = (error: unknown): void => this.report(error);
    const onThrow = (error: unknown): void => this.fail(listenerFailed(error));
    this.payloads = new Emitter(onThrow);
    this.storing = new Emitter(onThrow);
    this.listeners = {
      stored: new Emitter(onThrow),
      amended: new Emitter(onThrow),
      settled: new Emitter(onThrow),
      laneBlocked: new Emitter(onThrow),
      retryComplete: new Emitter(onThrow),
      // A listener for errors that throws has nobody left to tell.
      error: new Emitter(() => {}),
      change: new Emitter(onThrow),
      capacity: new Emitter(onThrow),
      progress: new Emitter(onThrow),
      storageDegraded: new Emitter(onThrow),
      storageRestored: new Emitter(onThrow),
      changesLost: new Emitter(onThrow),
      storageCapacity: new Emitter(onThrow),
      conflict: new Emitter(onThrow),
      toldElsewhere: new Emitter(onThrow),
    };
    this.network = new NetworkMonitor(this.options.network, clock, onThrow);
    this.listeners.stored.on(({ id, seq, type }) => this.log.note('queue', 'stored', { id, seq, type }));
    this.network.onChange(({ isOnline, quality }) => this.log.note('network', 'change', { isOnline, quality }));
    this.verdicts = new VerdictBook({
      settled: (event) => {
        const { id, status } = event;
        this.log.note('queue', 'settled', { id, status, ...(status === 'failed' ? errorData(event.error) : {}) });
        this.listeners.settled.emit(event);
      },
      retryComplete: (event) => this.listeners.retryComplete.emit(event),
      error: (error) => this.fail(error),
      conflict: (event) => this.listeners.conflict.emit(event),
    });
    this.capacity = new Capacity({
      cap: { count: queueCapCount, bytes: queueCapBytes },
      pending: () => {
        const { pending = 0, pendingBytes = 0 } = this.life.parts?.runner.engine.mutations.counts ?? {};
        return { count: pending, bytes: pendingBytes };
      },
      evict: (needed) => this.evict(needed),
      reached: (event) => this.listeners.capacity.emit(event),
    });
    this.calls = new StoringCalls({
      tell: (event) => this.storing.emit(event),
      hasRoom: (more) => this.capacity.hasRoom(more),
    });
    this.acts = new Acts({
      opened,
      userId: identity.userId,
      clock,
      newId: () => newId(clock.wallMs()),
    });
    const act: Acts['act'] = (kind, by) => this.acts.act(kind, by);
    this.signOuts = new SignOut({
      opened,
      snapshot: () => this.snapshot,
      act: (by) => act('signOut', by),
      drain: () => this.process(),
      close: () => this.close(),
      clock,
      report,
    });
    this.storageWatch = new StorageWatch({
      estimate: async () => (await opened()).store.estimate(),
      persistence,
      clock,
      reached: (event) => this.listeners.storageCapacity.emit(event),
    });
    const stopAsking = this.on('stored', () => {
      if (this.options.persistsOnFirstAdd) void this.storageWatch.askToPersist();
      stopAsking();
    });
    this.on('stored', () => this.storageWatch.look());
    this.snapshot = snapshotOf(null, false);
    this.life = new QueueLife({
      options: this.options,
      network: this.network,
      log: this.log,
      reports: this.reports,
      verdicts: this.verdicts,
      act,
      signIn: (parts) => this.signOuts.signIn(parts),
      changed: (ids) => this.changed(ids),
      settled: (settlement, runner) => this.settledBy(settlement, runner),
      told: (id) => this.listeners.toldElsewhere.emit({ id }),
      read: (parts) => this.whenRead(parts),
      fail: (error) => this.fail(error),
      degraded: (error) => this.listeners.storageDegraded.emit({ error, durability: 'volatile' }),
      restored: (movedCount) => this.listeners.storageRestored.emit({ movedCount }),
      lost: (lost) => this.listeners.changesLost.emit(lost),
    });
    this.bases = new EditBases({ opened, shownBy: () => this.life.shownBy });
    this.adder = new Adder({
      definitions,
      capacity: this.capacity,
      clock,
      newId,
      act,
      report,
      opened,
      runnerNow: () => (this.life.isRead && !this.life.isClosed ? (this.life.parts?.runner ?? null) : null),
      added: (stored, { input, call }) => {
        const { id } = stored.header;
        call?.stored();
        if (input?.onRetry !== undefined) this.verdicts.onRetry(id, input.onRetry);
        this.tellPayload('stored', eventOf(stored, input));
        return this.handleOf(id, stored.durability);
      },
      merged: ({ header: { id }, durability }, { input, call }, kind) => {
        call?.ended();
        if (input?.onRetry !== undefined) this.verdicts.onRetry(id, input.onRetry);
        return this.handleOf(id, durability, kind);
      },
      amended: (stored) => this.tellAmended(stored),
      shownNow: () => this.bases.shownNow(),
      editOf: (definition, described, base, shown) => this.bases.of(definition, described, base, shown),
      madeBehind: (definition, addition, own) => this.bases.behind(definition, addition, own),
    });
  }

  /**
   * Resolves once what is stored on this device has been read; rejects when the store cannot be opened. While its keys are
   * away (`encryption`), it has no room for what opening has to store, or does not answer, that is waited for.
   */
  get ready(): Promise<void> {
    return this.life.opening.done;
  }

  /**
   * Makes a mutation durable on this device, and resolves when it is. Delivery follows by itself. One that needs not be stored
   * again resolves to the handle of the one that stands for it; see `dedupe` and `coalesce` of its type, and `id`.
   * Rejects with a `HoldfastError`, and then nothing is stored: `UNDECLARED_TYPE`, `INVALID_PAYLOAD`, `PAYLOAD_NOT_JSON`,
   * `PAYLOAD_TOO_LARGE`, `INVALID_OPTION`, `SLOT_UNFILLED`, `ID_REUSED`, `QUEUE_FULL`, `PARENT_FAILED`, `UNKNOWN_MUTATION`, `STORAGE_FULL`, `STORAGE_UNAVAILABLE`, `STORAGE_FAILED`, `STORAGE_LOCKED`, `QUEUE_CLOSED`.
   */
  add<Type extends Definitions[number]['type']>(
    input: InputOfType<Definitions[number], Type>,
  ): Promise<MutationHandle<ResultOfType<DefinitionOf<Definitions[number], Type>>>> {
    return this.onStore((call) => this.adder.add(input, call));
  }

  /**
   * Makes several mutations durable as one that takes effect whole or not at all: if the server refuses a member, none of
   * them stands. It waits for what is before any of them in its lane, and holds up what comes behind. Delivered by the
   * Holdfast server; `handlerTransport` needs a handler for the type `holdfast.atomic`. Rejects as `add` does.
   */
  addAtomic(
    members: readonly AtomicMember<Definitions[number]>[],
    options: MutationOptions = {},
  ): Promise<MutationHandle> {
    return this.onStore((call) => this.adder.addAtomic(members, options, call));
  }

  /**
   * Gives a mutation another payload, which is checked like that of `add`, and must belong to the same lane.
   *
   * `edited`: it was never sent; it keeps its id and its place. `replaced`: it may have been sent, and what may have been
   * sent is never changed; or it was a dead letter. Then a new mutation stands behind it (or instead of the dead letter),
   * with the same options, and the answer brings its handle.
   *
   * Rejects as `add` does, with `INVALID_PAYLOAD` also for a payload of another lane, and with `UNKNOWN_MUTATION`.
   */
  async edit(id: string, payload: object): Promise<EditAnswer> {
    return this.adder.edit(id, payload).catch((error: unknown) => this.refused(error));
  }

  /**
   * Takes a mutation back. `cancelled`: it is gone and never was sent. `tooLate`: it may have been sent, or is settled.
   * `unknown`: this device does not know it, or the tab that delivers did not answer; it may be sent, or not.
   */
  async cancel(id: string, options: ActOptions = {}): Promise<CancelAnswer> {
    return this.acts.cancel(id, options);
  }

  /** The verdict on a mutation by its id: also after a restart, and from any tab. Rejects with `UNKNOWN_MUTATION`. */
  async settled(id: string): Promise<Settled> {
    const { runner, store } = await this.life.opened();
    // What another tab has added, or this one behind it, is in memory only once this tab has looked for it.
    if (!runner.engine.mutations.has(id) && this.verdicts.recent(id) === undefined) await runner.watch.catchUp();
    const entry = runner.engine.mutations.get(id);
    if (entry?.phase.kind === 'failed' && !runner.engine.mutations.isBeingGivenUp(entry))
      return { status: 'failed', id, error: entry.phase.error };
    if (entry !== undefined) return new Promise((resolve) => this.verdicts.waitFor(id, resolve));
    const record = this.verdicts.recent(id)?.record ?? (await store.history.completed(id));
    if (record !== null) return completedOf(record);
    const [disposal = null] = await store.history.disposals([id]);
    if (disposal !== null) return cancelled(id, disposal.ending);
    throw unknownMutation(id);
  }

  subscribe(listener: () => void): () => void {
    return this.listeners.change.on(listener);
  }

  getSnapshot(): QueueSnapshot {
    return this.snapshot;
  }

  /**
   * Calls back for each event of the name; returns an unsubscribe. A listener that throws, or returns a promise that is
   * rejected, harms nothing, and is told as an `error` event (`LISTENER_FAILED`). Throws `INVALID_OPTION` for another name.
   */
  on<Name extends keyof QueueEvents>(name: Name, listener: (event: QueueEvents[Name]) => void): () => void {
    if (!Object.hasOwn(this.listeners, name)) throw unknownEvent(name, Object.keys(this.listeners));
    return this.listeners[name].on(listener);
  }

  /**
   * For views of what is pending: like `stored` and `amended`, with the payload whole. Those events come without the sensitive fields
   * of their types.
   */
  onPayload(listener: (event: StoredEvent) => void): () => void {
    return this.payloads.on(listener);
  }

  /**
   * For views, too: what `add` has checked and is storing in this tab. It may be shown, and taken away again when it is refused; nobody
   * may call it saved before `stored`.
   */
  onStoring(listener: (event: StoringEvent) => void): () => void {
    return this.storing.on(listener);
  }

  private tellPayload(name: 'stored' | 'amended', event: StoredEvent): void {
    this.payloads.emit(event);
    const payload = withoutSensitive(this.definitions, event.type, event.payload, false);
    this.listeners[name].emit(payload === event.payload ? event : { ...event, payload });
  }

  /** Says to the other tabs that this one, where a mutation was made, tells its user how it ended: they need not (`toldElsewhere`). */
  tellOf(id: string): void {
    this.life.parts?.runner.post({ kind: 'told', id });
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

  /**
   * Where a mutation stands; undefined for an id that this device does not know (any more). Rejects with `QUEUE_CLOSED`, also
   * where the queue was closed before it had looked everywhere.
   */
  async getMutationStatus(id: string): Promise<MutationStatus | undefined> {
    const { reader } = await this.life.opened();
    const status = await reader.status(id).catch((error: unknown) => {
      throw this.life.isClosed ? queueClosed() : error;
    });
    if (status === undefined && this.life.isClosed) throw queueClosed();
    return status;
  }

  /** The same for mutations that are in memory: unconfirmed, or among the last confirmed. */
  peekStatus(id: string): MutationStatus | undefined {
    return this.life.parts?.reader.peek(id);
  }

  /** Why a mutation stands where it stands, and what to do. Rejects with `UNKNOWN_MUTATION`. */
  async explain(id: string): Promise<Explanation> {
    return (await this.life.opened()).reader.explain(id);
  }

  /** Unconfirmed mutations, at most `limit` of them: dead letters first, then pending ones in the order they were added. */
  listUnconfirmed(limit: number = PAGE_COUNT, only: ListFilter = {}): readonly MutationStatus[] {
    return this.life.parts?.reader.listUnconfirmed(limit, only) ?? [];
  }

  /** The last confirmed ones, newest first, at most `limit` of them. */
  listRecentlyConfirmed(limit: number = PAGE_COUNT, only: ListFilter = {}): readonly MutationStatus[] {
    return this.life.parts?.reader.newest(limit, only) ?? [];
  }

  /**
   * Ids of dead letters whose row was changed again since they were added, by what waits or was confirmed lately: retried they are sent
   * behind that, and overwrite it where they are not held to a version. Ask whoever wants them retried.
   */
  listOvertaken(): ReadonlySet<string> {
    return this.life.parts?.reader.overtaken() ?? new Set();
  }

  /** Exact counts, and summaries of the first 100 of each kind. */
  async getStatus(): Promise<QueueStatus> {
    return (await this.life.opened()).reader.counts();
  }

  /**
   * Mutations by status, type, lane, priority and age, sorted, page by page; without a query those that are not confirmed, in the
   * order they were added. However long the queue, no more objects are made than one page has. What is settled or added between two
   * pages is neither shown twice nor makes others be left out. Rejects with `INVALID_OPTION` for a query that makes no sense.
   */
  async listMutations(query: ListQuery<Definitions[number]['type']> = {}): Promise<MutationPage> {
    return (await this.life.opened()).reader.page(query);
  }

  /**
   * Stops sending, in every tab and after a restart too. What is on its way is let finish, and cut off after 5 s (it is
   * sent again later, and takes effect once). Resolves when nothing is on its way from any tab, after 7 s at the latest:
   * a tab that does not answer by then is frozen or gone, and looks before it sends again. Adding goes on.
   */
  async pause(options: ActOptions = {}): Promise<void> {
    return this.acts.pause(options);
  }

  /** Sends again, and says whether that has begun. */
  async resume(): Promise<ResumeResult> {
    const { runner, store } = await this.life.opened();
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
    const { runner } = await this.life.opened();
    return drain({
      runner,
      snapshot: () => this.snapshot,
      onSettled: (listener) => this.on('settled', listener),
      onChange: (listener) => this.on('change', listener),
      progress: (event) => {
        onProgress?.(event.doneCount, event.totalCount);
        this.listeners.progress.emit(event);
      },
    });
  }

  /** How the queue does: exact counts, and rates and times of what this tab has seen; see `QueueMetrics`. In any tab. */
  async getMetrics(): Promise<QueueMetrics> {
    const { runner, store } = await this.life.opened();
    const completed = await store.history.completedCount();
    return this.metrics.read(runner.engine.mutations.all(), completed, this.options.clock.nowMs());
  }

  /** Reports the metrics now and at each interval (@default 10_000), in milliseconds; returns what ends that. */
  startMonitoring({
    intervalMs = 10_000,
    onReport,
  }: {
    readonly intervalMs?: number;
    readonly onReport: (metrics: QueueMetrics) => void;
  }): () => void {
    if (!(intervalMs > 0)) {
      const message = `startMonitoring: \`intervalMs\` must be a number of milliseconds above 0; it is ${intervalMs}.`;
      throw invalidOption('intervalMs', message);
    }
    let isStopped = false;
    let cancel = (): void => {};
    const report = async (): Promise<void> => {
      try {
        const metrics = await this.getMetrics();
        if (!isStopped) onReport(metrics);
      } catch (error) {
        if (!this.life.isClosed) this.report(error);
      }
      if (!isStopped && !this.life.isClosed) cancel = this.options.clock.schedule(intervalMs, () => void report());
    };
    void report();
    const stop = (): void => {
      isStopped = true;
      cancel();
      this.monitors.delete(stop);
    };
    this.monitors.add(stop);
    return stop;
  }

  /** The same as `process`. */
  sync(onProgress?: (doneCount: number, totalCount: number) => void): Promise<DrainResult> {
    return this.process(onProgress);
  }

  /**
   * Builds this tab's part anew from what is stored, as a reload of the page would: what is on its way is called off and
   * sent again; what could not be opened is opened now. Resolves when that is read; rejects when the store cannot be opened.
   * Calls made meanwhile wait.
   */
  async restart(): Promise<void> {
    if (this.life.opening.blockedBy === null) await this.life.opening.now().catch(() => {});
    if (this.life.isClosed) throw queueClosed();
    await this.adder.whenFlushed;
    await this.life.openAnew().done;
  }

  /**
   * When the next attempt is made or the server is asked again, by the device's clock (epoch milliseconds). Null when nothing
   * waits, or not for a time: a pause, a sign-in, an update; or when the tab that delivers did not answer within 2 s.
   */
  async getNextRetryTime(): Promise<number | null> {
    const { runner } = await this.life.opened();
    const inMs = await runner.askLeader.ask({ kind: 'nextAttempt' });
    return inMs === null ? null : this.options.clock.wallMs() + inMs;
  }

  /**
   * Tells the queue that the app has signed in again (the same user), so that it need not wait for its next try. It does not
   * undo `signOut`: who has signed out signs in again by creating the queue anew.
   */
  loginChanged(): void {
    this.life.parts?.runner.dispatch({ kind: 'loginChanged' });
  }

  /**
   * Sends a dead letter again: before those that it held up where its type holds the lane, else last in its lane. Touches
   * nothing when it is not a dead letter (any more).
   */
  async retry(id: string, options: ActOptions = {}): Promise<ActResult> {
    return this.acts.retry(({ engine }) => entriesOf(engine.mutations.get(id)), options);
  }

  /**
   * Sends it now, whatever is in the way: a dead letter again, a pending one without waiting for its backoff, and the server
   * is asked at once if the line was down. Touches nothing that is on its way, or confirmed.
   */
  async forceRetry(id: string, options: ActOptions = {}): Promise<ActResult> {
    return this.acts.forceRetry(id, options);
  }

  /** The same in the name of someone else, who must be named, with their reason. Rejects with `INVALID_OPTION` without. */
  async adminRetry(id: string, { actor, reason }: Required<ActOptions>): Promise<ActResult> {
    return this.acts.forceRetry(id, { actor: actor ?? '', reason: reason ?? '' });
  }

  /** Sends dead letters again: all, or those that the filter means; each after those it depends on. */
  async retryFailed(filter: MutationFilter = {}, options: ActOptions = {}): Promise<ActResult> {
    return this.acts.retry(
      (runner) => matching(runner, filter).filter(({ phase }) => phase.kind === 'failed'),
      options,
    );
  }

  /** Disposes of a dead letter, or of a pending one that surely was never sent. Touches nothing else. */
  async remove(id: string, options: ActOptions = {}): Promise<ActResult> {
    return this.acts.remove(id, options);
  }

  /**
   * Disposes of all, or of those that the filter means, for good: dead letters, and pending ones that surely were never sent.
   * What may have been sent stays, and settles by itself.
   */
  async clear(filter: MutationFilter = {}, options: ActOptions = {}): Promise<ActResult> {
    return this.acts.clear(filter, options);
  }

  /**
   * Calls off and sends again what is stuck: on its way for more than twice `attemptTimeoutMs`, or with nothing that it waits
   * for and yet not sent for a minute. Loses nothing. Touches nothing when the tab that delivers does not answer.
   */
  async clearStuck(options: ActOptions = {}): Promise<ActResult> {
    return this.acts.clearStuck(options);
  }

  /** Disposes of a dead letter for good; who asked and why is kept. Touches nothing when it is not one (any more). */
  async discard(id: string, reason: string, { actor }: Pick<ActOptions, 'actor'> = {}): Promise<ActResult> {
    const options = actor === undefined ? { reason } : { actor, reason };
    return this.acts.discard(({ engine }) => entriesOf(engine.mutations.get(id)), options);
  }

  /** Lets a lane go on that dead letters hold (`onDeadLetter`). They stay, and what stands on them fails: `PARENT_FAILED`. */
  async releaseLane(lane: string, options: ActOptions = {}): Promise<ActResult> {
    return this.acts.releaseLane(lane, options);
  }

  /** Lanes that wait for a person to decide on a dead letter. */
  listBlockedLanes(): readonly BlockedLane[] {
    return this.life.parts?.reader.blockedLanes() ?? [];
  }

  /** What people and the app did to mutations, the newest first, at most `limit`. Kept are the last 1,000 commits of acts. */
  async listActs({ limit = PAGE_COUNT }: { readonly limit?: number } = {}): Promise<readonly ActRecord[]> {
    return this.acts.list(limit);
  }

  /** A dead letter with every answer about it, and its payload, without sensitive fields unless asked for; undefined for what is none. */
  async readDeadLetter(
    id: string,
    { includeSensitive = false }: SensitiveOptions = {},
  ): Promise<DeadLetterDetails | undefined> {
    return (await this.life.opened()).reader.deadLetter(id, includeSensitive);
  }

  /**
   * The dead letters (all, or those that the filter means) as JSON, with payloads and every answer, and a checksum over
   * `deadLetters`. They stay; that they were exported is recorded. Sensitive fields are left out unless `includeSensitive`.
   */
  async exportDeadLetters(filter: MutationFilter = {}, options: ActOptions & SensitiveOptions = {}): Promise<string> {
    const { runner, store, reader } = await this.life.opened();
    const act = this.acts.act('export', options);
    const failed = matching(runner, filter).filter(({ phase }) => phase.kind === 'failed');
    const deadLetters = await reader.deadLetters(failed, options.includeSensitive === true);
    const ids = deadLetters.map(({ id }) => id);
    await store.record(act, ids);
    return exportFile('dead-letters', deadLetters, this.identity, act);
  }

  /**
   * Looks through all that is stored on this device: every record, and every payload by its schema. What is whole stays; what
   * does not read, or is refused, is set aside with its bytes (`listQuarantine`) and costs no other. The queue does the same
   * when it opens, but for the payloads: each is looked at before it is sent. Rejects as the store does.
   */
  async recover(): Promise<RecoveryResult> {
    return (await this.life.opened()).runner.recovery.run();
  }

  /** What was set aside because it does not read, or because the schema of its type refuses its payload; at most `limit`. */
  async listQuarantine({
    limit = PAGE_COUNT,
  }: {
    readonly limit?: number;
  } = {}): Promise<readonly QuarantinedMutation[]> {
    return (await (await this.life.opened()).reader.quarantine()).slice(0, limit);
  }

  /** All in quarantine as JSON, with the bytes and a checksum over `quarantine`. It stays; that it was exported is recorded. */
  async exportQuarantine(options: ActOptions = {}): Promise<string> {
    const { store, reader } = await this.life.opened();
    const act = this.acts.act('export', options);
    const quarantine = await reader.quarantine();
    await store.record(
      act,
      quarantine.map(({ key }) => key),
    );
    return exportFile('quarantine', quarantine, this.identity, act);
  }

  /** Deletes these of the quarantine for good, by their `key`; who decided and why is kept. Touches no others. */
  async discardQuarantined(
    keys: readonly string[],
    reason: string,
    { actor }: Pick<ActOptions, 'actor'> = {},
  ): Promise<ActResult> {
    return this.acts.discardQuarantined(keys, actor === undefined ? { reason } : { actor, reason });
  }

  /**
   * Sends these again, by their `key`: a known mutation as it stands, whatever its schema says; what did not read, if it
   * reads by now (a later version of the app may). Touches no others; they stay.
   */
  async retryQuarantined(keys: readonly string[], options: ActOptions = {}): Promise<ActResult> {
    return this.acts.retryQuarantined(keys, options);
  }

  /**
   * All of this queue as one file: pending mutations, dead letters, quarantine, history and acts, with a version and a checksum.
   * It stays as it is. What is sealed on the device is in the clear in the file: keep it accordingly. Rejects with `INVALID_OPTION`
   * where that would be sensitive fields, unless `includeSensitive`.
   */
  async exportQueue(options: ActOptions & SensitiveOptions = {}): Promise<string> {
    const { store } = await this.life.opened();
    const act = this.acts.act('export', options);
    const file = await store.backup(this.identity, this.options.clock.wallMs());
    if (options.includeSensitive !== true && isMarkedSensitive(file)) throw sensitiveInFile();
    await store.record(act, []);
    return file;
  }

  /**
   * Takes in what of such a file this device does not know, in one commit, with ids and order as they were: what is confirmed,
   * pending or disposed of here stays so, and importing twice is importing once. What comes in may have been sent from where
   * it was, and the server lets it take effect once. The caps do not hold here.
   * Rejects with `BACKUP_DAMAGED`, `BACKUP_FOREIGN` (of another login) and `STORAGE_TOO_NEW`, and as the store does; then
   * nothing was imported.
   */
  async importQueue(file: string, options: ActOptions = {}): Promise<ImportResult> {
    return this.acts.takeIn(readBackup(file, this.identity), options);
  }

  /** The versions to choose between, for an edit that waits for a person; undefined for any other mutation. */
  async getConflict(id: string): Promise<OpenConflictView | undefined> {
    const { runner } = await this.life.opened();
    if (!runner.engine.mutations.has(id)) await runner.watch.catchUp();
    // What the list says is in conflict may just be being stored as such.
    await runner.whenWritten;
    const entry = runner.engine.mutations.get(id);
    const conflict = entry === undefined ? null : await runner.conflicts.read(id, entry.seq);
    if (conflict === null) await runner.watch.lookAtConflicts();
    return conflict ?? undefined;
  }

  /**
   * Says which version is to stand, from any tab: `mine` sends the edit again on the row as it is now (what only the other side has changed stays), `theirs` lets it give
   * way (it is `cancelled` then), a payload is sent instead of it. Who chose, and why, is kept. Should the row have changed
   * once more, the edit is in conflict again. False when it does not wait for a choice (any more); or, with the `revision` of the
   * conflict that was shown, when it has been in conflict anew since: look at that one first.
   * Rejects for a payload as `add` does, and with `INVALID_PAYLOAD` for one that is about another row.
   */
  async resolveConflict(
    id: string,
    choice: ConflictChoice<PayloadInput<Definitions[number]>>,
    by: { readonly actor: string; readonly reason?: string; readonly revision?: number },
  ): Promise<boolean> {
    const { runner } = await this.life.opened();
    if (!runner.engine.mutations.has(id)) await runner.watch.catchUp();
    const entry = runner.engine.mutations.get(id);
    if (entry === undefined) return false;
    const { header } = entry;
    const payload =
      typeof choice === 'string' ? choice : { payload: await this.checkedPayload(header, choice.payload) };
    const reason = by.reason ?? (choice === 'theirs' ? 'Chose the other version' : 'Chose this version');
    const act = this.acts.act('resolveConflict', { actor: by.actor, reason });
    const chosen = await runner.conflicts.choose(header.seq, payload, act, by.revision);
    if (chosen === null) {
      await runner.watch.lookAtConflicts();
      return false;
    }
    if (chosen.kind === 'gaveWay') {
      runner.discarded([id]);
    } else {
      runner.amender.tell([chosen.header]);
      this.tellAmended(chosen);
    }
    return true;
  }

  /** Unless it has been taken back, has ended, or has been rewritten once more before this tab heard of its own rewriting. */
  private tellAmended(stored: Pick<Stored, 'header' | 'payload'>): void {
    const { id, revision } = stored.header;
    const isOver = this.peekStatus(id)?.status === 'failed';
    const standing = this.life.parts?.runner.engine.mutations.get(id)?.revision;
    if (!isOver && standing === revision) this.tellPayload('amended', eventOf(stored));
  }

  /** A payload that may stand for the one of this mutation. */
  private async checkedPayload({ type, entity, lane }: MutationHeader, input: unknown): Promise<JsonObject> {
    const { described, slots } = await checkPayload(this.definitions, type, input, () => Promise.resolve(undefined));
    const isSameRow = described.entity?.table === entity?.table && described.entity?.id === entity?.id;
    if (!isSameRow || described.lane !== lane || slots.length > 0) throw otherRow(type);
    return described.payload;
  }

  /** Payloads of pending mutations (all, or those of these ids), in the order they were added; for views that show them. */
  async readPending(ids?: readonly string[]): Promise<readonly PendingMutation[]> {
    return (await this.life.opened()).reader.pending(ids);
  }

  /** Fresh data contains the effect of these confirmed mutations. */
  markObserved(ids: Iterable<string>): void {
    const observed = [...ids];
    for (const id of observed) {
      const recent = this.verdicts.recent(id);
      if (recent !== undefined) recent.isObserved = true;
    }
    this.changed(observed);
  }

  /** Shows what happens in this tab from now on, all of it in the console unless `debug` says otherwise; returns what ends that. */
  enableDebugLogging(debug: DebugOption = true): () => void {
    return this.log.watch(debug);
  }

  /** What happened last in this tab, for a bug report: no payload, token, address or message of anybody is in it. */
  exportLog(): LogExport {
    return exportLog(this.log, this.options, this.snapshot, this.network.getSnapshot());
  }

  /**
   * Ends the login of this queue, in every tab, from any tab. While something is pending that takes a choice: `sendFirst`
   * drains first, and does not sign out when something is left; `keep` leaves it on this device, and the user who signs in
   * again (the queue is created anew) goes on with it; `discard` gives up what is pending at the call, and says of how much
   * it is not known whether it took effect. Dead letters stay. Without a choice nothing is changed, and the answer says what
   * is pending. What is on its way is let finish, and cut off after 5 s. Signed out, this queue is closed.
   *
   * Call it before the app gives up its own session, so that what is sent first still has a token. Killed in the middle, the
   * login is over or it is not; what was to be discarded is never sent again.
   * Rejects with `INVALID_OPTION`, and as the store does: then the user is still signed in.
   */
  async signOut(choice?: SignOutChoice, options: ActOptions = {}): Promise<SignOutResult> {
    return this.signOuts.run(choice, options);
  }

  /** Ends this tab's part: nothing more is sent from here. What is stored stays, for the next tab or run. */
  async close(): Promise<void> {
    if (this.life.isClosed) return;
    for (const stop of [...this.monitors]) stop();
    this.network.close();
    this.life.halt();
    await this.ready.catch(() => {});
    await this.adder.whenFlushed;
    await this.life.close();
  }

  /** How much room the device's storage has, as far as the platform says, and whether what is stored is kept when it needs room. */
  async getStorageUsage(): Promise<StorageUsage> {
    return this.storageWatch.usage();
  }

  /** Asks the platform to keep what is stored when it needs room; null where it cannot be asked. Some browsers ask the person. */
  async requestPersistence(): Promise<boolean | null> {
    return this.options.persistence.request();
  }

  /**
   * Frees room: forgets history of what was confirmed or disposed of longer than `olderThanMs` ago (@default 7 days, as each opening does for
   * some of it). Never touches what is pending, dead letters, quarantine, or what something still depends on.
   */
  async cleanup({ olderThanMs = HISTORY_MS }: { readonly olderThanMs?: number } = {}): Promise<{
    readonly removedCount: number;
  }> {
    if (!(olderThanMs >= 0)) {
      const message = `cleanup: \`olderThanMs\` must be a number of milliseconds from 0; it is ${olderThanMs}.`;
      throw invalidOption('olderThanMs', message);
    }
    const { runner, store } = await this.life.opened();
    const beforeMs = this.options.clock.wallMs() - olderThanMs;
    const isParent = parentsOf(runner.engine.mutations);
    let removedCount = 0;
    for (let count = 1; count > 0; ) {
      count = await store.sweepHistory(beforeMs, isParent);
      removedCount += count;
    }
    this.storageWatch.look();
    return { removedCount };
  }

  /** The user has been told of changes that were lost. */
  dismissLost(): void {
    this.life.dismissLost();
  }

  /** How the place where mutations are kept does; the same object until something changes. `subscribe` tells when. */
  getStorageHealth(): StorageHealth {
    return this.life.health;
  }

  /** Looks now whether a store that could not be used can be, instead of within 15 s. Resolves when that is known. */
  async retryStorage(): Promise<StorageHealth> {
    await this.life.retryStorage();
    return this.life.health;
  }

  /** Tells whoever listens for errors; for parts of the app that work beside the queue, such as a view. */
  report(error: unknown): void {
    this.fail(toHoldfastError(error));
  }

  /** All that is stored has been read: what waits for a person is told, also where it was before. */
  private whenRead({ runner }: Parts): void {
    this.storageWatch.look();
    for (const { deadLetterId } of this.listBlockedLanes()) this.askAbout(deadLetterId);
    for (const { header } of runner.engine.mutations.openConflicts) this.verdicts.conflicting(header);
  }

  /** Where its type says so, someone is asked what is to become of its lane. */
  private askAbout(deadLetterId: string): void {
    const blocked = this.listBlockedLanes().find((each) => each.deadLetterId === deadLetterId);
    if (blocked !== undefined && onDeadLetterOf(this.definitions.get(blocked.type)) === 'ask')
      this.listeners.laneBlocked.emit(blocked);
  }

  private handleOf(
    id: string,
    durability: Durability,
    kind: 'added' | 'deduplicated' | 'coalesced' = 'added',
  ): MutationHandle {
    return {
      id,
      deduplicated: kind === 'deduplicated',
      coalesced: kind === 'coalesced',
      durability,
      settled: this.verdictOn(id),
      cancel: () => this.cancel(id),
      edit: (payload) => this.edit(id, payload),
      slot: (name: string | readonly string[], kind: SlotKind = 'string') => slotOf(id, name, kind),
    };
  }

  /** Waits from the first moment on, so that nothing that goes wrong while looking for it can make it reject. */
  private verdictOn(id: string): Promise<Settled> {
    return new Promise((resolve) => {
      this.verdicts.waitFor(id, resolve);
      // Of one that is pending here the verdict is yet to come.
      const phase = this.life.parts?.runner.engine.mutations.phaseOf(id);
      if (phase === undefined || phase === 'failed') this.settled(id).then(resolve, () => {});
    });
  }

  private refused(error: unknown, call?: StoringCall): never {
    call?.ended();
    this.storageWatch.refused(error);
    this.log.note('queue', 'notStored', errorData(error));
    throw error;
  }

  /** Dead letters are bounded too: an evicted one is one more of them. */
  private async evict(needed: Load): Promise<boolean> {
    const { runner } = await this.life.opened();
    const { failed } = runner.engine.mutations.counts;
    const mayEvict = this.options.evict === 'lowPriority' && failed + needed.count <= this.options.queueCapCount;
    return mayEvict && runner.evict(needed);
  }

  /** What may be done again where the queue has moved to another store in the middle of it. */
  private async onStore<Result>(work: (call: StoringCall) => Promise<Result>): Promise<Result> {
    const call = this.calls.begin();
    try {
      return await work(call);
    } catch (error) {
      if (!isMoved(error)) this.refused(error, call);
    }
    try {
      await this.life.opening.done;
      return await work(call);
    } catch (error) {
      this.refused(error, call);
    }
  }

  private fail(error: HoldfastError): void {
    this.storageWatch.refused(error);
    this.log.note('queue', 'error', errorData(error));
    this.listeners.error.emit(error);
  }

  private settledBy(settlement: Settlement, { engine }: Runner): void {
    // A verdict may be heard of more than once.
    const isNews = settlement.kind !== 'completed' || this.verdicts.recent(settlement.record.id) === undefined;
    if (isNews) this.metrics.settled(settlement, engine.mutations.counts.pending, this.options.clock.nowMs());
    // The others hear of it too; one of them tells.
    if (isNews && engine.isLeader) this.reports.settled(settlement);
    this.bases.take(settlement);
    this.verdicts.take(settlement);
    if (settlement.kind === 'failed') this.askAbout(settlement.deadLetter.header.id);
  }

  private changed(ids: readonly string[]): void {
    this.version += 1;
    if (this.life.isRead) this.life.noteAnchor();
    this.metrics.changed(this.life.parts?.runner.engine.mutations.counts.pending ?? 0, this.options.clock.nowMs());
    const isVolatile = this.life.health.durability === 'volatile';
    const blockedBy = this.life.isRead ? null : this.life.opening.blockedBy;
    const snapshot = snapshotOf(this.life.parts?.runner ?? null, this.life.isRead, blockedBy, isVolatile);
    if (!isSameSnapshot(snapshot, this.snapshot)) this.snapshot = snapshot;
    this.listeners.change.emit({ ids });
    this.capacity.look();
  }
}

function eventOf(
  { header: { id, seq, type, revision }, payload }: Pick<Stored, 'header' | 'payload'>,
  input: MutationOptions | null = null,
): StoredEvent {
  const event = { id, seq, type, payload, revision };
  const own = ownEffectOf(input);
  return own === null ? event : { ...event, own };
}

function sensitiveInFile(): HoldfastError {
  return new HoldfastError({
    code: 'INVALID_OPTION',
    message: 'Nothing was exported: the queue holds sensitive fields, and they would be in the clear in the file.',
    hint: 'Give `includeSensitive: true`, and keep the file where nobody else reads it; or wait until they are delivered.',
  });
}

function unknownEvent(name: string, names: readonly string[]): HoldfastError {
  return invalidOption('name', `There is no event called ${name}.`, `Listen to one of these: ${names.join(', ')}.`);
}

function entriesOf(entry: Entry | undefined): readonly Entry[] {
  return entry === undefined ? [] : [entry];
}

function otherRow(type: string): HoldfastError {
  return new HoldfastError({
    code: 'INVALID_PAYLOAD',
    message: `Not chosen: the payload is about another row or lane than the ${type} that is in conflict.`,
    hint: 'Choose a payload of the same row; make another change for another row.',
  });
}
