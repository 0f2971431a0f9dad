/** How far a deal is, in order. */
export const STAGES = ['lead', 'offer', 'negotiation', 'won', 'lost'] as const;
export type Stage = (typeof STAGES)[number];

export const STAGE_WORDS: Readonly<Record<Stage, string>> = {
  lead: 'Lead',
  offer: 'Offer',
  negotiation: 'Negotiation',
  won: 'Won',
  lost: 'Lost',
};

/** What a person may say about a deal. */
export interface DealFields {
  readonly account_id: string;
  readonly title: string;
  readonly stage: Stage;
  /** Whole euros; 0 while nobody has said. */
  readonly amount_eur: number;
  /** Who looks after it, by name. */
  readonly owner: string | null;
}

/** Something that is being sold to an account. */
export interface Deal extends DealFields {
  readonly id: string;
  /** Null for one the server has not seen yet. */
  readonly updated_at: string | null;
  readonly version: number | null;
}

/** The order of the values in a row of the list. */
export const DEAL_COLUMNS = [
  'id',
  'account_id',
  'title',
  'stage',
  'amount_eur',
  'owner',
  'updated_at',
  'version',
] as const satisfies readonly (keyof Deal)[];

export const DEAL_WORDS: Readonly<Record<keyof DealFields, string>> = {
  account_id: 'Account',
  title: 'What',
  stage: 'Stage',
  amount_eur: 'Amount',
  owner: 'Owner',
};

const euroFormat = new Intl.NumberFormat('en', { style: 'currency', currency: 'EUR', maximumFractionDigits: 0 });

export function euros(amount: number): string {
  return amount === 0 ? 'No amount' : euroFormat.format(amount);
}
