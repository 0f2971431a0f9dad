import type { StandardSchemaV1 } from '@standard-schema/spec';
import { canonicalJson } from '../../mutation/canonical-json.ts';
import { type AnyMutationDefinition, type DescribedMutation, describeMutation } from '../../mutation/definition.ts';
import { fingerprint } from '../../mutation/fingerprint.ts';
import { type ErrorIssue, HoldfastError } from '../../mutation/holdfast-error.ts';
import { type MaybeLater, whenKnown } from '../../mutation/maybe-later.ts';
import type { MutationHeader } from '../../mutation/record.ts';
import { REDACTED, repeatsSensitive, sensitiveFieldsOf, withOtherSecrets } from '../../mutation/sensitive.ts';
import type { OpenSlot } from '../../mutation/slots.ts';
import { ATOMIC_TYPE, type EntityRef, type JsonObject, LIMITS } from '../../protocol/wire.ts';
import { isOneWay } from '../delivering/check-stored.ts';
import { checkPlaceholders, fillSlots, type ResultOf } from './fill-slots.ts';

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

export const NO_DEDUPE = { dedupeKey: null, dedupeNear: null } as const;

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
