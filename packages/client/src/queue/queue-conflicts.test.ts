import * as v from 'valibot';
import { describe, expect, test } from 'vitest';
import { type ConflictStrategy, defineMutation } from '../mutation/definition.ts';
import type { OpenStorage, Storage } from '../ports/storage.ts';
import type { JsonObject } from '../protocol/wire.ts';
import { soloTabs } from '../tabs/solo-tabs.ts';
import { TestDevice } from './testing-queue/test-device.ts';
import { unheardCommit } from './testing-queue/unheard-commit.ts';

type Edit = { readonly id: string; readonly title?: string; readonly body?: string };

const edits = (conflict?: ConflictStrategy<Edit>, encoding: 'whole' | 'smallest' = 'whole') => {
  const payload = v.object({ id: v.string(), title: v.exactOptional(v.string()), body: v.exactOptional(v.string()) });
  const entity = ({ id }: { id: string }) => ({ table: 'notes', id });
  const more = conflict === undefined ? { encoding } : { conflict, encoding };
  return [
    defineMutation({ type: 'note.edit', payload, operation: 'update', entity, ...more }),
    defineMutation({ type: 'note.create', payload, operation: 'create', entity }),
    defineMutation({ type: 'note.remove', payload, operation: 'delete', entity, ...more }),
  ] as const;
};

const ROW = { id: 'a', title: 'one', body: 'text', version: 3 };
const base = { rowVersion: 3, row: ROW };
const edit = (title: string) => ({ type: 'note.edit', payload: { id: 'a', title }, base }) as const;

/** A device whose server holds the row, as someone else has left it meanwhile. */
function deviceWith(row: JsonObject | null): TestDevice {
  const device = new TestDevice();
  if (row !== null) device.server.rows.set('a', row);
  return device;
}

const sent = (device: TestDevice) => device.server.requests.flatMap(({ request }) => request.mutations);

describe('what becomes of an edit whose row was changed meanwhile', () => {
  test('C1 · it says which version it was made on, and on that version it takes effect', async () => {
    const device = deviceWith(ROW);
    const queue = await device.openWith(edits('merge'));
    const handle = await queue.add(edit('two'));
    expect(await handle.settled).toMatchObject({ status: 'completed', result: { title: 'two', version: 4 } });
    expect(sent(device)).toMatchObject([{ base: { rowVersion: 3 }, payload: { title: 'two' } }]);
    await queue.close();
  });

  test('C1 · the server wins: the edit ends as superseded, is not called completed, and what it would have set is kept', async () => {
    const device = deviceWith({ ...ROW, title: 'theirs', version: 4 });
    const queue = await device.openWith(edits('server-wins'));
    const handle = await queue.add(edit('mine'));
    await device.clock.settle();
    expect(await handle.settled).toEqual({ status: 'cancelled', id: handle.id, reason: 'superseded' });
    expect(device.server.rows.get('a')).toMatchObject({ title: 'theirs' });
    expect((await device.storage.dump())[`x/${handle.id}`]).toContain('"title":"mine"');
    expect(queue.getSnapshot()).toMatchObject({ pendingCount: 0, failedCount: 0 });
    await queue.close();
  });

  test('C1 · the client wins: it is held to no version', async () => {
    const device = deviceWith({ ...ROW, title: 'theirs', version: 4 });
    const queue = await device.openWith(edits('client-wins'));
    expect(await (await queue.add(edit('mine'))).settled).toMatchObject({ status: 'completed' });
    expect(sent(device)[0]).not.toHaveProperty('base');
    await queue.close();
  });

  test('C1, S10 · one whose payload the store cannot read by then is given up after a while, and can be retried when it reads', async () => {
    const device = deviceWith({ ...ROW, body: 'theirs', version: 7 });
    const queue = await device.openWith(edits('merge'));
    const errors: string[] = [];
    queue.onError(({ code }) => errors.push(code));
    let isUnreadable = true;
    device.storage.isUnreadable = (key) => isUnreadable && key === 'b/00000000001' && device.server.requests.length > 0;
    const handle = await queue.add(edit('mine'));
    await device.clock.pass(300_000);

    expect(queue.peekStatus(handle.id)).toMatchObject({
      status: 'failed',
      lastError: { code: 'UNREADABLE_RECORD' },
    });
    expect(errors).toHaveLength(1);
    isUnreadable = false;
    await queue.retry(handle.id);
    await device.clock.pass(60_000);
    expect(device.server.rows.get('a')).toMatchObject({ title: 'mine', body: 'theirs', version: 8 });
    await queue.close();
  });

  test('C1 · merged: fields changed on either side survive, under the same id, and no retry is used up', async () => {
    const device = deviceWith({ ...ROW, body: 'theirs', version: 7 });
    const queue = await device.openWith(edits('merge'));
    const payload = { id: 'a', title: 'mine', body: 'text' };
    const handle = await queue.add({ type: 'note.edit', payload, base });
    expect(await handle.settled).toMatchObject({ status: 'completed' });
    expect(device.server.rows.get('a')).toMatchObject({ title: 'mine', body: 'theirs', version: 8 });
    expect(sent(device)).toMatchObject([
      { id: handle.id, seq: 1, base: { rowVersion: 3 } },
      { id: handle.id, seq: 1, base: { rowVersion: 7 }, rebases: 1, payload: { title: 'mine', body: 'theirs' } },
    ]);
    expect((await queue.getMutationStatus(handle.id))?.attemptCount).toBe(1);
    await queue.close();
  });

  test('C1 · a function decides; one that throws is reported, and the edit waits for a person', async () => {
    const device = deviceWith({ ...ROW, title: 'theirs', version: 4 });
    const queue = await device.openWith(
      edits(({ mine, theirs }) => {
        if (mine.title === 'throw') throw new Error('No rule for this.');
        return { id: 'a', title: `${String(theirs?.['title'])} & ${mine.title}` };
      }),
    );
    const errors: string[] = [];
    queue.onError(({ message }) => errors.push(message));
    await (await queue.add(edit('mine'))).settled;
    expect(device.server.rows.get('a')).toMatchObject({ title: 'theirs & mine' });
    const broken = await queue.add({ ...edit('throw'), base: { rowVersion: 1 } });
    await device.clock.settle();
    expect(errors.join()).toContain('No rule for this.');
    expect((await queue.getMutationStatus(broken.id))?.waitingFor).toBe('conflict');
    await queue.close();
  });

  test('C1 · an unresolved one waits, also after a restart, tells everyone, and lets its lane wait', async () => {
    const device = deviceWith({ ...ROW, title: 'theirs', version: 4 });
    const queue = await device.openWith(edits('merge'));
    const told: unknown[] = [];
    queue.on('conflict', (event) => told.push(event));
    const handle = await queue.add(edit('mine'));
    const behind = await queue.add({ type: 'note.remove', payload: { id: 'a' } });
    await device.clock.settle();
    const entity = { table: 'notes', id: 'a' };
    expect(told).toEqual([{ id: handle.id, type: 'note.edit', entity, fields: [['title']] }]);
    await queue.close();

    const again = device.createWith(edits('merge'));
    again.on('conflict', (event) => told.push(event));
    await device.clock.pass(600_000);
    expect(told.slice(1)).toEqual(told.slice(0, 1));
    expect(await again.getMutationStatus(handle.id)).toMatchObject({ status: 'pending', waitingFor: 'conflict' });
    expect((await again.explain(handle.id)).whatToDo).toContain('resolveConflict');
    expect(await again.getMutationStatus(behind.id)).toMatchObject({ waitingFor: 'lane' });
    expect(await again.getConflict(handle.id)).toMatchObject({
      base: ROW,
      mine: { title: 'mine' },
      theirs: { title: 'theirs', version: 4 },
      fields: [['title']],
    });
    expect(sent(device)).toHaveLength(1);
    await again.close();
  });

  test('C1, S10 · one whose record was damaged while it waited becomes a dead letter, and its lane goes on', async () => {
    const device = deviceWith({ ...ROW, title: 'theirs', version: 4 });
    const queue = await device.openWith(edits('merge'));
    const handle = await queue.add(edit('mine'));
    const behind = await queue.add({ type: 'note.remove', payload: { id: 'a' } });
    await device.clock.settle();
    const storage = await device.storage.peek();
    const [header] = await storage.scan({ prefix: 'p/', limit: 1 });
    const value = `${header?.value.slice(0, 20)}?${header?.value.slice(21)}`;
    await storage.commit({ expect: [], changes: [{ kind: 'put', key: header?.key ?? '', value }] });

    await queue.resolveConflict(handle.id, 'mine', { actor: 'ann' });
    await device.clock.pass(120_000);

    expect(await queue.getMutationStatus(handle.id)).toMatchObject({
      status: 'failed',
      lastError: { code: 'UNREADABLE_RECORD' },
    });
    // it has come to its turn, and is asked about now
    expect(await queue.getMutationStatus(behind.id)).toMatchObject({ waitingFor: 'conflict' });
    await queue.close();
  });

  test('C1, S10 · so does one whose payload was damaged: nobody could choose', async () => {
    const device = deviceWith({ ...ROW, title: 'theirs', version: 4 });
    const queue = await device.openWith(edits('merge'));
    const handle = await queue.add(edit('mine'));
    const whole = await queue.add({ ...edit('other'), payload: { id: 'b', title: 'other' } });
    await device.clock.settle();
    const storage = await device.storage.peek();
    const [body] = await storage.scan({ prefix: 'b/', limit: 1 });
    const value = `${body?.value.slice(0, 20)}?${body?.value.slice(21)}`;
    await storage.commit({ expect: [], changes: [{ kind: 'put', key: body?.key ?? '', value }] });

    expect(await queue.getConflict(handle.id)).toBeUndefined();
    await device.clock.settle();

    expect(await queue.getMutationStatus(handle.id)).toMatchObject({
      status: 'failed',
      lastError: { code: 'UNREADABLE_RECORD' },
    });
    expect(await queue.getMutationStatus(whole.id)).toMatchObject({ waitingFor: 'conflict' });
    await queue.close();
  });

  test.each([1, 2, 3, 4])(
    'C1, S10 · one that gives way in another tab, while the one that delivers looks whether it reads (read %i), is no dead letter',
    async (readNumber) => {
      const device = deviceWith({ ...ROW, title: 'theirs', version: 4 });
      let [readCount, isWatched] = [0, false];
      let choose = (): Promise<unknown> => Promise.resolve();
      const storage: OpenStorage = async (name) => {
        const opened = await device.storage.open(name);
        const read: Storage['read'] = async (keys) => {
          const texts = await opened.read(keys);
          if (isWatched && keys.some((key) => key.startsWith('p/') || key.startsWith('b/'))) {
            readCount += 1;
            if (readCount === readNumber) await choose();
          }
          return texts;
        };
        return { ...opened, read };
      };
      const leader = await device.openWith(edits('merge'), { storage });
      const other = await device.openWith(edits('merge'));
      const handle = await leader.add(edit('mine'));
      await device.clock.settle();
      choose = () => other.resolveConflict(handle.id, 'theirs', { actor: 'ann' });
      isWatched = true;
      await device.clock.pass(120_000);

      expect(readCount).toBeGreaterThanOrEqual(readNumber);
      expect(await handle.settled).toMatchObject({ status: 'cancelled' });
      expect(leader.getSnapshot()).toMatchObject({ pendingCount: 0, failedCount: 0 });
      await leader.close();
      await other.close();
    },
  );

  test.each([
    ['mine', { title: 'mine', version: 5 }, 'completed'],
    ['theirs', { title: 'theirs', version: 4 }, 'cancelled'],
    [{ payload: { id: 'a', title: 'both' } }, { title: 'both', version: 5 }, 'completed'],
  ] as const)('C1 · a person chooses %j, from any tab', async (choice, row, status) => {
    const device = deviceWith({ ...ROW, title: 'theirs', version: 4 });
    const leader = await device.openWith(edits('merge'));
    const follower = await device.openWith(edits('merge'));
    const handle = await follower.add(edit('mine'));
    await device.clock.settle();

    expect(await follower.resolveConflict(handle.id, choice, { actor: 'ann' })).toBe(true);
    await device.clock.settle();

    expect(await handle.settled).toMatchObject({ status });
    expect(device.server.rows.get('a')).toMatchObject(row);
    expect([leader, follower].map((queue) => queue.getSnapshot().pendingCount)).toEqual([0, 0]);
    expect(await follower.resolveConflict(handle.id, 'mine', { actor: 'ann' })).toBe(false);
    await Promise.all([leader.close(), follower.close()]);
  });

  test.each([
    ['mine', 'completed'],
    ['theirs', 'cancelled'],
  ] as const)('C1 · a choice of %s made in another tab, unheard, is found within a minute', async (choice, status) => {
    const device = deviceWith({ ...ROW, title: 'theirs', version: 4 });
    const leader = await device.openWith(edits('merge'));
    const other = await device.openWith(edits('merge'));
    const { id } = await leader.add(edit('mine'));
    await device.clock.settle();
    device.browser.isLosingMessages = true;
    expect(await other.resolveConflict(id, choice, { actor: 'ana' })).toBe(true);
    await device.clock.settle();
    device.browser.isLosingMessages = false;
    expect(leader.peekStatus(id)).toMatchObject({ waitingFor: 'conflict' });

    await device.clock.pass(60_000);

    expect(leader.getSnapshot().pendingCount).toBe(0);
    expect(await leader.settled(id)).toMatchObject({ status });
    await leader.close();
    await other.close();
  });

  test('C1 · word of a conflict that comes when it has been decided asks nobody any more', async () => {
    const device = deviceWith({ ...ROW, title: 'theirs', version: 4 });
    const leader = await device.openWith(edits('merge'));
    const late: (() => void)[] = [];
    const other = await device.openWith(edits('merge'), {
      tabs: (name) => {
        const tabs = device.browser.openTabs(name);
        const onMessage: typeof tabs.onMessage = (listener) =>
          tabs.onMessage((message) => void late.push(() => listener(message)));
        return { ...tabs, onMessage };
      },
    });
    const asked: string[] = [];
    other.on('conflict', ({ id }) => asked.push(id));
    const { id } = await leader.add(edit('mine'));
    await device.clock.settle();
    await leader.resolveConflict(id, 'mine', { actor: 'ana' });
    await device.clock.pass(60_000);
    expect(leader.getSnapshot().pendingCount).toBe(0);

    for (const hear of late) hear();
    await device.clock.settle();

    expect(asked).toEqual([]);
    await leader.close();
    await other.close();
  });

  test('C1 · a conflict that was decided while its record was written again is not told any more', async () => {
    const device = deviceWith({ ...ROW, title: 'theirs', version: 4 });
    let isUnheard = true;
    const storage: OpenStorage = async (name) => {
      const opened = await device.storage.open(name);
      return {
        ...opened,
        commit: async (batch) => {
          const result = await opened.commit(batch);
          const isConflict = batch.changes.some(
            (change) => change.kind === 'put' && change.value.includes('detectedAtMs'),
          );
          if (!isConflict || !isUnheard) return result;
          isUnheard = false;
          throw new Error('The disk said nothing.');
        },
      };
    };
    const queue = await device.openWith(edits('merge'), { storage });
    const asked: string[] = [];
    queue.on('conflict', ({ id }) => asked.push(id));
    const { id, settled } = await queue.add(edit('mine'));
    await device.clock.settle();
    expect(isUnheard).toBe(false);

    expect(await queue.resolveConflict(id, 'mine', { actor: 'ana' })).toBe(true);
    await device.clock.pass(5_000);

    expect(await settled).toMatchObject({ status: 'completed' });
    expect(asked).toEqual([]);
    await queue.close();
  });

  test('C1 · whoever looks at a conflict that another tab has decided, unheard, finds that out', async () => {
    const device = deviceWith({ ...ROW, title: 'theirs', version: 4 });
    const leader = await device.openWith(edits('merge'));
    const other = await device.openWith(edits('merge'));
    const { id } = await leader.add(edit('mine'));
    await device.clock.settle();
    device.browser.isLosingMessages = true;
    await other.resolveConflict(id, 'mine', { actor: 'ana' });

    expect(await leader.getConflict(id)).toBeUndefined();
    await device.clock.settle();

    expect(await leader.getMutationStatus(id)).toMatchObject({ status: 'completed' });
    await leader.close();
    await other.close();
  });

  test('C1 · choosing mine does not take back what only the other side has changed', async () => {
    const device = deviceWith({ ...ROW, title: 'theirs', body: 'theirs too', version: 4 });
    const queue = await device.openWith(edits('merge'));
    const payload = { id: 'a', title: 'mine', body: 'text' };
    const handle = await queue.add({ type: 'note.edit', payload, base });
    await device.clock.settle();
    await queue.resolveConflict(handle.id, 'mine', { actor: 'ann' });
    await handle.settled;
    expect(device.server.rows.get('a')).toMatchObject({ title: 'mine', body: 'theirs too' });
    await queue.close();
  });

  test('C1 · who let an edit give way, and why, is kept with what it would have set', async () => {
    const device = deviceWith({ ...ROW, title: 'theirs', version: 4 });
    const queue = await device.openWith(edits());
    const handle = await queue.add(edit('mine'));
    await device.clock.settle();
    await queue.resolveConflict(handle.id, 'theirs', { actor: 'ann', reason: 'they are right' });
    const note = (await device.storage.dump())[`x/${handle.id}`];
    for (const part of ['"actor":"ann"', '"reason":"they are right"', '"title":"mine"']) expect(note).toContain(part);
    await queue.close();
  });

  test.each(['mine', { payload: { id: 'a', title: 'both' } }] as const)(
    'C1 · a choice of %j and who made it are one commit, so that neither stands without the other',
    async (choice) => {
      const device = deviceWith({ ...ROW, title: 'theirs', version: 4 });
      const queue = await device.openWith(edits('merge'));
      const handle = await queue.add(edit('mine'));
      await device.clock.settle();
      const isOfAct = (key: string): boolean => key.startsWith('a/');
      device.storage.isFull = ({ changes }) => changes.some(({ key }) => isOfAct(key));
      await expect(queue.resolveConflict(handle.id, choice, { actor: 'ann' })).rejects.toMatchObject({
        code: 'STORAGE_FULL',
      });
      expect(await queue.getMutationStatus(handle.id)).toMatchObject({ waitingFor: 'conflict' });

      device.storage.isFull = () => false;
      expect(await queue.resolveConflict(handle.id, choice, { actor: 'ann' })).toBe(true);

      expect(await handle.settled).toMatchObject({ status: 'completed' });
      expect(await queue.listActs()).toMatchObject([{ kind: 'resolveConflict', actor: 'ann', ids: [handle.id] }]);
      await queue.close();
    },
  );

  test('C1 · changed once more while the person was choosing: it is in conflict again', async () => {
    const device = deviceWith({ ...ROW, title: 'theirs', version: 4 });
    const queue = await device.openWith(edits('merge'));
    const handle = await queue.add(edit('mine'));
    await device.clock.settle();
    device.server.rows.set('a', { ...ROW, title: 'again', version: 5 });
    await queue.resolveConflict(handle.id, 'mine', { actor: 'ann' });
    await device.clock.settle();
    expect(await queue.getConflict(handle.id)).toMatchObject({ theirs: { title: 'again' } });
    await queue.close();
  });

  test('C1 · a choice decides the conflict that was shown, and not a newer one that nobody has seen', async () => {
    const device = deviceWith({ ...ROW, title: 'theirs', version: 4 });
    const leader = await device.openWith(edits('merge'));
    let isSlow = false;
    let goOn = (): void => {};
    const other = await device.openWith(edits('merge'), {
      storage: async (name) => {
        const opened = await device.storage.open(name);
        return {
          ...opened,
          commit: async (batch) => {
            if (isSlow) await new Promise<void>((resolve) => (goOn = resolve));
            isSlow = false;
            return opened.commit(batch);
          },
        };
      },
    });
    const { id } = await leader.add(edit('mine'));
    await device.clock.settle();
    const shown = await other.getConflict(id);
    // Chosen in one tab, and slow to be stored; meanwhile chosen in the other, sent, and in conflict once more.
    isSlow = true;
    const choosing = other.resolveConflict(id, 'mine', { actor: 'ann' });
    await device.clock.settle();
    device.server.rows.set('a', { ...ROW, title: 'again', version: 5 });
    expect(await leader.resolveConflict(id, 'mine', { actor: 'bob' })).toBe(true);
    await device.clock.settle();
    goOn();

    expect(await choosing).toBe(false);
    expect(await other.resolveConflict(id, 'mine', { actor: 'ann', revision: shown?.revision ?? 0 })).toBe(false);

    const newer = await other.getConflict(id);
    expect(newer).toMatchObject({ theirs: { title: 'again' } });
    expect(await other.resolveConflict(id, 'mine', { actor: 'ann', revision: newer?.revision ?? 0 })).toBe(true);
    await device.clock.pass(1_000);
    expect(device.server.rows.get('a')).toMatchObject({ title: 'mine' });
    await Promise.all([leader.close(), other.close()]);
  });

  test('C1 · a payload of another row, or one that its schema refuses, is not chosen', async () => {
    const device = deviceWith({ ...ROW, title: 'theirs', version: 4 });
    const queue = await device.openWith(edits('merge'));
    const handle = await queue.add(edit('mine'));
    await device.clock.settle();
    const choose = (payload: object) =>
      queue.resolveConflict(handle.id, { payload: payload as Edit }, { actor: 'ann' });
    await expect(choose({ id: 'b', title: 'x' })).rejects.toMatchObject({ code: 'INVALID_PAYLOAD' });
    await expect(choose({ id: 'a', title: 1 })).rejects.toMatchObject({ code: 'INVALID_PAYLOAD' });
    expect(await queue.getConflict(handle.id)).toBeDefined();
    await queue.close();
  });

  test('C1 · the row was deleted: an update waits for a person, a deletion has nothing left to do', async () => {
    const device = deviceWith(null);
    const queue = await device.openWith(edits('merge'));
    const update = await queue.add(edit('mine'));
    await device.clock.settle();
    expect(await queue.getConflict(update.id)).toMatchObject({ theirs: null, fields: [] });
    await queue.resolveConflict(update.id, 'theirs', { actor: 'ann' });
    const removal = await queue.add({ type: 'note.remove', payload: { id: 'a' }, base });
    expect(await removal.settled).toMatchObject({ status: 'cancelled', reason: 'superseded' });
    await queue.close();
  });
});

describe('edits on top of each other', () => {
  test('C1 · edits of one row queued offline are no conflict with each other, whatever the strategy', async () => {
    const device = deviceWith(ROW);
    const queue = await device.openWith(edits('server-wins'));
    await device.goOffline();
    const handles = [];
    for (const title of ['two', 'three', 'four']) handles.push(await queue.add(edit(title)));
    await device.goOnline();
    for (const handle of handles) expect(await handle.settled).toMatchObject({ status: 'completed' });
    expect(sent(device).map((mutation) => mutation.base?.rowVersion)).toEqual([3, 4, 5]);
    await queue.close();
  });

  test('C1 · behind the creation of its row, an edit is made on what that leaves', async () => {
    const device = new TestDevice();
    const queue = await device.openWith(edits('merge'));
    await device.goOffline();
    await queue.add({ type: 'note.create', payload: { id: 'a', title: 'new' } });
    const handle = await queue.add({ type: 'note.edit', payload: { id: 'a', title: 'newer' } });
    // What the server makes of the creation.
    device.server.rows.set('a', { id: 'a', version: 0 });
    await device.goOnline();
    expect(await handle.settled).toMatchObject({ status: 'completed', result: { title: 'newer', version: 2 } });
    expect(sent(device).map((mutation) => mutation.base)).toEqual([undefined, { rowVersion: 1 }]);
    await queue.close();
  });

  test('C1 · what someone else changed in between is merged into each, and nobody loses a field', async () => {
    const device = deviceWith({ ...ROW, body: 'theirs', version: 9 });
    const queue = await device.openWith(edits('merge'));
    await device.goOffline();
    const whole = (title: string, body: string) =>
      ({ type: 'note.edit', payload: { id: 'a', title, body }, base }) as const;
    const handles = [await queue.add(whole('two', 'text')), await queue.add(whole('three', 'text'))];
    await device.goOnline();
    for (const handle of handles) expect(await handle.settled).toMatchObject({ status: 'completed' });
    expect(device.server.rows.get('a')).toMatchObject({ title: 'three', body: 'theirs' });
    await queue.close();
  });

  test('C1 · an edit made on what the app had read before its own last edit was confirmed is no conflict either', async () => {
    const device = deviceWith(ROW);
    const queue = await device.openWith(edits('server-wins'));
    await (await queue.add(edit('two'))).settled;
    expect(await (await queue.add(edit('three'))).settled).toMatchObject({ status: 'completed' });
    expect(device.server.rows.get('a')).toMatchObject({ title: 'three', version: 5 });
    await queue.close();
  });

  test('C1 · a row that was deleted and made again is another one, however it counts', async () => {
    const device = deviceWith({ ...ROW, version: 1 });
    const queue = await device.openWith(edits('merge'));
    const first = { rowVersion: 1, row: ROW };
    await (await queue.add({ ...edit('two'), base: first })).settled;
    await (await queue.add({ type: 'note.remove', payload: { id: 'a' } })).settled;
    device.server.rows.set('a', { ...ROW, version: 1 });
    await (await queue.add({ ...edit('three'), base: first })).settled;
    expect(sent(device).at(-1)).toMatchObject({ base: { rowVersion: 1 } });
    await queue.close();
  });

  test('C1 · after a crash between two of them the second is still made on what the first has left', async () => {
    const device = deviceWith(ROW);
    const queue = await device.openWith(edits('server-wins'));
    await device.goOffline();
    await queue.add(edit('two'));
    const second = await queue.add(edit('three'));
    // The first is confirmed; the second never leaves this run.
    await device.goOnline((mutation) => (mutation.id === second.id ? 'unreachable' : 'applied'));
    await queue.close();
    device.server.judge = () => 'applied';
    const again = await device.openWith(edits('server-wins'));
    await device.clock.pass(10_000);
    expect(await again.settled(second.id)).toMatchObject({ status: 'completed' });
    expect(device.server.rows.get('a')).toMatchObject({ title: 'three', version: 5 });
    await again.close();
  });

  test('C1 · stored while the first was confirmed, in a tab that ended before it heard of it, the second is no conflict either', async () => {
    const device = deviceWith(ROW);
    const second = unheardCommit((name) => device.storage.open(name), 'p/00000000002');
    const queue = await device.openWith(edits('server-wins'), { storage: second.storage });
    await device.goOffline();
    await queue.add(edit('two'));
    void queue.add(edit('three'));
    await device.goOnline();
    expect(device.server.rows.get('a')).toMatchObject({ title: 'two', version: 4 });
    second.goOn();
    await device.clock.settle();

    const again = await device.openWith(edits('server-wins'), { tabs: soloTabs });
    await device.clock.pass(5_000);

    expect(device.server.rows.get('a')).toMatchObject({ title: 'three', version: 5 });
    expect((await again.getStatus()).counts).toMatchObject({ pending: 0, completed: 2 });
    await again.close();
  });
});

describe('what must hold when things go wrong', () => {
  test.each([
    ['mine', 'mine', 'completed'],
    ['theirs', 'theirs', 'cancelled'],
  ] as const)(
    'C1 · a commit that was stored, and failed only for us, does not take back that someone chose %s',
    async (choice, title, status) => {
      const device = deviceWith({ ...ROW, title: 'theirs', version: 4 });
      let isUnheard = true;
      const storage: OpenStorage = async (name) => {
        const inner = await device.storage.open(name);
        const commit: Storage['commit'] = async (batch) => {
          const result = await inner.commit(batch);
          const isNewForm = sent(device).length > 0 && batch.changes.some(({ key }) => key.startsWith('b/'));
          if (isUnheard && isNewForm) throw new Error('Stored, and nobody heard of it.');
          return result;
        };
        return {
          durability: inner.durability,
          commit,
          read: (keys) => inner.read(keys),
          scan: (query) => inner.scan(query),
          estimate: () => inner.estimate(),
          close: () => inner.close(),
        };
      };
      const queue = await device.openWith(edits('merge'), { storage });
      const handle = await queue.add(edit('mine'));
      await device.clock.settle();
      isUnheard = false;
      await device.goOffline();
      expect(await queue.resolveConflict(handle.id, choice, { actor: 'ann' })).toBe(true);
      // What failed is written again, as far as this device knows.
      await device.clock.pass(5_000);
      await queue.close();

      const again = await device.openWith(edits('merge'));
      await device.goOnline();
      await device.clock.pass(10_000);
      expect(await again.settled(handle.id)).toMatchObject({ status });
      expect(device.server.rows.get('a')).toMatchObject({ title });
      expect(again.getSnapshot()).toMatchObject({ pendingCount: 0, failedCount: 0 });
      await again.close();
    },
  );

  test('C1 · a new form goes only once it is stored: until then, after a crash, the first form goes again', async () => {
    const device = deviceWith({ ...ROW, body: 'theirs', version: 7 });
    const queue = await device.openWith(edits('merge'));
    device.storage.isFull = (batch) =>
      batch.changes.some(({ key }) => key.startsWith('b/')) && device.server.requests.length > 0;
    const handle = await queue.add(edit('mine'));
    await device.clock.pass(5_000);
    expect(sent(device)).toHaveLength(1);
    device.storage.isFull = () => false;
    await device.clock.pass(60_000);
    expect(await handle.settled).toMatchObject({ status: 'completed' });
    expect(sent(device)).toMatchObject([{ base: { rowVersion: 3 } }, { base: { rowVersion: 7 }, rebases: 1 }]);
    await queue.close();
  });

  test.each([
    { rowVersion: -1 },
    { rowVersion: 1.5 },
    { rowVersion: 1, row: [] },
    { rowVersion: 1, row: { at: new Date(0) } },
  ])('C1 · the base %j is refused, and nothing is stored', async (wrong) => {
    const device = new TestDevice();
    const queue = await device.openWith(edits('merge'));
    await expect(queue.add({ ...edit('x'), base: wrong })).rejects.toMatchObject({ code: 'INVALID_OPTION' });
    expect(queue.getSnapshot().pendingCount).toBe(0);
    await queue.close();
  });
});

describe('how edits travel', () => {
  test('C3 · the smaller of payload and patch, the same for each attempt', async () => {
    const device = deviceWith({ ...ROW, body: 'a long text '.repeat(40) });
    const row = device.server.rows.get('a') as JsonObject & Edit;
    const queue = await device.openWith(edits('merge', 'smallest'));
    device.server.isLosingAnswers = true;
    await queue.add({
      type: 'note.edit',
      payload: { id: 'a', title: 'two', body: String(row['body']) },
      base: { rowVersion: 3, row },
    });
    await device.clock.pass(5_000);
    expect(sent(device).length).toBeGreaterThan(1);
    for (const mutation of sent(device))
      expect(mutation).toMatchObject({ encoding: 'mergePatch', payload: { title: 'two' }, base: { rowVersion: 3 } });
    expect(new Set(sent(device).map(({ payload }) => JSON.stringify(payload))).size).toBe(1);
    await queue.close();
  });

  test('C1 · for latest-wins each edit has a time, later than the one before even when the clock is set back', async () => {
    const device = deviceWith(ROW);
    const queue = await device.openWith(edits('latest-wins'));
    await queue.add(edit('two'));
    device.clock.wallOffsetMs -= 10 * 31_557_600_000;
    await (await queue.add(edit('three'))).settled;
    const times = sent(device).map(({ hlc }) => hlc ?? '');
    expect(times).toHaveLength(2);
    expect([...times].sort()).toEqual(times);
    await queue.close();
  });
});
