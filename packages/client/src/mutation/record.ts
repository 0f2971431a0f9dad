import * as v from 'valibot';
import {
  ERROR_CATEGORIES,
  type EntityRef,
  type Json,
  type JsonObject,
  type MutationSource,
  type Operation,
  type WireError,
} from '../protocol/wire.ts';
import { checksum, checksumText } from './checksum.ts';
import type { Priority } from './definition.ts';
import type { OpenSlot } from './slots.ts';

/**
 * Version of the stored records; each carries that of whoever wrote it, but for those of format 1. A store that a higher one
 * has opened is refused (`STORAGE_TOO_NEW`), and a record of a higher one is left as it is.
 * 2: bodies may hold the form from before a migration, and atomic mutations the versions of their members.
 * 3: what holds sensitive fields opens only with a header that was stored sealed as well.
 */
export const RECORD_FORMAT = 3;

/** Before, or within, a value that is always stored sealed. No record begins so, and JSON leaves it as it is. */
export const SENSITIVE_MARK = '!sensitive!';

/** The same, before a body that belongs to a header with this mark and to no other: only one that was stored sealed has it. */
const BOUND_MARK = '!sensitive!bound!';

/** One answer that used an attempt. */
export interface AttemptRecord {
  /** The first is attempt 1. */
  readonly attemptNumber: number;
  /** By the device's clock; information only. */
  readonly answeredAtMs: number;
  readonly error: WireError;
}

export type RecordPriority = Exclude<Priority, 'medium'>;

/** All that scheduling needs. Read at open; the body stays on disk until it is sent. */
export interface MutationHeader {
  readonly seq: number;
  readonly id: string;
  readonly generation: number;
  readonly type: string;
  readonly version: number;
  readonly lane: string;
  /** More lanes that it stands in, for one with members of several; most often none. */
  readonly alsoLanes: readonly string[];
  /** Where it stands in its lane, by number; null for where `seq` puts it. One retried in a lane that was held for it keeps its place. */
  readonly place: number | null;
  readonly operation: Operation;
  readonly entity: EntityRef | null;
  readonly priority: RecordPriority;
  /** Attempts after the first; null for what its type says. */
  readonly maxRetries: number | null;
  /** Delay before the first retry, in milliseconds; null for what its type says. */
  readonly retryDelayMs: number | null;
  /** Not sent before this much time has passed since it was added, in milliseconds: an undo window. 0 for none. */
  readonly delayMs: number;
  /** Ids of mutations that the server must have confirmed first. */
  readonly dependsOn: readonly string[];
  /** Values in its payload that are yet to be known; it is not sent before. */
  readonly slots: readonly OpenSlot[];
  /** By the device's clock: not sent from then on if it surely was not before. Null for never. */
  readonly expiresAtMs: number | null;
  /** By the device's clock; nothing is ordered by it. */
  readonly createdAtMs: number;
  readonly payloadBytes: number;
  /** Of the body's text. */
  readonly bodyChecksum: number;
  readonly attempts: readonly AttemptRecord[];
  /** How often it was rewritten before it was ever sent; of two headers with one number the higher revision stands. */
  readonly revision: number;
  /** Id of the one that this one was made instead of, since that may have been sent, or was a dead letter; null for none. */
  readonly replaces: string | null;
  /** What duplicates of it share, shortened; null for a type that has none. */
  readonly dedupeKey: string | null;
  /** What in a duplicate may differ a little; null where nothing may. */
  readonly dedupeNear: readonly number[] | null;
  /** Only for edits that are held to a version, or that have a time. */
  readonly edit?: EditHeader;
  /** Of an atomic one, the types and versions of its members, each once. Not there where format 1 wrote it. */
  readonly members?: readonly VersionedType[];
  /** Only where its payload holds sensitive fields: wherever it stands in a text, that is stored sealed. */
  readonly mark?: HeaderMark;
}

/**
 * The fields of a header, for whoever only looks at them: those of a whole one, or of one that is kept in less room. The compiler lets
 * nobody pass it on as a whole one.
 */
export type HeaderFields = Omit<MutationHeader, 'edit' | 'members' | 'mark'> & {
  readonly edit?: MutationHeader['edit'] | undefined;
  readonly members?: MutationHeader['members'] | undefined;
  readonly mark?: MutationHeader['mark'] | undefined;
};

/** The second for those that format 2 has left in the clear, until they are rewritten. */
type HeaderMark = typeof BOUND_MARK | typeof SENSITIVE_MARK;

/** A type, and the version of it that a payload has. */
export type VersionedType = Pick<MutationHeader, 'type' | 'version'>;

export interface EditHeader {
  /** The version it is made on; null for one that has only a time. Becomes what an edit of this device before it leaves. */
  readonly baseRowVersion: number | null;
  /** From this version up to the base the row was changed by nobody but this device: an edit made on any of them knew them. */
  readonly ownSinceVersion: number | null;
  /**
   * Up to which number its tab had seen what is stored when it was made: another tab's of the same moment is a conflict like
   * anybody's. Earlier versions left it out, and took all for known.
   */
  readonly afterSeq?: number;
  /** How often its payload was made anew after a conflict. */
  readonly rebases: number;
  /** Hybrid time, for latest-wins. */
  readonly hlc: string | null;
  /** Whether it travels as a patch where that is smaller. */
  readonly isPatch: boolean;
  /** Waits for a person to choose; null while nothing is in conflict. */
  readonly conflict: OpenConflict | null;
}

export interface OpenConflict {
  /** By the device's clock; information only. */
  readonly detectedAtMs: number;
  /** What both sides have changed, by paths; empty where that is not known. */
  readonly fields: readonly (readonly string[])[];
}

/** What an edit was made on and met; kept in its body. */
export interface EditBody {
  /** The row as it was when the edit was made, with this device's edits before it; null where it is not known. */
  readonly base: JsonObject | null;
  /** Fields that this device's edits before it set. */
  readonly before: JsonObject | null;
  /** The row that it is in conflict with, while a person has not chosen. */
  readonly theirs?: { readonly row: JsonObject | null; readonly rowVersion: number | null };
}

/** What is read only when it is sent or shown: kept apart from the header, which stays in memory. */
export interface MutationBody {
  readonly payload: JsonObject;
  readonly metadata?: JsonObject;
  readonly source?: MutationSource;
  readonly edit?: EditBody;
  /** The schema of its type refuses what it returned itself, or answers only later: it cannot tell whether this is still whole. */
  readonly isOneWay?: true;
  /** What it was before it was migrated for the first time. */
  readonly original?: OriginalForm;
  /** Its type says that it holds what never stands in the clear. */
  readonly isSensitive?: true;
}

/**
 * A mutation as it was added. It may have been sent so by then, and the server knows it by that: it travels along with every
 * form that was made of it.
 */
export type OriginalForm = Pick<MutationHeader, 'version' | 'operation' | 'entity'> & { readonly payload: JsonObject };

/** A mutation that will not be tried again unless someone says so. */
export interface DeadLetter {
  readonly header: MutationHeader;
  readonly error: WireError;
  readonly failedAtMs: number;
  /** Its type said so when it died, and nobody has released the lane since. */
  readonly holdsLane: boolean;
}

/** Nearly always one. An atomic mutation stands in the lanes of all its members, and goes when it is the first in each. */
export function lanesOf({ lane, alsoLanes }: Pick<MutationHeader, 'lane' | 'alsoLanes'>): readonly string[] {
  return alsoLanes.length === 0 ? [lane] : [lane, ...alsoLanes];
}

/** Lanes are in the order of this. */
export function placeOf({ place, seq }: Pick<MutationHeader, 'place' | 'seq'>): number {
  return place ?? seq;
}

/** What an edit left of its row: made on `untilVersion`, it left `rowVersion`, and since `sinceVersion` nobody else has changed the row. */
export interface RowLeft {
  readonly sinceVersion: number;
  readonly untilVersion: number;
  readonly rowVersion: number;
}

/** Several in a row, with nobody else's in between, count as one. */
export function joinedLeft(before: RowLeft | undefined, left: RowLeft): RowLeft {
  const isNext =
    before !== undefined && before.rowVersion >= left.sinceVersion && before.rowVersion <= left.untilVersion;
  return isNext ? { ...left, sinceVersion: Math.min(before.sinceVersion, left.sinceVersion) } : left;
}

/** History of a confirmed mutation, without its payload. */
export interface CompletedRecord {
  readonly id: string;
  readonly seq: number;
  readonly type: string;
  readonly entity: EntityRef | null;
  readonly createdAtMs: number;
  readonly confirmedAtMs: number;
  readonly attemptCount: number;
  readonly priority?: RecordPriority;
  /** What the server returned, where its type says that slots may ask for it; a large one in part. */
  readonly result?: Json;
  /** Which versions of its row it has left, where the row counts them; an earlier app did not keep it. */
  readonly left?: RowLeft;
  /** The same of the rows of an atomic one. */
  readonly leftRows?: readonly LeftRow[];
}

/** What an atomic mutation left of one of its rows; null for one that it deleted, or that does not count its changes. */
export interface LeftRow extends EntityRef {
  readonly left: RowLeft | null;
  /** Which of its members was the last to change it. */
  readonly member: number;
}

/** The rows of a confirmed mutation, and what it left of each; `member` is null where it is not atomic. */
export function rowsLeftBy({ entity, left, leftRows = [] }: CompletedRecord): readonly {
  readonly entity: EntityRef;
  readonly left: RowLeft | null;
  readonly member: number | null;
}[] {
  if (entity !== null) return [{ entity, left: left ?? null, member: null }];
  return leftRows.map(({ table, id, ...of }) => ({ entity: { table, id }, ...of }));
}

/** What a person or the app can do to mutations that are there; each leaves a record. */
export const ACT_KINDS = [
  'retry',
  'forceRetry',
  'discard',
  'edit',
  'cancel',
  'clearStuck',
  'releaseLane',
  'pause',
  'resume',
  'export',
  'resolveConflict',
  'signOut',
  'import',
] as const;

export type ActKind = (typeof ACT_KINDS)[number];

/** Who did what, when and why. */
export interface Act {
  /** One for all that was done by one call. */
  readonly id: string;
  readonly kind: ActKind;
  /** The queue's user, unless the call named another. */
  readonly actor: string;
  readonly reason: string | null;
  /** By the device's clock. */
  readonly atMs: number;
}

/** An act, and what it touched. */
export interface ActRecord extends Act {
  readonly touchedCount: number;
  readonly ids: readonly string[];
  /** The server has been told. */
  readonly isTold?: true | undefined;
}

/** The login of a queue is over, for all its tabs, until someone signs in again. */
export interface SignOutRecord {
  readonly act: Act;
  /** What was pending up to this number is to be discarded, and that is not done yet; null for nothing. */
  readonly discardUpToSeq: number | null;
}

/** What no longer reads, set aside with its bytes. */
export interface QuarantinedRecord {
  /** Under which it stood. */
  readonly key: string;
  readonly text: string;
  /** Of its payload; null where none stood there. */
  readonly bodyText: string | null;
  /** By the device's clock. */
  readonly foundAtMs: number;
}

/** A mutation that someone disposed of, without its payload. */
export interface DisposedRecord {
  readonly id: string;
  readonly type: string;
  readonly entity: EntityRef | null;
  /** Null for one that was taken back before it was sent; `UNCONFIRMED` for one of which nobody knows whether it took effect. */
  readonly error: WireError | null;
  /** The one that was made of it by editing. */
  readonly replacedBy: string | null;
  /** What an edit in conflict that gave way would have set. */
  readonly payload: JsonObject | null;
  /** Null where nobody decided, but a strategy. */
  readonly act: Act | null;
  /** By the device's clock. */
  readonly atMs: number;
}

const wireError: v.GenericSchema<WireError> = v.object({
  category: v.picklist(ERROR_CATEGORIES),
  code: v.string(),
  message: v.string(),
  hint: v.optional(v.string()),
});

const attempt = v.object({ attemptNumber: v.number(), answeredAtMs: v.number(), error: wireError });

const entity = v.nullable(v.object({ table: v.string(), id: v.string() }));

const attempts = v.array(attempt);
const slots = v.array(
  v.object({
    placeholder: v.union([v.string(), v.number()]),
    parentId: v.string(),
    from: v.array(v.union([v.string(), v.number()])),
  }),
);
const edit = v.object({
  baseRowVersion: v.nullable(v.number()),
  ownSinceVersion: v.nullable(v.number()),
  afterSeq: v.exactOptional(v.number()),
  rebases: v.number(),
  hlc: v.nullable(v.string()),
  isPatch: v.boolean(),
  conflict: v.nullable(v.object({ detectedAtMs: v.number(), fields: v.array(v.array(v.string())) })),
});

const members = v.array(v.object({ type: v.string(), version: v.number() }));

type Check = (value: unknown) => boolean;
const isText: Check = (value) => typeof value === 'string';
const isNumber: Check = (value) => typeof value === 'number';
const isSeq: Check = (value) => Number.isSafeInteger(value) && (value as number) >= 1;
const orNull =
  (holds: Check): Check =>
  (value) =>
    value === null || holds(value);
const oneOf = (...values: readonly unknown[]): Check => values.includes.bind(values);
const listOf =
  (holds: Check): Check =>
  (value) =>
    Array.isArray(value) && value.every(holds);

/** Of each field what it must be: by hand, since a long queue has very many headers. What is rare is left to schemas. */
const HEADER_CHECKS: Readonly<Record<keyof MutationHeader, Check>> = {
  seq: isSeq,
  id: isText,
  generation: isNumber,
  type: isText,
  version: isNumber,
  lane: isText,
  alsoLanes: listOf(isText),
  // Missing where it was written before lanes could be held.
  place: (value) => value === undefined || value === null || isNumber(value),
  operation: oneOf('create', 'update', 'delete', 'restore', 'custom'),
  entity: orNull((value) => isObject(value) && isText(value['table']) && isText(value['id'])),
  priority: oneOf('high', 'normal', 'low'),
  maxRetries: orNull(isNumber),
  retryDelayMs: orNull(isNumber),
  delayMs: isNumber,
  dependsOn: listOf(isText),
  slots: (value) => isEmpty(value) || v.is(slots, value),
  expiresAtMs: orNull(isNumber),
  createdAtMs: isNumber,
  payloadBytes: isNumber,
  bodyChecksum: isNumber,
  attempts: (value) => isEmpty(value) || v.is(attempts, value),
  revision: isNumber,
  replaces: orNull(isText),
  dedupeKey: orNull(isText),
  dedupeNear: orNull(listOf(isNumber)),
  edit: (value) => value === undefined || v.is(edit, value),
  members: (value) => value === undefined || v.is(members, value),
  mark: (value) => value === undefined || value === BOUND_MARK || value === SENSITIVE_MARK,
};
const HEADER_FIELDS = Object.entries(HEADER_CHECKS);

function isHeader(value: unknown): boolean {
  return isObject(value) && HEADER_FIELDS.every(([field, holds]) => holds(value[field]));
}

function isEmpty(value: unknown): boolean {
  return Array.isArray(value) && value.length === 0;
}

const header: v.GenericSchema<unknown, MutationHeader> = v.pipe(
  v.custom<HeaderFields>(isHeader),
  v.transform(wholeHeader),
);

/** The fields in the order in which new ones have them, whoever wrote them, and no others: rewritten as they were. */
export function wholeHeader(fields: HeaderFields): MutationHeader {
  const { entity, edit, members, mark } = fields;
  const whole: MutationHeader = {
    id: fields.id,
    generation: fields.generation,
    type: fields.type,
    version: fields.version,
    lane: fields.lane,
    alsoLanes: fields.alsoLanes,
    // Missing where it was written before lanes could be held.
    place: fields.place ?? null,
    operation: fields.operation,
    entity: entity === null ? null : { table: entity.table, id: entity.id },
    priority: fields.priority,
    maxRetries: fields.maxRetries,
    retryDelayMs: fields.retryDelayMs,
    delayMs: fields.delayMs,
    expiresAtMs: fields.expiresAtMs,
    dependsOn: fields.dependsOn,
    slots: fields.slots,
    createdAtMs: fields.createdAtMs,
    payloadBytes: fields.payloadBytes,
    bodyChecksum: fields.bodyChecksum,
    attempts: fields.attempts,
    revision: fields.revision,
    replaces: fields.replaces,
    dedupeKey: fields.dedupeKey,
    dedupeNear: fields.dedupeNear,
    seq: fields.seq,
  };
  if (edit === undefined && members === undefined && mark === undefined) return whole;
  return {
    ...whole,
    ...(edit === undefined ? {} : { edit }),
    ...(members === undefined ? {} : { members }),
    ...(mark === undefined ? {} : { mark }),
  };
}

// What stands in them was checked when they were written, and the checksum says that it still does.
const object: v.GenericSchema<JsonObject> = v.custom<JsonObject>(isObject);
const body: v.GenericSchema<MutationBody> = v.object({
  payload: object,
  metadata: v.exactOptional(object),
  source: v.exactOptional(v.custom<MutationSource>(isObject)),
  edit: v.exactOptional(v.custom<EditBody>(isObject)),
  isOneWay: v.exactOptional(v.literal(true)),
  original: v.exactOptional(v.custom<OriginalForm>(isObject)),
});

const deadLetter: v.GenericSchema<unknown, DeadLetter> = v.object({
  header,
  error: wireError,
  failedAtMs: v.number(),
  holdsLane: v.optional(v.boolean(), false),
});

const json: v.GenericSchema<Json> = v.custom<Json>(() => true);

const rowLeft = v.object({ sinceVersion: v.number(), untilVersion: v.number(), rowVersion: v.number() });

const completed: v.GenericSchema<unknown, CompletedRecord> = v.object({
  id: v.string(),
  seq: v.custom<number>(isSeq),
  type: v.string(),
  entity,
  createdAtMs: v.number(),
  confirmedAtMs: v.number(),
  attemptCount: v.number(),
  priority: v.exactOptional(v.picklist(['high', 'normal', 'low'])),
  result: v.exactOptional(json),
  left: v.exactOptional(rowLeft),
  leftRows: v.exactOptional(
    v.array(v.object({ table: v.string(), id: v.string(), left: v.nullable(rowLeft), member: v.number() })),
  ),
});

const actEntries = {
  id: v.string(),
  kind: v.picklist(ACT_KINDS),
  actor: v.string(),
  reason: v.nullable(v.string()),
  atMs: v.number(),
};
const actRecord: v.GenericSchema<unknown, ActRecord> = v.object({
  ...actEntries,
  touchedCount: v.number(),
  ids: v.array(v.string()),
  isTold: v.optional(v.literal(true)),
});
const signOut: v.GenericSchema<unknown, SignOutRecord> = v.object({
  act: v.object(actEntries),
  discardUpToSeq: v.nullable(v.number()),
});
const disposed: v.GenericSchema<unknown, DisposedRecord> = v.object({
  id: v.string(),
  type: v.string(),
  entity,
  error: v.nullable(wireError),
  replacedBy: v.nullable(v.string()),
  payload: v.nullable(object),
  act: v.nullable(v.object(actEntries)),
  atMs: v.number(),
});

const quarantined: v.GenericSchema<unknown, QuarantinedRecord> = v.object({
  key: v.string(),
  text: v.string(),
  bodyText: v.nullable(v.string()),
  foundAtMs: v.number(),
});

/** What came out of storage: the record, or the bytes that no longer read as one, or not yet: a newer version wrote them. */
export type Parsed<Record> =
  | { readonly kind: 'record'; readonly record: Record }
  | { readonly kind: 'unreadable' | 'newer'; readonly text: string };

/** The record that a text reads as; null for a text that does not, and where there is none. */
export function recordIn<Record>(
  parse: (text: string) => Parsed<Record>,
  text: string | null | undefined,
): Record | null {
  const parsed = text == null ? null : parse(text);
  return parsed?.kind === 'record' ? parsed.record : null;
}

export const parseHeader = (text: string): Parsed<MutationHeader> => parseSealed(header, text);
export const parseDeadLetter = (text: string): Parsed<DeadLetter> => parseSealed(deadLetter, text);
export const parseCompleted = (text: string): Parsed<CompletedRecord> => parseSealed(completed, text);
export const parseDisposed = (text: string): Parsed<DisposedRecord> => parseSealed(disposed, text);
export const parseSignOut = (text: string): Parsed<SignOutRecord> => parseSealed(signOut, text);
export const parseAct = (text: string): Parsed<ActRecord> => parseSealed(actRecord, text);

export const parseQuarantined = (text: string): Parsed<QuarantinedRecord> => parseSealed(quarantined, text);

/** A record's text, sealed: its checksum in hexadecimal, a space, its JSON, which begins with the format. */
export function sealRecord(
  record:
    | MutationHeader
    | DeadLetter
    | CompletedRecord
    | DisposedRecord
    | ActRecord
    | SignOutRecord
    | QuarantinedRecord,
): string {
  return sealText(`{"format":${RECORD_FORMAT},${JSON.stringify(record).slice(1)}`);
}

/** A text with its checksum, in hexadecimal, before it. */
export function sealText(text: string): string {
  return sealOf(text) + text;
}

/** What was sealed; null where it is not as it was. */
export function unsealText(sealed: string): string | null {
  const text = sealed.slice(9);
  return sealed.slice(0, 9) === sealOf(text) ? text : null;
}

function sealOf(text: string): string {
  return `${checksumText(text)} `;
}

/** All of a body but its payload; nothing where it has none of it. */
type BodyParts = { readonly [Part in keyof Omit<MutationBody, 'payload'>]: MutationBody[Part] | undefined };

/** A body's text. `payloadText` is the payload's canonical JSON, which is not written twice. */
export function writeBody(
  payloadText: string,
  { metadata, source, edit, isOneWay, original, isSensitive }: BodyParts,
): string {
  const more = JSON.stringify({ metadata, source, edit, isOneWay, original });
  const body = more === '{}' ? `{"payload":${payloadText}}` : `{"payload":${payloadText},${more.slice(1)}`;
  return isSensitive === true ? BOUND_MARK + body : body;
}

/** What a header says of the body that it belongs to. */
export function headerOfBody(body: string): Pick<MutationHeader, 'bodyChecksum' | 'mark'> {
  const bodyChecksum = checksum(body);
  return body.startsWith(BOUND_MARK) ? { bodyChecksum, mark: BOUND_MARK } : { bodyChecksum };
}

/** Whether a value is to be stored sealed, whatever else it holds. */
export function isMarkedSensitive(value: string): boolean {
  return value.includes(SENSITIVE_MARK);
}

/** A body whose checksum is the one its header names, and which belongs to such a header. */
export function parseBody(
  text: string,
  { bodyChecksum, mark }: Pick<MutationHeader, 'bodyChecksum' | 'mark'>,
): Parsed<MutationBody> {
  const bodyMark = [BOUND_MARK, SENSITIVE_MARK].find((each) => text.startsWith(each));
  // A header in the clear can be written by whoever can write to the disk: the body would go wherever that says.
  const isStray = bodyMark === BOUND_MARK && mark !== BOUND_MARK;
  if (checksum(text) !== bodyChecksum || isStray) return { kind: 'unreadable', text };
  try {
    const result = v.safeParse(body, JSON.parse(text.slice(bodyMark?.length ?? 0)));
    if (!result.success) return { kind: 'unreadable', text };
    return { kind: 'record', record: bodyMark === undefined ? result.output : { ...result.output, isSensitive: true } };
  } catch {
    return { kind: 'unreadable', text };
  }
}

function parseSealed<Record>(schema: v.GenericSchema<unknown, Record>, text: string): Parsed<Record> {
  const unreadable = { kind: 'unreadable', text } as const;
  const json = unsealText(text);
  if (json === null) return unreadable;
  try {
    const value: unknown = JSON.parse(json);
    if (isObject(value) && Number(value['format'] ?? 1) > RECORD_FORMAT) return { kind: 'newer', text };
    const result = v.safeParse(schema, value);
    return result.success ? { kind: 'record', record: result.output } : unreadable;
  } catch {
    return unreadable;
  }
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
