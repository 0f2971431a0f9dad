import { createServer, type Server } from 'node:http';
import { getRequestListener } from '@hono/node-server';
import type { LiveMessage } from 'holdfast/protocol';
import { expect, onTestFinished, test } from 'vitest';
import { WebSocket } from 'ws';
import { createTokenVerifier } from './auth.ts';
import { createDoor } from './door.ts';
import { createLiveChannel } from './live-channel.ts';
import { attachLiveSocket } from './live-socket.ts';
import { describeOnEachDatabase } from './testing-databases/test-databases.ts';
import { change, createDevice } from './testing-databases/test-device.ts';
import { TEST_SECRET, testToken } from './testing-databases/test-token.ts';

describeOnEachDatabase((world) => {
  test('P8 · over a WebSocket, changes of the workspace come in the order of their commits, and of no other workspace', async () => {
    const { url } = await serve();
    const [mine, theirs] = [createDevice(world.database), createDevice(world.database)];
    const line = await connect(url, await testToken(mine.workspaceId));
    expect((await line.next()).kind).toBe('ready');

    const made = mine.next({ payload: { name: 'Oslo' } });
    await theirs.send([theirs.next()]);
    await mine.send([made]);
    await mine.send([mine.next(change('update', made.entity, { beds: 3 }))]);
    await mine.send([mine.next(change('delete', made.entity))]);

    const seen = await line.changes(3);
    expect(seen.map(({ action, entityId }) => [action, entityId])).toEqual([
      ['create', made.entity?.id],
      ['update', made.entity?.id],
      ['delete', made.entity?.id],
    ]);
    line.socket.close();
  });

  test('P8, P11 · after a gap, a subscriber goes on from its cursor, on another server too, which asks for itself', async () => {
    const device = createDevice(world.database);
    const token = await testToken(device.workspaceId);
    const first = await connect((await serve()).url, token);
    const ready = await first.next();
    await device.send([device.next({ payload: { name: 'seen' } })]);
    await first.changes(1);
    first.socket.terminate();
    await device.send([device.next({ payload: { name: 'missed 1' } })]);
    await device.send([device.next({ payload: { name: 'missed 2' } })]);

    const second = await connect((await serve()).url, token, first.cursor);
    expect((await second.next()).kind).toBe('ready');
    expect((await second.changes(2)).map(({ newValues }) => newValues?.['name'])).toEqual(['missed 1', 'missed 2']);
    // from the beginning, everything comes again
    const third = await connect((await serve()).url, token, 'cursor' in ready ? ready.cursor : null);
    await third.next();
    expect(await third.changes(3)).toHaveLength(3);
    second.socket.close();
    third.socket.close();
  });

  test('P8 · where no WebSocket gets through, the same comes as Server-Sent Events, and Last-Event-ID goes on', async () => {
    const { url } = await serve();
    const device = createDevice(world.database);
    const open = async (lastEventId?: string) => {
      const stop = new AbortController();
      onTestFinished(() => stop.abort());
      const answer = await fetch(url, {
        signal: stop.signal,
        headers: {
          authorization: `Bearer ${await testToken(device.workspaceId)}`,
          ...(lastEventId === undefined ? {} : { 'last-event-id': lastEventId }),
        },
      });
      expect(answer.headers.get('content-type')).toContain('text/event-stream');
      const reader = answer.body?.getReader();
      let text = '';
      return {
        stop,
        async next(): Promise<{ readonly id: string; readonly message: LiveMessage }> {
          for (;;) {
            const event = /^event: (\w+)\nid: (.*)\ndata: (.*)\n\n/.exec(text);
            if (event !== null) {
              text = text.slice(event[0].length);
              return { id: event[2] ?? '', message: JSON.parse(event[3] ?? '') as LiveMessage };
            }
            text += new TextDecoder().decode((await reader?.read())?.value as Uint8Array | undefined);
          }
        },
      };
    };

    const first = await open();
    const ready = await first.next();
    expect(ready.message.kind).toBe('ready');
    await device.send([device.next({ payload: { name: 'one' } })]);
    expect((await first.next()).message).toMatchObject({ kind: 'changes', changes: [{ newValues: { name: 'one' } }] });
    first.stop.abort();
    const again = await open(ready.id);
    expect((await again.next()).message.kind).toBe('ready');
    expect((await again.next()).message).toMatchObject({ kind: 'changes', changes: [{ newValues: { name: 'one' } }] });
  });

  test('P8 · beyond what is kept, a line is told to read everything anew, and goes on from there', async () => {
    const { url } = await serve();
    const device = createDevice(world.database);
    const token = await testToken(device.workspaceId);
    const first = await connect(url, token);
    await first.next();
    await device.send([device.next()]);
    await first.changes(1);
    first.socket.terminate();
    await device.send([device.next({ payload: { name: 'missed' } })]);
    // as when its month is dropped
    await world.database.query(
      'update holdfast.epochs set trimmed_id = (select max(id) from holdfast.audit_log) + 1 where place = (select max(place) from holdfast.epochs)',
    );
    const second = await connect(url, token, first.cursor);
    const answer = await second.next();
    await world.database.query('update holdfast.epochs set trimmed_id = 0');
    expect(answer.kind).toBe('resync');

    await device.send([device.next({ payload: { name: 'later' } })]);
    expect((await second.changes(1)).map(({ newValues }) => newValues?.['name'])).toEqual(['later']);
    second.socket.close();
  });

  test.each([
    ['a token that is none', 'abc', null, 'TOKEN_INVALID'],
    ['a place that is none', null, 'nowhere', 'INVALID_REQUEST'],
  ])('P8 · %s is refused, and says why', async (_, token, cursor, code) => {
    const line = await connect((await serve()).url, token ?? (await testToken('w-live')), cursor);
    expect(await line.next()).toMatchObject({ kind: 'refused', error: { code } });
    await line.closed;
  });

  test('P8 · a login that ends closes its line, and says so', async () => {
    const line = await connect((await serve()).url, await testToken('w-live', 'ada', 1));
    expect((await line.next()).kind).toBe('ready');
    expect(await line.next()).toMatchObject({ kind: 'refused', error: { code: 'TOKEN_EXPIRED' }, retryAfterMs: 1_000 });
    await line.closed;
  });

  test('P9 · one that does not take what it is sent holds nobody up, is let go, and resumes', async () => {
    const live = createLiveChannel({ database: world.database, pollIntervalMs: 10, slowAfterMs: 200 });
    const device = createDevice(world.database);
    const sent: LiveMessage[] = [];
    const closed = Promise.withResolvers<void>();
    let isStuck = false;
    live.subscribe(device.claims, null, {
      send: async (message) => {
        sent.push(message);
        if (isStuck) await new Promise(() => undefined);
      },
      close: () => closed.resolve(),
    });
    await expect.poll(() => sent.length).toBe(1);
    isStuck = true;
    for (let batch = 0; batch < 3; batch += 1) await device.send([device.next()]);
    await closed.promise;

    // it was sent one page, and nothing was read for it while it did not take that
    expect(sent.map(({ kind }) => kind)).toEqual(['ready', 'changes', 'refused']);
    expect(live.subscriberCount).toBe(0);
    await live.close();
  });

  test('P9 · one user takes so many places and no more, and others still find one', async () => {
    const live = createLiveChannel({ database: world.database, subscriberCountPerUserMax: 2 });
    const [ada, bob] = [createDevice(world.database), createDevice(world.database)];
    const told: string[] = [];
    const subscribe = (device: typeof ada) =>
      live.subscribe(device.claims, null, {
        send: async (message) => void told.push(message.kind === 'refused' ? message.error.code : message.kind),
        close: () => undefined,
      });
    const leave = subscribe(ada);
    subscribe(ada);
    subscribe(ada);
    subscribe(bob);
    await expect.poll(() => told.toSorted()).toEqual(['TOO_MANY_REQUESTS', 'ready', 'ready', 'ready']);
    leave();
    subscribe(ada);
    await expect.poll(() => told.filter((kind) => kind === 'ready').length).toBe(4);
    await live.close();
  });

  test('P9 · one user who begins to listen again and again is told how long to wait, and others are not held up', async () => {
    const live = createLiveChannel({ database: world.database, rateLimit: { requestsPerMinute: 12 } });
    const [ada, bob] = [createDevice(world.database), createDevice(world.database)];
    const told: LiveMessage[] = [];
    const subscribe = (device: typeof ada) =>
      live.subscribe(device.claims, null, { send: async (message) => void told.push(message), close: () => undefined });
    subscribe(ada)();
    subscribe(ada)();
    subscribe(ada);
    await expect
      .poll(() => told)
      .toMatchObject([{ kind: 'refused', error: { code: 'TOO_MANY_REQUESTS' }, retryAfterMs: 5_000 }]);
    subscribe(bob);
    await expect.poll(() => told.at(-1)?.kind).toBe('ready');
    await live.close();
  });

  async function serve(): Promise<{ readonly url: string; readonly server: Server }> {
    const live = createLiveChannel({ database: world.database, pollIntervalMs: 20 });
    const auth = { secret: TEST_SECRET };
    const server = createServer(getRequestListener(createDoor({ database: world.database, auth, live }).fetch));
    attachLiveSocket(server, { live, verifyToken: createTokenVerifier(auth) });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(async () => {
      await live.close();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    });
    const address = server.address();
    if (typeof address !== 'object' || address === null) throw new Error('no port');
    return { url: `http://127.0.0.1:${address.port}/v1/live`, server };
  }
});

async function connect(url: string, token: string, cursor: string | null = null) {
  const socket = new WebSocket(url.replace('http', 'ws'));
  const waiting: LiveMessage[] = [];
  let wake = (): void => undefined;
  const line = {
    socket,
    cursor,
    closed: new Promise<void>((resolve) => socket.once('close', () => resolve())),
    async next(): Promise<LiveMessage> {
      while (waiting.length === 0) await new Promise<void>((resolve) => (wake = resolve));
      const message = waiting.shift();
      if (message === undefined) throw new Error('nothing came');
      if ('cursor' in message) line.cursor = message.cursor;
      return message;
    },
    async changes(count: number) {
      const seen = [];
      while (seen.length < count) {
        const message = await line.next();
        if (message.kind === 'changes') seen.push(...message.changes);
      }
      return seen;
    },
  };
  socket.on('message', (data) => {
    waiting.push(JSON.parse(String(data)) as LiveMessage);
    wake();
  });
  await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
  socket.send(JSON.stringify({ kind: 'subscribe', token, cursor }));
  return line;
}
