import { withCaller } from '@holdfast/server';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { AMARA, type Api, openApi } from './support/api.ts';

let api: Api;
beforeAll(async () => {
  api = await openApi('Postgres');
});
afterAll(() => api.close());

test('what was committed late under an early number is not missed', async () => {
  const { cursor: start, rows } = await api.readAccounts(AMARA);
  const [slowId, fastId] = [String(rows[0]?.[0]), String(rows[1]?.[0])];
  const claims = { sub: AMARA, role: 'authenticated', workspace_id: 'meridian-world' } as const;
  const update = 'update public.accounts set notes = $2 where id = $1';
  const release = Promise.withResolvers<void>();
  const isInside = Promise.withResolvers<void>();

  // a transaction takes its number first, and commits last
  const slow = withCaller(api.database, claims, async (session) => {
    await session.query(update, [slowId, 'slow']);
    isInside.resolve();
    await release.promise;
  });
  await isInside.promise;
  await withCaller(api.database, claims, (session) => session.query(update, [fastId, 'fast']));
  const between = await api.readAccounts(AMARA, start);
  release.resolve();
  await slow;
  const after = await api.readAccounts(AMARA, between.cursor);

  expect(between.rows.map((row) => row[0])).toEqual([fastId]);
  expect(after.rows.map((row) => row[0])).toContain(slowId);
});
