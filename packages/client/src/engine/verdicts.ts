import type { RetryRules } from '../mutation/definition.ts';
import type { AttemptRecord, MutationHeader } from '../mutation/record.ts';
import { keptResult } from '../mutation/slots.ts';
import type { Json, WireError, WireOutcome } from '../protocol/wire.ts';
import { assertNever } from './assert-never.ts';
import { retryDelayMs } from './backoff.ts';
import type { Moment, Settlement } from './engine-io.ts';
import type { Entry } from './entry.ts';
import type { Unconfirmed } from './unconfirmed.ts';

export interface EngineRules {
  /** Retry rules of a type; the defaults for a type that is not declared. */
  readonly retryRules: (type: string) => RetryRules;
  /** Whether slots may ask for what the server returns for this type. */
  readonly keepsResult: (type: string) => boolean;
}

/** A deferral is looked at again after this, doubling, in milliseconds: what it waits for is on another line. */
const DEFERRAL_MS_BASE = 200;
const DEFERRAL_MS_MAX = 30_000;

/** What an answer about one mutation makes of it, and of those that stand on it. */
export class Verdicts {
  private readonly mutations: Unconfirmed;
  private readonly rules: EngineRules;

  constructor(mutations: Unconfirmed, rules: EngineRules) {
    this.mutations = mutations;
    this.rules = rules;
  }

  ofOutcome(entry: Entry, outcome: WireOutcome, moment: Moment): readonly Settlement[] {
    switch (outcome.kind) {
      case 'applied':
        return [this.completed(entry, outcome.result, false, moment)];
      case 'duplicate':
        if (outcome.verdict === 'applied') return [this.completed(entry, outcome.result, true, moment)];
        return this.rejected(entry, outcome.error, moment, true);
      case 'rejected':
        return this.rejected(entry, outcome.error, moment, true);
      case 'refused':
        return this.refused(entry, outcome.error, moment);
      case 'deferred': {
        const delayMs = Math.min(DEFERRAL_MS_MAX, DEFERRAL_MS_BASE * 2 ** Math.min(20, entry.deferralCount));
        entry.deferralCount += 1;
        this.mutations.schedule.delay(entry, moment.nowMs + delayMs, moment.nowMs);
        return [];
      }
      default:
        return assertNever(outcome);
    }
  }

  private completed(entry: Entry, result: Json, wasRepeat: boolean, moment: Moment): Settlement {
    const { id, seq, type, entity, createdAtMs, attempts } = entry.header;
    const waitedFor = this.mutations.slotsOf(id).map(({ from }) => from);
    this.mutations.forget(entry, moment.nowMs, true);
    this.mutations.confirmationBegun(seq, id);
    this.mutations.release(id, moment.nowMs);
    const record = {
      id,
      seq,
      type,
      entity,
      createdAtMs,
      confirmedAtMs: moment.wallMs,
      attemptCount: attempts.length + 1,
      ...(waitedFor.length > 0 || this.rules.keepsResult(type) ? { result: keptResult(result, waitedFor) } : {}),
    };
    return { kind: 'completed', record, result, wasRepeat };
  }

  /** `isLedgered`: the server keeps this verdict, so that the next of the lane may name it as the one before. */
  rejected(entry: Entry, error: WireError, moment: Moment, isLedgered: boolean): readonly Settlement[] {
    entry.header = withAttempt(entry.header, error, moment);
    return this.failed(entry, error, moment, isLedgered);
  }

  /** Counted on the answer, not on sending: a lost answer says nothing about the mutation, only about the line. */
  private refused(entry: Entry, error: WireError, moment: Moment): readonly Settlement[] {
    entry.header = withAttempt(entry.header, error, moment);
    entry.lastError = error;
    const { type, maxRetries, retryDelayMs: ownDelayMs, attempts } = entry.header;
    const rules = this.rules.retryRules(type);
    if (attempts.length > (maxRetries ?? rules.maxRetries)) return this.failed(entry, error, moment, false);
    const own = { ...rules, backoffMsBase: ownDelayMs ?? rules.backoffMsBase };
    this.mutations.schedule.delay(
      entry,
      moment.nowMs + retryDelayMs(own, attempts.length, moment.random),
      moment.nowMs,
    );
    return [{ kind: 'refused', header: entry.header }];
  }

  /** Dead letters of this one and of all that stands on it. */
  failed(entry: Entry, error: WireError, moment: Moment, isLedgered: boolean): readonly Settlement[] {
    const orphans = this.mutations.dependants(entry);
    if (isLedgered) this.mutations.settlementBegun(entry.header.seq);
    else this.mutations.ownSettlementBegun(entry.header);
    this.mutations.bury(entry, error, moment.wallMs, moment.nowMs, isLedgered);
    const deadLetter = { header: entry.header, error, failedAtMs: moment.wallMs };
    const settlement = { kind: 'failed', deadLetter, ...(isLedgered ? {} : { isOwn: true as const }) } as const;
    return [settlement, ...this.orphaned(orphans, entry.header.id, moment)];
  }

  /** Takes back one that cannot have been sent, and makes dead letters of what stands on it. */
  cancelled(entry: Entry, moment: Moment): readonly Settlement[] {
    const orphans = this.mutations.dependants(entry);
    this.mutations.ownSettlementBegun(entry.header);
    this.mutations.forget(entry, moment.nowMs, false);
    const cancelled = { kind: 'cancelled', header: entry.header, cancelledAtMs: moment.wallMs } as const;
    return [cancelled, ...this.orphaned(orphans, entry.header.id, moment)];
  }

  /** One that cannot have been sent, and is not to be sent any more. */
  expired(entry: Entry, moment: Moment): readonly Settlement[] {
    return this.failed(entry, EXPIRED, moment, false);
  }

  /** What cannot stand without its parent is not sent. */
  orphaned(orphans: readonly Entry[], parentId: string, moment: Moment): readonly Settlement[] {
    const error = parentFailed(parentId);
    return orphans.flatMap((child) => {
      if (child.phase.kind !== 'waiting') return [];
      if (child.amendId === null) return this.failed(child, error, moment, false);
      // Buried when it is let go.
      child.openParents.add(parentId);
      this.mutations.suspectOrphans([child]);
      return [];
    });
  }
}

const EXPIRED: WireError = {
  category: 'TIMEOUT_ERROR',
  code: 'EXPIRED',
  message: 'Not sent: the time in which it was to be sent has passed.',
  hint: 'Retry it, and it is sent without that limit; or discard it.',
};

function parentFailed(parentId: string): WireError {
  return {
    category: 'CONFLICT',
    code: 'PARENT_FAILED',
    message: `Not sent: it stands on the change ${parentId}, which did not take effect.`,
    hint: 'Retry that one first, and then this one; or discard both.',
  };
}

function withAttempt(header: MutationHeader, error: WireError, moment: Moment): MutationHeader {
  const attempt: AttemptRecord = { attemptNumber: header.attempts.length + 1, answeredAtMs: moment.wallMs, error };
  return { ...header, attempts: [...header.attempts, attempt] };
}
