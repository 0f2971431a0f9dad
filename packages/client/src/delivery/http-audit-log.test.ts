import { describe, expect, test } from 'vitest';
import type { AuditEntry } from '../protocol/audit.ts';
import type { Fetch } from './http-fetch.ts';
import { httpAuditLog } from './http-audit-log.ts';

const ENTRY: AuditEntry = {
  id: '7',
  occurredAt: '2026-01-01T00:00:00.000Z',
  actor: 'ann',
  action: 'update',
  entityType: 'notes',
  entityId: 'a',
  oldValues: { text: 'old' },
  newValues: { text: 'new' },
  changedFields: ['text'],
  mutationId: null,
  clientId: null,
  ip: null,
  userAgent: null,
};

interface Call {
  readonly url: string;
  readonly headers: Record<string, string>;
}

/** A server that gives these answers in turn. */
function logOver(...answers: readonly (() => Response | Promise<Response>)[]) {
  const calls: Call[] = [];
  const fetch: Fetch = async (url, init) => {
    calls.push({ url: String(url), headers: { ...(init?.headers as Record<string, string>) } });
    init?.signal?.throwIfAborted();
    return (answers[calls.length - 1] ?? answers[0] ?? (() => Response.json({})))();
  };
  return { calls, fetch };
}

const page = () => Response.json({ entries: [ENTRY], nextBefore: '6' });
const query = { workspaceId: 'home', limit: 10, before: null } as const;
const never = new AbortController().signal;

describe('the audit log over HTTP', () => {
  test('P5 · a page is read with the token and the filters of the query', async () => {
    const { calls, fetch } = logOver(page);
    const log = httpAuditLog({ fetch, getToken: async () => 'fresh' });

    const read = await log.readPage(
      {
        workspaceId: 'home',
        limit: 10,
        before: '9',
        startDate: new Date(0),
        endDate: '2026-01-02',
        entityType: 'notes',
      },
      never,
    );

    expect(read).toEqual({ entries: [ENTRY], nextBefore: '6' });
    expect(calls).toEqual([
      {
        url: '/v1/audit?limit=10&workspaceId=home&entityType=notes&startDate=1970-01-01T00%3A00%3A00.000Z&endDate=2026-01-02&before=9',
        headers: { authorization: 'Bearer fresh' },
      },
    ]);
    expect(log).not.toHaveProperty('onNews');
  });

  test('P5 · a token that is refused is refreshed once; without one the server decides', async () => {
    const { calls, fetch } = logOver(() => new Response(null, { status: 401 }), page);
    const onNews = () => () => {};
    const log = httpAuditLog({ fetch, onNews, getToken: async ({ refresh }) => (refresh ? 'new' : null) });
    expect(await log.readPage(query, never)).toMatchObject({ nextBefore: '6' });
    expect(calls.map(({ headers }) => headers)).toEqual([{}, { authorization: 'Bearer new' }]);
    expect(log.onNews).toBe(onNews);
  });

  test.each([
    ['a refusal', () => new Response(null, { status: 503 }), 'SERVER_ERROR'],
    ['a page of somebody else', () => new Response('<html>'), 'SERVER_ERROR'],
    ['an answer without entries', () => Response.json({ entries: [{}] }), 'SERVER_ERROR'],
    ['no line', () => Promise.reject(new TypeError('fetch failed')), 'NETWORK_ERROR'],
  ])('P5 · %s is told as a typed error', async (_name, answer, category) => {
    const { fetch } = logOver(answer);
    const log = httpAuditLog({ fetch, getToken: async () => 'fresh' });
    await expect(log.readPage(query, never)).rejects.toMatchObject({ category });
  });

  test('P5 · one who stops waiting is told so, and not that the line is down', async () => {
    const stopping = new AbortController();
    const { fetch } = logOver(page);
    const log = httpAuditLog({ fetch, getToken: async () => 'fresh' });
    stopping.abort(new Error('The page was left.'));
    await expect(log.readPage(query, stopping.signal)).rejects.toThrow('The page was left.');
  });

  test('P5 · one who stops waiting while it is asked ends the call', async () => {
    const stopping = new AbortController();
    const log = httpAuditLog({
      getToken: async () => 'fresh',
      fetch: (_url, init) =>
        new Promise((_resolve, reject) => {
          init?.signal?.addEventListener('abort', () => reject(init.signal?.reason as Error));
          queueMicrotask(() => stopping.abort(new Error('The page was left.')));
        }),
    });
    await expect(log.readPage(query, stopping.signal)).rejects.toThrow('The page was left.');
  });
});
