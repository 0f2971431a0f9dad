import { Engine } from '../engine/engine.ts';
import type { EngineEffect, EngineInput, Moment, Settlement, WaitingFor } from '../engine/engine-io.ts';
import type { Entry } from '../engine/entry.ts';
import { fromNewerApp } from '../engine/versions.ts';
import { HoldfastError, toHoldfastError } from '../mutation/holdfast-error.ts';
import type { Act, HeaderFields, MutationHeader } from '../mutation/record.ts';
import { knownVersionsOf, type Standing, standingOf } from '../mutation/versions.ts';
import type { NetworkMonitor, NetworkStatus } from '../network/network-monitor.ts';
import type { Tabs } from '../ports/tabs.ts';
import type { ClientNotice, Json, WireError } from '../protocol/wire.ts';
import type { DebugLog } from '../telemetry/debug-log.ts';
import type { ReportBook } from '../telemetry/report-book.ts';
import { Alarms } from './delivering/alarms.ts';
import { Amender } from './adding/amender.ts';
import { AskLeader, type CancelAnswer, type StopReason } from './tabs/ask-leader.ts';
import type { Load } from './adding/capacity.ts';
import { ConflictDesk } from './delivering/conflict-desk.ts';
import type { PlaceRule } from './store/dead-letter-store.ts';
import { Leadership } from './tabs/leadership.ts';
import { leaderAnswers } from './tabs/leader-answers.ts';
import { LockWatch } from './tabs/lock-watch.ts';
import { isLocked } from './store/storage-errors.ts';
import { logInput } from './logged-ports.ts';
import { type Identity, onDeadLetterOf, PAUSE_GRACE_MS, type ResolvedOptions, retryRulesOf } from './options.ts';
import type { Ending } from './store/history.ts';
import type { ClientClaim, QueueStore } from './store/queue-store.ts';
import type { PartPorts } from './part-ports.ts';
import { Recovery } from './store/recovery.ts';
import { Sender } from './delivering/sender.ts';
import { migrator } from './adding/migrator.ts';
import type { Rewriting } from './adding/rewriting.ts';
import { SettlementWriter } from './delivering/settlement-writer.ts';
import { slotFiller } from './adding/slot-filler.ts';
import { StoreWatch } from './store/store-watch.ts';
import { mendedError } from './store/stored-meta.ts';
import { decodeTabMessage, encodeTabMessage, type TabMessage } from './tabs/tab-message.ts';

export interface RunnerPorts
  extends Identity,
    Pick<
      ResolvedOptions,
      'clock' | 'random' | 'transport' | 'getToken' | 'attemptTimeoutMs' | 'definitions' | 'policyOf' | 'packing'
    > {
  readonly store: QueueStore;
  readonly tabs: Tabs;
  readonly network: NetworkMonitor;
  /** Which of the app's queues this is. */
  readonly queueName: string;
  /** Unlike every id that any tab makes. */
  readonly newId: () => string;
  readonly reports: ReportBook;
  readonly log: DebugLog;
}

/** What the runner tells the queue. */
export interface RunnerEvents {
  /** These look different now; or, with none, the gates do. */
  readonly changed: (ids: readonly string[]) => void;
  /** In this tab or in another. */
  readonly settled: (settlement: Settlement) => void;
  readonly discarded: (ids: readonly string[], ending: Ending) => void;
  readonly failed: (error: HoldfastError) => void;
  /** Another tab tells its user of it. */
  readonly told: (id: string) => void;
  /** What the server says of a client, and what it was told of it when it was asked. */
  readonly heardOfClient: (notice: ClientNotice, asked: ClientClaim) => void;
}

/** Longest wait for an answer beyond the time that answering takes, in milliseconds. */
const ANSWER_MS = 2_000;
/** A tab that delivers no longer looks into the store after this, in milliseconds. */
const LOOK_AFTER_LEADING_MS = 500;
/** Longest wait for room to be made, in milliseconds, before an `add` is refused. */
const EVICT_TIMEOUT_MS = 1_000;
/** How often the store is looked at although no other tab has said that something changed. */
const LOOK_AGAIN_MS = 60_000;

/**
 * Performs the engine's effects and feeds back what happened; holds no rule of its own. Whatever goes wrong here ends as
 * an input to the engine or as an event, never as a lost promise.
 */
export class Runner {
  readonly engine: Engine;
  readonly watch: StoreWatch;
  readonly amender: Amender;
  readonly alarms: Alarms;
  readonly conflicts: ConflictDesk;
  readonly askLeader: AskLeader;
  readonly recovery: Recovery;
  private readonly ports: RunnerPorts;
  private readonly events: RunnerEvents;
  private isClosing = false;
  /** What is found from now on was not there when this tab was opened. */
  private hasReadAll = false;
  private newestNewerSeq = 0;
  private isClosed = false;
  private closing: Promise<void> | null = null;
  private readonly sender: Sender;
  private readonly writer: SettlementWriter;
  private readonly rewritings: { readonly fillSlots: Rewriting; readonly migrate: Rewriting };
  private readonly reportedNewer = new Set<string>();
  private cancelWake: () => void = () => {};
  private readonly leadership: Leadership;
  private readonly lock: LockWatch;
  private readonly stopListening: (() => void)[] = [];
  private lastTold = '';
  /** At a sign-out: nothing is sent, and yet someone must deliver, who alone may take back. */
  private isDiscarding = false;

  constructor(ports: RunnerPorts, events: RunnerEvents) {
    this.ports = ports;
    this.events = events;
    const versions = new Map([...ports.definitions].map(([type, each]) => [type, knownVersionsOf(each)]));
    const standing = (header: HeaderFields): Standing => standingOf(header, (type) => versions.get(type) ?? null);
    this.engine = new Engine({
      standingOf: standing,
      retryRules: (type) => retryRulesOf(ports.definitions.get(type)),
      onDeadLetter: (type) => onDeadLetterOf(ports.definitions.get(type)),
      policyOf: ports.policyOf,
      packing: ports.packing,
      mayForget: ports.store.durability === 'relaxed',
      keepsResult: (type) => ports.definitions.get(type)?.result !== undefined,
    });
    this.alarms = new Alarms(ports.clock);
    const shared: PartPorts = {
      ...ports,
      engine: this.engine,
      alarms: this.alarms,
      dispatch: (input: EngineInput): void => this.dispatch(input),
      post: (message: TabMessage): void => this.post(message),
      settled: events.settled,
      standDown: (): void => this.leadership.fenced(),
      report: (error: unknown): void => this.report(error),
    };
    this.lock = new LockWatch({
      ...shared,
      unlocked: () => {
        this.readGates();
        this.heed(this.watch.reconcile());
      },
    });
    this.watch = new StoreWatch({ ...shared, discarded: events.discarded, isClosed: () => this.isClosed });
    this.sender = new Sender({
      ...shared,
      reconcile: () => this.heed(this.watch.reconcile()),
      noticedLock: (error) => this.lock.noticed(error),
      heardOfClient: events.heardOfClient,
      firstUnreadableSeq: () => this.watch.firstUnreadableSeq,
      allStored: async () => {
        await this.writer.whenWritten;
        return this.writer.isAllStored;
      },
      forgottenFailed: (deadLetter) => {
        const settlements = [{ kind: 'failed', deadLetter }] as const;
        this.watch.settledElsewhere(settlements);
        this.post({ kind: 'settled', settlements });
      },
    });
    this.writer = new SettlementWriter({ ...shared, watch: this.watch });
    this.askLeader = new AskLeader({
      ...shared,
      isLeader: () => this.engine.isLeader,
      answers: leaderAnswers({
        ...shared,
        watch: this.watch,
        writer: this.writer,
        amender: () => this.amender,
        recovery: () => this.recovery,
        moment: () => this.moment(),
        stop: (reason) => this.stopHere(reason),
      }),
    });
    this.recovery = new Recovery({
      ...shared,
      watch: this.watch,
      writer: this.writer,
      askLeader: () => this.askLeader,
      giveUp: (seqs, error) => this.sender.giveUpUnreadable(seqs, error),
    });
    this.conflicts = new ConflictDesk({
      ...shared,
      conflictStrategy: (type) => ports.definitions.get(type)?.conflict,
      stoodBefore: (header) => this.engine.isEarlier(header),
      whenWritten: () => this.writer.whenWritten,
    });
    this.amender = new Amender({
      ...shared,
      watch: this.watch,
      askLeader: () => this.askLeader,
    });
    const rewriting = {
      ...shared,
      amender: this.amender,
      giveUpUnreadable: (seqs: readonly number[], error?: WireError) => this.sender.giveUpUnreadable(seqs, error),
    };
    this.rewritings = {
      fillSlots: slotFiller({ ...rewriting, isOpen: (id) => this.engine.mutations.has(id) }),
      migrate: migrator({ ...rewriting, standingOf: standing }),
    };
    this.leadership = new Leadership({
      ...shared,
      hasWork: () => this.engine.mutations.counts.pending > 0 && (!this.engine.gates.isStopped || this.isDiscarding),
      isLeader: () => this.engine.isLeader,
      epoch: () => ports.store.epochNumber,
      takeOver: (isWanted, heardEpoch) => this.takeOver(isWanted, heardEpoch),
      begin: (earlierSeq) => {
        this.dispatch({ kind: 'leadership', isLeader: true, earlierSeq });
        this.askLeader.leads();
      },
      // Keys that are away have a gate of their own.
      storeFails: (error) => {
        if (error === null) this.dispatch({ kind: 'storageWorks' });
        else if (!isLocked(error)) this.dispatch({ kind: 'storageFailed', error: toHoldfastError(error).toWire() });
      },
      standDown: () => this.standDown(),
      ask: () => this.post({ kind: 'hello' }),
    });
  }

  /** Reads what is pending, joins the other tabs, and begins to deliver when it is this tab's turn. */
  async open(): Promise<void> {
    const { store, network, tabs } = this.ports;
    if (store.mended.length > 0) this.report(mendedError(store.mended));
    if (await store.isPaused()) this.dispatch({ kind: 'paused' });
    if ((await store.signOut.read()) !== null) this.dispatch({ kind: 'signedOut' });
    if (!network.isOnline()) this.dispatch({ kind: 'hint', hint: 'offline' });
    this.noteConditions(network.getSnapshot());
    this.stopListening.push(
      tabs.onMessage((message) => this.receive(message)),
      network.onHint((hint) => {
        this.dispatch({ kind: 'hint', hint });
        this.lock.check();
        if (hint === 'foreground' && !this.engine.isLeader) this.heed(this.watch.reconcile());
        else this.watch.catchUpLater();
      }),
      network.onChange((status) => this.noteConditions(status)),
      // Found out by the monitor itself: a tab that delivers nothing, or has nothing to deliver, never asks.
      network.onReconnect(({ latencyMs }) =>
        this.dispatch({ kind: 'probed', result: { kind: 'reached', latencyMs: latencyMs ?? 0 } }),
      ),
    );
    let isFirstPage = true;
    await this.watch.reconcile(() => {
      // The store reads, and whoever is to deliver may begin.
      if (isFirstPage) this.leadership.start();
      isFirstPage = false;
    });
    this.hasReadAll = true;
    this.alarms.after(LOOK_AGAIN_MS, () => this.lookAgain());
  }

  dispatch(input: EngineInput): void {
    if (this.isClosed) return;
    logInput(this.ports.log, input);
    for (const effect of this.engine.handle(input, this.moment())) this.perform(effect);
    if (input.kind === 'found' || input.kind === 'amended') this.noticeNewer(input.headers);
    if (input.kind === 'upgradeRequired') this.resign(input.error);
  }

  /** A newer version of the app has opened the store: only that one knows what stands there. */
  private resign(error: WireError): void {
    if (this.leadership.resign()) this.report(new HoldfastError(error));
  }

  /** What a newer version of the app has stored is left to it, and reported, each of its kind once. */
  private noticeNewer(headers: readonly MutationHeader[]): void {
    const { mutations } = this.engine;
    if (!mutations.versions.hasNewer) return;
    const isNewer = (entry: Entry | undefined): boolean => entry !== undefined && mutations.versions.isNewer(entry);
    const newer = headers.filter(({ seq }) => isNewer(mutations.at(seq)));
    if (newer.length === 0) return;
    for (const header of newer) {
      const kind = `${header.version} ${header.type}`;
      if (this.reportedNewer.has(kind)) continue;
      this.reportedNewer.add(kind);
      this.report(new HoldfastError(fromNewerApp(header)));
    }
    const newestSeq = Math.max(...newer.map(({ seq }) => seq));
    const isStoredJustNow = this.hasReadAll && newestSeq > this.newestNewerSeq;
    this.newestNewerSeq = Math.max(this.newestNewerSeq, newestSeq);
    // A tab of that version is there, and can deliver it.
    if (this.engine.isLeader || isStoredJustNow) this.leadership.giveWay();
  }

  private noteConditions({ type, appState }: NetworkStatus): void {
    this.dispatch({ kind: 'conditions', conditions: { connection: type, appState } });
  }

  moment(): Moment {
    const { clock, random } = this.ports;
    return { nowMs: clock.nowMs(), wallMs: clock.wallMs(), random };
  }

  post(message: TabMessage): void {
    if (this.isClosed) return;
    try {
      this.ports.tabs.post(encodeTabMessage(message));
    } catch (error) {
      // A hint that cannot be given is like one that is lost: the others find the truth in the store.
      this.report(error);
    }
  }

  /** Just stored by this tab. */
  added(headers: readonly MutationHeader[]): void {
    this.watch.added(headers);
    this.post({ kind: 'stored' });
  }

  /** Just disposed of by this tab. */
  discarded(ids: readonly string[]): void {
    this.watch.discarded(ids);
    this.post({ kind: 'discarded', ids });
    this.events.discarded(ids, 'discarded');
  }

  readonly placeRule: PlaceRule = {
    mayHoldLane: (type) => this.engine.mutations.mayHoldLane(type),
    pendingHeader: (id) => {
      const entry = this.engine.mutations.get(id);
      return entry === undefined || entry.phase.kind === 'failed' ? undefined : entry.header;
    },
  };

  /** Whether this is a dead letter that holds its lane. */
  holdsLane(id: string): boolean {
    const entry = this.engine.mutations.get(id);
    return entry !== undefined && this.engine.mutations.holdsLane(entry);
  }

  /** Lets those of low priority make room, which only the tab that delivers may: it knows what was never sent. */
  async evict(needed: Load): Promise<boolean> {
    return (await this.askLeader.ask({ kind: 'evict', ...needed }, EVICT_TIMEOUT_MS)) === true;
  }

  /** Takes back those that cannot have been sent, which only the tab that delivers knows: another one asks it. */
  async cancel(ids: readonly string[], act: Act, evenIfSent?: true): Promise<readonly CancelAnswer[]> {
    const answer = await this.askLeader.ask({
      kind: 'cancel',
      ids,
      act,
      ...(evenIfSent === true ? { evenIfSent } : {}),
    });
    return answer ?? ids.map(() => 'unknown');
  }

  /** Resolves when the verdicts told so far are stored, or wait for the next try. */
  get whenWritten(): Promise<void> {
    return this.writer.whenWritten;
  }

  /**
   * Closes the gate in every tab, and resolves when the tab that delivers has nothing on its way. One that does not answer
   * is frozen or gone: it reads what stands in the store before it sends again, and does not trust what it read long before.
   */
  async stop(reason: StopReason): Promise<void> {
    this.dispatch({ kind: reason });
    this.post({ kind: reason });
    await this.askLeader.ask({ kind: 'stop', reason }, PAUSE_GRACE_MS + ANSWER_MS);
    await this.sender.whenIdle(PAUSE_GRACE_MS);
  }

  private async stopHere(reason: StopReason): Promise<void> {
    this.dispatch({ kind: reason });
    await this.sender.whenIdle(PAUSE_GRACE_MS);
  }

  /** The login of this queue is there again. */
  signedIn(): void {
    this.isDiscarding = false;
    this.dispatch({ kind: 'signedIn' });
    this.post({ kind: 'signedIn' });
  }

  /** From now on a tab that delivers is needed, though nothing is sent. */
  discardingBegun(): void {
    this.isDiscarding = true;
    this.leadership.watch();
  }

  get isEnded(): boolean {
    return this.isClosing;
  }

  tellOfFork(): void {
    // It is told with the next batch otherwise.
    this.heed(this.sender.tellOfFork());
  }

  /** Closes the gate of this run only: nothing more is begun. */
  halt(): void {
    this.isClosing = true;
    this.dispatch({ kind: 'paused' });
    this.sender.callOff();
  }

  /** Resolves when it is at an end, whoever else has asked for that. */
  close(): Promise<void> {
    this.closing ??= this.end();
    return this.closing;
  }

  private async end(): Promise<void> {
    this.halt();
    await this.sender.whenDone;
    await this.writer.whenWritten;
    if (this.engine.isLeader) this.post({ kind: 'gone' });
    this.isClosed = true;
    this.writer.end();
    this.leadership.stop();
    for (const stop of this.stopListening) stop();
    this.alarms.end();
    this.askLeader.end();
    await this.watch.whenQuiet;
    this.ports.tabs.close();
    await this.ports.store.close();
  }

  /** What people have closed, as it stands in the store. */
  private readGates(): void {
    const { store } = this.ports;
    Promise.all([store.isPaused(), store.signOut.read()]).then(
      ([isPaused, signOut]) => {
        const { gates } = this.engine;
        // A closing queue has closed its gate for itself.
        if (isPaused !== gates.isPaused && !this.isClosing) this.dispatch({ kind: isPaused ? 'paused' : 'resumed' });
        if ((signOut !== null) !== gates.isSignedOut)
          this.dispatch({ kind: signOut === null ? 'signedIn' : 'signedOut' });
      },
      (error: unknown) => this.report(error),
    );
  }

  /** Messages may be lost: now and then the store is looked at without one. */
  private lookAgain(): void {
    this.readGates();
    const { isLeader, mutations } = this.engine;
    if (isLeader || mutations.counts.pending === 0) this.watch.catchUpLater();
    else this.heed(this.watch.reconcile());
    // A lane that is held, or an edit in conflict, waits for what someone did in another tab, and that may not have been heard.
    if (isLeader && mutations.schedule.isHeld) this.heed(this.watch.lookAtDeadLetters());
    if (isLeader) this.heed(this.watch.lookAtConflicts());
    this.alarms.after(LOOK_AGAIN_MS, () => this.lookAgain());
  }

  /** Before something is sent, it is looked at in the store once more: what this tab took for settled may not be. */
  private async takeOver(isWanted: () => boolean, heardEpoch: number): Promise<number | null> {
    const earlierSeq = await this.ports.store.takeOver(isWanted, heardEpoch);
    if (earlierSeq === null) return null;
    await this.watch.takeOver();
    return earlierSeq;
  }

  private standDown(): void {
    this.writer.drop();
    this.dispatch({ kind: 'leadership', isLeader: false });
    // What the other one has settled before, this tab was not told. Not at once: a page that is being frozen must not begin
    // to read, since its open transaction would keep the others from writing until it is back.
    this.alarms.after(LOOK_AFTER_LEADING_MS, () => this.heed(this.watch.reconcile()));
  }

  private receive(raw: Json): void {
    const message = decodeTabMessage(raw);
    if (message === null || this.isClosed) return;
    switch (message.kind) {
      case 'stored':
        this.watch.catchUpLater();
        return;
      case 'settled':
        this.watch.settledElsewhere(message.settlements);
        return;
      case 'amended':
      case 'letGo':
        this.amender.hear(message);
        return;
      case 'discarded':
        this.heed(this.takeDiscarded(message.ids));
        return;
      case 'deadLettersChanged':
        this.heed(this.watch.lookAtDeadLetters());
        return;
      case 'delivering':
        if (this.leadership.heard(message.epoch))
          this.dispatch({ kind: 'sendingElsewhere', seqs: message.seqs, waitingFor: message.waitingFor });
        return;
      case 'gone':
        this.leadership.heardOfGoing();
        return;
      case 'paused':
      case 'resumed':
      case 'signedOut':
      case 'signedIn':
        // It may be late, and overtaken by another: obeyed at once where that is safe, and checked.
        if (message.kind === 'paused' || message.kind === 'signedOut') this.dispatch({ kind: message.kind });
        this.readGates();
        return;
      case 'nudge':
        this.dispatch({ kind: 'hint', hint: 'nudge' });
        return;
      case 'ask':
        this.askLeader.asked(message);
        return;
      case 'answer':
        this.askLeader.hear(message.askId, message.answer);
        return;
      case 'told':
        this.events.told(message.id);
        return;
      case 'hello':
        this.lastTold = '';
        this.tellOthers();
        // It may be of the version that can deliver what this one cannot.
        if (this.engine.isLeader && this.engine.mutations.versions.hasNewer) this.leadership.giveWay();
        return;
    }
  }

  private perform(effect: EngineEffect): void {
    switch (effect.kind) {
      case 'send':
        this.sender.send(effect);
        return;
      case 'fillSlots':
      case 'migrate':
        this.rewritings[effect.kind].begin(effect);
        return;
      case 'abort':
        this.sender.callOff(effect.batchId);
        return;
      case 'settle':
        this.writer.settle(effect.settlements);
        return;
      case 'resolve':
        this.conflicts.decide(effect, this.ports.clock.wallMs());
        return;
      case 'probe':
        void this.ports.network.probe().then((result) => this.dispatch({ kind: 'probed', result }));
        return;
      case 'refreshToken':
        void this.sender
          .freshToken()
          .then((token) => this.dispatch({ kind: 'tokenRefreshed', isThere: token !== null }));
        return;
      case 'wakeAt':
        this.wakeAt(effect.atMs);
        return;
      case 'changed':
        this.tellOthers();
        this.leadership.watch();
        this.events.changed(effect.ids);
        return;
    }
  }

  private wakeAt(atMs: number | null): void {
    this.cancelWake();
    if (atMs === null) return;
    this.cancelWake = this.alarms.after(atMs - this.ports.clock.nowMs(), () => this.dispatch({ kind: 'tick' }));
  }

  private tellOthers(): void {
    if (!this.leadership.isAnswering) return;
    const closed = this.engine.gates.closed(this.ports.clock.nowMs());
    const waitingFor: WaitingFor | null = closed?.waitingFor ?? null;
    const { sendingSeqs } = this.engine;
    const told = `${waitingFor} ${sendingSeqs.join()}`;
    if (told === this.lastTold) return;
    this.lastTold = told;
    this.post({ kind: 'delivering', epoch: this.ports.store.epochNumber, seqs: sendingSeqs, waitingFor });
  }

  /** Nobody waits for it: what goes wrong is reported, and found out by another look. */
  private heed(work: Promise<unknown>): void {
    work.catch((error: unknown) => this.report(error));
  }

  /** Another tab has disposed of them. What it has put in their place becomes known first, so that nothing stands on nothing. */
  private async takeDiscarded(ids: readonly string[]): Promise<void> {
    await this.watch.catchUp().catch((error: unknown) => this.report(error));
    if (this.isClosed) return;
    this.watch.discarded(ids);
    this.events.discarded(ids, 'discarded');
  }

  private report(error: unknown): void {
    if (this.isClosed) return;
    this.lock.noticed(error);
    this.events.failed(toHoldfastError(error));
  }
}
