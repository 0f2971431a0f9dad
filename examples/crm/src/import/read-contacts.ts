import * as v from 'valibot';
import type { Account } from '../accounts/account.ts';
import type { Contact, ContactFields } from '../contacts/contact.ts';
import { contactFieldsSchema } from '../contacts/contact-mutations.ts';
import type { CsvRow } from './read-csv.ts';

/** What a column of the file may be. */
export const IMPORT_FIELDS = ['name', 'account', 'role', 'email', 'phone'] as const;
export type ImportField = (typeof IMPORT_FIELDS)[number];

export const IMPORT_WORDS: Readonly<Record<ImportField, string>> = {
  name: 'Name',
  account: 'Account (code or name)',
  role: 'Role',
  email: 'E-mail',
  phone: 'Phone',
};

/** Which column each field is read from; null for none. */
export type Mapping = Readonly<Record<ImportField, string | null>>;

const GUESSES: Readonly<Record<ImportField, RegExp>> = {
  name: /^(full[ _-]?)?name$|^contact$/i,
  account: /^(account|airport|company|iata|icao|code)([ _-]?(code|name))?$/i,
  role: /^(role|title|job|position|department)/i,
  email: /^e-?mail/i,
  phone: /^(tele)?phone|^tel\b|^mobile/i,
};

/** What the columns seem to be, by their names. */
export function guessMapping(columns: readonly string[]): Mapping {
  const pairs = IMPORT_FIELDS.map((field) => [
    field,
    columns.find((column) => GUESSES[field].test(column.trim())) ?? null,
  ]);
  return Object.fromEntries(pairs) as Mapping;
}

/** What is wrong with a row; counted as a spreadsheet counts. */
export interface RowProblem {
  readonly rowNumber: number;
  readonly field: ImportField | null;
  readonly message: string;
}

export interface ContactsToImport {
  readonly contacts: readonly ContactFields[];
  readonly problems: readonly RowProblem[];
}

interface Known {
  readonly accounts: readonly Account[];
  readonly contacts: readonly Contact[];
}

/** The contacts of a file, and what is wrong with the rows that are none. A row is taken whole or not at all. */
export function readContacts(rows: readonly CsvRow[], mapping: Mapping, known: Known): ContactsToImport {
  const { ids: accountIds, doubled } = accountsByName(known.accounts);
  const emails = new Set(known.contacts.flatMap(({ email }) => email?.toLowerCase() ?? []));
  const contacts: ContactFields[] = [];
  const problems: RowProblem[] = [];

  for (const { rowNumber, cells, problem: broken } of rows) {
    const problem = (field: ImportField | null, message: string): number =>
      problems.push({ rowNumber, field, message });
    if (broken !== null) {
      problem(null, broken);
      continue;
    }
    const text = (field: ImportField): string => (cells[mapping[field] ?? ''] ?? '').trim();
    const orNull = (field: ImportField): string | null => text(field) || null;
    const accountId = accountIds.get(text('account').toLowerCase());
    const email = orNull('email');
    const fields = { name: text('name'), role: orNull('role'), email, phone: orNull('phone') };
    const before = problems.length;
    const checked = v.safeParse(v.omit(contactFieldsSchema, ['account_id']), fields);
    if (!checked.success)
      for (const { path, message } of checked.issues) problem((path?.[0]?.key ?? null) as ImportField | null, message);
    if (accountId === undefined) problem('account', whyNone(text('account'), doubled));
    if (email !== null && emails.has(email.toLowerCase()))
      problem('email', `A contact with ${email} is there already.`);
    if (problems.length > before || accountId === undefined || !checked.success) continue;
    if (email !== null) emails.add(email.toLowerCase());
    contacts.push({ account_id: accountId, ...checked.output });
  }
  return { contacts, problems };
}

function whyNone(name: string, doubled: ReadonlySet<string>): string {
  if (name === '') return 'Name an account.';
  if (doubled.has(name.toLowerCase()))
    return `More than one account is called "${name}". Give the code of the one that is meant.`;
  return `There is no account "${name}".`;
}

/** By code and by name, in lower case. A name that two accounts have means neither. */
function accountsByName(accounts: readonly Account[]): {
  readonly ids: ReadonlyMap<string, string>;
  readonly doubled: ReadonlySet<string>;
} {
  const ids = new Map<string, string>();
  const doubled = new Set<string>();
  for (const { id, name } of accounts) {
    const key = name.toLowerCase();
    if (ids.has(key)) doubled.add(key);
    ids.set(key, id);
  }
  for (const key of doubled) ids.delete(key);
  for (const { id, iata, icao } of accounts)
    for (const code of [icao, iata]) if (code !== null) ids.set(code.toLowerCase(), id);
  return { ids, doubled };
}
