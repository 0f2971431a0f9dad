import { expect, onTestFinished, test } from 'vitest';
import { type CallerClaims } from './caller.ts';
import { createDoor } from './door.ts';
import { exportRows } from './export.ts';
import { describeOnPostgres } from './testing-databases/test-databases.ts';
import { TEST_SECRET, testToken } from './testing-databases/test-token.ts';

const ROW_COUNT = 60_000;
const claims: CallerClaims = { sub: 'ada', role: 'authenticated', workspace_id: 'w-export' };

describeOnPostgres((world) => {
  test('P7 · 60,000 rows come as a stream, only as fast as they are read, and a cancelled one ends its query', async () => {
    await world.database.query(
      `insert into public.notes (id, workspace_id, title, body)
       select gen_random_uuid(), 'w-export', 'note ' || n, repeat('text ', 40) from generate_series(1, ${ROW_COUNT}) as n`,
    );
    const open = () =>
      exportRows(world.database, claims, { entityType: 'notes', format: 'csv' }, { nowMs: () => Date.now() });

    let lineCount = 0;
    for await (const piece of (await open()).body) for (const byte of piece) if (byte === 10) lineCount += 1;
    expect(lineCount).toBe(ROW_COUNT + 1);

    const reader = (await open()).body.getReader();
    await reader.read();
    // nobody reads, so Postgres waits for room
    expect(await copies()).toEqual([{ state: 'active', wait_event: 'ClientWrite' }]);
    await reader.cancel();
    await expect.poll(copies, { timeout: 10_000 }).toEqual([]);
  });

  test('P9 · one that nobody reads ends with its time, and its connection is given back', async () => {
    const opened = await exportRows(
      world.database,
      claims,
      { entityType: 'notes', format: 'csv' },
      { nowMs: () => Date.now(), exportTimeoutMs: 5_000 },
    );

    await opened.ended;
    await expect.poll(activity, { timeout: 10_000 }).toEqual([]);
    await expect(new Response(opened.body).text()).rejects.toThrow('took too long');
  });

  test('P9 · exports take a few connections and no more, and one that ends makes room', async () => {
    const door = createDoor({ database: world.database, auth: { secret: TEST_SECRET }, exportCountMax: 2 });
    const ask = async (user: string, method = 'GET'): Promise<Response> =>
      door.request('/v1/export/rows/notes', {
        method,
        headers: { authorization: `Bearer ${await testToken('w-export', user)}` },
      });

    // nobody reads what is asked for like this
    expect((await ask('ada', 'HEAD')).status).toBe(404);
    const [first, second] = [await ask('ada'), await ask('bob')];
    expect([first.status, second.status]).toEqual([200, 200]);
    expect((await ask('ada')).status).toBe(429);
    const refused = await ask('eve');
    expect(refused.status).toBe(503);
    expect(refused.headers.get('retry-after')).toBe('10');
    expect(await refused.json()).toMatchObject({ error: { code: 'SERVER_UNAVAILABLE' } });

    await first.body?.cancel();
    const asked: Response[] = [second];
    await expect
      .poll(() => ask('eve').then((answer) => asked.push(answer) > 0 && answer.status), { timeout: 10_000 })
      .toBe(200);
    for (const { body } of asked) await body?.cancel();
  });

  test('P7, P9 · one whose database goes away midway breaks off, gives its place back, and harms nobody else', async () => {
    const lost: unknown[] = [];
    const note = (reason: unknown): void => void lost.push(reason);
    process.on('unhandledRejection', note);
    onTestFinished(() => void process.off('unhandledRejection', note));
    const door = createDoor({ database: world.database, auth: { secret: TEST_SECRET }, exportCountMax: 1 });
    const ask = async (format: string): Promise<Response> =>
      door.request(`/v1/export/rows/notes?format=${format}`, {
        headers: { authorization: `Bearer ${await testToken('w-export')}` },
      });
    for (const format of ['csv', 'json']) {
      const opened = await ask(format);
      const reader = opened.body?.getReader();
      await reader?.read();
      await copies();
      await world.database.query(
        `select pg_terminate_backend(pid) from pg_stat_activity where query ilike 'copy (%' and pid <> pg_backend_pid()`,
      );
      const rest = async (): Promise<void> => {
        while ((await reader?.read())?.done === false);
      };
      await expect(rest()).rejects.toThrow();
    }

    // its place is free again
    const again = await ask('csv');
    expect(again.status).toBe(200);
    await again.body?.cancel();
    expect(lost).toEqual([]);
  });

  async function copies(): Promise<readonly object[]> {
    await expect
      .poll(() => activity(), { timeout: 10_000 })
      .toSatisfy((rows: readonly { wait_event: string | null }[]) =>
        rows.every((row) => row.wait_event === 'ClientWrite'),
      );
    return activity();
  }

  function activity(): Promise<readonly { state: string; wait_event: string | null }[]> {
    return world.database.query(
      `select state, wait_event from pg_stat_activity where query ilike 'copy (%' and state = 'active'`,
    );
  }
});
