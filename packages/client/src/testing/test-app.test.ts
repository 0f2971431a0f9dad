import * as v from 'valibot';
import { describe, expect, test } from 'vitest';
import { handlerTransport, type MutationHandlers } from '../delivery/handler-transport.ts';
import { defineMutation } from '../mutation/definition.ts';
import { HoldfastError } from '../mutation/holdfast-error.ts';
import type { ErrorMode } from './error-modes.ts';
import { createTestApp, type TestApp, type TestAppOptions } from './test-app.ts';

const saveNote = defineMutation({
  type: 'note.save',
  payload: v.object({ id: v.string(), text: v.nullable(v.string()) }),
  operation: 'create',
  entity: ({ id }) => ({ table: 'notes', id }),
});
const editNote = defineMutation({
  type: 'note.edit',
  payload: v.object({ id: v.string(), text: v.string() }),
  operation: 'update',
  entity: ({ id }) => ({ table: 'notes', id }),
});
const removeNote = defineMutation({
  type: 'note.remove',
  payload: v.object({ id: v.string() }),
  operation: 'delete',
  entity: ({ id }) => ({ table: 'notes', id }),
});
const archive = defineMutation({ type: 'archive', payload: v.object({ count: v.number() }), operation: 'custom' });
const MUTATIONS = [saveNote, editNote, removeNote, archive] as const;

type App = TestApp<typeof MUTATIONS>;

const open = (options: Partial<TestAppOptions<typeof MUTATIONS>> = {}): Promise<App> =>
  createTestApp({ mutations: MUTATIONS, ...options });
const note = (id: string, text = 'x') => ({ type: 'note.save', payload: { id, text } }) as const;

test('K1, C1 · a table that counts its changes brings two devices into conflict, and a merge keeps what both have changed', async () => {
  const edit = defineMutation({
    type: 'note.edit',
    payload: v.object({ id: v.string(), text: v.exactOptional(v.string()), colour: v.exactOptional(v.string()) }),
    operation: 'update',
    entity: ({ id }) => ({ table: 'notes', id }),
    conflict: 'merge',
    encoding: 'smallest',
  });
  const app = await createTestApp({ mutations: [edit], tables: { notes: { versionColumn: 'version' } } });
  const row = { id: '1', text: 'a long text '.repeat(20), colour: 'red', version: 3 };
  app.server.insert('notes', { ...row, colour: 'blue', version: 4 });
  await app.queue.add({
    type: 'note.edit',
    payload: { id: '1', text: 'short', colour: 'red' },
    base: { rowVersion: 3, row },
  });
  await app.drain();
  expect(app.server.row('notes', '1')).toEqual({ id: '1', text: 'short', colour: 'blue', version: 5 });
});

test("R5 · under another user's login nothing is taken, not even the first change of a device; under its own it is", async () => {
  const app = await open();
  const issueToken = app.server.issueToken.bind(app.server);
  app.server.issueToken = (login) => issueToken({ ...login, userId: 'bob' });
  await app.signIn();
  const { id, settled } = await app.queue.add(note('1', 'Buy milk'));
  await app.clock.advance(60_000);
  expect(await app.queue.getMutationStatus(id)).toMatchObject({
    waitingFor: 'auth',
    lastError: { code: 'WRONG_LOGIN' },
  });
  expect(app.server.rows('notes')).toEqual([]);

  app.server.issueToken = issueToken;
  await app.signIn();
  await app.drain();
  expect(await settled).toMatchObject({ status: 'completed' });
});

describe('the app', () => {
  test('K1 · offline, killed, started again, online: everything is delivered, once, through the real transport', async () => {
    const app = await open();
    app.network.setOffline();
    const { id } = await app.queue.add(note('1', 'Buy milk'));
    expect(await app.queue.getMutationStatus(id)).toMatchObject({ waitingFor: 'network' });

    await app.restartApp();
    expect(app.queue.getSnapshot().pendingCount).toBe(1);
    app.network.setOnline();
    await app.drain();

    expect(app.server.row('notes', '1')).toEqual({ id: '1', text: 'Buy milk' });
    expect(app.server.effects).toEqual([{ id, type: 'note.save', userId: 'test-user', workspaceId: 'test-workspace' }]);
  });

  test('K1 · of two tabs both store and one delivers; when it is killed the other goes on', async () => {
    const app = await open();
    const first = app.queue;
    const second = await app.openTab();
    app.server.hold();
    await first.add(note('1'));
    await second.add(note('2'));
    await app.settle();

    await app.killTab(first);
    app.server.release();
    await app.drain();

    expect(app.tabs).toEqual([second]);
    expect(app.server.rows('notes').map(({ id }) => id)).toEqual(['1', '2']);
    expect(app.server.effects).toHaveLength(2);
  });

  test('K1 · two devices share a server and its time', async () => {
    const ann = await open();
    const bob = await open({ server: ann.server, identity: { userId: 'bob', workspaceId: 'elsewhere' } });

    await ann.queue.add(note('1'));
    await ann.drain();
    const { settled } = await bob.queue.add({ type: 'note.edit', payload: { id: '1', text: 'mine' } });

    expect(await bob.clock.until(settled)).toMatchObject({ status: 'failed', error: { code: 'ROW_NOT_FOUND' } });
    expect(ann.server.row('notes', '1')).toEqual({ id: '1', text: 'x' });
  });

  test('K1 · what cannot be drained says what it waits for', async () => {
    const app = await open();
    app.network.setOffline();
    await app.queue.add(note('1'));

    await expect(app.drain({ limitMs: 60_000 })).rejects.toThrow(
      /within 60000 ms of virtual time:\n- note\.save .*: It is saved on this device/,
    );
  });

  test('K1 · a queue that was kept over a restart, or whose tab was killed, says that it has ended', async () => {
    const app = await open();
    const { queue } = app;
    const second = await app.openTab();
    await app.killTab(second);
    await app.restartApp();

    const ended = {
      code: 'QUEUE_CLOSED',
      message: 'This queue ended with its tab (`restartApp()`, `killTab()` or a crash).',
      hint: 'Use `app.queue`, which is the new one.',
    };
    await expect(queue.add(note('1'))).rejects.toMatchObject(ended);
    await expect(queue.getStatus()).rejects.toMatchObject(ended);
    await expect(queue.process()).rejects.toMatchObject(ended);
    await expect(second.add(note('1'))).rejects.toMatchObject(ended);
    expect(queue.getSnapshot().pendingCount).toBe(0);
    await app.queue.add(note('1'));
    await app.drain();
  });

  test('K1 · without its types it is refused, also from JavaScript', async () => {
    await expect(createTestApp({} as TestAppOptions<typeof MUTATIONS>)).rejects.toMatchObject({
      code: 'INVALID_OPTION',
      message: 'createQueue: `mutations` must be a list of what defineMutation gives; it is undefined.',
    });
  });

  test('K1 · a run of the app that is over hears of nothing any more', async () => {
    const app = await open();
    app.server.hold();
    const { settled } = await app.queue.add(note('1'));
    let wasTold = false;
    void settled.then(() => {
      wasTold = true;
    });

    await app.restartApp();
    app.server.release();
    await app.drain();

    expect(wasTold).toBe(false);
    expect(app.server.effects).toHaveLength(1);
  });
});

describe('the server', () => {
  test.each<{ readonly mode: ErrorMode; readonly waitingFor: string }>([
    { mode: 'timeout', waitingFor: 'network' },
    { mode: 'halfOpen', waitingFor: 'network' },
    { mode: 'failsAfterCommit', waitingFor: 'circuit' },
    { mode: 'serverError', waitingFor: 'circuit' },
    { mode: 'unavailable', waitingFor: 'circuit' },
    { mode: 'badGateway', waitingFor: 'circuit' },
    { mode: 'unauthorized', waitingFor: 'auth' },
    { mode: 'forbidden', waitingFor: 'auth' },
    { mode: 'upgradeRequired', waitingFor: 'upgrade' },
    { mode: 'busy', waitingFor: 'backoff' },
    { mode: { status: 418 }, waitingFor: 'circuit' },
    { mode: { code: '40P01', message: 'deadlock detected', mayRetry: true }, waitingFor: 'backoff' },
  ])('K1 · $mode: it waits for $waitingFor, and takes effect once when that is over', async ({ mode, waitingFor }) => {
    const app = await open();
    app.server.setErrorMode(mode);
    const { id } = await app.queue.add(note('1'));
    await app.clock.advance(mode === 'timeout' || mode === 'halfOpen' ? 30_000 : 0);
    expect(await app.queue.getMutationStatus(id)).toMatchObject({ status: 'pending', waitingFor });

    app.server.setErrorMode(null);
    await app.signIn();
    if (mode === 'upgradeRequired') await app.restartApp();
    await app.drain();

    expect(app.server.effects.map((effect) => effect.id)).toEqual([id]);
  });

  test.each(['validaton', {}, 500])(
    'K1 · %o, which is no mode, is refused, with those that there are',
    async (mode) => {
      const app = await open();
      expect(() => app.server.setErrorMode(mode as ErrorMode)).toThrow(
        expect.objectContaining({ code: 'INVALID_OPTION', hint: expect.stringContaining('validation') as unknown }),
      );
    },
  );

  test('K1 · a mode can strike certain mutations, and be over by itself', async () => {
    const app = await open();
    app.server.setErrorMode('validation', { count: 1, when: ({ type }) => type === 'note.save' });

    const first = await app.queue.add(note('1'));
    const second = await app.queue.add(note('2'));
    await app.drain();

    expect(await first.settled).toMatchObject({ status: 'failed', error: { category: 'VALIDATION_ERROR' } });
    expect(await second.settled).toMatchObject({ status: 'completed' });
  });

  test('K1 · one request too many is answered with 429 until the window ends, in words of your own', async () => {
    const app = await open();
    app.server.setRateLimit({ count: 2, windowMs: 60_000 });
    app.server.setRateLimitResponse({ headers: { 'x-ratelimit-limit': '2' } });
    for (const id of ['1', '2', '3']) {
      await app.queue.add(note(id));
      await app.settle();
    }
    expect(app.queue.getSnapshot().waitingFor).toBe('rateLimit');

    await app.clock.advance(60_000);

    expect(app.server.effects).toHaveLength(3);
    expect(app.server.requests).toHaveLength(4);
  });

  test('K1 · an expired token is refreshed, and nobody signed in is waited for', async () => {
    const app = await open();
    app.expireToken();
    await app.queue.add(note('1'));
    await app.drain();
    expect(app.server.effects).toHaveLength(1);

    app.signOut();
    await app.queue.add(note('2'));
    await app.clock.advance(3_600_000);
    expect(app.queue.getSnapshot().waitingFor).toBe('auth');
    await app.signIn();
    await app.drain();
    expect(app.server.effects).toHaveLength(2);
  });

  test.each([
    { rules: { required: ['text'] }, payload: { id: '1', text: null }, code: '23502' },
    { rules: { columns: [] }, payload: { id: '1', text: 'x' }, code: 'UNKNOWN_COLUMN' },
    { rules: { unique: ['text'] }, payload: { id: '1', text: 'taken' }, code: '23505' },
    { rules: { check: () => 'Too rude.' }, payload: { id: '1', text: 'x' }, code: 'P0001' },
    { rules: {}, payload: { id: '0', text: 'x' }, code: 'ROW_EXISTS' },
  ])('K1 · a table that demands more rejects with $code, and nothing is written', async ({ rules, payload, code }) => {
    const app = await open({ tables: { notes: rules } });
    app.server.insert('notes', { id: '0', text: 'taken' });

    const { settled } = await app.queue.add({ type: 'note.save', payload });

    expect(await app.clock.until(settled)).toMatchObject({ status: 'failed', error: { code } });
    expect(app.server.rows('notes')).toEqual([{ id: '0', text: 'taken' }]);
  });

  test('K1 · rows are changed and deleted, by whoever may', async () => {
    const app = await open({ tables: { notes: { defaults: { stars: 0 } } } });
    await app.queue.add(note('1'));
    await app.queue.add({ type: 'note.edit', payload: { id: '1', text: 'y' } });
    await app.drain();
    expect(app.server.row('notes', '1')).toEqual({ id: '1', text: 'y', stars: 0 });

    await app.queue.add({ type: 'note.remove', payload: { id: '1' } });
    await app.drain();
    expect(app.server.rows('notes')).toEqual([]);
  });

  test('Q21 · a creation that is edited after it may have been sent is one row with the edit, and what is behind it goes on', async () => {
    const app = await open();
    app.network.setLoss({ answers: 1 });
    const { id } = await app.queue.add(note('1', 'first'));
    await app.clock.advance(1_000);
    expect(app.server.row('notes', '1')).toEqual({ id: '1', text: 'first' });

    expect(await app.queue.edit(id, { id: '1', text: 'second' })).toMatchObject({ kind: 'replaced' });
    await app.queue.add({ type: 'note.edit', payload: { id: '1', text: 'third' } });
    app.network.setLoss({});
    await app.drain();

    expect(app.queue.getSnapshot()).toMatchObject({ pendingCount: 0, failedCount: 0 });
    expect(app.server.row('notes', '1')).toEqual({ id: '1', text: 'third' });
  });

  test('Q21 · where the first creation is refused, the edited one creates the row', async () => {
    const app = await open({ tables: { notes: { check: ({ text }) => (text === 'bad' ? 'No.' : null) } } });
    app.network.setOffline();
    const { id } = await app.queue.add(note('1', 'bad'));
    await app.restartApp();

    expect(await app.queue.edit(id, { id: '1', text: 'good' })).toMatchObject({ kind: 'replaced' });
    await app.queue.add({ type: 'note.edit', payload: { id: '1', text: 'better' } });
    app.network.setOnline();
    await app.drain();

    expect(app.queue.getSnapshot()).toMatchObject({ pendingCount: 0, failedCount: 1 });
    expect(app.server.row('notes', '1')).toEqual({ id: '1', text: 'better' });
  });

  test('K1 · a handler does all of its work or none', async () => {
    const app = await open({
      handlers: {
        archive: ({ count }: { readonly count: number }, { rows, remove, write }) => {
          for (const { id } of rows('notes')) remove('notes', id);
          write('archives', { id: 'all', count });
          if (count === 0)
            throw new HoldfastError({ code: 'EMPTY', category: 'VALIDATION_ERROR', message: 'Nothing to archive.' });
          return { count };
        },
      },
    });
    app.server.insert('notes', { id: '1', text: 'x' });

    const empty = await app.queue.add({ type: 'archive', payload: { count: 0 } });
    expect(await app.clock.until(empty.settled)).toMatchObject({ status: 'failed', error: { code: 'EMPTY' } });
    expect(app.server.rows('notes')).toHaveLength(1);
    expect(app.server.rows('archives')).toEqual([]);

    const full = await app.queue.add({ type: 'archive', payload: { count: 1 } });
    expect(await app.clock.until(full.settled)).toMatchObject({ status: 'completed', result: { count: 1 } });
    expect(app.server.rows('notes')).toEqual([]);
    expect(app.server.verdictsOn(full.id)).toMatchObject([{ verdict: 'applied' }]);
  });
});

describe('the server, with several at once', () => {
  test('K1 · what is added as one takes effect whole, or not at all', async () => {
    const app = await open({ tables: { notes: { required: ['text'] } } });
    const whole = await app.queue.addAtomic([note('1'), note('2')]);
    const half = await app.queue.addAtomic([note('3'), { type: 'note.save', payload: { id: '4', text: null } }]);

    await app.drain();

    expect(await whole.settled).toMatchObject({ status: 'completed', result: [{ id: '1' }, { id: '2' }] });
    expect(await half.settled).toMatchObject({ status: 'failed', error: { code: '23502' } });
    expect(app.server.rows('notes').map(({ id }) => id)).toEqual(['1', '2']);
  });

  test('K1 · a row that the test put there may be changed from every workspace, again and again', async () => {
    const ann = await open();
    const bob = await open({ server: ann.server, identity: { userId: 'bob', workspaceId: 'elsewhere' } });
    ann.server.insert('notes', { id: '1', text: 'x' });
    for (const [device, text] of [
      [ann, 'a'],
      [bob, 'b'],
      [ann, 'c'],
    ] as const) {
      await device.queue.add({ type: 'note.edit', payload: { id: '1', text } });
      await device.drain();
    }
    expect(ann.server.row('notes', '1')).toEqual({ id: '1', text: 'c' });
  });
});

describe('a backend of the app’s own', () => {
  const openOwn = (seenKeys: Set<string> = new Set()): Promise<App> =>
    open({
      routes: {
        'PUT /api/notes/:id': ({ params, headers, body, write }) => {
          const key = headers.get('idempotency-key') ?? '';
          if (seenKeys.has(key)) return { status: 200, body: 'seen' };
          seenKeys.add(key);
          write('notes', { id: params['id'] ?? '', text: (body as { readonly text: string }).text });
          return { status: 201 };
        },
      },
      transport: ({ fetch }) =>
        handlerTransport({
          'note.save': ({ id, text }: { readonly id: string; readonly text: string }, { idempotencyKey, signal }) =>
            fetch(`/api/notes/${encodeURIComponent(id)}`, {
              method: 'PUT',
              headers: { 'idempotency-key': idempotencyKey },
              body: JSON.stringify({ text }),
              signal,
            }),
        } as MutationHandlers),
    });

  test('K1 · its endpoints are reached over the same line, and write the same tables', async () => {
    const app = await openOwn();
    app.network.setOffline();
    await app.queue.add(note('a/b'));
    await app.restartApp();
    app.network.setOnline();
    await app.drain();

    expect(app.server.rows('notes')).toEqual([{ id: 'a/b', text: 'x' }]);
  });

  test.each<{ readonly mode: ErrorMode; readonly status: string }>([
    { mode: 'timeout', status: 'completed' },
    { mode: 'halfOpen', status: 'completed' },
    { mode: 'failsAfterCommit', status: 'completed' },
    { mode: 'serverError', status: 'completed' },
    { mode: 'unavailable', status: 'completed' },
    { mode: 'unauthorized', status: 'completed' },
    { mode: 'busy', status: 'completed' },
    { mode: 'validation', status: 'failed' },
    { mode: 'forbidden', status: 'failed' },
  ])('K1 · with a backend of its own, $mode once: it ends as $status', async ({ mode, status }) => {
    const seenKeys = new Set<string>();
    const app = await openOwn(seenKeys);
    app.server.setErrorMode(mode, { count: 1 });

    const { settled } = await app.queue.add(note('1'));

    expect(await app.clock.until(settled)).toMatchObject({ status });
    expect(seenKeys.size).toBe(status === 'completed' ? 1 : 0);
  });
});

describe('the line', () => {
  test('K1 · latency passes by itself, and is measured', async () => {
    const app = await open();
    app.network.setLatency(300);

    const { settled } = await app.queue.add(note('1'));

    expect(await settled).toMatchObject({ status: 'completed' });
    expect(app.clock.nowMs()).toBe(300);
    expect(app.queue.network.getSnapshot()).toMatchObject({ quality: 'good', latencyMs: 300 });
  });

  test('K1 · with half of everything lost, everything takes effect, once', async () => {
    const app = await open();
    app.network.setLoss({ requests: 0.5, answers: 0.5 });
    for (let number = 0; number < 20; number += 1) await app.queue.add(note(String(number)));

    await app.drain();

    expect(app.server.effects).toHaveLength(20);
    expect(app.network.requestCount).toBeGreaterThan(app.server.requests.length);
  });

  test.each([
    { name: 'a captive portal', spoil: (app: App) => app.network.setCaptivePortal(true) },
    { name: 'a half-open connection', spoil: (app: App) => app.network.setHalfOpen(true) },
    { name: 'a line that died unnoticed', spoil: (app: App) => app.network.setOffline({ isNoticed: false }) },
  ])('K1 · $name is no server, and nothing is lost', async ({ spoil }) => {
    const app = await open();
    spoil(app);
    await app.queue.add(note('1'));
    await app.clock.advance(60_000);
    expect(app.queue.getSnapshot().pendingCount).toBe(1);
    expect(app.queue.network.isOnline()).toBe(false);

    app.network.setCaptivePortal(false);
    app.network.setHalfOpen(false);
    app.network.setOnline();
    await app.drain();

    expect(app.server.effects).toHaveLength(1);
  });
});

describe('the disk', () => {
  test('K1 · full or failing, it rejects, and stores nothing; afterwards it goes on', async () => {
    const app = await open();
    app.network.setOffline();
    app.storage.setFull(true);
    await expect(app.queue.add(note('1'))).rejects.toMatchObject({ code: 'STORAGE_FULL' });
    app.storage.setFull(false);
    app.storage.failWrites({ afterCount: 1 });
    await app.queue.add(note('2'));
    await expect(app.queue.add(note('3'))).rejects.toMatchObject({ code: 'STORAGE_FAILED' });
    await app.queue.add(note('4'));

    expect(app.queue.getSnapshot().pendingCount).toBe(2);
  });

  test('K1 · a slow one passes by itself', async () => {
    const app = await open();
    app.storage.setSlow(500);

    const { settled } = await app.queue.add(note('1'));

    expect(await settled).toMatchObject({ status: 'completed' });
    expect(app.clock.nowMs()).toBeGreaterThanOrEqual(500);
  });

  test.each([
    { when: 'before', keptCount: 0 },
    { when: 'after', keptCount: 1 },
  ] as const)('K1 · a crash just $when a write leaves $keptCount', async ({ when, keptCount }) => {
    const app = await open();
    app.network.setOffline();
    app.storage.crashAtWrite(1, when);
    let wasTold = false;
    void app.queue.add(note('1')).then(() => {
      wasTold = true;
    });
    await app.settle();
    expect(app.tabs).toEqual([]);
    expect(() => app.queue).toThrow('No tab is open');

    await app.restartApp();

    expect(wasTold).toBe(false);
    expect(app.queue.getSnapshot().pendingCount).toBe(keptCount);
  });

  test('K1 · what stands in it can be read and spoilt', async () => {
    const app = await open();
    app.network.setOffline();
    await app.queue.add(note('1', 'a secret'));
    await app.queue.add(note('2'));
    expect(JSON.stringify(await app.storage.dump())).toContain('a secret');

    await app.storage.rewrite((text) => (text.includes('a secret') ? text.slice(0, -3) : text));
    await app.restartApp();
    app.network.setOnline();
    await app.drain();

    expect(app.server.rows('notes')).toEqual([{ id: '2', text: 'x' }]);
  });
});

describe('the clock', () => {
  test('K1 · a promise that nothing can settle is not waited for', async () => {
    const app = await open();
    await app.close();

    await expect(app.clock.until(new Promise(() => {}))).rejects.toThrow('It never happens');
    await expect(app.clock.until(() => false, { limitMs: 5 })).rejects.toThrow('It never happens');
  });

  test('K1 · what has not happened in time says what each mutation waits for', async () => {
    const app = await open();
    app.network.setOffline();
    const { settled } = await app.queue.add(note('1'));

    await expect(app.clock.until(settled, { limitMs: 60_000 })).rejects.toThrow(
      /within 60000 ms of virtual time\.\n- note\.save .*: It is saved on this device/,
    );
  });

  test('K1 · a day passes in milliseconds', async () => {
    const app = await open();
    app.network.setOffline();
    await app.queue.add(note('1'));
    const startedAtMs = performance.now();

    await app.clock.advance(24 * 3_600_000);

    expect(performance.now() - startedAtMs).toBeLessThan(2_000);
    expect(app.queue.getSnapshot().pendingCount).toBe(1);
  });
});
