/**
 * Scenarios in which write queues in the field lose, double, reorder or strand a user's change. Here the change is kept, and
 * what stands beside it moves on. Each says in general what it guards against.
 */
import * as v from 'valibot';
import { describe, expect, test } from 'vitest';
import { handlerTransport, type MutationHandlers } from '../delivery/handler-transport.ts';
import { defineMutation } from '../mutation/definition.ts';
import { createTestApp, type TestApp } from '../testing/test-app.ts';

const HOUR_MS = 3_600_000;

const saveNote = defineMutation({
  type: 'note.save',
  payload: v.object({ id: v.string(), text: v.string() }),
  operation: 'create',
  entity: ({ id }) => ({ table: 'notes', id }),
});
/** All in one lane: strictly in order. */
const appendLine = defineMutation({
  type: 'line.append',
  payload: v.object({ number: v.number() }),
  operation: 'custom',
});
const MUTATIONS = [saveNote, appendLine] as const;
type App = TestApp<typeof MUTATIONS>;
type Handlers = MutationHandlers<typeof MUTATIONS>;

const note = (id: string) => ({ type: 'note.save', payload: { id, text: `note ${id}` } }) as const;
const line = (number: number) => ({ type: 'line.append', payload: { number } }) as const;

/** With our server behind it. */
const open = (): Promise<App> =>
  createTestApp({ mutations: MUTATIONS, handlers: { 'line.append': ({ number }: { number: number }) => number } });

/** With a backend of the app's own, called by a function for each type. */
const openWith = (handlers: Partial<Handlers>): Promise<App> =>
  createTestApp({ mutations: MUTATIONS, transport: () => handlerTransport<typeof MUTATIONS>(handlers as Handlers) });

const numbersSent = (app: App): readonly unknown[] =>
  app.server.requests.flatMap(({ mutations }) => mutations.map(({ payload }) => payload['number']));

describe('what an error seems to say', () => {
  // A status looked for in the text of a message is found where there is none: 400 stands inside 4000.
  test('rival-T1 · a timeout of 4000 ms is no 400: the change is kept, and goes again', async () => {
    let callCount = 0;
    const app = await openWith({
      'note.save': () => {
        callCount += 1;
        if (callCount === 1) throw new Error('request timed out after 4000 ms');
      },
    });

    const { settled } = await app.queue.add(note('a'));

    expect(await app.clock.until(settled)).toMatchObject({ status: 'completed' });
    expect(callCount).toBe(2);
  });

  // The same, and it never passes: given up after all attempts, it is shown and can be tried again; it is not gone.
  test('rival-T1 · what fails every time is kept as a dead letter, with its payload', async () => {
    let isBroken = true;
    const app = await openWith({
      'note.save': () => {
        if (isBroken) throw new Error('request timed out after 4000 ms');
      },
    });
    const { id, settled } = await app.queue.add(note('a'));
    expect(await app.clock.until(settled)).toMatchObject({ status: 'failed' });
    await app.restartApp();
    expect(app.queue.getSnapshot().failedCount).toBe(1);

    isBroken = false;
    expect(await app.queue.retry(id)).toMatchObject({ touchedCount: 1 });
    await app.drain();

    expect(await app.queue.getMutationStatus(id)).toMatchObject({ status: 'completed' });
  });

  // Whatever is not a success is thrown away, but for a 500: a dead line, an expired login and a busy server included.
  test.each([
    { name: 'fetch fails', answer: (): Response | never => raise(new TypeError('Failed to fetch')) },
    { name: 'it answers 401', answer: () => new Response(null, { status: 401 }) },
    { name: 'it answers 408', answer: () => new Response(null, { status: 408 }) },
    { name: 'it answers 429', answer: () => new Response(null, { status: 429 }) },
    { name: 'it answers 500', answer: () => new Response(null, { status: 500 }) },
  ])('rival-R1 · when $name, the change stays, and arrives when that is over', async ({ answer }) => {
    let isBad = true;
    const app = await openWith({ 'note.save': () => (isBad ? answer() : null) });
    const { settled } = await app.queue.add(note('a'));
    await app.clock.advance(10_000);
    expect(app.queue.getSnapshot()).toMatchObject({ pendingCount: 1, failedCount: 0 });

    isBad = false;
    await app.signIn();

    expect(await app.clock.until(settled)).toMatchObject({ status: 'completed' });
  });
});

describe('what stands behind', () => {
  // The first of the queue can never succeed, and is tried for ever: nothing behind it is even attempted.
  test('rival-T2 · one that always gets a 404 holds up neither another lane nor, once dead, its own', async () => {
    const lines: number[] = [];
    const app = await openWith({
      'note.save': () => new Response(null, { status: 404 }),
      'line.append': ({ number }) => {
        if (number === 1) return new Response(null, { status: 404 });
        lines.push(number);
        return null;
      },
    });
    const poisoned = await app.queue.add(note('a'));
    await app.queue.add(line(1));
    await app.queue.add(line(2));

    await app.drain();

    expect(lines).toEqual([2]);
    expect(await poisoned.settled).toMatchObject({ status: 'failed', error: { category: 'NOT_FOUND' } });
    expect(app.queue.getSnapshot().failedCount).toBe(2);
  });

  // Retries used up while the line was down leave a change stranded: pending, and not sent with the next one either.
  test('rival-L1 · after two retries and a long outage, an old change goes with the next one', async () => {
    const app = await open();
    app.network.setOffline({ isNoticed: false });
    const old = await app.queue.add({ ...note('old'), maxRetries: 2 });
    await app.clock.advance(HOUR_MS);

    app.network.setOnline();
    const young = await app.queue.add(note('young'));
    await app.drain();

    expect(await old.settled).toMatchObject({ status: 'completed' });
    expect(await young.settled).toMatchObject({ status: 'completed' });
    expect(app.server.effects.map(({ id }) => id)).toEqual([old.id, young.id]);
  });
});

describe('several tabs', () => {
  // Only the tab that delivers stores anything: a change made in another one, offline, is nowhere.
  test('rival-T3 · a change made offline in a tab that does not deliver is stored, and survives both', async () => {
    const app = await open();
    const other = await app.openTab();
    app.network.setOffline();

    const { durability } = await other.add(note('a'));
    await app.restartApp();
    app.network.setOnline();
    await app.drain();

    expect(durability).toBe('strict');
    expect(app.server.rows('notes')).toEqual([{ id: 'a', text: 'note a' }]);
  });

  // The lead moves while a change is being stored: success is told, and nothing was stored nor sent.
  test.each([
    { how: 'closes', leave: (app: App) => app.closeTab(app.queue) },
    { how: 'is killed', leave: (app: App) => app.killTab(app.queue) },
  ])(
    'rival-T4 · the tab that delivers $how while a change is being stored: what is told is true',
    async ({ leave }) => {
      const app = await open();
      const leader = app.queue;
      await app.openTab();
      app.storage.setSlow(100);
      const toldIds: string[] = [];
      leader.add(note('a')).then(
        ({ id }) => toldIds.push(id),
        () => {},
      );
      await app.clock.advance(50);

      await leave(app);
      await app.clock.advance(2 * 60_000);

      const { pendingCount } = app.queue.getSnapshot();
      expect(pendingCount).toBe(0);
      const arrivedIds = app.server.effects.map(({ id }) => id);
      // Killed before it was told, it may be there or not; told, it is there; and never twice.
      expect(arrivedIds).toEqual(expect.arrayContaining(toldIds));
      expect(arrivedIds.length).toBeLessThanOrEqual(1);
    },
  );
});

describe('after a restart', () => {
  // The app has changed what its handler is called: what was stored for the old name is deleted.
  test('rival-T5 · a stored change whose handler is gone is kept and shown, and goes when the handler is back', async () => {
    const sent: string[] = [];
    const handlers: Partial<Handlers> = {};
    const app = await openWith(handlers);
    await app.queue.pause();
    const { id } = await app.queue.add(note('a'));
    await app.restartApp();
    await app.queue.resume();
    await app.drain();
    expect(await app.queue.getMutationStatus(id)).toMatchObject({
      status: 'failed',
      lastError: { code: 'NO_HANDLER' },
    });

    Object.assign(handlers, { 'note.save': ({ id: noteId }: { readonly id: string }) => sent.push(noteId) });
    await app.restartApp();
    await app.queue.retry(id);
    await app.drain();

    expect(sent).toEqual(['a']);
  });

  // The same, with the type itself declared no more.
  test('rival-T5 · a stored change of a type that the app no longer declares is delivered all the same', async () => {
    const app = await open();
    app.network.setOffline();
    const { id } = await app.queue.add(note('a'));

    await app.restartApp({ mutations: [] as never });
    expect(await app.queue.getMutationStatus(id)).toMatchObject({ type: 'note.save', status: 'pending' });
    app.network.setOnline();
    await app.drain();

    expect(app.server.rows('notes')).toEqual([{ id: 'a', text: 'note a' }]);
  });

  // Ordered by the clock's milliseconds, changes made in one are replayed in any order.
  test('rival-T6 · twenty changes made in a tight loop keep their order', async () => {
    const app = await open();
    app.network.setOffline();
    const added: Promise<unknown>[] = [];
    for (let number = 0; number < 20; number += 1) added.push(app.queue.add(line(number)));
    await Promise.all(added);

    await app.restartApp();
    app.network.setOnline();
    await app.drain();

    expect(numbersSent(app)).toEqual(Array.from({ length: 20 }, (_, number) => number));
  });

  // The same, with a clock that is set back in between.
  test('rival-T6 · a clock set back by a year changes no order', async () => {
    const app = await open();
    app.network.setOffline();
    await app.queue.add(line(1));
    app.clock.wallOffsetMs -= 365 * 24 * HOUR_MS;
    await app.queue.add(line(2));

    await app.restartApp();
    app.network.setOnline();
    await app.drain();

    expect(numbersSent(app)).toEqual([1, 2]);
  });

  // What is stored has an age limit, and everything older is erased.
  test.each([25, 24 * 400])('rival-Q1 · opened again after %i hours, everything is there', async (hours) => {
    const app = await open();
    app.network.setOffline();
    await app.queue.add(note('a'));
    await app.queue.add(note('b'));
    for (const queue of app.tabs) await app.killTab(queue);
    await app.clock.advance(hours * HOUR_MS);

    await app.restartApp();
    expect(app.queue.getSnapshot().pendingCount).toBe(2);
    app.network.setOnline();
    await app.drain();

    expect(app.server.effects).toHaveLength(2);
  });

  // Everything stands in one text: cut off anywhere, all of it is erased.
  test.each([
    { what: 'record', prefix: 'p/' },
    { what: 'payload', prefix: 'b/' },
  ])('rival-Q2 · one $what cut off costs no other change, and stays where it is', async ({ prefix }) => {
    const app = await open();
    app.network.setOffline();
    for (const id of ['a', 'b', 'c']) await app.queue.add(note(id));
    let damagedKey = '';
    await app.storage.rewrite((text, key) => {
      if (!key.startsWith(prefix) || damagedKey !== '') return text;
      damagedKey = key;
      return text.slice(0, text.length / 2);
    });
    const codes: string[] = [];

    await app.restartApp();
    app.queue.onError(({ code }) => codes.push(code));
    app.network.setOnline();
    await app.drain();

    expect(app.server.rows('notes').map(({ id }) => id)).toEqual(['b', 'c']);
    const [records = {}] = Object.values(await app.storage.dump());
    // A payload stays with its dead letter; what tells nobody whose it is goes into quarantine.
    expect(records[damagedKey] ?? records[`q/${damagedKey}`]).toBeDefined();
  });

  // A new version of the app finds what an older one stored, takes it for foreign, and erases it.
  test('rival-Q2 · a new version of the app keeps what the old one stored', async () => {
    const app = await open();
    app.network.setOffline();
    const { id } = await app.queue.add(note('a'));

    await app.restartApp({ mutations: [saveNote, defineMutation({ ...appendLine, version: 2 })] as never });

    expect(await app.queue.getMutationStatus(id)).toMatchObject({ status: 'pending' });
    app.network.setOnline();
    await app.drain();
    expect(app.server.rows('notes')).toHaveLength(1);
  });

  // Only what waits for the network is stored: what was on its way when the app died, or failed "online", is not.
  test('rival-Q3 · a change that was on its way when the app was killed goes again, and takes effect once', async () => {
    const app = await open();
    app.server.hold();
    const { id } = await app.queue.add(note('a'));
    await app.settle();
    expect(app.queue.getSnapshot().processingCount).toBe(1);

    await app.restartApp();
    app.server.release();
    await app.drain();

    expect(app.server.effects.map((effect) => effect.id)).toEqual([id]);
  });

  test('rival-Q3 · "online", and no request gets through: the change is there after a restart', async () => {
    const app = await open();
    app.network.setLoss({ requests: 1 });
    await app.queue.add(note('a'));
    await app.clock.advance(60_000);

    await app.restartApp();
    expect(app.queue.getSnapshot().pendingCount).toBe(1);
    app.network.setLoss({});
    await app.drain();

    expect(app.server.effects).toHaveLength(1);
  });

  // Resumed before the app has registered its handlers: each becomes an error, and is stored no more.
  test('rival-Q4 · started without a single handler, nothing is lost', async () => {
    const sent: string[] = [];
    const handlers: Partial<Handlers> = {};
    const app = await openWith(handlers);
    await app.queue.pause();
    for (const id of ['a', 'b']) await app.queue.add(note(id));
    await app.restartApp();
    await app.queue.resume();
    await app.drain();
    expect(app.queue.getSnapshot()).toMatchObject({ pendingCount: 0, failedCount: 2 });

    Object.assign(handlers, { 'note.save': ({ id }: { readonly id: string }) => sent.push(id) });
    await app.restartApp();
    for (const { id } of app.queue.listUnconfirmed()) await app.queue.retry(id);
    await app.drain();

    expect(sent.toSorted()).toEqual(['a', 'b']);
  });

  // Resumed together, changes to the same thing run at once, and the slow first one ends last.
  test('rival-Q5 · changes to the same thing are resumed one after the other', async () => {
    const told: string[] = [];
    const app: App = await openWith({
      'line.append': async ({ number }) => {
        told.push(`begin ${number}`);
        await app.clock.delay(number === 1 ? 5_000 : 10);
        told.push(`end ${number}`);
      },
    });
    await app.queue.pause();
    await app.queue.add(line(1));
    await app.queue.add(line(2));

    await app.restartApp();
    await app.queue.resume();
    await app.drain();

    expect(told).toEqual(['begin 1', 'end 1', 'begin 2', 'end 2']);
  });
});

function raise(error: Error): never {
  throw error;
}
