import type { Engine } from '../engine/engine.ts';
import type { Waiting, WaitingFor } from '../engine/engine-io.ts';
import type { Entry, EntryView } from '../engine/entry.ts';
import { messageForPeople } from '../mutation/refusal-words.ts';
import type { Act, AttemptRecord, CompletedRecord } from '../mutation/record.ts';
import type { ErrorCode } from '../protocol/error-codes.ts';
import type { EntityRef, JsonObject, MutationSource, WireError } from '../protocol/wire.ts';

/** Where a mutation stands. `failed` is a dead letter; `cancelled` was disposed of by someone. */
export type Status = 'pending' | 'processing' | 'completed' | 'failed' | 'cancelled';

/** How far it has come: on this device, on its way, confirmed by the server, seen in fresh data. */
export type Stage = 'stored' | 'sent' | 'confirmed' | 'observed';

export interface MutationStatus {
  readonly id: string;
  readonly type: string;
  readonly entity: EntityRef | null;
  readonly status: Status;
  readonly stage: Stage;
  /** When it was added, by the device's clock. */
  readonly createdAtMs: number;
  /** From when on it is not sent any more if it was not before, by the device's clock; null for never. */
  readonly expiresAtMs: number | null;
  /** When the verdict came, by the device's clock; null while there is none. */
  readonly settledAtMs: number | null;
  /** How often it was rewritten before it was ever sent. */
  readonly revision: number;
  /** Id of the one that it was made instead of, by `edit`; null for none, and for a confirmed one, where it is not kept. */
  readonly replaces: string | null;
  /** Answers about it so far. */
  readonly attemptCount: number;
  readonly attempts: readonly AttemptRecord[];
  /** When it is tried again, by the device's clock; null when that is not a matter of time. */
  readonly nextAttemptAtMs: number | null;
  /** What the server or the line said last. */
  readonly lastError: WireError | null;
  readonly waitingFor: WaitingFor;
  /** What stands in the way, and what would clear it; one sentence for people. */
  readonly sentence: string;
}

/** What `explain` answers besides the status. */
export interface Explanation extends MutationStatus {
  /** Ids that must be settled before it, in order; at most one is on its way at a time. */
  readonly behindId: string | null;
  /** Whose login it is sent under, and in which workspace. */
  readonly login: { readonly userId: string; readonly workspaceId: string };
  /** Who paused the queue, when and why; null when it is not paused. */
  readonly pausedBy: Act | null;
  /** Whether it can still be taken back: it surely was never sent. Null where only the tab that delivers knows. */
  readonly canCancel: boolean | null;
  /** Ids it depends on that are not confirmed. */
  readonly parentIds: readonly string[];
  /** How many wait for it, in its lane or because they depend on it, and what becomes of them. */
  readonly waitingCount: number;
  readonly whatBecomesOfThem: string;
  /** Who made it and where, as the app said; null where it did not, and once it is confirmed. */
  readonly metadata: JsonObject | null;
  readonly source: MutationSource | null;
  /** What a person can do about it. */
  readonly whatToDo: string;
}

/** Where one that is not confirmed stands; what this device gives up is pending until that is stored. */
export function statusOfUnconfirmed(engine: Engine, entry: EntryView): 'pending' | 'processing' | 'failed' {
  if (entry.phase.kind === 'sending') return 'processing';
  return entry.phase.kind === 'failed' && !engine.mutations.isBeingGivenUp(entry) ? 'failed' : 'pending';
}

export function statusOfEntry(
  engine: Engine,
  { seq }: Pick<EntryView, 'seq'>,
  moment: { readonly nowMs: number; readonly wallMs: number },
): MutationStatus {
  const entry = engine.mutations.at(seq) as Entry;
  const { phase } = entry;
  const waiting = engine.waitingFor(entry, moment.nowMs);
  const status = statusOfUnconfirmed(engine, entry);
  const noWay = engine.mutations.versions.noWayFor(entry);
  const isAsked = noWay !== null && phase.kind === 'waiting' && ASKED_WITH.has(waiting.waitingFor);
  return {
    id: entry.id,
    type: entry.type,
    entity: entry.entity,
    status,
    stage: phase.kind === 'sending' ? 'sent' : 'stored',
    createdAtMs: entry.createdAtMs,
    expiresAtMs: entry.expiresAtMs,
    settledAtMs: status === 'failed' && phase.kind === 'failed' ? phase.failedAtMs : null,
    revision: entry.revision,
    replaces: entry.replaces,
    attemptCount: entry.attempts.length,
    attempts: entry.attempts,
    nextAttemptAtMs: waiting.untilMs === null ? null : moment.wallMs + Math.max(0, waiting.untilMs - moment.nowMs),
    lastError: entry.lastError ?? noWay,
    waitingFor: waiting.waitingFor,
    sentence: isAsked ? ONLY_ASKED : sentenceOf(status, entry.lastError, waiting),
  };
}

export function statusOfCompleted(record: CompletedRecord, isObserved: boolean): MutationStatus {
  return {
    id: record.id,
    type: record.type,
    entity: record.entity,
    status: 'completed',
    stage: isObserved ? 'observed' : 'confirmed',
    createdAtMs: record.createdAtMs,
    expiresAtMs: null,
    settledAtMs: record.confirmedAtMs,
    revision: 0,
    replaces: null,
    attemptCount: record.attemptCount,
    attempts: [],
    nextAttemptAtMs: null,
    lastError: null,
    waitingFor: 'nothing',
    sentence: 'The server has confirmed it.',
  };
}

function sentenceOf(status: 'pending' | 'processing' | 'failed', error: WireError | null, waiting: Waiting): string {
  if (status === 'pending') return wrongAddress(waiting, error) ?? WAITING_SENTENCES[waiting.waitingFor];
  if (status === 'processing' || error === null) return 'It is on its way to the server.';
  return OWN_VERDICTS.has(error.code) ? error.message : `The server did not accept it: ${messageForPeople(error)}`;
}

/**
 * What is wrong with the address, in a sentence, where that is what a mutation waits for: waiting alone does not help then. A probe
 * says less than an attempt, so what that was told counts too, until the device is offline.
 */
export function wrongAddress({ waitingFor, error }: Waiting, lastError: WireError | null): string | null {
  if ((waitingFor !== 'circuit' && waitingFor !== 'network') || error?.code === 'OFFLINE') return null;
  if (error?.code === 'NOT_FOUND')
    return 'It is saved on this device; the server has nothing at the address that was asked (404).';
  return error?.code === 'NOT_OUR_SERVER' || lastError?.code === 'NOT_OUR_SERVER'
    ? 'It is saved on this device; what answers at the address of the server is no Holdfast server.'
    : null;
}

export const CHECK_ADDRESS =
  "Check the transport's address (`httpTransport({ url })`), or sign in to the network if it asks for it; it is sent by itself then.";

/** What a device says by itself about a mutation, without a word of the server. */
const OWN_VERDICTS: ReadonlySet<string> = new Set<ErrorCode>([
  'UNREADABLE_RECORD',
  'PAYLOAD_REFUSED',
  'PARENT_FAILED',
  'EXPIRED',
  'EVICTED',
  'SLOT_UNFILLED',
  'SUSPECT',
  'OUTDATED',
]);

/** Of one that this version of the app cannot send, and an earlier one may have sent. */
const ONLY_ASKED =
  'This version of the app cannot send it, and an earlier one may have: the server is asked what became of it as soon as it can be reached.';
const ASKED_WITH: ReadonlySet<WaitingFor> = new Set(['network', 'circuit', 'nothing']);

/** What a mutation waits for, told to the person whose work it is. */
export const WAITING_SENTENCES: Readonly<Record<WaitingFor, string>> = {
  network: 'It is saved on this device and is sent as soon as the server can be reached.',
  rateLimit: 'The server asked for a pause; it is sent when that is over.',
  circuit: 'The server cannot serve at the moment; it is asked again at growing intervals.',
  backoff: 'The server could not accept it this time; it is tried again shortly.',
  delay: 'It can still be taken back; it is sent when the time for that is over.',
  dependency: 'It waits for another change that must be confirmed first.',
  lane: 'It waits for an earlier change to the same thing.',
  paused: 'Sending is paused; resume it to go on.',
  auth: 'It waits for a valid sign-in; sign in again to go on.',
  policy: 'It waits for Wi-Fi or for its time, as this app asks; it is sent within a day in any case.',
  upgrade: 'It needs a newer version of this app; update it to go on.',
  locked: 'It is saved on this device, encrypted, and the key is not available; it is sent when the key is back.',
  conflict: 'Someone else has changed the same; it is sent when someone has chosen what is to stand.',
  storage: 'It waits for the storage of this device, which has to store or to read something first.',
  nothing: 'It is sent next.',
};

/** What can be done about what it waits for, in the imperative. */
export const WAITING_ADVICE: Readonly<Record<WaitingFor, string>> = {
  network: 'Nothing: it is safe on this device. Connect to a network to send it sooner.',
  rateLimit: 'Nothing: wait.',
  circuit: 'Nothing: it is safe on this device. Call `process()` to ask the server at once.',
  backoff: 'Nothing: wait, or call `process()` to try now.',
  delay: 'Nothing: wait, or call `cancel(id)` to take it back.',
  dependency: 'Look at the ones that it depends on.',
  lane: 'Look at the one it waits for.',
  paused: 'Call `resume()`.',
  auth: 'Sign in again, then call `loginChanged()`; after `signOut`, create the queue anew.',
  policy: 'Nothing: it is safe on this device. Call `process()` to send it now.',
  upgrade: 'Install the newer version of the app.',
  locked: 'Unlock the device or the key store; it goes on by itself then.',
  conflict: 'Look at `getConflict(id)` and call `resolveConflict(id, choice)`.',
  storage: 'Nothing: wait. If the device has no room, free some.',
  nothing: 'Nothing.',
};
