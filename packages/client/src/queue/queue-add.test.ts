import * as v from 'valibot';
import { describe, expect, test } from 'vitest';
import { defineMutation } from '../mutation/definition.ts';
import { isHoldfastError } from '../mutation/holdfast-error.ts';
import { RECORD_FORMAT } from '../mutation/record.ts';
import { LIMITS } from '../protocol/wire.ts';
import { countText } from './store/stored-meta.ts';
import { note, TestDevice } from './testing-queue/test-device.ts';

describe('adding', () => {
  test('Q1 · it resolves once the mutation is durable, with its id and what it survives', async () => {
    const device = new TestDevice();
    const queue = await device.open();
    device.server.hold();

    const handle = await queue.add(note('a'));

    expect(handle).toMatchObject({ durability: 'strict' });
    expect(Object.keys(await device.storage.dump())).toContain('p/00000000001');
    expect(await queue.getMutationStatus(handle.id)).toMatchObject({
      status: 'processing',
      type: 'note.save',
      entity: { table: 'notes', id: 'a' },
    });
  });

  test('Q1 · the verdict comes by the handle, by the id, and after a restart', async () => {
    const device = new TestDevice();
    const queue = await device.open();

    const { id, settled } = await queue.add(note('a'));

    expect(await settled).toEqual({ status: 'completed', id, result: { id }, wasRepeat: false });
    expect(await queue.settled(id)).toMatchObject({ status: 'completed', id });
    await queue.close();
    const again = await device.open();
    expect(await again.settled(id)).toEqual({ status: 'completed', id, result: null, wasRepeat: true });
    await expect(again.settled('nobody')).rejects.toMatchObject({ code: 'UNKNOWN_MUTATION' });
  });

  test('Q1 · what is stored is what the payload was at the call, whatever its object is used for afterwards', async () => {
    const device = new TestDevice();
    const queue = await device.open();
    const payload = { id: 'a', text: 'at the call' };

    const adding = queue.add({ type: 'note.save', payload });
    payload.text = 'later';
    const { settled } = await adding;
    await settled;

    expect(device.server.requests.map(({ request }) => request.mutations.map((each) => each.payload))).toEqual([
      [{ id: 'a', text: 'at the call' }],
    ]);
  });

  test('Q1 · a schema that returns what it was given is asked once', async () => {
    let askedCount = 0;
    const count = defineMutation({
      type: 'count',
      payload: v.pipe(
        v.custom<{ readonly by: number }>(() => true),
        v.check(() => {
          askedCount += 1;
          return true;
        }),
      ),
      operation: 'custom',
    });
    const queue = await new TestDevice().openWith([count]);

    await queue.add({ type: 'count', payload: { by: 1 } });

    expect(askedCount).toBe(1);
  });

  test('Q1 · offline, paused and while a batch is on its way it is the same', async () => {
    const device = new TestDevice();
    const queue = await device.open();
    device.server.hold();
    await queue.add(note('a'));
    await queue.add(note('b'));
    device.server.release();
    await device.goOffline();
    await queue.add(note('c'));
    await queue.pause();
    await queue.add(note('d'));

    expect((await queue.getStatus()).totalMutations).toBe(4);
    expect(
      Object.keys(await device.storage.dump()).filter((key) => key.startsWith('p/') || key.startsWith('d/')).length,
    ).toBe(4);
  });

  test('Q1 · from two tabs at once, with something on its way, each is stored whole, and each verdict comes in either tab', async () => {
    const device = new TestDevice();
    const one = await device.open();
    const other = await device.open();
    device.server.hold();
    await one.add(note('a', 'on its way'));
    const full = { isFull: false };
    device.storage.isFull = () => full.isFull;

    const handles = await Promise.all(
      [1, 2, 3, 4, 5, 6].map((number) => (number % 2 === 0 ? one : other).add(note('b', `${number}`))),
    );
    full.isFull = true;
    const refused = await Promise.allSettled([one, other].map((tab) => tab.add(note('b', 'no room'))));
    full.isFull = false;
    const before = await device.storage.dump();

    expect(refused.map((each) => each.status === 'rejected' && (each.reason as { code?: string }).code)).toEqual([
      'STORAGE_FULL',
      'STORAGE_FULL',
    ]);
    expect(Object.values(before).some((text) => text.includes('no room'))).toBe(false);
    device.server.release();
    for (const tab of [one, other])
      expect(await Promise.all(handles.map(async ({ id }) => (await tab.settled(id)).status))).toEqual(
        handles.map(() => 'completed'),
      );
    expect(device.server.effects).toHaveLength(7);
  });

  test('Q1 · one whose checks take longer is not overtaken by calls made after it', async () => {
    const device = new TestDevice();
    const queue = await device.open();
    await device.goOffline();
    const parent = await queue.add(note('parent'));

    // `dependsOn` is looked up before it is stored; the other call needs no look
    const handles = await Promise.all([
      queue.add({ ...note('a', '1'), dependsOn: [parent] }),
      queue.add(note('a', '2')),
    ]);

    const pending = await queue.readPending();
    expect(pending.map(({ id }) => id)).toEqual([parent, ...handles].map(({ id }) => id));
  });

  test('Q1 · mutations added together share commits, and keep their order', async () => {
    const device = new TestDevice();
    const queue = await device.open({ queueCapCount: 2_000 });
    await device.goOffline();
    device.storage.commits = [];

    const handles = await Promise.all(Array.from({ length: 1_200 }, (_, index) => queue.add(note('a', `${index}`))));

    expect(device.storage.commits.length).toBe(3);
    expect(
      device.storage.commits.map(({ changes }) => changes.filter(({ key }) => key.startsWith('p/')).length),
    ).toEqual([500, 500, 200]);
    const pending = await queue.readPending();
    expect(pending.map(({ id }) => id)).toEqual(handles.map(({ id }) => id));
    expect(pending.map(({ payload }) => payload['text'])).toEqual(handles.map((_, index) => `${index}`));
  });

  test('Q1 · mutations added while a commit is under way share the next one', async () => {
    const device = new TestDevice();
    const queue = await device.open();
    await device.goOffline();
    device.storage.commits = [];

    const first = queue.add(note('a'));
    // one turn of promises later the first commit has begun
    for (let turn = 0; turn < 12; turn += 1) await Promise.resolve();
    await Promise.all([first, queue.add(note('b')), queue.add(note('c'))]);

    expect(device.storage.commits.length).toBeLessThanOrEqual(2);
  });

  test('S12 · storage that is full rejects with STORAGE_FULL, stores nothing, and takes the next when there is room', async () => {
    const device = new TestDevice();
    const queue = await device.open();
    const before = await device.storage.dump();
    device.storage.isFull = ({ changes }) => changes.some(({ key }) => key.startsWith('p/'));

    await expect(Promise.all([queue.add(note('a')), queue.add(note('b'))])).rejects.toMatchObject({
      code: 'STORAGE_FULL',
      hint: 'Free space.',
    });
    expect(await device.storage.dump()).toEqual(before);
    expect((await queue.getStatus()).totalMutations).toBe(0);
    expect(device.server.requests).toEqual([]);

    device.storage.isFull = () => false;
    expect(await (await queue.add(note('a'))).settled).toMatchObject({ status: 'completed' });
  });

  test.each([
    { name: 'a type that is not declared', input: { type: 'note.burn', payload: {} }, code: 'UNDECLARED_TYPE' },
    {
      name: 'a payload that its schema refuses',
      input: { type: 'note.save', payload: { id: 'a', text: 5 } },
      code: 'INVALID_PAYLOAD',
    },
    {
      name: 'a payload with a missing field',
      input: { type: 'note.save', payload: { id: 'a' } },
      code: 'INVALID_PAYLOAD',
    },
    { name: 'a payload that is no object', input: { type: 'note.save', payload: 'a' }, code: 'INVALID_PAYLOAD' },
    { name: 'a text that Postgres cannot hold', input: note('a', 'x\0'), code: 'PAYLOAD_NOT_JSON' },
    { name: 'a payload of 2 MB', input: note('a', 'x'.repeat(2_000_000)), code: 'PAYLOAD_TOO_LARGE' },
  ])('Q2 · $name is refused at once as $code, with a hint, and nothing is stored', async ({ input, code }) => {
    const device = new TestDevice();
    const queue = await device.open();
    const before = await device.storage.dump();

    const error: unknown = await queue.add(input as ReturnType<typeof note>).catch((reason: unknown) => reason);

    expect(isHoldfastError(error) && error.hint).toBeTruthy();
    expect(error).toMatchObject({ code, category: 'VALIDATION_ERROR' });
    expect(await device.storage.dump()).toEqual(before);
  });

  test('Q2 · the issues of a payload name each field', async () => {
    const queue = await new TestDevice().open();

    const error: unknown = await queue
      .add({ type: 'note.save', payload: { id: 1, text: 2 } } as never)
      .catch((reason: unknown) => reason);

    expect(error).toMatchObject({ issues: [{ path: ['id'] }, { path: ['text'] }] });
    expect((error as Error).message).toMatchInlineSnapshot(
      `"Not stored: the payload of note.save is invalid: id: Invalid type: Expected string but received 1."`,
    );
  });

  const overhead = JSON.stringify({ id: 'a', text: '' }).length;
  test.each([
    { bytes: LIMITS.payloadBytes - 1, isStored: true },
    { bytes: LIMITS.payloadBytes, isStored: true },
    { bytes: LIMITS.payloadBytes + 1, isStored: false },
  ])('Q2 · a payload of $bytes bytes is stored: $isStored', async ({ bytes, isStored }) => {
    const queue = await new TestDevice().open();

    const adding = queue.add(note('a', 'x'.repeat(bytes - overhead)));

    if (isStored) await adding;
    else await expect(adding).rejects.toMatchObject({ code: 'PAYLOAD_TOO_LARGE' });
  });

  test('Q2 · an entity or a lane that is no text is refused, or its record could not be read back', async () => {
    const device = new TestDevice();
    const queue = device.create({
      mutations: [
        defineMutation({
          type: 'number',
          payload: v.object({}),
          operation: 'update',
          entity: () => ({ table: 'notes', id: 5 as never }),
        }),
        defineMutation({
          type: 'nothing',
          payload: v.object({}),
          operation: 'update',
          entity: () => ({ table: 'notes' }) as never,
        }),
        defineMutation({ type: 'lane', payload: v.object({}), operation: 'custom', lane: () => 5 as never }),
        defineMutation({
          type: 'throws',
          payload: v.object({}),
          operation: 'custom',
          lane: () => {
            throw new TypeError('no such field');
          },
        }),
      ] as never,
    });
    await device.clock.settle();
    const before = await device.storage.dump();

    for (const type of ['number', 'nothing', 'lane', 'throws']) {
      await expect(queue.add({ type, payload: {} } as never)).rejects.toMatchObject({
        category: 'VALIDATION_ERROR',
        code: 'INVALID_PAYLOAD',
      });
    }
    expect(await device.storage.dump()).toEqual(before);
  });

  test('Q1 · a tab whose messages cannot be posted still stores', async () => {
    const device = new TestDevice();
    const queue = await device.open({
      tabs: (name) => ({
        ...device.browser.openTabs(name),
        post: () => {
          throw new Error('The channel is closed.');
        },
      }),
    });

    const { settled } = await queue.add(note('a'));

    expect(await settled).toMatchObject({ status: 'completed' });
    expect(device.server.effects.length).toBe(1);
  });

  test('Q1 · a closed queue takes nothing more, and what it stored is delivered by the next', async () => {
    const device = new TestDevice();
    const queue = await device.open();
    await device.goOffline();
    const { id } = await queue.add(note('a'));

    await queue.close();
    await queue.close();

    await expect(queue.add(note('b'))).rejects.toMatchObject({ code: 'QUEUE_CLOSED' });
    await device.goOnline();
    const again = await device.open();
    expect(device.server.effects).toEqual([id]);
    await again.close();
    expect(device.clock.waitingCount).toBe(0);
  });

  test('Q1 · closing while mutations are being added keeps those whose `add` resolved, and rejects no verdict', async () => {
    const device = new TestDevice();
    const queue = await device.open();
    await device.goOffline();

    const adding = Array.from({ length: 10 }, (_, index) => queue.add(note(`${index}`)));
    const closing = queue.close();
    const ended = await Promise.allSettled(adding);
    await closing;
    await device.clock.settle();

    const stored = ended.flatMap((end) => (end.status === 'fulfilled' ? [end.value.id] : []));
    const again = await device.open();
    expect((await again.readPending()).map(({ id }) => id)).toEqual(stored);
  });
});

describe('logins', () => {
  test('R5 · two users of one device neither see nor send each other`s mutations', async () => {
    const device = new TestDevice();
    const ann = await device.open();
    await device.goOffline();
    const { id } = await ann.add(note('secret of ann'));
    await ann.close();

    const ben = await device.open({ identity: { userId: 'ben', workspaceId: 'home' } });
    await device.goOnline();
    await ben.process();

    expect(ben.getSnapshot()).toMatchObject({ pendingCount: 0, failedCount: 0 });
    expect(await ben.getMutationStatus(id)).toBeUndefined();
    expect(device.server.requests).toEqual([]);
    expect((await device.storage.dump('ben'))['meta/client']).not.toBe(
      (await device.storage.dump('ann'))['meta/client'],
    );
    await ben.close();
    await device.open();
    expect(device.server.effects).toEqual([id]);
  });

  test('R5 · a store of a newer version is refused with a hint, and left as it is', async () => {
    const device = new TestDevice();
    const storage = await device.storage.peek();
    const newer = {
      'meta/client': 'c',
      'meta/format': countText(RECORD_FORMAT + 1),
      'p/00000000001': 'of another shape',
    };
    await storage.commit({
      expect: [],
      changes: Object.entries(newer).map(([key, value]) => ({ kind: 'put', key, value })),
    });

    const queue = await device.open();

    await expect(queue.ready).rejects.toMatchObject({
      code: 'STORAGE_TOO_NEW',
      hint: expect.stringContaining('Update') as string,
    });
    await expect(queue.add(note('a'))).rejects.toMatchObject({ code: 'STORAGE_TOO_NEW' });
    await queue.close();
    expect(await device.storage.dump()).toEqual(newer);
    expect(device.server.requests).toEqual([]);
  });
});
