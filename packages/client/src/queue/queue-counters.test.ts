import { describe, expect, test } from 'vitest';
import { sealText } from '../mutation/record.ts';
import type { Clock } from '../ports/clock.ts';
import type { OpenStorage } from '../ports/storage.ts';
import { BrowserSimulator } from '../testing/browser-simulator.ts';
import { COMPLETED, FAILED, META, OWN_ID, PENDING, seqOfKey } from './store/record-keys.ts';
import { countText } from './store/stored-meta.ts';
import { note, TestDevice, type TestQueue } from './testing-queue/test-device.ts';

/** Puts a text under a key behind the queue's back; null deletes it. */
async function damage(device: TestDevice, key: string, value: string | null): Promise<void> {
  const store = await device.storage.peek();
  await store.commit({ expect: [], changes: [value === null ? { kind: 'delete', key } : { kind: 'put', key, value }] });
}

async function add(queue: TestQueue, ...ids: readonly string[]): Promise<readonly string[]> {
  const handles: string[] = [];
  for (const id of ids) handles.push((await queue.add(note(id))).id);
  return handles;
}

const keysOf = async (device: TestDevice, prefix: string): Promise<readonly string[]> =>
  Object.keys(await device.storage.dump()).filter((key) => key.startsWith(prefix));

/** Of each character another one, as one flipped bit makes it. */
function* flips(text: string): Iterable<string> {
  for (let at = 0; at < text.length; at += 1)
    for (let bit = 0; bit < 7; bit += 1)
      yield text.slice(0, at) + String.fromCharCode(text.charCodeAt(at) ^ (1 << bit)) + text.slice(at + 1);
}

describe('the last number given out', () => {
  test.each([
    ['gone', null],
    ['garbage', 'garbage'],
    ['empty', ''],
    ['too large for a number', '999999999999999999999'],
    ['below zero', '-1'],
    ['behind, and well sealed', countText(1)],
    ['sealed, and no number', sealText('one')],
  ])(
    'S10, S12 · %s, it is found anew when the queue opens, and nothing that was acknowledged is overwritten',
    async (_, value) => {
      const device = new TestDevice();
      await device.goOffline();
      const before = await device.open();
      const ids = [...(await add(before, 'a', 'b', 'c'))];
      await before.close();
      await damage(device, META.seq, value);

      const queue = await device.open();
      const errors: string[] = [];
      queue.onError(({ code }) => errors.push(code));
      ids.push(...(await add(queue, 'd', 'e', 'f', 'g')));
      expect((await queue.getStatus()).recoveryActions).toEqual([{ action: 'REPAIR_COUNTERS', count: 1 }]);
      await queue.close();
      const again = await device.open();

      expect(again.getSnapshot()).toMatchObject({ pendingCount: 7 });
      expect((await again.getStatus()).recoveryActions).toEqual([]);
      await device.goOnline();
      await device.clock.pass(60_000);
      expect(device.server.effects).toEqual(ids);
    },
  );

  test('S10, S12 · damaged before anything was added, it goes on above all that there may have been', async () => {
    const device = new TestDevice();
    await device.goOffline();
    await (await device.open()).close();
    await damage(device, META.seq, 'garbage');
    const queue = await device.open();
    await damage(device, META.seq, 'garbage again');

    await add(queue, 'a');

    const [key = ''] = await keysOf(device, PENDING);
    expect(seqOfKey(key)).toBeGreaterThan(device.clock.wallMs() * 1_000 - 1);
  });

  test('S10, S12 · damaged on a device whose clock is far ahead of time, the queue opens and goes on', async () => {
    const device = new TestDevice();
    const clock: Clock = {
      wallMs: () => 8.64e15,
      nowMs: () => device.clock.nowMs(),
      schedule: (delayMs, callback) => device.clock.schedule(delayMs, callback),
    };
    await device.goOffline();
    const ids = [...(await add(await device.open({ clock }), 'a'))];
    await damage(device, META.seq, 'garbage');

    const queue = await device.open({ clock });
    ids.push(...(await add(queue, 'b')));
    await device.goOnline();
    await device.clock.pass(60_000);

    expect(device.server.effects).toEqual(ids);
  });

  test('S10, S12 · damaged in the middle of a run, it is found anew by the tab that adds next', async () => {
    const device = new TestDevice();
    await device.goOffline();
    const [one, other] = [await device.open(), await device.open()];
    const ids = [...(await add(one, 'a', 'b')), ...(await add(other, 'c'))];
    await damage(device, META.seq, countText(2).replace('2', '3'));

    ids.push(...(await add(one, 'd')), ...(await add(other, 'e')));

    expect(await keysOf(device, PENDING)).toHaveLength(5);
    expect((await one.getStatus()).recoveryActions).toEqual([{ action: 'REPAIR_COUNTERS', count: 1 }]);
    await device.goOnline();
    await device.clock.pass(60_000);
    expect(device.server.effects).toEqual(ids);
  });

  test('S10 · while it is damaged and nobody adds, history is read once to find it, and not for each batch', async () => {
    const device = new TestDevice();
    let readCount = 0;
    const counting: OpenStorage = async (name) => {
      const storage = await device.storage.open(name);
      return {
        ...storage,
        scan: (query) => {
          if (query.prefix === COMPLETED) readCount += 1;
          return storage.scan(query);
        },
      };
    };
    const queue = await device.open({ storage: counting });
    await add(queue, 'done');
    await device.clock.settle();
    device.server.judge = () => 'refused';
    await add(queue, 'a');
    await damage(device, META.seq, 'garbage');
    readCount = 0;
    const requestCount = device.server.requests.length;

    await device.clock.pass(20_000);

    expect(device.server.requests.length).toBeGreaterThan(requestCount + 2);
    expect(device.server.requests.at(-1)?.request.client.lastSeq).toBe(2);
    expect(readCount).toBe(1);
    // Added to, it is whole again, and counts on from there.
    await add(queue, 'b');
    device.server.judge = () => 'applied';
    await device.clock.pass(60_000);
    expect(device.server.requests.at(-1)?.request.client.lastSeq).toBeGreaterThan(2);
    expect(device.server.effects).toHaveLength(3);
  });

  test('S10, S12 · a flipped bit that makes it a number which another tab knew is noticed', async () => {
    const device = new TestDevice();
    await device.goOffline();
    const [one, other] = [await device.open(), await device.open({ tabs: new BrowserSimulator().openTabs })];
    // 12, as the second tab knows it, and 13 by the first.
    await add(one, ...Array.from({ length: 11 }, (_, index) => `a${index}`));
    await add(other, 'l');
    await add(one, 'm');
    await damage(device, META.seq, countText(13).replace(/3$/, '2'));

    await add(other, 'n');

    expect(await keysOf(device, PENDING)).toHaveLength(14);
  });

  test('S10, S12 · damaged with dead letters above all that is pending, their numbers are not given out again', async () => {
    const device = new TestDevice();
    device.server.judge = () => 'rejected';
    const before = await device.open();
    await add(before, 'a', 'b');
    await device.clock.settle();
    await before.close();
    await damage(device, META.seq, 'garbage');
    await device.goOffline();

    const queue = await device.open();
    await add(queue, 'c');

    expect(await keysOf(device, FAILED)).toEqual(['f/00000000001', 'f/00000000002']);
    const keys = await keysOf(device, PENDING);
    expect(keys.map(seqOfKey).every((seq) => seq > 2)).toBe(true);
    expect(keys).toHaveLength(1);
  });

  test('S10, S12 · damaged with nothing left but history, its numbers are not given out again', async () => {
    const device = new TestDevice();
    const before = await device.open();
    await add(before, 'a', 'b');
    await device.clock.settle();
    await before.close();
    await damage(device, META.seq, 'garbage');
    await device.goOffline();

    const queue = await device.open();
    await add(queue, 'c');

    const keys = await keysOf(device, PENDING);
    expect(keys.map(seqOfKey).every((seq) => seq > 2)).toBe(true);
    expect(keys).toHaveLength(1);
  });
});

describe('what a queue keeps of itself', () => {
  const kept = [
    META.format,
    META.client,
    META.forked,
    META.seq,
    META.retried,
    META.epoch,
    META.time,
    META.serverEpoch,
    META.completedCount,
  ];

  test.each(kept.flatMap((key) => [[key, null] as const, [key, 'garbage'] as const, [key, '{"a":1}'] as const]))(
    'S10 · %s made %s, the queue opens and delivers what waits and what is added, and goes on after a restart',
    async (key, value) => {
      const device = new TestDevice();
      device.server.epoch = 'one';
      const before = await device.open();
      await add(before, 'confirmed');
      await device.clock.settle();
      await device.goOffline();
      const ids = [...(await add(before, 'a', 'b'))];
      await before.close();
      await damage(device, key, value);

      const queue = await device.open();
      ids.push(...(await add(queue, 'c')));
      await device.goOnline();
      await device.clock.pass(60_000);
      await queue.close();
      const again = await device.open();
      ids.push(...(await add(again, 'd')));
      await device.clock.pass(60_000);

      expect(device.server.effects.slice(1)).toEqual(ids);
      expect((await again.getStatus()).counts).toMatchObject({ pending: 0, failed: 0, corrupted: 0 });
      expect((await again.getStatus()).recoveryActions).toEqual([]);
    },
  );

  test('S10 · one flipped bit anywhere in what it keeps costs nothing: all opens, and what waits is delivered', async () => {
    const device = new TestDevice();
    device.server.epoch = 'one';
    const before = await device.open();
    await add(before, 'confirmed');
    await device.clock.settle();
    await device.goOffline();
    const ids = await add(before, 'a', 'b');
    await before.close();
    const whole = await device.storage.dump();
    for (const [key, text] of Object.entries(whole).filter(([each]) => each.startsWith('meta/'))) {
      for (const flipped of flips(text)) {
        const copy = new TestDevice();
        const store = await copy.storage.peek();
        const changes = Object.entries({ ...whole, [key]: flipped });
        await store.commit({ expect: [], changes: changes.map(([at, value]) => ({ kind: 'put', key: at, value })) });
        const queue = await copy.open();
        await copy.clock.pass(2_000);
        expect([key, flipped, copy.server.effects]).toEqual([key, flipped, ids]);
        expect((await queue.getStatus()).recoveryActions).toEqual([{ action: 'REPAIR_COUNTERS', count: 1 }]);
        await queue.close();
      }
    }
  });

  test.each([
    ['what it says', (text: string) => `${text.slice(0, -1)}~`],
    ['its checksum', (text: string) => `${text.slice(0, 4)}~${text.slice(5)}`],
    ['what stands between', (text: string) => `${text.slice(0, 8)}!${text.slice(9)}`],
  ])(
    'S10 · with a flipped bit in %s, of all that it keeps, the store is not taken for one of a newer version',
    async (_, flipped) => {
      const device = new TestDevice();
      await (await device.open()).close();
      for (const [key, text] of Object.entries(await device.storage.dump())) await damage(device, key, flipped(text));

      const queue = await device.open();
      const [id] = await add(queue, 'a');
      await device.clock.settle();

      expect(device.server.effects).toEqual([id]);
    },
  );

  test('S10 · it is reported, by which it was, and `recover` finds what was damaged since', async () => {
    const device = new TestDevice();
    await device.goOffline();
    await (await device.open()).close();
    await damage(device, META.epoch, 'garbage');
    const queue = device.create();
    const errors: string[] = [];
    queue.onError(({ code, message }) => errors.push(`${code}: ${message}`));
    await device.clock.settle();
    expect(errors).toEqual([
      'UNREADABLE_RECORD: What the queue keeps of itself could not be read any more (meta/epoch), and was made anew from what is stored.',
    ]);
    await damage(device, META.client, 'garbage');

    expect((await queue.recover()).actions).toEqual([{ action: 'REPAIR_COUNTERS', count: 1 }]);

    expect((await queue.recover()).actions).toEqual([]);
    expect((await queue.getStatus()).recoveryActions).toEqual([{ action: 'REPAIR_COUNTERS', count: 2 }]);
  });

  test.each(['the tab that delivers', 'the tab that has made it anew, when the other one has gone,'])(
    'S10, Q7 · the id of the client lost while it delivers, %s waits for nothing that the server has settled under it',
    async (who) => {
      const device = new TestDevice();
      const one = await device.open();
      device.server.hold();
      await add(one, 'a', 'a');
      await device.clock.settle();
      await damage(device, META.client, 'garbage');
      const other = await device.open();
      device.server.release();
      device.server.hold();
      await device.clock.settle();
      if (who !== 'the tab that delivers') await one.close();
      device.server.release();
      await device.clock.settle();

      const [before, ...after] = device.server.requests.map(({ request }) => request);
      expect(before?.mutations).toMatchObject([{ seq: 1 }]);
      expect(after).toHaveLength(who === 'the tab that delivers' ? 1 : 2);
      for (const { client, mutations } of after) {
        expect(client.id).not.toBe(before?.client.id);
        expect(mutations).toMatchObject([{ seq: 2, after: null }]);
      }
      expect(device.server.effects).toHaveLength(2);
      expect(other.getSnapshot().pendingCount).toBe(0);
    },
  );

  test('S10, Q19 · an epoch that is damaged while two tabs are open begins above all that either knows, and one of them delivers', async () => {
    const device = new TestDevice();
    const [one, other] = [await device.open(), await device.open()];
    await add(one, 'a');
    await device.clock.settle();
    await damage(device, META.epoch, 'garbage');

    await add(other, 'b');
    await device.clock.pass(60_000);
    await damage(device, META.epoch, countText(1));
    await add(one, 'c');
    await device.clock.pass(120_000);

    expect(device.server.effects).toHaveLength(3);
    expect([one, other].filter((tab) => tab.getSnapshot().isLeader)).toHaveLength(1);
  });

  test('S10, Q21 · with the epoch gone nobody knows what was sent before: nothing is taken back that may have been', async () => {
    const device = new TestDevice();
    const before = await device.open();
    device.server.hold();
    const [id = ''] = await add(before, 'a');
    await device.clock.settle();
    await before.close();
    await damage(device, META.epoch, null);
    await device.goOffline();

    const queue = await device.open();

    expect(await queue.cancel(id)).toBe('tooLate');
  });
});

describe('the mark of an id of the app’s own', () => {
  const id = '0192f0c0-7b1a-7000-8000-00000000000a';
  test('S10, Q12 · damaged, the same change under it is the same one still, pending or confirmed, and another one is not', async () => {
    const device = new TestDevice();
    await device.goOffline();
    const queue = await device.open();
    await queue.add({ ...note('a'), id });
    await damage(device, OWN_ID + id, 'zzz');

    expect(await queue.add({ ...note('a'), id })).toMatchObject({ id, deduplicated: true });
    await expect(queue.add({ ...note('b'), id })).rejects.toMatchObject({ code: 'ID_REUSED' });

    await device.goOnline();
    await device.clock.pass(1_000);
    expect(await queue.add({ ...note('a'), id })).toMatchObject({ id, deduplicated: true });
    await expect(queue.add({ ...note('b'), id })).rejects.toMatchObject({ code: 'ID_REUSED' });
    expect(device.server.effects).toEqual([id]);
  });
});
