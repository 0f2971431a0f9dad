import type { DeadLetterPolicy, RetryRules } from '../mutation/definition.ts';
import type { DeliveryPolicy } from '../mutation/delivery-policy.ts';
import {
  type AttemptRecord,
  type CompletedRecord,
  type HeaderFields,
  lanesOf,
  type LeftRow,
  type MutationHeader,
  type RowLeft,
} from '../mutation/record.ts';
import type { Standing } from '../mutation/versions.ts';
import { keptResult, type ValuePath } from '../mutation/slots.ts';
import type { Json, WireError, WireOutcome } from '../protocol/wire.ts';
import { retryDelayMs } from './backoff.ts';
import type { Moment, Settlement } from './engine-io.ts';
import { addOpenParent, conflictAmendId, type Entry } from './entry.ts';
import type { PackedEntries } from './packed-entries.ts';
import type { PlacedRow, Unconfirmed } from './unconfirmed.ts';

export interface EngineRules {
  /** Retry rules of a type; the defaults for a type that is not declared. */
  readonly retryRules: (type: string) => RetryRules;
  /** Whether slots may ask for what the server returns for this type. */
  readonly keepsResult: (type: string) => boolean;
  /** What a type says of its lane; the default for one that is not declared. */
  readonly onDeadLetter: (type: string) => DeadLetterPolicy;
  /** Whether the store may lose its last commits with the power. */
  readonly mayForget: boolean;
  /** How a stored mutation stands to this version of the app. */
  readonly standingOf: (header: HeaderFields) => Standing;
  /** What holds mutations of a type back; null for nothing. */
  readonly policyOf: (type: string) => Required<DeliveryPolicy> | null;
  /** For what waits far from the front; null where nothing is packed. */
  readonly packing: { readonly open: () => PackedEntries } | null;
}

/**
 * Whose verdict it is. What the server says for the first time it keeps under this number, so that the next of the lane may name
 * it as the one before; what it repeats it may know under another number, or of another client.
 */
type Judge = 'server' | 'repeated' | 'device';

type Effect = Pick<Extract<WireOutcome, { kind: 'applied' }>, 'result' | 'rowVersion' | 'memberRows'>;

/** Why something that has had no effect will have none. */
type CancelReason = Pick<Extract<Settlement, { kind: 'cancelled' }>, 'reason' | 'payload' | 'act'>;

/** A deferral is looked at again after this, doubling, in milliseconds: what it waits for is on another line. */
const DEFERRAL_MS_BASE = 200;
const DEFERRAL_MS_MAX = 30_000;
/** A foreign key finds no row (SQLSTATE foreign_key_violation). */
export const NO_PARENT_ROW = '23503';
/** A row that is not there is looked for again after this at the latest, in milliseconds. */
const ROW_WAIT_MS = 60_000;

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
        return this.confirmed(entry, outcome, false, moment);
      case 'duplicate':
        if (outcome.verdict === 'applied') return this.confirmed(entry, outcome, true, moment);
        return this.rejected(entry, outcome.error, moment, 'repeated');
      case 'rejected':
        return this.rejected(entry, outcome.error, moment, 'server');
      case 'refused':
        if (entry.mayAwaitRow && outcome.error.code === NO_PARENT_ROW)
          return this.awaitRow(entry, outcome.error, moment);
        return this.refused(entry, outcome.error, moment);
      case 'conflict':
        entry.lastError = outcome.error;
        // No attempt is used: it says nothing against the edit. One that meets another time and again lets some pass.
        if (entry.edit !== undefined && entry.edit.rebases > 0) this.putOff(entry, moment);
        this.mutations.keepBack(entry, conflictAmendId(entry.id));
        return [];
      case 'deferred':
        this.putOff(entry, moment);
        return [];
    }
  }

  /** No attempt is used: the row may be among what is still on its way. */
  private awaitRow(entry: Entry, error: WireError, { nowMs }: Moment): readonly Settlement[] {
    entry.lastError = error;
    entry.rowWaitCount += 1;
    this.mutations.parentRows.wait(entry);
    this.mutations.schedule.delay(entry, nowMs + ROW_WAIT_MS, nowMs);
    return [];
  }

  private putOff(entry: Entry, { nowMs }: Moment): void {
    const delayMs = Math.min(DEFERRAL_MS_MAX, DEFERRAL_MS_BASE * 2 ** Math.min(20, entry.deferralCount));
    entry.deferralCount += 1;
    this.mutations.schedule.delay(entry, nowMs + delayMs, nowMs);
  }

  private confirmed(
    entry: Entry,
    { result, rowVersion, memberRows }: Effect,
    wasRepeat: boolean,
    moment: Moment,
  ): readonly Settlement[] {
    const left = rowVersion === undefined ? undefined : leftBy(entry, rowVersion);
    const leftRows = memberRows === undefined ? undefined : leftByMembers(memberRows);
    const rows = leftRows === undefined ? [{ row: entry, left: left ?? null }] : inEachLane(entry, leftRows);
    const isNextKept = rows.some((of) => of.left !== null && this.isKept(this.mutations.editMadeOn(of.row, of.left)));
    if (isNextKept) {
      // Stored now, without what it has left to the next one, that would be lost with this tab. The server says it again.
      this.putOff(entry, moment);
      return [];
    }
    const rebased = rows.flatMap((of) => (of.left === null ? [] : this.passOn(of.row, of.left)));
    for (const of of rows) this.mutations.noteLeft(of.row, of.left);
    return [this.completed(entry, { result, left, leftRows }, wasRepeat, moment), ...rebased];
  }

  private isKept(next: Entry | undefined): boolean {
    return next !== undefined && next.amendId !== null;
  }

  /** One that was on its way into the store while the edit before it was confirmed. */
  takeUp(entry: Entry): readonly Settlement[] {
    entry.leftBefore ??= this.mutations.leftOf(entry);
    return this.rebase(entry);
  }

  /**
   * The next edit that was made on the same version was made when this one was pending, so it would be in conflict with it
   * although the user had seen it: from now on it is made on what this one left. What someone else changed in between
   * stays a conflict.
   */
  private passOn(row: PlacedRow, left: RowLeft): readonly Settlement[] {
    const next = this.mutations.editMadeOn(row, left);
    if (next === undefined) return [];
    next.leftBefore = left;
    return this.rebase(next);
  }

  /** It ends without an effect: what those before it had left, the next one finds. */
  private passOnBase(header: HeaderFields): readonly Settlement[] {
    const { baseRowVersion = null, ownSinceVersion = null } = header.edit ?? {};
    if (baseRowVersion === null || ownSinceVersion === null || ownSinceVersion === baseRowVersion) return [];
    const left = { sinceVersion: ownSinceVersion, untilVersion: baseRowVersion - 1, rowVersion: baseRowVersion };
    // Made by a tab that knew who has left it, and not this one, the next is made on that all the same.
    const seq = this.mutations.leaverOf(header, baseRowVersion);
    const row = seq === undefined ? header : { lane: header.lane, entity: header.entity, seq, place: null };
    return this.passOn(row, left);
  }

  /** Takes note of what the edit before it left; not while someone is rewriting it, who is about to write its header. */
  rebase(entry: Entry): readonly Settlement[] {
    const { header, leftBefore } = entry;
    if (leftBefore === null || header.edit === undefined || entry.amendId !== null) return [];
    entry.leftBefore = null;
    const { baseRowVersion, ownSinceVersion } = header.edit;
    const { sinceVersion, untilVersion, rowVersion } = leftBefore;
    if (baseRowVersion === null || baseRowVersion < sinceVersion || baseRowVersion > untilVersion) return [];
    const ownSince = Math.min(sinceVersion, ownSinceVersion ?? baseRowVersion);
    const edit = { ...header.edit, baseRowVersion: rowVersion, ownSinceVersion: ownSince };
    entry.header = { ...header, revision: header.revision + 1, edit };
    this.mutations.rewritingBegun(entry.header, header);
    return [{ kind: 'rebased', header: entry.header, body: null }];
  }

  private completed(
    entry: Entry,
    {
      result,
      left,
      leftRows,
    }: { readonly result: Json } & { readonly [Key in 'left' | 'leftRows']: CompletedRecord[Key] | undefined },
    wasRepeat: boolean,
    moment: Moment,
  ): Extract<Settlement, { kind: 'completed' }> {
    const { id, seq, type, entity, priority, createdAtMs, attempts } = entry;
    const waitedFor = this.mutations.slotsOf(id).map(({ from }) => from);
    this.mutations.forget(entry, moment.nowMs, !wasRepeat);
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
      priority,
      ...this.kept(type, result, waitedFor),
      ...(left === undefined ? {} : { left }),
      ...(leftRows === undefined || leftRows.length === 0 ? {} : { leftRows }),
    };
    return { kind: 'completed', record, result, wasRepeat };
  }

  /** What of a result is stored. Whoever waits for it may not be read yet. */
  private kept(type: string, result: Json, waitedFor: readonly ValuePath[]): Pick<CompletedRecord, 'result'> {
    if (this.mutations.isReading) return { result };
    return waitedFor.length > 0 || this.rules.keepsResult(type) ? { result: keptResult(result, waitedFor) } : {};
  }

  rejected(entry: Entry, error: WireError, moment: Moment, by: Judge): readonly Settlement[] {
    return this.failed(entry, error, moment, by, false, withAttempt(entry.header, error, moment));
  }

  /** Counted on the answer, not on sending: a lost answer says nothing about the mutation, only about the line. */
  private refused(entry: Entry, error: WireError, moment: Moment): readonly Settlement[] {
    const header = withAttempt(entry.header, error, moment);
    const { type, maxRetries, retryDelayMs: ownDelayMs, attempts } = header;
    const rules = this.rules.retryRules(type);
    if (attempts.length > (maxRetries ?? rules.maxRetries))
      return this.failed(entry, error, moment, 'device', false, header);
    entry.header = header;
    entry.lastError = error;
    const own = { ...rules, backoffMsBase: ownDelayMs ?? rules.backoffMsBase };
    this.mutations.schedule.delay(
      entry,
      moment.nowMs + retryDelayMs(own, attempts.length, moment.random),
      moment.nowMs,
    );
    return [{ kind: 'refused', header: entry.header }];
  }

  /**
   * Dead letters of this one and of all that stands on it. `isDecided`: it follows from what a person has decided about
   * another, and they are not asked again. `header` is what is kept of it.
   */
  failed(
    entry: Entry,
    error: WireError,
    moment: Moment,
    by: Judge,
    isDecided: boolean = false,
    header: MutationHeader = entry.header,
  ): readonly Settlement[] {
    const holdsLane = !isDecided && this.mutations.mayHoldLane(entry.type);
    // Where the lane is held, so is all that stands on it: it lives if someone retries this one with success.
    const orphans = holdsLane ? [] : this.mutations.dependants(entry);
    if (!holdsLane) this.mutations.noteLostRow(entry);
    if (by !== 'device') this.mutations.settlementBegun(entry.seq);
    else this.mutations.ownSettlementBegun(entry);
    const deadLetter = { header, error, failedAtMs: moment.wallMs, holdsLane };
    this.mutations.bury(deadLetter, moment.nowMs, by === 'server');
    const settlement = { kind: 'failed', deadLetter, ...(by === 'device' ? { isOwn: true as const } : {}) } as const;
    return [settlement, ...this.passOnBase(entry), ...this.orphaned(orphans, entry.id, moment, isDecided)];
  }

  /** Takes out one that has had no effect and will have none, and makes dead letters of what stands on it. */
  cancelled(entry: Entry, why: CancelReason, moment: Moment): readonly Settlement[] {
    const orphans = this.mutations.dependants(entry);
    this.mutations.noteLostRow(entry);
    this.mutations.takingBackBegun(entry);
    this.mutations.forget(entry, moment.nowMs, false);
    const cancelled = { kind: 'cancelled', header: entry.header, cancelledAtMs: moment.wallMs, ...why } as const;
    return [cancelled, ...this.passOnBase(entry), ...this.orphaned(orphans, entry.id, moment, true)];
  }

  /** One that cannot have been sent, and is not to be sent any more. */
  expired(entry: Entry, moment: Moment): readonly Settlement[] {
    return this.failed(entry, EXPIRED, moment, 'device');
  }

  /** One that cannot have been sent, and makes room for another. */
  evicted(entry: Entry, moment: Moment): readonly Settlement[] {
    return this.failed(entry, EVICTED, moment, 'device');
  }

  /** What cannot stand without its parent is not sent. */
  orphaned(orphans: readonly Entry[], parentId: string, moment: Moment, isDecided: boolean): readonly Settlement[] {
    const error = parentFailed(parentId);
    return orphans.flatMap((child) => {
      if (child.phase.kind !== 'waiting') return [];
      if (child.amendId === null && !this.mutations.isUnsure(child))
        return this.failed(child, error, moment, 'device', isDecided);
      // Buried when it is let go, or known to be there still.
      addOpenParent(child, parentId);
      this.mutations.suspectOrphans([child]);
      return [];
    });
  }
}

const EVICTED: WireError = {
  category: 'STORAGE_ERROR',
  code: 'EVICTED',
  message: 'Not sent: the queue was full, and this one of low priority made room for another.',
  hint: 'Retry it when the queue has room again, or discard it.',
};

const EXPIRED: WireError = {
  category: 'TIMEOUT_ERROR',
  code: 'EXPIRED',
  message: 'Not sent: the time in which it was to be sent has passed.',
  hint: 'Retry it, and it is sent without that limit; or discard it.',
};

/** One for each row, in the order in which they were changed last. Members are held to no version: each was made on what it found. */
function leftByMembers(memberRows: NonNullable<Effect['memberRows']>): readonly LeftRow[] {
  const rows = new Map<string, LeftRow>();
  memberRows.forEach((row, member) => {
    if (row === null) return;
    const { table, id, rowVersion } = row;
    const key = JSON.stringify([table, id]);
    const before = rows.get(key)?.left;
    rows.delete(key);
    if (rowVersion === null) {
      rows.set(key, { table, id, left: null, member });
      return;
    }
    const untilVersion = rowVersion - 1;
    // By two members in turn.
    const sinceVersion = before?.rowVersion === untilVersion ? before.sinceVersion : untilVersion;
    rows.set(key, { table, id, left: { sinceVersion, untilVersion, rowVersion }, member });
  });
  return [...rows.values()];
}

/** An edit of such a row may stand behind it in any of its lanes. */
function inEachLane(
  header: HeaderFields,
  leftRows: readonly LeftRow[],
): readonly { readonly row: PlacedRow; readonly left: RowLeft | null }[] {
  const { seq, place } = header;
  return leftRows.flatMap(({ table, id, left }) =>
    lanesOf(header).map((lane) => ({ row: { lane, entity: { table, id }, seq, place }, left })),
  );
}

/** One that was held to no version was made on the one before. Before a creation there is none, whatever its row begins to count at. */
function leftBy({ edit, operation, replaces }: Entry, rowVersion: number): RowLeft {
  const untilVersion = edit?.baseRowVersion ?? rowVersion - 1;
  const isFirst = operation === 'create' && replaces === null;
  return { sinceVersion: edit?.ownSinceVersion ?? (isFirst ? 0 : untilVersion), untilVersion, rowVersion };
}

/** Why what stands on a change that did not take effect is not sent. */
export function parentFailed(parentId: string): WireError {
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
