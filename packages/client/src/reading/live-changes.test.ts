import { expect, test } from 'vitest';
import type { Clock } from '../ports/clock.ts';
import type { Change, LiveMessage } from '../protocol/live.ts';
import type { LiveSocket } from './browser-socket.ts';
import { followChanges, type LiveChangesOptions, type LiveState } from './live-changes.ts';

interface Line {
  readonly socket: LiveSocket;
  readonly asked: { readonly token: string; readonly cursor: string | null };
  say(message: LiveMessage): void;
}

/** Waits end when the test says so. */
function world(over: Partial<LiveChangesOptions> = {}) {
  const lines: Line[] = [];
  const waits: { readonly delayMs: number; readonly end: () => void }[] = [];
  const log: string[] = [];
  const states: LiveState[] = [];
  let areSocketsDead = false;
  const clock: Clock = {
    wallMs: () => 0,
    nowMs: () => 0,
    schedule(delayMs, end) {
      waits.push({ delayMs, end });
      return () => undefined;
    },
  };
  const live = followChanges({
    url: 'http://localhost/v1/live',
    getToken: async ({ refresh }) => (refresh ? 'fresh' : 'token'),
    onChanges: (changes, cursor) => void log.push(`${changes.map(({ id }) => id).join()} at ${cursor}`),
    onRefresh: (cursor) => void log.push(`refresh at ${cursor}`),
    onState: (state) => void states.push(state),
    openSocket: () => {
      const socket: LiveSocket = {
        onopen: null,
        onmessage: null,
        onclose: null,
        onerror: null,
        close: () => undefined,
        send: (text) => {
          const asked = JSON.parse(text) as Line['asked'];
          lines.push({ socket, asked, say: (message) => socket.onmessage?.({ data: JSON.stringify(message) }) });
        },
      };
      queueMicrotask(() => (areSocketsDead ? socket.onerror?.() : socket.onopen?.()));
      return socket;
    },
    clock,
    random: () => 1,
    ...over,
  });
  return {
    live,
    lines,
    waits,
    log,
    states,
    killSockets: () => (areSocketsDead = true),
    line: async (index: number): Promise<Line> => {
      await expect.poll(() => lines.length).toBeGreaterThan(index);
      const line = lines[index];
      if (line === undefined) throw new Error('no line');
      return line;
    },
    endWait: async (): Promise<number> => {
      await expect.poll(() => waits.length).toBeGreaterThan(0);
      const wait = waits.shift();
      wait?.end();
      return wait?.delayMs ?? 0;
    },
  };
}

const changes = (id: string, cursor: string): LiveMessage => ({
  kind: 'changes',
  changes: [{ id, entityType: 'accounts', entityId: 'a', action: 'update' } as Change],
  cursor,
  hasMore: false,
});

test('P8 · it reads anew once, follows what is committed, and after a broken line goes on from what was handled', async () => {
  const { lines, line, log, live, states, endWait } = world();
  const first = await line(0);
  expect(first.asked).toEqual({ kind: 'subscribe', token: 'token', cursor: null });
  first.say({ kind: 'ready', cursor: 'c0' });
  first.say(changes('1', 'c1'));
  await expect.poll(() => live.cursor).toBe('c1');

  first.socket.onclose?.();
  expect(await endWait()).toBe(1_000);
  const second = await line(1);
  expect(second.asked.cursor).toBe('c1');
  second.say({ kind: 'ready', cursor: 'c1' });
  second.say(changes('2', 'c2'));
  second.say({ kind: 'resync', cursor: 'c9' });
  await expect.poll(() => live.cursor).toBe('c9');

  expect(log).toEqual(['refresh at c0', '1 at c1', '2 at c2', 'refresh at c9']);
  expect(states).toEqual(['live', 'offline', 'live']);
  live.stop();
  await expect.poll(() => live.state).toBe('stopped');
  expect(lines).toHaveLength(2);
});

test('P8 · what could not be handled comes again', async () => {
  let isBroken = true;
  const seen: string[] = [];
  const { line, live, endWait } = world({
    cursor: 'c0',
    onChanges: async (_, cursor) => {
      seen.push(cursor);
      if (isBroken) throw new Error('planted');
    },
  });
  const first = await line(0);
  first.say({ kind: 'ready', cursor: 'c0' });
  first.say(changes('1', 'c1'));
  await endWait();
  isBroken = false;
  const second = await line(1);
  expect(second.asked.cursor).toBe('c0');
  second.say({ kind: 'ready', cursor: 'c0' });
  second.say(changes('1', 'c1'));
  await expect.poll(() => live.cursor).toBe('c1');
  expect(seen).toEqual(['c1', 'c1']);
  live.stop();
});

test('P8 · pauses double up to 30 s, an ended login gets a fresh token, and one that is never let in stops', async () => {
  const { line, lines, live, endWait } = world({ cursor: 'c0' });
  const refuse = (code: 'TOKEN_EXPIRED' | 'FOREIGN_WORKSPACE'): LiveMessage => ({
    kind: 'refused',
    error: { category: 'AUTH_ERROR', code, message: '', hint: '' },
    retryAfterMs: code === 'TOKEN_EXPIRED' ? 0 : null,
  });
  const delays: number[] = [];
  for (let round = 0; round < 6; round += 1) {
    (await line(round)).say(refuse('TOKEN_EXPIRED'));
    delays.push(await endWait());
  }
  expect(delays).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 30_000]);
  expect((await line(6)).asked.token).toBe('fresh');
  (await line(6)).say(refuse('FOREIGN_WORKSPACE'));
  await expect.poll(() => live.state).toBe('stopped');
  expect(lines).toHaveLength(7);
});

test('P8 · where no WebSocket gets through, it comes as Server-Sent Events, cut wherever the line cuts them', async () => {
  const asked: RequestInit[] = [];
  const { live, log, endWait, killSockets } = world({
    cursor: 'c0',
    fetch: async (_, init) => {
      asked.push(init);
      const text = [
        ': \n\n',
        `event: ready\nid: c0\ndata: ${JSON.stringify({ kind: 'ready', cursor: 'c0' })}\n\n`,
        `event: changes\nid: c1\ndata: ${JSON.stringify(changes('ö', 'c1'))}\n\n`,
      ].join('');
      const bytes = new TextEncoder().encode(text);
      const body = new ReadableStream<Uint8Array>({
        start(controller) {
          for (const byte of bytes) controller.enqueue(Uint8Array.of(byte));
        },
      });
      return new Response(body, { headers: { 'content-type': 'text/event-stream; charset=utf-8' } });
    },
  });
  killSockets();
  await endWait();
  await endWait();
  await expect.poll(() => live.cursor).toBe('c1');
  expect(log).toEqual(['ö at c1']);
  expect(asked[0]?.headers).toMatchObject({ authorization: 'Bearer token', 'last-event-id': 'c0' });
  live.stop();
});
