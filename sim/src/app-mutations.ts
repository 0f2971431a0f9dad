import { type AnyMutationDefinition, defineMutation, type JsonObject, type Operation } from 'holdfast';

import { anyPayload } from './any-payload.ts';
import type { Plan } from './plan.ts';

/** What the app shows: the tags of all changes, by row. */
export interface AppState {
  readonly items: { [entityId: string]: string[] };
}

export const TABLE = 'sim_items';
/** The type of changes that are merged into the one before them, or dropped as a duplicate of it. */
export const MERGING_TYPE = 'item.merge';
/** What the next version of the app puts into payloads of this one. */
export const MIGRATED = 'migrated';
/** Between the tags of changes that were merged. */
export const MERGED = '+';

/** The mutations of the simulated app. `laneOf` says which lane a row's changes are in. */
export function defineMutations(
  { maxRetries, areLanesHeld }: Pick<Plan, 'maxRetries' | 'areLanesHeld'>,
  laneOf: (entityId: string) => string,
  appVersion: 1 | 2 = 1,
): readonly AnyMutationDefinition[] {
  const define = (type: string, operation: Operation, conflict?: 'merge' | 'server-wins'): AnyMutationDefinition =>
    defineMutation({
      type,
      operation,
      payload: anyPayload<Payload>(),
      result: anyPayload<Payload>(),
      entity: ({ id }) => ({ table: TABLE, id }),
      lane: ({ id }) => laneOf(id),
      retry: { maxRetries },
      onDeadLetter: areLanesHeld ? 'hold' : 'continue',
      ...(conflict === undefined ? {} : { conflict, encoding: 'smallest' }),
      ...(appVersion === 1
        ? {}
        : { version: 2, migrate: { 1: (payload: Payload) => ({ ...payload, gamma: MIGRATED }) } }),
      optimistic: (draft: AppState, { id, tag }) => {
        const tags = draft.items[id] ?? [];
        if (!tags.includes(tag)) draft.items[id] = [...tags, tag];
      },
    });
  return [
    define('item.create', 'create'),
    define('item.update', 'update'),
    define('item.delete', 'delete'),
    // Edits made on a version: with fields that others have changed since, the first is merged, and the second gives way.
    define('item.edit', 'update', 'merge'),
    define('item.yield', 'update', 'server-wins'),
    // Its tag names all that are merged into it; one with the level of the one before it says nothing new.
    defineMutation({
      ...define(MERGING_TYPE, 'update'),
      dedupe: ({ id, level }: Payload) => `${id} ${String(level)}`,
      coalesce: (older: Payload, newer: Payload) => ({ ...newer, tag: `${older.tag}${MERGED}${newer.tag}` }),
    }),
  ];
}

type Payload = { readonly id: string; readonly tag: string } & JsonObject;
