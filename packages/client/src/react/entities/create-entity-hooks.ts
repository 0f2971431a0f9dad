import type { StandardSchemaV1 } from '@standard-schema/spec';
import type { AnyMutationDefinition, ResultOfType } from '../../mutation/definition.ts';
import { HoldfastError } from '../../mutation/holdfast-error.ts';
import type { WithSlots } from '../../mutation/slots.ts';
import { MergeBook } from './merge-book.ts';
import type { EntityDefinitions } from './undo-mutation.ts';
import { type EntityMutation, useEntityMutation } from './use-entity-mutation.ts';

/** The hook of one of the definitions. */
export type EntityHook<Definition extends AnyMutationDefinition> = () => EntityMutation<
  WithSlots<StandardSchemaV1.InferInput<Definition['payload']>>,
  ResultOfType<Definition>
>;

/** `useCreateAccount`, `useUpdateAccount`, `useDeleteAccount`, as far as their types are given. */
export type EntityHooks<Name extends string, Definitions extends EntityDefinitions> = {
  readonly [Verb in keyof Definitions &
    ('create' | 'update' | 'delete') as `use${Capitalize<Verb>}${Capitalize<Name>}`]: EntityHook<
    Extract<Definitions[Verb], AnyMutationDefinition>
  >;
};

export interface EntityHooksOptions<Name extends string> {
  /** What one of them is called: `account` gives `useCreateAccount`. */
  readonly name: Name;
  /**
   * How long a deletion waits before it is sent, so that "undo" surely cancels it, in milliseconds; 0 sends at once, and undoing
   * then restores the row. @default 5_000
   */
  readonly undoWindowMs?: number;
}

/**
 * Hooks for the rows of a table: each adds a mutation, tells how far it is, shows its toast, and can take it back. They are typed by
 * the definitions. Throws `INVALID_OPTION` for a type whose operation is another one's.
 *
 * ```ts
 * export const { useCreateAccount, useDeleteAccount } = createEntityHooks({
 *   name: 'account',
 *   create: createAccount,
 *   delete: deleteAccount,
 *   restore: restoreAccount,
 * });
 * ```
 */
export function createEntityHooks<const Name extends string, const Definitions extends EntityDefinitions>({
  name,
  undoWindowMs = 5_000,
  ...definitions
}: EntityHooksOptions<Name> & Definitions): EntityHooks<Name, Definitions> {
  const capitalized = `${name.charAt(0).toUpperCase()}${name.slice(1)}`;
  const types = definitions as EntityDefinitions;
  for (const verb of ['create', 'update', 'delete', 'restore'] as const) checkOperation(verb, types[verb]);
  const merges = new MergeBook();
  const hookOf = (definition: AnyMutationDefinition, defaults: EntityDefaults) => () =>
    useEntityMutation({ definition, definitions: types, merges, ...defaults });
  const hooks = {
    [`useCreate${capitalized}`]: types.create && hookOf(types.create, { maxRetries: 2, delayMs: 0 }),
    [`useUpdate${capitalized}`]: types.update && hookOf(types.update, { maxRetries: 2, delayMs: 0 }),
    [`useDelete${capitalized}`]: types.delete && hookOf(types.delete, { maxRetries: 1, delayMs: undoWindowMs }),
  };
  return Object.fromEntries(Object.entries(hooks).filter(([, hook]) => hook !== undefined)) as EntityHooks<
    Name,
    Definitions
  >;
}

/** A type with a handler of its own may call itself `custom`. */
function checkOperation(verb: keyof EntityDefinitions, definition: AnyMutationDefinition | undefined): void {
  if (definition === undefined || definition.operation === verb || definition.operation === 'custom') return;
  throw new HoldfastError({
    code: 'INVALID_OPTION',
    message: `createEntityHooks: \`${verb}\` must be a type of the operation '${verb}' or 'custom'; ${definition.type} is of '${definition.operation}'.`,
    hint: 'Give each type under the name of its operation.',
  });
}

/** How one of them is sent, where its type does not say. */
export interface EntityDefaults {
  readonly maxRetries: number;
  readonly delayMs: number;
}
