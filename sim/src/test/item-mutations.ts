import { defineMutation } from 'holdfast';
import { anyPayload } from '../any-payload.ts';

type Payload = { readonly id: string; readonly tag: string };

/** Makes a row of `sim_items`, whose `entries` then hold `tag`. */
export const createItem = defineMutation({
  type: 'item.create',
  payload: anyPayload<Payload>(),
  operation: 'create',
  entity: ({ id }) => ({ table: 'sim_items', id }),
});

/** Appends `tag` to the `entries` of a row. */
export const updateItem = defineMutation({
  type: 'item.update',
  payload: anyPayload<Payload>(),
  operation: 'update',
  entity: ({ id }) => ({ table: 'sim_items', id }),
});
