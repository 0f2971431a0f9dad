import type { StandardSchemaV1 } from '@standard-schema/spec';
import { canonicalJson } from '../mutation/canonical-json.ts';
import { checksum } from '../mutation/checksum.ts';
import {
  type AnyMutationDefinition,
  type DescribedMutation,
  describeMutation,
  type EditBase,
  type MutationOptions,
  type OwnEffect,
  type Priority,
} from '../mutation/definition.ts';
import { type ErrorIssue, HoldfastError } from '../mutation/holdfast-error.ts';
import { fingerprint } from '../mutation/fingerprint.ts';
import {
  headerOfBody,
  type MutationHeader,
  type RecordPriority,
  SENSITIVE_MARK,
  writeBody,
} from '../mutation/record.ts';
import type { OpenSlot } from '../mutation/slots.ts';
import { type MaybeLater, whenKnown } from '../mutation/maybe-later.ts';
import { REDACTED, repeatsSensitive, sensitiveFieldsOf, withOtherSecrets } from '../mutation/sensitive.ts';
import { versionsOfMembers } from '../mutation/versions.ts';
import { ATOMIC_TYPE, type EntityRef, type JsonObject, LIMITS } from '../protocol/wire.ts';
import { isOneWay } from './check-stored.ts';
import { checkPlaceholders, fillSlots, type ResultOf } from './fill-slots.ts';
import { type MutationOrigin, originOf } from './mutation-origin.ts';
import type { EditParts } from './edit-base.ts';
import type { NewMutation } from './number-giver.ts';
import type { Amendment } from './queue-store.ts';

/** A mutation that may be stored, and its payload as the schema returned it. */
export interface PreparedMutation extends NewMutation {
  readonly payload: JsonObject;
  readonly origin: MutationOrigin;
  /** Told from every other content under the same id. */
  readonly contentMark: () => string;
}

/** A payload that may be stored, and what its definition says about it. */
export interface CheckedPayload {
  readonly described: DescribedMutation;
  /** Canonical JSON. */
  readonly text: string;
  readonly bytes: number;
  readonly dedupe: Pick<MutationHeader, 'dedupeKey' | 'dedupeNear'>;
  /** Values in it that are not known yet. */
  readonly slots: readonly OpenSlot[];
  /** See `MutationBody`. */
  readonly isOneWay: boolean;
  /** Whether it holds what never stands in the clear. */
  readonly isSensitive: boolean;
}

/** Checks a payload by the definition of its type. Throws what is wrong with it. */
export function checkPayload(
  definitions: ReadonlyMap<string, AnyMutationDefinition>,
  type: string,
  input: unknown,
  resultOf: ResultOf,
): MaybeLater<CheckedPayload> {
  const definition = definitions.get(type);
  if (definition === undefined)
    throw undeclared(
      type,
      [...definitions.keys()].filter((each) => each !== ATOMIC_TYPE),
    );
  return whenKnown(fillSlots(input, resultOf), ({ payload, slots }) => checkGiven(definition, payload, slots));
}

/** The same for a payload whose slots are what the app gave, or what stands in their places in storage. */
export function checkGiven(
  definition: AnyMutationDefinition,
  given: unknown,
  slots: readonly OpenSlot[] = [],
): MaybeLater<CheckedPayload> {
  return whenKnown(validate(definition, given), ({ payload, isOneWay }) => {
    checkPlaceholders(definition.type, payload, slots);
    const fields = sensitiveFieldsOf(definition);
    const { text, bytes } = payloadText(definition.type, payload, fields);
    const dedupe = dedupeOf(definition, payload, text);
    const described = describe(definition, payload);
    const isSensitive = fields.length > 0;
    if (isSensitive) checkNames(definition, payload as JsonObject, { described, dedupe });
    return { text, bytes, described, dedupe, slots, isOneWay, isSensitive };
  });
}

/**
 * Rows and lanes are told in events and logs, and what is equal in duplicates would tell what it is: they stay the same with
 * other values in the sensitive fields.
 */
function checkNames(
  definition: AnyMutationDefinition,
  payload: JsonObject,
  { described: { entity, lane }, dedupe }: Pick<CheckedPayload, 'described' | 'dedupe'>,
): void {
  const { type } = definition;
  const isShown = [lane, entity?.table ?? '', entity?.id ?? ''].some((name) =>
    repeatsSensitive(definition, payload, name),
  );
  if (isShown) throw undescribable(type, SHOWN);
  let withOthers: unknown;
  try {
    const other = withOtherSecrets(definition, payload);
    const names = describe(definition, other);
    withOthers = [names.lane, names.entity, dedupeOf(definition, other, '')];
  } catch {
    throw undescribable(type, SHOWN);
  }
  if (JSON.stringify(withOthers) !== JSON.stringify([lane, entity, dedupe])) throw undescribable(type, SHOWN);
}

const SHOWN = '`entity`, `lane` or `dedupe` depends on a sensitive field';

/** What a stored mutation becomes with another payload, all else being as it was. */
export function withPayload(
  stored: MutationHeader,
  { described, text, bytes, dedupe, slots, isOneWay, isSensitive }: CheckedPayload,
  { metadata, source, edit }: MutationOrigin,
): Omit<Amendment, 'stored'> {
  const { version, operation, entity } = described;
  // Never sent, nobody knows it by a first form that it may have had.
  const body = writeBody(text, { metadata, source, edit, ...flags({ isOneWay, isSensitive }) });
  const header = {
    ...stored,
    ...dedupe,
    version,
    operation,
    entity,
    payloadBytes: bytes,
    ...headerOfBody(body),
    slots,
    dependsOn: dependsOnOf(stored.dependsOn, slots),
  };
  return { header, body };
}

function flags({ isOneWay, isSensitive }: Pick<CheckedPayload, 'isOneWay' | 'isSensitive'>): MutationOrigin {
  return { ...(isOneWay ? { isOneWay } : {}), ...(isSensitive ? { isSensitive } : {}) };
}

/** Of one that an older queue has kept: when it was made there, by the device's clock. What a user was promised finds room. */
export const MADE_AT_MS: unique symbol = Symbol('made at');

/** What `add` is called with, whatever the type. */
export type AddInput = MutationOptions & {
  readonly type: string;
  readonly payload: unknown;
  readonly [MADE_AT_MS]?: number;
};

export interface PrepareContext {
  readonly id: string;
  readonly wallMs: number;
  readonly resultOf: ResultOf;
  /** What the mutation is made on, as far as anybody says or knows. */
  readonly editOf: (
    definition: AnyMutationDefinition,
    described: DescribedMutation,
    base: EditBase | undefined,
  ) => MaybeLater<EditParts | null>;
}

/** Checks a payload and makes the record of it. Throws what is wrong with it, before anything is stored. */
export function prepareMutation(
  definitions: ReadonlyMap<string, AnyMutationDefinition>,
  input: AddInput,
  { id, wallMs, resultOf, editOf }: PrepareContext,
): MaybeLater<PreparedMutation> {
  return whenKnown(checkPayload(definitions, input.type, input.payload, resultOf), (checked) => {
    const definition = definitions.get(input.type);
    const priority = input.priority ?? definition?.priority ?? 'normal';
    const made = definition === undefined ? null : editOf(definition, checked.described, input.base);
    return whenKnown(made, (edit) => recordOf(checked, input, { id, wallMs, edit, priority }));
  });
}

/** The same for several that take effect together or not at all: one mutation, in the lanes of all of them. */
export async function prepareAtomic(
  definitions: ReadonlyMap<string, AnyMutationDefinition>,
  members: readonly { readonly type: string; readonly payload: unknown }[],
  options: MutationOptions,
  { id, wallMs, resultOf }: { readonly id: string; readonly wallMs: number; readonly resultOf: ResultOf },
): Promise<PreparedMutation> {
  if (members.length === 0 || members.length > LIMITS.batchCount) throw wrongMemberCount(members.length);
  const checked = await Promise.all(
    members.map(async ({ type, payload }) => checkPayload(definitions, type, payload, resultOf)),
  );
  const priorities = members.map(({ type }) => priorityOf(definitions.get(type)?.priority ?? 'normal'));
  const priority = PRIORITIES.find((level) => priorities.includes(level)) ?? 'normal';
  const described = describeAtomic(checked.map((each) => each.described));
  const slots = new Map(checked.flatMap((each) => each.slots.map((slot) => [slot.placeholder, slot])));
  const atomic = {
    ...payloadText(ATOMIC_TYPE, described.payload),
    described,
    dedupe: NO_DEDUPE,
    slots: [...slots.values()],
    isOneWay: false,
    isSensitive: checked.some((each) => each.isSensitive),
  };
  return recordOf(atomic, options, { id, wallMs, edit: null, priority: options.priority ?? priority });
}

/** One mutation of several: in the lanes of all of them. */
export function describeAtomic(described: readonly DescribedMutation[]): DescribedMutation {
  const [lane = ATOMIC_TYPE, ...alsoLanes] = new Set(described.map((each) => each.lane));
  const payload = {
    members: described.map(({ type, version, operation, entity, payload: own }) => ({
      type,
      version,
      operation,
      entity: entity === null ? null : { table: entity.table, id: entity.id },
      payload: own,
    })),
  };
  const members = versionsOfMembers(described);
  return { type: ATOMIC_TYPE, version: 1, operation: 'custom', entity: null, lane, alsoLanes, payload, members };
}

const PRIORITIES = ['high', 'normal', 'low'] as const;

interface MadeWith {
  readonly id: string;
  readonly wallMs: number;
  readonly edit: EditParts | null;
  readonly priority: Priority;
}

function recordOf(
  { described, text, bytes, dedupe, slots, isOneWay, isSensitive }: CheckedPayload,
  input: MutationOptions & Pick<AddInput, typeof MADE_AT_MS>,
  { id, wallMs, edit, priority }: MadeWith,
): PreparedMutation {
  const { type, version, operation, entity, lane, alsoLanes, members } = described;
  const { maxRetries, retryDelayMs } = retryOptionsOf(input);
  const given = originOf(input);
  const isPlain = edit === null && !isOneWay && !isSensitive;
  const origin: MutationOrigin = isPlain
    ? given
    : { ...given, ...(edit === null ? {} : { edit: edit.body }), ...flags({ isOneWay, isSensitive }) };
  const body = writeBody(text, origin);
  // Field by field, as copies of parts would take longer than all the rest.
  const header: PreparedMutation['header'] = {
    id,
    generation: 0,
    type,
    version,
    lane,
    alsoLanes,
    place: null,
    operation,
    entity,
    priority: priorityOf(priority),
    maxRetries,
    retryDelayMs,
    delayMs: countOption('delayMs', input.delayMs) ?? 0,
    expiresAtMs: expiresAtMsOf(input.expiresAt, wallMs),
    dependsOn: dependsOnOf(input.dependsOn ?? [], slots),
    slots,
    createdAtMs: Math.min(input[MADE_AT_MS] ?? wallMs, wallMs),
    payloadBytes: bytes,
    bodyChecksum: checksum(body),
    attempts: NO_ATTEMPTS,
    revision: 0,
    replaces: null,
    dedupeKey: dedupe.dedupeKey,
    dedupeNear: dedupe.dedupeNear,
  };
  const isUsual = edit === null && members === undefined && !isSensitive;
  return {
    payload: described.payload,
    origin,
    // Whoever can read it could try what it was made from.
    contentMark: () => (isSensitive ? SENSITIVE_MARK : '') + fingerprint(`${type} ${text}`),
    body,
    header: isUsual
      ? header
      : {
          ...header,
          ...(edit === null ? {} : { edit: edit.header }),
          ...(members === undefined ? {} : { members }),
          ...(isSensitive ? headerOfBody(body) : {}),
        },
  };
}

const NO_PARENTS: readonly string[] = [];
const NO_ATTEMPTS: readonly never[] = [];
const NO_DEDUPE = { dedupeKey: null, dedupeNear: null } as const;

/** What duplicates of it share, and what in them may differ a little. Only a mark of the key is kept: it may be long, or secret. */
function dedupeOf(
  definition: AnyMutationDefinition,
  payload: object,
  text: string,
): Pick<MutationHeader, 'dedupeKey' | 'dedupeNear'> {
  const { type, dedupe } = definition;
  // The mark of a payload could be tried against what it may have been made from.
  if (dedupe === false || (dedupe === undefined && sensitiveFieldsOf(definition).length > 0)) return NO_DEDUPE;
  if (dedupe === undefined) return { dedupeKey: fingerprint(`= ${text}`), dedupeNear: null };
  let key: unknown;
  let near: readonly unknown[] | null;
  try {
    key = typeof dedupe === 'function' ? dedupe(payload) : dedupe.key(payload);
    near = typeof dedupe === 'function' ? null : dedupe.near.map(({ value }) => value(payload));
  } catch (cause) {
    throw undescribable(type, '`dedupe` threw', causeOf(definition, cause));
  }
  if (typeof key !== 'string') throw undescribable(type, '`dedupe` did not return a text');
  if (near !== null && !near.every(isFinite)) throw undescribable(type, '`near` of `dedupe` did not return a number');
  if (repeatsSensitive(definition, payload as JsonObject, key)) throw undescribable(type, SHOWN);
  return { dedupeKey: fingerprint(`: ${key}`), dedupeNear: near };
}

function isFinite(value: unknown): value is number {
  return Number.isFinite(value);
}

/** Canonical JSON of a payload that may be stored. `hidden`: fields of which only the name is told. */
export function payloadText(
  type: string,
  payload: object,
  hidden: readonly string[] = [],
): {
  readonly text: string;
  readonly bytes: number;
} {
  const json = canonicalJson(payload, LIMITS.jsonDepth);
  if (json.kind === 'notJson') throw notJson(type, toldPath(json.path, hidden), json.reason);
  if (json.bytes > LIMITS.payloadBytes) throw tooLarge(type, json.bytes);
  return json;
}

function dependsOnOf(given: NonNullable<MutationOptions['dependsOn']>, slots: readonly OpenSlot[]): readonly string[] {
  if (given.length === 0 && slots.length === 0) return NO_PARENTS;
  const ids = given.map((parent) => (typeof parent === 'string' ? parent : parent.id));
  return [...new Set([...ids, ...slots.map(({ parentId }) => parentId)])];
}

function priorityOf(priority: Priority): RecordPriority {
  return priority === 'medium' ? 'normal' : priority;
}

function retryOptionsOf(input: MutationOptions): Pick<MutationHeader, 'maxRetries' | 'retryDelayMs'> {
  const maxRetries = input.doNotRetry === true ? 0 : countOption('maxRetries', input.maxRetries);
  return { maxRetries, retryDelayMs: countOption('retryDelayMs', input.retryDelayMs) };
}

/** What this mutation alone shows; null for what its type does. */
export function ownEffectOf(input: MutationOptions | null): OwnEffect | null {
  const { optimisticUpdate, rollback, toast } = input ?? {};
  if (optimisticUpdate === undefined && rollback === undefined && toast === undefined) return null;
  return {
    ...(optimisticUpdate === undefined ? {} : { optimisticUpdate }),
    ...(rollback === undefined ? {} : { rollback }),
    ...(toast === undefined ? {} : { toast }),
  };
}

/** An id of the app's own as the server writes it; null where none was given. */
export function ownIdOf(id: string | undefined): string | null {
  if (id === undefined) return null;
  if (typeof id === 'string' && UUID.test(id)) return id.toLowerCase();
  throw new HoldfastError({
    code: 'INVALID_OPTION',
    message: `Not stored: \`id\` must be a UUID; it is ${typeof id === 'string' ? JSON.stringify(id) : typeof id}.`,
    hint: 'Make one with `crypto.randomUUID()`, or leave it out.',
  });
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** A whole number from 0, or null where none was given. */
function countOption(option: string, value: number | undefined): number | null {
  if (value === undefined) return null;
  if (Number.isSafeInteger(value) && value >= 0) return value;
  throw new HoldfastError({
    code: 'INVALID_OPTION',
    message: `Not stored: \`${option}\` must be a whole number from 0; it is ${value}.`,
    hint: `Correct \`${option}\`, or leave it out.`,
  });
}

function expiresAtMsOf(expiresAt: MutationOptions['expiresAt'], wallMs: number): number | null {
  if (expiresAt === undefined) return null;
  const atMs = typeof expiresAt === 'string' ? Date.parse(expiresAt) : Number(expiresAt);
  if (Number.isFinite(atMs) && atMs > wallMs) return atMs;
  throw new HoldfastError({
    code: 'INVALID_OPTION',
    message: `Not stored: \`expiresAt\` must be a date to come; it is ${String(expiresAt)}.`,
    hint: 'Correct `expiresAt`, or leave it out.',
  });
}

/** What the app's own functions make of the payload is checked like the payload: it must be there after a restart too. */
export function describe(definition: AnyMutationDefinition, payload: object): DescribedMutation {
  let described: DescribedMutation;
  try {
    described = describeMutation(definition, payload);
  } catch (cause) {
    throw undescribable(definition.type, '`entity` or `lane` threw', causeOf(definition, cause));
  }
  const { entity, lane }: { readonly entity: unknown; readonly lane: unknown } = described;
  if (entity !== null && !isEntityRef(entity))
    throw undescribable(definition.type, '`entity` did not return { table, id } as texts');
  if (typeof lane !== 'string') throw undescribable(definition.type, '`lane` did not return a text');
  return described;
}

function isEntityRef(value: unknown): value is EntityRef {
  if (typeof value !== 'object' || value === null) return false;
  const { table, id } = value as Partial<Record<keyof EntityRef, unknown>>;
  return typeof table === 'string' && typeof id === 'string';
}

/** What a function of the app has thrown may hold what it was given. */
function causeOf(definition: AnyMutationDefinition, cause: unknown): unknown {
  return sensitiveFieldsOf(definition).length > 0 ? undefined : cause;
}

function undescribable(type: string, reason: string, cause?: unknown): HoldfastError {
  return new HoldfastError({
    code: 'INVALID_PAYLOAD',
    message: `Not stored: ${reason} for the payload of ${type}.`,
    hint: `Correct the definition of ${type}, or the schema that let this payload pass.`,
    cause,
  });
}

/** What the schema makes of it, and whether it would not take that again. */
function validate(
  definition: AnyMutationDefinition,
  given: unknown,
): MaybeLater<{ readonly payload: object; readonly isOneWay: boolean }> {
  const schema = definition.payload as StandardSchemaV1<unknown, object>;
  const answer = schema['~standard'].validate(given);
  const isLater = 'then' in answer;
  return whenKnown(isLater ? Promise.resolve(answer) : answer, (result) => {
    if (result.issues !== undefined) throw invalidPayload(definition, result.issues);
    const value: unknown = result.value;
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw notJson(definition.type, [], 'not an object');
    return { payload: value, isOneWay: isLater || isOneWay(definition, value, given) };
  });
}

function undeclared(type: string, declared: readonly string[]): HoldfastError {
  return new HoldfastError({
    code: 'UNDECLARED_TYPE',
    message: `Not stored: the type ${JSON.stringify(type)} is not declared; declared are ${declared.join(', ')}.`,
    hint: 'Declare it with `defineMutation` and list it in `createQueue({ mutations })`.',
  });
}

function invalidPayload(definition: AnyMutationDefinition, issues: readonly StandardSchemaV1.Issue[]): HoldfastError {
  const { type } = definition;
  const hidden = sensitiveFieldsOf(definition);
  const plain: ErrorIssue[] = issues.map(({ message, path }) => ({
    // Schemas tell what came instead.
    message: hidden.length > 0 ? REDACTED : message,
    path: toldPath(
      // A library may have a list of a kind of its own.
      Array.from(path ?? [], (segment) => {
        const part = typeof segment === 'object' ? segment.key : segment;
        return typeof part === 'number' ? part : String(part);
      }),
      hidden,
    ),
  }));
  const first = plain[0];
  return new HoldfastError({
    code: 'INVALID_PAYLOAD',
    message: `Not stored: the payload of ${type} is invalid${first === undefined ? '' : `: ${[...first.path, first.message].join(': ')}`}.`,
    hint: 'Correct the fields that `issues` names, and save again.',
    issues: plain,
  });
}

/** Below a sensitive field, keys may be as sensitive as values. */
function toldPath(path: ErrorIssue['path'], hidden: readonly string[]): ErrorIssue['path'] {
  return hidden.includes(String(path[0])) ? path.slice(0, 1) : path;
}

function notJson(type: string, path: readonly (string | number)[], reason: string): HoldfastError {
  const where = path.length === 0 ? 'It' : `Its \`${path.join('.')}\``;
  return new HoldfastError({
    code: 'PAYLOAD_NOT_JSON',
    message: `Not stored: the payload of ${type} cannot travel as JSON. ${where} is ${reason}.`,
    hint: 'Give plain objects, arrays, texts, finite numbers, booleans and null.',
    issues: [{ message: reason, path }],
  });
}

function tooLarge(type: string, bytes: number): HoldfastError {
  return new HoldfastError({
    code: 'PAYLOAD_TOO_LARGE',
    message: `Not stored: the payload of ${type} is ${bytes} bytes; the limit is ${LIMITS.payloadBytes}.`,
    hint: 'Store large content elsewhere and save a reference to it, or split the change.',
  });
}

function wrongMemberCount(count: number): HoldfastError {
  return new HoldfastError({
    code: 'INVALID_OPTION',
    message: `Not stored: an atomic mutation has 1 to ${LIMITS.batchCount} members; this one has ${count}.`,
    hint: 'Add what must take effect together, and the rest one by one.',
  });
}
