import { randomUUID } from 'node:crypto';
import { createDoor } from '@holdfast/server';
import { createQueue, httpTransport, memoryStorage, soloTabs } from 'holdfast';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createItem, updateItem } from './test/item-mutations.ts';
import { openTapePostgres, type TapeDatabase } from './test/tape-databases.ts';
import { SECRET, token } from './test/token.ts';

const ROW_COUNT = 12;
const CHANGE_COUNT = 60;
/** By their turn, of all requests; each costs the wait of a queue whose line is down. */
const LOST_ANSWERS = [0, 3];

let world: TapeDatabase;

beforeAll(async () => {
  world = await openTapePostgres();
});
afterAll(() => world.close());

test('P11 · behind a balancer that hands each request to the next server, with answers lost and a server replaced, each change takes effect once and in order', async () => {
  const startServer = () => createDoor({ database: world.database, auth: { secret: SECRET } });
  const servers = [startServer(), startServer(), startServer()];
  let requestCount = 0;
  const balanced: typeof fetch = async (url, init) => {
    const turn = requestCount;
    requestCount += 1;
    const place = turn % servers.length;
    // One is replaced in the middle, and knows nothing of what the former has answered.
    if (turn === 2) servers[place] = startServer();
    const answer = await servers[place]?.fetch(new Request(url, init));
    if (answer !== undefined && !LOST_ANSWERS.includes(turn)) return answer;
    throw new TypeError('fetch failed');
  };
  const workspaceId = `w-${randomUUID()}`;
  const open = () =>
    createQueue({
      name: randomUUID(),
      identity: { userId: 'ada', workspaceId },
      mutations: [createItem, updateItem],
      transport: httpTransport({ url: 'http://localhost/v1/apply', fetch: balanced }),
      auth: { getToken: () => Promise.resolve(token(workspaceId)) },
      storage: memoryStorage(),
      tabs: soloTabs,
      network: {
        isOnline: () => true,
        onHint: () => () => {},
        probe: async () => ({ kind: 'reached', latencyMs: 1 }),
      },
    });
  // Two devices, so that requests of both are at work in different servers at a time.
  const devices = [open(), open()];
  const expected = new Map<string, string[]>();
  const adding = devices.flatMap((queue, device) => {
    const rows = Array.from({ length: ROW_COUNT }, () => randomUUID());
    return Array.from({ length: CHANGE_COUNT }, (_, index) => {
      const id = rows[index % ROW_COUNT] ?? '';
      const tag = `${device}.${index}`;
      expected.set(id, [...(expected.get(id) ?? []), tag]);
      return queue.add({ type: index < ROW_COUNT ? 'item.create' : 'item.update', payload: { id, tag } });
    });
  });
  const handles = await Promise.all(adding);

  const settled = await Promise.all(handles.map((handle) => handle.settled));

  expect(new Set(settled.map(({ status }) => status))).toEqual(new Set(['completed']));
  const rows = await world.database.query<{ id: string; entries: readonly string[] }>(
    'select id::text, entries from public.sim_items where workspace_id = $1',
    [workspaceId],
  );
  expect(Object.fromEntries(rows.map(({ id, entries }) => [id, entries]))).toEqual(Object.fromEntries(expected));
  expect(requestCount).toBeGreaterThan(Math.max(...LOST_ANSWERS) + 1);
  for (const queue of devices) await queue.close();
});
