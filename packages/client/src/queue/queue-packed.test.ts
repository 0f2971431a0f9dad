import { expect, test } from 'vitest';
import { type Packing, packPending } from './pack-pending.ts';
import { note, TestDevice } from './testing-queue/test-device.ts';

const rowId = (number: number): string => `0192f0c0-7b1a-7000-8000-${String(number).padStart(12, '0')}`;
const ROWS = Array.from({ length: 14 }, (_, index) => rowId(index));

/** All that a person sees of a queue that grows offline, is looked through, thinned out and taken over by another tab, and then sends. */
async function story(packing?: Packing, hasGrown: () => void = () => {}): Promise<readonly unknown[]> {
  const device = new TestDevice();
  let idCount = 0;
  const options = {
    newId: () => {
      idCount += 1;
      return rowId(1_000 + idCount);
    },
    readPageCount: 3,
    ...(packing === undefined ? {} : { packing }),
  };
  const seen: unknown[] = [];
  await device.goOffline();
  const queue = await device.open(options);
  for (const id of ROWS) await queue.add(note(id, `text of ${id}`));
  hasGrown();
  const [first] = (await queue.listMutations({ sort: 'added', order: 'descending', limit: 3 })).mutations;
  seen.push(first, await queue.getMetrics(), await queue.listMutations({ lane: `notes:${ROWS[9] ?? ''}` }));
  seen.push(await queue.getStatus(), queue.getSnapshot(), await queue.readPending());
  const ids = (await queue.listMutations()).mutations.map(({ id }) => id);
  seen.push(await queue.cancel(ids[12] ?? ''), await queue.remove(ids[11] ?? ''));
  // Behind one that is packed, in its lane.
  const behind = await queue.add(note(ROWS[10] ?? '', 'once more'));
  seen.push(behind.id, await queue.recover());
  seen.push(await queue.clear({ where: ({ id }) => id === ids[8] }));

  const other = await device.open(options);
  seen.push(other.getSnapshot(), await other.listMutations({ limit: 5 }));
  await queue.close();
  await device.clock.settle();
  seen.push(other.getSnapshot(), (await other.listMutations()).mutations);
  await device.goOnline();
  await device.clock.pass(10_000);
  seen.push(device.server.effects, other.getSnapshot(), await other.getMetrics());
  await other.close();
  return seen;
}

test('S3 · a queue that packs what waits is seen, steered and sent as one that does not', async () => {
  const opened: ReturnType<Packing['open']>[] = [];
  const packing = (overCount: number): Packing => ({
    open: () => {
      const packed = packPending({ overCount }).open();
      opened.push(packed);
      return packed;
    },
  });
  const plain = await story();
  for (const overCount of [2, 0]) {
    opened.length = 0;
    expect(await story(packing(overCount), () => expect(opened[0]?.size).toBeGreaterThan(8))).toEqual(plain);
    expect(opened.length).toBe(2);
  }
  expect(opened.map(({ size }) => size)).toEqual(opened.map(() => 0));
});

test('S3 · a count that packs nothing sensible is refused', () => {
  expect(() => packPending({ overCount: -1 })).toThrow('`overCount` must be a number, 0 or above; it is -1');
});
