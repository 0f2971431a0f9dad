import { expect, test } from 'vitest';
import type { Account } from './account.ts';
import { joinPieces } from './account-cache.ts';
import type { AccountChanges, CrmState } from './crm-state.ts';

const account = (id: string, notes: string): Account => ({ id, notes }) as unknown as Account;
const NOTHING = { rows: [], deletedIds: [] };
const WHOLE: CrmState = {
  accounts: { a: account('a', '1'), b: account('b', '1') },
  contacts: {},
  deals: {},
  cursor: 'db.10',
};
const piece = (
  from: number,
  to: number,
  accounts: Partial<AccountChanges['accounts']>,
): { from: string; changes: AccountChanges } => ({
  from: `db.${from}`,
  changes: {
    cursor: `db.${to}`,
    isWhole: false,
    accounts: { ...NOTHING, ...accounts },
    contacts: NOTHING,
    deals: NOTHING,
  },
});

test('pieces are joined in the order of what they say, not of when they were written', () => {
  const late = piece(10, 30, { rows: [account('a', '3')] });
  const early = piece(10, 20, { rows: [account('a', '2')], deletedIds: ['b'] });

  const state = joinPieces(WHOLE, [late, early]);

  expect(state).toEqual({ ...WHOLE, accounts: { a: account('a', '3') }, cursor: 'db.30' });
});

test('a piece that would leave a gap is left out, and asked for again', () => {
  const afterGap = piece(25, 30, { rows: [account('a', '3')] });
  const joined = piece(10, 20, { rows: [account('a', '2')] });
  expect(joinPieces(WHOLE, [afterGap, joined])).toEqual({
    ...WHOLE,
    accounts: { a: account('a', '2'), b: account('b', '1') },
    cursor: 'db.20',
  });
});

test('pieces of another database are left out', () => {
  const foreign = {
    from: 'other.10',
    changes: { ...piece(10, 20, { deletedIds: ['a'] }).changes, cursor: 'other.20' },
  };
  expect(joinPieces(WHOLE, [foreign])).toEqual(WHOLE);
});
