import {
  type AnyMutationDefinition,
  createOptimisticStore,
  createQueue,
  httpTransport,
  isHoldfastError,
  type JsonObject,
  type MutationQueue,
  type OptimisticStore,
  packPending,
} from 'holdfast';
import { type AppState, defineMutations, MERGED, MERGING_TYPE, TABLE } from './app-mutations.ts';
import type { Device } from './device.ts';
import type { Dice } from './dice.ts';
import { hasGivenWay } from './conflict-checks.ts';
import type { Made } from './history.ts';
import { type Field, FIELDS, type ItemRow, rowAsJson } from './server-model.ts';
import { openSimStorage } from './sim-storage.ts';
import type { OperatorAct } from './operators.ts';
import { POLICIES, UNPACKED } from './plan.ts';
import type { TabProcess } from './tab-process.ts';
import { EPOCH_MS, type World } from './world.ts';

export interface ChangeOptions {
  readonly priority: 'high' | 'normal' | 'low';
  readonly delayMs: number;
  readonly parents: readonly Made[];
  /** The creation whose row's id, as the server returns it, stands in this one; null for none. */
  readonly slotOf: Made | null;
  /** How long it may wait to be sent; null for ever. */
  readonly expiresInMs: number | null;
  /** Of an edit: the row that its user saw, and the fields that they change. */
  readonly edit?: { readonly row: ItemRow; readonly own: readonly Field[]; readonly isFresh: boolean };
}

/** One tab of the simulated app: the production queue over simulated ports, and what its user does with it. */
export class AppTab {
  readonly process: TabProcess;
  readonly queue: MutationQueue<readonly AnyMutationDefinition[]>;
  readonly view: OptimisticStore<AppState> | null;
  isClosing = false;
  private readonly world: World;
  private readonly device: Device;
  private readonly own: Made[] = [];
  /** What was asked of the queue, and is not answered. */
  private readonly openCalls = new Set<OpenCall>();
  private lastNewId = '';
  private loadNumber = 0;
  private newestLoaded = 0;
  /** Which load brought a state. */
  private readonly loadedAt = new WeakMap<AppState, number>();

  constructor(world: World, device: Device, process: TabProcess) {
    this.world = world;
    this.device = device;
    this.process = process;
    const { plan, history, dice, scheduler } = world;
    const jitter = dice.of(`jitter of ${process.name}`);
    process.appVersion = appVersionNow(world);
    process.calls(process.appVersion === 1 ? 'createQueue' : 'createQueue of the next version');
    this.queue = createQueue({
      name: 'sim',
      identity: { userId: device.userId, workspaceId: device.workspaceId },
      mutations: [
        ...defineMutations(plan, (entityId) => laneOf(world, entityId), process.appVersion),
        ...(world.story?.mutations ?? []),
      ],
      ...world.story?.options,
      transport: httpTransport({
        url: '/v1/apply',
        fetch: (_url, init) => {
          if (!process.isReady) world.facts.reached('sent while the rest is still being read');
          return device.line.fetch(process, init);
        },
      }),
      auth: { getToken: ({ refresh }) => device.token(process, refresh) },
      storage: (name) => openSimStorage(world, process, device.disk, name),
      network: device.line.networkSource(process),
      deliveryPolicy: POLICIES[plan.policy] ?? {},
      readPageCount: plan.readPageCount,
      ...(plan.packOverCount < UNPACKED ? { packing: packPending({ overCount: plan.packOverCount }) } : {}),
      tabs: () => device.circle.join(process),
      clock: {
        wallMs: () => this.wallMs(),
        nowMs: () => scheduler.nowMs - process.startedAtMs,
        schedule: (delayMs, callback) => process.timer(delayMs, callback),
      },
      random: () => jitter.next(0.5),
      newId: (wallMs) => {
        this.lastNewId = uuidV7(wallMs, dice.hex(19));
        history.issuedId(this.lastNewId, device.index);
        return this.lastNewId;
      },
    });
    this.noteCalls();
    this.queue.ready.then(
      this.told(() => {
        process.isReady = true;
        process.calls('ready');
        this.showDeadLetters();
      }),
      () => this.couldNotOpen(),
    );
    this.queue.on('settled', (settled) => {
      const attemptCount = this.queue.peekStatus(settled.id)?.attemptCount ?? 0;
      history.onSettled(device, process, settled, settled.status === 'failed' ? attemptCount : 0, plan.maxRetries);
    });
    let failedCount = 0;
    this.queue.on('change', () => {
      if (this.queue.getSnapshot().failedCount > failedCount) this.showDeadLetters();
      ({ failedCount } = this.queue.getSnapshot());
    });
    if (plan.updateAtMs > 0 && process.appVersion === 1) {
      this.queue.on('change', () => {
        const isUpgradeNeeded = this.queue.listUnconfirmed(20).some(({ waitingFor }) => waitingFor === 'upgrade');
        if (isUpgradeNeeded) this.world.facts.reached('an older app leaves alone what a newer one has stored');
      });
    }
    this.queue.on('error', ({ code }) => {
      if (code === 'UNREADABLE_RECORD') device.unreadableCount += 1;
    });
    this.watchConflicts();
    this.view = plan.hasView ? createOptimisticStore<AppState>({ queue: this.queue, base: { items: {} } }) : null;
    this.view?.subscribe(() => this.checkView());
  }

  add(type: string, entityId: string, tag: string, more: JsonObject, options: ChangeOptions): void {
    const { history, plan, facts } = this.world;
    const { isPaused, isLeader } = this.queue.getSnapshot();
    if (isPaused) facts.reached('added while paused');
    if (!this.process.isReady) facts.reached('added before the queue had opened');
    else if (!isLeader) facts.reached('added in a tab that does not lead');
    if (this.device.line.isCut) facts.reached('added while the line is cut');
    const { parents, slotOf, expiresInMs, edit, ...own } = options;
    const slot =
      slotOf === null ? {} : { mood: { holdfastSlot: { mutationId: slotOf.id, path: ['id'], kind: 'string' } } };
    const base =
      edit === undefined ? {} : { base: { rowVersion: edit.row.version, row: rowAsJson(entityId, edit.row) } };
    // What another tab has stored and this one has not heard of, its user cannot have seen.
    const pending =
      edit === undefined || !edit.isFresh
        ? null
        : (history
            .pendingOf(this.device.index, entityId)
            ?.filter(({ id }) => this.queue.peekStatus(id) !== undefined) ?? null);
    const adding = this.queue.add({
      type,
      payload: { id: entityId, tag, ...more, ...slot },
      ...own,
      ...base,
      dependsOn: parents,
      ...(expiresInMs === null ? {} : { expiresAt: this.wallMs() + expiresInMs }),
    });
    const made = history.invoked({
      tag,
      id: this.lastNewId,
      deviceIndex: this.device.index,
      process: this.process,
      lane: laneOf(this.world, entityId),
      entityId,
      isCreate: type === 'item.create',
      isMerging: type === MERGING_TYPE,
      delayMs: options.delayMs,
      invokedAtMs: this.world.scheduler.nowMs,
      parents: slotOf === null ? parents : [...parents, slotOf],
      slotOf,
      mayExpire: expiresInMs !== null,
      edit:
        edit === undefined
          ? null
          : {
              givesWay: type === 'item.yield',
              baseVersion: edit.row.version,
              own: new Set<string>(edit.own),
              seen: new Set(Object.values(edit.row.fields)),
              pending,
              unsure: history.unsureOf(this.device.index, entityId),
              isOpen: false,
              isChosen: false,
              mayGiveWay: false,
              hasMetConflict: false,
              ownConflict: null,
            },
    });
    const { lane } = made;
    this.own.push(made);
    this.process.calls(`add ${tag} in ${lane}`);
    adding.then(
      this.told((handle) => {
        history.acknowledged(made, handle);
        if (handle.durability !== (plan.isStoreRelaxed ? 'relaxed' : 'strict'))
          history.violated('inv-I22', `add of ${tag} promises ${handle.durability} on another store`);
        this.process.calls(`added ${tag}`);
        this.checkView();
        void this.noted(`settled of ${tag}`, handle.settled, made);
        handle.settled.then(
          (settled) => history.onSettled(this.device, this.process, settled, 0, plan.maxRetries),
          this.told((error: unknown) =>
            history.violated('inv-I22', `settled of ${tag} was rejected: ${codeOf(error)}`),
          ),
        );
      }),
      (error: unknown) => history.refused(made, codeOf(error)),
    );
  }

  /** Updates of several rows, which take effect together or not at all. */
  addTogether(
    changes: readonly { readonly entityId: string; readonly tag: string; readonly more: JsonObject }[],
  ): void {
    const { history, plan, scheduler } = this.world;
    const members = changes.map(({ entityId, tag, more }) => ({
      type: 'item.update',
      payload: { id: entityId, tag, ...more },
    }));
    const adding = this.queue.addAtomic(members, { maxRetries: plan.maxRetries });
    const all = changes.map(({ entityId, tag }) =>
      history.invoked({
        tag,
        id: this.lastNewId,
        deviceIndex: this.device.index,
        process: this.process,
        lane: laneOf(this.world, entityId),
        entityId,
        isCreate: false,
        isMerging: false,
        delayMs: 0,
        invokedAtMs: scheduler.nowMs,
        parents: [],
        slotOf: null,
        mayExpire: false,
        edit: null,
      }),
    );
    history.madeTogether(all);
    this.own.push(...all);
    const [head] = all;
    if (head === undefined) return;
    const names = all.map(({ tag }) => tag).join();
    this.process.calls(`add ${names} together`);
    adding.then(
      this.told((handle) => {
        history.acknowledged(head, handle);
        this.process.calls(`added ${names}`);
        this.checkView();
        void this.noted(`settled of ${names}`, handle.settled, head);
        handle.settled.then(
          (settled) => history.onSettled(this.device, this.process, settled, 0, plan.maxRetries),
          this.told((error: unknown) =>
            history.violated('inv-I22', `settled of ${names} was rejected: ${codeOf(error)}`),
          ),
        );
      }),
      (error: unknown) => {
        for (const made of all) history.refused(made, codeOf(error));
      },
    );
  }

  /** A pending one keeps its place. While a queue opens, or its end is being stored, nobody can say whether it will be one by then. */
  forceRetry(made: Made): void {
    const shown = this.queue.peekStatus(made.id);
    const isSure = this.queue.getSnapshot().isReady && shown?.waitingFor !== 'storage';
    if (shown?.status === 'failed') this.retry(made, true);
    if (shown?.status === 'pending' && isSure) this.queue.forceRetry(made.id).catch(() => {});
  }

  retry(made: Made, isForced = false, by: OperatorAct | null = null): void {
    const { history } = this.world;
    const place = history.retryInvoked(made, isForced);
    this.process.calls(`retry ${made.tag}`);
    const nothingHappened = this.told(() => void made.places.splice(made.places.indexOf(place), 1));
    const options = optionsOf(by);
    (isForced ? this.queue.forceRetry(made.id, options) : this.queue.retry(made.id, options)).then(
      this.told(({ touchedCount, ids }) => {
        if (by !== null) by.touchedIds = ids;
        if (touchedCount > 0) history.retried(made, place);
        else nothingHappened(null);
      }),
      nothingHappened,
    );
  }

  /** All of these that are dead letters, in one act. */
  retryAll(all: readonly Made[]): void {
    const { history } = this.world;
    const places = new Map(all.map((made) => [made.id, { made, place: history.retryInvoked(made) }]));
    this.process.calls(`retry ${all.map(({ tag }) => tag).join()}`);
    const end = (ids: readonly string[]): void => {
      for (const [id, { made, place }] of places) {
        if (ids.includes(id)) history.retried(made, place);
        else made.places.splice(made.places.indexOf(place), 1);
      }
    };
    this.queue.retryFailed({ where: ({ id }) => places.has(id) }).then(
      this.told(({ ids }) => end(ids)),
      this.told(() => end([])),
    );
  }

  /** Disposes of what it may in a lane. */
  clear(lane: string, all: readonly Made[]): void {
    for (const made of all) made.isDiscardAsked = true;
    this.process.calls(`clear ${lane}`);
    this.queue.clear({ lane, where: ({ id }) => all.some((made) => made.id === id) }).then(
      this.told(({ ids }) => {
        for (const made of all) {
          if (!ids.includes(made.id)) continue;
          made.isDiscarded = true;
          if (made.effectCount > 0)
            this.world.history.violated('inv-I26', `${made.tag} counts as cleared, and took effect`);
        }
      }),
      () => {},
    );
  }

  /** Gives it another payload, under a tag of its own. */
  edit(made: Made, more: JsonObject): void {
    const { history, scheduler } = this.world;
    const { edits } = history;
    const tag = `${made.tag}e${edits.count}`;
    const invokedAtMs = scheduler.nowMs;
    const edit = edits.invoked({ tag, made, process: this.process, invokedStep: history.nextStep(), invokedAtMs });
    // A dead letter makes way for what replaces it.
    if (made.toldFailedStep !== null || made.places.length > 1) made.isDiscardAsked = true;
    this.process.calls(`edit ${made.tag} to ${tag}`);
    this.queue.edit(made.id, { id: made.entityId, tag, ...more }).then(
      (answer) => {
        this.process.calls(`edit ${made.tag} to ${tag}: ${answer.kind}`);
        history.edited(edit, answer);
      },
      () => {
        edit.answer = 'refused';
      },
    );
  }

  /** Takes it back; only an answer that it is not too late leaves room for it being gone. */
  cancel(made: Made, by: OperatorAct | null = null): void {
    const { history } = this.world;
    const wasAsked = made.isDiscardAsked;
    made.isDiscardAsked = true;
    this.process.calls(`cancel ${made.tag}`);
    this.queue.cancel(made.id, optionsOf(by)).then(
      this.told((answer) => {
        this.process.calls(`cancel ${made.tag}: ${answer}`);
        // Of what nobody knows, nothing is known.
        if (by !== null && answer !== 'unknown') by.touchedIds = answer === 'cancelled' ? [made.id] : [];
        this.world.facts.reached(CANCEL_FACTS[answer]);
        if (answer === 'tooLate') made.isDiscardAsked = wasAsked || history.isDisposedByOthers(made, by);
        if (answer !== 'cancelled') return;
        made.isDiscarded = true;
        if (made.effectCount > 0) history.violated('inv-I26', `${made.tag} counts as cancelled, and took effect`);
      }),
      () => {},
    );
  }

  /** Somebody looks at every edit that waits for a choice, soon after this tab knows of it. */
  private watchConflicts(): void {
    const { dice } = this.world;
    const asked = new Set<string>();
    const ask = (id: string): void => {
      if (asked.has(id) || this.queue.peekStatus(id)?.waitingFor !== 'conflict') return;
      asked.add(id);
      const chance = dice.of(`choice in ${this.process.name}`, asked.size);
      this.process.later(chance.between(100, 5_000), 'user chooses', () => {
        asked.delete(id);
        // What could not be stored is asked for again.
        this.choose(id, chance).then(
          () => ask(id),
          () => ask(id),
        );
      });
    };
    this.queue.on('conflict', ({ id }) => {
      const { history } = this.world;
      const made = history.find(id);
      // A story has edits of its own, which it judges itself.
      if (made !== undefined) history.conflicts.onAsked(this.process, made, this.queue.getSnapshot().isLeader);
      ask(id);
    });
    // An app lists what waits for a choice whenever something has changed; only those in which the server saw a conflict can.
    const askAll = (): void => {
      for (const { id, deviceIndex } of this.world.history.conflicts.open)
        if (deviceIndex === this.device.index) ask(id);
    };
    this.queue.on('change', askAll);
    this.queue.ready.then(askAll, () => {});
  }

  private async choose(id: string, dice: Dice): Promise<void> {
    const { history } = this.world;
    const made = history.find(id);
    const conflict = made?.edit == null ? undefined : await this.queue.getConflict(id);
    if (made?.edit == null || conflict === undefined) return;
    const { edit } = made;
    const choice = dice.pick(['mine', 'theirs', 'both'] as const);
    this.process.calls(`choose ${choice} for ${made.tag}`);
    edit.isChosen = true;
    if (choice === 'theirs') made.isDiscardAsked = true;
    // Who chooses has seen the other version.
    for (const field of FIELDS) {
      const value = conflict.theirs?.[field];
      if (value === null || typeof value === 'string') edit.seen.add(value);
    }
    const own = Object.fromEntries([...edit.own].map((field) => [field, made.tag]));
    // An id that the server has returned since stays in it.
    const { mood } = conflict.mine;
    const payload = { id: made.entityId, tag: made.tag, ...own, ...(mood === undefined ? {} : { mood }) };
    const answer = choice === 'both' ? { payload } : choice;
    const isTaken = await this.queue.resolveConflict(id, answer, {
      actor: 'the simulated user',
      revision: conflict.revision,
    });
    if (isTaken && choice === 'theirs') made.isDiscarded = true;
  }

  discard(made: Made, by: OperatorAct | null = null): void {
    made.isDiscardAsked = true;
    this.process.calls(`discard ${made.tag}`);
    const { reason = 'the simulated user says so', ...actor } = optionsOf(by);
    this.queue.discard(made.id, reason, actor).then(
      this.told(({ touchedCount, ids }) => {
        if (by !== null) by.touchedIds = ids;
        if (touchedCount === 0) return;
        made.isDiscarded = true;
        this.world.facts.reached('a dead letter is discarded');
      }),
      () => {},
    );
  }

  releaseLane(lane: string): void {
    this.world.history.releaseInvoked(this.device, lane);
    this.process.calls(`release ${lane}`);
    this.queue.releaseLane(lane).catch(() => {});
  }

  /** Somebody looks at the lanes in which something waits for a decision, and decides. */
  decide(dice: Dice): void {
    for (const { lane, deadLetterId, waitingCount } of this.queue.listBlockedLanes()) {
      if (waitingCount === 0) continue;
      const made = this.world.history.find(deadLetterId);
      const choice = dice.below(3);
      if (choice === 0) this.releaseLane(lane);
      else if (made !== undefined && choice === 1) this.discard(made);
      else if (made !== undefined) this.retry(made);
    }
  }

  /** Whether nothing of it is left to show, as far as this tab knows: one that gave way unheard still is. */
  hasForgotten({ id }: Made): boolean {
    // What it was given before it had opened it still has.
    return this.queue.getSnapshot().isReady && this.queue.peekStatus(id) === undefined;
  }

  /** Asks where a mutation stands, and compares with what is true. */
  inspect(made: Made): void {
    const { history } = this.world;
    const mustKnow = made.process === this.process && made.places[0]?.acknowledgedStep != null;
    this.queue.getMutationStatus(made.id).then(
      this.told((status) => {
        if (status?.status === 'completed' && made.effectCount === 0 && !made.isForgotten) {
          history.violated(
            'inv-I22',
            `${this.process.name} shows ${made.tag} as completed; the server has not applied it`,
          );
        }
        if (
          status === undefined &&
          mustKnow &&
          !made.isDiscardAsked &&
          !hasGivenWay(made) &&
          !this.device.hasClockJumped
        ) {
          history.violated('inv-I1', `${this.process.name} has added ${made.tag} and does not know it any more`);
        }
      }),
      () => {},
    );
  }

  /** Fetches what the server has, as an app does after a confirmation. */
  async refresh(): Promise<void> {
    if (this.view === null) return;
    const { scheduler } = this.world;
    const dice = this.world.dice.of(`refresh in ${this.process.name}`);
    const load = (): Promise<AppState> =>
      new Promise((resolve, reject) => {
        scheduler.at(dice.between(5, 200), () => {
          const items = this.serverItems();
          this.process.later(dice.between(5, 500), 'fresh data', () => {
            if (this.world.faults.strikes('requestLost', dice)) reject(new Error('no fresh data'));
            else {
              const base = { items };
              this.loadedAt.set(base, number);
              resolve(base);
            }
          });
        });
      });
    this.loadNumber += 1;
    const number = this.loadNumber;
    await this.view.refresh(load);
    this.newestLoaded = Math.max(this.newestLoaded, number);
    if ((this.loadedAt.get(this.view.getBase()) ?? 0) < this.newestLoaded)
      this.world.history.violated('inv-I7', `${this.process.name} shows older data than it had loaded before`);
    this.checkView();
  }

  /** The login ends, for all tabs; what is pending is kept, or discarded. */
  signOut(choice: 'keep' | 'discard'): void {
    const { history, facts } = this.world;
    if (this.isClosing) return;
    if (history.hasUnsettled && choice === 'keep') facts.reached('signed out with work that is kept');
    const { promised, ended } =
      choice === 'discard' ? history.discardInvoked(this.device.index) : { promised: [], ended: () => {} };
    if (promised.length > 0) facts.reached('discarded at a sign-out');
    this.process.onKilled(ended);
    this.end(`sign out, ${choice}`, () =>
      this.queue.signOut(choice).then(
        this.told((result) => {
          this.process.calls(`signed out: ${JSON.stringify(result)}`);
          ended();
          if (result.kind !== 'signedOut' || result.keptCount > 0) return;
          for (const made of promised) made.isGivenUp = made.toldFailedStep === null;
        }),
        // Still signed in; the user puts the device away all the same.
        () => {
          ended();
          return this.queue.close();
        },
      ),
    );
  }

  /** The app shows that it cannot start, and its user loads the page again. */
  couldNotOpen(): void {
    const { dice, scheduler } = this.world;
    this.process.kill('could not open');
    scheduler.at(dice.of(`reload of ${this.process.name}`).between(500, 5_000), () => {
      if (this.device.liveTabs.length === 0) this.device.openTab();
    });
  }

  close(): void {
    this.end('close', () => this.queue.close());
  }

  /** The queue has closed itself. */
  hasSignedOut(): void {
    this.end('signed out', () => Promise.resolve());
  }

  /** Whoever asks is answered, also where the queue is closed meanwhile; but of a closed one nobody hears how a mutation ended. */
  checkAnswered(): void {
    for (const { what, about } of this.openCalls)
      if (about === null || !(this.isClosing || this.mayBeUntold(about.keptIn ?? about)))
        this.world.history.violated('inv-I14', `${what} in ${this.process.name} is not answered`);
  }

  /** Damaged, it may never be known how it ended; nor where the history, kept for 7 days by the device's clock, was over before it was heard of. */
  private mayBeUntold({ isDamaged, effectCount, isDiscardAsked }: Made): boolean {
    return isDamaged || (this.device.hasClockJumped && (effectCount > 0 || isDiscardAsked));
  }

  private noteCalls(): void {
    for (const name of CALLS) {
      const call = this.queue[name].bind(this.queue) as (...given: readonly unknown[]) => Promise<unknown>;
      const noted = (...given: readonly unknown[]): Promise<unknown> => this.noted(name, call(...given));
      Object.assign(this.queue, { [name]: noted });
    }
  }

  private noted<Answer>(what: string, answer: Promise<Answer>, about: Made | null = null): Promise<Answer> {
    const call = { what, about };
    this.openCalls.add(call);
    const end = (): void => void this.openCalls.delete(call);
    answer.then(end, end);
    return answer;
  }

  private end(what: string, run: () => Promise<void>): void {
    if (this.isClosing) return;
    this.isClosing = true;
    if (this.world.history.hasUnsettled) this.world.facts.reached('a tab is closed while work is unsettled');
    this.view?.close();
    this.process.calls(what);
    const stopped = (): void => {
      this.device.closedProcesses.add(this.process);
      // The page stays for a moment, so that what should have stopped shows.
      this.world.scheduler.at(30_000, () => {
        if (this.process.isAwake) this.checkAnswered();
        this.process.kill('closed');
      });
    };
    run().then(stopped, stopped);
  }

  serverItems(): AppState['items'] {
    const items: Record<string, string[]> = {};
    for (const { workspaceId, entityId, tag } of this.world.server.model.effects) {
      if (workspaceId === this.device.workspaceId) items[entityId] = [...(items[entityId] ?? []), tag];
    }
    return items;
  }

  /** An app shows what has failed, also when it has just found that in the store: the tab that made it so may have died before it told anyone. */
  private showDeadLetters(): void {
    const { history, plan } = this.world;
    for (const { id, status, lastError, attemptCount } of this.queue.listUnconfirmed(1_000)) {
      if (status !== 'failed' || lastError === null || history.find(id)?.toldFailedStep !== null) continue;
      history.onSettled(this.device, this.process, { status, id, error: lastError }, attemptCount, plan.maxRetries);
    }
  }

  /** What comes out of the queue when the process has died is told to nobody. */
  private told<Value>(hear: (value: Value) => void): (value: Value) => void {
    return (value) => {
      if (this.process.isAlive) hear(value);
    };
  }

  private wallMs(): number {
    return EPOCH_MS + Math.floor(this.world.scheduler.nowMs + this.device.wallOffsetMs);
  }

  /** What this tab has added stays in view until it is known to have failed. */
  private checkView(): void {
    if (this.view === null || this.isClosing || !this.process.isAlive) return;
    const { items } = this.view.getSnapshot();
    for (const made of this.own) {
      const { tag, entityId } = made;
      const shown = items[entityId];
      // Nearly always: the rest is asked only of what is not shown.
      if (shown?.some((each) => each.includes(tag) && each.split(MERGED).includes(tag)) === true) continue;
      if (this.world.history.edits.of(made).length > 0) continue;
      // What was merged into another is shown, and goes, with that.
      const { places, toldFailedStep, isDiscardAsked, isDamaged } = made.keptIn ?? made;
      if (made.places[0]?.acknowledgedStep == null || places.length > 1 || toldFailedStep !== null || isDiscardAsked)
        continue;
      if (hasGivenWay(made) || made.isDropped || (made.keptIn !== null && isDamaged)) continue;
      this.world.history.violated('inv-I8', `${tag} is not in view in ${this.process.name}, which has added it`);
    }
  }
}

interface OpenCall {
  readonly what: string;
  readonly about: Made | null;
}

/** Whoever calls one of these is answered. */
const CALLS = [
  'add',
  'addAtomic',
  'edit',
  'cancel',
  'pause',
  'resume',
  'process',
  'retry',
  'forceRetry',
  'retryFailed',
  'clear',
  'clearStuck',
  'discard',
  'releaseLane',
  'getConflict',
  'resolveConflict',
  'getMutationStatus',
  'signOut',
  'restart',
  'recover',
  'cleanup',
  'exportQueue',
  'importQueue',
  'listQuarantine',
  'discardQuarantined',
  'listMutations',
  'explain',
  'getMetrics',
  'getNextRetryTime',
  'close',
] as const;

/** Once there is an update, some pages still come out of a cache, as long as things go wrong. */
function appVersionNow({ plan, scheduler, faults, dice }: World): 1 | 2 {
  if (plan.updateAtMs === 0 || scheduler.nowMs < plan.updateAtMs) return 1;
  return faults.isActive && dice.of('cached app').chance(0.2) ? 1 : 2;
}

function optionsOf(by: OperatorAct | null): { readonly actor?: string; readonly reason?: string } {
  return by === null ? {} : { actor: by.actor, reason: by.reason };
}

const CANCEL_FACTS = {
  cancelled: 'cancelled in time',
  tooLate: 'cancelled too late',
  unknown: 'nobody can say whether it was cancelled',
} as const;

/** A lane for each entity, or one for every three. */
export function laneOf({ plan }: World, entityId: string): string {
  // What names its row in its lane can be packed.
  if (plan.packOverCount < UNPACKED) return `${TABLE}:${entityId}`;
  return plan.hasWideLanes ? `wide-${Number.parseInt(entityId.slice(-2), 16) % 3}` : `item-${entityId.slice(-2)}`;
}

function codeOf(error: unknown): string {
  return isHoldfastError(error) ? error.code : String(error);
}

function uuidV7(wallMs: number, random: string): string {
  const time = Math.max(0, wallMs).toString(16).padStart(12, '0');
  return `${time.slice(0, 8)}-${time.slice(8)}-7${random.slice(0, 3)}-8${random.slice(3, 6)}-${random.slice(6, 18)}`;
}
