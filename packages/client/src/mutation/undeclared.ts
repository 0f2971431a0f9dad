import type { StandardSchemaV1 } from '@standard-schema/spec';
import type { JsonObject } from '../protocol/wire.ts';
import type { AnyMutationDefinition, MutationDefinition } from './definition.ts';

/** What stands for every type that is not declared, in a queue that allows them. */
export type UndeclaredMutation = MutationDefinition<string, StandardSchemaV1<JsonObject, JsonObject>>;

/** The declared types; any other is a custom one whose lane is its type, and whose payload is any JSON object. */
export class OpenTypes extends Map<string, AnyMutationDefinition> {
  override get(type: string): AnyMutationDefinition {
    return super.get(type) ?? undeclared(type);
  }
}

function undeclared(type: string): UndeclaredMutation {
  return { type, payload: ANY_OBJECT, operation: 'custom' };
}

/** That it is JSON, and an object, is checked for every payload. */
const ANY_OBJECT: StandardSchemaV1<JsonObject, JsonObject> = {
  '~standard': { version: 1, vendor: 'holdfast', validate: (value) => ({ value: value as JsonObject }) },
};
