import fc from 'fast-check';
import * as v from 'valibot';
import { expect, expectTypeOf, test } from 'vitest';
import { defineMutation } from '../mutation/definition.ts';
import { firstInOrder, type ListQuery, type MutationPage, readyQuery } from './list-query.ts';
import type { MutationQueue } from './mutation-queue.ts';
import { EngineRig } from '../engine/testing-engine/engine-rig.ts';
import { note, TestDevice } from './testing-queue/test-device.ts';

const save = defineMutation({
  type: 'row.save',
  payload: v.object({ id: v.string() }),
  operation: 'update',
  entity: ({ id }) => ({ table: 'rows', id }),
  dedupe: false,
});
const log = defineMutation({
  type: 'log',
  payload: v.object({ id: v.string() }),
  operation: 'custom',
  priority: 'low',
  dedupe: false,
});

/** Three rows and three lines, a minute apart; one of high priority. */
async function filled() {
  const device = new TestDevice();
  const queue = await device.openWith([save, log]);
  await device.goOffline();
  for (const id of ['a', 'b', 'c']) {
    await queue.add({ type: 'row.save', payload: { id }, priority: id === 'c' ? 'high' : 'normal' });
    await queue.add({ type: 'log', payload: { id } });
    await device.clock.pass(60_000);
  }
  return { device, queue };
}

async function allPages(
  queue: { listMutations(query?: ListQuery): Promise<MutationPage> },
  query: ListQuery,
  limit: number,
): Promise<readonly string[]> {
  const found: string[] = [];
  for (let after: string | null | undefined; after !== null; ) {
    const page: MutationPage = await queue.listMutations({ ...query, after, limit });
    expect(page.mutations.length).toBeLessThanOrEqual(limit);
    found.push(...page.mutations.map(({ type, entity }) => entity?.id ?? type));
    after = page.next;
  }
  return found;
}

test.each<[ListQuery, readonly string[]]>([
  [{}, ['a', 'log', 'b', 'log', 'c', 'log']],
  [{ order: 'descending' }, ['log', 'c', 'log', 'b', 'log', 'a']],
  [{ type: 'row.save' }, ['a', 'b', 'c']],
  [{ type: ['log', 'row.save'], lane: 'rows:b' }, ['b']],
  [{ priority: 'high' }, ['c']],
  [{ priority: 'medium', type: 'row.save' }, ['a', 'b']],
  [{ sort: 'priority' }, ['c', 'a', 'b', 'log', 'log', 'log']],
  [{ sort: 'type', order: 'descending', status: 'pending' }, ['c', 'b', 'a', 'log', 'log', 'log']],
  [{ sort: 'lane', type: 'row.save', order: 'descending' }, ['c', 'b', 'a']],
  [{ sort: 'age', type: 'row.save' }, ['c', 'b', 'a']],
  [{ olderThanMs: 90_000, type: 'row.save' }, ['a', 'b']],
  [{ newerThanMs: 150_000, type: 'row.save' }, ['b', 'c']],
  [{ status: ['failed', 'processing'] }, []],
])('S7 · %j lists what it asks for, whatever the size of the pages', async (query, expected) => {
  const { queue } = await filled();

  for (const limit of [1, 2, 5, 100]) expect(await allPages(queue, query, limit), `${limit} a page`).toEqual(expected);
});

test('S7 · confirmed ones are listed from storage, by type and age, also after a restart', async () => {
  const { device, queue } = await filled();
  await device.goOnline();
  await device.clock.pass(60_000);
  await queue.close();

  const again = await device.openWith([save, log]);
  for (const limit of [1, 2, 100])
    expect(await allPages(again, { status: 'completed', type: 'row.save' }, limit)).toEqual(['a', 'b', 'c']);
  expect(await allPages(again, { status: 'completed', olderThanMs: 220_000 }, 10)).toEqual(['a', 'log']);
});

test('S7 · what is settled or added between two pages is neither shown twice nor makes others be left out', async () => {
  const { queue } = await filled();
  const query = { sort: 'priority', limit: 2 } as const;

  const first = await queue.listMutations(query);
  await queue.cancel(first.mutations[0]?.id ?? '');
  await queue.add({ type: 'row.save', payload: { id: 'z' }, priority: 'high' });
  const second = await queue.listMutations({ ...query, after: first.next ?? undefined });

  expect(first.mutations.map(({ entity }) => entity?.id)).toEqual(['c', 'a']);
  expect(second.mutations.map(({ type, entity }) => entity?.id ?? type)).toEqual(['b', 'log']);
});

test.each<[ListQuery, string]>([
  [{ status: 'lost' } as never, '`status`'],
  [{ sort: 'size' } as never, '`sort`'],
  [{ order: 'up' } as never, '`order`'],
  [{ limit: 0 }, '`limit`'],
  [{ limit: 100_000 }, '`limit`'],
  [{ priority: 'urgent' } as never, '`priority`'],
  [{ olderThanMs: -1 }, '`olderThanMs`'],
  [{ newerThanMs: Number.NaN }, '`newerThanMs`'],
  [{ after: 'x' }, '`after`'],
  [{ status: 'completed', sort: 'priority' }, '`status`'],
])('S7 · %j is refused, and told why', async (query, named) => {
  const device = new TestDevice();
  const queue = await device.open();

  await expect(queue.listMutations(query as never)).rejects.toMatchObject({
    code: 'INVALID_OPTION',
    message: expect.stringContaining(named) as string,
  });
});

test('S7 · a cursor of another order is refused', async () => {
  const { queue } = await filled();
  const { next } = await queue.listMutations({ limit: 1 });

  await expect(queue.listMutations({ sort: 'type', after: next ?? '' })).rejects.toMatchObject({
    code: 'INVALID_OPTION',
  });
});

test('S7 · any mixture, any query: the pages together are what a plain sort gives', () => {
  const query = fc.record({
    sort: fc.constantFrom('added', 'age', 'priority', 'type', 'lane'),
    order: fc.constantFrom('ascending', 'descending'),
    limit: fc.integer({ min: 1, max: 7 }),
  });
  const headers = fc.array(
    fc.record({
      type: fc.constantFrom('a', 'b'),
      lane: fc.constantFrom('x', 'y', 'z'),
      priority: fc.constantFrom('high', 'normal', 'low'),
    }),
    { maxLength: 20 },
  );
  fc.assert(
    fc.property(headers, query, (mixture, asked) => {
      const rig = new EngineRig();
      rig.input({ kind: 'found', headers: mixture.map((each) => rig.header(each)), deadLetters: [] });
      const entries = [...rig.engine.mutations.all()];
      const whole = readyQuery({ ...asked, limit: 100 }, 0);
      const paged: number[] = [];
      for (let after: string | undefined; ; ) {
        const ready = readyQuery({ ...asked, after }, 0);
        const page = firstInOrder(entries, ready.limit, ready);
        paged.push(...page.map(({ header }) => header.seq));
        const last = page.at(-1);
        if (last === undefined) break;
        after = ready.cursorOf(last);
      }
      expect(paged).toEqual(entries.toSorted(whole.compare).map(({ header }) => header.seq));
    }),
  );
});

test('S7 · types of a query are those of the queue', () => {
  type Queue = MutationQueue<readonly [typeof save, typeof log]>;
  expectTypeOf<Parameters<Queue['listMutations']>[0]>().toEqualTypeOf<ListQuery<'row.save' | 'log'> | undefined>();
  // @ts-expect-error -- no such type is declared
  const wrong: Parameters<Queue['listMutations']>[0] = { type: 'row.svae' };
  expect(wrong).toBeDefined();
  expect(note('a').type).toBe('note.save');
});
