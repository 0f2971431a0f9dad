import { describe, expect, test } from 'vitest';
import type { AuditExport, AuditPageQuery } from '../ports/audit-source.ts';
import { httpAuditLog } from './http-audit-log.ts';

const QUERY: AuditPageQuery = {
  workspaceId: 'north',
  entityType: 'accounts',
  action: 'update',
  startDate: new Date('2026-01-01T00:00:00Z'),
  limit: 2,
  before: '9',
};
const PAGE = {
  entries: [
    {
      id: '8',
      occurredAt: '2026-01-02T00:00:00.000Z',
      actor: 'ada',
      action: 'update',
      entityType: 'accounts',
      entityId: '1',
      oldValues: { name: 'Acme' },
      newValues: { name: 'Bolt' },
      changedFields: ['name'],
      mutationId: null,
      clientId: null,
      ip: null,
      userAgent: null,
    },
  ],
  nextBefore: null,
};

/** A server that gives these answers in turn, and what it was asked. */
function open(...answers: readonly (() => Response | Promise<Response>)[]) {
  const asked: { readonly url: string; readonly token: string | null; readonly signal: AbortSignal | null }[] = [];
  const log = httpAuditLog({
    getToken: async ({ refresh }) => (refresh ? 'fresh' : 'old'),
    fetch: async (url, { headers, signal = null }) => {
      asked.push({ url, token: new Headers(headers).get('authorization'), signal });
      const answer = answers[asked.length - 1];
      if (answer === undefined) throw new Error('Asked too often.');
      return answer();
    },
  });
  const exportLogs = (onBytes: (byteCount: number) => void): Promise<AuditExport> =>
    log.exportAuditLogs?.(
      { startDate: new Date('2026-01-01T00:00:00Z'), endDate: '2026-02-01', format: 'csv' },
      { signal: new AbortController().signal, onBytes },
    ) ?? Promise.reject(new Error('It exports nothing.'));
  return { asked, exportLogs, read: (signal = new AbortController().signal) => log.readPage(QUERY, signal) };
}

const error = (status: number, code: string, message: string) => () =>
  Response.json({ error: { category: 'FORBIDDEN', code, message } }, { status });

describe('the audit log over HTTP', () => {
  test('E1 · a server that is out of reach is said to be so, in words for people', async () => {
    const { read } = open(() => Promise.reject(new TypeError('Failed to fetch')));

    await expect(read()).rejects.toMatchObject({
      category: 'NETWORK_ERROR',
      message: 'The server cannot be reached now.',
      hint: 'Try again in a while.',
    });
  });

  test('E1 · asks for one page with what is wanted, and gives what came', async () => {
    const { asked, read } = open(() => Response.json(PAGE));

    expect(await read()).toEqual(PAGE);
    const { pathname, searchParams } = new URL(asked[0]?.url ?? '', 'https://app.test');
    expect([pathname, Object.fromEntries(searchParams), asked[0]?.token]).toEqual([
      '/v1/audit',
      {
        limit: '2',
        before: '9',
        workspaceId: 'north',
        entityType: 'accounts',
        action: 'update',
        startDate: '2026-01-01T00:00:00.000Z',
      },
      'Bearer old',
    ]);
  });

  test('E1 · an expired login is refreshed once', async () => {
    const { asked, read } = open(error(401, 'TOKEN_EXPIRED', 'Over.'), () => Response.json(PAGE));

    expect(await read()).toEqual(PAGE);
    expect(asked.map(({ token }) => token)).toEqual(['Bearer old', 'Bearer fresh']);
  });

  test.each([
    ['refuses', error(403, 'FOREIGN_WORKSPACE', 'Not yours.'), { category: 'FORBIDDEN' }],
    ['is another', () => new Response('<h1>Sign in to the Wi-Fi</h1>'), { code: 'NOT_OUR_SERVER' }],
    ['answers something else', () => Response.json({ entries: 'none' }), { code: 'NOT_OUR_SERVER' }],
    ['cannot be reached', () => Promise.reject(new TypeError('Failed to fetch')), { category: 'NETWORK_ERROR' }],
  ])('E1 · a server that %s is told as an error that says what to do', async (_, answer, expected) => {
    const { read } = open(answer);

    await expect(read()).rejects.toMatchObject({ ...expected, hint: expect.stringMatching(/\S/) as string });
  });

  test('P7 · an export is asked for by days and format, told as it comes, and is a file under the name that the server gives', async () => {
    const headers = { 'content-disposition': 'attachment; filename="audit-logs.csv"', 'content-type': 'text/csv' };
    const { asked, exportLogs } = open(error(401, 'TOKEN_EXPIRED', 'Over.'), () => new Response('a,b', { headers }));
    const told: number[] = [];

    const { fileName, content } = await exportLogs((byteCount) => told.push(byteCount));
    expect([fileName, content.type, await content.text(), told]).toEqual(['audit-logs.csv', 'text/csv', 'a,b', [3]]);
    expect(asked.map(({ url, token }) => [url, token])).toEqual([
      ['/v1/export/logs?startDate=2026-01-01T00%3A00%3A00.000Z&endDate=2026-02-01&format=csv', 'Bearer old'],
      ['/v1/export/logs?startDate=2026-01-01T00%3A00%3A00.000Z&endDate=2026-02-01&format=csv', 'Bearer fresh'],
    ]);
  });

  test('P7 · a page of somebody else, and a file that is cut short, are no export', async () => {
    const cut = new ReadableStream({
      start: (controller) => {
        controller.enqueue(new TextEncoder().encode('a,'));
        controller.error(new TypeError('network error'));
      },
    });
    const { exportLogs } = open(
      () => new Response('<h1>Sign in to the Wi-Fi</h1>'),
      () => new Response(cut, { headers: { 'content-disposition': 'attachment; filename="a.csv"' } }),
    );
    await expect(exportLogs(() => {})).rejects.toMatchObject({ code: 'NOT_OUR_SERVER' });
    await expect(exportLogs(() => {})).rejects.toMatchObject({ category: 'NETWORK_ERROR' });
  });

  test('E1 · called off, the request is too', async () => {
    const controller = new AbortController();
    const { asked, read } = open(
      () =>
        new Promise((_, reject) => {
          const { signal } = asked[0] ?? {};
          signal?.addEventListener('abort', () => reject(new DOMException('Called off.', 'AbortError')));
        }),
    );
    const reading = read(controller.signal);
    await Promise.resolve();
    await Promise.resolve();
    controller.abort();

    await expect(reading).rejects.toMatchObject({ name: 'AbortError' });
  });
});
