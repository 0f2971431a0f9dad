import { randomUUID } from 'node:crypto';
import { createDoor } from '@holdfast/server';
import {
  type ClientAnchor,
  createQueue,
  httpTransport,
  type LostChanges,
  memoryStorage,
  type OpenStorage,
  secureStoreAnchor,
  soloTabs,
} from 'holdfast';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createItem } from './test/item-mutations.ts';
import { openTapePglite, openTapePostgres, type TapeDatabase } from './test/tape-databases.ts';
import { SECRET, token } from './test/token.ts';

describe.each([
  ['PGlite', openTapePglite],
  ['Postgres', openTapePostgres],
])('on %s', (_, open) => {
  let world: TapeDatabase;
  beforeAll(async () => {
    world = await open();
  });
  afterAll(() => world.close());

  /** A device with a disk that can be taken back to an earlier state, a cookie jar, and a line that can be cut. */
  function device(workspaceId = `w-${randomUUID()}`) {
    const door = createDoor({ database: world.database, auth: { secret: SECRET } });
    const jar = new Map<string, string>();
    let values: OpenStorage = disk();
    const state = { isOnline: true };
    const transport = httpTransport({
      url: 'http://localhost/v1/apply',
      fetch: async (url, init) => {
        if (!state.isOnline) throw new TypeError('offline');
        const cookie = [...jar].map((pair) => pair.join('=')).join('; ');
        const response = await door.fetch(new Request(url, { ...init, headers: withCookie(init?.headers, cookie) }));
        for (const line of response.headers.getSetCookie()) {
          const [name = '', value = ''] = (line.split(';')[0] ?? '').split('=');
          jar.set(name, value);
        }
        return response;
      },
    });
    return {
      workspaceId,
      jar,
      state,
      open(anchor?: ClientAnchor, name = 'lost') {
        const lost: LostChanges[] = [];
        const queue = createQueue({
          name,
          identity: { userId: 'ada', workspaceId },
          mutations: [createItem],
          transport,
          auth: { getToken: () => Promise.resolve(token(workspaceId)) },
          storage: values,
          tabs: soloTabs,
          ...(anchor === undefined ? {} : { anchor }),
          network: {
            isOnline: () => true,
            onHint: () => () => {},
            probe: async () =>
              state.isOnline ? { kind: 'reached', latencyMs: 1 } : { kind: 'notReached', reason: 'cut' },
          },
        });
        queue.on('changesLost', (each) => lost.push(each));
        const add = () => queue.add({ type: 'item.create', payload: { id: randomUUID(), tag: 'Oslo' } });
        return { queue, add, lost };
      },
      /** What stands on the disk now, for later. */
      async copy(): Promise<OpenStorage> {
        const names = [['holdfast', 'lost', workspaceId, 'ada'].map(encodeURIComponent).join('/')];
        const copied = disk();
        for (const name of names) {
          const entries = await (await values(name)).scan({ prefix: '', limit: 100_000 });
          const changes = entries.map(({ key, value }) => ({ kind: 'put' as const, key, value }));
          await (await copied(name)).commit({ expect: [], changes });
        }
        return copied;
      },
      use(storage: OpenStorage) {
        values = storage;
      },
    };
  }

  const itemCount = async (workspaceId: string): Promise<number> => {
    const rows = await world.database.query<{ n: number }>(
      'select count(*)::int as n from public.sim_items where workspace_id = $1',
      [workspaceId],
    );
    return rows[0]?.n ?? -1;
  };

  test('S14 · a store put back from a backup: every new change takes effect, and the user is told what was lost', async () => {
    const phone = device();
    const first = phone.open();
    expect(await (await first.add()).settled).toMatchObject({ status: 'completed' });
    await first.queue.close();
    const backup = await phone.copy();
    const second = phone.open();
    for (let count = 0; count < 3; count += 1)
      expect(await (await second.add()).settled).toMatchObject({ status: 'completed' });
    await second.queue.close();

    phone.use(backup);
    const third = phone.open();
    const verdicts = [await (await third.add()).settled, await (await third.add()).settled];

    expect(verdicts).toMatchObject([
      { status: 'completed', wasRepeat: false },
      { status: 'completed', wasRepeat: false },
    ]);
    expect(await itemCount(phone.workspaceId)).toBe(6);
    expect(third.lost).toMatchObject([{ reason: 'behind', unsentCount: 0 }]);
    await third.queue.close();
  });

  test('S14 · a browser whose storage was cleared is known by the server’s cookie, and told what it had not sent', async () => {
    const browser = device();
    const first = browser.open();
    expect(await (await first.add()).settled).toMatchObject({ status: 'completed' });
    await first.queue.pause();
    const waiting = [await first.add(), await first.add(), await first.add()];
    // The last word that the server hears: one goes, two stay.
    await first.queue.close();
    expect(waiting).toHaveLength(3);
    await world.database.query('update holdfast.clients set unsent_count = 2 where workspace_id = $1', [
      browser.workspaceId,
    ]);

    browser.use(disk());
    const second = browser.open();
    expect(await (await second.add()).settled).toMatchObject({ status: 'completed' });

    expect(second.lost).toMatchObject([{ reason: 'wiped', unsentCount: 2 }]);
    expect(second.queue.getStorageHealth().lost).toMatchObject({ reason: 'wiped', unsentCount: 2 });
    second.queue.dismissLost();
    expect(second.queue.getStorageHealth().lost).toBeNull();
    // Told once; another queue on the same device is another thing.
    expect(await (await second.add()).settled).toMatchObject({ status: 'completed' });
    const beside = browser.open(undefined, 'another');
    expect(await (await beside.add()).settled).toMatchObject({ status: 'completed' });
    expect(second.lost).toHaveLength(1);
    expect(beside.lost).toEqual([]);
    await second.queue.close();
    await beside.queue.close();
  });

  test('S14 · an app whose store came back empty learns it from the keychain when it opens, with nothing to send', async () => {
    const phone = device();
    const chain = new Map<string, string>();
    const anchor = secureStoreAnchor({
      getItemAsync: async (key) => chain.get(key) ?? null,
      setItemAsync: async (key, value) => {
        if (!/^[\w.-]+$/.test(key)) throw new Error('A keychain takes no such key.');
        chain.set(key, value);
      },
    });
    const first = phone.open(anchor);
    expect(await (await first.add()).settled).toMatchObject({ status: 'completed' });
    await first.queue.close();
    expect(chain.size).toBe(1);
    phone.jar.clear();

    phone.use(disk());
    const second = phone.open(anchor);
    const told = new Promise<LostChanges>((resolve) => second.queue.on('changesLost', resolve));

    expect(await told).toMatchObject({ reason: 'wiped' });
    await second.queue.close();
    const rows = await world.database.query<{ reason: string }>(
      'select reason from holdfast.lost_clients() where workspace_id = $1',
      [phone.workspaceId],
    );
    expect(rows).toEqual([{ reason: 'wiped' }]);
  });
});

function withCookie(headers: HeadersInit | undefined, cookie: string): Headers {
  const all = new Headers(headers);
  all.set('cookie', cookie);
  return all;
}

/** A store in memory that says it were a disk. */
function disk(): OpenStorage {
  const open = memoryStorage();
  return async (name) => {
    const storage = await open(name);
    return {
      durability: 'strict',
      commit: (batch) => storage.commit(batch),
      read: (keys) => storage.read(keys),
      scan: (query) => storage.scan(query),
      estimate: () => storage.estimate(),
      close: () => storage.close(),
    };
  };
}
