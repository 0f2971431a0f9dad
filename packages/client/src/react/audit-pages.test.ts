import { expect, it, onTestFinished } from 'vitest';
import type { AuditSource } from '../ports/audit-source.ts';
import type { AuditEntry } from '../protocol/audit.ts';
import { httpAuditLog } from '../reading/http-audit-log.ts';
import { AuditPages } from './audit-pages.ts';
import { openAccounts } from './testing-accounts/accounts.ts';

/** Pages of a log that a server answers as the test says. */
async function open() {
  const app = await openAccounts();
  const server = { status: 500, askedCount: 0 };
  const source = httpAuditLog({
    getToken: async () => 'token',
    fetch: async () => {
      server.askedCount += 1;
      return Response.json({ entries: [], nextBefore: null }, { status: server.status });
    },
  });
  const pages = new AuditPages({ source, queue: app.queue, clock: app.clock, workspaceId: 'w', filter: {}, limit: 50 });
  const stop = pages.subscribe(() => {});
  onTestFinished(stop);
  await app.settle();
  return { app, server, pages, stop };
}

it('E1 · a log that could not be read is read again by itself, at growing intervals, until somebody stops looking', async () => {
  const { app, server, pages, stop } = await open();
  expect([server.askedCount, pages.getSnapshot().error?.hint]).toEqual([1, 'Try again in a while.']);
  await app.clock.advance(5_000);
  expect(server.askedCount).toBe(2);
  await app.clock.advance(5_000);
  expect(server.askedCount).toBe(2);
  await app.clock.advance(5_000);
  expect(server.askedCount).toBe(3);

  server.status = 200;
  await app.clock.advance(20_000);
  expect([server.askedCount, pages.getSnapshot().error]).toEqual([4, null]);
  await app.clock.advance(600_000);
  expect(server.askedCount).toBe(4);
  // An empty log has been read as well: nobody waits for news of it.
  pages.refresh();
  expect(pages.getSnapshot()).toMatchObject({ isLoading: true, isAwaited: false });
  await app.settle();

  server.status = 429;
  pages.refresh();
  await app.settle();
  expect(pages.getSnapshot().error?.hint).toBe('Try again in a while.');
  stop();
  await app.clock.advance(600_000);
  expect(server.askedCount).toBe(6);
});

it.each([
  [400, 'Correct what is asked for.'],
  [403, 'Ask for access, or sign in as someone who has it.'],
  [401, 'Sign in again.'],
])('E1 · what trying again does not help, %i, is not tried again, and says what to do', async (status, hint) => {
  const { app, server, pages } = await open();
  server.status = status;
  pages.refresh();
  await app.settle();
  const { askedCount } = server;
  expect(pages.getSnapshot().error?.hint).toBe(hint);

  await app.clock.advance(600_000);

  expect(server.askedCount).toBe(askedCount);
});

it('E1 · what is read of news is not waited for; an older page that is asked for meanwhile comes behind it', async () => {
  const app = await openAccounts();
  const asked: (string | null)[] = [];
  const answers: (() => void)[] = [];
  const entry = (id: string) => ({ id }) as AuditEntry;
  const source: AuditSource = {
    readPage: async ({ before }) => {
      asked.push(before);
      await new Promise<void>((resolve) => answers.push(resolve));
      return before === null
        ? { entries: [entry('9'), entry('8')], nextBefore: '8' }
        : { entries: [entry('7')], nextBefore: null };
    },
  };
  const answer = async (): Promise<void> => {
    for (const each of answers.splice(0)) each();
    await app.settle();
  };
  const pages = new AuditPages({ source, queue: app.queue, clock: app.clock, workspaceId: 'w', filter: {}, limit: 2 });
  onTestFinished(pages.subscribe(() => {}));
  const state = () => {
    const { entries, isLoading, isAwaited } = pages.getSnapshot();
    return [entries.map(({ id }) => id).join(''), isLoading, isAwaited];
  };
  expect(state()).toEqual(['', true, true]);
  await answer();
  expect(state()).toEqual(['98', false, false]);

  pages.refresh();
  expect(state()).toEqual(['98', true, false]);
  pages.loadMore();
  pages.loadMore();
  expect([asked, state()]).toEqual([
    [null, null],
    ['98', true, true],
  ]);
  await answer();
  await answer();

  expect([asked, state()]).toEqual([
    [null, null, '8'],
    ['987', false, false],
  ]);
});
