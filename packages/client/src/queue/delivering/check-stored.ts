import type { StandardSchemaV1 } from '@standard-schema/spec';
import type { AnyMutationDefinition } from '../../mutation/definition.ts';
import type { MutationBody, MutationHeader } from '../../mutation/record.ts';
import { sensitiveFieldsOf } from '../../mutation/sensitive.ts';
import { ATOMIC_TYPE, type WireError } from '../../protocol/wire.ts';
import { messageOf } from '../../mutation/holdfast-error.ts';

/**
 * Why a payload that was stored in an earlier run is not sent: the schema of its type, in the version that it was stored
 * in, refuses it. Null where it is well, or where nobody can say: for a type or version that this app does not know, a
 * schema that refuses what it returned itself, one that answers only later, and one that a person has sent again all the same.
 */
export function refusalOfStored(
  definitions: ReadonlyMap<string, AnyMutationDefinition>,
  { type, version, generation }: MutationHeader,
  { payload, isOneWay }: MutationBody,
): WireError | null {
  const definition = type === ATOMIC_TYPE || !definitions.has(type) ? undefined : definitions.get(type);
  if (definition === undefined || (definition.version ?? 1) !== version || generation > 0 || isOneWay === true)
    return null;
  const issue = firstIssue(definition, payload);
  if (issue === null || issue === 'later') return null;
  return {
    category: 'CORRUPTED',
    code: 'PAYLOAD_REFUSED',
    message: `The payload of ${type}, as it stands on this device, is not what its schema asks for${sensitiveFieldsOf(definition).length > 0 ? '' : `: ${issue}`}.`,
    hint: 'It is kept as it is (`listQuarantine`) and was not sent. Correct it with `edit`, or send it all the same with `retry`.',
  };
}

/**
 * Whether the schema does not take what it returned itself, or not at once. One that answered at once with what it was `given` has
 * just taken it.
 */
export function isOneWay(definition: AnyMutationDefinition, payload: object, given: unknown): boolean {
  return payload !== given && firstIssue(definition, payload) !== null;
}

function firstIssue({ payload: schema }: AnyMutationDefinition, payload: object): string | null {
  let result: ReturnType<StandardSchemaV1['~standard']['validate']>;
  try {
    result = (schema as StandardSchemaV1)['~standard'].validate(payload);
  } catch (error) {
    return messageOf(error);
  }
  if (result instanceof Promise) {
    result.catch(() => {});
    return 'later';
  }
  const [issue] = result.issues ?? [];
  return issue === undefined ? null : issue.message;
}
