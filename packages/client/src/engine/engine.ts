import type { RetryRules } from '../mutation/definition.ts';
import type { AttemptRecord, MutationHeader } from '../mutation/record.ts';
import { type Json, LIMITS, type WireError, type WireOutcome } from '../protocol/wire.ts';
import { retryDelayMs } from './backoff.ts';
import type { EngineEffect, EngineInput, GateInput, Moment, Settlement, Waiting, WaitingFor } from './engine-io.ts';
import type { Entry } from './entry.ts';
import { Gates } from './gates.ts';
import type { TransportAnswer } from './transport-answer.ts';
import { Unconfirmed } from './unconfirmed.ts';

export interface EngineRules {
  /** Retry rules of a type; the defaults for a type that is not declared. */
  readonly retryRules: (type: string) => RetryRules;
}

interface Batch {
  readonly id: number;
  readonly entries: readonly Entry[];
}

/** A deferral is looked at again after this, doubling, in milliseconds: what it waits for is on another line. */
const DEFERRAL_MS_BASE = 200;
const DEFERRAL_MS_MAX = 30_000;

/**
 * The whole of a queue's behaviour as a state machine: inputs in, effects out. It awaits nothing, reads no clock, draws
 * no chance of its own and touches no platform, so every history can be replayed and simulated.
 *
 * One batch is in flight at a time, and of each lane only the head. After any crash what is not settled is simply sent
 * again: the ledger on the server makes repetition harmless, so nothing about sending is stored.
 */
export class Engine {
  readonly mutations: Unconfirmed = new Unconfirmed();
  readonly gates: Gates = new Gates();
  isLeader = false;
  private readonly rules: EngineRules;
  private batch: Batch | null = null;
  private batchNumber = 0;
  /** Shrinks when a batch gets no answer, so that one that kills its server ends up alone; grows back with each answer. */
  private batchCountMax: number = LIMITS.batchCount;
  /** What another tab, which delivers, has on its way and waits for. */
  private elsewhere: { readonly sending: readonly Entry[]; readonly waitingFor: WaitingFor | null } = {
    sending: [],
    waitingFor: null,
  };
  private wakeAtMs: number | null = null;
  private effects: EngineEffect[] = [];
  private haveGatesChanged = false;

  constructor(rules: EngineRules) {
    this.rules = rules;
  }

  /** Takes one input and says what is to be done about it. */
  handle(input: EngineInput, moment: Moment): EngineEffect[] {
    this.take(input, moment);
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
    return (this.batch?.entries ?? []).map(({ header }) => header.seq);
  }

  /** What this mutation waits for now, and the error behind it. */
  waitingFor(entry: Entry, nowMs: number): Waiting {
    if (entry.phase.kind !== 'waiting') return NOT_WAITING;
    const lane = this.mutations.schedule.lane(entry.header.lane);
    if (lane !== undefined && lane.head !== entry) return { waitingFor: 'lane', error: null, untilMs: null };
    const closed = this.closed(nowMs);
    if (closed !== null) return closed;
    if (lane !== undefined && lane.dueAtMs > nowMs)
      return { waitingFor: 'backoff', error: entry.lastError, untilMs: lane.dueAtMs };
    return NOT_WAITING;
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
    return (
      this.batch !== null ||
      (this.isLeader && this.gates.closed(nowMs) === null && this.mutations.schedule.hasReady(nowMs))
    );
  }

  private take(input: EngineInput, moment: Moment): void {
    const { mutations, gates } = this;
    switch (input.kind) {
      case 'added':
        for (const header of input.headers) mutations.insert(header, false, moment.nowMs);
        gates.wake('added', moment.nowMs);
        return;
      case 'found':
        for (const header of input.headers) mutations.insert(header, true, moment.nowMs);
        for (const deadLetter of input.deadLetters) this.settledElsewhere({ kind: 'failed', deadLetter }, moment);
        return;
      case 'settledElsewhere':
        for (const settlement of input.settlements) this.settledElsewhere(settlement, moment);
        return;
      case 'sendingElsewhere':
        this.showSendingElsewhere(input.seqs, input.waitingFor);
        return;
      case 'discarded':
        for (const id of input.ids) this.discarded(id, moment);
        return;
      case 'answer':
        if (this.batch?.id === input.batchId) this.takeAnswer(this.batch, input.answer, moment);
        return;
      case 'unreadable':
        this.takeUnreadable(input.seqs, input.error, moment);
        return;
      case 'settlementsStored':
        for (const seq of input.seqs) mutations.settlementStored(seq);
        return;
      case 'tick':
        this.wakeAtMs = null;
        return;
      default:
        this.haveGatesChanged = true;
        this.takeGateInput(input, moment);
    }
  }

  private takeGateInput(input: GateInput, moment: Moment): void {
    const { gates } = this;
    switch (input.kind) {
      case 'leadership':
        this.setLeader(input.isLeader, moment);
        return;
      case 'paused':
      case 'resumed':
        gates.isPaused = input.kind === 'paused';
        return;
      case 'hint':
        if (input.hint === 'offline') gates.line.wentOffline(moment.nowMs, moment.random, OFFLINE);
        else gates.wake('hint', moment.nowMs);
        if (input.hint === 'nudge') this.mutations.schedule.hurry(moment.nowMs);
        return;
      case 'probed':
        if (input.result.kind === 'reached') gates.line.reached();
        else gates.line.failed('network', unreachable(input.result.reason), moment.nowMs, moment.random);
        return;
      case 'tokenRefreshed':
        gates.tokenRefreshed(input.isThere, moment);
        return;
      case 'loginChanged':
        gates.loginChanged();
        return;
      default:
        assertNever(input);
    }
  }

  private setLeader(isLeader: boolean, moment: Moment): void {
    if (this.isLeader === isLeader) return;
    this.isLeader = isLeader;
    const onTheirWay = [...this.elsewhere.sending, ...(this.batch?.entries ?? [])];
    this.elsewhere = { sending: [], waitingFor: null };
    if (this.batch !== null) this.effects.push({ kind: 'abort', batchId: this.batch.id });
    this.batch = null;
    for (const entry of onTheirWay) {
      entry.mayHaveBeenSent = true;
      this.putBack(entry, moment);
    }
    if (!isLeader) this.mutations.settlementsLost();
  }

  private putBack(entry: Entry, moment: Moment): void {
    this.mutations.setWaiting(entry);
    this.mutations.schedule.returned(entry, moment.nowMs);
  }

  private showSendingElsewhere(seqs: readonly number[], waitingFor: WaitingFor | null): void {
    if (this.isLeader) return;
    this.haveGatesChanged = true;
    for (const entry of this.elsewhere.sending) this.mutations.setWaiting(entry);
    const sending = seqs
      .map((seq) => this.mutations.at(seq))
      .filter((entry) => entry?.phase.kind === 'waiting') as Entry[];
    for (const entry of sending) this.mutations.setSending(entry, null);
    this.elsewhere = { sending, waitingFor };
  }

  private settledElsewhere(settlement: Settlement, moment: Moment): void {
    const { mutations } = this;
    if (settlement.kind === 'failed') {
      const { header, error, failedAtMs } = settlement.deadLetter;
      mutations.insert(header, true, moment.nowMs);
      const entry = mutations.at(header.seq);
      if (entry === undefined) return;
      entry.header = header;
      // The other tab may have given it up by itself, and then the server has no verdict on it.
      mutations.bury(entry, error, failedAtMs, moment.nowMs, false);
      return;
    }
    const entry = mutations.at(settlement.kind === 'completed' ? settlement.record.seq : settlement.header.seq);
    if (entry === undefined) return;
    if (settlement.kind === 'completed') {
      mutations.forget(entry, moment.nowMs, true);
      return;
    }
    entry.header = settlement.header;
    entry.lastError = settlement.header.attempts.at(-1)?.error ?? null;
    mutations.changed(entry);
  }

  private discarded(id: string, moment: Moment): void {
    // Pending ones too: this tab may have missed that it had become a dead letter.
    const entry = this.mutations.get(id);
    if (entry === undefined) return;
    this.mutations.forget(entry, moment.nowMs, false);
    this.mutations.changed(entry);
  }

  private takeUnreadable(seqs: readonly number[], error: WireError, moment: Moment): void {
    const entries = seqs.map((seq) => this.mutations.at(seq)).filter((entry) => entry !== undefined);
    const pending = entries.filter(({ phase }) => phase.kind !== 'failed');
    this.settle(pending.map((entry) => this.failed(entry, error, moment, false)));
  }

  private takeAnswer(batch: Batch, answer: TransportAnswer, moment: Moment): void {
    this.batch = null;
    this.haveGatesChanged = true;
    // Those that turned out unreadable have left the batch.
    const entries = batch.entries.filter(({ phase }) => phase.kind === 'sending' && phase.batchId === batch.id);
    if (entries.length === 0) return;
    for (const entry of entries) {
      this.mutations.setWaiting(entry);
      if (answer.kind !== 'unreachable') entry.mayHaveBeenSent = true;
      if (answer.kind !== 'answered') entry.lastError = answer.error;
    }
    this.judge(entries, answer, moment);
    for (const entry of entries) this.mutations.schedule.returned(entry, moment.nowMs);
  }

  private judge(entries: readonly Entry[], answer: TransportAnswer, moment: Moment): void {
    const { gates } = this;
    const { nowMs, random } = moment;
    switch (answer.kind) {
      case 'answered':
        this.takeOutcomes(entries, answer.outcomes, moment);
        return;
      case 'unreachable':
      case 'unknown':
        this.shrinkBatches(entries.length);
        gates.line.failed('network', answer.error, nowMs, random);
        return;
      case 'unavailable':
        this.shrinkBatches(entries.length);
        gates.line.failed('circuit', answer.error, nowMs, random, answer.retryAfterMs ?? 0);
        return;
      case 'calledOff':
        return;
      case 'rateLimited':
        gates.rateLimited(answer.error, answer.retryAfterMs, moment);
        return;
      case 'unauthorized':
        if (gates.unauthorized(answer.error, moment)) this.effects.push({ kind: 'refreshToken' });
        return;
      case 'forbidden':
        gates.forbidden(answer.error, moment);
        return;
      case 'upgradeRequired':
        gates.needsUpgrade(answer.error);
        return;
      case 'batchRefused':
        this.takeBatchRefusal(entries, answer.error, moment);
        return;
      default:
        assertNever(answer);
    }
  }

  private takeOutcomes(entries: readonly Entry[], outcomes: readonly WireOutcome[], moment: Moment): void {
    const bySeq = new Map(outcomes.map((outcome) => [outcome.seq, outcome]));
    const settlements: Settlement[] = [];
    let answeredCount = 0;
    for (const entry of entries) {
      const outcome = bySeq.get(entry.header.seq);
      // An outcome of another id is no answer to this one. Nor is silence: it may have been applied, so it goes again.
      if (outcome?.id !== entry.header.id) continue;
      answeredCount += 1;
      const settlement = this.takeOutcome(entry, outcome, moment);
      if (settlement !== null) settlements.push(settlement);
    }
    if (answeredCount === 0) {
      this.shrinkBatches(entries.length);
      this.gates.line.failed('circuit', UNANSWERED, moment.nowMs, moment.random);
      return;
    }
    this.gates.answered();
    this.batchCountMax = Math.min(LIMITS.batchCount, this.batchCountMax * 2);
    this.settle(settlements);
  }

  private takeOutcome(entry: Entry, outcome: WireOutcome, moment: Moment): Settlement | null {
    switch (outcome.kind) {
      case 'applied':
        return this.completed(entry, outcome.result, false, moment);
      case 'duplicate':
        if (outcome.verdict === 'applied') return this.completed(entry, outcome.result, true, moment);
        return this.rejected(entry, outcome.error, moment, true);
      case 'rejected':
        return this.rejected(entry, outcome.error, moment, true);
      case 'refused':
        return this.refused(entry, outcome.error, moment);
      case 'deferred': {
        const delayMs = Math.min(DEFERRAL_MS_MAX, DEFERRAL_MS_BASE * 2 ** Math.min(20, entry.deferralCount));
        entry.deferralCount += 1;
        this.mutations.schedule.delay(entry, moment.nowMs + delayMs);
        return null;
      }
      default:
        return assertNever(outcome);
    }
  }

  private completed(entry: Entry, result: Json, wasRepeat: boolean, moment: Moment): Settlement {
    const { id, seq, type, entity, createdAtMs, attempts } = entry.header;
    this.mutations.forget(entry, moment.nowMs, true);
    this.mutations.settlementBegun(seq);
    const record = {
      id,
      seq,
      type,
      entity,
      createdAtMs,
      confirmedAtMs: moment.wallMs,
      attemptCount: attempts.length + 1,
    };
    return { kind: 'completed', record, result, wasRepeat };
  }

  /** `isLedgered`: the server keeps this verdict, so that the next of the lane may name it as the one before. */
  private rejected(entry: Entry, error: WireError, moment: Moment, isLedgered: boolean): Settlement {
    entry.header = withAttempt(entry.header, error, moment);
    return this.failed(entry, error, moment, isLedgered);
  }

  /** Counted on the answer, not on sending: a lost answer says nothing about the mutation, only about the line. */
  private refused(entry: Entry, error: WireError, moment: Moment): Settlement {
    const rules = this.rules.retryRules(entry.header.type);
    entry.header = withAttempt(entry.header, error, moment);
    entry.lastError = error;
    const retryNumber = entry.header.attempts.length;
    if (retryNumber > rules.maxRetries) return this.failed(entry, error, moment, false);
    this.mutations.schedule.delay(entry, moment.nowMs + retryDelayMs(rules, retryNumber, moment.random));
    return { kind: 'refused', header: entry.header };
  }

  private failed(entry: Entry, error: WireError, moment: Moment, isServersVerdict: boolean): Settlement {
    this.mutations.bury(entry, error, moment.wallMs, moment.nowMs, isServersVerdict);
    this.mutations.settlementBegun(entry.header.seq);
    return { kind: 'failed', deadLetter: { header: entry.header, error, failedAtMs: moment.wallMs } };
  }

  /** The batch as it is cannot be taken: smaller ones go, and one that is refused alone is itself the reason. */
  private takeBatchRefusal(entries: readonly Entry[], error: WireError, moment: Moment): void {
    const [only] = entries;
    if (entries.length === 1 && only !== undefined) this.settle([this.rejected(only, error, moment, false)]);
    else this.shrinkBatches(entries.length);
  }

  private shrinkBatches(failedCount: number): void {
    this.batchCountMax = Math.max(1, Math.floor(failedCount / 2));
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
    if (check === 'batch') gates.line.reached();
    if (gates.closed(moment.nowMs) !== null) return;
    const batchId = this.batchNumber + 1;
    const claim = (entry: Entry): void => mutations.setSending(entry, batchId);
    const entries = mutations.schedule.take(this.batchCountMax, LIMITS.batchBytes, moment.nowMs, claim);
    if (entries.length === 0) return;
    this.batchNumber = batchId;
    this.batch = { id: batchId, entries };
    const items = entries.map(({ header }) => ({ header, after: mutations.schedule.settledBefore(header) }));
    this.effects.push({ kind: 'send', batchId, items, acknowledgedFloor: mutations.acknowledgedFloor });
  }

  private setWake(moment: Moment): void {
    const atMs = this.canWork ? this.nextWorkAtMs(moment.nowMs) : null;
    if (atMs === this.wakeAtMs) return;
    this.wakeAtMs = atMs;
    this.effects.push({ kind: 'wakeAt', atMs });
  }

  /** When the first closed gate is looked at again, or with all open, when the first delay has passed. */
  private nextWorkAtMs(nowMs: number): number | null {
    if (this.gates.closed(nowMs) !== null) return this.gates.nextCheckAtMs(nowMs);
    return this.mutations.schedule.nextDueAtMs;
  }

  private get canWork(): boolean {
    return this.isLeader && this.batch === null && !this.gates.isStopped && this.mutations.counts.pending > 0;
  }
}

const OFFLINE: WireError = {
  category: 'NETWORK_ERROR',
  code: 'OFFLINE',
  message: 'The device is offline.',
  hint: 'Nothing to do: it is sent as soon as there is a network.',
};

const UNANSWERED: WireError = {
  category: 'SERVER_ERROR',
  code: 'UNREADABLE_ANSWER',
  message: 'The server answered, but about none of the mutations that were sent.',
  hint: 'Check that the address is that of a Holdfast server.',
};

const NOT_WAITING: Waiting = { waitingFor: 'nothing', error: null, untilMs: null };

function unreachable(reason: string): WireError {
  return {
    category: 'NETWORK_ERROR',
    code: 'UNREACHABLE',
    message: `The server could not be reached: ${reason}.`,
    hint: 'Nothing to do: the server is asked again at growing intervals, up to 5 minutes.',
  };
}

function withAttempt(header: MutationHeader, error: WireError, moment: Moment): MutationHeader {
  const attempt: AttemptRecord = { attemptNumber: header.attempts.length + 1, answeredAtMs: moment.wallMs, error };
  return { ...header, attempts: [...header.attempts, attempt] };
}

function assertNever(value: never): never {
  throw new Error(`Not reachable: ${JSON.stringify(value)}`);
}
