import { z } from 'zod';

/** From here on Postgres knows years; before it are those that end in "BC". */
const FIRST_MS = Date.parse('0001-01-01T00:00:00Z');

/** A point in time as callers name it: a date (its beginning, in UTC) or a time with its zone, ISO 8601. */
export const momentSchema: z.ZodType<string> = z
  .union([z.iso.date(), z.iso.datetime({ offset: true })], {
    error: 'must be a date, or a time with its zone, in ISO 8601',
  })
  .refine((text) => Date.parse(text) >= FIRST_MS, 'must be of our era');

/** The same for Postgres, which would take a date for its beginning where the database is, and knows no zone beyond 16 hours. */
export function utcOf(moment: string): string {
  return new Date(moment).toISOString();
}
