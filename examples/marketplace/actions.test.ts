import { createTestApp, type TestApp } from 'holdfast/testing';
import { beforeEach, expect, test } from 'vitest';
import { mutations } from './marketplace.ts';
import { handlers, tables } from './marketplace-server.ts';

let app: TestApp<typeof mutations>;

beforeEach(async () => {
  app = await createTestApp({ mutations, tables, handlers, identity: { userId: 'ann', workspaceId: 'berlin' } });
  app.server.insert('profiles', { id: 'ann', name: 'Ann', balance: 50, credits: 0, mode: 'customer' });
  app.server.insert('tasks', { id: 'shelf', title: 'Build a shelf', budget: 40, status: 'open', acceptedBy: null });
});

/** What a user does, and what stands in the database when it has arrived. */
const ACTIONS = [
  {
    name: 'create a task',
    input: { type: 'task.create', payload: { id: 'lamp', title: 'Hang a lamp', budget: 20 } },
    table: 'tasks',
    row: { id: 'lamp', title: 'Hang a lamp', budget: 20, status: 'open', acceptedBy: null },
  },
  {
    name: 'accept a task',
    input: { type: 'task.accept', payload: { taskId: 'shelf' } },
    table: 'tasks',
    row: { id: 'shelf', title: 'Build a shelf', budget: 40, status: 'accepted', acceptedBy: 'ann' },
  },
  {
    name: 'complete a task',
    input: { type: 'task.complete', payload: { id: 'shelf', status: 'completed' } },
    table: 'tasks',
    row: { id: 'shelf', title: 'Build a shelf', budget: 40, status: 'completed', acceptedBy: null },
  },
  {
    name: 'send a message',
    input: { type: 'message.send', payload: { id: 'm1', conversationId: 'c1', text: 'On my way' } },
    table: 'messages',
    row: { id: 'm1', conversationId: 'c1', text: 'On my way' },
  },
  {
    name: 'rate a user',
    input: { type: 'user.rate', payload: { id: 'r1', userId: 'bob', stars: 5 } },
    table: 'ratings',
    row: { id: 'r1', userId: 'bob', stars: 5 },
  },
  {
    name: 'update the profile',
    input: { type: 'profile.update', payload: { id: 'ann', name: 'Ann B.' } },
    table: 'profiles',
    row: { id: 'ann', name: 'Ann B.', balance: 50, credits: 0, mode: 'customer' },
  },
  {
    name: 'purchase credits',
    input: { type: 'purchase', payload: { profileId: 'ann', credits: 10, price: 30 } },
    table: 'profiles',
    row: { id: 'ann', name: 'Ann', balance: 20, credits: 10, mode: 'customer' },
  },
  {
    name: 'switch the mode',
    input: { type: 'mode.switch', payload: { id: 'ann', mode: 'tasker' } },
    table: 'profiles',
    row: { id: 'ann', name: 'Ann', balance: 50, credits: 0, mode: 'tasker' },
  },
] as const;

test.each(ACTIONS)('K1 · $name: done offline, it survives the app and arrives once', async ({ input, table, row }) => {
  app.network.setOffline();
  const { id } = await app.queue.add(input);
  expect(await app.queue.getMutationStatus(id)).toMatchObject({ status: 'pending', waitingFor: 'network' });

  await app.restartApp();
  app.network.setOnline();
  await app.drain();

  expect(app.server.row(table, row.id)).toEqual(row);
  expect(app.server.effects.map((effect) => effect.id)).toEqual([id]);
});

test.each(ACTIONS)('K1 · $name: sent again because the answer got lost, it takes effect once', async ({ input }) => {
  app.server.setErrorMode('halfOpen', { count: 1 });
  const { id } = await app.queue.add(input);

  await app.drain();

  expect(app.server.requests).toHaveLength(2);
  expect(app.server.effects.map((effect) => effect.id)).toEqual([id]);
});

test('K1 · of two who accept the same task offline, one is told that the other was faster', async () => {
  const bob = await createTestApp({
    mutations,
    server: app.server,
    identity: { userId: 'bob', workspaceId: 'berlin' },
  });
  for (const device of [app, bob]) device.network.setOffline();
  const annAccepts = await app.queue.add({ type: 'task.accept', payload: { taskId: 'shelf' } });
  const bobAccepts = await bob.queue.add({ type: 'task.accept', payload: { taskId: 'shelf' } });

  bob.network.setOnline();
  await bob.drain();
  app.network.setOnline();
  await app.drain();

  expect(await bobAccepts.settled).toMatchObject({ status: 'completed' });
  expect(await annAccepts.settled).toMatchObject({ status: 'failed', error: { message: 'Somebody else was faster.' } });
  expect(app.server.row('tasks', 'shelf')).toMatchObject({ acceptedBy: 'bob' });
});

test('K1 · a conversation keeps its order, however bad the line is', async () => {
  app.network.setLatency(50, 2_000);
  app.network.setLoss({ requests: 0.3, answers: 0.3 });
  const words = ['Hello', 'Are you there?', 'I am at the door', 'Never mind'];

  for (const [index, text] of words.entries())
    await app.queue.add({ type: 'message.send', payload: { id: `m${index}`, conversationId: 'c1', text } });
  await app.drain();

  expect(app.server.rows('messages').map(({ text }) => text)).toEqual(words);
});

test('K1 · a day of work underground arrives when the train comes up', async () => {
  app.network.setOffline();
  for (let hour = 0; hour < 24; hour += 1) {
    await app.queue.add({
      type: 'message.send',
      payload: { id: `m${hour}`, conversationId: 'c1', text: `Hour ${hour}` },
    });
    await app.clock.advance(3_600_000);
  }

  app.network.setOnline();
  await app.drain();

  expect(app.server.rows('messages')).toHaveLength(24);
});
