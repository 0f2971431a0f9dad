import Papa from 'papaparse';
import { expect, test } from 'vitest';
import type { Account } from '../accounts/account.ts';
import type { Contact } from '../contacts/contact.ts';
import { guessMapping, readContacts } from './read-contacts.ts';

const account = (id: string, name: string, iata: string | null): Account =>
  ({ id, name, iata, icao: null }) as Partial<Account> as Account;
const OSLO = 'b0e42fe7-31a5-4894-a441-007e5256afea';
const ACCOUNTS = [account(OSLO, 'Oslo Airport', 'OSL'), account('1', 'Field', null), account('2', 'Field', null)];
const KNOWN = { accounts: ACCOUNTS, contacts: [{ email: 'old@x.no' } as Partial<Contact> as Contact] };

function read(text: string) {
  const parsed = Papa.parse<Record<string, string>>(text, { header: true, skipEmptyLines: 'greedy' });
  return readContacts(parsed, guessMapping(parsed.meta.fields ?? []), KNOWN);
}

test('E4 · a CSV is read by the names of its columns, with quotes, line breaks and other separators', () => {
  expect(read('Full Name;IATA;E-Mail\n"Ann; the ""first""\nof them";osl;a@x.no\n\nBo;Oslo Airport;\n')).toEqual({
    contacts: [
      { account_id: OSLO, name: 'Ann; the "first"\nof them', role: null, email: 'a@x.no', phone: null },
      { account_id: OSLO, name: 'Bo', role: null, email: null, phone: null },
    ],
    problems: [],
  });
});

test('E4 · what is wrong is told by row and field; those rows are left out whole, and the others are taken', () => {
  const { contacts, problems } = read(
    'name,account,email\nAnn,OSL,a@x.no\n,OSL,b\nBo,XXX,A@x.no\nCy,Field,old@x.no\nDi,OSL,d@x.no,more\n',
  );
  expect(contacts.map(({ name }) => name)).toEqual(['Ann']);
  expect(problems).toEqual([
    { rowNumber: 3, field: 'name', message: 'Enter a name.' },
    { rowNumber: 3, field: 'email', message: 'Enter an e-mail address, such as ana@example.org.' },
    { rowNumber: 4, field: 'account', message: 'There is no account "XXX".' },
    { rowNumber: 4, field: 'email', message: 'A contact with A@x.no is there already.' },
    { rowNumber: 5, field: 'account', message: 'There is no account "Field".' },
    { rowNumber: 5, field: 'email', message: 'A contact with old@x.no is there already.' },
    { rowNumber: 6, field: null, message: 'Too many fields: expected 3 fields but parsed 4' },
  ]);
});
