import type { Account, AccountFields, AccountKind, Continent } from './account.ts';

export const KIND_WORDS: Readonly<Record<AccountKind, string>> = {
  large_airport: 'Large airport',
  medium_airport: 'Medium airport',
  small_airport: 'Small airport',
  seaplane_base: 'Seaplane base',
  heliport: 'Heliport',
  closed: 'Closed',
};

export const CONTINENT_WORDS: Readonly<Record<Continent, string>> = {
  AF: 'Africa',
  AN: 'Antarctica',
  AS: 'Asia',
  EU: 'Europe',
  NA: 'North America',
  OC: 'Oceania',
  SA: 'South America',
};

export const FIELD_WORDS: Readonly<Record<keyof AccountFields, string>> = {
  name: 'Name',
  iata: 'IATA code',
  icao: 'ICAO code',
  kind: 'Type',
  country_code: 'Country',
  continent: 'Continent',
  time_zone: 'Time zone',
  latitude: 'Latitude',
  longitude: 'Longitude',
  elevation_ft: 'Elevation',
  scheduled_service: 'Scheduled service',
  website: 'Website',
  wikipedia: 'Wikipedia',
  runway_length_ft: 'Longest runway',
  contact_name: 'Contact',
  contact_phone: 'Phone',
  notes: 'Notes',
  owner: 'Owner',
};

const regionNames = new Intl.DisplayNames('en', { type: 'region', fallback: 'code' });
const countryNames = new Map<string, string>();

/** English name of a country by its two letters; the letters themselves where there is none. */
export function countryName(code: string): string {
  let name = countryNames.get(code);
  if (name === undefined) {
    try {
      name = regionNames.of(code) ?? code;
    } catch {
      name = code;
    }
    countryNames.set(code, name);
  }
  return name;
}

/** `FRA · EDDF`, or whichever of the two there is. */
export function codesOf(account: Pick<Account, 'iata' | 'icao'>): string {
  return [account.iata, account.icao].filter((code) => code !== null && code !== '').join(' · ');
}

const feetFormat = new Intl.NumberFormat('en');

export function feet(value: number | null): string {
  return value === null ? '–' : `${feetFormat.format(value)} ft`;
}

/** The value of a field as a person reads it. */
export function fieldText(field: string, value: unknown): string {
  if (value === null || value === undefined || value === '') return '–';
  if (typeof value === 'boolean') return value ? 'Yes' : 'No';
  if (field === 'kind' && typeof value === 'string') return KIND_WORDS[value as AccountKind] ?? value;
  if (field === 'continent' && typeof value === 'string') return CONTINENT_WORDS[value as Continent] ?? value;
  if (field === 'country_code' && typeof value === 'string') return countryName(value);
  if ((field === 'elevation_ft' || field === 'runway_length_ft') && typeof value === 'number') return feet(value);
  return typeof value === 'string' || typeof value === 'number' ? String(value) : JSON.stringify(value);
}
