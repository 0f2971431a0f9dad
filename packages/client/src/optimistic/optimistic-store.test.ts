import { describe, expect, test } from 'vitest';
import * as v from 'valibot';
import { defineMutation } from '../mutation/definition.ts';
import { BreakableStorage } from '../queue/testing-queue/breakable-storage.ts';
import { type Notes, note, saveNote, TestDevice, type TestQueue } from '../queue/testing-queue/test-device.ts';
import { createOptimisticStore, OptimisticStore } from './optimistic-store.ts';
import { PendingMutations } from './pending-mutations.ts';
import { projectionByTypes } from './projection.ts';

const EMPTY: Notes = { notes: {} };

interface App {
  readonly device: TestDevice;
  readonly queue: TestQueue;
  readonly store: OptimisticStore<Notes>;
}

async function openApp(device = new TestDevice(), base: Notes = EMPTY): Promise<App> {
  const queue = await device.open();
  const store = createOptimisticStore({ queue, base });
  await device.clock.settle();
  return { device, queue, store };
}

const shown = ({ store }: App): Record<string, string> => store.getSnapshot().notes;

describe('what the user sees', () => {
  test('O2 · an effect is shown on top of the confirmed state', async () => {
    const app = await openApp(undefined, { notes: { a: '-' } });
    await app.device.goOffline();

    await app.queue.add(note('a', '1'));
    await app.queue.add(note('a', '2'));

    expect(shown(app)).toEqual({ a: '-12' });
    expect(app.store.getBase()).toEqual({ notes: { a: '-' } });
  });

  test('O1 · the view stays the same object until something in it changes, and the base is never touched', async () => {
    const base: Notes = { notes: { a: 'x' } };
    const app = await openApp(undefined, base);
    let changeCount = 0;
    app.store.subscribe(() => {
      changeCount += 1;
    });
    await app.queue.add({ type: 'log.write', payload: { line: 'no effect' } });
    await app.device.clock.settle();
    expect([app.store.getSnapshot(), changeCount]).toEqual([base, 0]);
    expect(app.store.getSnapshot()).toBe(base);

    await app.queue.add(note('b'));

    expect(changeCount).toBe(1);
    expect(base).toEqual({ notes: { a: 'x' } });
  });

  test('O1 · one that fails in the middle is taken back, and the later ones stay', async () => {
    const app = await openApp();
    await app.device.goOffline();
    for (const text of ['1', 'bad', '3']) await app.queue.add(note('a', text));
    expect(shown(app)).toEqual({ a: '1bad3' });

    await app.device.goOnline(({ payload }) => (payload['text'] === 'bad' ? 'rejected' : 'applied'));

    expect(shown(app)).toEqual({ a: '13' });
  });

  test('O2 · a confirmed effect stays until a refresh that began after the confirmation, so nothing flickers', async () => {
    const app = await openApp();
    // given: a refresh that began before the mutation and ends after its confirmation
    let finishEarly: (notes: Notes) => void = () => {};
    const early = app.store.refresh(
      () =>
        new Promise((resolve) => {
          finishEarly = resolve;
        }),
    );
    const { id, settled } = await app.queue.add(note('a', '1'));
    await settled;
    finishEarly(EMPTY);
    await early;
    expect(shown(app)).toEqual({ a: '1' });
    expect(app.queue.peekStatus(id)?.stage).toBe('confirmed');

    await app.store.refresh(async () => ({ notes: { a: '1' } }));

    expect(shown(app)).toEqual({ a: '1' });
    expect(app.queue.peekStatus(id)?.stage).toBe('observed');
  });

  test('O2 · a newer base is put under what is pending, not over it', async () => {
    const app = await openApp();
    await app.device.goOffline();
    await app.queue.add(note('a', '1'));

    await app.store.refresh(async () => ({ notes: { a: 'by someone else ', b: 'new' } }));

    expect(shown(app)).toEqual({ a: 'by someone else 1', b: 'new' });
  });

  test('O2 · of refreshes that overtake each other the one that began last stands, and one that fails changes nothing', async () => {
    const app = await openApp();
    let finishFirst: (notes: Notes) => void = () => {};
    const first = app.store.refresh(
      () =>
        new Promise((resolve) => {
          finishFirst = resolve;
        }),
    );
    await app.store.refresh(async () => ({ notes: { a: 'second' } }));
    finishFirst({ notes: { a: 'first' } });
    await first;
    expect(shown(app)).toEqual({ a: 'second' });

    await expect(app.store.refresh(() => Promise.reject(new Error('no network')))).rejects.toThrow('no network');
    expect(shown(app)).toEqual({ a: 'second' });
  });

  test('O3 · after a restart what is pending is shown again, in order', async () => {
    const app = await openApp();
    await app.device.goOffline();
    for (const text of ['1', '2', '3']) await app.queue.add(note('a', text));
    await app.queue.close();

    const again = await openApp(app.device);

    expect(shown(again)).toEqual({ a: '123' });
  });

  test('O3 · one added while what is pending is still being read goes behind it', async () => {
    const app = await openApp();
    await app.device.goOffline();
    await app.queue.add(note('a', '1'));
    await app.queue.close();
    const queue = app.device.create();
    const store = createOptimisticStore({ queue, base: EMPTY });

    await queue.add(note('a', '2'));
    await app.device.clock.settle();

    expect(store.getSnapshot().notes).toEqual({ a: '12' });
  });

  test('O2 · what another tab adds is shown here too, and taken back when it fails', async () => {
    const app = await openApp();
    const other = await openApp(app.device);
    await app.device.goOffline();

    await other.queue.add(note('a', '1'));
    await app.queue.add(note('a', 'bad'));
    await other.queue.add(note('a', '3'));
    await app.device.clock.settle();
    for (const each of [app, other]) expect(shown(each)).toEqual({ a: '1bad3' });

    await app.device.goOnline(({ payload }) => (payload['text'] === 'bad' ? 'rejected' : 'applied'));

    for (const each of [app, other]) expect(shown(each)).toEqual({ a: '13' });
  });

  test('O2 · what another tab added first is shown first, though this one hears of it later', async () => {
    const app = await openApp();
    const other = await openApp(app.device);
    await app.device.goOffline();
    app.device.browser.isLosingMessages = true;

    await other.queue.add(note('a', '1'));
    await app.queue.add(note('a', '2'));
    await app.device.clock.settle();

    expect(shown(app)).toEqual({ a: '12' });
  });

  test('O1 · a dead letter that is tried again is shown again', async () => {
    const app = await openApp();
    app.device.server.judge = () => 'rejected';
    const { id, settled } = await app.queue.add(note('a', '1'));
    await settled;
    await app.device.clock.settle();
    expect(shown(app)).toEqual({});

    app.device.server.hold();
    await app.queue.retry(id);
    await app.device.clock.settle();

    expect(shown(app)).toEqual({ a: '1' });
  });

  test('O2 · a closed store hears nothing more', async () => {
    const app = await openApp();
    app.store.close();

    await app.queue.add(note('a', '1'));
    await app.device.clock.settle();

    expect(shown(app)).toEqual({});
  });
});

describe('while it is being stored', () => {
  /** Its disk takes 50 ms for whatever it does. */
  async function openSlow(): Promise<App> {
    const app = await openApp();
    await app.device.goOffline();
    app.device.clock.isSelfAdvancing = false;
    app.device.storage.simulator.setSlow(50);
    return app;
  }

  test('O2, O1 · an effect is shown at the call, and nothing changes when it is stored', async () => {
    const app = await openSlow();
    let changeCount = 0;
    app.store.subscribe(() => {
      changeCount += 1;
    });

    const adding = app.queue.add(note('a', '1'));
    const view = app.store.getSnapshot();

    expect(view.notes).toEqual({ a: '1' });
    await app.device.clock.settle();
    expect([app.queue.getSnapshot().pendingCount, app.queue.listUnconfirmed()]).toEqual([0, []]);
    const { id } = await app.device.clock.until(adding);
    expect(app.queue.peekStatus(id)?.stage).toBe('stored');
    expect(app.store.getSnapshot()).toBe(view);
    expect(changeCount).toBe(1);
  });

  test('O1, Q1 · what the store refuses is gone without a trace before add rejects, and what was called later stays', async () => {
    const app = await openSlow();
    app.device.storage.isFull = ({ changes }) => JSON.stringify(changes).includes('refused');
    await app.device.clock.until(app.queue.add(note('a', '1')));
    const before = app.store.getSnapshot();

    const refused = app.queue.add(note('a', 'refused')).then(
      () => null,
      (error: { code: string }) => [error.code, shown(app)],
    );
    expect(shown(app)).toEqual({ a: '1refused' });
    await app.device.clock.settle();
    const later = app.queue.add(note('b', '2'));
    expect(shown(app)).toEqual({ a: '1refused', b: '2' });

    expect(await app.device.clock.until(refused)).toEqual(['STORAGE_FULL', { a: '1', b: '2' }]);
    await app.device.clock.until(later);
    expect(shown(app)).toEqual({ ...before.notes, b: '2' });
  });

  test('O2 · what is not valid, or has no room, is not shown', async () => {
    const app = await openApp();
    const views: unknown[] = [];
    app.store.subscribe(() => views.push(shown(app)));

    await expect(app.queue.add({ type: 'note.save', payload: { id: 'a' } as never })).rejects.toThrow();
    const full = await app.device.open({ queueCapCount: 2 });
    await app.device.goOffline();
    const adds = ['1', '2', '3', '4'].map((text) => full.add(note('a', text)));
    const ends = await Promise.allSettled(adds);
    await app.device.clock.settle();

    expect(ends.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected', 'rejected']);
    expect(views).toEqual([{ a: '12' }]);
  });

  test('O2 · calls are shown in the order in which they are stored, also when one takes longer to check', async () => {
    const device = new TestDevice();
    let check: () => void = () => {};
    const slowly = v.pipeAsync(
      v.object({ id: v.string(), text: v.string() }),
      v.checkAsync(({ text }) => (text === '1' ? new Promise((resolve) => (check = () => resolve(true))) : true)),
    );
    const queue = await device.openWith([{ ...saveNote, type: 'note.check', payload: slowly }] as const);
    const store = createOptimisticStore<Notes>({ queue, base: EMPTY });
    const first = queue.add({ type: 'note.check', payload: { id: 'a', text: '1' } });
    const second = queue.add({ type: 'note.check', payload: { id: 'a', text: '2' } });
    await device.clock.settle();
    expect(store.getSnapshot().notes).toEqual({ a: '2' });

    check();
    await device.clock.until(Promise.all([first, second]));

    expect(store.getSnapshot().notes).toEqual({ a: '12' });
  });

  test('O2 · stored before what another tab has added, and told of it only after, it is shown before that', async () => {
    const device = new TestDevice();
    let isHeld = false;
    let answer: () => void = () => {};
    const queue = await device.open({
      storage: async (name) => {
        const storage = await device.storage.open(name);
        const commit: typeof storage.commit = async (batch) => {
          const result = await storage.commit(batch);
          if (isHeld) await new Promise<void>((resolve) => (answer = resolve));
          return result;
        };
        return { ...storage, commit };
      },
    });
    const store = createOptimisticStore<Notes>({ queue, base: EMPTY });
    const other = await openApp(device);
    await device.goOffline();

    isHeld = true;
    const first = queue.add(note('a', '1'));
    await device.clock.settle();
    await other.queue.add(note('a', '2'));
    await device.clock.settle();
    answer();
    await first;
    await device.clock.settle();

    expect([store.getSnapshot().notes, shown(other)]).toEqual([{ a: '12' }, { a: '12' }]);
  });

  test('O2, Q9 · a duplicate is never shown, and one that another tab has added meanwhile goes when that is known', async () => {
    const app = await openSlow();
    const other = await openApp(app.device);
    const views: unknown[] = [];
    app.store.subscribe(() => views.push(shown(app)));

    // pressed twice, and once more when it is stored
    const both = Promise.all([app.queue.add(note('a', '1')), app.queue.add(note('a', '1'))]);
    expect(shown(app)).toEqual({ a: '1' });
    await app.device.clock.until(both);
    expect(await app.device.clock.until(app.queue.add(note('a', '1')))).toMatchObject({ deduplicated: true });
    expect(views).toEqual([{ a: '1' }]);

    app.device.browser.isLosingMessages = true;
    await app.device.clock.until(other.queue.add(note('b', '2')));
    const duplicate = app.queue.add(note('b', '2'));
    expect(shown(app)).toEqual({ a: '1', b: '2' });
    await app.device.clock.until(duplicate);
    await app.device.clock.pass(1_000);
    for (const each of [app, other]) expect(shown(each)).toEqual({ a: '1', b: '2' });
  });

  test('O2, Q11 · what is merged into an earlier one is shown at the call, and stays as part of that', async () => {
    const device = new TestDevice();
    const merging = defineMutation({
      ...saveNote,
      type: 'note.merge',
      coalesce: (older, newer) => ({ ...newer, text: older.text + newer.text }),
    });
    const queue = await device.openWith([merging] as const);
    const store = createOptimisticStore<Notes>({ queue, base: EMPTY });
    await device.goOffline();
    const add = (text: string) => queue.add({ type: 'note.merge', payload: { id: 'a', text } });
    const views: unknown[] = [];
    store.subscribe(() => views.push(store.getSnapshot().notes));

    await add('1');
    const merged = add('2');
    expect(store.getSnapshot().notes).toEqual({ a: '12' });
    expect(await merged).toMatchObject({ coalesced: true });
    await Promise.all([add('3'), add('4')]);
    await device.clock.settle();

    expect(store.getSnapshot().notes).toEqual({ a: '1234' });
    expect(new Set(views.map((view) => JSON.stringify(view)))).toEqual(
      new Set(['{"a":"1"}', '{"a":"12"}', '{"a":"1234"}']),
    );
    expect((await queue.readPending()).map(({ payload }) => payload)).toEqual([{ id: 'a', text: '1234' }]);
  });

  test('O2, O3 · a tab that ends before it is stored leaves nothing behind, and no other tab has shown it', async () => {
    const app = await openSlow();
    const other = await openApp(app.device);
    app.device.clock.isSelfAdvancing = true;
    app.device.storage.simulator.crashAtWrite(1, 'before');

    void app.queue.add(note('a', '1'));
    expect([shown(app), shown(other)]).toEqual([{ a: '1' }, {}]);
    await app.device.clock.settle();

    for (const each of [other, await openApp(app.device)]) expect(shown(each)).toEqual({});
  });

  test('O2, S11 · where the store breaks in the middle, it stays in view while it is kept in memory', async () => {
    const device = new TestDevice();
    const disk = new BreakableStorage();
    const queue = await device.open({ storage: disk.open, whenStorageFails: 'memory' });
    const store = createOptimisticStore<Notes>({ queue, base: EMPTY });
    await device.goOffline();
    const views: unknown[] = [];
    store.subscribe(() => views.push(store.getSnapshot().notes));
    disk.breakAll();

    await device.clock.until(queue.add(note('a', '1')));
    await device.clock.settle();

    expect(store.getSnapshot().notes).toEqual({ a: '1' });
    expect(queue.getStorageHealth().durability).toBe('volatile');
    expect(new Set(views.map((view) => JSON.stringify(view)))).toEqual(new Set(['{"a":"1"}']));
  });
});

describe('an effect that throws', () => {
  test('O1 · is left out and told once, as an error of the queue; the others are shown, and delivery goes on', async () => {
    const app = await openApp();
    const errors: unknown[] = [];
    app.queue.onError((error) => errors.push([error.code, String(error.cause)]));
    await app.device.goOffline();
    for (const text of ['1', 'throw', '3']) await app.queue.add(note('a', text));
    await app.device.clock.settle();
    await app.store.refresh(async () => EMPTY);

    expect(shown(app)).toEqual({ a: '13' });
    expect(errors).toEqual([['EFFECT_FAILED', 'Error: This effect does not fit.']]);

    await app.device.goOnline();
    expect(app.device.server.effects.length).toBe(3);
    expect(shown(app)).toEqual({ a: '13' });
  });
});

describe('effects of one mutation alone', () => {
  const mark = (text: string) => (draft: Notes) => {
    draft.notes['a'] = `${draft.notes['a'] ?? ''}${text}`;
  };

  test('Q15 · what it is given is shown in this run, and after a restart what its type says', async () => {
    const app = await openApp();
    await app.device.goOffline();
    await app.queue.add({ ...note('a', '1'), optimisticUpdate: mark('mine') });
    await app.queue.add({ type: 'log.write', payload: { line: 'x' }, optimisticUpdate: mark(', and a line') });
    expect(shown(app)).toEqual({ a: 'mine, and a line' });
    const { store: other } = await openApp(app.device);
    expect(other.getSnapshot().notes).toEqual({ a: '1' });

    await app.queue.close();

    expect(shown(await openApp(app.device))).toEqual({ a: '1' });
  });

  test('O1 · a rollback of its own is shown instead of a failed effect until fresh data comes; later effects stay', async () => {
    const app = await openApp();
    await app.device.goOffline();
    const { settled } = await app.queue.add({ ...note('a', 'bad'), rollback: mark('(not saved)') });
    await app.queue.add(note('a', '2'));

    await app.device.goOnline(({ payload }) => (payload['text'] === 'bad' ? 'rejected' : 'applied'));

    expect((await settled).status).toBe('failed');
    expect(shown(app)).toEqual({ a: '(not saved)2' });
    await app.store.refresh(async () => ({ notes: { a: '2' } }));
    expect(shown(app)).toEqual({ a: '2' });
  });

  test('O1 · one that is tried again shows its effect again', async () => {
    const app = await openApp();
    await app.device.goOffline();
    const { id } = await app.queue.add({ ...note('a', 'bad'), rollback: mark('(not saved)') });
    await app.device.goOnline(() => 'rejected');
    await app.device.goOffline();

    await app.queue.retry(id);
    await app.device.clock.settle();

    expect(shown(app)).toEqual({ a: 'bad' });
  });
});

describe('a tab that stays open for months', () => {
  test('O2 · what is over and in fresh data is not remembered for ever', async () => {
    const device = new TestDevice();
    const queue = await device.open();
    const pending = new PendingMutations(queue);
    const store = new OptimisticStore<Notes>({ pending, base: EMPTY, projection: projectionByTypes() });
    const optimisticUpdate = (): void => {
      throw new Error('The row is gone.');
    };
    for (let round = 0; round < 30; round += 1) {
      const adding = Array.from({ length: 50 }, (_, index) =>
        queue.add({ ...note(`${round}-${index}`), optimisticUpdate }),
      );
      await Promise.all(adding);
      await device.clock.settle();
      await store.refresh(async () => EMPTY);
    }

    expect([sizeOf(pending, 'known', 'over'), sizeOf(pending, 'known', 'open')]).toEqual([1_000, 0]);
    expect([sizeOf(store, 'known', 'over'), sizeOf(store, 'known', 'open')]).toEqual([1_000, 0]);
    expect(sizeOf(store, 'thrown')).toBe(0);
  });
});

/** How much it holds under this name. */
function sizeOf(holder: object, ...path: readonly string[]): number {
  return [...path, 'size'].reduce<unknown>((at, name) => Reflect.get(Object(at), name), holder) as number;
}
