import { ATOMIC_TYPE, type Json, type JsonObject } from '../protocol/wire.ts';
import type { AnyMutationDefinition } from './definition.ts';
import { membersOf } from './versions.ts';

type Definitions = ReadonlyMap<string, AnyMutationDefinition>;

/** What stands in the place of a sensitive value wherever it is shown. */
export const REDACTED = '[redacted]';

/** Shorter texts are too common to be looked for in the words of others. */
const TEXT_LENGTH_MIN = 4;

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

/** The payload as it may be shown. */
export function withoutSensitive(definitions: Definitions, type: string, payload: JsonObject): JsonObject {
  if (type === ATOMIC_TYPE) {
    const members = membersOf(payload).map((member) => ({
      ...member,
      payload: withoutSensitive(definitions, member.type, member.payload),
    }));
    return { ...payload, members: members as unknown as Json };
  }
  const fields = sensitiveFieldsOf(definitions.get(type)).filter((field) => Object.hasOwn(payload, field));
  return fields.length === 0
    ? payload
    : { ...payload, ...Object.fromEntries(fields.map((field) => [field, REDACTED])) };
}

/** All texts and numbers in its sensitive fields, the longest first. */
export function sensitiveTexts(definitions: Definitions, type: string, payload: JsonObject): readonly string[] {
  const texts = new Set<string>();
  const collect = (value: unknown): void => {
    if (typeof value === 'string' || typeof value === 'number') texts.add(String(value));
    else if (typeof value === 'object' && value !== null) for (const each of Object.values(value)) collect(each);
  };
  const members = type === ATOMIC_TYPE ? membersOf(payload) : [{ type, payload }];
  for (const member of members)
    for (const field of sensitiveFieldsOf(definitions.get(member.type))) collect(member.payload[field]);
  return [...texts].filter((text) => text.length >= TEXT_LENGTH_MIN).sort((left, right) => right.length - left.length);
}

/** The words of others without these. */
export function redactTexts(words: string, texts: readonly string[]): string {
  return texts.reduce((redacted, text) => redacted.replaceAll(text, REDACTED), words);
}
