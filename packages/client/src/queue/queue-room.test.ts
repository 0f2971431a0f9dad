import { describe, expect, test } from 'vitest';
import { note, TestDevice, type TestQueue } from './testing-queue/test-device.ts';

/** A device whose platform says how much room there is, and can be asked to keep what is stored. */
class RoomyDevice extends TestDevice {
  usedBytes: number | null = 100;
  quotaBytes: number | null = 1_000;
  isPersisted: boolean | null = false;
  requestCount = 0;
  readonly told: string[] = [];

  async start(persist: 'onFirstAdd' | 'never' = 'never'): Promise<TestQueue> {
    const queue = this.create({
      storage: async (name) => ({
        ...(await this.storage.open(name)),
        estimate: async () => ({ usedBytes: this.usedBytes, quotaBytes: this.quotaBytes }),
      }),
      persist,
      persistence: {
        isPersisted: async () => this.isPersisted,
        request: async () => {
          this.requestCount += 1;
          this.isPersisted = this.isPersisted === null ? null : true;
          return this.isPersisted;
        },
      },
    });
    queue.on('storageCapacity', ({ percent, usedBytes }) => this.told.push(`${percent} % ${usedBytes}`));
    await this.clock.settle();
    return queue;
  }
}

describe('room on the device', () => {
  test('S8 · 80 and 100 % are told once each, and again only after there was room', async () => {
    const device = new RoomyDevice();
    const queue = await device.start();
    const fill = async (usedBytes: number): Promise<void> => {
      device.usedBytes = usedBytes;
      await device.clock.pass(60_000);
      await queue.add(note('a', String(usedBytes)));
      await device.clock.settle();
    };

    for (const usedBytes of [700, 800, 900, 1_000, 1_200, 500, 850]) await fill(usedBytes);

    expect(device.told).toEqual(['80 % 800', '100 % 1000', '80 % 850']);
    expect(await queue.getStorageUsage()).toEqual({
      usedBytes: 850,
      quotaBytes: 1_000,
      usedShare: 0.85,
      isPersisted: false,
    });
  });

  test('S8 · a store that refuses for want of room is full, whatever the platform says of its quota', async () => {
    const device = new RoomyDevice();
    const queue = await device.start();
    device.storage.isFull = () => true;

    await expect(queue.add(note('a'))).rejects.toMatchObject({ code: 'STORAGE_FULL' });

    expect(device.told).toEqual(['100 % null']);
  });

  test('S8 · a platform that says nothing of its room, or throws, stands in nobody’s way', async () => {
    const device = new RoomyDevice();
    device.usedBytes = null;
    device.isPersisted = null;
    const queue = await device.start('onFirstAdd');
    await queue.add(note('a'));

    expect(await queue.getStorageUsage()).toMatchObject({ usedShare: null, isPersisted: null });
    expect(device.told).toEqual([]);
    expect(await queue.requestPersistence()).toBeNull();
  });

  test('S8 · the platform is asked to keep what is stored with the first mutation, once, and not where it does already', async () => {
    const device = new RoomyDevice();
    const queue = await device.start('onFirstAdd');
    await device.clock.pass(60_000);
    expect(device.requestCount).toBe(0);
    await queue.add(note('a'));
    await queue.add(note('b'));
    await device.clock.settle();
    expect(device.requestCount).toBe(1);
    expect((await queue.getStorageUsage()).isPersisted).toBe(true);

    const again = await device.start('onFirstAdd');
    await again.add(note('c'));
    await device.clock.settle();
    expect(device.requestCount).toBe(1);
    const unasked = await new RoomyDevice().start();
    await unasked.add(note('d'));
    expect(await unasked.requestPersistence()).toBe(true);
  });
});

describe('clean-up', () => {
  test('S8 · forgets history of long ago, all of it, and touches nothing that is pending, dead or younger', async () => {
    const device = new RoomyDevice();
    device.server.judge = ({ payload }) => (payload['text'] === 'bad' ? 'rejected' : 'applied');
    const queue = await device.start();
    for (let count = 0; count < 1_200; count += 1) await queue.add(note(`old${count}`));
    const dead = await queue.add(note('dead', 'bad'));
    const gone = await queue.add(note('gone', 'bad'));
    await device.clock.settle();
    await queue.discard(gone.id, 'of no use');
    await device.clock.pass(3_600_000);
    const young = await queue.add(note('young'));
    await device.clock.settle();
    await device.goOffline();
    const pending = await queue.add(note('pending'));

    expect(await queue.cleanup()).toEqual({ removedCount: 0 });
    expect(await queue.cleanup({ olderThanMs: 60_000 })).toEqual({ removedCount: 1_201 });

    const keys = Object.keys(await device.storage.dump());
    expect(keys.filter((key) => /^[dx]\//.test(key))).toEqual([`d/${young.id}`]);
    expect(queue.peekStatus(dead.id)).toMatchObject({ status: 'failed' });
    expect(await queue.settled(young.id)).toMatchObject({ status: 'completed' });
    await device.goOnline();
    expect(await pending.settled).toMatchObject({ status: 'completed' });
    await expect(queue.cleanup({ olderThanMs: -1 })).rejects.toMatchObject({ code: 'INVALID_OPTION' });
  });
});
