import type { MutationHandle } from 'holdfast';
import { MERGED, MIGRATED } from './app-mutations.ts';
import type { Facts } from './facts.ts';
import type { ApplyRequest, WireOutcome } from '../../packages/client/src/protocol/wire.ts';
import type { Settled } from '../../packages/client/src/queue/queue-events.ts';
import { isDamagedPayload } from './damage.ts';
import { ConflictChecks, hasGivenWay, type MadeEdit } from './conflict-checks.ts';
import type { Plan } from './plan.ts';
import type { Device } from './device.ts';
import { type Edit, Edits } from './edits.ts';
import type { OperatorAct } from './operators.ts';
import type { Effect, ServerModel } from './server-model.ts';
import type { TabProcess } from './tab-process.ts';

export interface Violation {
  /** Of the invariants in docs/simulation.md. */
  readonly invariant: string;
  readonly message: string;
}

/** A place in its lane: when someone asked for it, and when the queue said that it has it (steps; null: never said). */
interface Place {
  readonly invokedStep: number;
  acknowledgedStep: number | null;
  /** What another had retried meanwhile was only sent at once. */
  readonly mayBeHurry?: true;
}

/** One `add`, from the outside: what was asked, what was promised, what became of it. */
export interface Made {
  readonly tag: string;
  readonly id: string;
  readonly deviceIndex: number;
  readonly process: TabProcess;
  readonly lane: string;
  readonly entityId: string;
  readonly isCreate: boolean;
  /** Of the type whose changes are merged. */
  readonly isMerging: boolean;
  /** Its undo window, and when it was added. */
  readonly delayMs: number;
  readonly invokedAtMs: number;
  /** What it was said to depend on. */
  readonly parents: readonly Made[];
  /** The creation whose row's id is to stand in it. */
  readonly slotOf: Made | null;
  /** It has a time after which it is not to be sent. */
  readonly mayExpire: boolean;
  /** A tab has begun to send it, before anybody tried it again. */
  wasSent: boolean;
  /** For an edit that is held to a version: what its user knew of the row. */
  readonly edit: MadeEdit | null;
  /** The first is that of `add`, each further one that of a `retry`. */
  readonly places: Place[];
  /** The queue said that nothing was stored. */
  isRefused: boolean;
  /** Someone was told that it is a dead letter, and it was not retried since. */
  toldFailedStep: number | null;
  isDiscarded: boolean;
  /** Discarded at a sign-out: it may have taken effect, and is not sent any more. */
  isGivenUp: boolean;
  /** A discard was asked for, and its end is not known. */
  isDiscardAsked: boolean;
  effectCount: number;
  /** When it first took effect; null before. */
  appliedStep: number | null;
  /** How often the server refused it for now. */
  refusedCount: number;
  /** The same, by generation: the first is that of `add`, each further one that of a `retry`. */
  readonly refusedOfGeneration: number[];
  /** Its place when it took effect. */
  appliedPlace: Place | null;
  /** The server was put back to a state without its effect, which has not come back since. */
  isForgotten: boolean;
  /** When it first took effect, of one that a server has forgotten. */
  firstAppliedStep: number | null;
  /** It was made a dead letter because of another. */
  isOrphan: boolean;
  /** What was stored of it was damaged, or lost with the power: it may be gone, and nothing else. */
  isDamaged: boolean;
  /** The text of it that took effect. */
  appliedTag: string | null;
  /** A tab was told that it is gone, and never that it had failed before. */
  isToldCancelled: boolean;
  isToldCompleted: boolean;
  /** It was there when a sign-out discarded what was pending. */
  mayBeDiscarded: boolean;
  /** What it was merged into, or was a duplicate of, or the first of those that it was made together with; null while it stands for itself. */
  keptIn: Made | null;
  /** All that were made together with it, itself too; they take effect together or not at all. Empty for most. */
  together: readonly Made[];
  /** It was a duplicate, and is in nothing that is sent. */
  isDropped: boolean;
  /** When a tab first began to send it. */
  sentStep: number | null;
}

/** What an `add` came to. */
type Acknowledgement = Pick<MutationHandle, 'id' | 'deduplicated' | 'coalesced'>;

/**
 * What everyone was told and what the server did, checked against each other as it happens. It knows nothing of how
 * the queue works: only calls, answers, events and effects.
 */
export class History {
  readonly made: Made[] = [];
  readonly violations: Violation[] = [];
  private readonly facts: Facts;
  /** When the request that the server is serving now was begun to be sent. */
  servingSentStep = 0;
  /** Batches that tabs have begun to send. */
  sendCount = 0;
  readonly edits = new Edits();
  readonly operatorActs: OperatorAct[] = [];
  readonly conflicts: ConflictChecks;
  /** Ids that tabs have made, by device: of edits whose answer nobody has heard, nothing else is known. */
  private readonly issued = new Map<string, number>();
  /** What was told of ids that nobody was told of yet, by id, the last. */
  private readonly early = new Map<string, (made: Made) => void>();
  private readonly damagedEarly = new Set<string>();
  private step = 0;
  private readonly byTag = new Map<string, Made>();
  private readonly byId = new Map<string, Made>();
  private readonly byLane = new Map<string, Made[]>();
  /** Under which generation a number of a mutation was sent. */
  private readonly generations = new Map<string, number>();
  /** Steps at which a user discarded what was pending, the last, by device. */
  private readonly discards = new Map<number, number>();
  /** How many sign-outs that discard are under way, by device. */
  private readonly discarding = new Map<number, number>();
  /** Steps at which someone asked to release a lane, the last. */
  private readonly releases = new Map<string, number>();
  /** What was sent under each id, by how often it was made anew: it must stay the same. */
  private readonly sentPayloads = new Map<string, string>();
  private serverModel: ServerModel | null = null;
  private nowMs: () => number = () => 0;
  maxRetries = 0;
  /** A dead letter holds its lane until someone decides. */
  private areLanesHeld = false;
  private settledCount = 0;
  private acknowledgedCount = 0;

  constructor(facts: Facts) {
    this.facts = facts;
    this.conflicts = new ConflictChecks((invariant, message) => this.violated(invariant, message));
  }

  attach(
    server: ServerModel,
    nowMs: () => number,
    { maxRetries, areLanesHeld }: Pick<Plan, 'maxRetries' | 'areLanesHeld'>,
  ): void {
    this.serverModel = server;
    this.conflicts.attach(server);
    this.nowMs = nowMs;
    this.maxRetries = maxRetries;
    this.areLanesHeld = areLanesHeld;
  }

  releaseInvoked(device: Device, lane: string): void {
    this.releases.set(`${device.index} ${lane}`, this.nextStep());
  }

  /** The user signs out and discards what is pending: what of that was promised, and to be called when it is over. */
  discardInvoked(deviceIndex: number): { readonly promised: readonly Made[]; readonly ended: () => void } {
    this.discards.set(deviceIndex, this.nextStep());
    this.discarding.set(deviceIndex, (this.discarding.get(deviceIndex) ?? 0) + 1);
    const open = this.made.filter((made) => made.deviceIndex === deviceIndex && isOpen(made));
    const promised = open.filter(
      (made) =>
        made.effectCount === 0 && made.toldFailedStep === null && isAcknowledged(made) && made.places.length === 1,
    );
    for (const made of open) made.isDiscardAsked = true;
    // Its end was told, and may not have been stored before the tab died.
    for (const made of this.made) if (made.deviceIndex === deviceIndex) made.mayBeDiscarded = true;
    let isOver = false;
    const ended = (): void => {
      if (!isOver) this.discarding.set(deviceIndex, (this.discarding.get(deviceIndex) ?? 1) - 1);
      isOver = true;
    };
    return { promised, ended };
  }

  nextStep(): number {
    this.step += 1;
    return this.step;
  }

  violated(invariant: string, message: string): void {
    this.violations.push({ invariant, message });
  }

  get hasUnsettled(): boolean {
    return this.acknowledgedCount > this.settledCount;
  }

  /** The device has lost what it stored since then; what was promised on that holds no longer. */
  rewound(deviceIndex: number, sinceStep: number): void {
    const own = this.made.filter((made) => made.deviceIndex === deviceIndex);
    // All are looked at before any is changed: what was merged into one may be gone again too.
    const lost = own.filter((made) => made.isDiscardAsked || this.lastStepOf(made) >= sinceStep);
    for (const made of lost) {
      made.isDamaged = true;
      made.isDiscarded = false;
      made.isGivenUp = false;
      made.isToldCancelled = false;
      made.isToldCompleted = false;
      for (const place of made.places) if ((place.acknowledgedStep ?? 0) >= sinceStep) place.acknowledgedStep = null;
      for (const edit of this.edits.of(made)) edit.answer = null;
    }
  }

  /** The server is as it was before these took effect. */
  serverRewound(undone: readonly Effect[]): void {
    this.facts.reached('a server is put back to an earlier state');
    for (const effect of undone) {
      const [tag = '', ...mergedTags] = effect.tag.split(MERGED);
      for (const each of [tag, ...mergedTags]) {
        const made = this.byTag.get(each);
        if (made === undefined || made.effectCount === 0) continue;
        if (made.toldFailedStep === null && isAcknowledged(made) && made.keptIn === null) this.settledCount -= 1;
        made.effectCount -= 1;
        made.firstAppliedStep ??= made.appliedStep;
        made.appliedStep = null;
        made.appliedPlace = null;
        made.isForgotten = true;
      }
    }
  }

  /** When something was last asked or promised about it, or about what is a part of it. */
  private lastStepOf(made: Made): number {
    const parts = [made, ...this.made.filter(({ keptIn }) => keptIn === made)];
    const places = parts.flatMap((part) => part.places);
    return Math.max(
      made.toldFailedStep ?? 0,
      // The value that was filled in may be gone again, and the server know it already.
      made.slotOf === null ? 0 : (made.sentStep ?? 0),
      // Nobody heard when that was stored: perhaps after what is lost.
      ...places.map(({ acknowledgedStep }) => acknowledgedStep ?? Number.POSITIVE_INFINITY),
      ...this.edits.of(made).map(({ invokedStep, answeredStep }) => answeredStep ?? invokedStep),
    );
  }

  /** What stands in the store of this one is damaged; it may be one that nobody has been told of yet. Undefined for the id of no mutation. */
  damaged(id: string): Made | undefined {
    const made = this.byId.get(id);
    if (made !== undefined) made.isDamaged = true;
    else if (this.issued.has(id)) this.damagedEarly.add(id);
    return made;
  }

  issuedId(id: string, deviceIndex: number): void {
    this.issued.set(id, deviceIndex);
  }

  /** Someone else with a name may have disposed of it. */
  isDisposedByOthers({ tag }: Made, by: OperatorAct | null): boolean {
    return this.operatorActs.some(
      (act) => act !== by && act.tag === tag && act.kind !== 'retry' && act.touchedIds?.length !== 0,
    );
  }

  find(id: string): Made | undefined {
    return this.byId.get(id);
  }

  /** Edits of this device and this row that may be pending or not: somebody has retried them, or asked for them to be disposed of. */
  unsureOf(deviceIndex: number, entityId: string): readonly Made[] {
    return this.made.filter(
      (made) =>
        made.deviceIndex === deviceIndex &&
        made.entityId === entityId &&
        made.edit !== null &&
        made.effectCount === 0 &&
        (made.places.length > 1 || made.isDiscardAsked),
    );
  }

  /** What of this device and about this row is promised and has not ended, in its order. */
  pendingOf(deviceIndex: number, entityId: string): readonly Made[] | null {
    const ofRow = this.made.filter((made) => made.deviceIndex === deviceIndex && made.entityId === entityId);
    // What is just being stored may come before the next one or not.
    if (ofRow.some((made) => made.places[0]?.acknowledgedStep == null && !made.isRefused)) return null;
    return ofRow.filter(
      (made) =>
        made.places[0]?.acknowledgedStep != null &&
        made.places.length === 1 &&
        made.effectCount === 0 &&
        made.toldFailedStep === null &&
        !made.isDiscardAsked,
    );
  }

  invoked(
    made: Omit<
      Made,
      | 'places'
      | 'isRefused'
      | 'toldFailedStep'
      | 'isDiscarded'
      | 'isGivenUp'
      | 'isDiscardAsked'
      | 'effectCount'
      | 'refusedCount'
      | 'refusedOfGeneration'
      | 'appliedPlace'
      | 'isForgotten'
      | 'firstAppliedStep'
      | 'appliedStep'
      | 'isOrphan'
      | 'isDamaged'
      | 'appliedTag'
      | 'isToldCancelled'
      | 'isToldCompleted'
      | 'mayBeDiscarded'
      | 'wasSent'
      | 'keptIn'
      | 'together'
      | 'isDropped'
      | 'sentStep'
    >,
  ): Made {
    const record: Made = {
      ...made,
      places: [{ invokedStep: this.nextStep(), acknowledgedStep: null }],
      isRefused: false,
      toldFailedStep: null,
      isDiscarded: false,
      isGivenUp: false,
      // Stored, perhaps, just before a sign-out that discards.
      isDiscardAsked: (this.discarding.get(made.deviceIndex) ?? 0) > 0,
      effectCount: 0,
      refusedCount: 0,
      refusedOfGeneration: [],
      appliedPlace: null,
      isForgotten: false,
      firstAppliedStep: null,
      appliedStep: null,
      isOrphan: false,
      isDamaged: false,
      appliedTag: null,
      isToldCancelled: false,
      isToldCompleted: false,
      mayBeDiscarded: false,
      wasSent: false,
      keptIn: null,
      together: [],
      isDropped: false,
      sentStep: null,
    };
    this.made.push(record);
    this.byTag.set(record.tag, record);
    // Of those that are made together the first stands for all.
    if (!this.byId.has(record.id)) this.byId.set(record.id, record);
    const lane = `${record.deviceIndex} ${record.lane}`;
    this.byLane.set(lane, [...(this.byLane.get(lane) ?? []), record]);
    return record;
  }

  /** One call has made all of these: they have one id, one place in each of their lanes, and one end. */
  madeTogether(all: readonly Made[]): void {
    const [head] = all;
    for (const made of all) {
      made.together = all;
      if (made === head || head === undefined) continue;
      made.keptIn = head;
      made.places.splice(0, 1);
      Object.assign(made, { places: head.places });
    }
  }

  acknowledged(made: Made, { id, deduplicated, coalesced }: Acknowledgement): void {
    if (!made.process.isAlive) return;
    const [place] = made.places;
    if (place !== undefined) place.acknowledgedStep = this.nextStep();
    if (deduplicated || coalesced) {
      this.merged(made, this.byId.get(id), deduplicated);
      return;
    }
    if (id !== made.id) this.violated('inv-I2', `add of ${made.tag} was given the id ${made.id} and answered ${id}`);
    this.acknowledgedCount += 1;
    if (made.effectCount > 0) this.settledCount += 1;
  }

  /** The app was told that another one stands for it: from now on its fate is that one's. */
  private merged(made: Made, kept: Made | undefined, isDropped: boolean): void {
    if (kept === undefined || kept.lane !== made.lane || kept.deviceIndex !== made.deviceIndex) {
      this.violated('inv-I3', `${made.tag} was merged into what is not in its lane`);
      return;
    }
    made.keptIn = kept;
    made.isDropped = isDropped;
    if (kept.sentStep !== null && kept.sentStep < (made.places[0]?.invokedStep ?? 0))
      this.violated('inv-I3', `${made.tag} was merged into ${kept.tag}, which had been sent before`);
    if (!isDropped && kept.effectCount > 0 && made.effectCount === 0 && !kept.isDamaged)
      this.violated('inv-I1', `${made.tag} was merged into ${kept.tag}, which took effect without it`);
  }

  refused(made: Made, code: string): void {
    if (!made.process.isAlive) return;
    made.isRefused = true;
    if (code === 'STORAGE_FULL' || code === 'STORAGE_FAILED')
      this.facts.reached('an add is refused for want of storage');
    if (made.effectCount > 0) {
      this.violated('inv-I1', `add of ${made.tag} was refused with ${code}, yet it took effect`);
    }
  }

  retryInvoked(made: Made, isForced = false): Place {
    const place = {
      invokedStep: this.nextStep(),
      acknowledgedStep: null,
      ...(isForced ? { mayBeHurry: true as const } : {}),
    };
    made.places.push(place);
    return place;
  }

  retried(made: Made, place: Place): void {
    place.acknowledgedStep = this.nextStep();
    // It may have failed again before the caller heard that it was retried.
    if (made.toldFailedStep === null || made.toldFailedStep > place.invokedStep) return;
    if (made.effectCount === 0) this.settledCount -= 1;
    made.toldFailedStep = null;
  }

  /** A tab begins to send. Answers the step, which travels along. */
  onSendStart(device: Device, process: TabProcess, request: ApplyRequest): number {
    const step = this.nextStep();
    this.sendCount += 1;
    // It carries nothing out: a client that has taken another id hears by it what was lost, whoever delivers and what is paused.
    const isQuestion = request.mutations.length === 0;
    const { pause } = device;
    if (!isQuestion && pause !== null && (pause.process === process || process.lastReadStep > pause.step)) {
      this.violated(
        'inv-I11',
        `${process.name} begins to send although ${pause.process.name} was told that it is paused`,
      );
    }
    const { lead } = device.disk;
    if (!isQuestion && lead !== null && lead.process !== process && process.lastEpochReadStep > lead.step) {
      this.violated(
        'inv-I12',
        `${process.name} begins to send, and could have seen that ${lead.process.name} delivers`,
      );
    }
    if (device.closedProcesses.has(process)) this.violated('inv-I11', `${process.name} sends after it was closed`);
    if (request.client.workspaceId !== device.workspaceId) {
      this.violated('inv-I19', `${process.name} sends into ${request.client.workspaceId}`);
    }
    for (const mutation of request.mutations) {
      const { id, seq, generation, payload, rebases = 0, version, original } = mutation;
      const made = this.byId.get(id);
      if (version !== process.appVersion)
        this.violated(
          'inv-I18',
          `${process.name}, of version ${process.appVersion}, sends ${made?.tag ?? id} of version ${version}`,
        );
      if (original !== undefined && payload['gamma'] !== MIGRATED)
        this.violated(
          'inv-I18',
          `${process.name} sends ${made?.tag ?? id} as of the next version, and it was not migrated`,
        );
      if (made !== undefined && made.places.length === 1) made.wasSent = true;
      const { slotOf = null } = made ?? {};
      // An edit brings a payload of its own; one that was merged after a conflict may leave the field to the other side.
      if (slotOf !== null && rebases === 0 && payload['tag'] === made?.tag && payload['mood'] !== slotOf.entityId)
        this.violated(
          'inv-I6',
          `${process.name} sends ${made?.tag} with ${JSON.stringify(payload['mood'])}, not the id of ${slotOf.tag}`,
        );
      this.generations.set(`${id} ${seq}`, generation);
      // What a newer app makes of it has its first form beside it.
      const sent = JSON.stringify(original?.payload ?? payload);
      if (made !== undefined) made.sentStep ??= step;
      // After a conflict it is made anew, and the server is told so.
      const form = `${id} ${rebases}`;
      if (made?.isDamaged === false && (this.sentPayloads.get(form) ?? sent) !== sent)
        this.violated('inv-I3', `${made.tag} was sent before as ${this.sentPayloads.get(form)}, and now as ${sent}`);
      this.sentPayloads.set(form, sent);
      if ((made?.deviceIndex ?? this.issued.get(id)) !== device.index)
        this.violated('inv-I19', `${process.name} sends ${id}, which is not its own`);
      if (made?.isDamaged && isDamagedPayload(device, payload))
        this.violated('inv-I21', `${made.tag} is sent as it was damaged on the disk`);
      if (made?.isDiscarded || made?.isGivenUp)
        this.violated('inv-I26', `${made.tag} is sent although it was discarded`);
      if (
        made !== undefined &&
        generation === 0 &&
        !device.hasClockJumped &&
        // Wall clocks count whole milliseconds.
        this.nowMs() < made.invokedAtMs + made.delayMs - 1
      )
        this.violated('inv-I26', `${made.tag} is sent before its undo window has passed`);
    }
    return step;
  }

  onOutcomes(request: ApplyRequest, outcomes: readonly WireOutcome[]): void {
    this.countRefusals(outcomes);
    for (const { kind, id } of outcomes) {
      const made = this.byId.get(id);
      const mutation = request.mutations.find((each) => each.id === id);
      if (made !== undefined) this.checkTogether(made, kind);
      if (kind === 'conflict' && made !== undefined && mutation !== undefined)
        this.conflicts.checkConflict(mutation, made);
    }
    const { length } = request.mutations;
    if (outcomes.length !== length) this.violated('model', `${length} mutations got ${outcomes.length} outcomes`);
  }

  private checkTogether({ tag, together }: Made, kind: WireOutcome['kind']): void {
    if (together.length === 0) return;
    const effectCount = together.filter((each) => each.effectCount > 0).length;
    if (effectCount > 0 && effectCount < together.length)
      this.violated(
        'inv-I3',
        `of what was made together with ${tag}, ${effectCount} of ${together.length} took effect`,
      );
    if (effectCount > 0) this.facts.reached('changes made together take effect');
    if (kind === 'rejected') this.facts.reached('changes made together are refused together');
  }

  /** An answer that reached someone a second time. */
  onRepeatedAnswer(bodyText: string): void {
    if (!bodyText.startsWith('{"protocol"')) return;
    const { outcomes } = JSON.parse(bodyText) as { readonly outcomes: readonly WireOutcome[] };
    this.countRefusals(outcomes);
  }

  private countRefusals(outcomes: readonly WireOutcome[]): void {
    for (const { id, seq, kind } of outcomes) {
      const made = this.byId.get(id);
      if (made === undefined || kind !== 'refused') continue;
      made.refusedCount += 1;
      const generation = this.generations.get(`${id} ${seq}`) ?? 0;
      made.refusedOfGeneration[generation] = (made.refusedOfGeneration[generation] ?? 0) + 1;
    }
  }

  onEffect(effect: Effect): void {
    const [tag = '', ...mergedTags] = effect.tag.split(MERGED);
    const edit = this.edits.find(tag);
    const made = edit === undefined ? this.byTag.get(tag) : this.madeOfEdit(edit, effect.mutationId);
    if (made === undefined) {
      this.violated('inv-I2', `the server applied ${effect.tag}, which nobody made`);
      return;
    }
    for (const each of mergedTags) this.onMergedEffect(made, each, effect);
    for (const other of this.byLane.get(`${made.deviceIndex} ${made.lane}`) ?? []) {
      if (
        other.keptIn === made &&
        !other.isDropped &&
        other.together.length === 0 &&
        other.effectCount === 0 &&
        !made.isDamaged
      )
        this.violated('inv-I1', `${other.tag} was merged into ${made.tag}, which took effect without it`);
    }
    // A late copy of an edit that gave way meets the version it was made on only in a row that was deleted and made again.
    if (made.isToldCancelled && made.edit?.hasMetConflict === true && this.conflicts.wasMadeAgain(made)) return;
    if (made.id !== effect.mutationId)
      this.violated('inv-I2', `${made.tag} travels under another id than it was given`);
    if (made.isRefused)
      this.violated('inv-I1', `${made.tag} took effect although its add was refused (${made.isRefused})`);
    if (made.isToldCancelled) this.violated('inv-I26', `${made.tag} took effect after it was said to be cancelled`);
    const newer = this.edits.newerThan(made, effect.tag);
    if (newer !== undefined)
      this.violated('inv-I26', `${made.tag} took effect as ${effect.tag}, although it was edited to ${newer.tag}`);
    if (edit?.answer === 'refused') this.violated('inv-I1', `${effect.tag} took effect although that edit was refused`);
    if (effect.changed.some(({ to }) => to === MIGRATED))
      this.facts.reached('a newer app delivers what an older one has stored');
    made.appliedTag = effect.tag;
    made.effectCount += 1;
    this.remembered(made);
    made.appliedStep ??= this.nextStep();
    if (!isAcknowledged(made)) this.facts.reached('an add that nobody heard of took effect');
    if (effect.generation > 0) this.facts.reached('a retried dead letter takes effect');
    else if (made.toldFailedStep !== null) this.facts.reached('a dead letter takes effect after all');
    if (made.effectCount > 1) this.violated('inv-I2', `${made.tag} took effect ${made.effectCount} times`);
    else if (made.toldFailedStep === null && isAcknowledged(made) && made.keptIn === null) this.settledCount += 1;
    // Who retries a child although its parent was disposed of, or has given way, wants it without. And of a parent that was confirmed when it was added
    // nothing is kept, so a server that has forgotten both may get it first.
    const wasThere = ({ isForgotten, firstAppliedStep }: Made): boolean =>
      isForgotten && (firstAppliedStep ?? 0) < (made.places[0]?.acknowledgedStep ?? Number.POSITIVE_INFINITY);
    for (const parent of made.parents)
      if (
        parent.effectCount === 0 &&
        !parent.isDamaged &&
        !wasThere(parent) &&
        !((parent.isDiscardAsked || hasGivenWay(parent)) && made.places.length > 1)
      )
        this.violated('inv-I6', `${made.tag} took effect before ${parent.tag}, which it depends on`);
    // Given another payload, it is another edit than its user made at first.
    this.conflicts.onEffect(made, effect, this.edits.of(made).length > 0);
    this.checkOrder(made, effect);
    made.appliedPlace = this.isPlaceUnknown(made) ? null : (this.placeOf(made, effect.generation) ?? null);
  }

  /** The mutation itself, or the one that stands for it; which may take effect before anybody was told of it. */
  private madeOfEdit(edit: Edit, id: string): Made {
    if (id === edit.made.id) return edit.made;
    edit.replacement ??= this.replaced(edit, id);
    return edit.replacement;
  }

  private replaced({ tag, made, process, invokedStep, invokedAtMs }: Edit, id: string): Made {
    const { deviceIndex, lane, entityId, isCreate, isMerging, mayExpire } = made;
    // Of a mutation that is gone already the options are not known any more; one that was retried may have lost some.
    const isRetried = made.places.length > 1;
    const isGone = made.effectCount > 0 || made.isDiscardAsked;
    const parents = isGone ? [] : made.parents.filter((parent) => !(isRetried && parent.isDiscardAsked));
    const other = {
      tag,
      id,
      deviceIndex,
      process,
      lane,
      entityId,
      isCreate,
      isMerging,
      delayMs: 0,
      invokedAtMs,
      parents,
      slotOf: null,
      mayExpire,
      edit: null,
    };
    const replacement = this.invoked(other);
    // What stands for a dead letter that holds its lane stands where that did.
    const isInItsPlace = made.toldFailedStep !== null && this.holdsLane(made);
    const placedStep = isInItsPlace ? (made.places[0]?.invokedStep ?? invokedStep) : invokedStep;
    replacement.places.splice(0, 1, { invokedStep: placedStep, acknowledgedStep: null });
    // Stored, perhaps, just before the user discarded all.
    if (invokedStep < (this.discards.get(deviceIndex) ?? 0)) replacement.isDiscardAsked = true;
    replacement.isDamaged = this.damagedEarly.has(id);
    this.early.get(id)?.(replacement);
    return replacement;
  }

  edited(edit: Edit, answer: { readonly kind: 'edited' | 'replaced'; readonly id: string }): void {
    const { made } = edit;
    edit.answer = answer.kind;
    edit.answeredStep = this.nextStep();
    if (answer.kind === 'replaced') {
      edit.replacement ??= this.replaced(edit, answer.id);
      this.acknowledged(edit.replacement, { id: answer.id, deduplicated: false, coalesced: false });
    } else if (answer.id !== made.id) {
      this.violated('inv-I2', `${made.tag} was edited, and answered with another id`);
    } else if (made.appliedTag !== null && this.edits.newerThan(made, made.appliedTag) !== undefined) {
      this.violated('inv-I26', `${made.tag} counts as edited to ${edit.tag}; it took effect as ${made.appliedTag}`);
    }
  }

  private remembered(made: Made): void {
    if (made.isForgotten) this.facts.reached('what a server has forgotten takes effect again');
    made.isForgotten = false;
  }

  /** It took effect as a part of another. */
  private onMergedEffect(kept: Made, tag: string, effect: Effect): void {
    const made = this.byTag.get(tag);
    if (made === undefined || (made.keptIn !== null && made.keptIn !== kept) || made.isDropped) {
      this.violated('inv-I2', `the server applied ${tag} as a part of ${kept.tag}, where it does not belong`);
      return;
    }
    if (made.isRefused) this.violated('inv-I1', `${tag} took effect in ${kept.tag} although its add was refused`);
    made.keptIn = kept;
    made.effectCount += 1;
    this.remembered(made);
    made.appliedStep ??= this.nextStep();
    if (made.effectCount > 1) this.violated('inv-I2', `${tag} took effect ${made.effectCount} times`);
    // Retried, it has the place of the one that it is a part of.
    if (effect.generation === 0) this.checkOrder(made, effect);
    made.appliedPlace = kept.places[effect.generation] ?? null;
  }

  /** Everyone who was promised a place before this one must be done, or have been given up by the queue. */
  private checkOrder(made: Made, effect: Effect): void {
    const place = this.placeOf(made, effect.generation);
    if (place === undefined || made.places[effect.generation] === undefined) {
      this.violated(
        'inv-I5',
        `${made.tag} has generation ${effect.generation}, but was retried ${made.places.length - 1} times`,
      );
      return;
    }
    if (this.isPlaceUnknown(made)) return;
    // Given up, and yet under way: what was sent before cannot be unsent, whatever has been applied since.
    const { toldFailedStep } = headOf(made);
    const isLeftover = toldFailedStep !== null && this.servingSentStep < toldFailedStep;
    for (const other of this.byLane.get(`${made.deviceIndex} ${made.lane}`) ?? []) {
      if (other === made || other.isRefused || this.isPlaceUnknown(other)) continue;
      if ((other.keptIn ?? other) === (made.keptIn ?? made)) continue;
      // Retried, what it is a part of has left its place, and took it along.
      if (other.keptIn !== null && (other.keptIn.places.length > 1 || this.isPlaceUnknown(other.keptIn))) continue;
      const otherPlace = this.placeOf(other, other.places.length - 1);
      if (
        otherPlace !== undefined &&
        comesBefore(otherPlace, place, this.isSameCaller(made, other)) &&
        !this.isDone(other)
      ) {
        this.violated(
          'inv-I5',
          `${made.tag} took effect before ${other.tag}, which was added before it in the lane ${made.lane}`,
        );
      }
      if (
        !isLeftover &&
        !made.isDamaged &&
        other.appliedPlace !== null &&
        comesBefore(place, other.appliedPlace, false) &&
        !this.wasDiscardedBetween(made, other.appliedPlace)
      ) {
        this.violated(
          'inv-I5',
          `${made.tag} took effect after ${other.tag}, which was added after it in the lane ${made.lane}`,
        );
      }
    }
  }

  /** Sent, discarded unconfirmed at a sign-out, and only then was the other one added: what was sent cannot be unsent. */
  private wasDiscardedBetween({ deviceIndex, isDiscardAsked }: Made, { invokedStep }: Place): boolean {
    const discardedStep = this.discards.get(deviceIndex) ?? Number.POSITIVE_INFINITY;
    return isDiscardAsked && Math.max(this.servingSentStep, discardedStep) < invokedStep;
  }

  /** One tab has added them one after the other; an edit finds out first whether it takes a new place. */
  private isSameCaller(made: Made, other: Made): boolean {
    const isEdit = [made, other].some(({ tag }) => this.edits.find(tag) !== undefined);
    return !isEdit && other.process === made.process && made.places.length + other.places.length === 2;
  }

  /** Where a dead letter holds its lane, a retry keeps its place. */
  private placeOf(made: Made, generation: number): Place | undefined {
    return this.holdsLane(made) ? made.places[0] : made.places[generation];
  }

  /** Retried in a lane that was released since, or an orphan of a decision: the retry has kept its place, or lost it. */
  private isPlaceUnknown(made: Made): boolean {
    // Of a retry that nobody lived to hear of, it is not known whether it counts.
    const retries = made.places.slice(1);
    if (retries.slice(0, -1).some(({ acknowledgedStep }) => acknowledgedStep === null)) return true;
    // Nor, of two that were asked for at a time, which came first.
    if (retries.some(({ invokedStep }, index) => invokedStep < (retries[index - 1]?.acknowledgedStep ?? 0)))
      return true;
    if (!this.areLanesHeld) return false;
    // What a dead letter was edited into has its place, or goes last.
    if (this.edits.find(made.tag) !== undefined) return true;
    return made.places.length > 1 && (!this.holdsLane(made) || this.hasDeadParent(made));
  }

  private holdsLane({ deviceIndex, lane, places, together }: Made): boolean {
    // What is made together has a type of its own, which holds no lane.
    if (together.length > 0) return false;
    const releasedStep = this.releases.get(`${deviceIndex} ${lane}`) ?? 0;
    return this.areLanesHeld && releasedStep < (places[0]?.invokedStep ?? 0);
  }

  private isDone(made: Made): boolean {
    if (made.keptIn !== null && this.isDone(made.keptIn)) return true;
    if (this.holdsLane(made))
      return made.effectCount > 0 || made.isDiscardAsked || made.isDamaged || this.hasDeadParent(made);
    return (
      made.effectCount > 0 ||
      // asked for, and perhaps done without anybody living to tell; or an orphan that nobody was told of
      made.isDiscardAsked ||
      made.isDamaged ||
      hasGivenWay(made) ||
      this.hasDeadParent(made) ||
      made.toldFailedStep !== null ||
      (this.serverModel?.everRecorded(made.id).some(({ generation }) => generation >= made.places.length - 1) ?? false)
    );
  }

  /** One that it depends on, or the creation of its row before it, did not take effect. */
  private hasDeadParent(made: Made): boolean {
    const rows = new Set([made, ...made.together].map(({ entityId }) => entityId));
    const creations = this.made.filter(
      (other) => other.isCreate && other.deviceIndex === made.deviceIndex && rows.has(other.entityId),
    );
    // What stands for a retried one may still stand on a parent that somebody has asked to dispose of.
    const own = [...made.parents, ...this.edits.firstOf(made).parents];
    const others = creations.filter((other) => other !== made);
    // Made once more by an edit of which nobody has heard, and damaged since.
    const wasMadeAgain = others.some((other) => this.edits.of(other).some(({ answer }) => answer === null));
    if (wasMadeAgain && [...this.damagedEarly].some((id) => this.issued.get(id) === made.deviceIndex)) return true;
    return [...own, ...others].some((parent) => wasDead(parent, this.serverModel, this.maxRetries));
  }

  /** A tab tells its app how a mutation ended. */
  onSettled(device: Device, process: TabProcess, settled: Settled, attemptCount: number, maxRetries: number): void {
    if (!process.isAlive) return;
    const made = this.byId.get(settled.id);
    if (made !== undefined) this.ended(made, device, process, settled, attemptCount, maxRetries);
    else if (this.issued.has(settled.id))
      this.early.set(settled.id, (known) => this.ended(known, device, process, settled, attemptCount, maxRetries));
    else this.violated('inv-I22', `${process.name} tells of ${settled.id}, which nobody made`);
  }

  private ended(
    made: Made,
    device: Device,
    process: TabProcess,
    settled: Settled,
    attemptCount: number,
    maxRetries: number,
  ): void {
    const ledger = this.serverModel?.everRecorded(made.id) ?? [];
    switch (settled.status) {
      case 'completed': {
        made.isToldCompleted = true;
        const applied = ledger.filter(({ verdict }) => verdict === 'applied');
        if (applied.length === 0 || (made.effectCount === 0 && !made.isForgotten)) {
          this.violated('inv-I22', `${process.name} says that ${made.tag} is completed; the server has not applied it`);
        } else if (settled.result !== null && !applied.some(({ result }) => isSame(result, settled.result))) {
          this.violated('inv-I4', `${process.name} got another result for ${made.tag} than the server recorded`);
        }
        return;
      }
      case 'failed': {
        if (made.process !== process) this.facts.reached('a tab tells the end of what another has added');
        const isServersVerdict = ledger.some(
          ({ verdict, error }) => verdict === 'rejected' && error?.code === settled.error.code,
        );
        const areAttemptsSpent = settled.error.code === '40001' && made.refusedCount > maxRetries;
        // History is kept for 7 days by the device's clock, and longer only for what stood on it then: as far as its record could be read.
        const isHistoryOver = (parent: Made): boolean =>
          device.hasClockJumped &&
          (parent.appliedStep ?? Number.POSITIVE_INFINITY) <
            (made.isDamaged ? Number.POSITIVE_INFINITY : (made.places[0]?.invokedStep ?? 0));
        const isOrphan =
          settled.error.code === 'PARENT_FAILED' && (made.parents.some(isHistoryOver) || this.hasDeadParent(made));
        if (isOrphan) made.isOrphan = true;
        if (isOrphan) this.facts.reached('a parent takes its child along');
        if (areAttemptsSpent) this.facts.reached('attempts are spent');
        const isExpired = settled.error.code === 'EXPIRED' && made.mayExpire && !made.wasSent;
        if (isExpired) made.isOrphan = true;
        const { slotOf } = made;
        const isUnfilled =
          settled.error.code === 'SLOT_UNFILLED' &&
          slotOf !== null &&
          (slotOf.isDamaged || isHistoryOver(slotOf) || wasDead(slotOf, this.serverModel, maxRetries));
        if (isUnfilled) made.isOrphan = true;
        // A rewriting that was sent, and lost with the power, leaves the older text under an id that the server knows.
        const isUnreadable = ['UNREADABLE_RECORD', 'ID_REUSED'].includes(settled.error.code) && made.isDamaged;
        if (!isServersVerdict && !areAttemptsSpent && !isOrphan && !isUnreadable && !isExpired && !isUnfilled) {
          this.violated(
            'inv-I20',
            `${process.name} makes ${made.tag} a dead letter for ${settled.error.code} after ${made.refusedCount} refusals`,
          );
        }
        if (made.toldFailedStep === null && made.effectCount === 0 && isAcknowledged(made)) this.settledCount += 1;
        made.toldFailedStep = this.nextStep();
        if (attemptCount > made.refusedCount + ledger.length) {
          this.violated(
            'inv-I20',
            `${made.tag} counts ${attemptCount} attempts; the server refused it ${made.refusedCount} times`,
          );
        }
        return;
      }
      case 'cancelled':
        // A dead letter makes way for what replaces it, and whoever edits it need not know that it is one.
        if (this.edits.of(made).length > 0 || made.mayBeDiscarded) made.isDiscardAsked = true;
        if (!made.isDiscardAsked && !hasGivenWay(made))
          this.violated('inv-I22', `${process.name} says that ${made.tag} was cancelled; nobody did`);
        if (made.toldFailedStep !== null || made.places.length > 1 || settled.reason === 'unconfirmed') return;
        made.isToldCancelled = true;
        if (made.effectCount > 0)
          this.violated('inv-I26', `${process.name} says that ${made.tag} was cancelled; it took effect`);
    }
  }
}

function isSame(left: unknown, right: unknown): boolean {
  return JSON.stringify(left) === JSON.stringify(right);
}

/** The one that the queue knows: itself, or the first of those that it was made together with. */
function headOf(made: Made): Made {
  return made.together[0] ?? made;
}

/** Whether it was ever refused for good, given up, taken back, or an orphan itself. */
function wasDead(made: Made, server: ServerModel | null, maxRetries: number): boolean {
  const isRejected = server?.everRecorded(made.id).some(({ verdict }) => verdict === 'rejected') ?? false;
  return (
    isRejected ||
    made.refusedCount > maxRetries ||
    made.isDiscardAsked ||
    made.isOrphan ||
    made.isDamaged ||
    // Expired, and a tab tells of the child first.
    (made.mayExpire && !made.wasSent) ||
    hasGivenWay(made)
  );
}

/** The device may hold it as pending: its end was lost with the power, or nobody was told of one since the last try. */
function isOpen(made: Made): boolean {
  if (made.isDamaged) return true;
  if (made.isToldCompleted) return false;
  return made.toldFailedStep === null || made.toldFailedStep < (made.places.at(-1)?.invokedStep ?? 0);
}

/**
 * Whether nobody outside can say how often it was retried: a call was not answered, or a forced one met another, and may have found
 * pending what that had retried.
 */
export function areRetriesUnknown({ places }: Made): boolean {
  const isWhile = (one: Place, other: Place): boolean =>
    (one.acknowledgedStep ?? Number.POSITIVE_INFINITY) > other.invokedStep;
  return places.some(
    (place) =>
      place.acknowledgedStep === null ||
      (place.mayBeHurry === true &&
        places.some((other) => other !== place && isWhile(place, other) && isWhile(other, place))),
  );
}

export function isAcknowledged(made: Made): boolean {
  return made.places[0]?.acknowledgedStep != null;
}

/** `isSameCaller`: one tab called them one after the other, so the calls alone decide. */
function comesBefore(left: Place, right: Place, isSameCaller: boolean): boolean {
  if (left.acknowledgedStep === null) return false;
  return left.acknowledgedStep < right.invokedStep || (isSameCaller && left.invokedStep < right.invokedStep);
}
