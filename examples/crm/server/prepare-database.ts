import { readFile } from 'node:fs/promises';
import { type Database, migrate } from '@holdfast/server';
import airportData from 'airport-data-js';
import { DEMO_USERS } from '../src/session/demo-users.ts';

const MIGRATIONS = new URL('../sql/', import.meta.url);
const STATEMENTS = new URL('../sql/statements/', import.meta.url);
const EUROPE_WORKSPACE_ID = 'meridian-europe';

const TABLES = ['public.accounts', 'public.contacts', 'public.deals'];
const opened = (table: string): string =>
  `select holdfast.disable_audit('${table}'); alter table ${table} no force row level security;`;
const closed = (table: string): string =>
  `alter table ${table} force row level security; select holdfast.enable_audit('${table}');`;

export interface PreparedDatabase {
  /** Differs for every database that was ever filled. */
  readonly databaseId: string;
  /** Accounts made by this call; 0 when they were there already. */
  readonly seededCount: number;
}

/** Brings Holdfast's and the app's tables up to date and fills the accounts the first time. Safe for two servers at once. */
export async function prepareDatabase(database: Database): Promise<PreparedDatabase> {
  await migrate(database);
  await migrate(database, { set: 'crm', folder: MIGRATIONS });
  return await seedOnce(database);
}

async function seedOnce(database: Database): Promise<PreparedDatabase> {
  return await database.transaction(async (session) => {
    // others wait here and then find it done
    await session.runScript('lock table public.crm_seed in share row exclusive mode');
    const [seed] = await session.query<{ database_id: string }>('select database_id from public.crm_seed');
    if (seed !== undefined) return { databaseId: seed.database_id, seededCount: 0 };

    // what the source brings is where history begins: it is not a change someone made
    await session.runScript(TABLES.map(opened).join(''));
    const airports = JSON.stringify(await airportData.findAirports({}));
    const statement = await readFile(new URL('seed-accounts.sql', STATEMENTS), 'utf8');
    const peopleAndDeals = await readFile(new URL('seed-people-and-deals.sql', STATEMENTS), 'utf8');
    for (const workspaceId of new Set(DEMO_USERS.map((user) => user.workspaceId))) {
      await session.query(statement, [airports, workspaceId, workspaceId === EUROPE_WORKSPACE_ID ? 'EU' : null]);
      await session.query(peopleAndDeals, [workspaceId]);
    }
    await session.runScript(TABLES.map(closed).join(''));
    const [made] = await session.query<{ database_id: string; account_count: number }>(
      'insert into public.crm_seed (account_count) select count(*) from public.accounts returning database_id, account_count',
    );
    if (made === undefined) throw new Error('The seed was not recorded.');
    return { databaseId: made.database_id, seededCount: made.account_count };
  });
}
