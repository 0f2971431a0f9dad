import { randomUUID } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Database, openPg, openPglite } from '@holdfast/server';
import type { Hono } from 'hono';
import { expect } from 'vitest';
import { createApp } from '../../server/app.ts';
import { readPageFiles } from '../../server/page-files.ts';
import { prepareDatabase } from '../../server/prepare-database.ts';
import { type RealPostgres, startRealPostgres } from './real-postgres.ts';

/** The demo users: two of one workspace, and one of another. */
export const AMARA = '5d2f1c1e-6a54-4b0e-9a55-0f4a4f6b7a01';
export const MEI = '5d2f1c1e-6a54-4b0e-9a55-0f4a4f6b7a03';
export const JONAS = '5d2f1c1e-6a54-4b0e-9a55-0f4a4f6b7a02';

/** Answer of `GET /api/accounts`. */
export interface AccountsAnswer {
  readonly cursor: string;
  readonly isWhole: boolean;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly unknown[])[];
  readonly deletedIds: readonly string[];
}

/** The server's routes on a database of their own, without a network between. */
export interface Api {
  readonly app: Hono;
  readonly database: Database;
  readonly signIn: (userId: string) => Promise<string>;
  readonly readAccounts: (userId: string, since?: string) => Promise<AccountsAnswer>;
  /** Sends one mutation as a new client and gives the kind of its outcome. */
  readonly apply: (userId: string, operation: string, id: string, payload: object) => Promise<string>;
  readonly close: () => Promise<void>;
}

export async function openApi(engine: 'PGlite' | 'Postgres'): Promise<Api> {
  const postgres: RealPostgres | null = engine === 'Postgres' ? await startRealPostgres() : null;
  const database = postgres === null ? await openPglite() : openPg({ connectionString: postgres.databaseUrl });
  const { databaseId } = await prepareDatabase(database);
  const pageFiles = readPageFiles(join(tmpdir(), 'no-page'));
  const app = createApp({ database, databaseId, secret: Buffer.alloc(32, 7), pageFiles });

  const signIn = async (userId: string): Promise<string> => {
    const response = await app.request('/api/sign-in', { method: 'POST', body: JSON.stringify({ userId }) });
    return ((await response.json()) as { readonly token: string }).token;
  };
  const readAccounts = async (userId: string, since?: string): Promise<AccountsAnswer> => {
    const url = since === undefined ? '/api/accounts' : `/api/accounts?since=${encodeURIComponent(since)}`;
    const response = await app.request(url, { headers: { authorization: `Bearer ${await signIn(userId)}` } });
    expect(response.status).toBe(200);
    return (await response.json()) as AccountsAnswer;
  };
  const apply = async (userId: string, operation: string, id: string, payload: object): Promise<string> => {
    const workspaceId = userId === JONAS ? 'meridian-europe' : 'meridian-world';
    const response = await app.request('/v1/apply', {
      method: 'POST',
      headers: { authorization: `Bearer ${await signIn(userId)}`, 'content-type': 'application/json' },
      body: JSON.stringify({
        protocol: 1,
        client: { id: randomUUID(), workspaceId },
        acknowledgedFloor: 0,
        mutations: [
          {
            id: randomUUID(),
            seq: 1,
            after: null,
            generation: 0,
            type: `account.${operation}`,
            version: 1,
            operation,
            entity: { table: 'accounts', id },
            payload,
            createdAt: '2026-01-01T00:00:00.000Z',
          },
        ],
      }),
    });
    expect(response.status).toBe(200);
    const answer = (await response.json()) as { readonly outcomes: readonly { readonly kind: string }[] };
    return answer.outcomes[0]?.kind ?? 'nothing';
  };

  return {
    app,
    database,
    signIn,
    readAccounts,
    apply,
    close: async () => {
      await database.close();
      await postgres?.stop();
    },
  };
}
