import { ATOMIC_TYPE, type Json, type JsonObject } from '../protocol/wire.ts';
import type { AnyMutationDefinition } from './definition.ts';
import { type MutationBody, type MutationHeader, SENSITIVE_MARK } from './record.ts';
import { membersOf } from './versions.ts';

type Definitions = ReadonlyMap<string, AnyMutationDefinition>;

/** What stands in the place of a sensitive value wherever it is shown. */
export const REDACTED = '[redacted]';

/** What is hidden of one mutation, wherever others may have repeated it. */
export interface Secrets {
  /** Names of its sensitive fields. */
  readonly fields: readonly string[];
  /** All texts and numbers in them. */
  readonly texts: readonly string[];
  /** Keys of objects in them: the fields of a schema, or what somebody has called the entries of a record. */
  readonly keys: readonly string[];
}

/** Names of the fields of its payload that never are shown; most often none. */
export function sensitiveFieldsOf(definition: AnyMutationDefinition | undefined): readonly string[] {
  return definition?.sensitive ?? NONE;
}

const NONE: readonly string[] = [];

/** Whether a payload of this type may hold what is not shown. Of an atomic one, whether one of its members does. */
export function isSensitive(definitions: Definitions, type: string, payload: object): boolean {
  if (type !== ATOMIC_TYPE) return sensitiveFieldsOf(definitions.get(type)).length > 0;
  return membersOf(payload as JsonObject).some((member) => isSensitive(definitions, member.type, member.payload));
}

/** The header as it is to be rewritten: format 2 stored it in the clear. */
export function withMark(definitions: Definitions, header: MutationHeader): MutationHeader {
  const types = header.members ?? [header];
  const isToMark = types.some(({ type }) => sensitiveFieldsOf(definitions.get(type)).length > 0);
  return header.mark === undefined && isToMark ? { ...header, mark: SENSITIVE_MARK } : header;
}

/** The payload as it may be shown. `isMarked`: it was stored as one that has sensitive fields. */
export function withoutSensitive(
  definitions: Definitions,
  type: string,
  payload: JsonObject,
  isMarked: boolean,
): JsonObject {
  if (type === ATOMIC_TYPE) {
    const isUnknown = isMarked && !isSensitive(definitions, type, payload);
    const members = membersOf(payload).map((member) => ({
      ...member,
      payload: withoutSensitive(definitions, member.type, member.payload, isUnknown),
    }));
    return { ...payload, members: members as unknown as Json };
  }
  const fields = hiddenFieldsOf(definitions, type, payload, isMarked).filter((field) => Object.hasOwn(payload, field));
  return fields.length === 0
    ? payload
    : { ...payload, ...Object.fromEntries(fields.map((field) => [field, REDACTED])) };
}

/** All of them, where it was stored as one with sensitive fields, and this version of the app knows none. */
function hiddenFieldsOf(
  definitions: Definitions,
  type: string,
  payload: JsonObject,
  isMarked: boolean,
): readonly string[] {
  const declared = sensitiveFieldsOf(definitions.get(type));
  return isMarked && declared.length === 0 ? Object.keys(payload) : declared;
}

/** What is hidden of a mutation, in each of its forms and in the row that it was made on; null where nothing is. */
export function secretsOf(definitions: Definitions, type: string, body: MutationBody): Secrets | null {
  const { payload, original, edit, isSensitive: isMarked = false } = body;
  if (!isMarked && !isSensitive(definitions, type, payload)) return null;
  const fields = new Set<string>();
  const texts = new Set<string>();
  const keys = new Set<string>();
  const collect = (value: unknown): void => {
    if (typeof value === 'string' || typeof value === 'number') texts.add(String(value));
    if (typeof value !== 'object' || value === null) return;
    if (!Array.isArray(value)) for (const key of Object.keys(value)) keys.add(key);
    for (const each of Object.values(value)) collect(each);
  };
  const forms = [payload, original?.payload, edit?.base, edit?.before, edit?.theirs?.row];
  for (const form of forms) {
    if (form === undefined || form === null) continue;
    const isUnknown = isMarked && !isSensitive(definitions, type, form);
    const members = type === ATOMIC_TYPE ? membersOf(form) : [{ type, payload: form }];
    for (const member of members) {
      for (const field of hiddenFieldsOf(definitions, member.type, member.payload, isUnknown)) {
        fields.add(field);
        collect(member.payload[field]);
      }
    }
  }
  texts.delete('');
  return { fields: [...fields], texts: [...texts], keys: [...keys] };
}

/** Whether a name that is shown repeats a value of a sensitive field. A short one may be the same by chance. */
export function repeatsSensitive(definition: AnyMutationDefinition, payload: JsonObject, name: string): boolean {
  const secrets = secretsOf(new Map([[definition.type, definition]]), definition.type, { payload });
  return secrets?.texts.some((text) => text.length >= LENGTH_WITHIN_MIN && repeats(name, text)) ?? false;
}

/** The payload with other values in its sensitive fields, of the same kinds: what is made of it alike depends on none of them. */
export function withOtherSecrets(definition: AnyMutationDefinition, payload: JsonObject): JsonObject {
  const other = (value: Json): Json => {
    if (typeof value === 'string') return `${value.replace(/./gsu, (sign) => (sign === 'x' ? 'y' : 'x'))}x`;
    if (typeof value === 'number') return value === -1 ? 1 : 2 * value + 1;
    if (typeof value === 'boolean') return !value;
    if (value === null) return null;
    if (Array.isArray(value)) return value.map(other);
    return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, other(each)]));
  };
  const fields = sensitiveFieldsOf(definition).filter((field) => payload[field] !== undefined);
  return { ...payload, ...Object.fromEntries(fields.map((field) => [field, other(payload[field] ?? null)])) };
}

/** Words of others that repeat any of it. */
export function isRepeatedIn(words: string, { texts, keys }: Secrets): boolean {
  return [...texts, ...keys].some((text) => repeats(words, text));
}

/** What others returned, without it at any depth: fields of the same name, and values and names that repeat a value of them. */
export function withoutSecrets(result: Json, secrets: Secrets): Json {
  const names = new Set(secrets.fields.map(bare));
  const isSecret = (value: unknown): boolean => {
    if (typeof value === 'string') return isValueIn(value, secrets);
    // One or two digits say nothing: each number of a row may happen to be them.
    if (typeof value === 'number') return String(value).length >= LENGTH_MIN && isValueIn(String(value), secrets);
    return false;
  };
  const without = (value: Json): Json => {
    if (typeof value !== 'object' || value === null) return isSecret(value) ? null : value;
    if (Array.isArray(value)) return value.map(without);
    return Object.fromEntries(
      Object.entries(value).flatMap(([key, each]) =>
        names.has(bare(key)) || isSecret(key) || isSecret(each) ? [] : [[key, without(each)]],
      ),
    );
  };
  return without(result);
}

function isValueIn(value: string, { texts, keys }: Secrets): boolean {
  return texts.some((text) => repeats(value, text)) || (value.length >= LENGTH_MIN && keys.includes(value));
}

/** Shorter ones are found only where nothing else stands. */
const LENGTH_MIN = 3;
/** Shorter ones are found only as whole words: by chance they stand in many an id. */
const LENGTH_WITHIN_MIN = 6;

/** Whether a value stands in these words: as it is, as in JSON or a URL, or written with other signs between (`1,234`). */
function repeats(words: string, value: string): boolean {
  if (words === value) return true;
  const core = bare(value);
  if (core.length < LENGTH_MIN) return value.length >= LENGTH_MIN && words.includes(value);
  if (core.length < LENGTH_WITHIN_MIN)
    return words.toLowerCase().split(SIGNS).includes(core) || (core.length < value.length && words.includes(value));
  const within = bare(words);
  return [value, JSON.stringify(value), inUrl(value), inUrl(value).replaceAll('%20', '+')].some((form) =>
    within.includes(bare(form)),
  );
}

const SIGNS = /[^\p{L}\p{N}]+/u;

/** Its letters and digits. */
function bare(text: string): string {
  return text.toLowerCase().split(SIGNS).join('');
}

function inUrl(text: string): string {
  // Half a character cannot stand there.
  return encodeURIComponent(text.replace(/\p{Surrogate}/gu, ''));
}
