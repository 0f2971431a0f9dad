import { type Database, migrate, openPg, openPglite } from '@holdfast/server';
import { startRealPostgres } from '../../../packages/server/src/testing-databases/real-postgres.ts';

/** What the server model has in memory, as a table: every change appends its tag, and its mood, which is not kept, may be refused for now. */
const APP_TABLES = `
  create table public.sim_items (
      id           uuid    primary key,
      workspace_id text    not null,
      tag          text,
      level        integer constraint sim_items_level_not_negative check (level >= 0),
      mood         text,
      alpha        text,
      beta         text,
      gamma        text,
      version      integer not null default 0,
      entries      text[]  not null default '{}'
  );
  create table public.sim_failing_moods (mood text primary key);
  create function public.sim_append() returns trigger
  language plpgsql security definer set search_path = '' as $$
  begin
      if exists (select from public.sim_failing_moods as failing where failing.mood = new.mood) then
          raise exception using errcode = '40001', message = 'not in the mood';
      end if;
      new.entries := new.entries || new.tag;
      new.tag := null;
      new.mood := null;
      return new;
  end $$;
  create trigger sim_append before insert or update on public.sim_items
      for each row execute function public.sim_append();
  alter table public.sim_items enable row level security;
  create policy by_workspace on public.sim_items to authenticated
      using (workspace_id = (select holdfast.workspace())) with check (workspace_id = (select holdfast.workspace()));
  grant select, insert, update, delete on public.sim_items to authenticated;
  select holdfast.register_table('public.sim_items', array['tag', 'level', 'mood', 'alpha', 'beta', 'gamma'],
      version_column => 'version');
`;

export interface TapeDatabase {
  readonly database: Database;
  close(): Promise<void>;
}

export async function openTapePglite(): Promise<TapeDatabase> {
  const database = await openPglite();
  await prepare(database);
  return { database, close: () => database.close() };
}

export async function openTapePostgres(): Promise<TapeDatabase> {
  const server = await startRealPostgres();
  const database = openPg({ connectionString: await server.createDatabase() });
  await prepare(database);
  return {
    database,
    async close() {
      await database.close();
      await server.stop();
    },
  };
}

/** A database that can be put back to an earlier state, as by a restore. */
export interface RewindableDatabase {
  /** The one that is in use now. */
  readonly database: Database;
  /** Keeps a copy of it as it is. */
  keep(): Promise<void>;
  /** From now on that copy is in use. */
  putBack(): Promise<void>;
  close(): Promise<void>;
}

export async function openRewindablePostgres(): Promise<RewindableDatabase> {
  const server = await startRealPostgres();
  const open = (name: string): Database => openPg({ connectionString: server.urlOf(name) });
  const operator = open('postgres');
  await operator.query('create database app');
  let database = open('app');
  await prepare(database);
  return {
    get database() {
      return database;
    },
    async keep() {
      // Of a database that is in use no copy is made.
      await database.close();
      await operator.query('create database kept template app');
      database = open('app');
    },
    async putBack() {
      await database.close();
      database = open('kept');
    },
    async close() {
      await database.close();
      await operator.close();
      await server.stop();
    },
  };
}

/** Holdfast and the tables of the tapes, in an empty database. */
export async function prepare(database: Database): Promise<void> {
  await migrate(database);
  await database.transaction((session) => session.runScript(APP_TABLES));
}
