import type { ReactNode } from 'react';
import { type Deal, euros, STAGE_WORDS } from '../deals/deal.ts';
import type { Contact } from '../contacts/contact.ts';
import type { CrmState } from '../accounts/crm-state.ts';
import { useCrmState } from '../workspace/workspace-context.ts';
import classes from './account-detail.module.css';

export interface Related {
  readonly contacts: readonly Contact[];
  readonly deals: readonly Deal[];
}

/** The people and the deals of an account, by name. */
export function relatedTo({ contacts, deals }: Pick<CrmState, 'contacts' | 'deals'>, accountId: string): Related {
  return {
    contacts: Object.values(contacts)
      .filter(({ account_id }) => account_id === accountId)
      .toSorted((a, b) => a.name.localeCompare(b.name)),
    deals: Object.values(deals)
      .filter(({ account_id }) => account_id === accountId)
      .toSorted((a, b) => a.title.localeCompare(b.title)),
  };
}

/** In words, such as "2 contacts and 1 deal"; null for none. */
export function relatedText({ contacts, deals }: Related): string | null {
  const texts = [
    ...(contacts.length > 0 ? [`${contacts.length} contact${contacts.length === 1 ? '' : 's'}`] : []),
    ...(deals.length > 0 ? [`${deals.length} deal${deals.length === 1 ? '' : 's'}`] : []),
  ];
  return texts.length === 0 ? null : texts.join(' and ');
}

export function RelatedRecords({ accountId }: { readonly accountId: string }): ReactNode {
  const { contacts, deals } = relatedTo(useCrmState(), accountId);
  return (
    <>
      <section className={classes.section} aria-label="Contacts of this account">
        <h3 className={classes.sectionTitle}>People</h3>
        {contacts.length === 0 ? <p className={classes.none}>Nobody yet.</p> : null}
        <ul className={classes.related}>
          {contacts.map(({ id, name, role, email, phone }) => (
            <li key={id}>
              <span>{name}</span>
              <span className="soft">{[role, email, phone].filter(Boolean).join(' · ')}</span>
            </li>
          ))}
        </ul>
      </section>
      <section className={classes.section} aria-label="Deals of this account">
        <h3 className={classes.sectionTitle}>Deals</h3>
        {deals.length === 0 ? <p className={classes.none}>None yet.</p> : null}
        <ul className={classes.related}>
          {deals.map(({ id, title, stage, amount_eur, owner }) => (
            <li key={id}>
              <span>{title}</span>
              <span className="soft">{[STAGE_WORDS[stage], euros(amount_eur), owner].filter(Boolean).join(' · ')}</span>
            </li>
          ))}
        </ul>
      </section>
    </>
  );
}
