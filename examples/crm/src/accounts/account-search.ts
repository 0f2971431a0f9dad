import { ACCOUNT_KINDS, type Account, type AccountKind } from './account.ts';
import { countryName } from './account-words.ts';

export type SortKey = 'name' | 'country' | 'kind' | 'runway' | 'updated';

export interface AccountQuery {
  readonly text: string;
  /** Two letters; null for all. */
  readonly countryCode: string | null;
  readonly kind: AccountKind | null;
  readonly sortKey: SortKey;
  readonly isDescending: boolean;
}

export const DEFAULT_QUERY: AccountQuery = {
  text: '',
  countryCode: null,
  kind: null,
  // the largest customers first
  sortKey: 'kind',
  isDescending: false,
};

interface Prepared {
  readonly haystack: string;
  readonly name: string;
  readonly country: string;
}

// an account that changes is another object, so what is prepared for one stays right
const prepared = new WeakMap<Account, Prepared>();

type Accounts = readonly Account[];

/** More that have changed than this are looked for and ordered anew. */
const PATCH_COUNT_MAX = 1_000;

/** Searches again whenever an account changes. Where that moves none, the order of before is kept, and nothing is sorted. */
export function createAccountSearch(): (accounts: Accounts, query: AccountQuery) => readonly Account[] {
  let last: { readonly accounts: Accounts; readonly query: AccountQuery; readonly found: readonly Account[] } | null =
    null;
  return (accounts, query) => {
    const changed = last === null || last.query !== query ? null : changesOf(last.accounts, accounts);
    const found =
      last !== null && changed !== null && isOrderKept(changed, query)
        ? last.found.map((before) => changed.get(before) ?? before)
        : searchAccounts(accounts, query);
    last = { accounts, query, found };
    return found;
  };
}

/** What has become of the accounts that are others now; null when it is not the same ones in the same order, or too many. */
function changesOf(before: Accounts, after: Accounts): ReadonlyMap<Account, Account> | null {
  if (before.length !== after.length) return null;
  const changed = new Map<Account, Account>();
  for (const [index, account] of after.entries()) {
    const old = before[index];
    if (old === account) continue;
    if (old?.id !== account.id || changed.size === PATCH_COUNT_MAX) return null;
    changed.set(old, account);
  }
  return changed;
}

/** Whether the same accounts are found, in the same order. */
function isOrderKept(changed: ReadonlyMap<Account, Account>, query: AccountQuery): boolean {
  const isFound = finderOf(query);
  return [...changed].every(
    ([a, b]) => isFound(a) === isFound(b) && COMPARE[query.sortKey](a, b) === 0 && a.name === b.name,
  );
}

function finderOf(query: AccountQuery): (account: Account) => boolean {
  const words = fold(query.text).split(/\s+/).filter(Boolean);
  return (account) => {
    if (query.countryCode !== null && account.country_code !== query.countryCode) return false;
    if (query.kind !== null && account.kind !== query.kind) return false;
    if (words.length === 0) return true;
    const { haystack } = prepare(account);
    return words.every((word) => haystack.includes(word));
  };
}

/** The accounts that hold every word of the text, in order. Fast enough for each key press over 20,000 of them. */
export function searchAccounts(accounts: readonly Account[], query: AccountQuery): readonly Account[] {
  const found = accounts.filter(finderOf(query));
  const compare = COMPARE[query.sortKey];
  const sign = query.isDescending ? -1 : 1;
  found.sort(
    (a, b) => sign * compare(a, b) || compareText(prepare(a).name, prepare(b).name) || compareText(a.id, b.id),
  );
  // someone who types a code means that airport
  const code = query.text.trim().toUpperCase();
  const exact = /^[A-Z0-9]{3,4}$/.test(code) ? found.filter(({ iata, icao }) => iata === code || icao === code) : [];
  return exact.length === 0 ? found : [...exact, ...found.filter((account) => !exact.includes(account))];
}

const COMPARE: Readonly<Record<SortKey, (a: Account, b: Account) => number>> = {
  name: (a, b) => compareText(prepare(a).name, prepare(b).name),
  country: (a, b) => compareText(prepare(a).country, prepare(b).country),
  kind: (a, b) => ACCOUNT_KINDS.indexOf(a.kind) - ACCOUNT_KINDS.indexOf(b.kind),
  runway: (a, b) => (a.runway_length_ft ?? -1) - (b.runway_length_ft ?? -1),
  // what the server has not seen yet is the newest
  updated: (a, b) => compareText(a.updated_at ?? '9', b.updated_at ?? '9'),
};

function prepare(account: Account): Prepared {
  let known = prepared.get(account);
  if (known === undefined) {
    const name = fold(account.name);
    const country = fold(countryName(account.country_code));
    const rest = fold([account.iata, account.icao, account.contact_name, account.notes?.slice(0, 1_000)].join(' '));
    known = { name, country, haystack: `${name} ${country} ${rest}` };
    prepared.set(account, known);
  }
  return known;
}

/** Lower case without accents, so that "malmo" finds Malmö. */
function fold(text: string): string {
  const lower = text.toLowerCase();
  // most names are plain, and taking accents apart is slow
  return /^[\x20-\x7e]*$/.test(lower) ? lower : lower.normalize('NFD').replace(/\p{Diacritic}/gu, '');
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
