import { expect, test } from 'vitest';
import { note, TestDevice } from './testing-queue/test-device.ts';

test('Q2 · a queue that allows undeclared types takes any JSON object, in order, and across restarts', async () => {
  const device = new TestDevice();
  const queue = await device.open({ undeclared: 'allow' });
  await device.goOffline();
  const handles = [
    await queue.add({ type: 'page.seen', payload: { path: '/a', tags: [1, null] } } as never),
    await queue.add({ type: 'page.seen', payload: { path: '/b' } } as never),
    await queue.add(note('n1')),
  ];
  await queue.close();
  await device.open({ undeclared: 'allow' });
  await device.goOnline();
  await device.clock.pass(1_000);

  const sent = device.server.requests.flatMap(({ request }) => request.mutations);
  expect(sent.find(({ id }) => id === handles[0]?.id)).toMatchObject({
    type: 'page.seen',
    version: 1,
    operation: 'custom',
    entity: null,
    payload: { path: '/a', tags: [1, null] },
  });
  expect(device.server.effects.filter((id) => id !== handles[2]?.id)).toEqual([handles[0]?.id, handles[1]?.id]);
  expect(device.server.effects).toContain(handles[2]?.id);
});

test.each([['text'], [[1]], [null], [{ at: new Date() }]])('Q2 · %s is no payload even there', async (payload) => {
  const device = new TestDevice();
  const queue = await device.open({ undeclared: 'allow' });

  await expect(queue.add({ type: 'page.seen', payload } as never)).rejects.toMatchObject({
    category: 'VALIDATION_ERROR',
  });

  expect(queue.getSnapshot().pendingCount).toBe(0);
});

test('Q2 · what is declared is checked there as everywhere', async () => {
  const device = new TestDevice();
  const queue = await device.open({ undeclared: 'allow' });

  await expect(queue.add({ type: 'note.save', payload: { id: 1 } } as never)).rejects.toMatchObject({
    code: 'INVALID_PAYLOAD',
  });
});
