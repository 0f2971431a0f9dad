import type { AuditWords } from 'holdfast/react';
import { FIELD_WORDS, fieldText } from '../accounts/account-words.ts';
import { CONTACT_WORDS } from '../contacts/contact.ts';
import { DEAL_WORDS, euros, STAGE_WORDS, type Stage } from '../deals/deal.ts';
import { findDemoUser } from '../session/demo-users.ts';

const WORDS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  accounts: FIELD_WORDS,
  contacts: CONTACT_WORDS,
  deals: DEAL_WORDS,
};

/** What a field of a table is called. */
export function describeField(table: string, field: string): string {
  return WORDS[table]?.[field] ?? field;
}

/** What a person reads for the value of a field. */
export function describeValue(field: string, value: unknown): string {
  if (field === 'stage' && typeof value === 'string') return STAGE_WORDS[value as Stage] ?? value;
  return field === 'amount_eur' && typeof value === 'number' ? euros(value) : fieldText(field, value);
}

/** What the database keeps for itself. */
export const HIDDEN_FIELDS: readonly string[] = ['id', 'workspace_id', 'updated_at', 'changed_xid', 'version'];

/** How the audit log calls what is in it. */
export const AUDIT_WORDS: AuditWords = {
  hiddenFields: HIDDEN_FIELDS,
  describeActor: (actor) => (actor === null ? 'Someone' : (findDemoUser(actor)?.name ?? actor)),
  describeField: (field, { entityType }) => describeField(entityType, field),
  describeValue: (value, field) => describeValue(field, value),
};
