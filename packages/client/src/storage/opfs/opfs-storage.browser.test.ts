import { afterEach, describe, expect, test } from 'vitest';
import type { Change, Storage } from '../../ports/storage.ts';
import { storageContract } from '../storage-contract.ts';
import { workerStorage } from '../worker/browser-worker-storage.ts';
import { opfsStorage } from './browser-opfs-storage.ts';

const run = Math.random().toString(36).slice(2);
const workers: Worker[] = [];
const startWorker = (): Worker => {
  const worker = new Worker(new URL('../worker/testing-worker/opfs.ts', import.meta.url), { type: 'module' });
  workers.push(worker);
  return worker;
};
const open = workerStorage({ worker: startWorker });
const put = (key: string, value: string): Change => ({ kind: 'put', key, value });

let nameCount = 0;
function newName(): string {
  nameCount += 1;
  return `opfs-${run}-${nameCount}`;
}

async function countUp(storage: Storage, times: number): Promise<void> {
  let believed: string | null = null;
  for (let count = 0; count < times; ) {
    const next: string = String(Number(believed ?? 0) + 1);
    const result = await storage.commit({ expect: [{ key: 'n', value: believed }], changes: [put('n', next)] });
    if (result.kind === 'committed') count += 1;
    believed = result.kind === 'committed' ? next : result.actual;
  }
}

describe('OPFS', () => {
  const cases = storageContract({
    open,
    capabilities: { durability: 'strict', keepsAfterClose: true, hasSeveralWriters: true },
    namePrefix: `contract-${run}`,
  });
  for (const { name, skip, run: check } of cases) test.skipIf(skip !== null)(name, check);
});

describe('OPFS, shared by several', () => {
  const opened: Storage[] = [];
  const openOne = async (name: string): Promise<Storage> => {
    const storage = await open(name);
    opened.push(storage);
    return storage;
  };
  afterEach(async () => {
    for (const storage of opened.splice(0)) await storage.close();
  });

  test('S1 · three who all write at once lose nothing, and none is left behind', async () => {
    const name = newName();
    const storages = await Promise.all([openOne(name), openOne(name), openOne(name)]);

    await Promise.all(storages.map((storage) => countUp(storage, 40)));

    expect(await storages[1]?.read(['n'])).toEqual(['120']);
  });

  test('S2, S12 · one who dies in the middle of its work leaves it to the others, with all that it had stored', async () => {
    // given: one who writes without pause, and another who waits for its turn
    const name = newName();
    const dying = await openOne(name);
    const worker = workers.at(-1);
    const other = await openOne(name);
    let storedCount = 0;
    const writing = (async () => {
      for (let index = 0; index < 1_000; index += 1) {
        const commit = dying.commit({ expect: [], changes: [put(`k/${String(index).padStart(5, '0')}`, 'x')] });
        // While this one is on its way.
        if (index === 30)
          setTimeout(() => worker?.dispatchEvent(new ErrorEvent('error', { message: 'died', cancelable: true })));
        await commit;
        storedCount += 1;
      }
    })();

    // when
    await expect(writing).rejects.toMatchObject({ category: 'STORAGE_ERROR' });

    // then
    const found = await other.scan({ prefix: 'k/', limit: 1_000 });
    expect(found.length).toBeGreaterThanOrEqual(storedCount);
    expect(found.length).toBeLessThanOrEqual(storedCount + 1);
    // And it goes on, with a new worker.
    await dying.commit({ expect: [], changes: [put('again', 'yes')] });
    expect(await other.read(['again'])).toEqual(['yes']);
  });

  test('S2 · after a moment without work a checkpoint stands beside the log, and who opens it then finds everything', async () => {
    const name = newName();
    const one = await openOne(name);
    const changes = Array.from({ length: 300 }, (_, index) => put(`k/${1_000 + index}`, `${index} `.repeat(2_000)));
    await one.commit({ expect: [], changes });

    await expect.poll(async () => (await beginningOf(name, '1.log')).join()).toBe('255,72,67');
    await one.commit({ expect: [], changes: [put('k/1007', 'since'), { kind: 'delete', key: 'k/1008' }] });

    const other = await openOne(name);
    expect(await other.read(['k/1006', 'k/1007', 'k/1008', 'k/1299'])).toEqual([
      '6 '.repeat(2_000),
      'since',
      null,
      '299 '.repeat(2_000),
    ]);
    expect(await other.scan({ prefix: 'k/', limit: 1_000 })).toHaveLength(299);
    expect(await one.read(['k/1007'])).toEqual(['since']);
  });

  test('S2 · also where the last call took long', async () => {
    const name = newName();
    const one = await openOne(name);
    // Not so much of the log that the checkpoint would be written at once.
    await one.commit({
      expect: [],
      changes: Array.from({ length: 60_000 }, (_, index) => put(`k/${index}`, 'x'.repeat(60))),
    });

    await expect.poll(async () => (await beginningOf(name, '1.log')).join()).toBe('255,72,67');
  });

  test('S3 · a log written anew by one is read anew by the others', async () => {
    const name = newName();
    const [one, other] = [await openOne(name), await openOne(name)];
    await other.commit({ expect: [], changes: [put('kept', 'yes')] });
    for (let index = 0; index < 30; index += 1)
      await one.commit({ expect: [], changes: [put('large', String(index).repeat(100_000))] });

    expect(await other.read(['kept'])).toEqual(['yes']);
    expect((await other.scan({ prefix: '', limit: 10 })).map(({ key }) => key)).toEqual(['kept', 'large']);
    expect(await sizeOf(name)).toBeLessThan(2_000_000);
  });
});

describe('OPFS, when things are not as they should be', () => {
  test('S2, S12 · a tail that was torn is cut off, and costs nothing that was stored', async () => {
    // given: a log with garbage behind its last record, as a crash leaves it
    const name = newName();
    const storage = await open(name);
    await storage.commit({ expect: [], changes: [put('a', '1')] });
    await storage.commit({ expect: [], changes: [put('b', '2')] });
    await storage.close();
    const before = await sizeOf(name);
    const folder = await folderOf(name);
    const file = await folder.getFileHandle('0.log');
    const writable = await file.createWritable({ keepExistingData: true });
    await writable.write({ type: 'write', position: before, data: new Uint8Array(777).fill(0xff) });
    await writable.close();

    const again = await open(name);

    expect(await again.read(['a', 'b'])).toEqual(['1', '2']);
    await again.commit({ expect: [], changes: [put('c', '3')] });
    await again.close();
    expect(await sizeOf(name)).toBeLessThan(before + 777);
  });

  test('S1 · a worker whose script does not load rejects with STORAGE_UNAVAILABLE', async () => {
    const broken = workerStorage({ worker: () => new Worker('data:text/javascript,throw new Error("no")') });

    await expect(broken(newName())).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE' });
  });
});

test('S2 · a page has no such files, and says so', async () => {
  await expect(opfsStorage()(newName())).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE' });
});

async function folderOf(name: string): Promise<FileSystemDirectoryHandle> {
  const root = await (await navigator.storage.getDirectory()).getDirectoryHandle('holdfast');
  return root.getDirectoryHandle(`=${name}`);
}

async function beginningOf(name: string, file: string): Promise<Uint8Array> {
  const handle = await (await folderOf(name)).getFileHandle(file);
  return new Uint8Array(await (await handle.getFile()).slice(0, 3).arrayBuffer());
}

async function sizeOf(name: string): Promise<number> {
  const folder = await folderOf(name);
  const sizes = await Promise.all(
    ['0.log', '1.log'].map(async (each) => (await (await folder.getFileHandle(each)).getFile()).size),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}
