import { checksum } from '../../mutation/checksum.ts';
import type {
  AnyMutationDefinition,
  DescribedMutation,
  EditBase,
  MutationOptions,
  OwnEffect,
  Priority,
} from '../../mutation/definition.ts';
import { fingerprint } from '../../mutation/fingerprint.ts';
import { HoldfastError, invalidOption } from '../../mutation/holdfast-error.ts';
import { type MaybeLater, whenKnown } from '../../mutation/maybe-later.ts';
import {
  headerOfBody,
  type MutationHeader,
  type RecordPriority,
  SENSITIVE_MARK,
  writeBody,
} from '../../mutation/record.ts';
import type { OpenSlot } from '../../mutation/slots.ts';
import { versionsOfMembers } from '../../mutation/versions.ts';
import { ATOMIC_TYPE, type JsonObject, LIMITS } from '../../protocol/wire.ts';
import { type CheckedPayload, checkPayload, NO_DEDUPE, payloadText } from './check-payload.ts';
import type { EditParts } from './edit-base.ts';
import type { ResultOf } from './fill-slots.ts';
import { type MutationOrigin, originOf } from './mutation-origin.ts';
import type { NewMutation } from '../store/number-giver.ts';
import type { Amendment } from '../store/queue-store.ts';

/** A mutation that may be stored, and its payload as the schema returned it. */
export interface PreparedMutation extends NewMutation {
  readonly payload: JsonObject;
  readonly origin: MutationOrigin;
  /** Told from every other content under the same id. */
  readonly contentMark: () => string;
}

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
  const came = typeof id === 'string' ? JSON.stringify(id) : typeof id;
  const hint = 'Make one with `crypto.randomUUID()`, or leave it out.';
  throw invalidOption('id', `Not stored: \`id\` must be a UUID; it is ${came}.`, hint);
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** A whole number from 0, or null where none was given. */
function countOption(option: string, value: number | undefined): number | null {
  if (value === undefined) return null;
  if (Number.isSafeInteger(value) && value >= 0) return value;
  throw invalidOption(option, `Not stored: \`${option}\` must be a whole number from 0; it is ${value}.`);
}

function expiresAtMsOf(expiresAt: MutationOptions['expiresAt'], wallMs: number): number | null {
  if (expiresAt === undefined) return null;
  const atMs = typeof expiresAt === 'string' ? Date.parse(expiresAt) : Number(expiresAt);
  if (Number.isFinite(atMs) && atMs > wallMs) return atMs;
  throw invalidOption('expiresAt', `Not stored: \`expiresAt\` must be a date to come; it is ${String(expiresAt)}.`);
}

function wrongMemberCount(count: number): HoldfastError {
  return new HoldfastError({
    code: 'INVALID_OPTION',
    message: `Not stored: an atomic mutation has 1 to ${LIMITS.batchCount} members; this one has ${count}.`,
    hint: 'Add what must take effect together, and the rest one by one.',
  });
}
