import type { HeaderFields, MutationHeader } from '../mutation/record.ts';
import { type JsonObject, LIMITS, type WireError } from '../protocol/wire.ts';
import type {
  BatchItem,
  EngineEffect,
  EngineInput,
  GateInput,
  Moment,
  Settlement,
  Waiting,
  WaitingFor,
} from './engine-io.ts';
import { conflictAmendId, dueAtMs, type Entry, hasOpenParents, isInConflict } from './entry.ts';
import { Answers } from './answers.ts';
import { Gates } from './gates.ts';
import { PolicyGate } from './policy-gate.ts';
import type { TransportAnswer } from './transport-answer.ts';
import { Unconfirmed } from './unconfirmed.ts';
import { fromNewerApp } from './versions.ts';
import { type EngineRules, Verdicts } from './verdicts.ts';

interface Batch {
  readonly id: number;
  readonly sinceMs: number;
  readonly entries: readonly Entry[];
}

/**
 * The whole of a queue's behaviour as a state machine: inputs in, effects out. It awaits nothing, reads no clock, draws
 * no chance of its own and touches no platform, so every history can be replayed and simulated.
 *
 * One batch is in flight at a time, and of each lane only the head. After any crash what is not settled is simply sent
 * again: the ledger on the server makes repetition harmless, so nothing about sending is stored.
 */
export class Engine {
  readonly mutations: Unconfirmed;
  readonly gates: Gates = new Gates();
  isLeader = false;
  private readonly verdicts: Verdicts;
  private readonly answers: Answers;
  private readonly policies: PolicyGate;
  private batch: Batch | null = null;
  private batchNumber = 0;
  private rewriteNumber = 0;
  /** What another tab, which delivers, has on its way and waits for. */
  private elsewhere: { readonly sending: readonly Entry[]; readonly waitingFor: WaitingFor | null } = {
    sending: [],
    waitingFor: null,
  };
  /** Up to this number another tab may have sent what waits here. Only the tab that delivers knows better than "all". */
  private earlierSeq: number = Number.POSITIVE_INFINITY;
  private wakeAtMs: number | null = null;
  private effects: EngineEffect[] = [];
  private haveGatesChanged = false;
  /** When something last opened or closed a gate, or an answer came (monotonic). */
  private gatesTouchedAtMs = 0;

  constructor(rules: EngineRules) {
    this.mutations = new Unconfirmed(rules);
    this.verdicts = new Verdicts(this.mutations, rules);
    this.policies = new PolicyGate(rules.policyOf);
    this.answers = new Answers({
      gates: this.gates,
      verdicts: this.verdicts,
      emit: (effect) => this.effects.push(effect),
      settle: (settlements) => this.settle(settlements),
    });
    const { schedule } = this.mutations;
    schedule.isHeldBack = (entry) => this.policies.holds(entry);
    // Policies look at all that is pending.
    schedule.isUnsure = (entry) =>
      this.mutations.isUnsure(entry) ||
      this.mutations.versions.mustWait(entry) ||
      (this.mutations.isReading && rules.policyOf(entry.type) !== null);
  }

  /** Takes one input and says what is to be done about it. */
  handle(input: EngineInput, moment: Moment): EngineEffect[] {
    this.take(input, moment);
    if (this.isLeader) {
      this.expire(moment);
      this.buryOrphans(moment);
      this.buryOutdated(moment);
      this.rewrite('migrate', this.mutations.versions.takeOlder(this.isFree), moment);
      this.rewrite('fillSlots', this.mutations.slots.takeFillable(this.isFree), moment);
    }
    for (const entry of this.mutations.parentRows.takeFree()) this.mutations.schedule.delay(entry, 0, moment.nowMs);
    this.updatePolicies(moment);
    this.sendWhatIsReady(moment);
    this.setWake(moment);
    const ids = this.mutations.takeChangedIds();
    if (ids.length > 0 || this.haveGatesChanged) this.effects.push({ kind: 'changed', ids });
    this.haveGatesChanged = false;
    const { effects } = this;
    this.effects = [];
    return effects;
  }

  /** What this tab has on its way. */
  get sendingSeqs(): number[] {
    return (this.batch?.entries ?? []).map(({ seq }) => seq);
  }

  /** What this mutation waits for now, and the error behind it. */
  waitingFor(entry: Entry, nowMs: number): Waiting {
    if (this.mutations.isBeingGivenUp(entry)) return { waitingFor: 'storage', error: entry.lastError, untilMs: null };
    if (entry.phase.kind !== 'waiting') return NOT_WAITING;
    const { schedule } = this.mutations;
    const blocker = schedule.blockerOf(entry);
    if (blocker !== undefined) return { waitingFor: 'lane', error: blocker.lastError, untilMs: null };
    if (schedule.ahead(entry) !== undefined) return { waitingFor: 'lane', error: null, untilMs: null };
    if (isInConflict(entry)) return { waitingFor: 'conflict', error: entry.lastError ?? IN_CONFLICT, untilMs: null };
    const { versions } = this.mutations;
    if (versions.isNewer(entry)) return { waitingFor: 'upgrade', error: fromNewerApp(entry), untilMs: null };
    const closed = this.closed(nowMs);
    if (closed !== null) return closed;
    if (this.isLeader && versions.isOlder(entry))
      return { waitingFor: 'storage', error: entry.lastError, untilMs: null };
    if (hasOpenParents(entry)) return { waitingFor: 'dependency', error: null, untilMs: null };
    if (entry.awaitsRow && entry.backoffUntilMs > nowMs)
      return { waitingFor: 'dependency', error: entry.lastError, untilMs: entry.backoffUntilMs };
    if (entry.heldUntilMs > nowMs) return { waitingFor: 'delay', error: null, untilMs: entry.heldUntilMs };
    if (entry.backoffUntilMs > nowMs)
      return { waitingFor: 'backoff', error: entry.lastError, untilMs: entry.backoffUntilMs };
    if (this.mutations.schedule.holdsBack(entry))
      return { waitingFor: 'policy', error: null, untilMs: this.policies.checkAtMs(entry) };
    return NOT_WAITING;
  }

  /** Whether it is still here and cannot have been sent. Only the tab that delivers knows; another says no. */
  canCancel(id: string): boolean {
    const entry = this.mutations.get(id);
    return this.isLeader && entry?.phase.kind === 'waiting' && !entry.mayHaveBeenSent;
  }

  /** The same for rewriting it, which only one may do at a time. */
  canAmend(entry: Entry): boolean {
    const { id, seq } = entry;
    return this.canCancel(id) && entry.amendId === null && !this.mutations.isBeingRewritten(seq);
  }

  /**
   * The oldest of low priority that surely were never sent, as many as make this much room; none when they cannot. One
   * that others stand on is left alone: they would fall with it; and so is one that would hold its lane as a dead letter.
   */
  evictable(count: number, bytes: number): readonly Entry[] {
    const entries: Entry[] = [];
    let freedBytes = 0;
    for (const entry of this.mutations.low) {
      if (entries.length >= count && freedBytes >= bytes) break;
      if (!this.canAmend(entry) || this.mutations.isUnsure(entry) || this.mutations.mayHoldLane(entry.type)) continue;
      if (this.mutations.dependants(entry).length > 0) continue;
      entries.push(entry);
      freedBytes += entry.payloadBytes;
    }
    return entries.length >= count && freedBytes >= bytes ? entries : [];
  }

  /** What stops every send now: in this tab or, as far as it tells, in the one that delivers. */
  closed(nowMs: number): Waiting | null {
    const closed = this.gates.closed(nowMs);
    if (closed !== null) return { ...closed, untilMs: this.gates.nextCheckAtMs(nowMs) };
    const { waitingFor } = this.elsewhere;
    return this.isLeader || waitingFor === null ? null : { waitingFor, error: null, untilMs: null };
  }

  /** Whether anything is on its way, or will be without a gate opening or a delay passing. */
  isBusy(nowMs: number): boolean {
    const { schedule, kept, isReading } = this.mutations;
    return (
      this.batch !== null ||
      (this.isLeader && this.gates.closed(nowMs) === null && (schedule.hasReady(nowMs) || kept.size > 0 || isReading))
    );
  }

  /** When something is sent or the server asked again (monotonic); null when that is not a matter of time. */
  nextAttemptAtMs(nowMs: number): number | null {
    if (this.mutations.counts.pending === 0 || this.gates.isStopped) return null;
    if (this.isBusy(nowMs)) return nowMs;
    return this.nextWorkAtMs(nowMs);
  }

  /**
   * On its way for more than twice the time that an attempt may take, or with nothing that it waits for and yet not sent
   * for a minute: something has lost its wake-up. The tab that delivers knows; for the others it is never stuck.
   */
  stuckIds(nowMs: number, attemptTimeoutMs: number): readonly string[] {
    if (!this.isLeader) return [];
    if (this.batch !== null) {
      const isStuck = nowMs - this.batch.sinceMs > 2 * attemptTimeoutMs;
      return isStuck ? this.batch.entries.map(({ id }) => id) : [];
    }
    if (this.gates.closed(nowMs) !== null) return [];
    const isStuck = (entry: Entry): boolean =>
      entry.phase.kind === 'waiting' &&
      nowMs - Math.max(entry.waitingSinceMs, dueAtMs(entry), this.gatesTouchedAtMs) >= STUCK_MS &&
      this.waitingFor(entry, nowMs).waitingFor === 'nothing';
    // What is packed needs no wake-up: whoever looks for the next one sees it.
    return [...this.mutations.entries()].filter(isStuck).map(({ id }) => id);
  }

  private unstick(ids: readonly string[], moment: Moment): void {
    const { batch } = this;
    if (batch?.entries.some(({ id }) => ids.includes(id)) === true) {
      this.effects.push({ kind: 'abort', batchId: batch.id });
      this.batch = null;
      for (const entry of batch.entries) {
        entry.mayHaveBeenSent = true;
        this.putBack(entry, moment);
      }
    }
    for (const id of ids) {
      const entry = this.mutations.get(id);
      if (entry !== undefined) this.mutations.schedule.freed(entry, moment.nowMs);
    }
    // Asked for anew, should the alarm have been lost.
    this.wakeAtMs = null;
  }

  private take(input: EngineInput, moment: Moment): void {
    const { mutations, gates } = this;
    switch (input.kind) {
      case 'added':
        for (const header of input.headers)
          mutations.insert(header, this.isEarlier(header), moment.nowMs, moment.nowMs + undoWindowMs(header));
        this.takeUp(input.headers);
        gates.wake('added', moment.nowMs);
        return;
      case 'found': {
        const { pending } = mutations.counts;
        for (const header of input.headers)
          mutations.insert(header, this.isEarlier(header), moment.nowMs, heldUntilMs(header, moment));
        for (const id of input.lostParentIds ?? []) mutations.parentGone(id);
        this.takeUp(input.headers);
        // News: somebody is at work in another tab.
        if (mutations.counts.pending > pending) gates.wake('added', moment.nowMs);
        for (const deadLetter of input.deadLetters) this.settledElsewhere({ kind: 'failed', deadLetter }, moment);
        return;
      }
      case 'reading':
        mutations.readUpTo(input.upToSeq, moment.nowMs);
        return;
      case 'settledElsewhere':
        for (const settlement of input.settlements) this.settledElsewhere(settlement, moment);
        return;
      case 'sendingElsewhere':
        this.showSendingElsewhere(input.seqs, input.waitingFor, moment);
        return;
      case 'discarded':
        for (const id of input.ids) this.discarded(id, moment);
        return;
      case 'cancel':
        for (const id of input.ids) {
          const entry = mutations.get(id);
          if (!this.isLeader || entry?.phase.kind !== 'waiting') continue;
          if (entry.mayHaveBeenSent && input.evenIfSent !== true) continue;
          const reason = entry.mayHaveBeenSent ? 'unconfirmed' : 'takenBack';
          this.settle(this.verdicts.cancelled(entry, { reason, act: input.act }, moment));
        }
        return;
      case 'evict':
        for (const entry of this.evictable(input.count, input.bytes)) this.settle(this.verdicts.evicted(entry, moment));
        return;
      case 'keepBack':
        for (const id of input.ids) {
          const entry = mutations.get(id);
          if (entry !== undefined && this.canAmend(entry)) mutations.keepBack(entry, input.amendId);
        }
        return;
      case 'amended':
        for (const header of input.headers) {
          const entry = mutations.at(header.seq);
          if (entry === undefined) continue;
          mutations.amend(entry, header, moment.nowMs, heldUntilMs(header, moment));
          if (this.isLeader) this.settle(this.verdicts.rebase(entry));
        }
        return;
      case 'letGo':
        for (const entry of [...mutations.kept]) {
          if (entry.amendId !== input.amendId) continue;
          mutations.letGo(entry, moment.nowMs);
          // Only the tab that delivers keeps anything back.
          this.settle(this.verdicts.rebase(entry));
        }
        return;
      case 'superseded':
        this.superseded(input.id, input.payload, moment);
        return;
      case 'resolved':
        this.resolved(input.header, input.body, moment);
        return;
      case 'hurry':
        for (const id of input.ids) {
          const entry = mutations.get(id);
          if (entry?.phase.kind === 'waiting') mutations.schedule.delay(entry, 0, moment.nowMs);
        }
        gates.wake('hint', moment.nowMs);
        return;
      case 'unstick':
        this.unstick(input.ids, moment);
        return;
      case 'answer':
        if (this.batch?.id === input.batchId) this.takeAnswer(this.batch, input.answer, moment);
        return;
      case 'givenUp':
        // Only the tab that delivers settles; what does not read now may have been settled by another.
        if (this.isLeader) this.takeGivenUp(input.seqs, input.error, moment);
        return;
      case 'cannotMigrate':
        for (const { seq, error } of input.failures) {
          const entry = mutations.at(seq);
          if (entry !== undefined) mutations.versions.cannotMigrate(entry, error);
        }
        return;
      case 'headersStored':
        for (const header of input.headers) {
          const entry = mutations.at(header.seq);
          if (mutations.rewritingEnded(header) && entry?.amendId === STORING) mutations.letGo(entry, moment.nowMs);
        }
        return;
      case 'settlementsStored':
        for (const seq of input.seqs) mutations.settlementStored(seq, moment.nowMs);
        return;
      case 'settlementsLost':
        for (const seq of input.seqs) mutations.settlementEnded(seq, moment.nowMs);
        return;
      case 'tick':
        this.wakeAtMs = null;
        return;
      default:
        this.haveGatesChanged = true;
        this.gatesTouchedAtMs = moment.nowMs;
        this.takeGateInput(input, moment);
    }
  }

  private takeGateInput(input: GateInput, moment: Moment): void {
    const { gates } = this;
    switch (input.kind) {
      case 'leadership':
        this.setLeader(input.isLeader ? input.earlierSeq : null, moment);
        return;
      case 'paused':
      case 'resumed':
        gates.isPaused = input.kind === 'paused';
        return;
      case 'signedOut':
      case 'signedIn':
        gates.isSignedOut = input.kind === 'signedOut';
        return;
      case 'locked':
      case 'unlocked':
        gates.lockedBy = input.kind === 'locked' ? input.error : null;
        return;
      case 'storageFailed':
      case 'storageWorks':
        gates.storageError = input.kind === 'storageFailed' ? input.error : null;
        return;
      case 'hint':
        if (input.hint === 'offline') gates.line.wentOffline(moment.nowMs, moment.random, OFFLINE);
        else gates.wake('hint', moment.nowMs);
        if (input.hint === 'nudge') this.drainNow(moment);
        return;
      case 'probed':
        if (input.result.kind === 'reached') gates.line.reached(moment.nowMs, moment.random);
        else gates.line.failed('network', unreachable(input.result.reason), moment.nowMs, moment.random);
        return;
      case 'tokenRefreshed':
        gates.tokenRefreshed(input.isThere, moment);
        return;
      case 'loginChanged':
        gates.loginChanged();
        return;
      case 'rateLimited':
        gates.rateLimited(input.error, input.retryAfterMs, moment);
        return;
      case 'upgradeRequired':
        gates.needsUpgrade(input.error);
        return;
      case 'conditions':
        this.policies.conditions = input.conditions;
    }
  }

  /** Null: this tab delivers no longer. */
  private setLeader(earlierSeq: number | null, moment: Moment): void {
    const isLeader = earlierSeq !== null;
    if (this.isLeader === isLeader) return;
    this.isLeader = isLeader;
    this.earlierSeq = earlierSeq ?? Number.POSITIVE_INFINITY;
    for (const entry of [...this.mutations.kept]) this.mutations.letGo(entry, moment.nowMs);
    if (isLeader) {
      this.mutations.holdBack(moment.nowMs);
      this.mutations.packed?.sentUpTo(this.earlierSeq);
      for (const entry of this.mutations.entries()) {
        entry.mayHaveBeenSent =
          this.isEarlier(entry) && entry.heldUntilMs <= moment.nowMs && !this.mutations.wasNeverWhole(entry);
        // As one that did not deliver, this tab could not know.
        if (entry.phase.kind !== 'failed') this.mutations.expiries.watch(entry);
      }
    }
    const onTheirWay = [...this.elsewhere.sending, ...(this.batch?.entries ?? [])];
    this.elsewhere = { sending: [], waitingFor: null };
    if (this.batch !== null) this.effects.push({ kind: 'abort', batchId: this.batch.id });
    this.batch = null;
    for (const entry of onTheirWay) {
      entry.mayHaveBeenSent = true;
      this.putBack(entry, moment);
    }
    if (!isLeader) this.mutations.settlementsLost(moment.nowMs);
  }

  /** Whether it may have been sent before this tab delivered: it stood there, or was retried after it had failed. */
  isEarlier({ seq, generation }: HeaderFields): boolean {
    return seq <= this.earlierSeq || generation > 0;
  }

  private putBack(entry: Entry, moment: Moment): void {
    this.mutations.setWaiting(entry);
    this.mutations.schedule.freed(entry, moment.nowMs);
  }

  private showSendingElsewhere(seqs: readonly number[], waitingFor: WaitingFor | null, moment: Moment): void {
    if (this.isLeader) return;
    this.haveGatesChanged = true;
    for (const entry of this.elsewhere.sending) this.putBack(entry, moment);
    const sending = seqs
      .map((seq) => this.mutations.at(seq))
      .filter((entry) => entry?.phase.kind === 'waiting') as Entry[];
    for (const entry of sending) this.mutations.setSending(entry, null);
    this.elsewhere = { sending, waitingFor };
  }

  private settledElsewhere(settlement: Settlement, moment: Moment): void {
    const { mutations } = this;
    if (settlement.kind === 'failed') {
      const { deadLetter } = settlement;
      mutations.insert(deadLetter.header, true, moment.nowMs, 0);
      // The other tab may have given it up by itself, and then the server has no verdict on it.
      mutations.bury(deadLetter, moment.nowMs, false);
      const entry = mutations.at(deadLetter.header.seq);
      if (entry === undefined) return;
      mutations.standAgainOn(entry);
      if (!deadLetter.holdsLane) mutations.stopHolding(entry, moment.nowMs);
      return;
    }
    // By its id: one that was retried may have been confirmed under its earlier number, and is confirmed all the same.
    const entry =
      settlement.kind === 'completed' ? mutations.get(settlement.record.id) : mutations.at(settlement.header.seq);
    if (entry === undefined) return;
    if (settlement.kind === 'completed') {
      mutations.forget(entry, moment.nowMs, !settlement.wasRepeat);
      mutations.release(entry.id, moment.nowMs);
      return;
    }
    if (settlement.kind === 'cancelled') {
      this.dispose(entry, moment);
      return;
    }
    if (settlement.kind === 'rebased') {
      mutations.amend(entry, settlement.header, moment.nowMs, heldUntilMs(settlement.header, moment));
      return;
    }
    const { header } = settlement;
    // Word that it was rewritten may have been lost, or be newer than this.
    mutations.amend(entry, header, moment.nowMs, heldUntilMs(header, moment));
    if (header.revision < entry.revision) return;
    entry.header = header;
    entry.lastError = header.attempts.at(-1)?.error ?? null;
    mutations.changed(entry);
  }

  private takeUp(headers: readonly MutationHeader[]): void {
    if (!this.isLeader) return;
    for (const { seq, edit } of headers) {
      const entry = edit === undefined ? undefined : this.mutations.at(seq);
      // One that is only read now was there when the edit before it was confirmed, and takes note of it all the same.
      const isNew = entry !== undefined && (!entry.mayHaveBeenSent || this.mutations.isReading);
      if (isNew && entry.phase.kind === 'waiting') this.settle(this.verdicts.takeUp(entry));
    }
  }

  private superseded(id: string, payload: JsonObject, moment: Moment): void {
    const entry = this.decided(id);
    if (entry === undefined) return;
    this.mutations.letGo(entry, moment.nowMs);
    this.settle(this.verdicts.cancelled(entry, { reason: 'superseded', payload, act: null }, moment));
  }

  /** It goes only when that is stored: after a crash its first form would go again. */
  private resolved(header: MutationHeader, body: string, moment: Moment): void {
    const entry = this.decided(header.id);
    if (entry === undefined) return;
    const { mutations } = this;
    const before = entry.header;
    mutations.amend(entry, header, moment.nowMs, entry.heldUntilMs);
    mutations.keepBack(entry, STORING);
    mutations.rewritingBegun(entry.header, before);
    this.settle([{ kind: 'rebased', header: entry.header, body }]);
  }

  /** The edit whose conflict this tab has been deciding; undefined when that is not its to decide any more. */
  private decided(id: string): Entry | undefined {
    const entry = this.mutations.get(id);
    return this.isLeader && entry?.amendId === conflictAmendId(id) ? entry : undefined;
  }

  private discarded(id: string, moment: Moment): void {
    // Pending ones too: this tab may have missed that it had become a dead letter.
    const entry = this.mutations.get(id);
    if (entry === undefined) this.mutations.parentGone(id);
    else this.dispose(entry, moment);
  }

  /** Someone has disposed of it; what stood on it cannot stand without it. */
  private dispose(entry: Entry, moment: Moment): void {
    const { mutations } = this;
    mutations.stopHolding(entry, moment.nowMs);
    mutations.suspectOrphans(mutations.dependants(entry));
    mutations.forget(entry, moment.nowMs, false);
    mutations.noteGone(entry.id);
    mutations.changed(entry);
  }

  /** What these are is to be made anew in the store, before they are sent. */
  private rewrite(kind: 'migrate' | 'fillSlots', entries: readonly Entry[], { nowMs }: Moment): void {
    if (entries.length === 0) return;
    this.rewriteNumber += 1;
    // Nobody else may rewrite it meanwhile, nor is it settled.
    const amendId = `${kind} ${this.rewriteNumber} at ${nowMs}`;
    for (const entry of entries) this.mutations.keepBack(entry, amendId);
    this.effects.push({ kind, amendId, headers: entries.map(({ header }) => header) });
  }

  /** What cannot be migrated, and surely was never sent. */
  private buryOutdated(moment: Moment): void {
    for (const { entry, error } of this.mutations.versions.lost)
      if (!this.mutations.isUnsure(entry)) this.settle(this.verdicts.failed(entry, error, moment, 'device'));
  }

  /** Waiting, and neither is anybody rewriting it nor is its header on its way to storage. */
  private readonly isFree = ({ phase, amendId, seq }: Entry): boolean =>
    phase.kind === 'waiting' && amendId === null && !this.mutations.isBeingRewritten(seq);

  /** What was not sent in time, and surely was not sent before, is not sent any more. */
  private expire(moment: Moment): void {
    const due = this.mutations.expiries.takeDue(moment.wallMs, (entry) => this.mutations.isUnsure(entry));
    for (const entry of due) this.settle(this.verdicts.expired(entry, moment));
  }

  /** Children of parents that were disposed of or released, and those added or found after their parent had died. */
  private buryOrphans(moment: Moment): void {
    const orphans = this.mutations.takeOrphans();
    this.settle(orphans.flatMap(({ orphan, parentId }) => this.verdicts.orphaned([orphan], parentId, moment, true)));
  }

  private takeGivenUp(seqs: readonly number[], error: WireError, moment: Moment): void {
    const entries = seqs.map((seq) => this.mutations.at(seq)).filter((entry) => entry !== undefined);
    const pending = entries.filter(({ phase }) => phase.kind !== 'failed');
    this.settle(pending.flatMap((entry) => this.verdicts.failed(entry, error, moment, 'device')));
  }

  private takeAnswer(batch: Batch, answer: TransportAnswer, moment: Moment): void {
    this.batch = null;
    this.haveGatesChanged = true;
    this.gatesTouchedAtMs = moment.nowMs;
    // Those that turned out unreadable have left the batch.
    const entries = batch.entries.filter(({ phase }) => phase.kind === 'sending' && phase.batchId === batch.id);
    if (entries.length === 0) return;
    for (const entry of entries) {
      this.mutations.setWaiting(entry);
      if (!isUnsent(answer)) entry.mayHaveBeenSent = true;
      if (answer.kind !== 'answered') entry.lastError = answer.error;
    }
    this.answers.judge(entries, answer, moment);
    for (const entry of entries) this.mutations.schedule.freed(entry, moment.nowMs);
  }

  private settle(settlements: readonly Settlement[]): void {
    if (settlements.length > 0) this.effects.push({ kind: 'settle', settlements });
  }

  private sendWhatIsReady(moment: Moment): void {
    const { gates, mutations } = this;
    // With nothing to send there is nothing to ask the server for; the network monitor looks after itself.
    if (!this.canWork) return;
    if (gates.beginLoginCheck(moment.nowMs)) this.effects.push({ kind: 'refreshToken' });
    const check = gates.line.beginCheck(moment.nowMs);
    if (check === 'probe') this.effects.push({ kind: 'probe' });
    if (check === 'batch') gates.line.opened();
    if (gates.closed(moment.nowMs) !== null || mutations.holdsBackUntilMs(moment.nowMs) !== null) return;
    const batchId = this.batchNumber + 1;
    const claim = (entry: Entry): void => mutations.setSending(entry, batchId);
    const entries = mutations.schedule.take(this.answers.countMax, LIMITS.batchBytes, moment.nowMs, claim);
    if (entries.length === 0) return;
    this.batchNumber = batchId;
    this.batch = { id: batchId, sinceMs: moment.nowMs, entries };
    const items = entries.map((entry) => this.itemOf(entry));
    this.effects.push({ kind: 'send', batchId, items, acknowledgedFloor: mutations.acknowledgedFloor });
  }

  private itemOf(entry: Entry): BatchItem {
    const { mutations } = this;
    const after = mutations.schedule.settledBefore(entry);
    entry.mayAwaitRow = entry.rowWaitCount < ROW_WAITS_MAX && mutations.parentRows.hasCreationBefore(entry);
    return {
      header: entry.header,
      after,
      ...(entry.mayAwaitRow ? { awaitsCreation: true } : {}),
      ...(mutations.versions.isOutdated(entry) ? { isOutdated: true } : {}),
    };
  }

  private setWake(moment: Moment): void {
    const workAtMs = this.canWork ? this.nextWorkAtMs(moment.nowMs) : null;
    const expiryAtMs = this.isLeader ? this.mutations.expiries.nextAtMs(moment) : null;
    const atMs = workAtMs === null || expiryAtMs === null ? (workAtMs ?? expiryAtMs) : Math.min(workAtMs, expiryAtMs);
    if (atMs === this.wakeAtMs) return;
    this.wakeAtMs = atMs;
    this.effects.push({ kind: 'wakeAt', atMs });
  }

  /** When the first closed gate is looked at again, or with all open, when the first delay has passed. */
  private nextWorkAtMs(nowMs: number): number | null {
    if (this.gates.closed(nowMs) !== null) return this.gates.nextCheckAtMs(nowMs);
    const heldUntilMs = this.mutations.holdsBackUntilMs(nowMs);
    if (heldUntilMs !== null) return heldUntilMs;
    const { nextDueAtMs } = this.mutations.schedule;
    const { nextCheckAtMs } = this.policies;
    return nextDueAtMs === null || nextCheckAtMs === null
      ? (nextDueAtMs ?? nextCheckAtMs)
      : Math.min(nextDueAtMs, nextCheckAtMs);
  }

  /** Someone asks for all that waits: no backoff and no policy holds it. */
  private drainNow({ nowMs }: Moment): void {
    const { schedule, lastSeq } = this.mutations;
    schedule.hurry(nowMs);
    this.policies.letGo(lastSeq);
    schedule.reconsider(nowMs);
  }

  private updatePolicies({ nowMs, wallMs }: Moment): void {
    const { counts, oldestPending, lastSeq, schedule } = this.mutations;
    // The older by either clock: a date that was set back must not hold anything back for longer.
    const oldestAgeMs =
      oldestPending === undefined
        ? 0
        : Math.max(nowMs - oldestPending.waitingSinceMs, wallMs - oldestPending.createdAtMs);
    const facts = { pendingCount: counts.pending, pendingBytes: counts.pendingBytes, oldestAgeMs };
    const isLineDown = this.gates.line.state.kind === 'down';
    if (this.policies.update(facts, { highestSeq: lastSeq, isLineDown, nowMs })) schedule.reconsider(nowMs);
  }

  private get canWork(): boolean {
    return this.isLeader && this.batch === null && !this.gates.isStopped && this.mutations.counts.pending > 0;
  }
}

/** So long nothing that can go is left lying, in milliseconds. */
const STUCK_MS = 60_000;
/** Times that a mutation may wait for a row that it refers to, before the server decides for good. */
const ROW_WAITS_MAX = 10;
const OFFLINE: WireError = {
  category: 'NETWORK_ERROR',
  code: 'OFFLINE',
  message: 'The device is offline.',
  hint: 'Nothing to do: it is sent as soon as there is a network.',
};

const IN_CONFLICT: WireError = {
  category: 'CONFLICT',
  code: 'ROW_CHANGED',
  message: 'It was changed by someone else since this edit was made.',
  hint: 'Decide which of the two versions is to stand, or merge them.',
};

/** Surely nothing has left the device. */
function isUnsent(answer: TransportAnswer): boolean {
  return answer.kind === 'unreachable' || (answer.kind === 'unauthorized' && answer.isUnsent === true);
}

/** What an edit that was made anew after a conflict is kept back under until that is stored. */
const STORING = 'storing';

const NOT_WAITING: Waiting = { waitingFor: 'nothing', error: null, untilMs: null };

function unreachable(reason: string): WireError {
  return {
    category: 'NETWORK_ERROR',
    code: 'UNREACHABLE',
    message: `The server could not be reached: ${reason}.`,
    hint: 'Nothing to do: the server is asked again at growing intervals, up to 5 minutes.',
  };
}

/**
 * When the rest of the undo window of one found in storage ends (monotonic). A clock outside of the window has passed it
 * or was changed, and then it may have been sent.
 */
function heldUntilMs(header: MutationHeader, moment: Moment): number {
  const delayMs = undoWindowMs(header);
  const elapsedMs = moment.wallMs - header.createdAtMs;
  return elapsedMs < 0 || elapsedMs >= delayMs ? 0 : moment.nowMs + delayMs - elapsedMs;
}

/** The window of one that has been answered is over, also when it is retried, or a clock that was set back says otherwise. */
function undoWindowMs({ delayMs, generation, attempts }: MutationHeader): number {
  return generation === 0 && attempts.length === 0 ? delayMs : 0;
}
