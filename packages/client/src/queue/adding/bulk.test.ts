import * as v from 'valibot';
import { expect, test } from 'vitest';
import { defineMutation } from '../../mutation/definition.ts';
import { createTestApp } from '../../testing/test-app.ts';
import { addMany, type BulkProgress } from './bulk.ts';

const archive = defineMutation({
  type: 'account.archive',
  payload: v.object({ id: v.string(), name: v.string() }),
  operation: 'create',
  entity: ({ id }) => ({ table: 'accounts', id }),
});
const inputs = (count: number, name = (at: number) => `Account ${at}`) =>
  Array.from({ length: count }, (_, at) => ({
    type: 'account.archive' as const,
    payload: { id: String(at), name: name(at) },
  }));

async function open(queueCapCount = 1_000) {
  return createTestApp({
    mutations: [archive],
    tables: { accounts: { check: ({ name }) => (name === 'bad' ? 'Not a name.' : null) } },
    queue: { queueCapCount },
  });
}

test('E4 · 5,000 rows go through a queue of 1,000, each once, with progress that only grows', async () => {
  const app = await open();
  app.network.setLatency(300);
  const run = addMany(app.queue, inputs(5_000));
  const seen: BulkProgress[] = [];
  run.subscribe(() => seen.push(run.getSnapshot()));

  const report = await app.clock.until(run.done);

  expect(report).toMatchObject({ state: 'done', confirmedCount: 5_000, failedCount: 0, doneShare: 1, failures: [] });
  expect(app.server.rows('accounts').length).toBe(5_000);
  expect(new Set(seen.map(({ state }) => state))).toEqual(new Set(['storing', 'waitingForRoom', 'delivering', 'done']));
  const shares = seen.map(({ doneShare }) => doneShare);
  expect(shares).toEqual(shares.toSorted((a, b) => a - b));
});

test('E4 · what fails is told one by one, with input and reason, and what fails does not hold up the others', async () => {
  const app = await open();
  const rows = inputs(300, (at) => (at % 100 === 0 ? 'bad' : `Account ${at}`));
  // @ts-expect-error -- a row that its schema refuses
  const run = addMany(app.queue, [...rows, { type: 'account.archive', payload: { id: 7 } }]);

  const { failures, ...report } = await app.clock.until(run.done);

  expect(report).toMatchObject({ confirmedCount: 297, failedCount: 4, storedCount: 300, underWayCount: 0 });
  expect(failures.map(({ index, error, id }) => [index, error.message, id !== null])).toEqual([
    [0, 'Not a name.', true],
    [100, 'Not a name.', true],
    [200, 'Not a name.', true],
    [300, expect.stringContaining('payload'), false],
  ]);
  expect(failures[1]?.input).toBe(rows[100]);
});

test('E4 · stopped, it stores no more, takes back what was never sent, and says what is under way', async () => {
  const app = await open(200);
  app.network.setLatency(300);
  const controller = new AbortController();
  const run = addMany(app.queue, inputs(1_000), { signal: controller.signal });
  await app.clock.until(() => run.getSnapshot().confirmedCount > 0);

  controller.abort();
  const report = await app.clock.until(run.done);

  expect(report.state).toBe('cancelled');
  const { confirmedCount, cancelledCount, underWayCount } = report;
  expect([underWayCount > 0, confirmedCount + cancelledCount + underWayCount]).toEqual([true, 1_000]);
  await app.drain();
  expect(app.server.rows('accounts').length).toBe(confirmedCount + underWayCount);
});

test('E4 · stopped while some are being stored, it takes those back, too, and counts what is so', async () => {
  const app = await open();
  app.network.setOffline();
  app.storage.setSlow(1_000);
  const run = addMany(app.queue, inputs(300));
  await app.clock.advance(1_500);
  expect(run.getSnapshot()).toMatchObject({ state: 'storing', storedCount: 100 });

  const stopping = run.cancel();
  expect(run.getSnapshot().state).toBe('cancelled');
  await app.clock.until(stopping);
  const report = await app.clock.until(run.done);
  app.network.setOnline();
  await app.drain();

  expect(report).toMatchObject({ cancelledCount: 300, confirmedCount: 0, underWayCount: 0 });
  expect([app.server.rows('accounts').length, run.getSnapshot().storedCount]).toEqual([0, 200]);
});

test('E4 · offline and full it waits, can be stopped, and leaves nothing behind', async () => {
  const app = await open(50);
  app.network.setOffline();
  const run = addMany(app.queue, inputs(120));
  await app.settle();
  expect(run.getSnapshot()).toMatchObject({ state: 'waitingForRoom', storedCount: 50, doneShare: 0 });

  await app.clock.until(run.cancel());

  expect(await run.done).toMatchObject({ state: 'cancelled', cancelledCount: 120, underWayCount: 0 });
  expect(app.queue.getSnapshot().pendingCount).toBe(0);
});

test('E4 · nothing to do is done, the same row twice is one change, and a chunk of none is refused', async () => {
  const app = await open();
  expect(await app.clock.until(addMany(app.queue, []).done)).toMatchObject({ state: 'done', doneShare: 1 });
  const [row] = inputs(1);
  if (row === undefined) throw new Error('There is one.');

  const report = await app.clock.until(addMany(app.queue, [row, row]).done);

  expect([report.confirmedCount, app.server.rows('accounts').length]).toEqual([2, 1]);
  expect(() => addMany(app.queue, [], { chunkCount: 0 })).toThrow('`chunkCount` must be a whole number above 0');
});
