import { randomUUID } from 'node:crypto';
import { createDoor } from '@holdfast/server';
import { createQueue, httpTransport, memoryStorage, soloTabs } from 'holdfast';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createItem, updateItem } from './test/item-mutations.ts';
import { openRewindablePostgres, type RewindableDatabase } from './test/tape-databases.ts';
import { SECRET, token } from './test/token.ts';

let world: RewindableDatabase;

beforeAll(async () => {
  world = await openRewindablePostgres();
});
afterAll(() => world.close());

test('P12 · a database put back to an earlier copy gets again what it had confirmed, each effect once, and in order', async () => {
  const workspaceId = `w-${randomUUID()}`;
  const epochs: unknown[] = [];
  const queue = createQueue({
    name: 'rewind',
    identity: { userId: 'ada', workspaceId },
    mutations: [createItem, updateItem],
    transport: httpTransport({
      url: 'http://localhost/v1/apply',
      fetch: async (url, init) => {
        epochs.push((JSON.parse(String(init?.body)) as { readonly epoch?: string }).epoch);
        const door = createDoor({ database: world.database, auth: { secret: SECRET } });
        return door.fetch(new Request(url, init));
      },
    }),
    auth: { getToken: () => Promise.resolve(token(workspaceId)) },
    storage: memoryStorage(),
    tabs: soloTabs,
    network: {
      isOnline: () => true,
      onHint: () => () => {},
      probe: async () => ({ kind: 'reached', latencyMs: 1 }),
    },
  });
  const settled = async (type: 'item.create' | 'item.update', id: string, tag: string): Promise<void> => {
    const handle = await queue.add({ type, payload: { id, tag } });
    expect(await handle.settled).toMatchObject({ status: 'completed' });
  };
  const [oslo, rome] = [randomUUID(), randomUUID()];
  await settled('item.create', oslo, 'one');

  // The state that it will be put back to: of three more, nothing is in it.
  await world.keep();
  await settled('item.update', oslo, 'two');
  await settled('item.create', rome, 'three');
  await settled('item.update', oslo, 'four');

  await world.putBack();
  await settled('item.update', rome, 'five');

  const rows = await world.database.query<{ id: string; entries: readonly string[] }>(
    'select id::text, entries from public.sim_items where workspace_id = $1',
    [workspaceId],
  );
  expect(Object.fromEntries(rows.map(({ id, entries }) => [id, entries]))).toEqual({
    [oslo]: ['one', 'two', 'four'],
    [rome]: ['three', 'five'],
  });
  const ledger = await world.database.query<{ count: number; ids: number }>(
    `select count(*)::int as count, count(distinct mutation_id)::int as ids from holdfast.ledger
     where client_id in (select client_id from holdfast.clients where workspace_id = $1)`,
    [workspaceId],
  );
  expect(ledger[0]).toEqual({ count: 5, ids: 5 });
  expect((await queue.getStatus()).counts).toMatchObject({ pending: 0, failed: 0, completed: 5 });
  expect(new Set(epochs).size).toBe(3);
  await queue.close();
});
