import * as v from 'valibot';
import { describe, expect, test } from 'vitest';
import { type ConflictStrategy, defineMutation } from '../mutation/definition.ts';
import type { OpenStorage } from '../ports/storage.ts';
import { soloTabs } from '../tabs/solo-tabs.ts';
import { TestDevice } from './testing-queue/test-device.ts';
import { unheardCommit } from './testing-queue/unheard-commit.ts';

type Edit = { readonly id: string; readonly title?: string; readonly body?: string };

const payload = v.object({ id: v.string(), title: v.exactOptional(v.string()), body: v.exactOptional(v.string()) });
const entity = ({ id }: { id: string }) => ({ table: 'notes', id });
const types = (conflict: ConflictStrategy<Edit>) =>
  [
    defineMutation({ type: 'note.edit', payload, operation: 'update', entity, conflict }),
    defineMutation({ type: 'note.set', payload, operation: 'update', entity }),
    defineMutation({ type: 'note.create', payload, operation: 'create', entity }),
    defineMutation({ type: 'note.remove', payload, operation: 'delete', entity }),
    defineMutation({
      type: 'note.type',
      payload,
      operation: 'update',
      entity,
      conflict,
      coalesce: (older, newer) => ({ ...older, ...newer }),
    }),
  ] as const;

const ROW = { id: 'a', title: 'one', body: 'text', version: 3 };
const base = { rowVersion: 3, row: ROW };
const edit = (more: Omit<Edit, 'id'>) => ({ type: 'note.edit', payload: { id: 'a', ...more }, base }) as const;
const typed = (more: Omit<Edit, 'id'>) => ({ type: 'note.type', payload: { id: 'a', ...more }, base }) as const;

async function deviceWith(row: typeof ROW | null): Promise<TestDevice> {
  const device = new TestDevice();
  if (row !== null) device.server.rows.set('a', row);
  return device;
}

const sentBases = (device: TestDevice) =>
  device.server.requests.flatMap(({ request }) => request.mutations.map((mutation) => mutation.base?.rowVersion));

describe('edits that one tab makes in the same moment', () => {
  test('C1 · they are no conflict with each other, and share one commit', async () => {
    const device = await deviceWith(ROW);
    const queue = await device.openWith(types('server-wins'));
    device.storage.commits = [];
    const adding = ['two', 'three', 'four'].map((title) => queue.add(edit({ title })));
    const handles = await Promise.all(adding);
    expect(device.storage.commits).toHaveLength(1);

    for (const handle of handles) expect(await handle.settled).toMatchObject({ status: 'completed' });

    expect(sentBases(device)).toEqual([3, 4, 5]);
    expect(device.server.rows.get('a')).toMatchObject({ title: 'four' });
    await queue.close();
  });

  test('C1 · nor when the second is checked while the first is being stored', async () => {
    const device = await deviceWith(ROW);
    const slow = new SlowCommit(device.storage.open);
    const queue = await device.openWith(types('server-wins'), { storage: slow.open });
    slow.hold();
    const first = queue.add(edit({ title: 'two' }));
    await device.clock.settle();
    const second = queue.add(edit({ title: 'three' }));
    await device.clock.settle();

    slow.release();

    for (const handle of await Promise.all([first, second]))
      expect(await handle.settled).toMatchObject({ status: 'completed' });
    expect(sentBases(device)).toEqual([3, 4]);
    await queue.close();
  });

  test('C1 · what someone else has changed meanwhile is still a conflict, once', async () => {
    const device = await deviceWith({ ...ROW, title: 'theirs', body: 'theirs', version: 4 });
    const queue = await device.openWith(types('merge'));
    const whole = (title: string) => edit({ title, body: 'text' });
    const [first, second] = await Promise.all([queue.add(whole('two')), queue.add(whole('three'))]);
    await device.clock.settle();
    expect(await queue.getMutationStatus(first.id)).toMatchObject({ waitingFor: 'conflict' });

    await queue.resolveConflict(first.id, 'mine', { actor: 'ann' });

    expect(await second.settled).toMatchObject({ status: 'completed' });
    expect(device.server.rows.get('a')).toMatchObject({ title: 'three', body: 'theirs' });
    await queue.close();
  });

  test('C1 · behind a creation an edit needs no base', async () => {
    const device = await deviceWith(null);
    const queue = await device.openWith(types('merge'));
    await device.goOffline();
    const creating = queue.add({ type: 'note.create', payload: { id: 'a', title: 'new' } });
    const edited = await queue.add({ type: 'note.edit', payload: { id: 'a', title: 'newer' } });
    await creating;
    device.server.rows.set('a', { id: 'a', version: 0 });
    await device.goOnline();
    expect(await edited.settled).toMatchObject({ status: 'completed', result: { title: 'newer', version: 2 } });
    expect(sentBases(device)).toEqual([undefined, 1]);
    await queue.close();
  });

  test('C1, Q1 · the verdict says which version of its row a mutation has left, also after a restart', async () => {
    const device = await deviceWith(ROW);
    const queue = await device.openWith(types('merge'));
    const { id, settled } = await queue.add(edit({ title: 'two' }));
    expect(await settled).toMatchObject({ status: 'completed', rowVersion: 4 });
    await queue.close();

    const reopened = await device.openWith(types('merge'));

    expect(await reopened.settled(id)).toEqual({
      status: 'completed',
      id,
      result: null,
      wasRepeat: true,
      rowVersion: 4,
    });
    await reopened.close();
  });

  test('C1 · behind a creation whose row begins to count at another number than 1 it gives way to nobody', async () => {
    const device = await deviceWith(null);
    const queue = await device.openWith(types('server-wins'));
    await device.goOffline();
    await queue.add({ type: 'note.create', payload: { id: 'a', title: 'new' } });
    const edited = await queue.add({ type: 'note.edit', payload: { id: 'a', title: 'newer' } });
    // A column with a default of 1, say, which the first change already counts up.
    device.server.rows.set('a', { id: 'a', version: 1 });
    await device.goOnline();

    expect(await edited.settled).toMatchObject({ status: 'completed', result: { title: 'newer', version: 3 } });
    expect(sentBases(device)).toEqual([undefined, 2]);
    await queue.close();
  });

  test('C1 · behind a deletion it is held to what its app gave', async () => {
    const device = await deviceWith(ROW);
    const queue = await device.openWith(types('merge'));
    const [, second] = await Promise.all([
      queue.add({ type: 'note.remove', payload: { id: 'a' } }),
      queue.add(edit({ title: 'two' })),
    ]);
    await device.clock.settle();
    expect(sentBases(device)).toEqual([undefined, 3]);
    expect(await queue.getMutationStatus(second.id)).toMatchObject({ waitingFor: 'conflict' });
    await queue.close();
  });

  test('C1 · behind one that is refused it is made on the row as it was', async () => {
    const device = await deviceWith(ROW);
    const queue = await device.openWith(types('server-wins'));
    const refused = queue.add(edit({ title: 5 as unknown as string }));
    const second = queue.add(edit({ title: 'two' }));
    await expect(refused).rejects.toMatchObject({ code: 'INVALID_PAYLOAD' });
    expect(await (await second).settled).toMatchObject({ status: 'completed' });
    expect(sentBases(device)).toEqual([3]);
    await queue.close();
  });

  test('C1, Q11 · of a type that merges they are one, made on what the first was made on', async () => {
    const device = await deviceWith(ROW);
    const queue = await device.openWith(types('server-wins'));
    const handles = await Promise.all([queue.add(typed({ title: 'two' })), queue.add(typed({ body: 'more' }))]);
    expect(handles.map(({ coalesced }) => coalesced)).toEqual([false, true]);
    expect(await handles[0]?.settled).toMatchObject({ status: 'completed' });
    expect(sentBases(device)).toEqual([3]);
    expect(device.server.rows.get('a')).toMatchObject({ title: 'two', body: 'more' });
    await queue.close();
  });
});

describe('edits behind a group that changes their row', () => {
  const set = (id: string, title: string) => ({ type: 'note.set', payload: { id, title } }) as const;

  test('C1, R8 · they are made on what it leaves, whoever wins conflicts', async () => {
    const device = await deviceWith(ROW);
    device.server.rows.set('b', { ...ROW, id: 'b', version: 7 });
    const queue = await device.openWith(types('server-wins'));
    await device.goOffline();
    await queue.addAtomic([set('a', 'group'), set('b', 'group'), set('a', 'group, twice')]);
    const first = await queue.add(edit({ title: 'mine' }));
    const second = await queue.add({
      ...edit({ body: 'mine too' }),
      payload: { id: 'b', body: 'mine too' },
      base: { rowVersion: 7, row: { ...ROW, id: 'b' } },
    });

    await device.goOnline();
    await device.clock.pass(60_000);

    expect(await first.settled).toMatchObject({ status: 'completed' });
    expect(await second.settled).toMatchObject({ status: 'completed' });
    expect(sentBases(device)).toEqual([undefined, 5, 8]);
    expect(device.server.rows.get('a')).toMatchObject({ title: 'mine', version: 6 });
    expect(device.server.rows.get('b')).toMatchObject({ title: 'group', body: 'mine too' });
    await queue.close();
  });

  test('C1, R8 · what someone else has changed before it is still a conflict', async () => {
    const device = await deviceWith({ ...ROW, body: 'theirs', version: 4 });
    const queue = await device.openWith(types('server-wins'));
    await device.goOffline();
    await queue.addAtomic([set('a', 'group')]);
    const mine = await queue.add(edit({ body: 'mine' }));

    await device.goOnline();
    await device.clock.pass(60_000);

    expect(await mine.settled).toMatchObject({ status: 'cancelled', reason: 'superseded' });
    await queue.close();
  });

  test('C1, R8 · confirmed before, it counts for an app that has not read the row again', async () => {
    const device = await deviceWith(ROW);
    const queue = await device.openWith(types('server-wins'));
    const group = await queue.addAtomic([set('a', 'group')]);
    await group.settled;

    const mine = await queue.add(edit({ body: 'mine' }));

    expect(await mine.settled).toMatchObject({ status: 'completed' });
    expect(sentBases(device)).toEqual([undefined, 4]);
    await queue.close();
  });

  test('C1, R8 · stored while the group was confirmed, in a tab that ended before it heard of it, it is no conflict either', async () => {
    const device = await deviceWith(ROW);
    const second = unheardCommit((name) => device.storage.open(name), 'p/00000000002');
    const queue = await device.openWith(types('server-wins'), { storage: second.storage });
    await device.goOffline();
    await queue.addAtomic([set('a', 'group')]);
    void queue.add(edit({ body: 'mine' }));
    await device.goOnline();
    expect(device.server.rows.get('a')).toMatchObject({ title: 'group', version: 4 });
    second.goOn();
    await device.clock.settle();

    const again = await device.openWith(types('server-wins'), { tabs: soloTabs });
    await device.clock.pass(5_000);

    expect(device.server.rows.get('a')).toMatchObject({ title: 'group', body: 'mine', version: 5 });
    expect((await again.getStatus()).counts).toMatchObject({ pending: 0, completed: 2 });
    await again.close();
  });
});

describe('edits of another tab', () => {
  test('C1, Q11 · one is merged into another tab’s only if it has seen that; else both are told apart', async () => {
    const device = await deviceWith(ROW);
    const leader = await device.openWith(types('merge'));
    const other = await device.openWith(types('merge'));
    await device.goOffline();
    const [first, second] = await Promise.all([
      leader.add(typed({ title: 'two' })),
      other.add(typed({ title: 'three' })),
    ]);
    expect(second).toMatchObject({ coalesced: false, deduplicated: false });

    await device.goOnline();
    await device.clock.pass(60_000);

    expect(await first.settled).toMatchObject({ status: 'completed' });
    expect(await leader.getMutationStatus(second.id)).toMatchObject({ waitingFor: 'conflict' });
    await Promise.all([leader.close(), other.close()]);
  });

  test('C1, Q11 · what the tab has seen it is merged into', async () => {
    const device = await deviceWith(ROW);
    const leader = await device.openWith(types('merge'));
    const other = await device.openWith(types('merge'));
    await device.goOffline();
    const first = await leader.add(typed({ title: 'two' }));
    await device.clock.settle();
    expect(await other.add(typed({ title: 'three' }))).toMatchObject({ coalesced: true, id: first.id });
    await device.goOnline();
    await device.clock.pass(60_000);
    expect(device.server.rows.get('a')).toMatchObject({ title: 'three', version: 4 });
    await Promise.all([leader.close(), other.close()]);
  });

  test('C1 · one that was made while the queue was still opening was made without what others have stored meanwhile', async () => {
    const device = await deviceWith(ROW);
    const leader = await device.openWith(types('merge'));
    await device.goOffline();
    let open = (): void => {};
    const held = new Promise<void>((resolve) => (open = resolve));
    const opening = device.createWith(types('merge'), {
      storage: async (name) => {
        await held;
        return device.storage.open(name);
      },
    });
    // With the whole row, as its app had read it.
    const adding = opening.add(edit({ title: 'two', body: ROW.body }));
    await leader.add(edit({ body: 'more' }));
    open();
    const added = await adding;

    await device.goOnline();
    await device.clock.pass(60_000);

    expect(await added.settled).toMatchObject({ status: 'completed' });
    expect(device.server.rows.get('a')).toMatchObject({ title: 'two', body: 'more' });
    await Promise.all([leader.close(), opening.close()]);
  });

  test('C1 · one that takes long to be checked was made on what was shown when it was called', async () => {
    const device = await deviceWith(ROW);
    const leader = await device.openWith(types('merge'));
    let checked = (): void => {};
    const slowly = new Promise<void>((resolve) => (checked = resolve));
    const slow = defineMutation({
      type: 'note.edit',
      payload: v.pipeAsync(
        payload,
        v.checkAsync(() => slowly.then(() => true)),
      ),
      operation: 'update',
      entity,
      conflict: 'merge',
    });
    const other = await device.openWith([slow]);
    await device.goOffline();
    const adding = other.add(edit({ title: 'two', body: ROW.body }));
    await leader.add(edit({ body: 'more' }));
    await device.clock.settle();
    checked();
    const added = await adding;

    await device.goOnline();
    await device.clock.pass(60_000);

    expect(await added.settled).toMatchObject({ status: 'completed' });
    expect(device.server.rows.get('a')).toMatchObject({ title: 'two', body: 'more' });
    await Promise.all([leader.close(), other.close()]);
  });
});

/** A store whose commits take as long as the test wants. */
class SlowCommit {
  readonly open: OpenStorage;
  private waiting: (() => void)[] = [];
  private isHolding = false;

  constructor(open: OpenStorage) {
    this.open = async (name) => {
      const storage = await open(name);
      return {
        ...storage,
        commit: async (batch) => {
          if (this.isHolding) await new Promise<void>((resolve) => this.waiting.push(resolve));
          return storage.commit(batch);
        },
      };
    };
  }

  hold(): void {
    this.isHolding = true;
  }

  release(): void {
    this.isHolding = false;
    for (const resolve of this.waiting.splice(0)) resolve();
  }
}
