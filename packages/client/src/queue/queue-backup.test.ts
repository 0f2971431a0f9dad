import { describe, expect, test } from 'vitest';
import { checksum } from '../mutation/checksum.ts';
import { note, TestDevice, type TestQueue } from './testing-queue/test-device.ts';

/** A queue with one of each: confirmed, pending in a lane and beside it, a dead letter, one disposed of, one in quarantine. */
async function full() {
  const device = new TestDevice();
  device.server.judge = ({ payload }) => (payload['text'] === 'bad' ? 'rejected' : 'applied');
  const queue = await device.open();
  const done = await queue.add(note('done'));
  const dead = await queue.add(note('dead', 'bad'));
  const gone = await queue.add(note('gone', 'bad'));
  await device.clock.settle();
  await queue.discard(gone.id, 'of no use');
  await device.goOffline();
  const first = await queue.add(note('lane', '1'));
  const beside = await queue.add(note('beside'));
  const second = await queue.add(note('lane', '2'));
  return { device, queue, ids: { done, dead, gone, first, beside, second } };
}

/** Another device of the same user, with the same server beyond. */
function other(device: TestDevice): TestDevice {
  const another = new TestDevice();
  Object.defineProperty(another, 'server', { value: device.server });
  return another;
}

async function offline(device: TestDevice): Promise<TestQueue> {
  await device.goOffline();
  return device.open();
}

describe('the queue as one file', () => {
  test('S9 · all of it comes to another device, with its ids and in its order, and takes effect once', async () => {
    const { device, queue, ids } = await full();
    const file = await queue.exportQueue();
    const away = other(device);
    const there = await offline(away);

    const result = await there.importQueue(file, { actor: 'Olga', reason: 'a new phone' });

    expect(result).toEqual({ pendingCount: 3, deadLetterCount: 1, skippedCount: 0 });
    const status = await there.getStatus();
    expect(status.pendingMutations.map(({ id }) => id)).toEqual([ids.first.id, ids.beside.id, ids.second.id]);
    expect(status.failedMutations.map(({ id }) => id)).toEqual([ids.dead.id]);
    expect(await there.settled(ids.done.id)).toMatchObject({ status: 'completed' });
    expect(await there.settled(ids.gone.id)).toMatchObject({ status: 'cancelled' });
    expect((await there.listActs())[0]).toMatchObject({ kind: 'import', actor: 'Olga', reason: 'a new phone' });
    // It may have been sent from where it was.
    expect(await there.cancel(ids.first.id)).toBe('tooLate');
    await away.goOnline();
    await device.goOnline();
    await device.clock.pass(60_000);
    expect(device.server.effects).toEqual([ids.done.id, ids.first.id, ids.beside.id, ids.second.id]);
    expect(await there.retry(ids.dead.id)).toMatchObject({ touchedCount: 1 });
  });

  test('S9 · imported twice, or where it came from, it is there once', async () => {
    const { device, queue, ids } = await full();
    const file = await queue.exportQueue();

    expect(await queue.importQueue(file)).toEqual({ pendingCount: 0, deadLetterCount: 0, skippedCount: 4 });
    const away = other(device);
    const there = await offline(away);
    await there.importQueue(file);
    expect(await there.importQueue(file)).toEqual({ pendingCount: 0, deadLetterCount: 0, skippedCount: 4 });
    await away.goOnline();
    await away.clock.settle();
    // Confirmed here meanwhile, it does not come back.
    expect(await there.importQueue(file)).toMatchObject({ pendingCount: 0, skippedCount: 4 });
    expect((await there.getStatus()).counts).toMatchObject({ pending: 0, failed: 1 });
    expect(ids.first.id).toBeDefined();
  });

  test('S9 · two tabs that import the same file at once import it once', async () => {
    const { device, queue } = await full();
    const file = await queue.exportQueue();
    const away = other(device);
    const there = await offline(away);
    const beside = await away.open();

    const results = await Promise.all([there.importQueue(file), beside.importQueue(file)]);

    expect(results.map(({ pendingCount }) => pendingCount).sort((a, b) => a - b)).toEqual([0, 3]);
    await away.clock.settle();
    expect(there.getSnapshot()).toMatchObject({ pendingCount: 3, failedCount: 1 });
    expect(beside.getSnapshot()).toMatchObject({ pendingCount: 3, failedCount: 1 });
  });

  test('S9 · a file that is cut off, changed, of another login or of a later version is refused, and nothing of it comes in', async () => {
    const { device, queue } = await full();
    const file = await queue.exportQueue();
    const away = other(device);
    const there = await offline(away);
    const before = await away.storage.dump();
    const codeOf = (text: string) =>
      there.importQueue(text).then(
        () => 'imported',
        (error: unknown) => (error as { readonly code: string }).code,
      );

    for (let length = 0; length < file.length; length += 97)
      expect(await codeOf(file.slice(0, length)), `cut at ${length}`).toBe('BACKUP_DAMAGED');
    for (let at = 1; at < file.length; at += 41) {
      const flipped = file.slice(0, at) + String.fromCharCode(file.charCodeAt(at) ^ 1) + file.slice(at + 1);
      expect(await codeOf(flipped), `flipped at ${at}`).toMatch(/^(BACKUP_DAMAGED|STORAGE_TOO_NEW)$/);
    }
    // Nor does it become one's own by a stroke of the pen.
    expect(await codeOf(file.replace('"userId":"ann"', '"userId":"bob"'))).toBe('BACKUP_DAMAGED');
    const bobs = await new TestDevice().open({ identity: { userId: 'bob', workspaceId: 'home' } });
    expect(await codeOf(await bobs.exportQueue())).toBe('BACKUP_FOREIGN');
    await bobs.close();
    expect(await codeOf(file.replace('"format":2', '"format":3'))).toBe('STORAGE_TOO_NEW');
    expect(await codeOf('null')).toBe('BACKUP_DAMAGED');
    expect(await away.storage.dump()).toEqual(before);
  });

  test('S9, Q17 · a file of version 1 comes in', async () => {
    const { device, queue, ids } = await full();
    const { checksum: _, ...file } = JSON.parse(await queue.exportQueue()) as {
      readonly entries: unknown;
      readonly checksum: string;
    };
    const sum = checksum(JSON.stringify(file.entries)).toString(16).padStart(8, '0');
    const there = await offline(other(device));

    await there.importQueue(JSON.stringify({ ...file, format: 1, checksum: sum }));

    expect((await there.getStatus()).pendingMutations.map(({ id }) => id)).toContain(ids.first.id);
    await there.close();
  });

  test.each(['before', 'after'] as const)(
    'S9 · killed just %s the write of it, all is there or nothing',
    async (when) => {
      const { device, queue, ids } = await full();
      const file = await queue.exportQueue();
      const away = other(device);
      const there = await offline(away);
      away.storage.simulator.crashAtWrite(1, when);
      void there.importQueue(file);
      await away.clock.settle();

      const again = await away.open({ tabs: new TestDevice().browser.openTabs });

      const expected = when === 'before' ? [] : [ids.first.id, ids.beside.id, ids.second.id];
      expect((await again.getStatus()).pendingMutations.map(({ id }) => id)).toEqual(expected);
    },
  );

  test('S9 · a full disk refuses it whole', async () => {
    const { device, queue } = await full();
    const file = await queue.exportQueue();
    const away = other(device);
    const there = await offline(away);
    away.storage.simulator.setFull(true);

    await expect(there.importQueue(file)).rejects.toMatchObject({ code: 'STORAGE_FULL' });

    away.storage.simulator.setFull(false);
    expect(there.getSnapshot()).toMatchObject({ pendingCount: 0, failedCount: 0 });
    expect(await there.importQueue(file)).toMatchObject({ pendingCount: 3 });
  });
});

test.each(['confirmed', 'taken back'])(
  'S9 · nor does one come in that was %s while the store had no room to say so',
  async (end) => {
    const device = new TestDevice();
    const queue = await device.open();
    await device.goOffline();
    const { id } = await queue.add(note('a'));
    const file = await queue.exportQueue();
    device.storage.isFull = ({ changes }) => changes.some(({ kind, key }) => kind !== 'put' && key.startsWith('p/'));
    const cancelling = end === 'confirmed' ? null : queue.cancel(id);
    await device.clock.settle();
    await device.goOnline();
    await device.clock.settle();

    const result = await queue.importQueue(file);
    device.storage.isFull = () => false;
    await device.clock.pass(60_000);

    expect(result).toEqual({ pendingCount: 0, deadLetterCount: 0, skippedCount: 1 });
    await cancelling;
    expect(device.server.effects).toEqual(end === 'confirmed' ? [id] : []);
    expect(device.server.sentIds.flat()).toHaveLength(end === 'confirmed' ? 1 : 0);
  },
);
