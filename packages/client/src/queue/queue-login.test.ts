import { expect, test } from 'vitest';
import { note, TestDevice } from './testing-queue/test-device.ts';

test('R5 · an expired login is refreshed once for all tabs, and nothing is lost or reordered', async () => {
  // given: two tabs with work made offline, and a token that runs out meanwhile
  const device = new TestDevice();
  let token = 'old';
  let refreshCount = 0;
  const auth = {
    getToken: async ({ refresh }: { readonly refresh: boolean }) => {
      if (refresh) {
        refreshCount += 1;
        token = 'new';
      }
      return token;
    },
  };
  const first = await device.open({ auth });
  const second = await device.open({ auth });
  await device.goOffline();
  const handles = [
    await first.add(note('n1', 'a')),
    await second.add(note('n1', 'b')),
    await second.add(note('n2', 'c')),
    await first.add(note('n1', 'd')),
  ];

  // when: the server refuses the old one
  await device.goOnline(() => (device.server.requests.at(-1)?.token === 'new' ? 'applied' : 'unauthorized'));
  await device.clock.pass(5_000);

  // then
  expect(refreshCount).toBe(1);
  const [a, b, , d] = handles.map(({ id }) => id);
  expect(device.server.effects.filter((id) => [a, b, d].includes(id))).toEqual([a, b, d]);
  expect(device.server.effects).toHaveLength(4);
  for (const queue of [first, second]) expect(queue.getSnapshot()).toMatchObject({ pendingCount: 0, failedCount: 0 });
});
