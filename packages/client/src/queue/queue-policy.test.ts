import { expect, test } from 'vitest';
import type { Connection } from '../ports/network-source.ts';
import { note, TestDevice } from './testing-queue/test-device.ts';

/** A phone that is not on Wi-Fi. */
function onTheRoad() {
  const device = new TestDevice();
  let connection: Connection = { type: 'cellular', generation: '4g', isMetered: true, bandwidthMbps: null };
  const network = Object.assign(device.network, { connection: () => connection });
  return {
    device,
    network,
    comeHome: async () => {
      connection = { type: 'wifi', generation: null, isMetered: false, bandwidthMbps: null };
      network.say('changed');
      await device.clock.settle();
    },
  };
}

test('N4 · what waits for Wi-Fi says so, and goes as soon as there is one', async () => {
  const { device, network, comeHome } = onTheRoad();
  const queue = await device.open({ network, deliveryPolicy: { wifiAboveBytes: 0 } });
  const { id } = await queue.add(note('a'));
  await device.clock.settle();
  expect(device.server.effects).toEqual([]);
  expect(await queue.explain(id)).toMatchObject({
    waitingFor: 'policy',
    sentence: 'It waits for Wi-Fi or for its time, as this app asks; it is sent within a day in any case.',
    whatToDo: 'Nothing: it is safe on this device. Call `process()` to send it now.',
    nextAttemptAtMs: device.clock.wallMs() + 86_400_000,
  });

  await comeHome();

  expect(device.server.effects).toEqual([id]);
});

test('N4 · the first of its type goes when its undo window is over, and its policy allows it or its time has come', async () => {
  const { device, network } = onTheRoad();
  const deliveryPolicy = { wifiAboveBytes: 1_000, holdMsMax: 60_000 };
  const queue = await device.open({ network, deliveryPolicy });
  const small = await queue.add({ ...note('a'), delayMs: 5_000 });
  await device.clock.pass(5_000);
  expect(device.server.effects).toEqual([small.id]);

  await queue.close();
  const again = await device.open({ network, deliveryPolicy });
  const large = await again.add({ ...note('b', 'x'.repeat(1_000)), delayMs: 5_000 });
  await device.clock.pass(5_000);
  expect(device.server.effects).toEqual([small.id]);
  await device.clock.pass(60_000);
  expect(device.server.effects).toEqual([small.id, large.id]);
});

test('N4 · every tab sees what a policy holds back, and asking in any of them sends it', async () => {
  const { device, network } = onTheRoad();
  const leader = await device.open({ network, deliveryPolicy: { wifiAboveBytes: 0 } });
  const other = await device.open({ network, deliveryPolicy: { wifiAboveBytes: 0 } });
  const { id } = await leader.add(note('a'));
  await device.clock.settle();
  expect(await other.getMutationStatus(id)).toMatchObject({ waitingFor: 'policy' });

  await other.process();
  await device.clock.settle();

  expect(device.server.effects).toEqual([id]);
});

test('N4 · by default nothing is held back, and a policy that makes no sense is refused', async () => {
  const { device, network } = onTheRoad();
  const queue = await device.open({ network });
  const { id } = await queue.add(note('a'));
  await device.clock.settle();
  expect(device.server.effects).toEqual([id]);

  expect(() => device.create({ network, deliveryPolicy: { batchCount: 0, strategy: 'batched' } })).toThrow(
    'createQueue: `deliveryPolicy` must be a delivery policy that makes sense (`batchCount` is not above 0)',
  );
});
