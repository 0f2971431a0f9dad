import { expect, test } from 'vitest';
import type { Account } from './account.ts';
import { createAccountSearch, DEFAULT_QUERY, searchAccounts } from './account-search.ts';

const account = (name: string, over: Partial<Account> = {}): Account => ({
  id: name,
  name,
  iata: null,
  icao: null,
  kind: 'small_airport',
  country_code: 'SE',
  continent: 'EU',
  time_zone: null,
  latitude: null,
  longitude: null,
  elevation_ft: null,
  scheduled_service: false,
  website: null,
  wikipedia: null,
  runway_length_ft: null,
  contact_name: null,
  contact_phone: null,
  notes: null,
  updated_at: null,
  owner: null,
  version: null,
  ...over,
});

const ACCOUNTS = [
  account('Malmö Airport', { iata: 'MMX', icao: 'ESMS', kind: 'medium_airport', runway_length_ft: 9_186 }),
  account('Älmhult', { icao: 'ESMU' }),
  account('Frankfurt Airport', {
    iata: 'FRA',
    icao: 'EDDF',
    kind: 'large_airport',
    country_code: 'DE',
    runway_length_ft: 13_123,
  }),
  account('Fraser Island', { country_code: 'AU', contact_name: 'Greta Malm' }),
];
const namesOf = (query: Partial<typeof DEFAULT_QUERY>): readonly string[] =>
  searchAccounts(ACCOUNTS, { ...DEFAULT_QUERY, ...query }).map(({ name }) => name);

test('accents and capitals do not matter, words may stand anywhere', () => {
  expect(namesOf({ text: 'malmo' })).toEqual(['Malmö Airport']);
  expect(namesOf({ text: 'GERMANY fra' })).toEqual(['Frankfurt Airport']);
  expect(namesOf({ text: 'greta' })).toEqual(['Fraser Island']);
  expect(namesOf({ text: 'no such thing' })).toEqual([]);
});

test('a code finds its airport first', () => {
  expect(namesOf({ text: 'fra', sortKey: 'name', isDescending: true })).toEqual(['Frankfurt Airport', 'Fraser Island']);
});

test('country and type narrow the list', () => {
  expect(namesOf({ countryCode: 'SE', kind: 'small_airport' })).toEqual(['Älmhult']);
});

test('each order has its opposite, and equals are ordered by name', () => {
  expect(namesOf({ sortKey: 'runway', isDescending: true })).toEqual([
    'Frankfurt Airport',
    'Malmö Airport',
    'Älmhult',
    'Fraser Island',
  ]);
  expect(namesOf({ sortKey: 'name' })).toEqual(['Älmhult', 'Frankfurt Airport', 'Fraser Island', 'Malmö Airport']);
  expect(namesOf({})).toEqual(['Frankfurt Airport', 'Malmö Airport', 'Älmhult', 'Fraser Island']);
});

test('searching again gives what searching anew gives, whatever has changed', () => {
  const before = Object.fromEntries(ACCOUNTS.map((each) => [each.id, each]));
  const withChange = (id: string, change: Partial<Account>): Record<string, Account> => ({
    ...before,
    [id]: { ...account(id), ...before[id], ...change },
  });
  const changes = [
    before,
    withChange('Älmhult', { owner: 'Mei Tanaka' }),
    withChange('Älmhult', { name: 'Zoo', kind: 'large_airport' }),
    withChange('Fraser Island', { notes: 'malm' }),
    withChange('New', {}),
    Object.fromEntries(Object.entries(before).slice(1)),
  ];
  for (const query of [DEFAULT_QUERY, { ...DEFAULT_QUERY, text: 'malm', sortKey: 'updated' as const }])
    for (const first of changes)
      for (const second of changes) {
        const search = createAccountSearch();
        search(Object.values(first), query);
        expect(search(Object.values(second), query)).toEqual(searchAccounts(Object.values(second), query));
      }
});
