import * as v from 'valibot';
import { ACCOUNT_KINDS, CONTINENTS } from './account.ts';

const optionalText = v.nullable(v.string());
const wholeNumber = v.pipe(v.number(), v.integer('Enter a whole number.'));
const address = v.pipe(
  v.string(),
  v.regex(/^https?:\/\/\S+$/, 'Enter a web address that begins with http:// or https://.'),
);

/** What may be said about an account. The database has the same rules; here they speak before anything is stored. */
export const accountFieldsSchema = v.object({
  name: v.pipe(
    v.string(),
    v.trim(),
    v.minLength(1, 'Enter a name.'),
    v.maxLength(200, 'Enter a name of at most 200 characters.'),
  ),
  iata: v.nullable(v.pipe(v.string(), v.regex(/^[A-Z0-9]{3}$/, 'An IATA code has three letters or digits.'))),
  icao: v.nullable(v.pipe(v.string(), v.regex(/^.{2,8}$/, 'An ICAO or local code has two to eight characters.'))),
  kind: v.picklist(ACCOUNT_KINDS, 'Choose a type.'),
  country_code: v.pipe(v.string(), v.regex(/^[A-Z]{2}$/, 'Choose a country.')),
  continent: v.picklist(CONTINENTS, 'Choose a continent.'),
  time_zone: optionalText,
  latitude: v.nullable(
    v.pipe(v.number(), v.minValue(-90, 'Latitude is from -90 to 90.'), v.maxValue(90, 'Latitude is from -90 to 90.')),
  ),
  longitude: v.nullable(
    v.pipe(
      v.number(),
      v.minValue(-180, 'Longitude is from -180 to 180.'),
      v.maxValue(180, 'Longitude is from -180 to 180.'),
    ),
  ),
  elevation_ft: v.nullable(wholeNumber),
  scheduled_service: v.boolean(),
  website: v.nullable(address),
  wikipedia: v.nullable(address),
  runway_length_ft: v.nullable(v.pipe(wholeNumber, v.minValue(0, 'A runway is not shorter than 0 ft.'))),
  contact_name: optionalText,
  contact_phone: optionalText,
  notes: optionalText,
  owner: optionalText,
});

const id = v.pipe(v.string(), v.uuid());

export const createAccountSchema = v.object({ id, ...accountFieldsSchema.entries });
/** Only what changes is sent, so that two people who edit different fields do not undo each other. */
export const updateAccountSchema = v.object({ id, ...v.partial(accountFieldsSchema).entries });
export const deleteAccountSchema = v.object({ id });
