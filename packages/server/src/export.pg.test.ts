import { expect, test } from 'vitest';
import { type CallerClaims } from './caller.ts';
import { exportRows } from './export.ts';
import { describeOnPostgres } from './testing-databases/test-databases.ts';

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
