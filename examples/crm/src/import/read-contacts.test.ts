import { expect, test } from 'vitest';
import type { Account } from '../accounts/account.ts';
import type { Contact } from '../contacts/contact.ts';
import { guessMapping, readContacts } from './read-contacts.ts';
import { readCsv } from './read-csv.ts';

const account = (id: string, name: string, iata: string | null): Account =>
  ({ id, name, iata, icao: null }) as Partial<Account> as Account;
const OSLO = 'b0e42fe7-31a5-4894-a441-007e5256afea';
const ACCOUNTS = [account(OSLO, 'Oslo Airport', 'OSL'), account('1', 'Field', null), account('2', 'Field', null)];
const KNOWN = { accounts: ACCOUNTS, contacts: [{ email: 'old@x.no' } as Partial<Contact> as Contact] };

function read(text: string | Uint8Array) {
  const { columns, rows } = readCsv(typeof text === 'string' ? new TextEncoder().encode(text) : text);
  return readContacts(rows, guessMapping(columns), KNOWN);
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
    '\nname,account,email\nAnn,OSL,a@x.no\n,OSL,b\n\n , ,\nBo,XXX,A@x.no\nCy,Field,old@x.no\nDi,OSL,d@x.no,more\n',
  );
  expect(contacts.map(({ name }) => name)).toEqual(['Ann']);
  expect(problems).toEqual([
    { rowNumber: 4, field: 'name', message: 'Enter a name.' },
    { rowNumber: 4, field: 'email', message: 'Enter an e-mail address, such as ana@example.org.' },
    { rowNumber: 7, field: 'account', message: 'There is no account "XXX".' },
    { rowNumber: 7, field: 'email', message: 'A contact with A@x.no is there already.' },
    {
      rowNumber: 8,
      field: 'account',
      message: 'More than one account is called "Field". Give the code of the one that is meant.',
    },
    { rowNumber: 8, field: 'email', message: 'A contact with old@x.no is there already.' },
    { rowNumber: 9, field: null, message: 'It has 4 cells, and the head has 3. Is a quotation mark missing?' },
  ]);
});

test('E4 · letters are read as the file has them: Unicode with and without a mark, and what Windows writes', () => {
  const text = 'name,account\nJosé Müller,OSL\n';
  const utf16 = new Uint8Array(Buffer.from(`\ufeff${text}`, 'utf16le'));
  const windows = new Uint8Array(Buffer.from(text, 'latin1'));
  for (const bytes of [new TextEncoder().encode(`\ufeff${text}`), utf16, windows])
    expect(read(bytes).contacts.map(({ name }) => name)).toEqual(['José Müller']);
  expect(readCsv(windows).isGuessed).toBe(true);
  expect(readCsv(utf16).isGuessed).toBe(false);
});

test('E4 · two columns of one name are two columns, and the first of them is the one that is meant', () => {
  const { columns, rows } = readCsv(new TextEncoder().encode('name,name,account,,\nAnn,Other,OSL,x,y\n'));
  expect(columns).toEqual(['name', 'name (2)', 'account', 'Column 4', 'Column 5']);
  expect(rows[0]?.cells).toMatchObject({ name: 'Ann', 'name (2)': 'Other' });
  expect(read('name,name,account\nAnn,Other,OSL\n').contacts.map(({ name }) => name)).toEqual(['Ann']);
});
