import type { LiveMessage } from 'holdfast/protocol';
import { expect, onTestFinished, test } from 'vitest';
import { createLiveChannel } from './live-channel.ts';
import { migrate } from './migrate.ts';
import { openPg } from './pg-database.ts';
import { startRealPostgres } from './testing-databases/real-postgres.ts';
import { createDevice } from './testing-databases/test-device.ts';
import { TEST_TABLES } from './testing-databases/test-tables.ts';

test('P8, P11 · over a crash of the database a line that waits goes on, and one that was being served comes again; both miss nothing', async () => {
  const server = await startRealPostgres({ isDurable: true });
  onTestFinished(() => server.stop());
  const database = openPg({ connectionString: await server.createDatabase(), connectTimeoutMs: 500 });
  onTestFinished(() => database.close());
  await migrate(database);
  await database.transaction((session) => session.runScript(TEST_TABLES));
  const errors: unknown[] = [];
  const live = createLiveChannel({ database, pollIntervalMs: 20, onError: (error) => errors.push(error) });
  onTestFinished(() => live.close());
  const device = createDevice(database);
  const listen = (cursor: string | null) => {
    const messages: LiveMessage[] = [];
    live.subscribe(device.claims, cursor, {
      send: async (message) => void messages.push(message),
      close: () => undefined,
    });
    return {
      messages,
      names: () =>
        messages.flatMap((message) =>
          message.kind === 'changes' ? message.changes.map(({ newValues }) => newValues?.['name']) : [],
        ),
    };
  };
  const waits = listen(null);
  await expect.poll(() => waits.messages.length).toBe(1);
  await device.send([device.next({ payload: { name: 'before' } })]);
  await expect.poll(waits.names).toEqual(['before']);

  await server.kill();
  await expect.poll(() => errors.length).toBeGreaterThan(0);
  const late = listen(null);
  await expect
    .poll(() => late.messages)
    .toMatchObject([{ kind: 'refused', error: { code: 'SERVER_UNAVAILABLE' }, retryAfterMs: 2_000 }]);
  await server.restart();
  await expect
    .poll(
      () =>
        device.send([]).then(
          () => true,
          () => false,
        ),
      { timeout: 20_000 },
    )
    .toBe(true);
  await device.send([device.next({ payload: { name: 'after' } })]);

  await expect.poll(waits.names).toEqual(['before', 'after']);
  const [ready] = waits.messages;
  const again = listen(ready?.kind === 'ready' ? ready.cursor : null);
  await expect.poll(again.names).toEqual(['before', 'after']);
  expect(live.subscriberCount).toBe(2);
});
