import { deadLetterOf } from '../engine/entry.ts';
import type { Settlement } from '../engine/engine-io.ts';
import { HoldfastError, toHoldfastError } from '../mutation/holdfast-error.ts';
import type { MutationHeader } from '../mutation/record.ts';
import type { NetworkMonitor } from '../network/network-monitor.ts';
import type { Storage } from '../ports/storage.ts';
import type { ClientNotice, LostChanges } from '../protocol/wire.ts';
import type { DebugLog } from '../telemetry/debug-log.ts';
import type { ReportBook } from '../telemetry/report-book.ts';
import type { Acts } from './acts.ts';
import { AnchorKeeper, type ClientMark } from './store/anchor-keeper.ts';
import { readBackup } from './store/backup.ts';
import { parentsOf } from './store/history.ts';
import { loggedStorage, loggedTabs, loggedTransport } from './logged-ports.ts';
import { Opening } from './opening.ts';
import { HISTORY_MS, type ResolvedOptions } from './options.ts';
import { QueueReader } from './queue-reader.ts';
import { type ClientClaim, QueueStore } from './store/queue-store.ts';
import { Runner, type RunnerEvents } from './runner.ts';
import type { SignOut } from './sign-out.ts';
import { type MovedAll, type StorageHealth, StorageKeeper, WELL } from './store/storage-keeper.ts';
import type { VerdictBook } from './delivering/verdict-book.ts';

/** An opening that nobody waits for, and that failed, is tried again after this. */
const REOPEN_AFTER_MS = 2_000;

/** What a queue has once its store is open; made anew by `openAnew`. */
export interface Parts {
  readonly runner: Runner;
  readonly store: QueueStore;
  readonly reader: QueueReader;
}

export interface QueueLifePorts {
  readonly options: ResolvedOptions;
  readonly network: NetworkMonitor;
  readonly log: DebugLog;
  readonly reports: ReportBook;
  readonly verdicts: VerdictBook;
  readonly act: Acts['act'];
  readonly signIn: SignOut['signIn'];
  readonly changed: RunnerEvents['changed'];
  readonly settled: (settlement: Settlement, runner: Runner) => void;
  readonly told: RunnerEvents['told'];
  /** All that is stored has been read, for the first time or anew. */
  readonly read: (parts: Parts) => void;
  /** Something went wrong, and nothing is lost by it. */
  readonly fail: (error: HoldfastError) => void;
  readonly degraded: (error: HoldfastError) => void;
  readonly restored: (movedCount: number) => void;
  readonly lost: (lost: LostChanges) => void;
}

/**
 * A queue from its beginning to its end: on which store it works, and what it has of that, which is made anew when the store breaks,
 * is moved, or turns out to be an earlier one.
 */
export class QueueLife {
  /** Null before the store is open. */
  parts: Parts | null = null;
  opening: Opening;
  /** All that are not at an end: one that waits for keys, or for its store, goes on while another has begun. */
  private readonly openings = new Set<Opening>();
  /** Whether all that is stored has been read. */
  isRead = false;
  isClosed = false;
  health: StorageHealth = WELL;
  private readonly ports: QueueLifePorts;
  /** Null where the queue rejects when its store fails. */
  private readonly keeper: StorageKeeper | null;
  private readonly anchorKeeper: AnchorKeeper | null;
  private readonly ownTabId: string;
  private openingCount = 0;
  /** What was there before this queue was opened anew, until it is known what has become of all that was pending. */
  private former: Runner | null = null;
  /** The client of which the app was told last that changes were lost with it. */
  private lostClientId: string | null = null;
  /** Whoever creates a queue says that its user is signed in; said once, so that no restart undoes a sign-out. */
  private isSignedIn = false;
  /** Says how far this client has come. */
  noteAnchor: () => ClientMark | null = () => null;

  constructor(ports: QueueLifePorts) {
    this.ports = ports;
    const { anchor, clock, newId } = ports.options;
    this.anchorKeeper = anchor === null ? null : new AnchorKeeper({ anchor, clock, report: ports.fail });
    this.keeper = this.makeKeeper();
    this.ownTabId = this.keeper === null ? '' : newId(clock.wallMs());
    this.opening = this.beginOpening();
  }

  /** Rejects while the queue cannot be opened, and once it is closed. */
  async opened(): Promise<Parts> {
    await this.opening.now();
    const { parts } = this;
    if (this.isClosed || parts === null) throw queueClosed();
    return parts;
  }

  /** What has been read of the store; the one from before while the queue is opened anew, and null the first time. */
  get shownBy(): Runner | null {
    return this.isRead ? (this.parts?.runner ?? null) : this.former;
  }

  /** Builds this tab's part anew from what is stored. */
  openAnew(): Opening {
    const runner = this.parts?.runner ?? null;
    this.isRead = false;
    this.former ??= runner;
    this.opening = this.beginOpening(async () => runner?.close());
    return this.opening;
  }

  /** Nothing more is begun. */
  halt(): void {
    this.isClosed = true;
    for (const opening of this.openings) opening.giveUp();
    this.parts?.runner.halt();
  }

  async close(): Promise<void> {
    await this.parts?.runner.close();
    await this.keeper?.close();
    this.anchorKeeper?.end();
  }

  /** Looks now whether a store that could not be used can be. */
  async retryStorage(): Promise<void> {
    await this.keeper?.tryAgain();
  }

  /** The user has been told of changes that were lost. */
  dismissLost(): void {
    this.health = { ...this.health, lost: null };
    this.ports.changed([]);
  }

  private beginOpening(before: () => Promise<void> = () => Promise.resolve()): Opening {
    this.openingCount += 1;
    const number = this.openingCount;
    const isCurrent = (): boolean => number === this.openingCount;
    const opening = new Opening({
      clock: this.ports.options.clock,
      open: async (hasOpened) => {
        try {
          await before();
          while (isCurrent() && !(await this.openedOrElse(isCurrent, hasOpened)));
        } catch (error) {
          if (isCurrent()) throw error;
        }
        // Another one has begun: whoever waits for this one waits for that.
        if (!isCurrent()) await this.opening.now();
      },
      onForeground: (listener) => this.onForeground(listener),
      blocked: (error) => {
        this.ports.fail(error);
        this.ports.changed([]);
      },
    });
    const end = (): void => void this.openings.delete(opening);
    this.openings.add(opening);
    opening.done.then(end, end);
    return opening;
  }

  private onForeground(listener: () => void): () => void {
    return this.ports.network.onHint((hint) => {
      if (hint === 'foreground') listener();
    });
  }

  /** False where the store did not read, and the same or another one is worth opening now. */
  private async openedOrElse(isCurrent: () => boolean, hasOpened: () => void): Promise<boolean> {
    try {
      await this.open(isCurrent, hasOpened);
      this.keeper?.hasRead();
      return true;
    } catch (error) {
      if (!isCurrent() || this.isClosed || (await this.keeper?.openingFailed(error)) !== true) throw error;
      return false;
    }
  }

  /** `isCurrent`: false when another opening has begun, which this one then leaves the rest to. */
  private async open(isCurrent: () => boolean, hasOpened: () => void): Promise<void> {
    const { keeper, ports } = this;
    const { options, log, network, reports, verdicts } = ports;
    const { openStorage, openTabs, name, identity, clock, definitions, tail } = options;
    const storeName = ['holdfast', name, identity.workspaceId, identity.userId].map(encodeURIComponent).join('/');
    const opened = await (keeper === null ? openStorage(storeName) : keeper.open(storeName)).catch((error: unknown) => {
      throw toHoldfastError(error);
    });
    hasOpened();
    const storage = loggedStorage(opened, log, clock);
    // It may have taken long.
    if (!isCurrent() || this.isClosed) return storage.close();
    if (keeper === null && this.health.durability === null) this.health = { ...WELL, durability: storage.durability };
    const tabsName = keeper === null ? storeName : keeper.tabsNameOf(storeName, this.ownTabId);
    // One in memory, or that has taken a broken one's place, is new for another reason than that the old one was lost.
    const isOwn = storage.durability !== 'volatile' && this.health.leftBehindCount === 0;
    const anchorKeeper = isOwn ? this.anchorKeeper : null;
    const anchor = (await anchorKeeper?.read(storeName)) ?? null;
    const store = await QueueStore.open(storage, { ...this.openOptions, anchor, tail }).catch(
      async (error: unknown) => {
        await storage.close();
        throw error;
      },
    );
    if (!isCurrent()) return storage.close();
    // What cannot be read of it now may be read another time.
    await this.bringTogether(storage).catch((error: unknown) => this.report(error));
    const runner = new Runner(
      {
        ...options,
        store,
        tabs: loggedTabs(openTabs(tabsName), log),
        network,
        transport: loggedTransport(options.transport, log, clock),
        ...identity,
        queueName: keeper?.queueNameOf(name) ?? name,
        newId: this.newId,
        reports,
        log,
      },
      {
        changed: ports.changed,
        settled: (settlement) => ports.settled(settlement, runner),
        discarded: (ids, ending) => verdicts.discarded(ids, ending),
        failed: ports.fail,
        told: ports.told,
        heardOfClient: (notice, asked) => {
          this.heardOfClient(store, notice, asked).catch((error: unknown) => this.report(error));
        },
      },
    );
    this.noteAnchor = () => {
      const mark = {
        clientId: store.clientId,
        lastSeq: runner.watch.seen,
        unsentCount: runner.engine.mutations.counts.pending,
      };
      anchorKeeper?.note(storeName, mark);
      return mark;
    };
    if (anchorKeeper !== null) anchorKeeper.latest = this.noteAnchor;
    const parts = { runner, store, reader: new QueueReader({ runner, store, verdicts, identity, definitions }) };
    this.parts = parts;
    try {
      await runner.open();
    } catch (error) {
      // The keys may have gone away in the middle.
      await runner.close();
      throw error;
    }
    if (!this.isSignedIn)
      void ports.signIn(parts).then((isSignedIn) => {
        this.isSignedIn ||= isSignedIn;
      });
    // What is not swept now is swept by the next opening.
    await store
      .sweepHistory(clock.wallMs() - HISTORY_MS, parentsOf(runner.engine.mutations))
      .catch((error: unknown) => this.report(error));
    if (!isCurrent()) return;
    this.isRead = true;
    const mark = this.noteAnchor();
    if (mark !== null) anchorKeeper?.note(storeName, mark, true);
    // It is open by now: what cannot be read is told with the next batch.
    const isForkUntold = await store.isForkUntold().catch((error: unknown) => this.report(error));
    if (isForkUntold === true) runner.tellOfFork();
    ports.changed([]);
    this.tellEndedMeanwhile(runner);
    ports.read(parts);
  }

  private readonly newId = (): string => {
    const { newId, clock } = this.ports.options;
    return newId(clock.wallMs());
  };

  private get openOptions(): Parameters<typeof QueueStore.open>[1] {
    const { clock, random, readPageCount } = this.ports.options;
    return { newClientId: this.newId, random, wallMs: () => clock.wallMs(), pageCount: readPageCount };
  }

  /** What was pending before this queue was opened anew, and is no more: another tab delivered, and nobody here heard of it. */
  private tellEndedMeanwhile(runner: Runner): void {
    const { former } = this;
    if (former === null) return;
    this.former = null;
    const gone: MutationHeader[] = [];
    const { mutations } = former.engine;
    const open = [...mutations.all()].filter((each) => each.phase.kind !== 'failed' || mutations.isBeingGivenUp(each));
    for (const header of [...open.map((before) => before.header), ...former.watch.unseen.values()]) {
      // What is as it was stays packed.
      const phase = runner.engine.mutations.phaseOf(header.id);
      const entry = phase === 'failed' ? runner.engine.mutations.get(header.id) : undefined;
      if (phase === undefined) gone.push(header);
      for (const deadLetter of entry === undefined ? [] : deadLetterOf(entry))
        this.ports.settled({ kind: 'failed', deadLetter }, runner);
    }
    if (gone.length > 0) runner.watch.lookFor(gone);
  }

  private makeKeeper(): StorageKeeper | null {
    const { fail, changed, degraded, restored } = this.ports;
    const { fallback, clock, openStorage } = this.ports.options;
    if (fallback === null) return null;
    const keeper = new StorageKeeper({
      ...fallback,
      openOwn: openStorage,
      clock,
      moveAll: (from, into, isLast) => this.moveAll(from, into, isLast),
      changed: () => {
        this.health = { ...keeper.health, lost: this.health.lost };
        changed([]);
      },
      degraded: (error) => {
        fail(error);
        degraded(error);
      },
      restored,
      restart: () => this.reopen(),
      report: fail,
    });
    this.onForeground(() => void keeper.tryAgain());
    return keeper;
  }

  /** As `openAnew`, from within: nobody waits for it, so what goes wrong is told, and it is tried again. */
  private reopen(): void {
    if (this.isClosed) return;
    const opening = this.openAnew();
    opening.done.catch((error: unknown) => {
      if (this.opening !== opening) return;
      this.report(error);
      this.ports.options.clock.schedule(REOPEN_AFTER_MS, () => {
        if (this.opening === opening) this.reopen();
      });
    });
  }

  private async bringTogether(storage: Storage): Promise<void> {
    if (storage.apart === undefined) return;
    const { movedCount, isWhole } = await this.moveAll(storage.apart.storage, storage, false);
    if (isWhole) await storage.apart.taken();
    if (movedCount > 0) this.ports.restored(movedCount);
  }

  private async moveAll(from: Storage, into: Storage, isLast: boolean): Promise<MovedAll> {
    const { identity, clock } = this.ports.options;
    const source = await QueueStore.open(from, this.openOptions);
    const target = await QueueStore.open(into, this.openOptions);
    const salvage = { isWhole: true, isLast };
    const content = readBackup(await source.backup(identity, clock.wallMs(), salvage), identity);
    const act = this.ports.act('import', { reason: 'The store of this device was replaced' });
    const { pendingCount, deadLetterCount } = await target.moveIn(content, act);
    return { movedCount: pendingCount + deadLetterCount, isWhole: salvage.isWhole };
  }

  /** The server knows more of this client than its store: it takes another id, and what was lost is told. */
  private async heardOfClient(store: QueueStore, { behind, lost }: ClientNotice, asked: ClientClaim): Promise<void> {
    if (behind !== undefined) {
      // With the same numbers for other mutations it must take another id, however far numbers have come.
      const highSeq = behind.reason === 'behind' ? behind.highSeq : Number.POSITIVE_INFINITY;
      const hasForked = await store.fork(asked.clientId, this.newId, highSeq);
      this.ports.log.note('queue', 'behind', { hasForked, highSeq: behind.highSeq });
      if (hasForked) this.reopen();
      return;
    }
    if (asked.forked !== null) await store.forkIsTold(asked.forked);
    // Asked with a report and with a batch, it may be told twice.
    if (lost === undefined || lost.clientId === this.lostClientId) return;
    this.lostClientId = lost.clientId;
    this.health = { ...this.health, lost };
    this.ports.lost(lost);
    this.ports.changed([]);
  }

  private report(error: unknown): void {
    this.ports.fail(toHoldfastError(error));
  }
}

export function queueClosed(): HoldfastError {
  return new HoldfastError({
    code: 'QUEUE_CLOSED',
    message: 'This queue is closed.',
    hint: 'Use the queue of the current login.',
  });
}
