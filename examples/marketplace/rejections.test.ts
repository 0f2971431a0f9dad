import { createTestApp, type TestApp } from 'holdfast/testing';
import { beforeEach, expect, test } from 'vitest';
import { mutations } from './marketplace.ts';
import { handlers, tables } from './marketplace-server.ts';

let app: TestApp<typeof mutations>;

beforeEach(async () => {
  app = await createTestApp({ mutations, tables, handlers });
});

const task = (id: string, title: string | null = 'Hang a lamp') =>
  ({ type: 'task.create', payload: { id, title, budget: 20 } }) as const;

test('K1 · the server does not answer for 30 s: the task is safe, and goes again under the same id', async () => {
  app.server.setErrorMode('timeout', { count: 1 });
  const { id } = await app.queue.add(task('lamp'));
  await app.clock.advance(29_999);
  expect(await app.queue.getMutationStatus(id)).toMatchObject({ status: 'processing' });

  await app.clock.advance(1);
  expect(await app.queue.getMutationStatus(id)).toMatchObject({ status: 'pending', attemptCount: 0 });
  await app.drain();

  expect(app.server.requests.map(({ mutations: sent }) => sent.map((mutation) => mutation.id))).toEqual([[id], [id]]);
  expect(app.server.rows('tasks')).toHaveLength(1);
});

test('K1 · 500: the app is told, keeps the task, and asks again at growing intervals', async () => {
  app.server.setErrorMode('serverError');
  const { id } = await app.queue.add(task('lamp'));
  await app.clock.advance(60_000);
  const status = await app.queue.getMutationStatus(id);
  expect(status).toMatchObject({ status: 'pending', waitingFor: 'circuit' });
  expect(status?.sentence).toBe('The server cannot serve at the moment; it is asked again at growing intervals.');
  expect(app.server.requests.length).toBeLessThan(10);

  app.server.setErrorMode(null);
  await app.drain();

  expect(app.server.rows('tasks')).toHaveLength(1);
});

test('K1 · invalid on the device: nothing is stored, and the form is told which field', async () => {
  const tooLong = { id: 'm1', conversationId: 'c1', text: 'x'.repeat(2_001) };

  const added = app.queue.add({ type: 'message.send', payload: tooLong });

  await expect(added).rejects.toMatchObject({ code: 'INVALID_PAYLOAD', issues: [{ path: ['text'] }] });
  expect(app.queue.getSnapshot().pendingCount).toBe(0);
});

test('K1 · invalid for the server: a dead letter with its words, which the user can correct', async () => {
  const { id, settled } = await app.queue.add({ type: 'user.rate', payload: { id: 'r1', userId: 'bob', stars: 9 } });

  await app.drain();

  expect(await settled).toMatchObject({ status: 'failed', error: { message: 'A rating has 1 to 5 stars.' } });
  expect(app.queue.getSnapshot()).toMatchObject({ pendingCount: 0, failedCount: 1 });
  expect(await app.queue.discard(id, 'corrected by the user')).toMatchObject({ touchedCount: 1 });
});

test('K1 · null where a value is required: rejected with the column, and others go on', async () => {
  const nameless = await app.queue.add(task('nameless', null));
  const lamp = await app.queue.add(task('lamp'));

  await app.drain();

  expect(await nameless.settled).toMatchObject({
    status: 'failed',
    error: { code: '23502', message: 'null value in column "title" of relation "tasks" violates not-null constraint' },
  });
  expect(await lamp.settled).toMatchObject({ status: 'completed' });
});

test('K1 · 100 requests, and then a limit: the rest waits as long as the server asks, and arrives', async () => {
  app.server.setRateLimit({ count: 100, windowMs: 60_000 });
  for (let number = 0; number < 120; number += 1) {
    await app.queue.add(task(`t${number}`));
    await app.settle();
  }
  expect(app.server.effects).toHaveLength(100);
  expect(app.queue.getSnapshot()).toMatchObject({ pendingCount: 20, waitingFor: 'rateLimit' });

  await app.drain();

  expect(app.server.rows('tasks')).toHaveLength(120);
  expect(app.clock.nowMs()).toBeLessThan(120_000);
});

test('K1 · an expired token is refreshed without a word; without a login everything waits, and nothing is lost', async () => {
  app.expireToken();
  await app.queue.add(task('lamp'));
  await app.drain();
  expect(app.server.rows('tasks')).toHaveLength(1);

  app.signOut();
  const { id } = await app.queue.add(task('shelf'));
  await app.clock.advance(7 * 24 * 3_600_000);
  expect(await app.queue.getMutationStatus(id)).toMatchObject({ status: 'pending', waitingFor: 'auth' });

  await app.signIn();
  await app.drain();
  expect(app.server.rows('tasks')).toHaveLength(2);
});
