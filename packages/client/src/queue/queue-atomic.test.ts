import { expect, test } from 'vitest';
import { createOptimisticStore } from '../optimistic/optimistic-store.ts';
import { note, type Notes, TestDevice } from './testing-queue/test-device.ts';

test('R8 · members travel as one mutation, after what is before any of them and before what is behind', async () => {
  const device = new TestDevice();
  const queue = await device.open();
  await device.goOffline();
  const before = await queue.add(note('n2', 'before'));
  const both = await queue.addAtomic([note('n1', 'a'), note('n2', 'b')]);
  const behind = await queue.add(note('n1', 'behind'));
  await queue.close();

  // when: after a restart
  const again = await device.open();
  await device.goOnline();
  await device.clock.pass(1_000);

  expect(device.server.effects).toEqual([before.id, both.id, behind.id]);
  const sent = device.server.requests.flatMap(({ request }) => request.mutations).find(({ id }) => id === both.id);
  expect(sent).toMatchObject({
    type: 'holdfast.atomic',
    operation: 'custom',
    entity: null,
    payload: {
      members: [
        {
          type: 'note.save',
          version: 1,
          operation: 'update',
          entity: { table: 'notes', id: 'n1' },
          payload: { id: 'n1', text: 'a' },
        },
        { type: 'note.save', entity: { table: 'notes', id: 'n2' }, payload: { id: 'n2', text: 'b' } },
      ],
    },
  });
  expect(await again.settled(both.id)).toMatchObject({ status: 'completed' });
});

test('R8 · all members are shown at once, and all are taken back when the server refuses one', async () => {
  const device = new TestDevice();
  const queue = await device.open();
  const shown = createOptimisticStore<Notes>({ queue, base: { notes: {} } });
  await device.goOffline();

  const both = await queue.addAtomic([note('n1', 'a'), note('n2', 'b')]);
  expect(shown.getSnapshot()).toEqual({ notes: { n1: 'a', n2: 'b' } });

  await device.goOnline(() => 'rejected');
  expect(await both.settled).toMatchObject({ status: 'failed' });
  expect(shown.getSnapshot()).toEqual({ notes: {} });
});

test.each([
  ['no members', [], 'INVALID_OPTION'],
  ['101 members', Array.from({ length: 101 }, () => note('n1')), 'INVALID_OPTION'],
  ['a member of a type that is not declared', [note('n1'), { type: 'nope', payload: {} }], 'UNDECLARED_TYPE'],
  ['a payload that its schema refuses', [note('n1'), { type: 'note.save', payload: { id: 1 } }], 'INVALID_PAYLOAD'],
  [
    'more bytes than one mutation may have',
    [note('n1', 'x'.repeat(200_000)), note('n2', 'x'.repeat(70_000))],
    'PAYLOAD_TOO_LARGE',
  ],
])('R8 · %s is refused, and nothing is stored', async (_, members, code) => {
  const device = new TestDevice();
  const queue = await device.open();
  const before = await device.storage.dump();

  await expect(queue.addAtomic(members as never)).rejects.toMatchObject({ code });

  expect(await device.storage.dump()).toEqual(before);
  expect(queue.getSnapshot().pendingCount).toBe(0);
});

test('R8 · its type is not for `add`', async () => {
  const device = new TestDevice();
  const queue = await device.open();

  const added = queue.add({ type: 'holdfast.atomic', payload: { members: [] } } as never);

  await expect(added).rejects.toMatchObject({
    code: 'INVALID_PAYLOAD',
    issues: [{ message: expect.stringContaining('addAtomic') as unknown }],
  });
});
