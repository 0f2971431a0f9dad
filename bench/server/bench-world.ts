import { randomUUID } from 'node:crypto';
import { type CallerClaims, type Database, migrate, openPg, queryAsCaller, type Statement } from '@holdfast/server';
import { startRealPostgres } from '../../packages/server/src/testing-databases/real-postgres.ts';

/** A real Postgres that keeps what it commits (fsync and synchronous_commit on), with four tables of one shape. */
export interface BenchWorld {
  readonly database: Database;
  readonly connectionString: string;
  end(): Promise<void>;
}

/** These two are registered, the first of them with the audit log on; `plain_rows` and `unchecked_rows` know nothing of Holdfast. */
export type BenchTable = 'audited_rows' | 'unaudited_rows';

export const CLAIMS: CallerClaims = { sub: 'bench', role: 'authenticated', workspace_id: 'bench' };
export const BATCH_COUNT = 100;
const CONNECTION_COUNT = 10;

export async function openBenchWorld(): Promise<BenchWorld> {
  const server = await startRealPostgres({ isDurable: true });
  const connectionString = await server.createDatabase();
  const database = openPg({ connectionString, connectionCountMax: CONNECTION_COUNT });
  await migrate(database);
  await database.transaction((session) => session.runScript(TABLES));
  return {
    database,
    connectionString,
    async end() {
      await database.close();
      await server.stop();
    },
  };
}

const TABLES = `
  do $each$
  declare
      named text;
  begin
      foreach named in array array['plain_rows', 'unchecked_rows', 'audited_rows', 'unaudited_rows'] loop
          execute format('create table public.%I (id uuid primary key, workspace_id text not null, name text not null, '
              'email text, phone text, note text, amount integer not null default 0)', named);
          execute format('alter table public.%I enable row level security', named);
          execute format('create policy by_workspace on public.%I to authenticated '
              'using (workspace_id = (select holdfast.workspace())) '
              'with check (workspace_id = (select holdfast.workspace()))', named);
          execute format('grant select, insert, update, delete on public.%I to authenticated', named);
      end loop;
  end $each$;
  select holdfast.register_table('public.audited_rows', array['name', 'email', 'phone', 'note', 'amount']);
  select holdfast.register_table('public.unaudited_rows', array['name', 'email', 'phone', 'note', 'amount'],
      audit => false);
  create table public.unchecked_ledger (client_id uuid, seq bigint, mutation_id uuid not null, payload_hash bigint not null,
      verdict text not null, result json, settled_at timestamptz not null default now(), primary key (client_id, seq));
  create unique index on public.unchecked_ledger (mutation_id);
  create table public.unchecked_audit (id bigint generated always as identity, workspace_id text not null,
      occurred_at timestamptz not null default now(), actor text, entity_ids text[], new_values json[]);
  create index on public.unchecked_audit (workspace_id, id);
  grant insert on public.unchecked_ledger, public.unchecked_audit to authenticated;

  -- The batch that apply gets, written by one statement that looks at nothing: the rows, a ledger row each with what a repeat has to be
  -- told, one audit row for all of them, and the answer. No claims, no limits, no order, no repeats, no refusals, no handlers. It shows how
  -- much of the plain batch's speed is left to whoever writes a ledger and an audit log.
  create function public.write_unchecked(batch jsonb) returns text language plpgsql as $write$
  declare
      answer text;
  begin
      with sent as materialized (
          select id, seq, (entity ->> 'id')::uuid as row_id, payload, hashtextextended(payload::text, 0) as payload_hash
          from jsonb_to_recordset(batch -> 'mutations') as mutation (id uuid, seq bigint, entity jsonb, payload jsonb)
      ), written as (
          insert into public.unchecked_rows as fresh (id, workspace_id, name, email, phone, note, amount)
          select row_id, 'bench', name, email, phone, note, amount
          from sent, jsonb_to_record(payload) as row (name text, email text, phone text, note text, amount integer)
          on conflict (id) do nothing
          returning fresh.id, row_to_json(fresh) as result
      ), noted as (
          insert into public.unchecked_ledger (client_id, seq, mutation_id, payload_hash, verdict, result)
          select (batch #>> '{client,id}')::uuid, seq, sent.id, payload_hash, 'applied', result
          from sent join written on written.id = row_id
      ), audited as (
          insert into public.unchecked_audit (workspace_id, actor, entity_ids, new_values)
          select 'bench', 'bench', array_agg(written.id), array_agg(result) from written
      )
      select string_agg('{"id": "' || sent.id || '", "kind": "applied", "result": ' || result || '}', ', ')
      into answer
      from sent join written on written.id = row_id;
      return answer;
  end $write$;
`;

/** What a contact of an app might look like: about 250 bytes of JSON. */
export interface Contact {
  readonly name: string;
  readonly email: string;
  readonly phone: string;
  readonly note: string;
  readonly amount: number;
}

export function contactNumber(index: number): Contact {
  return {
    name: `Contact ${index}`,
    email: `contact.${index}@example.org`,
    phone: `+49 30 ${1_000_000 + (index % 1_000_000)}`,
    note: `Met at the fair in hall ${index % 12}; wants a quote for ${index % 40} units and a call back next week.`,
    amount: index % 5_000,
  };
}

type Row = Contact & { readonly id: string };

/** Ways to write a batch plainly in one statement, repeated harmlessly thanks to the unique key. Which is the best is measured. */
export const PLAIN_BATCHES: Readonly<Record<string, (rows: readonly Row[]) => Statement>> = {
  'from json': (rows) => ({
    sql: `insert into public.plain_rows (id, workspace_id, name, email, phone, note, amount)
     select id, 'bench', name, email, phone, note, amount
     from jsonb_to_recordset($1::jsonb)
         as row (id uuid, name text, email text, phone text, note text, amount integer)
     on conflict (id) do nothing`,
    parameters: [JSON.stringify(rows)],
  }),
  'from arrays': (rows) => ({
    sql: `insert into public.plain_rows (id, workspace_id, name, email, phone, note, amount)
     select id, 'bench', name, email, phone, note, amount
     from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::integer[])
         as row (id, name, email, phone, note, amount)
     on conflict (id) do nothing`,
    // an array is written as JSON writes it, but for its brackets, where the texts are as plain as these
    parameters: (['id', 'name', 'email', 'phone', 'note', 'amount'] as const).map(
      (column) => `{${rows.map((row) => JSON.stringify(row[column])).join()}}`,
    ),
  }),
  'from values': (rows) => ({
    sql: `insert into public.plain_rows (id, workspace_id, name, email, phone, note, amount) values ${rows
      .map(
        (_, index) =>
          `($${index * 6 + 1}, 'bench', ${[2, 3, 4, 5, 6].map((part) => `$${index * 6 + part}`).join(', ')})`,
      )
      .join(', ')} on conflict (id) do nothing`,
    parameters: rows.flatMap(({ id, name, email, phone, note, amount }) => [id, name, email, phone, note, amount]),
  }),
};

/** A batch whose text is made: writing it is what is timed, making it is the work of whoever sends it. */
export type ReadyBatch = () => Promise<void>;

export function preparePlainBatch(database: Database, kind: string, rows: readonly Row[]): ReadyBatch {
  const batch = PLAIN_BATCHES[kind];
  if (batch === undefined) throw new Error(`There is no plain batch "${kind}".`);
  const statement = batch(rows);
  return async () => {
    await queryAsCaller(database, CLAIMS, statement);
  };
}

/** One device that creates rows. */
export interface BenchDevice {
  prepare(rows: readonly Row[]): ReadyBatch;
}

/** Through `holdfast.apply`, exactly as the door calls it. */
export function createBenchDevice(database: Database, table: BenchTable, clientId: string = randomUUID()): BenchDevice {
  return createDevice(database, 'select holdfast.apply_as_text($1::jsonb) as answer', table, clientId);
}

/** With the same batches, and nothing checked. */
export function createUncheckedDevice(database: Database): BenchDevice {
  return createDevice(database, 'select public.write_unchecked($1::jsonb) as answer', 'unchecked_rows', randomUUID());
}

function createDevice(database: Database, sql: string, table: string, clientId: string): BenchDevice {
  let seq = 0;
  return {
    prepare(rows) {
      const floor = seq;
      const nowMs = Date.now();
      const mutations = rows.map(({ id, ...payload }) => ({
        id: idAt(nowMs),
        seq: (seq += 1),
        after: null,
        generation: 0,
        type: 'contact.create',
        version: 1,
        operation: 'create',
        entity: { table, id },
        payload,
      }));
      const text = JSON.stringify({
        protocol: 1,
        client: { id: clientId, workspaceId: 'bench' },
        acknowledgedFloor: floor,
        mutations,
      });
      return async () => {
        const [row] = await queryAsCaller<{ answer: string }>(database, CLAIMS, {
          sql,
          parameters: [text],
        });
        // a fast refusal must not pass for speed; the door passes the answer on as it is, so it is not read here either
        const answer = row?.answer ?? '';
        if (answer.split('"kind": "applied"').length !== rows.length + 1)
          throw new Error(`Not all of a batch were applied: ${answer.slice(0, 500)}`);
      };
    },
  };
}

/** An id in order by its time, as clients make them for their mutations. */
function idAt(wallMs: number): string {
  const time = wallMs.toString(16).padStart(12, '0');
  return `${time.slice(0, 8)}-${time.slice(8)}-7${randomUUID().slice(15)}`;
}

/** Rows with ids that nobody has used, numbered on from where the last call ended. */
export function createRowSource(): (count: number) => readonly Row[] {
  let index = 0;
  return (count) => Array.from({ length: count }, () => ({ id: randomUUID(), ...contactNumber((index += 1)) }));
}
