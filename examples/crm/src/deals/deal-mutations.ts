import { defineMutation } from 'holdfast';
import * as v from 'valibot';
import type { CrmState } from '../accounts/crm-state.ts';
import { type Deal, STAGES } from './deal.ts';

const id = v.pipe(v.string(), v.uuid());

export const dealFieldsSchema = v.object({
  account_id: v.pipe(v.string(), v.uuid('Choose an account.')),
  title: v.pipe(
    v.string(),
    v.trim(),
    v.minLength(1, 'Say what it is about.'),
    v.maxLength(200, 'At most 200 characters.'),
  ),
  stage: v.picklist(STAGES, 'Choose a stage.'),
  amount_eur: v.pipe(
    v.number('Enter an amount.'),
    v.integer('Enter whole euros.'),
    v.minValue(0, 'Not less than 0.'),
    v.maxValue(1_000_000_000, 'At most a billion.'),
  ),
  owner: v.nullable(v.string()),
});

const entity = ({ id: row }: { readonly id: string }): { readonly table: string; readonly id: string } => ({
  table: 'deals',
  id: row,
});

export const createDeal = defineMutation({
  type: 'deal.create',
  payload: v.object({ id, ...dealFieldsSchema.entries }),
  operation: 'create',
  entity,
  optimistic: (draft: CrmState, payload) => {
    draft.deals[payload.id] = { ...payload, updated_at: null, version: null };
  },
});

export const updateDeal = defineMutation({
  type: 'deal.update',
  payload: v.object({ id, ...v.partial(dealFieldsSchema).entries }),
  operation: 'update',
  entity,
  conflict: 'merge',
  optimistic: (draft: CrmState, payload) => {
    const deal = draft.deals[payload.id];
    if (deal !== undefined) draft.deals[payload.id] = { ...deal, ...(payload as Partial<Deal>) };
  },
});

export const deleteDeal = defineMutation({
  type: 'deal.delete',
  payload: v.object({ id }),
  operation: 'delete',
  entity,
  optimistic: (draft: CrmState, payload) => {
    delete draft.deals[payload.id];
  },
});

export const restoreDeal = defineMutation({
  type: 'deal.restore',
  payload: v.object({ id }),
  operation: 'restore',
  entity,
});
