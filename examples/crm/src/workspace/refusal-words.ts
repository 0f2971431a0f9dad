import { describeRefusal, type WireError } from 'holdfast';

/** What the rules of the database are called there, and what they say; a form refuses most of it before. */
const RULES: Readonly<Record<string, string>> = {
  accounts_closed_have_no_owner: 'A closed airport has no owner.',
  accounts_owner_length: 'The name of an owner has 1 to 100 characters.',
  contacts_email_shape: 'This is not an e-mail address.',
  deals_amount_range: 'An amount is from 0 to 1,000,000,000 €.',
  deals_won_have_an_amount: 'A deal that is won has an amount.',
};

/** Why a change was not accepted, in a sentence. */
export function refusalText(error: Pick<WireError, 'code' | 'message' | 'hint'>): string {
  const rule = / constraint "(\w+)"/.exec(error.message)?.[1] ?? '';
  return RULES[rule] ?? describeRefusal(error);
}
