import type { StandardSchemaV1 } from '@standard-schema/spec';
import { ATOMIC_TYPE, type WireMutation } from '../protocol/wire.ts';
import type { AnyMutationDefinition, MutationDefinition } from './definition.ts';

/** What `addAtomic` sends: mutations that take effect together or not at all. */
export interface AtomicPayload {
  readonly members: readonly Pick<WireMutation, 'type' | 'version' | 'operation' | 'entity' | 'payload'>[];
}

/** The type of what `addAtomic` makes: each member shows its effect as its own type does. */
export function atomicDefinition(definitions: ReadonlyMap<string, AnyMutationDefinition>): AnyMutationDefinition {
  const definition: MutationDefinition<typeof ATOMIC_TYPE, StandardSchemaV1<unknown, AtomicPayload>> = {
    type: ATOMIC_TYPE,
    payload: ONLY_BY_ADD_ATOMIC,
    operation: 'custom',
    optimistic: (draft, { members }) => {
      for (const { type, payload } of members) definitions.get(type)?.optimistic?.(draft, payload);
    },
  };
  return definition;
}

const ONLY_BY_ADD_ATOMIC: StandardSchemaV1<unknown, AtomicPayload> = {
  '~standard': {
    version: 1,
    vendor: 'holdfast',
    validate: () => ({ issues: [{ message: 'Use `addAtomic` for mutations that take effect together.' }] }),
  },
};
