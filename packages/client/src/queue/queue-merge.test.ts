import fc from 'fast-check';
import * as v from 'valibot';
import { describe, expect, test } from 'vitest';
import { defineMutation } from '../mutation/definition.ts';
import { createOptimisticStore } from '../optimistic/optimistic-store.ts';
import type { MutationQueue } from './mutation-queue.ts';
import { type Notes, note, saveNote, TestDevice } from './testing-queue/test-device.ts';

const setFields = defineMutation({
  type: 'note.set',
  payload: v.object({ id: v.string(), fields: v.record(v.string(), v.pipe(v.string(), v.maxLength(20))) }),
  operation: 'update',
  entity: ({ id }) => ({ table: 'notes', id }),
  coalesce: (older, newer) => {
    if (newer.fields['throw'] !== undefined) throw new Error('cannot be merged');
    return { id: newer.id, fields: { ...older.fields, ...newer.fields } };
  },
  optimistic: (draft: Notes, { id, fields }) => {
    draft.notes[id] = Object.values(fields).join(' ');
  },
});
const countUp = defineMutation({
  type: 'count.up',
  payload: v.object({ by: v.number() }),
  operation: 'custom',
  dedupe: false,
});
const visit = defineMutation({
  type: 'visit',
  payload: v.object({ page: v.string(), atMs: v.number() }),
  operation: 'custom',
  dedupe: ({ page }) => page,
});
const call = defineMutation({
  type: 'call',
  payload: v.object({ line: v.string(), atMs: v.number(), durationMs: v.number() }),
  operation: 'custom',
  dedupe: {
    key: ({ line }) => line,
    near: [
      { value: ({ atMs }) => atMs, tolerance: 1_000 },
      { value: ({ durationMs }) => durationMs, tolerance: 1_000 },
    ],
  },
});
const MUTATIONS = [saveNote, setFields, countUp, visit, call] as const;
type Queue = MutationQueue<typeof MUTATIONS>;

async function open(device: TestDevice): Promise<Queue> {
  const queue = device.create({ mutations: MUTATIONS as never }) as unknown as Queue;
  await device.clock.settle();
  return queue;
}

async function offline(): Promise<{ device: TestDevice; queue: Queue }> {
  const device = new TestDevice();
  const queue = await open(device);
  await device.goOffline();
  return { device, queue };
}

/** Two tabs, paused: the first delivers. */
async function twoTabs(): Promise<{ device: TestDevice; leader: Queue; other: Queue }> {
  const device = new TestDevice();
  const leader = await open(device);
  await leader.pause();
  const other = await open(device);
  return { device, leader, other };
}

const set = (id: string, fields: Record<string, string>) => ({ type: 'note.set', payload: { id, fields } }) as const;
const calls = (line: string, atMs: number, durationMs = 0) =>
  ({ type: 'call', payload: { line, atMs, durationMs } }) as const;

function sentPayloads(device: TestDevice): unknown[] {
  return device.server.requests.flatMap(({ request }) => request.mutations.map(({ payload }) => payload));
}

describe('duplicates', () => {
  test('Q9 · one equal to the newest of its lane, which was never sent, is dropped; both callers hold the same one', async () => {
    const { device, queue } = await offline();
    const first = await queue.add(note('a', 'x'));

    const second = await queue.add(note('a', 'x'));

    expect([first.deduplicated, second.deduplicated]).toEqual([false, true]);
    expect(second.id).toBe(first.id);
    await device.goOnline();
    expect(await second.settled).toMatchObject({ status: 'completed', id: first.id });
    expect(sentPayloads(device)).toEqual([{ id: 'a', text: 'x' }]);
  });

  test('Q9 · one that has something else behind it in its lane stays: the order of values matters', async () => {
    const { device, queue } = await offline();
    for (const text of ['1', '2', '1']) await queue.add(note('a', text));
    await queue.add(note('b', '1'));

    await device.goOnline();
    expect(sentPayloads(device).map((payload) => (payload as { text: string }).text)).toEqual(
      expect.arrayContaining(['1', '2', '1', '1']) as unknown[],
    );
    expect(sentPayloads(device)).toHaveLength(4);
  });

  test('Q9 · what may have been sent is no reason to drop anything', async () => {
    const device = new TestDevice();
    const queue = await open(device);
    device.server.hold();
    const first = await queue.add(note('a', 'x'));
    await device.clock.settle();

    const second = await queue.add(note('a', 'x'));

    expect(second).toMatchObject({ deduplicated: false });
    expect(second.id).not.toBe(first.id);
    device.server.release();
    await device.clock.settle();
    expect(device.server.effects).toEqual([first.id, second.id]);
  });

  test('Q9 · calls made together drop each other too, and share one commit', async () => {
    const { device, queue } = await offline();
    device.storage.commits = [];

    const handles = await Promise.all(['x', 'x', 'y', 'y', 'x'].map((text) => queue.add(note('a', text))));

    expect(handles.map(({ deduplicated }) => deduplicated)).toEqual([false, true, false, true, false]);
    expect(handles.map(({ id }) => handles.findIndex((each) => each.id === id))).toEqual([0, 0, 2, 2, 4]);
    expect(device.storage.commits).toHaveLength(1);
  });

  test('Q9 · off for a type, each counts; with a key of its own, the key decides', async () => {
    const { queue } = await offline();

    const counts = [await queue.add({ type: 'count.up', payload: { by: 1 } })];
    counts.push(await queue.add({ type: 'count.up', payload: { by: 1 } }));
    const visits = [await queue.add({ type: 'visit', payload: { page: 'home', atMs: 1 } })];
    visits.push(await queue.add({ type: 'visit', payload: { page: 'home', atMs: 2 } }));
    visits.push(await queue.add({ type: 'visit', payload: { page: 'about', atMs: 2 } }));

    expect(counts.map(({ deduplicated }) => deduplicated)).toEqual([false, false]);
    expect(visits.map(({ deduplicated }) => deduplicated)).toEqual([false, true, false]);
  });

  test('Q9 · one that is to be sent under other conditions is no duplicate', async () => {
    const { queue } = await offline();
    const first = await queue.add(note('a', 'x'));
    const parent = await queue.add(note('parent', 'x'));

    for (const options of [
      { priority: 'high' },
      { delayMs: 5_000 },
      { maxRetries: 0 },
      { dependsOn: [parent] },
    ] as const)
      expect(await queue.add({ ...note('a', 'x'), ...options })).toMatchObject({ deduplicated: false });
    expect(await queue.add({ ...note('a', 'x'), dependsOn: [parent] })).toMatchObject({ deduplicated: true });
    expect(first.deduplicated).toBe(false);
  });

  test('Q9 · two tabs that add the same at once store it once, whoever delivers', async () => {
    const { device, leader, other } = await twoTabs();

    const first = await other.add(note('a', 'x'));
    const handles = await Promise.all([leader.add(note('a', 'x')), other.add(note('a', 'x'))]);

    expect(handles.map(({ id }) => id)).toEqual([first.id, first.id]);
    await leader.resume();
    await device.clock.settle();
    expect(sentPayloads(device)).toEqual([{ id: 'a', text: 'x' }]);
  });

  test('Q9 · two tabs that have seen nothing of each other store it once too', async () => {
    const { device, leader, other } = await twoTabs();
    device.browser.isLosingMessages = true;
    await leader.add(note('b', 'x'));
    device.browser.isLosingMessages = false;

    const handles = await Promise.all([leader.add(note('a', 'x')), other.add(note('a', 'x'))]);

    expect(handles.filter(({ deduplicated }) => deduplicated)).toHaveLength(1);
  });

  test('Q9 · what another tab has put behind it unheard keeps it from being dropped', async () => {
    const { device, leader, other } = await twoTabs();
    await leader.add(note('a', '1'));
    await device.clock.settle();
    device.browser.isLosingMessages = true;
    await other.add(note('a', '2'));

    const handle = await leader.add(note('a', '1'));

    expect(handle.deduplicated).toBe(false);
    await leader.resume();
    await device.clock.settle();
    expect(sentPayloads(device).map((payload) => (payload as { text: string }).text)).toEqual(['1', '2', '1']);
  });

  test('Q9 · when the tab that delivers does not answer, the mutation is added within a quarter of a second, and the next at once', async () => {
    const { device, other } = await twoTabs();
    await other.add(note('a', 'x'));
    device.browser.isLosingMessages = true;

    const adding = other.add(note('a', 'x'));
    await device.clock.pass(250);
    expect(await adding).toMatchObject({ deduplicated: false });
    expect(await other.add(note('a', 'x'))).toMatchObject({ deduplicated: false });
  });
});

describe('ids of the app', () => {
  const id = '0190d3a0-0000-4000-8000-00000000000A';

  test('Q9 · the same id with the same payload is one mutation, whatever became of it, also after a restart', async () => {
    const device = new TestDevice();
    const queue = await open(device);
    const first = await queue.add({ ...note('a', 'x'), id });
    expect(first).toMatchObject({ id: id.toLowerCase(), deduplicated: false });
    await first.settled;

    const second = await queue.add({ ...note('a', 'x'), id });
    expect(second).toMatchObject({ id: first.id, deduplicated: true });
    expect(await second.settled).toMatchObject({ status: 'completed' });
    await queue.close();
    const again = await open(device);

    expect(await again.add({ ...note('a', 'x'), id })).toMatchObject({ deduplicated: true });
    expect(device.server.effects).toEqual([first.id]);
  });

  test('Q9 · the same id with another payload is refused, and nothing is stored', async () => {
    const { device, queue } = await offline();
    await queue.add({ ...note('a', 'x'), id });
    const auto = await queue.add(note('b', 'x'));
    const before = await device.storage.dump();

    await expect(queue.add({ ...note('a', 'y'), id })).rejects.toMatchObject({ code: 'ID_REUSED' });
    await expect(queue.add({ ...note('a', 'y'), id: 'mine' })).rejects.toMatchObject({ code: 'INVALID_OPTION' });
    const [own, other] = await Promise.allSettled([
      queue.add({ ...note('c', 'x'), id: id.replace('A', 'B') }),
      queue.add({ ...note('c', 'y'), id: id.replace('A', 'B') }),
    ]);
    expect([own.status, other.status]).toEqual(['fulfilled', 'rejected']);
    expect(Object.keys(before)).toContain(`i/${id.toLowerCase()}`);
    expect(Object.keys(before)).not.toContain(`i/${auto.id}`);
  });

  test('Q9 · two tabs that add one id at once store it once', async () => {
    const { device, leader, other } = await twoTabs();

    const handles = await Promise.all([leader, other].map((queue) => queue.add({ ...note('a', 'x'), id })));

    expect(handles.filter(({ deduplicated }) => deduplicated)).toHaveLength(1);
    await leader.resume();
    await device.clock.settle();
    expect(device.server.effects).toEqual([id.toLowerCase()]);
  });

  test('Q9 · an id of its own is not dropped as a duplicate of another', async () => {
    const { queue } = await offline();
    await queue.add(note('a', 'x'));

    expect(await queue.add({ ...note('a', 'x'), id })).toMatchObject({ deduplicated: false, id: id.toLowerCase() });
  });
});

describe('merging', () => {
  test('Q11 · ten edits made offline are one request with the last values', async () => {
    const { device, queue } = await offline();
    const first = await queue.add(set('a', { title: '0' }));

    for (let edit = 1; edit < 10; edit += 1)
      expect(await queue.add(set('a', edit % 2 === 0 ? { title: `${edit}` } : { body: `${edit}` }))).toMatchObject({
        id: first.id,
        coalesced: true,
      });

    expect(queue.getSnapshot().pendingCount).toBe(1);
    await device.goOnline();
    expect(sentPayloads(device)).toEqual([{ id: 'a', fields: { title: '8', body: '9' } }]);
    expect(await first.settled).toMatchObject({ status: 'completed' });
  });

  test('Q11 · edits made together are merged before they are stored', async () => {
    const { device, queue } = await offline();
    device.storage.commits = [];

    const handles = await Promise.all(['1', '2', '3'].map((title) => queue.add(set('a', { title }))));

    expect(handles.map(({ coalesced }) => coalesced)).toEqual([false, true, true]);
    expect((await queue.readPending()).map(({ payload }) => payload)).toEqual([{ id: 'a', fields: { title: '3' } }]);
    expect(device.storage.commits).toHaveLength(1);
  });

  test('Q11 · after a restart what was merged is there, and counts as possibly sent: the next edit is a new one', async () => {
    const { device, queue } = await offline();
    await queue.add(set('a', { title: '1' }));
    await queue.add(set('a', { title: '2' }));
    await queue.close();

    const again = await open(device);
    expect(await again.add(set('a', { title: '3' }))).toMatchObject({ coalesced: false });

    await device.goOnline();
    await device.clock.pass(60_000);
    expect(sentPayloads(device)).toMatchObject([{ fields: { title: '2' } }, { fields: { title: '3' } }]);
  });

  test('Q11 · what is on its way stays as it is: the edit comes behind it, and the next one is merged into that', async () => {
    const device = new TestDevice();
    const queue = await open(device);
    device.server.hold();
    await queue.add(set('a', { title: '1' }));
    await device.clock.settle();

    expect(await queue.add(set('a', { title: '2' }))).toMatchObject({ coalesced: false });
    expect(await queue.add(set('a', { title: '3' }))).toMatchObject({ coalesced: true });

    device.server.release();
    await device.clock.settle();
    expect(sentPayloads(device)).toMatchObject([{ fields: { title: '1' } }, { fields: { title: '3' } }]);
  });

  test('Q11 · only into the newest of the lane, and only of the same type', async () => {
    const { queue } = await offline();
    await queue.add(set('a', { title: '1' }));
    await queue.add(note('a', 'x'));

    expect(await queue.add(set('a', { title: '2' }))).toMatchObject({ coalesced: false });
    expect(await queue.add(set('b', { title: '2' }))).toMatchObject({ coalesced: false });
  });

  test('Q11 · never into one about another row, though they share a lane', async () => {
    const device = new TestDevice();
    const wide = defineMutation({ ...setFields, lane: () => 'all notes' });
    const queue = device.create({ mutations: [wide] as never }) as unknown as Queue;
    await device.clock.settle();
    await device.goOffline();
    await queue.add(set('a', { title: '1' }));

    expect(await queue.add(set('b', { title: '2' }))).toMatchObject({ coalesced: false });

    expect((await queue.readPending()).map(({ payload }) => payload['id'])).toEqual(['a', 'b']);
  });

  test('Q11 · two tabs merge into one, and every view shows it', async () => {
    const { device, leader, other } = await twoTabs();
    const views = [leader, other].map((queue) =>
      createOptimisticStore<Notes>({ queue: queue as never, base: { notes: {} } }),
    );
    const first = await other.add(set('a', { title: 'first' }));
    await device.clock.settle();

    const second = await leader.add(set('a', { body: 'second' }));
    await device.clock.settle();
    const third = await other.add(set('a', { body: 'third' }));
    await device.clock.settle();

    expect([second, third]).toMatchObject([
      { id: first.id, coalesced: true },
      { id: first.id, coalesced: true },
    ]);
    expect(views.map((view) => view.getSnapshot().notes)).toEqual([{ a: 'third first' }, { a: 'third first' }]);
    await leader.resume();
    await device.clock.settle();
    expect(sentPayloads(device)).toEqual([{ id: 'a', fields: { title: 'first', body: 'third' } }]);
  });

  test('Q11 · when only the news of a merge is lost, the tab that delivers finds it before it sends', async () => {
    const device = new TestDevice();
    const leader = await open(device);
    await leader.pause();
    const other = device.create({
      mutations: MUTATIONS as never,
      tabs: (name) => {
        const tabs = device.browser.openTabs(name);
        const post: typeof tabs.post = (message) => {
          if ((message as { kind: string }).kind !== 'amended') tabs.post(message);
        };
        return { ...tabs, post };
      },
    }) as unknown as Queue;
    await device.clock.settle();
    await other.add(set('a', { title: '1' }));
    await device.clock.settle();

    expect(await other.add(set('a', { title: '2' }))).toMatchObject({ coalesced: true });
    await leader.resume();
    await device.clock.pass(2_000);

    expect(sentPayloads(device)).toEqual([{ id: 'a', fields: { title: '2' } }]);
    expect(leader.getSnapshot()).toMatchObject({ pendingCount: 0, failedCount: 0 });
  });

  test('Q11 · what cannot be merged is stored by itself: nothing is lost, and why is reported', async () => {
    const { device, queue } = await offline();
    const errors: string[] = [];
    queue.onError(({ message }) => errors.push(message));
    await queue.add(set('a', { title: '1' }));

    expect(await queue.add(set('a', { throw: '!' }))).toMatchObject({ coalesced: false });

    expect(errors).toEqual(['cannot be merged']);
    await device.goOnline();
    expect(sentPayloads(device)).toHaveLength(2);
  });

  test('Q12 · a merge that passes the cap is refused, and leaves what is stored as it was', async () => {
    const device = new TestDevice();
    const queue = device.create({ mutations: MUTATIONS as never, queueCapBytes: 60 }) as unknown as Queue;
    await device.clock.settle();
    await device.goOffline();
    await queue.add(set('a', { title: '1' }));
    const before = await device.storage.dump();

    await expect(queue.add(set('a', { body: '123456789 123456789' }))).rejects.toMatchObject({ code: 'QUEUE_FULL' });

    expect(await device.storage.dump()).toEqual(before);
    await device.clock.pass(2_000);
    expect((await queue.readPending()).map(({ payload }) => payload)).toEqual([{ id: 'a', fields: { title: '1' } }]);
  });

  test.each([
    ['hold', 2],
    ['continue', 1],
  ] as const)(
    'Q11 · behind a dead letter that is to `%s` its lane, nothing is merged into what stands before it',
    async (onDeadLetter, count) => {
      const device = new TestDevice();
      const types = [{ ...setFields, onDeadLetter, lane: () => 'all' }, saveNote, countUp, visit, call] as const;
      const queue = device.create({ mutations: types as never }) as unknown as Queue;
      await device.goOffline();
      await queue.add(set('a', { title: 'one' }));
      await queue.add({ ...set('b', { title: 'two' }), expiresAt: device.clock.wallMs() + 1_000 });
      await device.clock.pass(2_000);
      expect(queue.getSnapshot()).toMatchObject({ pendingCount: 1, failedCount: 1 });

      const { coalesced } = await queue.add(set('a', { title: 'three' }));

      expect(coalesced).toBe(onDeadLetter === 'continue');
      expect(queue.getSnapshot().pendingCount).toBe(count);
    },
  );

  test('Q15 · an undo window begins anew with each edit that is merged', async () => {
    const device = new TestDevice();
    const queue = await open(device);
    const first = await queue.add({ ...set('a', { title: '1' }), delayMs: 5_000 });
    await device.clock.pass(4_000);
    await queue.add({ ...set('a', { title: '2' }), delayMs: 5_000 });

    await device.clock.pass(4_000);
    expect(sentPayloads(device)).toEqual([]);
    await device.clock.pass(1_000);
    expect(sentPayloads(device)).toMatchObject([{ fields: { title: '2' } }]);
    expect(await first.settled).toMatchObject({ status: 'completed' });
  });
});

describe('duplicates that are alike', () => {
  test('Q10 · within the tolerance of the earliest it is one event; what is only near to a dropped one is another', async () => {
    const { queue } = await offline();

    const handles = [];
    for (const atMs of [0, 900, 1_800, 1_000, 2_800]) handles.push(await queue.add(calls('home', atMs)));

    expect(handles.map(({ deduplicated }) => deduplicated)).toEqual([false, true, false, true, true]);
    expect(handles[3]?.id).toBe(handles[0]?.id);
    expect(handles[4]?.id).toBe(handles[2]?.id);
  });

  test('Q10 · the exact part must be equal, and every number near', async () => {
    const { queue } = await offline();
    await queue.add(calls('home', 0, 5_000));

    expect(await queue.add(calls('work', 0, 5_000))).toMatchObject({ deduplicated: false });
    expect(await queue.add(calls('home', 0, 6_001))).toMatchObject({ deduplicated: false });
    expect(await queue.add(calls('home', 1_000, 4_000))).toMatchObject({ deduplicated: true });
  });

  test('Q10 · others may lie between them in the lane, and another tab may have added the first', async () => {
    const { device, leader, other } = await twoTabs();
    const first = await leader.add(calls('home', 0));
    await leader.add(calls('work', 0));
    await device.clock.settle();

    expect(await other.add(calls('home', 500))).toMatchObject({ deduplicated: true, id: first.id });
  });

  test('Q10 · any events, in any groups: each is stored unless one stored before it is near', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.record({
            line: fc.constantFrom('a', 'b'),
            atMs: fc.nat(6_000),
            durationMs: fc.nat(3_000),
            isLast: fc.boolean(),
          }),
          { maxLength: 25 },
        ),
        async (events) => {
          const { queue } = await offline();
          const kept: { line: string; atMs: number; durationMs: number; id: string }[] = [];
          let group: Promise<{ id: string; deduplicated: boolean }>[] = [];
          const got: { id: string; deduplicated: boolean }[] = [];
          for (const { isLast, line, atMs, durationMs } of events) {
            group.push(queue.add(calls(line, atMs, durationMs)));
            if (!isLast) continue;
            got.push(...(await Promise.all(group)));
            group = [];
          }
          got.push(...(await Promise.all(group)));

          for (const [index, { line, atMs, durationMs }] of events.entries()) {
            const match = kept.find(
              (each) =>
                each.line === line &&
                Math.abs(each.atMs - atMs) <= 1_000 &&
                Math.abs(each.durationMs - durationMs) <= 1_000,
            );
            const { id = '', deduplicated } = got[index] ?? {};
            expect([deduplicated, match === undefined || match.id === id]).toEqual([match !== undefined, true]);
            if (match === undefined) kept.push({ line, atMs, durationMs, id });
          }
          await queue.close();
        },
      ),
      { numRuns: 40 },
    );
  });
});
