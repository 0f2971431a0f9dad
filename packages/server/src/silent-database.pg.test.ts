import { createServer, connect, type Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { withCaller } from './caller.ts';
import { createDoor } from './door.ts';
import { createLiveChannel } from './live-channel.ts';
import { migrate } from './migrate.ts';
import { openPg } from './pg-database.ts';
import { startRealPostgres } from './testing-databases/real-postgres.ts';
import { createDevice } from './testing-databases/test-device.ts';
import { TEST_TABLES } from './testing-databases/test-tables.ts';
import { TEST_SECRET, testToken } from './testing-databases/test-token.ts';

test('P9, P11 · a database that falls silent is not waited for until TCP gives up: 503, and then on another line all goes on', async () => {
  const server = await startRealPostgres();
  onTestFinished(() => server.stop());
  const between = await standBetween(await server.createDatabase());
  const database = openPg({ connectionString: between.url });
  onTestFinished(() => database.close());
  await migrate(database);
  await database.transaction((session) => session.runScript(TEST_TABLES));
  const device = createDevice(database);
  const live = createLiveChannel({ database, pollIntervalMs: 20 });
  onTestFinished(() => live.close());
  const door = createDoor({ database, auth: { secret: TEST_SECRET }, statementTimeoutMs: 100, live });
  const names: unknown[] = [];
  let readyCount = 0;
  // as a page follows: one whose changes were just being read is told to come again
  const follow = (from: string | null): void => {
    let cursor = from;
    live.subscribe(device.claims, from, {
      send: async (message) => {
        if (message.kind === 'ready') readyCount += 1;
        if (message.kind === 'changes') names.push(...message.changes.map(({ newValues }) => newValues?.['name']));
        if (message.kind !== 'refused') ({ cursor } = message);
        else if (!live.closing.aborted) follow(cursor);
      },
      close: () => undefined,
    });
  };
  follow(null);
  await expect.poll(() => readyCount).toBe(1);
  // so that a line of each kind is open and in use
  const send = async (mutation: unknown): Promise<Response> =>
    door.request('/v1/apply', {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        authorization: `Bearer ${await testToken(device.workspaceId, device.claims.sub)}`,
      },
      body: JSON.stringify({
        protocol: 1,
        client: { id: device.clientId, workspaceId: device.workspaceId },
        acknowledgedFloor: 0,
        mutations: [mutation],
      }),
    });
  const mutation = device.next({ payload: { name: 'made' } });

  // lines that wait to be used, besides the one that the channel uses
  await Promise.all(Array.from({ length: 5 }, () => database.query('select pg_sleep(0.3)')));
  between.fallSilent();
  const read = withCaller(database, device.claims, (session) => session.query('select 1'), { statementTimeoutMs: 100 });
  const [health, applied, refused] = await Promise.all([
    door.request('/v1/health'),
    send(mutation),
    read.then(
      () => null,
      (error: unknown) => error,
    ),
  ]);
  expect([health.status, applied.status]).toEqual([503, 503]);
  expect(refused).toMatchObject({ name: 'DatabaseUnavailableError' });

  // whatever became of it, it takes effect once
  const again = await send(mutation);
  expect([again.status, await again.json()]).toMatchObject([200, { outcomes: [{ id: mutation.id }] }]);
  await expect.poll(() => names, { timeout: 35_000 }).toEqual(['made']);
});

/** A line to a database that can go dead as with a host that loses its power: nothing comes through any more, and nobody is told. */
async function standBetween(databaseUrl: string): Promise<{ readonly url: string; fallSilent(): void }> {
  const url = new URL(databaseUrl);
  const target = Number(url.port);
  const open = new Set<Socket>();
  const server = createServer((near) => {
    const far = connect(target, '127.0.0.1');
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      open.add(from);
      from.on('error', () => undefined);
      from.on('close', () => to.destroy());
      from.pipe(to);
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    for (const line of open) line.destroy();
    server.close();
  });
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('no port');
  url.port = String(address.port);
  return {
    url: url.href,
    fallSilent() {
      for (const line of open) {
        line.unpipe();
        line.pause();
      }
    },
  };
}
