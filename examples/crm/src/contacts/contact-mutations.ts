import { defineMutation } from 'holdfast';
import * as v from 'valibot';
import type { CrmState } from '../accounts/crm-state.ts';
import type { Contact } from './contact.ts';

const id = v.pipe(v.string(), v.uuid());
const optionalText = v.nullable(v.string());

export const contactFieldsSchema = v.object({
  account_id: v.pipe(v.string(), v.uuid('Choose an account.')),
  name: v.pipe(v.string(), v.trim(), v.minLength(1, 'Enter a name.'), v.maxLength(200, 'At most 200 characters.')),
  role: optionalText,
  email: v.nullable(
    v.pipe(v.string(), v.regex(/^[^@\s]+@[^@\s]+$/, 'Enter an e-mail address, such as ana@example.org.')),
  ),
  phone: optionalText,
});

const entity = ({ id: row }: { readonly id: string }): { readonly table: string; readonly id: string } => ({
  table: 'contacts',
  id: row,
});

export const createContact = defineMutation({
  type: 'contact.create',
  payload: v.object({ id, ...contactFieldsSchema.entries }),
  operation: 'create',
  entity,
  optimistic: (draft: CrmState, payload) => {
    draft.contacts[payload.id] = { ...payload, updated_at: null, version: null };
  },
});

export const updateContact = defineMutation({
  type: 'contact.update',
  payload: v.object({ id, ...v.partial(contactFieldsSchema).entries }),
  operation: 'update',
  entity,
  conflict: 'merge',
  optimistic: (draft: CrmState, payload) => {
    const contact = draft.contacts[payload.id];
    if (contact !== undefined) draft.contacts[payload.id] = { ...contact, ...(payload as Partial<Contact>) };
  },
});

export const deleteContact = defineMutation({
  type: 'contact.delete',
  payload: v.object({ id }),
  operation: 'delete',
  entity,
  optimistic: (draft: CrmState, payload) => {
    delete draft.contacts[payload.id];
  },
});

export const restoreContact = defineMutation({
  type: 'contact.restore',
  payload: v.object({ id }),
  operation: 'restore',
  entity,
});
