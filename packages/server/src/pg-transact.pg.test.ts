import { connect, createServer, type Server, type Socket } from 'node:net';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { queryAsCaller } from './caller.ts';
import { type Database, DatabaseUnavailableError, sqlStateOf } from './database.ts';
import { migrate } from './migrate.ts';
import { openPg } from './pg-database.ts';
import { type RealPostgres, startRealPostgres } from './testing-databases/real-postgres.ts';

let server: RealPostgres;
let line: CountedLine;
let database: Database;

beforeAll(async () => {
  server = await startRealPostgres();
  line = await openCountedLine(new URL(await server.createDatabase()));
  database = openPg({ connectionString: line.connectionString, connectionCountMax: 1 });
  await migrate(database);
  await database.query('create table public.notes (id integer primary key, text text)');
  await database.query(
    'create table public.parts (note integer references public.notes deferrable initially deferred)',
  );
});

afterAll(async () => {
  await database.close();
  line.close();
  await server.stop();
});

beforeEach(() => database.query('truncate public.notes, public.parts'));

test('P10 · a transaction whose statements are known goes to Postgres in one message, with its beginning and its commit', async () => {
  const turnsBefore = line.turns();
  const rows = await database.transact<{ id: number; text: string | null }>([
    { sql: 'insert into public.notes values ($1, $2)', parameters: [1, 'one'] },
    { sql: 'insert into public.notes values ($1, $2)', parameters: [2, null] },
    { sql: 'select id, text from public.notes order by id' },
  ]);

  expect(rows).toEqual([
    { id: 1, text: 'one' },
    { id: 2, text: null },
  ]);
  expect(line.turns() - turnsBefore).toBe(1);
});

test('P10 · what a caller asks in one statement costs one round trip, and leaves no role behind', async () => {
  const claims = { sub: 'ada', role: 'authenticated', workspace_id: 'w' } as const;
  const turnsBefore = line.turns();
  const rows = await queryAsCaller(database, claims, { sql: 'select current_user as role, holdfast.actor() as actor' });

  expect(rows).toEqual([{ role: 'authenticated', actor: 'ada' }]);
  expect(line.turns() - turnsBefore).toBe(1);
  expect(await database.query('select current_user as role, holdfast.actor() as actor')).toEqual([
    { role: 'postgres', actor: null },
  ]);
});

test.for([
  ['the first', 0],
  ['one in the middle', 1],
  ['the last', 2],
] as const)(
  'P10 · where %s of its statements fails, nothing stands, and the connection serves the next',
  async ([, place]) => {
    const statements = [1, 2, 3].map((id) => ({ sql: 'insert into public.notes values ($1)', parameters: [id] }));
    statements[place] = { sql: 'select 1 / $1::integer', parameters: [0] };

    await expect(database.transact(statements)).rejects.toSatisfy((error) => sqlStateOf(error) === '22012');
    expect(await database.query('select id from public.notes')).toEqual([]);
  },
);

test('P10 · where only the commit fails, it is told, and nothing stands', async () => {
  await expect(
    database.transact([{ sql: 'insert into public.parts values (7)' }, { sql: 'select 1' }]),
  ).rejects.toSatisfy((error) => sqlStateOf(error) === '23503');
  expect(await database.query('select note from public.parts')).toEqual([]);
});

test('P10 · a connection to a server that takes no changes serves nobody after that', async () => {
  const whoServes = () => database.query<{ pid: number }>('select pg_backend_pid() as pid');
  const [before] = await whoServes();
  const asStandby = [{ sql: 'set transaction read only' }, { sql: 'insert into public.notes values (1)' }];

  await expect(database.transact(asStandby)).rejects.toSatisfy((error) => sqlStateOf(error) === '25006');
  expect(await whoServes()).not.toEqual([before]);
});

test('P9 · a line that breaks under way says that the database is away, and the next is served by another', async () => {
  await expect(
    database.transact([
      { sql: 'insert into public.notes values (1)' },
      { sql: 'select pg_terminate_backend(pg_backend_pid())' },
    ]),
  ).rejects.toBeInstanceOf(DatabaseUnavailableError);
  expect(await database.query('select id from public.notes')).toEqual([]);
});

test('P10 · the limit of time holds for the statement that comes in the same message', async () => {
  const claims = { sub: 'ada', role: 'authenticated', workspace_id: 'w' } as const;
  const endless = { sql: 'select count(*) from generate_series(1, 1000000000)' };

  await expect(queryAsCaller(database, claims, endless, { statementTimeoutMs: 50 })).rejects.toSatisfy(
    (error) => sqlStateOf(error) === '57014',
  );
});

interface CountedLine {
  readonly connectionString: string;
  /** How often the client has spoken after the server did: its round trips. */
  turns(): number;
  close(): void;
}

function openCountedLine(target: URL): Promise<CountedLine> {
  const sockets = new Set<Socket>();
  let turnCount = 0;
  const relay: Server = createServer((client) => {
    const upstream = connect(Number(target.port), target.hostname);
    let isAnswered = true;
    client.on('data', (data) => {
      if (isAnswered) turnCount += 1;
      isAnswered = false;
      upstream.write(data);
    });
    upstream.on('data', (data) => {
      isAnswered = true;
      client.write(data);
    });
    for (const [one, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(one);
      one.on('error', () => other.destroy());
      one.on('close', () => other.destroy());
    }
  });
  return new Promise((resolve) => {
    relay.listen(0, '127.0.0.1', () => {
      const address = relay.address();
      const url = new URL(target);
      if (typeof address === 'object' && address !== null) url.port = String(address.port);
      resolve({
        connectionString: url.href,
        turns: () => turnCount,
        close: () => {
          relay.close();
          for (const socket of sockets) socket.destroy();
        },
      });
    });
  });
}
