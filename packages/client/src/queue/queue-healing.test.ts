import { describe, expect, test } from 'vitest';
import type { QueueOptions } from './options.ts';
import { BreakableStorage } from './testing-queue/breakable-storage.ts';
import { indexedDbStorage } from '../storage/indexeddb-storage.ts';
import { memoryStorage } from '../storage/memory-storage.ts';
import { note, TestDevice, type TestQueue } from './testing-queue/test-device.ts';

type Options = Partial<Pick<QueueOptions<readonly never[]>, 'storagePointer' | 'whenStorageFails'>>;

/** A device whose stores break, and what its queue told. */
class BreakingDevice extends TestDevice {
  readonly stores = new BreakableStorage();
  readonly told: string[] = [];

  async start(options: Options = { storagePointer: this.stores }): Promise<TestQueue> {
    const queue = this.create({ storage: this.stores.open, whenStorageFails: 'memory', ...options });
    queue.on('storageDegraded', ({ durability, error }) => this.told.push(`degraded ${durability} ${error.code}`));
    queue.on('storageRestored', ({ movedCount }) => this.told.push(`restored ${movedCount}`));
    await this.clock.pass(1_000);
    return queue;
  }
}

describe('a connection that died', () => {
  test('S13 · is replaced by a new one and never asked again, whatever was asked of it, and nobody notices', async () => {
    const device = new BreakingDevice();
    await device.goOffline();
    const queue = await device.start();
    const ids: string[] = [];
    for (let turn = 0; turn < 4; turn += 1) {
      ids.push((await queue.add(note(`n${turn}`))).id);
      device.stores.killAll();
    }

    expect(await queue.readPending()).toHaveLength(4);
    await device.goOnline();

    expect(device.server.effects).toEqual(ids);
    expect(device.stores.deadCallCount).toBe(0);
    expect(device.told).toEqual([]);
    expect(queue.getStorageHealth()).toMatchObject({ kind: 'well', durability: 'strict', leftBehindCount: 0 });
    expect(queue.getStorageHealth().reopenCount).toBeGreaterThan(2);
  });

  test('S13 · a commit that was stored although it failed is not made twice', async () => {
    const device = new BreakingDevice();
    await device.goOffline();
    const queue = await device.start();
    device.stores.unheardCount = 1;

    const { id, durability } = await queue.add(note('a'));
    await device.clock.settle();

    expect(durability).toBe('strict');
    expect((await queue.getStatus()).pendingMutations.map((each) => each.id)).toEqual([id]);
    await queue.close();
    const again = await device.start();
    expect((await again.getStatus()).pendingMutations.map((each) => each.id)).toEqual([id]);
  });

  test('S13 · whichever call it died before, what was added is there, once', async () => {
    for (let call = 1; call <= 12; call += 1) {
      const device = new BreakingDevice();
      let left = call;
      const open = device.stores.open;
      const queue = device.create({
        whenStorageFails: 'memory',
        storage: async (name) => {
          const storage = await open(name);
          const die = <Result>(work: () => Promise<Result>) => {
            left -= 1;
            if (left === 0) device.stores.killAll();
            return work();
          };
          return {
            ...storage,
            commit: (batch) => die(() => storage.commit(batch)),
            read: (keys) => die(() => storage.read(keys)),
            scan: (query) => die(() => storage.scan(query)),
          };
        },
      });
      await device.clock.pass(1_000);
      const handles = [await queue.add(note('a')), await queue.add(note('b'))];
      await device.clock.pass(1_000);

      expect(device.server.effects, `call ${call}`).toEqual(handles.map(({ id }) => id));
      expect(handles.map(({ durability }) => durability)).toEqual(['strict', 'strict']);
      await queue.close();
    }
  });
});

describe('a database that does not open any more', () => {
  test('S13 · another one takes its place, the old one is kept, and comes along when it can be read', async () => {
    const device = new BreakingDevice();
    await device.goOffline();
    const queue = await device.start();
    const before = [(await queue.add(note('a', '1'))).id, (await queue.add(note('a', '2'))).id];
    device.stores.breakAll();

    const adding = queue.add(note('b'));
    await device.clock.pass(1_000);
    const { id, durability } = await adding;

    expect(durability).toBe('strict');
    expect(device.told).toEqual([]);
    expect(device.stores.openNames).toEqual(['holdfast/notes/home/ann', 'holdfast/notes/home/ann~2']);
    expect(queue.getStorageHealth()).toMatchObject({ kind: 'well', leftBehindCount: 1 });
    await queue.close();

    // The next run, with the old one still broken; and the one after, when it reads.
    const second = await device.start();
    expect((await second.getStatus()).pendingMutations.map((each) => each.id)).toEqual([id]);
    await second.close();
    device.stores.mend();
    const third = await device.start();
    expect(device.told).toEqual(['restored 2']);
    expect(third.getStorageHealth()).toMatchObject({ leftBehindCount: 0 });
    await device.goOnline();
    expect(new Set(device.server.effects)).toEqual(new Set([id, ...before]));
    expect(device.server.effects.filter((each) => before.includes(each))).toEqual(before);
    await third.close();

    const fourth = await device.start();
    expect(device.told).toEqual(['restored 2']);
    expect((await fourth.getStatus()).counts).toMatchObject({ pending: 0, completed: 3 });
  });

  test('S13 · a tab that still has the old one open goes on in the new one', async () => {
    const device = new BreakingDevice();
    await device.goOffline();
    const queue = await device.start();
    const other = await device.start();
    await queue.add(note('a'));
    await device.clock.settle();
    device.stores.breakAll();
    const adding = [queue.add(note('b')), other.add(note('c'))];
    await device.clock.pass(2_000);
    const handles = await Promise.all(adding);

    // A word said while the other tab was reading anew may be lost: then it looks by itself.
    await device.clock.pass(61_000);

    const expected = new Set(handles.map(({ id }) => id));
    for (const tab of [queue, other]) {
      const { pendingMutations } = await tab.getStatus();
      expect(new Set(pendingMutations.map(({ id }) => id))).toEqual(expected);
    }
  });

  test('S13 · a tab whose connection still works follows the others, and what it has stored there comes along', async () => {
    const device = new BreakingDevice();
    await device.goOffline();
    const queue = await device.start();
    const { id } = await queue.add(note('a'));
    device.stores.write('holdfast/notes/home/ann', '2 1');

    const later = await queue.add(note('b'));
    await device.clock.pass(1_000);

    expect((await queue.getStatus()).pendingMutations.map((each) => each.id)).toEqual([id, later.id]);
    expect(device.told).toEqual(['restored 1']);
    expect(queue.getStorageHealth()).toMatchObject({ kind: 'well', leftBehindCount: 0 });
  });

  test('S13 · a newer version of the database is left alone, and no other one is made', async () => {
    const device = new BreakingDevice();
    const { HoldfastError } = await import('../mutation/holdfast-error.ts');
    const queue = device.create({
      whenStorageFails: 'memory',
      storagePointer: device.stores,
      storage: async () => {
        const cause = Object.assign(new Error('newer'), { name: 'VersionError' });
        throw new HoldfastError({ code: 'STORAGE_UNAVAILABLE', message: 'Newer.', hint: 'Update.', cause });
      },
    });

    await expect(queue.ready).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE' });
  });
});

test('S11 · a store of the app’s own that keeps nothing beyond the run is told as what it is', async () => {
  const device = new TestDevice();
  const queue = await device.open({ storage: memoryStorage() });

  expect(await queue.add(note('a'))).toMatchObject({ durability: 'volatile' });
  expect(queue.getSnapshot()).toMatchObject({ isReady: true, isVolatile: true });
  expect(queue.getStorageHealth()).toMatchObject({ kind: 'well', durability: 'volatile' });
});

describe('no database at all', () => {
  async function degraded(device: BreakingDevice): Promise<TestQueue> {
    device.stores.canOpenMore = false;
    return device.start();
  }

  test('S11 · the queue goes on in memory, says so loudly, and delivers', async () => {
    const device = new BreakingDevice();
    const queue = await degraded(device);

    expect(device.told).toEqual(['degraded volatile STORAGE_UNAVAILABLE']);
    expect(queue.getStorageHealth()).toMatchObject({
      kind: 'degraded',
      durability: 'volatile',
      error: { code: 'STORAGE_UNAVAILABLE' },
    });
    expect(queue.getSnapshot()).toMatchObject({ isReady: true });
    const { id, durability, settled } = await queue.add(note('a'));
    expect(durability).toBe('volatile');
    expect(await settled).toMatchObject({ status: 'completed' });
    expect(device.server.effects).toEqual([id]);
  });

  test('S11 · when the store can be used again, all that is in memory is on the device, in order, in one commit', async () => {
    const device = new BreakingDevice();
    await device.goOffline();
    const queue = await degraded(device);
    const ids = [
      (await queue.add(note('a', '1'))).id,
      (await queue.add(note('b'))).id,
      (await queue.add(note('a', '2'))).id,
    ];
    await device.clock.pass(60_000);
    expect(queue.getStorageHealth().kind).toBe('degraded');

    device.stores.canOpenMore = true;
    await device.clock.pass(16_000);

    expect(device.told).toEqual(['degraded volatile STORAGE_UNAVAILABLE', 'restored 3']);
    expect(queue.getStorageHealth()).toMatchObject({ kind: 'well', durability: 'strict', error: null, sinceMs: null });
    expect((await queue.getStatus()).pendingMutations.map(({ id }) => id)).toEqual(ids);
    expect((await queue.add(note('c'))).durability).toBe('strict');
    // Killed now, nothing is lost.
    const again = await device.start();
    expect((await again.getStatus()).counts.pending).toBe(4);
    await device.goOnline();
    await device.clock.pass(60_000);
    const lane = device.server.effects.filter((id) => id === ids[0] || id === ids[2]);
    expect(lane).toEqual([ids[0], ids[2]]);
    expect(device.server.effects).toHaveLength(4);
    expect(new Set(device.server.effects).size).toBe(device.server.effects.length);
  });

  test('S11 · a store that breaks in the middle: what was on it is there again when it is back', async () => {
    const device = new BreakingDevice();
    await device.goOffline();
    const queue = await device.start({});
    const before = (await queue.add(note('a'))).id;
    device.stores.breakAll();
    const adding = queue.add(note('b'));
    await device.clock.pass(2_000);
    const { id, durability } = await adding;
    expect(durability).toBe('volatile');
    expect(queue.getSnapshot().pendingCount).toBe(1);

    device.stores.mend();
    expect(await queue.retryStorage()).toMatchObject({ kind: 'well', durability: 'strict' });
    await device.clock.settle();

    expect((await queue.getStatus()).pendingMutations.map((each) => each.id)).toEqual([before, id]);
    expect(device.told).toEqual(['degraded volatile STORAGE_FAILED', 'restored 1']);
  });

  test('S11 · a store that opens and refuses every write is given up too', async () => {
    const device = new BreakingDevice();
    const queue = await device.start({});
    device.stores.isReadOnly = true;
    const results: string[] = [];
    for (let turn = 0; turn < 5; turn += 1) {
      const adding = queue.add(note(`n${turn}`)).then(
        (handle) => handle.durability,
        (error: unknown) => (error as { readonly code: string }).code,
      );
      await device.clock.pass(2_000);
      results.push(await adding);
    }

    expect(results).toEqual(['STORAGE_FAILED', 'STORAGE_FAILED', 'STORAGE_FAILED', 'volatile', 'volatile']);
    expect(device.told).toEqual(['degraded volatile STORAGE_FAILED']);
  });

  test('S11 · control: where the app has not asked for it, `add` rejects', async () => {
    const device = new BreakingDevice();
    device.stores.canOpenMore = false;
    const queue = device.create({ storage: device.stores.open });

    await expect(queue.ready).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE' });
    await expect(queue.add(note('a'))).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE' });
    expect(() => device.create({ whenStorageFails: 'forget' as 'memory' })).toThrow('whenStorageFails');
  });
});

test('S11, S13 · the store of the browser is looked after, also where its durability was chosen', async () => {
  // Where there is no IndexedDB, as here.
  const device = new TestDevice();
  await device.goOffline();
  const queue = await device.open({ storage: indexedDbStorage({ durability: 'relaxed' }) });
  await device.clock.pass(1_000);

  expect(await queue.add(note('a'))).toMatchObject({ durability: 'volatile' });
  expect(queue.getStorageHealth()).toMatchObject({ kind: 'degraded' });
  await queue.close();
});
