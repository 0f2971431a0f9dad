import {
  type AnyMutationDefinition,
  defineMutation,
  type JsonObject,
  type Operation,
  type PayloadSchema,
} from 'holdfast';

import type { Plan } from './plan.ts';

/** What the app shows: the tags of all changes, by row. */
export interface AppState {
  readonly items: { [entityId: string]: string[] };
}

export const TABLE = 'sim_items';

/** The mutations of the simulated app. `laneOf` says which lane a row's changes are in. */
export function defineMutations(
  { maxRetries, areLanesHeld }: Pick<Plan, 'maxRetries' | 'areLanesHeld'>,
  laneOf: (entityId: string) => string,
): readonly AnyMutationDefinition[] {
  const define = (type: string, operation: Operation): AnyMutationDefinition =>
    defineMutation({
      type,
      operation,
      payload: anyPayload,
      result: anyPayload,
      entity: ({ id }) => ({ table: TABLE, id }),
      lane: ({ id }) => laneOf(id),
      retry: { maxRetries },
      onDeadLetter: areLanesHeld ? 'hold' : 'continue',
      optimistic: (draft: AppState, { id, tag }) => {
        const tags = draft.items[id] ?? [];
        if (!tags.includes(tag)) draft.items[id] = [...tags, tag];
      },
    });
  return [define('item.create', 'create'), define('item.update', 'update'), define('item.delete', 'delete')];
}

type Payload = { readonly id: string; readonly tag: string } & JsonObject;

/** The workload makes no other payloads; what schemas refuse is tested elsewhere. */
const anyPayload: PayloadSchema & {
  readonly '~standard': { readonly types?: { readonly input: Payload; readonly output: Payload } };
} = {
  '~standard': {
    version: 1,
    vendor: 'holdfast-sim',
    validate: (value) => ({ value: value as Payload }),
  },
};
