import { expect, test } from 'vitest';
import { httpTransport } from '../delivery/http-transport.ts';
import { note, TestDevice } from './testing-queue/test-device.ts';

test('R3 · an answer with Retry-After: 5 puts the next try at least 5 s ahead, whichever tab is asked', async () => {
  const device = new TestDevice();
  const transport = httpTransport({
    url: '/v1/apply',
    fetch: async () => new Response('{}', { status: 429, headers: { 'retry-after': '5' } }),
  });
  const leader = await device.open({ transport });
  const follower = await device.open({ transport });
  expect(await leader.getNextRetryTime()).toBeNull();

  await follower.add(note('n1'));
  await device.clock.settle();

  const atMs = device.clock.wallMs() + 5_000;
  expect(await leader.getNextRetryTime()).toBe(atMs);
  const asked = follower.getNextRetryTime();
  await device.clock.settle();
  expect(await asked).toBe(atMs);
});

test('R3 · what can go now is due now, what waits for a person at no time, and a backoff when it is over', async () => {
  const device = new TestDevice();
  device.server.judge = () => 'refused';
  const queue = await device.open();
  device.server.hold();
  await queue.add(note('n1'));
  expect(await queue.getNextRetryTime()).toBe(device.clock.wallMs());

  device.server.release();
  await device.clock.settle();
  expect(await queue.getNextRetryTime()).toBe(device.clock.wallMs() + 1_000);

  await queue.pause();
  expect(await queue.getNextRetryTime()).toBeNull();
});
