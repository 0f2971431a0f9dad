import { describe, expect, test } from 'vitest';
import type { HoldfastError } from '../mutation/holdfast-error.ts';
import type { OpenStorage, StorageBatch } from '../ports/storage.ts';
import { note, TestDevice, type TestQueue } from '../queue/testing-queue/test-device.ts';
import { BreakableStorage } from '../queue/testing-queue/breakable-storage.ts';
import { FakeClock } from '../testing/fake-clock.ts';
import { StorageSimulator } from '../testing/storage-simulator.ts';
import { compressedStorage } from './compressed-storage.ts';
import { memoryStorage } from './memory-storage.ts';
import { mirroredStorage } from './mirrored-storage.ts';
import { sealedStorage, unsealedStorage } from './sealed-storage.ts';
import { storageContract } from './storage-contract.ts';
import { TestKeys } from './testing-keys/test-keys.ts';

describe('the contract of a mirrored store', () => {
  const cases = storageContract({
    open: mirroredStorage(memoryStorage(), memoryStorage()),
    capabilities: { durability: 'volatile', keepsAfterClose: true, hasSeveralWriters: true },
    namePrefix: 'mirrored',
  });
  for (const { name, skip, run } of cases) test.skipIf(skip !== null)(name, run);
});

/** All that stands in a store. */
async function dump(open: OpenStorage, name: string): Promise<Readonly<Record<string, string>>> {
  const entries = await (await open(name)).scan({ prefix: '', limit: 100_000 });
  return Object.fromEntries(entries.map(({ key, value }) => [key, value]));
}

const NAME = 'holdfast/notes/home/ann';

describe('a queue on a store with a mirror', () => {
  test('S9 · after each confirmed call the mirror holds what the store holds', async () => {
    const device = new TestDevice();
    const [first, copy] = [memoryStorage(), memoryStorage()];
    const queue = await device.open({ storage: mirroredStorage(first, copy) });
    await queue.add(note('a'));
    await device.goOffline();
    await Promise.all([queue.add(note('b')), queue.add(note('c'))]);
    await device.clock.settle();

    expect(await dump(copy, NAME)).toEqual(await dump(first, NAME));
  });

  test('S9 · two tabs that write at once leave one truth in the mirror', async () => {
    const device = new TestDevice();
    const [first, copy] = [memoryStorage(), memoryStorage()];
    const storage = mirroredStorage(first, copy);
    await device.goOffline();
    const tabs = [await device.open({ storage }), await device.open({ storage })];
    await Promise.all(Array.from({ length: 30 }, (_, index) => (tabs[index % 2] as TestQueue).add(note(`n${index}`))));
    await device.goOnline();
    await device.clock.settle();

    expect(device.server.effects).toHaveLength(30);
    expect(await dump(copy, NAME)).toEqual(await dump(first, NAME));
  });

  test('S9 · a store that came back empty is put back from the mirror by itself, under another client id', async () => {
    const device = new TestDevice();
    const copy = memoryStorage();
    const queue = await device.open({ storage: mirroredStorage(memoryStorage(), copy) });
    await queue.add(note('done'));
    await device.clock.settle();
    await device.goOffline();
    const ids = [(await queue.add(note('a', '1'))).id, (await queue.add(note('a', '2'))).id];
    await queue.close();
    const restored: number[] = [];
    const emptied = memoryStorage();
    const onRestore = (count: number): number => restored.push(count);
    await device.goOnline();

    const again = await device.open({ storage: mirroredStorage(emptied, copy, { onRestore }) });

    expect(restored).toHaveLength(1);
    expect(device.server.effects.slice(1)).toEqual(ids);
    const clients = new Set(device.server.requests.map(({ request }) => request.client.id));
    expect(clients.size).toBe(2);
    expect(await again.settled(ids[0] ?? '')).toMatchObject({ status: 'completed' });
    await again.close();
    await device.open({ storage: mirroredStorage(emptied, copy, { onRestore }) });
    expect(restored).toHaveLength(1);
    expect(await dump(copy, NAME)).toEqual(await dump(emptied, NAME));
  });

  test('S9 · one that cannot be opened: the other goes on, and says so; both are alike again when it is back', async () => {
    for (const which of ['first', 'mirror'] as const) {
      const device = new TestDevice();
      const stores = { first: new BreakableStorage(), mirror: new BreakableStorage() };
      const told: string[] = [];
      const onError = (error: HoldfastError, broken: string): number => told.push(`${broken} ${error.code}`);
      const storage = mirroredStorage(stores.first.open, stores.mirror.open, { onError });
      await device.goOffline();
      const queue = await device.open({ storage });
      await queue.add(note('a'));
      await queue.close();
      stores[which].breakAll();

      const second = await device.open({ storage });
      await second.add(note('b'));
      expect(told).toEqual([`${which} STORAGE_UNAVAILABLE`]);
      expect(second.getSnapshot()).toMatchObject({ pendingCount: 2 });
      await second.close();
      stores[which].mend();
      const third = await device.open({ storage });
      expect(third.getSnapshot(), which).toMatchObject({ pendingCount: 2 });
      await third.add(note('c'));
      expect(await dump(stores.mirror.open, NAME)).toEqual(await dump(stores.first.open, NAME));
    }
  });

  test('S9 · a mirror that fails in the middle costs no add, and is made alike with the next one', async () => {
    const device = new TestDevice();
    const [first, copy] = [memoryStorage(), new BreakableStorage()];
    const told: string[] = [];
    await device.goOffline();
    const queue = await device.open({
      storage: mirroredStorage(first, copy.open, { onError: (_error, which) => told.push(which) }),
    });
    copy.isReadOnly = true;
    await queue.add(note('a'));
    expect(told).toEqual(['mirror']);

    copy.isReadOnly = false;
    await queue.add(note('b'));

    expect(await dump(copy.open, NAME)).toEqual(await dump(first, NAME));
  });

  test('S9 · each of the two used without the other: what either of them holds is there, and takes effect once', async () => {
    const device = new TestDevice();
    const stores = { first: new BreakableStorage(), mirror: new BreakableStorage() };
    const storage = mirroredStorage(stores.first.open, stores.mirror.open);
    const run = async (broken: keyof typeof stores | null, id: string): Promise<string> => {
      if (broken !== null) stores[broken].breakAll();
      const queue = await device.open({ storage });
      const handle = await queue.add(note(id));
      await device.clock.settle();
      await queue.close();
      if (broken !== null) stores[broken].mend();
      return handle.id;
    };
    const ids = [await run(null, 'both, delivered')];
    await device.goOffline();
    ids.push(await run(null, 'both'), await run('mirror', 'first only'), await run('first', 'mirror only'));
    const restored: number[] = [];

    const again = device.create({ storage });
    again.on('storageRestored', ({ movedCount }) => restored.push(movedCount));
    await device.clock.settle();
    expect(again.getSnapshot()).toMatchObject({ pendingCount: 3 });
    expect(restored).toEqual([1]);
    await device.goOnline();
    await device.clock.pass(60_000);

    expect([...device.server.effects].toSorted()).toEqual([...ids].toSorted());
    await again.close();
    expect(await dump(stores.mirror.open, NAME)).toEqual(await dump(stores.first.open, NAME));
  });

  test('S9 · as long as part of the mirror cannot be read it is kept as it is, and the device is one client', async () => {
    const device = new TestDevice();
    const stores = { first: new BreakableStorage(), mirror: new BreakableStorage() };
    let isDamaged = false;
    const mirror: OpenStorage = async (name) => {
      const opened = await stores.mirror.open(name);
      return {
        ...opened,
        durability: 'strict',
        scan: (query) =>
          isDamaged && query.prefix === 'b/' ? Promise.reject(new Error('It is damaged.')) : opened.scan(query),
      };
    };
    const storage = mirroredStorage(stores.first.open, mirror);
    const run = async (broken: keyof typeof stores | null, id: string): Promise<void> => {
      if (broken !== null) stores[broken].breakAll();
      const queue = await device.open({ storage });
      await queue.add(note(id));
      await device.clock.pass(1_000);
      await queue.close();
      if (broken !== null) stores[broken].mend();
    };
    await device.goOffline();
    await run(null, 'both');
    await run('mirror', 'first only');
    await run('first', 'mirror only');
    isDamaged = true;
    await device.goOnline();
    for (const id of ['a', 'b', 'c', 'd']) await run(null, id);

    expect(new Set(device.server.requests.map(({ request }) => request.client.id)).size).toBe(1);
    isDamaged = false;
    await run(null, 'e');
    expect(device.server.effects).toHaveLength(8);
    expect(await dump(stores.mirror.open, NAME)).toEqual(await dump(stores.first.open, NAME));
  });

  test('S9 · a dead letter that was discarded or retried in one of them does not stay in the other', async () => {
    const device = new TestDevice();
    const stores = { first: new BreakableStorage(), mirror: new BreakableStorage() };
    const storage = mirroredStorage(stores.first.open, stores.mirror.open);
    device.server.judge = () => 'rejected';
    const before = await device.open({ storage });
    const ids: string[] = [];
    for (const id of ['a', 'b', 'c']) ids.push((await before.add(note(id))).id);
    await device.clock.pass(1_000);
    await before.close();
    await device.goOffline();
    const alone = async (broken: keyof typeof stores, work: (queue: TestQueue) => Promise<unknown>): Promise<void> => {
      stores[broken].breakAll();
      const queue = await device.open({ storage });
      await work(queue);
      await queue.close();
      stores[broken].mend();
    };
    await alone('mirror', (queue) => queue.discard(ids[0] ?? '', 'of no use'));
    await alone('first', async (queue) => {
      await queue.discard(ids[1] ?? '', 'of no use');
      await queue.retry(ids[2] ?? '');
    });

    const again = await device.open({ storage });

    expect(again.getSnapshot()).toMatchObject({ pendingCount: 1, failedCount: 0 });
    expect(await again.getMutationStatus(ids[2] ?? '')).toMatchObject({ status: 'pending' });
    await again.close();
  });

  test.each(['plain', 'sealed'])(
    'S9 · what was brought in is not looked through again, under each layer (%s)',
    async (kind) => {
      const stores = { first: new BreakableStorage(), mirror: new BreakableStorage() };
      const mirrored = mirroredStorage(stores.first.open, stores.mirror.open);
      const keys = new TestKeys({ isInstant: true }).open;
      const layered = kind === 'sealed' ? sealedStorage(mirrored, { keys }) : unsealedStorage(mirrored);
      const open = compressedStorage(layered);
      for (const broken of [null, 'mirror', 'first'] as const) {
        if (broken !== null) stores[broken].breakAll();
        const storage = await open(NAME);
        await storage.commit({ expect: [], changes: [{ kind: 'put', key: 'meta/client', value: 'c' }] });
        await storage.close();
        if (broken !== null) stores[broken].mend();
      }

      const storage = await open(NAME);
      expect(storage.apart).toBeDefined();
      await storage.apart?.taken();
      expect(storage.apart).toBeUndefined();
    },
  );

  test('S9 · a mirror that failed and was behind at the end of the run is made alike in the next one', async () => {
    const device = new TestDevice();
    const [first, copy] = [memoryStorage(), new BreakableStorage()];
    const storage = mirroredStorage(first, copy.open);
    await device.goOffline();
    const queue = await device.open({ storage });
    await queue.add(note('a'));
    copy.isReadOnly = true;
    await queue.add(note('b'));
    await queue.close();
    copy.isReadOnly = false;

    const again = await device.open({ storage });
    await again.close();

    expect(await dump(copy.open, NAME)).toEqual(await dump(first, NAME));
    // and lost then, the first comes back with all of it
    const third = await device.open({ storage: mirroredStorage(memoryStorage(), copy.open) });
    expect(third.getSnapshot()).toMatchObject({ pendingCount: 2 });
    await third.close();
  });

  test('S9 · a tab whose mirror another goes on with, and that cannot say so at once, says so with its next change', async () => {
    const device = new TestDevice();
    const stores = { first: new StorageSimulator({ clock: device.clock }), mirror: new BreakableStorage() };
    let isOpen = true;
    const first: OpenStorage = (name) =>
      isOpen ? stores.first.open(name) : Promise.reject(new Error('It does not open.'));
    const storage = mirroredStorage(first, stores.mirror.open);
    await device.goOffline();
    const both = await device.open({ storage });
    isOpen = false;
    const one = await device.open({ storage });
    isOpen = true;
    stores.first.isFull = ({ changes }) => changes.length === 1 && changes[0]?.key === 'meta/alone';
    const ids: string[] = [];
    for (const [index, queue] of [both, one, both, one].entries()) ids.push((await queue.add(note(`n${index}`))).id);
    stores.first.isFull = () => false;
    for (const queue of [one, both]) await queue.close();

    const again = await device.open({ storage });
    expect(again.getSnapshot()).toMatchObject({ pendingCount: ids.length });
    await again.close();
  });

  test.each([1, 2])(
    'S9, S12 · a tab whose mirror another goes on with, that cannot say so in the first for want of room, and then dies after %i changes: what it had stored is kept',
    async (count) => {
      const device = new TestDevice();
      const first = new StorageSimulator({ clock: device.clock });
      const mirror = new StorageSimulator({ clock: device.clock });
      let isOpen = true;
      const storage = mirroredStorage(
        (name) => (isOpen ? first.open(name) : Promise.reject(new Error('It does not open.'))),
        mirror.open,
      );
      await device.goOffline();
      const both = await device.open({ storage });
      isOpen = false;
      const one = await device.open({ storage });
      isOpen = true;
      // Room for what has room already, and for nothing more.
      first.isFull = ({ changes }) => changes.some(({ key }) => key === 'meta/alone');
      const ids: string[] = [];
      for (let at = 0; at < count; at += 1)
        await both.add(note(`both ${at}`)).then(
          ({ id }) => ids.push(id),
          () => {},
        );
      expect(ids).toHaveLength(1);
      ids.push((await one.add(note('one'))).id);
      first.isFull = () => false;
      for (const queue of [both, one]) await queue.close();

      const again = await device.open({ storage });
      expect(again.getSnapshot()).toMatchObject({ pendingCount: 2 });
      await device.goOnline();
      await device.clock.pass(60_000);

      expect([...device.server.effects].toSorted()).toEqual(ids.toSorted());
      await again.close();
      expect(await dump(mirror.open, NAME)).toEqual(await dump(first.open, NAME));
    },
  );

  test('S9, S12 · where neither of the two takes the word that both are written apart, nothing is said to be stored', async () => {
    const first = new StorageSimulator({ clock: new FakeClock() });
    const mirror = new StorageSimulator({ clock: new FakeClock() });
    let isOpen = true;
    const open = mirroredStorage(
      (name) => (isOpen ? first.open(name) : Promise.reject(new Error('It does not open.'))),
      mirror.open,
    );
    const put = (key: string): StorageBatch => ({ expect: [], changes: [{ kind: 'put', key, value: '1' }] });
    const both = await open(NAME);
    await both.commit(put('meta/client'));
    isOpen = false;
    const one = await open(NAME);
    isOpen = true;
    first.isFull = ({ changes }) => changes.some(({ key }) => key === 'meta/alone');
    mirror.isFull = ({ changes }) => changes.some(({ key }) => key === 'meta/left');

    await expect(both.commit(put('a'))).rejects.toMatchObject({ code: 'STORAGE_FULL' });

    first.isFull = () => false;
    expect(await both.commit(put('b'))).toEqual({ kind: 'committed' });
    await one.commit(put('c'));
    expect(await (await open(NAME)).read(['b'])).toEqual(['1']);
  });

  test('S9 · killed while the mirror is made alike, both are the same device in the next run', async () => {
    const device = new TestDevice();
    const [first, copy] = [memoryStorage(), new StorageSimulator({ clock: device.clock })];
    let commitCount = Number.POSITIVE_INFINITY;
    copy.isFull = () => {
      commitCount -= 1;
      return commitCount < 0;
    };
    const storage = mirroredStorage(first, copy.open);
    const queue = await device.open({ storage });
    await queue.add(note('delivered'));
    await device.clock.settle();
    await device.goOffline();
    await queue.add(note('a'));
    commitCount = 0;
    await queue.add(note('b'));
    await queue.close();
    for (let count = 0; count < 30; count += 1) {
      commitCount = count;
      await (await device.open({ storage })).close();
    }

    commitCount = Number.POSITIVE_INFINITY;
    const again = await device.open({ storage });
    await device.goOnline();
    await device.clock.pass(60_000);

    expect(new Set(device.server.requests.map(({ request }) => request.client.id)).size).toBe(1);
    expect(device.server.effects).toHaveLength(3);
    await again.close();
    expect(await dump(copy.open, NAME)).toEqual(await dump(first, NAME));
  });

  test('S9 · a tab that cannot open the first goes on with the mirror while another has both: what either adds is kept', async () => {
    const device = new TestDevice();
    const stores = { first: new BreakableStorage(), mirror: new BreakableStorage() };
    const storage = mirroredStorage(stores.first.open, stores.mirror.open);
    await device.goOffline();
    const both = await device.open({ storage });
    const ids = [(await both.add(note('before'))).id];
    stores.first.closed.add(NAME);
    const one = await device.open({ storage });
    stores.first.mend();
    for (const [index, queue] of [both, one, one, both, both, one].entries())
      ids.push((await queue.add(note(`n${index}`))).id);
    // and one more, which brings the two together, and is left again
    const third = await device.open({ storage });
    for (const [index, queue] of [third, one, third, one, both, third].entries())
      ids.push((await queue.add(note(`m${index}`))).id);
    for (const queue of [one, both, third]) await queue.close();

    const again = await device.open({ storage });
    expect(again.getSnapshot()).toMatchObject({ pendingCount: ids.length });
    await device.goOnline();
    await device.clock.pass(60_000);

    expect([...device.server.effects].toSorted()).toEqual([...ids].toSorted());
    await again.close();
    expect(await dump(stores.mirror.open, NAME)).toEqual(await dump(stores.first.open, NAME));
  });

  test('S9, S10 · nothing older is put back by a tab that has not heard that the mirror is behind', async () => {
    const copy = new BreakableStorage();
    const open = mirroredStorage(memoryStorage(), copy.open);
    const [one, other] = [await open(NAME), await open(NAME)];
    const put = (value: string) => one.commit({ expect: [], changes: [{ kind: 'put', key: 'a', value }] });
    await put('first');
    copy.isReadOnly = true;
    await put('second');
    copy.isReadOnly = false;

    expect(await other.repair?.(['a'])).toBe(false);
    expect(await other.read(['a'])).toEqual(['second']);
    await put('third');
    expect(await dump(copy.open, NAME)).toEqual({ a: 'third' });
  });

  test('S9, S10 · a record that rots in the first is put back from the mirror, header and payload', async () => {
    const device = new TestDevice();
    const [first, copy] = [memoryStorage(), memoryStorage()];
    const storage = mirroredStorage(first, copy);
    await device.goOffline();
    const queue = await device.open({ storage });
    const ids = [];
    for (const id of ['a', 'b', 'c']) ids.push((await queue.add(note(id))).id);
    await queue.close();
    const raw = await first(NAME);
    for (const key of ['p/00000000001', 'b/00000000002']) {
      const [value] = await raw.read([key]);
      await raw.commit({ expect: [], changes: [{ kind: 'put', key, value: String(value).replace('note', 'nope') }] });
    }
    expect(await dump(first, NAME)).not.toEqual(await dump(copy, NAME));

    const again = await device.open({ storage });
    expect(again.getSnapshot()).toMatchObject({ pendingCount: 3 });
    await device.goOnline();
    await device.clock.pass(60_000);

    expect(device.server.effects).toEqual(ids);
    expect(await again.listQuarantine()).toEqual([]);
    await again.close();
  });
});

describe('a sealed queue whose keys are rotated while its mirror is away', () => {
  function sealedDevice(): {
    readonly device: TestDevice;
    readonly keys: TestKeys;
    readonly stores: { readonly first: BreakableStorage; readonly mirror: BreakableStorage };
    readonly open: (first?: OpenStorage) => Promise<TestQueue>;
  } {
    const device = new TestDevice();
    const keys = new TestKeys({ isInstant: true });
    const stores = { first: new BreakableStorage(), mirror: new BreakableStorage() };
    return {
      device,
      keys,
      stores,
      open: async (first = stores.first.open) => {
        const storage = mirroredStorage(first, stores.mirror.open);
        const queue = device.create({ storage, encryption: { keys: keys.open } });
        await device.clock.pass(5_000);
        return queue;
      },
    };
  }

  /** Adds in a run of its own. */
  async function addIn(queue: TestQueue, id: string): Promise<string> {
    const added = await queue.add(note(id));
    await queue.close();
    return added.id;
  }

  test.each(['does not open', 'takes nothing'])(
    'S4, S9 · a mirror that %s then still opens when the first is lost, and the old key goes when the two are alike',
    async (how) => {
      const { device, keys, stores, open } = sealedDevice();
      await device.goOffline();
      const id = await addIn(await open(), 'a');
      if (how === 'takes nothing') stores.mirror.isReadOnly = true;
      else stores.mirror.breakAll();
      await keys.renew();
      const other = await addIn(await open(), 'b');
      expect(keys.released).toEqual([]);
      stores.mirror.mend();
      stores.mirror.isReadOnly = false;

      // Opened by nobody else, it is as it was left. Not kept: both are looked at from here on.
      const copy = memoryStorage();
      const entries = await dump(stores.mirror.open, NAME);
      const changes = Object.entries(entries).map(([key, value]) => ({ kind: 'put', key, value }) as const);
      await (await copy(NAME)).commit({ expect: [], changes });
      const restored = device.create({
        storage: mirroredStorage(memoryStorage(), copy),
        encryption: { keys: keys.open },
      });
      await device.clock.pass(5_000);
      expect(restored.getSnapshot()).toMatchObject({ isReady: true, pendingCount: 1 });
      expect(await restored.getMutationStatus(id)).toMatchObject({ status: 'pending' });
      await restored.close();

      const both = await open();
      expect(both.getSnapshot()).toMatchObject({ isReady: true, pendingCount: 2 });
      await both.close();
      expect(keys.released).toContain('k1');
      const third = await open(memoryStorage());
      for (const each of [id, other]) expect(await third.getMutationStatus(each)).toMatchObject({ status: 'pending' });
      await third.close();
    },
  );

  test.each(['is well again', 'takes nothing', 'has lost its key'])(
    'S4, S9 · each of the two used alone, and a mirror that %s: the queue opens with whatever reads',
    async (how) => {
      const { device, keys, stores, open } = sealedDevice();
      await device.goOffline();
      const ids = [await addIn(await open(), 'a')];
      stores.first.breakAll();
      const inMirror = await addIn(await open(), 'm');
      stores.first.mend();
      stores.mirror.breakAll();
      await keys.renew();
      ids.push(await addIn(await open(), 'f'));
      stores.mirror.mend();
      if (how === 'takes nothing') stores.mirror.isReadOnly = true;
      if (how === 'has lost its key') keys.keys.delete('k1');

      const queue = await open();

      expect(queue.getSnapshot().isReady).toBe(true);
      for (const id of ids) expect(await queue.getMutationStatus(id)).toMatchObject({ status: 'pending' });
      const found = await queue.getMutationStatus(inMirror);
      expect(found?.status).toBe(how === 'has lost its key' ? undefined : 'pending');
      await queue.close();
    },
  );
});
