import type { Entry, EntryView } from '../engine/entry.ts';
import type { AnyMutationDefinition } from '../mutation/definition.ts';
import { HoldfastError } from '../mutation/holdfast-error.ts';
import { type AttemptRecord, type CompletedRecord, rowsLeftBy } from '../mutation/record.ts';
import { withoutSensitive } from '../mutation/sensitive.ts';
import { payloadToShow } from '../mutation/versions.ts';
import type { EntityRef, JsonObject, Operation, WireError } from '../protocol/wire.ts';
import {
  CHECK_ADDRESS,
  type Explanation,
  type MutationStatus,
  type Status,
  statusOfUnconfirmed,
  statusOfCompleted,
  statusOfEntry,
  WAITING_ADVICE,
  wrongAddress,
} from './mutation-status.ts';
import type { Identity } from './options.ts';
import { isLocked } from './store/storage-errors.ts';
import {
  firstInOrder,
  type ListQuery,
  type MutationPage,
  PAGE_COUNT,
  type ReadyQuery,
  readyQuery,
} from './list-query.ts';
import type { QueueStore } from './store/queue-store.ts';
import { type QuarantinedMutation, shownText, viewOf } from './store/quarantine.ts';
import { BODY, seqKey, seqOfKey } from './store/record-keys.ts';
import { actionsOf, type RecoveryAction } from './store/recovery.ts';
import type { Runner } from './runner.ts';
import type { VerdictBook } from './delivering/verdict-book.ts';

/** Which mutations a list is of. */
export interface ListFilter {
  /** @default every status */
  readonly status?: Status;
  /** @default every type */
  readonly type?: string;
}

/** Counts and summaries for a status page: exact counts, and the first 100 of each kind. */
export interface QueueStatus {
  readonly totalMutations: number;
  readonly pendingMutations: readonly MutationStatus[];
  readonly processingMutations: readonly MutationStatus[];
  /** The last confirmed ones, newest first. */
  readonly completedMutations: readonly MutationStatus[];
  readonly failedMutations: readonly MutationStatus[];
  /** Records that no longer read: in quarantine (`listQuarantine`), or still where they stood; they are kept, and not sent. */
  readonly corruptedMutations: readonly CorruptedMutation[];
  /** How many unconfirmed ones read as they should. */
  readonly validMutations: number;
  readonly counts: {
    readonly pending: number;
    /** Of the pending ones. */
    readonly processing: number;
    readonly completed: number;
    readonly failed: number;
    readonly corrupted: number;
  };
  /** Retries that the mutations on this page have used. */
  readonly retryCount: number;
  /** How long those on this page that wait out a refusal still wait. */
  readonly retryDelays: readonly { readonly id: string; readonly delayMs: number }[];
  readonly isPaused: boolean;
  readonly isProcessing: boolean;
  /** Null when nothing is pending. */
  readonly oldestPendingAgeMs: number | null;
  /** Payloads of what is pending. */
  readonly sizeBytes: number;
  /** What this tab has done about what did not read, since it opened; see `recover`. */
  readonly recoveryActions: readonly RecoveryAction[];
}

/** A record whose text does not read as one. */
export interface CorruptedMutation {
  readonly seq: number;
  /** How it begins. */
  readonly textStart: string;
}

/** A lane in which nothing goes until a person has decided on a dead letter. */
export interface BlockedLane {
  readonly lane: string;
  readonly deadLetterId: string;
  readonly type: string;
  readonly error: WireError;
  /** By the device's clock. */
  readonly sinceMs: number;
  /** How many wait behind it in its lane, or depend on it. */
  readonly waitingCount: number;
}

/** All that is known of a dead letter. */
export interface DeadLetterDetails {
  readonly id: string;
  readonly type: string;
  readonly version: number;
  readonly lane: string;
  readonly operation: Operation;
  readonly entity: EntityRef | null;
  /** How often it was retried by hand. */
  readonly generation: number;
  /** By the device's clock. */
  readonly createdAtMs: number;
  readonly failedAtMs: number;
  readonly error: WireError;
  /** Every answer about it since it was added, or last retried by hand. */
  readonly attempts: readonly AttemptRecord[];
  readonly holdsLane: boolean;
  /** Null when it can no longer be read. */
  readonly payload: JsonObject | null;
  readonly metadata: JsonObject | null;
}

/** A pending mutation with what it is about to do. */
export interface PendingMutation {
  readonly id: string;
  readonly seq: number;
  readonly type: string;
  readonly payload: JsonObject;
  /** How often it was rewritten before it was ever sent. */
  readonly revision: number;
}

/** Looks at a queue and changes nothing: where each mutation stands, why, and how many there are. */
export class QueueReader {
  private readonly runner: Runner;
  private readonly store: QueueStore;
  private readonly verdicts: VerdictBook;
  private readonly identity: Identity;
  private readonly definitions: ReadonlyMap<string, AnyMutationDefinition>;

  constructor(parts: {
    readonly runner: Runner;
    readonly store: QueueStore;
    readonly verdicts: VerdictBook;
    readonly identity: Identity;
    readonly definitions: ReadonlyMap<string, AnyMutationDefinition>;
  }) {
    this.runner = parts.runner;
    this.store = parts.store;
    this.verdicts = parts.verdicts;
    this.identity = parts.identity;
    this.definitions = parts.definitions;
  }

  async status(id: string): Promise<MutationStatus | undefined> {
    const { runner, store } = this;
    const looks = [async () => {}, () => runner.watch.catchUp(), () => runner.watch.reconcileTogether()];
    // What another tab has stored or settled is in memory only once this tab has looked for it: first a little, then all.
    for (const look of looks) {
      await look();
      const known = this.peek(id);
      if (known !== undefined) return known;
      const record = await store.history.completed(id);
      if (record !== null) return statusOfCompleted(record, false);
      if ((await store.history.disposedAmong([id])).length > 0) return undefined;
    }
    return undefined;
  }

  /** The same for mutations that are in memory: unconfirmed, or among the last confirmed. */
  peek(id: string): MutationStatus | undefined {
    const entry = this.runner.engine.mutations.get(id);
    if (entry !== undefined) return statusOfEntry(this.runner.engine, entry, this.runner.moment());
    const recent = this.verdicts.recent(id);
    return recent === undefined ? undefined : statusOfCompleted(recent.record, recent.isObserved);
  }

  async explain(id: string): Promise<Explanation> {
    const status = await this.status(id);
    if (status === undefined) throw unknownMutation(id);
    const { runner } = this;
    const { engine } = runner;
    const entry = engine.mutations.get(id);
    const { schedule, isReading } = engine.mutations;
    const isSure = engine.isLeader && !isReading;
    const before = entry === undefined ? undefined : (schedule.blockerOf(entry) ?? schedule.ahead(entry));
    const read = entry === undefined ? null : await unlessLocked(this.store.bodies.readable([entry.header]));
    const body = read?.bodies.get(entry?.seq ?? 0);
    const whatToDo =
      status.status === 'failed'
        ? (status.lastError?.hint ?? 'Correct it and call `retry(id)`, or `discard(id)` it.')
        : entry !== undefined && wrongAddress(engine.waitingFor(entry, runner.moment().nowMs), entry.lastError) !== null
          ? CHECK_ADDRESS
          : WAITING_ADVICE[status.waitingFor];
    return {
      ...status,
      behindId: status.waitingFor === 'lane' ? (before?.id ?? null) : null,
      login: this.identity,
      pausedBy: engine.gates.isPaused ? await unlessLocked(this.store.pausedBy()) : null,
      canCancel: entry === undefined || entry.phase.kind === 'failed' ? false : isSure ? engine.canCancel(id) : null,
      parentIds: [...(entry?.openParents ?? [])],
      waitingCount: entry === undefined ? 0 : engine.mutations.countWaitingFor(entry),
      whatBecomesOfThem: whatBecomesOf(entry, entry !== undefined && engine.mutations.holdsLane(entry)),
      metadata: body?.metadata ?? null,
      source: body?.source ?? null,
      whatToDo,
    };
  }

  async deadLetter(id: string, includeSensitive: boolean): Promise<DeadLetterDetails | undefined> {
    const entry = this.runner.engine.mutations.get(id);
    if (entry?.phase.kind !== 'failed') return undefined;
    return (await this.deadLetters([entry], includeSensitive))[0];
  }

  async deadLetters(entries: readonly EntryView[], includeSensitive: boolean): Promise<readonly DeadLetterDetails[]> {
    const { bodies } = await this.store.bodies.readable(entries.map(({ header }) => header));
    return entries.flatMap(({ header, phase }) => {
      if (phase.kind !== 'failed') return [];
      const { id, seq, generation, type, version, lane, operation, entity, createdAtMs, attempts } = header;
      const { error, failedAtMs, holdsLane } = phase;
      const { payload: stored = null, metadata = null, isSensitive } = bodies.get(seq) ?? {};
      const isWhole = stored === null || includeSensitive;
      const payload = isWhole ? stored : withoutSensitive(this.definitions, type, stored, isSensitive === true);
      const about = { id, type, version, lane, operation, entity, generation, createdAtMs };
      return [{ ...about, failedAtMs, error, attempts, holdsLane, payload, metadata }];
    });
  }

  blockedLanes(): readonly BlockedLane[] {
    const { mutations } = this.runner.engine;
    return [...mutations.schedule.heldBy()].flatMap(([lane, entry]) => {
      const { id, type, phase } = entry;
      if (phase.kind !== 'failed') return [];
      const waitingCount = mutations.countWaitingFor(entry);
      return [{ lane, deadLetterId: id, type, error: phase.error, sinceMs: phase.failedAtMs, waitingCount }];
    });
  }

  listUnconfirmed(limit: number, { status, type }: ListFilter): readonly MutationStatus[] {
    const { engine } = this.runner;
    const moment = this.runner.moment();
    const isWanted = (entry: EntryView): boolean =>
      (type === undefined || entry.type === type) &&
      (status === undefined || statusOfUnconfirmed(engine, entry) === status);
    const entries: EntryView[] = firstOf(engine.mutations.deadLetters, limit, isWanted);
    entries.push(
      ...firstOf(
        engine.mutations.all(),
        limit - entries.length,
        (entry) => entry.phase.kind !== 'failed' && isWanted(entry),
      ),
    );
    return entries.map((entry) => statusOfEntry(engine, entry, moment));
  }

  /** All in quarantine: what does not read, and dead letters whose payload is damaged or refused by its schema. */
  async quarantine(): Promise<readonly QuarantinedMutation[]> {
    const { runner, store } = this;
    const found: QuarantinedMutation[] = [];
    for await (const each of store.quarantine.all()) found.push(viewOf(each));
    const dead = [...runner.engine.mutations.deadLetters].filter(
      ({ phase }) => phase.kind === 'failed' && phase.error.category === 'CORRUPTED',
    );
    const texts = await store.bodies.texts(dead.map(({ header }) => header));
    dead.forEach(({ seq, id, type, phase }, index) => {
      const foundAtMs = phase.kind === 'failed' ? phase.failedAtMs : 0;
      const bodyText = texts[index] ?? null;
      const text = shownText(bodyText);
      found.push({
        key: seqKey(BODY, seq),
        seq,
        part: 'payload',
        id,
        type,
        foundAtMs,
        text: text ?? '',
        bodyText: text,
      });
    });
    return found;
  }

  /** Exact counts, and summaries of the first 100 of each kind. */
  async counts(): Promise<QueueStatus> {
    const { runner, store } = this;
    // What has been told is counted, also while it is being stored.
    await runner.whenWritten;
    const { mutations } = runner.engine;
    const moment = runner.moment();
    const summaries = (entries: readonly EntryView[]): MutationStatus[] =>
      entries.map((entry) => statusOfEntry(runner.engine, entry, moment));
    const { pending, processing, failed } = mutations.counts;
    const page = {
      pending: summaries(
        firstOf(mutations.all(), Math.min(PAGE_COUNT, pending - processing), ({ phase }) => phase.kind === 'waiting'),
      ),
      processing: summaries(
        firstOf(mutations.all(), Math.min(PAGE_COUNT, processing), ({ phase }) => phase.kind === 'sending'),
      ),
      failed: summaries(firstOf(mutations.deadLetters, PAGE_COUNT)),
    };
    const shown = [...page.pending, ...page.processing, ...page.failed];
    const { unreadable, recovered } = runner.watch;
    const corrupted = [...unreadable.values()];
    for await (const { record } of store.quarantine.all())
      corrupted.push({ key: record.key, seq: seqOfKey(record.key), text: record.text, isNewer: false });
    const completed = await store.history.completedCount();
    const oldest = mutations.oldestPending;
    return {
      totalMutations: pending + failed + completed,
      pendingMutations: page.pending,
      processingMutations: page.processing,
      completedMutations: this.newest(PAGE_COUNT),
      failedMutations: page.failed,
      corruptedMutations: firstOf(corrupted, PAGE_COUNT).map(({ seq, text }) => ({
        seq,
        textStart: text.slice(0, 40),
      })),
      validMutations: pending + failed,
      counts: { pending, processing, completed, failed, corrupted: corrupted.length },
      retryCount: shown.reduce((sum, { attemptCount }) => sum + Math.max(0, attemptCount - 1), 0),
      retryDelays: shown.flatMap(({ id, waitingFor, nextAttemptAtMs }) =>
        waitingFor === 'backoff' && nextAttemptAtMs !== null ? [{ id, delayMs: nextAttemptAtMs - moment.wallMs }] : [],
      ),
      isPaused: runner.engine.gates.isPaused,
      isProcessing: processing > 0,
      oldestPendingAgeMs: oldest === undefined ? null : Math.max(0, moment.wallMs - oldest.createdAtMs),
      sizeBytes: mutations.counts.pendingBytes,
      recoveryActions: actionsOf(recovered, unreadable.size, store.mended.length),
    };
  }

  /** Ids of dead letters of rows that something later has changed, or is to. */
  overtaken(): ReadonlySet<string> {
    const { mutations } = this.runner.engine;
    const dead = [...mutations.deadLetters].filter(({ entity }) => entity !== null);
    if (dead.length === 0) return new Set();
    // By row, the last number of what has changed it since, or is to.
    const lastSeqs = new Map(dead.map((each) => [nameOf(each), 0]));
    const note = (key: string, seq: number): void => {
      if ((lastSeqs.get(key) ?? seq) < seq) lastSeqs.set(key, seq);
    };
    for (const each of mutations.all()) if (each.phase.kind !== 'failed') note(nameOf(each), each.seq);
    for (const { record } of this.verdicts.newest(Infinity))
      for (const row of rowsLeftBy(record)) note(nameOf(row), record.seq);
    return new Set(dead.filter((each) => (lastSeqs.get(nameOf(each)) ?? 0) > each.seq).map(({ id }) => id));
  }

  /** The last confirmed ones, newest first. */
  newest(limit: number, { status = 'completed', type }: ListFilter = {}): readonly MutationStatus[] {
    if (status !== 'completed') return [];
    const isWanted = (one: CompletedRecord): boolean => type === undefined || one.type === type;
    return this.verdicts.newest(limit, isWanted).map(({ record, isObserved }) => statusOfCompleted(record, isObserved));
  }

  /** Looks at each mutation once, and makes objects of one page only. */
  async page(query: ListQuery): Promise<MutationPage> {
    const { engine } = this.runner;
    const moment = this.runner.moment();
    const ready = readyQuery(query, moment.wallMs);
    if (ready.isOfCompleted) return this.completedPage(ready);
    const wanted = firstInOrder(engine.mutations.all(), ready.limit + 1, ready);
    const entries = wanted.slice(0, ready.limit);
    const last = entries.at(-1);
    return {
      mutations: entries.map((entry) => statusOfEntry(engine, entry, moment)),
      next: wanted.length > ready.limit && last !== undefined ? ready.cursorOf(last) : null,
    };
  }

  private async completedPage({ limit, after, isWantedCompleted }: ReadyQuery): Promise<MutationPage> {
    const found: CompletedRecord[] = [];
    for (let from = after; ; ) {
      const { records, next } = await this.store.history.completedAfter(from);
      for (const record of records) {
        // There is one more: the page ends with the one before it.
        if (found.length === limit && isWantedCompleted(record))
          return { mutations: found.map((each) => statusOfCompleted(each, false)), next: found.at(-1)?.id ?? null };
        if (isWantedCompleted(record)) found.push(record);
      }
      if (next === null) return { mutations: found.map((each) => statusOfCompleted(each, false)), next: null };
      from = next;
    }
  }

  /** Payloads of pending mutations (all, or those of these ids), in the order they were added; for views that show them. */
  async pending(ids: readonly string[] | undefined): Promise<readonly PendingMutation[]> {
    const { mutations } = this.runner.engine;
    const entries: readonly EntryView[] =
      ids === undefined
        ? [...mutations.all()]
        : ids.map((id) => mutations.get(id)).filter((entry) => entry !== undefined);
    const headers = entries
      .filter((entry) => entry.phase.kind !== 'failed' || mutations.isBeingGivenUp(entry))
      .map(({ header }) => header);
    const { bodies } = await this.store.bodies.readable(headers);
    return headers.flatMap((header) => {
      const { id, type, seq, revision } = header;
      const stored = bodies.get(seq)?.payload;
      const payload = stored === undefined ? undefined : payloadToShow(this.definitions, header, stored);
      return payload === undefined ? [] : [{ id, seq, type, payload, revision }];
    });
  }
}

function whatBecomesOf(entry: Entry | undefined, holdsLane: boolean): string {
  if (entry === undefined) return 'Nothing waits for it.';
  if (entry.phase.kind !== 'failed')
    return 'They go when it is settled; should it fail, those that depend on it fail too.';
  if (holdsLane) return 'They wait until it is retried or discarded, or `releaseLane` lets them go on without it.';
  return 'They go on without it; those that depend on it have failed too.';
}

/** Of a row, whatever its lane. */
function nameOf({ entity }: { readonly entity: EntityRef | null }): string {
  return entity === null ? '' : `${entity.table.length} ${entity.table}${entity.id}`;
}

function firstOf<Item>(
  entries: Iterable<Item>,
  count: number,
  isWanted: (entry: Item) => boolean = () => true,
): Item[] {
  const first: Item[] = [];
  for (const entry of entries) {
    if (first.length >= count) break;
    if (isWanted(entry)) first.push(entry);
  }
  return first;
}

/** Null where the keys of the store are away: why something waits is told then as well. */
async function unlessLocked<Read>(read: Promise<Read>): Promise<Read | null> {
  try {
    return await read;
  } catch (error) {
    if (isLocked(error)) return null;
    throw error;
  }
}

export function unknownMutation(id: string): HoldfastError {
  return new HoldfastError({
    code: 'UNKNOWN_MUTATION',
    message: `This device knows no mutation ${id}.`,
    hint: 'Check the id. History of confirmed mutations is kept for 7 days.',
  });
}
