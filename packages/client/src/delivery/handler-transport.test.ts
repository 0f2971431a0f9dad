import * as v from 'valibot';
import { describe, expect, test } from 'vitest';
import type { TransportAnswer } from '../engine/transport-answer.ts';
import { defineMutation } from '../mutation/definition.ts';
import { HoldfastError } from '../mutation/holdfast-error.ts';
import type { ApplyRequest, WireMutation } from '../protocol/wire.ts';
import { TestDevice } from '../queue/testing-queue/test-device.ts';
import { type HandlerContext, handlerTransport, type MutationHandlers } from './handler-transport.ts';

function mutation(seq: number, type: string, payload: WireMutation['payload'] = {}): WireMutation {
  return {
    id: `m${seq}`,
    seq,
    after: null,
    generation: 0,
    type,
    version: 1,
    operation: 'custom',
    entity: null,
    payload,
    createdAt: '2026-01-01T00:00:00.000Z',
  };
}

function batch(...mutations: readonly WireMutation[]): ApplyRequest {
  return { protocol: 1, client: { id: 'c', workspaceId: 'w' }, acknowledgedFloor: 0, mutations };
}

async function answerTo(
  handlers: MutationHandlers,
  types: readonly string[],
  signal = new AbortController().signal,
): Promise<TransportAnswer> {
  const mutations = types.map((type, index) => mutation(index + 1, type));
  return handlerTransport(handlers).send(batch(...mutations), { token: 't', signal });
}

const answering =
  (status: number, headers: Record<string, string> = {}) =>
  (): Response =>
    new Response('', { status, headers });
const throwing = (failure: unknown) => (): never => {
  throw failure;
};
const refusedConnection = (): Error => new TypeError('fetch failed', { cause: { code: 'ECONNREFUSED' } });

describe('what becomes of one mutation', () => {
  const cases: readonly { name: string; handler: () => unknown; outcome: object }[] = [
    { name: 'a value is the result', handler: () => ({ id: 5 }), outcome: { kind: 'applied', result: { id: 5 } } },
    { name: 'nothing is the result null', handler: () => undefined, outcome: { kind: 'applied', result: null } },
    {
      name: 'what JSON cannot carry is applied all the same',
      handler: () => 5n,
      outcome: { kind: 'applied', result: null },
    },
    {
      name: 'a Date becomes text',
      handler: () => new Date(0),
      outcome: { kind: 'applied', result: '1970-01-01T00:00:00.000Z' },
    },
    { name: 'a Response with 204', handler: answering(200), outcome: { kind: 'applied', result: null } },
    {
      name: 'a Response with 422 that was handed back',
      handler: answering(422),
      outcome: { kind: 'rejected', error: { category: 'VALIDATION_ERROR' } },
    },
    {
      name: 'a Response with 500 that was handed back',
      handler: answering(500),
      outcome: { kind: 'refused', error: { category: 'SERVER_ERROR' } },
    },
    {
      name: 'a Response with 403 that was thrown',
      handler: throwing(new Response('', { status: 403 })),
      outcome: { kind: 'rejected', error: { category: 'FORBIDDEN' } },
    },
    { name: 'a 409', handler: answering(409), outcome: { kind: 'rejected', error: { category: 'CONFLICT' } } },
    {
      name: 'a result of supabase-js with an error',
      handler: () => ({
        data: null,
        error: { code: '23505', message: 'duplicate' },
        status: 409,
        statusText: 'Conflict',
        count: null,
      }),
      outcome: { kind: 'rejected', error: { code: '23505', category: 'CONFLICT' } },
    },
    {
      name: 'a result of supabase-js with data',
      handler: () => ({ data: [{ id: 1 }], error: null, status: 201, statusText: 'Created', count: null }),
      outcome: { kind: 'applied', result: [{ id: 1 }] },
    },
    {
      name: 'errors of GraphQL',
      handler: () => ({ data: null, errors: [{ message: 'too long', extensions: { code: 'BAD_USER_INPUT' } }] }),
      outcome: { kind: 'rejected', error: { code: 'BAD_USER_INPUT', message: 'too long' } },
    },
    {
      name: 'errors of GraphQL beside extensions only',
      handler: () => ({ errors: [{ message: 'no' }], extensions: {} }),
      outcome: { kind: 'refused', error: { message: 'no' } },
    },
    {
      name: 'data of GraphQL',
      handler: () => ({ data: { saved: true } }),
      outcome: { kind: 'applied', result: { data: { saved: true } } },
    },
    {
      name: 'an error with a category',
      handler: throwing(
        new HoldfastError({
          code: 'CARD_DECLINED',
          category: 'VALIDATION_ERROR',
          message: 'Declined.',
          hint: 'Another card.',
        }),
      ),
      outcome: {
        kind: 'rejected',
        error: { category: 'VALIDATION_ERROR', code: 'CARD_DECLINED', message: 'Declined.', hint: 'Another card.' },
      },
    },
    {
      name: 'an error nobody knows',
      handler: throwing(new Error('Hm.')),
      outcome: { kind: 'refused', error: { code: 'UNKNOWN_FAILURE', message: 'Hm.' } },
    },
  ];

  test.each(cases)('R9 · $name', async ({ handler, outcome }) => {
    expect(await answerTo({ a: handler }, ['a'])).toMatchObject({
      kind: 'answered',
      outcomes: [{ seq: 1, id: 'm1', ...outcome }],
    });
  });

  test('R9 · a type without a handler becomes a dead letter that says so', async () => {
    for (const type of ['b', 'toString', '__proto__']) {
      expect(await answerTo({ a: () => 1 }, [type])).toMatchObject({
        outcomes: [{ kind: 'rejected', error: { code: 'NO_HANDLER' } }],
      });
    }
  });

  test('R9 · a handler is given the payload, the id as idempotency key, the token and the signal', async () => {
    const seen: [unknown, HandlerContext][] = [];
    const { signal } = new AbortController();
    const sent = mutation(7, 'a', { name: 'x' });
    await handlerTransport({
      a: (payload: unknown, context: HandlerContext) => void seen.push([payload, context]),
    }).send(batch(sent), {
      token: 't',
      signal,
    });
    expect(seen).toEqual([[{ name: 'x' }, { id: 'm7', idempotencyKey: 'm7', token: 't', signal, mutation: sent }]]);
  });
});

describe('what is said of the line and not of the mutation', () => {
  test.each([
    {
      name: 'a 503',
      handler: answering(503, { 'retry-after': '9' }),
      answer: { kind: 'unavailable', retryAfterMs: 9_000 },
    },
    {
      name: 'a 429',
      handler: answering(429, { 'retry-after': '5' }),
      answer: { kind: 'rateLimited', retryAfterMs: 5_000 },
    },
    { name: 'a 401', handler: answering(401), answer: { kind: 'unauthorized' } },
    { name: 'a 426', handler: answering(426), answer: { kind: 'upgradeRequired' } },
    { name: 'a refused connection', handler: throwing(refusedConnection()), answer: { kind: 'unreachable' } },
    {
      name: 'a fetch that failed in a browser',
      handler: throwing(new TypeError('Failed to fetch')),
      answer: { kind: 'unknown' },
    },
    {
      name: 'a reset',
      handler: throwing(new TypeError('fetch failed', { cause: { code: 'ECONNRESET' } })),
      answer: { kind: 'unknown', wasReset: true },
    },
    {
      name: 'a timeout of its own',
      handler: throwing(new DOMException('x', 'TimeoutError')),
      answer: { kind: 'unknown', error: { code: 'NO_ANSWER' } },
    },
    {
      name: 'HTML instead of JSON',
      handler: () => JSON.parse('<html>') as unknown,
      answer: { kind: 'unknown', error: { code: 'UNREADABLE_ANSWER' } },
    },
  ])('R4, R9 · $name, with nothing else in the batch', async ({ handler, answer }) => {
    expect(await answerTo({ a: handler }, ['a'])).toMatchObject(answer);
  });

  test('R8, R9 · partial failure is per mutation: the rest stand', async () => {
    const answer = await answerTo({ good: () => 1, bad: answering(422), busy: answering(500) }, [
      'good',
      'bad',
      'busy',
      'good',
    ]);
    expect(answer).toMatchObject({
      kind: 'answered',
      outcomes: [{ kind: 'applied' }, { kind: 'rejected' }, { kind: 'refused' }, { kind: 'applied' }],
    });
    expect(answer).not.toHaveProperty('rest');
  });

  test('R4, R9 · while others are answered, one whose line failed is put off and uses no attempt', async () => {
    const answer = await answerTo({ good: () => 1, away: answering(502), gone: throwing(refusedConnection()) }, [
      'good',
      'away',
      'gone',
    ]);
    expect(answer).toEqual({
      kind: 'answered',
      outcomes: [
        { seq: 1, id: 'm1', kind: 'applied', result: 1 },
        { seq: 2, id: 'm2', kind: 'deferred' },
        { seq: 3, id: 'm3', kind: 'deferred' },
      ],
    });
  });

  test('R3, R9 · a rate limit that one of them met is told beside what the others came to', async () => {
    expect(
      await answerTo({ good: () => 1, limited: answering(429, { 'retry-after': '5' }) }, ['good', 'limited']),
    ).toMatchObject({
      kind: 'answered',
      outcomes: [{ seq: 1, kind: 'applied' }],
      rest: { kind: 'rateLimited', retryAfterMs: 5_000 },
    });
    expect(
      await answerTo({ good: () => 1, away: answering(503, { 'retry-after': '5' }) }, ['good', 'away']),
    ).toMatchObject({
      outcomes: [{ seq: 1, kind: 'applied' }],
      rest: { kind: 'rateLimited', retryAfterMs: 5_000 },
    });
  });

  test('R5, R9 · an expired login that one of them met is told before anything else', async () => {
    const handlers = { good: () => 1, limited: answering(429), expired: answering(401) };
    expect(await answerTo(handlers, ['good', 'limited', 'expired'])).toMatchObject({
      kind: 'answered',
      rest: { kind: 'unauthorized' },
    });
    expect(await answerTo(handlers, ['limited', 'expired'])).toMatchObject({ kind: 'unauthorized' });
  });
});

describe('time', () => {
  test('R9 · handlers run at the same time, up to the limit', async () => {
    let running = 0;
    let most = 0;
    const handler = async (): Promise<void> => {
      running += 1;
      most = Math.max(most, running);
      await new Promise((resolve) => setImmediate(resolve));
      running -= 1;
    };
    const mutations = Array.from({ length: 20 }, (_, index) => mutation(index + 1, 'a'));
    const transport = handlerTransport({ a: handler }, { maxConcurrent: 4 });
    const answer = await transport.send(batch(...mutations), { token: null, signal: new AbortController().signal });
    expect([most, answer.kind === 'answered' && answer.outcomes.length]).toEqual([4, 20]);
  });

  test('R9 · one that hangs does not take the outcomes of the others with it', async () => {
    const abort = new AbortController();
    const handlers = { good: () => 1, hangs: () => new Promise(() => {}) };
    const answer = answerTo(handlers, ['good', 'hangs', 'good'], abort.signal);
    setImmediate(() => abort.abort());
    expect(await answer).toEqual({
      kind: 'answered',
      outcomes: [
        { seq: 1, id: 'm1', kind: 'applied', result: 1 },
        { seq: 3, id: 'm3', kind: 'applied', result: 1 },
      ],
    });
  });

  test('R9 · when all hang, it is unknown, and what was not begun never begins', async () => {
    const abort = new AbortController();
    let begun = 0;
    const hang = (): Promise<never> => {
      begun += 1;
      return new Promise(() => {});
    };
    const answer = handlerTransport({ a: hang }, { maxConcurrent: 2 }).send(
      batch(mutation(1, 'a'), mutation(2, 'a'), mutation(3, 'a')),
      {
        token: null,
        signal: abort.signal,
      },
    );
    setImmediate(() => abort.abort());
    expect(await answer).toMatchObject({ kind: 'unknown', error: { code: 'NO_ANSWER' } });
    expect(begun).toBe(2);
  });

  test('R9 · an attempt that is over before it begins calls nothing', async () => {
    let begun = 0;
    expect(await answerTo({ a: () => (begun += 1) }, ['a'], AbortSignal.abort())).toMatchObject({ kind: 'unknown' });
    expect(begun).toBe(0);
  });

  test('R9 · a limit below one is refused', () => {
    expect(() => handlerTransport({ a: () => 1 }, { maxConcurrent: 0 })).toThrow(
      '`maxConcurrent` must be a number of at least 1; it is 0.',
    );
  });
});

describe('in a queue', () => {
  test('R9 · a lost answer brings the same idempotency key again; a backend that knows it applies it once', async () => {
    const device = new TestDevice();
    const applied = new Map<string, string>();
    let isAnswerLost = true;
    const queue = await device.open({
      transport: handlerTransport({
        'note.save': (payload: { readonly text: string }, { idempotencyKey }: HandlerContext) => {
          if (!applied.has(idempotencyKey)) applied.set(idempotencyKey, payload.text);
          if (isAnswerLost) throw new TypeError('Failed to fetch');
          return { text: applied.get(idempotencyKey) ?? '' };
        },
      }),
    });
    const { id, settled } = await queue.add({ type: 'note.save', payload: { id: 'n', text: 'hello' } });
    await device.clock.pass(10_000);
    expect((await queue.getMutationStatus(id))?.attemptCount).toBe(0);

    isAnswerLost = false;
    await device.clock.pass(60_000);

    expect(await settled).toMatchObject({ status: 'completed', result: { text: 'hello' } });
    expect([...applied]).toEqual([[id, 'hello']]);
    await queue.close();
  });

  test('Q17 · what an earlier version of the app may have sent, and this one cannot migrate, does not reach its handler', async () => {
    const handler = () => {
      throw new Error('It has the form of another version.');
    };
    const outdated: WireMutation = { ...mutation(1, 'note.save'), outdated: true };
    const answer = await handlerTransport({ 'note.save': handler }).send(batch(outdated), {
      token: 't',
      signal: new AbortController().signal,
    });
    expect(answer).toMatchObject({ outcomes: [{ kind: 'rejected', error: { code: 'OUTDATED' } }] });
  });

  test('R9 · a rejection is a dead letter with the words of the backend, and the next of its lane goes on', async () => {
    const device = new TestDevice();
    const queue = await device.open({
      transport: handlerTransport({
        'note.save': ({ text }: { readonly text: string }) => {
          if (text === 'bad')
            throw new HoldfastError({ code: 'TOO_RUDE', category: 'VALIDATION_ERROR', message: 'Please.' });
        },
      }),
    });
    const bad = await queue.add({ type: 'note.save', payload: { id: 'n', text: 'bad' } });
    const good = await queue.add({ type: 'note.save', payload: { id: 'n', text: 'good' } });
    await device.clock.pass(1_000);
    expect(await bad.settled).toMatchObject({ status: 'failed', error: { code: 'TOO_RUDE', message: 'Please.' } });
    expect(await good.settled).toMatchObject({ status: 'completed' });
    await queue.close();
  });
});

test('R9 · with the definitions as argument, each handler knows its payload', () => {
  const rename = defineMutation({
    type: 'account.rename',
    payload: v.object({ id: v.string(), name: v.string() }),
    operation: 'update',
  });
  const count = defineMutation({ type: 'count', payload: v.object({ by: v.number() }), operation: 'custom' });
  const definitions = [rename, count] as const;
  const transport = handlerTransport<typeof definitions>({
    'account.rename': ({ name }) => name.toUpperCase(),
    count: ({ by }) => by.toFixed(),
  });
  // @ts-expect-error -- a handler is missing
  handlerTransport<typeof definitions>({ count: () => 1 });
  // @ts-expect-error -- a payload has no such field
  handlerTransport<typeof definitions>({ 'account.rename': ({ nam }) => nam as unknown, count: () => 1 });
  expect(transport).toBeDefined();
});
