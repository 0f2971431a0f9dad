import { expect, test } from 'vitest';
import { note, TestDevice } from './testing-queue/test-device.ts';

test('P6 · what became of mutations rides on the next batch, counted by type', async () => {
  const device = new TestDevice();
  const queue = await device.open();
  device.server.judge = ({ payload }) => (payload['id'] === 'bad' ? 'rejected' : 'applied');
  await queue.add(note('a'));
  await queue.add(note('bad'));
  await device.clock.pass(2_000);
  await queue.add({ type: 'log.write', payload: { line: 'x' } });
  await device.clock.pass(2_000);
  await queue.add(note('b'));
  await device.clock.pass(2_000);

  const told = device.server.requests.map(({ request }) => request.telemetry ?? null);
  const [first] = told;
  expect(first).toBeNull();
  const types = told.flatMap((report) => report?.types ?? []);
  const sum = (type: string, field: 'completed' | 'failed') =>
    types.filter((each) => each.type === type).reduce((total, each) => total + each[field], 0);
  expect([sum('note.save', 'completed'), sum('note.save', 'failed'), sum('log.write', 'completed')]).toEqual([1, 1, 1]);
  const ids = told.flatMap((report) => (report === null ? [] : [report.id]));
  expect(new Set(ids).size).toBe(ids.length);
});

test('P6 · a report whose answer was lost is sent again under its id, with nothing added to it', async () => {
  const device = new TestDevice();
  const queue = await device.open();
  await queue.add(note('a'));
  await device.clock.pass(1_000);
  device.server.isLosingAnswers = true;
  await queue.add(note('b'));
  await device.clock.pass(10_000);
  device.server.isLosingAnswers = false;
  await device.clock.pass(60_000);
  await queue.add(note('c'));
  await device.clock.pass(1_000);

  const told = device.server.requests.flatMap(({ request }) => request.telemetry ?? []);
  const [first] = told;
  const again = told.filter(({ id }) => id === first?.id);
  expect(again.length).toBeGreaterThan(1);
  for (const report of again) expect(report.types).toEqual(first?.types);
  expect(new Set(told.map(({ id }) => id)).size).toBe(2);
});

test('P13 · some of those that wait, and do not go with the batch, are told of with a report, without their payload', async () => {
  const device = new TestDevice();
  const queue = await device.open();
  const held = [];
  for (let index = 0; index < 12; index += 1)
    held.push(await queue.add({ type: 'log.write', payload: { line: `secret ${index}` }, delayMs: 600_000 }));
  await queue.add(note('a'));
  await device.clock.pass(1_000);
  await queue.add(note('b'));
  await device.clock.pass(1_000);

  const waiting = device.server.requests.at(-1)?.request.telemetry?.queue.waiting;
  expect(waiting?.map(({ id, type }) => [id, type])).toEqual(held.slice(0, 10).map(({ id }) => [id, 'log.write']));
  expect(waiting?.[0]).toEqual({
    id: held[0]?.id,
    seq: 1,
    type: 'log.write',
    createdAt: expect.stringMatching(/^20.*Z$/) as string,
  });
});

test('P6 · which attempt it is travels along, but for the first', async () => {
  const device = new TestDevice();
  const queue = await device.open();
  let refusals = 2;
  device.server.judge = () => {
    refusals -= 1;
    return refusals >= 0 ? 'refused' : 'applied';
  };
  await queue.add(note('a'));
  await device.clock.pass(60_000);
  expect(device.server.requests.flatMap(({ request }) => request.mutations.map(({ attempt }) => attempt))).toEqual([
    undefined,
    2,
    3,
  ]);
});

test('P6 · what a person did rides on the next batch until it was taken, also after a restart, and then no more', async () => {
  const device = new TestDevice();
  const queue = await device.open();
  device.server.judge = ({ payload }) => (payload['id'] === 'bad' ? 'rejected' : 'applied');
  const { id } = await queue.add(note('bad'));
  await device.clock.pass(2_000);
  await queue.discard(id, 'Made \0 twice \ud800', { actor: 'bob' });
  await device.clock.pass(1);
  await (await queue.add({ type: 'log.write', payload: { line: 'x' }, delayMs: 60_000 })).cancel();
  device.server.isLosingAnswers = true;
  await queue.add(note('a'));
  await device.clock.pass(1_000);
  await queue.close();
  device.server.isLosingAnswers = false;
  const again = await device.open();
  await device.clock.pass(60_000);
  await again.add(note('b'));
  await device.clock.pass(2_000);

  const told = device.server.requests.flatMap(({ request }) => request.telemetry?.acts ?? []);
  expect(told.length).toBeGreaterThan(1);
  expect(new Set(told.map(({ key }) => key)).size).toBe(1);
  expect(told[0]).toMatchObject({
    kind: 'discard',
    actor: 'bob',
    reason: 'Made \ufffd twice \ufffd',
    ids: [id],
    touchedCount: 1,
  });
  expect(device.server.requests.at(-1)?.request.telemetry?.acts).toBeUndefined();
  expect(await again.listActs()).toMatchObject([{ kind: 'cancel' }, { kind: 'discard', actor: 'bob' }]);
});

test('P6 · many acts go a few at a time, and none is left out', async () => {
  const device = new TestDevice();
  const queue = await device.open();
  device.server.judge = ({ payload }) => (String(payload['id']).startsWith('bad') ? 'rejected' : 'applied');
  for (let index = 0; index < 45; index += 1) await queue.add(note(`bad${index}`));
  await device.clock.pass(10_000);
  const { deadLetters } = JSON.parse(await queue.exportDeadLetters()) as {
    readonly deadLetters: readonly { readonly id: string }[];
  };
  for (const { id } of deadLetters) await queue.discard(id, 'x'.repeat(10_000));
  for (let index = 0; index < 4; index += 1) {
    await queue.add(note(`good${index}`));
    await device.clock.pass(2_000);
  }

  const told = device.server.requests.flatMap(({ request }) => request.telemetry?.acts ?? []);
  expect(told.map(({ kind }) => kind)).toEqual(['export', ...deadLetters.map(() => 'discard')]);
  expect(new Set(told.flatMap(({ kind, ids }) => (kind === 'discard' ? ids : [])))).toEqual(
    new Set(deadLetters.map(({ id }) => id)),
  );
  expect(Math.max(...told.map((act) => JSON.stringify(act).length))).toBeLessThan(6_000);
});
