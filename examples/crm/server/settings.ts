import { resolve } from 'node:path';

/** Everything the environment decides. */
export interface Settings {
  readonly port: number;
  /** Address to listen on; localhost only unless said otherwise, because anyone may sign in as a demo user. */
  readonly host: string;
  /** Folder for the embedded database and the development secret. */
  readonly dataFolder: string;
  /** A Postgres to use instead of the embedded one; null for the embedded one. */
  readonly databaseUrl: string | null;
}

/** Reads `PORT`, `HOST`, `HOLDFAST_DATA` and `DATABASE_URL`. Throws one sentence when one of them makes no sense. */
export function readSettings(env: Readonly<Record<string, string | undefined>>): Settings {
  const port = Number(env.PORT ?? '3000');
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    throw new Error(`PORT is "${env.PORT}": set it to a number from 0 to 65535.`);
  }
  return {
    port,
    host: env.HOST ?? 'localhost',
    dataFolder: resolve(env.HOLDFAST_DATA ?? '.data'),
    databaseUrl: env.DATABASE_URL === undefined || env.DATABASE_URL === '' ? null : env.DATABASE_URL,
  };
}
