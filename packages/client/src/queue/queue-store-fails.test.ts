import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import * as v from 'valibot';
import { describe, expect, test } from 'vitest';
import { defineMutation } from '../mutation/definition.ts';
import { HoldfastError } from '../mutation/holdfast-error.ts';
import type { OpenStorage } from '../ports/storage.ts';
import type { StoragePointer } from '../ports/storage-pointer.ts';
import { nodeSqliteDriver } from '../storage/sqlite-drivers.ts';
import { sqliteStorage } from '../storage/sqlite-storage.ts';
import { note, TestDevice } from './testing-queue/test-device.ts';

describe('a disk that is full when the app starts', () => {
  test('S12, Q3 · what waits says that it waits for the storage, and goes when there is room', async () => {
    const device = new TestDevice();
    await device.goOffline();
    const before = await device.open();
    const { id } = await before.add(note('a'));
    await before.close();
    await device.goOnline();
    device.storage.isFull = () => true;

    const queue = await device.open();
    const errors: string[] = [];
    queue.onError(({ code }) => errors.push(code));
    await device.clock.pass(60_000);

    expect(queue.getSnapshot()).toMatchObject({
      waitingFor: 'storage',
      error: { code: 'STORAGE_FULL' },
      pendingCount: 1,
    });
    expect(await queue.getMutationStatus(id)).toMatchObject({
      waitingFor: 'storage',
      sentence: 'It waits for the storage of this device, which has to store or to read something first.',
    });
    const drained = queue.process();
    await device.clock.pass(5_000);
    expect(await drained).toEqual({ succeeded: 0, failed: 0, total: 1 });
    // Tried again every second, and told once.
    expect(errors.length).toBeLessThan(3);

    device.storage.isFull = () => false;
    await device.clock.pass(1_000);

    expect(device.server.effects).toEqual([id]);
    expect(queue.getSnapshot()).toMatchObject({ waitingFor: 'nothing', pendingCount: 0 });
  });

  test('S12, Q17 · an update of the app that has to store what the older one wrote waits for room, and says so', async () => {
    const device = new TestDevice();
    const old = await device.storage.open('holdfast/notes/home/ann');
    const kept = join(import.meta.dirname, 'fixtures', 'store-of-format-2.json');
    const texts = JSON.parse(readFileSync(kept, 'utf8')) as Record<string, string>;
    await old.commit({
      expect: [],
      changes: Object.entries(texts).map(([key, value]) => ({ kind: 'put', key, value }) as const),
    });
    device.storage.isFull = ({ changes }) => changes.some(({ kind }) => kind === 'put');

    const queue = await device.open();
    const errors: string[] = [];
    queue.onError(({ code }) => errors.push(code));
    await device.clock.pass(60_000);
    expect(queue.getSnapshot()).toMatchObject({
      isReady: false,
      waitingFor: 'storage',
      error: { code: 'STORAGE_FULL' },
    });
    await expect(queue.add(note('a'))).rejects.toMatchObject({ code: 'STORAGE_FULL' });
    expect(errors.length).toBeLessThan(2);

    device.storage.isFull = () => false;
    await device.clock.pass(5_000);
    await queue.ready;
    expect(queue.getSnapshot()).toMatchObject({ isReady: true, pendingCount: 5, failedCount: 1, isPaused: true });
    await queue.close();
  });
});

describe('a payload that the store cannot read, although it reads others', () => {
  async function withUnreadable(
    key: string,
  ): Promise<{ readonly device: TestDevice; readonly ids: readonly string[] }> {
    const device = new TestDevice();
    await device.goOffline();
    const before = await device.open();
    const ids: string[] = [];
    for (const id of ['a', 'b', 'c']) ids.push((await before.add(note(id))).id);
    await before.close();
    device.storage.isUnreadable = (each) => each === key;
    return { device, ids };
  }

  test('S10 · costs no other, says what it waits for, and is a dead letter after a while, which can be sent when it reads again', async () => {
    const { device, ids } = await withUnreadable('b/00000000002');
    const queue = await device.open();
    await device.goOnline();
    await device.clock.pass(1_000);
    expect(device.server.effects).toEqual([ids[0], ids[2]]);
    expect(await queue.getMutationStatus(ids[1] ?? '')).toMatchObject({ status: 'pending' });

    await device.clock.pass(60_000);

    expect(queue.peekStatus(ids[1] ?? '')).toMatchObject({
      status: 'failed',
      lastError: { code: 'UNREADABLE_RECORD' },
    });
    expect(queue.getSnapshot()).toMatchObject({ waitingFor: 'nothing', pendingCount: 0, failedCount: 1 });
    device.storage.isUnreadable = () => false;
    await queue.retry(ids[1] ?? '');
    await device.clock.pass(60_000);
    expect(device.server.effects).toEqual([ids[0], ids[2], ids[1]]);
  });

  test('S10 · it is listed and exported with the others, as one without a payload, and discarded', async () => {
    const { device, ids } = await withUnreadable('b/00000000002');
    const queue = await device.open();
    await queue.recover();
    await device.goOnline(({ id }) => (id === ids[0] ? 'rejected' : 'applied'));
    await device.clock.pass(1_000);
    expect(queue.getSnapshot()).toMatchObject({ failedCount: 2 });

    expect(await queue.listQuarantine()).toMatchObject([{ id: ids[1], part: 'payload', text: '', bodyText: null }]);
    expect(JSON.parse(await queue.exportQuarantine())).toMatchObject({ quarantine: [{ id: ids[1] }] });
    expect(await queue.readDeadLetter(ids[1] ?? '')).toMatchObject({ id: ids[1], payload: null });
    const exported = JSON.parse(await queue.exportDeadLetters()) as { readonly deadLetters: unknown[] };
    expect(exported.deadLetters).toMatchObject([
      { id: ids[0], payload: { id: 'a' } },
      { id: ids[1], payload: null },
    ]);
    expect(await queue.retryFailed()).toMatchObject({ touchedCount: 1, ids: [ids[0]] });
    expect(await queue.discard(ids[1] ?? '', 'of no use')).toMatchObject({ touchedCount: 1 });
  });

  test('S10, O1 · views show the others meanwhile, and it can be explained', async () => {
    const { device, ids } = await withUnreadable('b/00000000002');
    const queue = await device.open();

    expect((await queue.readPending()).map(({ id }) => id)).toEqual([ids[0], ids[2]]);
    expect(await queue.explain(ids[1] ?? '')).toMatchObject({ status: 'pending', waitingFor: 'network' });
  });

  test.each(['b/', 'f/', 'q/p/', 'q/f/'])(
    'S10 · a look whether numbers were lost that fails (%s) keeps no queue from opening',
    async (prefix) => {
      const { device, ids } = await withUnreadable(prefix);
      const isDeadLetters = prefix === 'f/';
      let failCount = isDeadLetters ? 1 : Number.POSITIVE_INFINITY;
      device.storage.isUnreadable = (key) => {
        if (key !== prefix) return false;
        failCount -= 1;
        return failCount >= 0;
      };
      const queue = device.create();
      await queue.ready;
      await device.goOnline();
      await device.clock.pass(1_000);
      expect(device.server.effects).toEqual(ids);
      await queue.close();
    },
  );

  test('S10 · one among a thousand is found with few reads, and the store is not given up for it', async () => {
    const device = new TestDevice();
    await device.goOffline();
    let readCount = 0;
    const storage: OpenStorage = async (name) => {
      const opened = await device.storage.open(name);
      return {
        ...opened,
        read: (keys) => {
          readCount += 1;
          return opened.read(keys);
        },
      };
    };
    const queue = await device.open({ storage, whenStorageFails: 'memory' });
    await Promise.all(Array.from({ length: 1_000 }, (_, index) => queue.add(note(`n${index}`))));
    device.storage.isUnreadable = (key) => key === 'b/000000000dd';
    readCount = 0;

    const reading = queue.readPending();
    await device.clock.pass(5_000);
    expect(await reading).toHaveLength(999);
    expect(readCount).toBeLessThan(80);
    expect(queue.getSnapshot()).toMatchObject({ isVolatile: false, pendingCount: 1_000 });
    await queue.close();
  });

  test('S10, Q17 · after an update that migrates what is stored, the others are migrated and sent', async () => {
    const { device, ids } = await withUnreadable('b/00000000002');
    const renamed = defineMutation({
      type: 'note.save',
      version: 2,
      payload: v.object({ id: v.string(), words: v.string() }),
      operation: 'update',
      entity: ({ id }) => ({ table: 'notes', id }),
      migrate: { 1: ({ id, text }: { id: string; text: string }) => ({ id, words: text }) },
    });
    const queue = await device.openWith([renamed]);
    await device.goOnline();
    await device.clock.pass(60_000);

    expect(device.server.effects).toEqual([ids[0], ids[2]]);
    expect(queue.peekStatus(ids[1] ?? '')).toMatchObject({
      status: 'failed',
      lastError: { code: 'UNREADABLE_RECORD' },
    });
    device.storage.isUnreadable = () => false;
    await queue.retry(ids[1] ?? '');
    await device.clock.pass(60_000);
    expect(device.server.effects).toEqual([ids[0], ids[2], ids[1]]);
  });

  test('S10 · alone, it says that it waits for the storage, and not for the network', async () => {
    const { device, ids } = await withUnreadable('b/00000000002');
    const queue = await device.open();
    await device.goOnline();
    await device.clock.pass(1_000);

    expect(queue.getSnapshot()).toMatchObject({ waitingFor: 'storage', error: { code: 'STORAGE_FAILED' } });
    expect(await queue.getMutationStatus(ids[1] ?? '')).toMatchObject({ waitingFor: 'storage' });
  });

  test('S10 · it is read again before it is given up: a store that failed for a moment costs nothing', async () => {
    const { device, ids } = await withUnreadable('b/00000000002');
    await device.open();
    await device.goOnline();
    await device.clock.pass(5_000);
    device.storage.isUnreadable = () => false;
    await device.clock.pass(60_000);

    expect(device.server.effects).toEqual([ids[0], ids[2], ids[1]]);
  });

  test('S10 · recover sets it aside at once, and rejects only where the store does not read at all', async () => {
    const { device, ids } = await withUnreadable('b/00000000002');
    const queue = await device.open();

    expect(await queue.recover()).toEqual({
      actions: [{ action: 'REMOVE_INVALID', count: 1 }],
      checkedPayloadCount: 3,
    });
    expect(queue.peekStatus(ids[1] ?? '')).toMatchObject({
      status: 'failed',
      lastError: { code: 'UNREADABLE_RECORD' },
    });
    device.storage.isUnreadable = () => true;
    await expect(queue.recover()).rejects.toMatchObject({ code: 'STORAGE_FAILED' });
  });

  test('Q3 · a store that reads nothing at all for a while: it waits for the storage, and is sent when it reads', async () => {
    const device = new TestDevice();
    await device.goOffline();
    const queue = await device.open();
    const { id } = await queue.add(note('a'));
    device.storage.isUnreadable = () => true;
    await device.goOnline();
    await device.clock.pass(60_000);
    expect(queue.getSnapshot()).toMatchObject({ waitingFor: 'storage', failedCount: 0 });

    device.storage.isUnreadable = () => false;
    await device.clock.pass(60_000);
    expect(device.server.effects).toEqual([id]);
  });
});

describe('a store that opens, and in which what waits cannot be read', () => {
  const IDS = Array.from({ length: 300 }, (_, index) => `n${index}`);

  /** Scans of what is pending fail where they come across one of these. */
  function failing(
    device: TestDevice,
    damaged: () => { readonly fromSeq: number; readonly toSeq: number } | null,
  ): OpenStorage {
    return async (name) => {
      const opened = await device.storage.open(name);
      return {
        ...opened,
        durability: 'strict',
        scan: async (query) => {
          const afterSeq = Number.parseInt(query.after?.slice(2) ?? '0', 36);
          const place = query.prefix === 'p/' ? damaged() : null;
          if (place !== null && afterSeq < place.toSeq && afterSeq + query.limit >= place.fromSeq)
            throw new Error('The disk is damaged.');
          return opened.scan(query);
        },
      };
    };
  }

  async function withMany(device: TestDevice): Promise<readonly string[]> {
    await device.goOffline();
    const before = await device.open();
    const handles = await Promise.all(IDS.map((id) => before.add(note(id))));
    await before.close();
    return handles.map(({ id }) => id);
  }

  test.each([
    ['the first page', 1, 2],
    ['a later page', 150, 152],
    ['all of it', 1, 300],
  ])(
    'S11, S13 · %s: the queue goes on in memory and says so, with all that can be read, and moves back when it reads again',
    async (_, fromSeq, toSeq) => {
      const device = new TestDevice();
      const ids = await withMany(device);
      let isDamaged = true;
      const storage = failing(device, () => (isDamaged ? { fromSeq, toSeq } : null));
      const told: string[] = [];
      const queue = device.create({ storage, whenStorageFails: 'memory' });
      queue.on('storageDegraded', ({ error }) => told.push(error.code));
      queue.on('storageRestored', () => told.push('restored'));
      await device.clock.pass(2_000);

      expect(told).toEqual(['STORAGE_FAILED']);
      expect(queue.getSnapshot()).toMatchObject({ isReady: true, isVolatile: true });
      const more = await queue.add(note('more'));
      expect(more.durability).toBe('volatile');
      await device.goOnline();
      await device.clock.pass(20_000);
      const readable = ids.filter((_id, index) => index + 1 < fromSeq || index + 1 > toSeq);
      expect(new Set(device.server.effects)).toEqual(new Set([...readable, more.id]));

      isDamaged = false;
      await queue.retryStorage();
      await device.clock.pass(60_000);

      expect(told).toEqual(['STORAGE_FAILED', 'restored']);
      expect(new Set(device.server.effects)).toEqual(new Set([...ids, more.id]));
      expect(device.server.effects).toHaveLength(301);
      expect(queue.getSnapshot()).toMatchObject({ pendingCount: 0, isVolatile: false });
      await queue.close();
    },
  );

  test('S11 · what was disposed of, retried or confirmed while the queue was in memory is not as before when all moves back', async () => {
    // given: three dead letters and a change that waits, in a store that cannot be read when the app starts
    const device = new TestDevice();
    device.server.judge = () => 'rejected';
    const before = await device.open();
    const dead: string[] = [];
    for (const id of ['gone', 'again', 'edited']) dead.push((await before.add(note(id))).id);
    await device.clock.pass(1_000);
    await device.goOffline();
    const waiting = await before.add(note('waiting'));
    await before.close();
    let isDamaged = true;
    const storage = failing(device, () => (isDamaged ? { fromSeq: 1, toSeq: 2 } : null));
    const queue = device.create({ storage, whenStorageFails: 'memory' });
    await device.clock.pass(2_000);
    expect(queue.getSnapshot()).toMatchObject({ isVolatile: true, failedCount: 3, pendingCount: 1 });

    // when: people decide about the dead letters, the change is confirmed, and the store can be read again
    await queue.discard(dead[0] ?? '', 'of no use');
    await queue.edit(dead[2] ?? '', { id: 'edited', text: 'mended' });
    await device.goOnline();
    await device.clock.pass(20_000);
    await device.goOffline();
    await queue.retry(dead[1] ?? '');
    isDamaged = false;
    await queue.retryStorage();
    await device.clock.pass(2_000);

    // then: nothing of it is as it was
    expect(queue.getSnapshot()).toMatchObject({ isVolatile: false, failedCount: 0, pendingCount: 1 });
    expect((await queue.getStatus()).pendingMutations.map(({ id }) => id)).toEqual([dead[1]]);
    expect(await queue.getMutationStatus(waiting.id)).toMatchObject({ status: 'completed' });
    const sentCount = device.server.requests.length;
    await device.goOnline();
    await device.clock.pass(60_000);
    expect(device.server.requests.slice(sentCount).flatMap(({ request }) => request.mutations)).toMatchObject([
      { id: dead[1] },
    ]);
    await queue.close();
  });

  test('S11, S13 · one that fails to read now and then, and reads when it is opened again, is not given up', async () => {
    const device = new TestDevice();
    const ids = await withMany(device);
    let failCount = 0;
    const storage = failing(device, () => {
      failCount -= 1;
      return failCount < 0 ? null : { fromSeq: 1, toSeq: 2 };
    });
    const queue = device.create({ storage, whenStorageFails: 'memory' });
    for (let time = 0; time < 5; time += 1) {
      failCount = 3;
      const restarting = queue.restart();
      await device.clock.pass(2_000);
      await restarting;
      expect(queue.getSnapshot()).toMatchObject({ isVolatile: false, pendingCount: ids.length });
    }
    await queue.close();
  });

  function pointing(): StoragePointer {
    const texts = new Map<string, string>();
    return { read: (name) => texts.get(name) ?? null, write: (name, text) => void texts.set(name, text) };
  }

  test('S13, S11 · where there can be another database, all that can be read comes along at once, and is delivered in this run', async () => {
    const device = new TestDevice();
    const ids = await withMany(device);
    const damaged = failing(device, () => ({ fromSeq: 150, toSeq: 152 }));
    const storage: OpenStorage = (name) => (name.includes('~') ? device.storage.open(name) : damaged(name));
    const queue = device.create({ storage, whenStorageFails: 'memory', storagePointer: pointing() });
    const told: string[] = [];
    queue.on('storageRestored', ({ movedCount }) => told.push(`restored ${movedCount}`));
    queue.onError(({ message }) => told.push(message.slice(0, 38)));
    await device.clock.pass(2_000);
    expect(told).toEqual(['The disk is damaged.', 'The database of this device is damaged', 'restored 297']);
    expect(queue.getSnapshot()).toMatchObject({ isReady: true, isVolatile: false, pendingCount: 297 });
    await device.goOnline();
    await device.clock.pass(60_000);

    expect(device.server.effects).toHaveLength(297);
    expect(device.server.effects.every((id) => ids.includes(id))).toBe(true);
    await queue.close();
  });

  test('S11 · a damaged page in the middle of an SQLite file costs what stands on it, and the rest is delivered', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'holdfast-page-'));
    const path = join(folder, 'queue.db');
    const storage = sqliteStorage({ open: () => nodeSqliteDriver(new DatabaseSync(path)) });
    const device = new TestDevice();
    await device.goOffline();
    const before = await device.open({ storage });
    const handles = await Promise.all(IDS.map((id) => before.add(note(id, 'x'.repeat(200)))));
    await before.close();
    damagePage(path);

    const queue = device.create({ storage, whenStorageFails: 'memory' });
    const errors: string[] = [];
    queue.onError(({ message }) => errors.push(message));
    await device.clock.pass(2_000);
    expect(queue.getSnapshot()).toMatchObject({ isReady: true, isVolatile: true });
    await device.goOnline();
    await device.clock.pass(60_000);

    expect(errors.join(' ')).toContain('is damaged: what could be read of it goes on elsewhere');
    expect(handles.length - device.server.effects.length).toBeLessThan(20);
    await queue.close();
    rmSync(folder, { recursive: true });
  });

  /** One that holds headers from the middle of the queue. */
  function damagePage(path: string): void {
    const database = new DatabaseSync(path);
    database.exec('pragma wal_checkpoint(truncate)');
    database.close();
    const bytes = readFileSync(path);
    const pages = Array.from({ length: bytes.length / 4_096 }, (_, index) => 4_096 * index);
    const isLeaf = (from: number): boolean => [10, 13].includes(bytes[from] ?? 0);
    const at = pages.find((from) => isLeaf(from) && bytes.subarray(from, from + 4_096).includes('p/0000000004'));
    expect(at).toBeGreaterThan(0);
    const file = openSync(path, 'r+');
    writeSync(file, Buffer.alloc(4_096, 0xff), 0, 4_096, at);
    closeSync(file);
  }

  test('S1 · whatever a store of the app’s own throws is told as an error with a code, by `ready` and by `add`', async () => {
    const device = new TestDevice();
    const plain = new Error('boom');
    const cannotOpen = device.create({
      storage: () => Promise.reject(plain),
    });
    await expect(cannotOpen.ready).rejects.toMatchObject({
      name: 'HoldfastError',
      code: 'STORAGE_FAILED',
      cause: plain,
    });
    await expect(cannotOpen.add(note('a'))).rejects.toMatchObject({ code: 'STORAGE_FAILED' });
    const fails = await device.open({
      storage: async (name) => {
        const opened = await device.storage.open(name);
        return {
          ...opened,
          commit: (batch) => {
            // As one does that is not async.
            if (batch.changes.some(({ key }) => key.startsWith('p/'))) throw plain;
            return opened.commit(batch);
          },
        };
      },
    });
    await expect(fails.add(note('a'))).rejects.toMatchObject({ code: 'STORAGE_FAILED', category: 'STORAGE_ERROR' });
  });
});

describe('a commit that was stored although its store says no, as where the worker that it lives in has just died', () => {
  /** The same store; what of its commits it says is up to the test. */
  function saying(device: TestDevice, says: { isLost: boolean; readsToo: boolean }): OpenStorage {
    const failed = (): HoldfastError =>
      new HoldfastError({ code: 'STORAGE_FAILED', message: 'Whether this was stored is not known.', hint: 'Look.' });
    return async (name) => {
      const storage = await device.storage.open(name);
      return {
        ...storage,
        commit: async (batch) => {
          const result = await storage.commit(batch);
          if (!says.isLost || !batch.changes.some(({ key }) => key.startsWith('p/'))) return result;
          says.isLost = false;
          throw failed();
        },
        read: async (keys) => {
          if (says.readsToo) return storage.read(keys);
          says.readsToo = true;
          throw failed();
        },
      };
    };
  }

  test('Q1, S12 · is found there: the change is stored once, and whoever made it is not told to make it again', async () => {
    const device = new TestDevice();
    await device.goOffline();
    const says = { isLost: false, readsToo: true };
    const queue = await device.open({ storage: saying(device, says) });
    const before = await queue.add(note('before'));
    says.isLost = true;

    const handle = await queue.add(note('a'));
    const behind = await queue.add(note('b'));

    expect(queue.getSnapshot()).toMatchObject({ pendingCount: 3 });
    await device.goOnline();
    await device.clock.pass(5_000);
    expect(device.server.effects).toEqual([before.id, handle.id, behind.id]);
    expect(await handle.settled).toMatchObject({ status: 'completed' });
  });

  test('Q1, S12 · where nobody can look either, it is refused, and what is made then has a number of its own', async () => {
    const device = new TestDevice();
    await device.goOffline();
    const says = { isLost: false, readsToo: true };
    const queue = await device.open({ storage: saying(device, says) });
    says.isLost = true;
    says.readsToo = false;

    await expect(queue.add(note('a', 'unknown'))).rejects.toMatchObject({ code: 'STORAGE_FAILED' });
    await queue.add(note('a', 'again'));

    expect(Object.keys(await device.storage.dump()).filter((key) => key.startsWith('p/'))).toHaveLength(2);
    await device.goOnline();
    await device.clock.pass(5_000);
    expect(device.server.effects).toHaveLength(2);
  });
});
