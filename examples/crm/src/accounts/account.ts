/** The kinds of account, in the words of the source. */
export const ACCOUNT_KINDS = [
  'large_airport',
  'medium_airport',
  'small_airport',
  'seaplane_base',
  'heliport',
  'closed',
] as const;
export type AccountKind = (typeof ACCOUNT_KINDS)[number];

export const CONTINENTS = ['AF', 'AN', 'AS', 'EU', 'NA', 'OC', 'SA'] as const;
export type Continent = (typeof CONTINENTS)[number];

/** What a person may change. Null means that nobody has said. */
export interface AccountFields {
  readonly name: string;
  readonly iata: string | null;
  readonly icao: string | null;
  readonly kind: AccountKind;
  readonly country_code: string;
  readonly continent: Continent;
  readonly time_zone: string | null;
  readonly latitude: number | null;
  readonly longitude: number | null;
  readonly elevation_ft: number | null;
  readonly scheduled_service: boolean;
  readonly website: string | null;
  readonly wikipedia: string | null;
  readonly runway_length_ft: number | null;
  readonly contact_name: string | null;
  readonly contact_phone: string | null;
  readonly notes: string | null;
  /** Who looks after it, by name. */
  readonly owner: string | null;
}

/** An account as this device knows it. */
export interface Account extends AccountFields {
  readonly id: string;
  /** When the server last changed it (ISO 8601); null for one the server has not seen yet. */
  readonly updated_at: string | null;
  /** How often it was changed, counted by the server; null for one the server has not seen yet. */
  readonly version: number | null;
}

/** The order of the values in a row of `GET /api/accounts`. */
export const ACCOUNT_COLUMNS = [
  'id',
  'name',
  'iata',
  'icao',
  'kind',
  'country_code',
  'continent',
  'time_zone',
  'latitude',
  'longitude',
  'elevation_ft',
  'scheduled_service',
  'website',
  'wikipedia',
  'runway_length_ft',
  'contact_name',
  'contact_phone',
  'notes',
  'updated_at',
  'owner',
  'version',
] as const satisfies readonly (keyof Account)[];
