import { LIMITS, type WireError, type WireOutcome } from '../protocol/wire.ts';
import type { EngineEffect, Moment, Settlement } from './engine-io.ts';
import type { Entry } from './entry.ts';
import type { Gates } from './gates.ts';
import type { TransportAnswer } from './transport-answer.ts';
import type { Verdicts } from './verdicts.ts';

type Answered = Extract<TransportAnswer, { readonly kind: 'answered' }>;

export interface AnswersPorts {
  readonly gates: Gates;
  readonly verdicts: Verdicts;
  readonly emit: (effect: EngineEffect) => void;
  readonly settle: (settlements: readonly Settlement[]) => void;
}

/** What the answer to a batch says of the line, of the login and of each mutation in it. */
export class Answers {
  /** Shrinks when a batch gets no answer, so that one that kills its server ends up alone; grows back with each answer. */
  countMax: number = LIMITS.batchCount;
  private readonly gates: Gates;
  private readonly verdicts: Verdicts;
  private readonly emit: AnswersPorts['emit'];
  private readonly settle: AnswersPorts['settle'];
  /** Batches answered so far. */
  private answerCount = 0;

  constructor({ gates, verdicts, emit, settle }: AnswersPorts) {
    this.gates = gates;
    this.verdicts = verdicts;
    this.emit = emit;
    this.settle = settle;
  }

  /** Of a batch, or of those of it that were answered in one way. */
  judge(entries: readonly Entry[], answer: TransportAnswer, moment: Moment): void {
    const { gates } = this;
    const { nowMs, random } = moment;
    switch (answer.kind) {
      case 'answered':
        this.takeOutcomes(entries, answer, moment);
        return;
      case 'unreachable':
      case 'unknown':
        this.noAnswer(entries, answer.error, moment);
        gates.line.failed(isOfStorage(answer) ? 'storage' : 'network', answer.error, nowMs, random, {
          wasReset: answer.kind === 'unknown' && answer.wasReset === true,
        });
        return;
      case 'unavailable':
        this.noAnswer(entries, answer.error, moment);
        gates.line.failed('circuit', answer.error, nowMs, random, { minDelayMs: answer.retryAfterMs ?? 0 });
        return;
      case 'calledOff':
        return;
      case 'rateLimited':
        gates.rateLimited(answer.error, answer.retryAfterMs, moment);
        return;
      case 'unauthorized':
        if (gates.unauthorized(answer.error, moment)) this.emit({ kind: 'refreshToken' });
        return;
      case 'forbidden':
        gates.forbidden(answer.error, moment);
        return;
      case 'upgradeRequired':
        gates.needsUpgrade(answer.error);
        return;
      case 'batchRefused':
        this.takeBatchRefusal(entries, answer.error, moment);
    }
  }

  private takeOutcomes(entries: readonly Entry[], { outcomes, rest, pace }: Answered, moment: Moment): void {
    const bySeq = new Map(outcomes.map((outcome) => [outcome.seq, outcome]));
    const settlements: Settlement[] = [];
    const unanswered: Entry[] = [];
    for (const entry of entries) {
      const outcome = bySeq.get(entry.seq);
      // An outcome of another id is no answer to this one, nor is a conflict with another version than it was made on by now.
      // Nor is silence: it may have been applied, so it goes again.
      if (outcome?.id !== entry.id || isStale(outcome, entry)) {
        unanswered.push(entry);
        continue;
      }
      settlements.push(...this.verdicts.ofOutcome(entry, outcome, moment));
      if (outcome.kind === 'conflict') this.emit({ kind: 'resolve', header: entry.header, conflict: outcome });
    }
    if (unanswered.length === entries.length && rest === undefined) {
      this.noAnswer(entries, UNANSWERED, moment);
      this.gates.line.failed('circuit', UNANSWERED, moment.nowMs, moment.random);
      return;
    }
    this.gates.answered();
    if (pace?.remaining === 0) this.gates.paced(pace.resetMs, moment);
    this.answerCount += 1;
    this.countMax = Math.min(LIMITS.batchCount, this.countMax * 2);
    this.settle(settlements);
    if (rest === undefined || unanswered.length === 0) return;
    for (const entry of unanswered) entry.lastError = rest.error;
    this.judge(unanswered, rest, moment);
  }

  /**
   * Says nothing about the mutations, and the same ids go again, in smaller batches. But one that gets no answer alone,
   * time and again while others do, is taken for the reason: it must not block them for ever.
   */
  private noAnswer(entries: readonly Entry[], error: WireError, moment: Moment): void {
    this.shrinkBatches(entries.length);
    const [only] = entries;
    if (entries.length > 1 || only === undefined) return;
    if (only.suspicionCount > 0 && only.suspectedAtAnswer === this.answerCount) return;
    only.suspicionCount += 1;
    only.suspectedAtAnswer = this.answerCount;
    if (only.suspicionCount > SUSPICIONS_MAX) this.settle(this.verdicts.failed(only, suspect(error), moment, 'device'));
  }

  /** The batch as it is cannot be taken: smaller ones go, and one that is refused alone is itself the reason. */
  private takeBatchRefusal(entries: readonly Entry[], error: WireError, moment: Moment): void {
    const [only] = entries;
    if (entries.length === 1 && only !== undefined) this.settle(this.verdicts.rejected(only, error, moment, 'device'));
    else this.shrinkBatches(entries.length);
  }

  private shrinkBatches(failedCount: number): void {
    this.countMax = Math.max(1, Math.floor(failedCount / 2));
  }
}

/** Times that a mutation may get no answer alone while others do. */
const SUSPICIONS_MAX = 10;

function suspect(error: WireError): WireError {
  return {
    category: error.category,
    code: 'SUSPECT',
    message: `Given up: ten times the server did not answer for it alone, while it answered for others (${error.message})`,
    hint: 'Find out what it does to the server, then retry it, or discard it.',
  };
}

const UNANSWERED: WireError = {
  category: 'SERVER_ERROR',
  code: 'UNREADABLE_ANSWER',
  message: 'The server answered, but about none of the mutations that were sent.',
  hint: 'Check that the address is that of a Holdfast server.',
};

/** Not sent since this device could not read it: that says nothing about the network. */
function isOfStorage({ kind, error }: Extract<TransportAnswer, { kind: 'unreachable' | 'unknown' }>): boolean {
  return kind === 'unreachable' && error.category === 'STORAGE_ERROR';
}

function isStale(outcome: WireOutcome, { edit }: Entry): boolean {
  return outcome.kind === 'conflict' && outcome.baseRowVersion !== (edit?.baseRowVersion ?? null);
}
