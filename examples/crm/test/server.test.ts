import { randomUUID } from 'node:crypto';
import { gunzipSync } from 'node:zlib';
import type { Database } from '@holdfast/server';
import type { Hono } from 'hono';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { prepareDatabase } from '../server/prepare-database.ts';
import { type AccountsAnswer, AMARA, type Api, JONAS, MEI, openApi } from './support/api.ts';

describe.each(['PGlite', 'Postgres'] as const)('the server on %s', (engine) => {
  let api: Api;
  let database: Database;
  let app: Hono;
  beforeAll(async () => {
    api = await openApi(engine);
    ({ app, database } = api);
  });
  afterAll(() => api.close());
  const signIn = (userId: string): Promise<string> => api.signIn(userId);
  const readAccounts = (userId: string, since?: string): Promise<AccountsAnswer> => api.readAccounts(userId, since);
  const apply = (userId: string, operation: string, id: string, payload: object): Promise<string> =>
    api.apply(userId, operation, id, payload);

  test('every airport of the source is an account, with the fields of the source', async () => {
    const { rows, columns, isWhole } = await readAccounts(AMARA);

    expect(isWhole).toBe(true);
    expect(rows.length).toBe(18_776);
    const frankfurt = rows.find((row) => row[columns.indexOf('iata')] === 'FRA') ?? [];
    const read = (column: string): unknown => frankfurt[columns.indexOf(column)];
    expect({
      name: read('name'),
      icao: read('icao'),
      kind: read('kind'),
      country: read('country_code'),
      timeZone: read('time_zone'),
      elevation: read('elevation_ft'),
      runway: read('runway_length_ft'),
      scheduled: read('scheduled_service'),
    }).toEqual({
      name: 'Frankfurt Airport',
      icao: 'EDDF',
      kind: 'large_airport',
      country: 'DE',
      timeZone: 'Europe/Berlin',
      elevation: 364,
      runway: 13_123,
      scheduled: true,
    });
  });

  test('preparing again changes nothing, and the seed is no history', async () => {
    expect((await prepareDatabase(database)).seededCount).toBe(0);
    expect(await database.query('select count(*)::int as count from holdfast.audit_log')).toEqual([{ count: 0 }]);
  });

  test('P4 · a workspace neither sees nor changes the accounts of the other', async () => {
    const world = await readAccounts(AMARA);
    const europe = await readAccounts(JONAS);
    const continent = europe.columns.indexOf('continent');

    expect(new Set(europe.rows.map((row) => row[continent]))).toEqual(new Set(['EU']));
    const worldIds = new Set(world.rows.map((row) => row[0]));
    expect(europe.rows.filter((row) => worldIds.has(row[0]))).toEqual([]);
    expect(await apply(JONAS, 'update', String(world.rows[0]?.[0]), { notes: 'mine' })).toBe('rejected');
    expect(await apply(JONAS, 'delete', String(world.rows[0]?.[0]), {})).toBe('rejected');
  });

  test('P4 · without a token, with another secret or with a made-up user there is nothing to read', async () => {
    expect((await app.request('/api/accounts')).status).toBe(401);
    expect((await app.request('/api/accounts', { headers: { authorization: 'Bearer a.b.c' } })).status).toBe(401);
    const unknown = await app.request('/api/sign-in', { method: 'POST', body: '{"userId":"nobody"}' });
    expect(unknown.status).toBe(400);
    expect(await unknown.json()).toMatchObject({
      error: { code: 'INVALID_REQUEST', hint: 'Choose one from the list on the page.' },
    });
    expect((await app.request('/api/sign-in', { method: 'POST', body: 'not json' })).status).toBe(400);
  });

  test('a cursor brings what was made, changed and deleted since, and nothing else', async () => {
    const before = await readAccounts(JONAS);
    const [changedId, deletedId] = [String(before.rows[0]?.[0]), String(before.rows[1]?.[0])];
    const madeId = randomUUID();
    const fields = { name: 'Made Airport', kind: 'small_airport', country_code: 'DE', continent: 'EU' };

    expect(await apply(JONAS, 'update', changedId, { notes: 'changed' })).toBe('applied');
    expect(await apply(JONAS, 'delete', deletedId, {})).toBe('applied');
    expect(await apply(JONAS, 'create', madeId, fields)).toBe('applied');
    const after = await readAccounts(JONAS, before.cursor);

    expect(after.isWhole).toBe(false);
    expect(new Set(after.rows.map((row) => row[0]))).toEqual(new Set([changedId, madeId]));
    expect(after.deletedIds).toEqual([deletedId]);
    expect((await readAccounts(JONAS, after.cursor)).rows).toEqual([]);
    // and the other workspace hears nothing of it
    const { cursor } = await readAccounts(AMARA);
    expect(await readAccounts(AMARA, cursor)).toMatchObject({ rows: [], deletedIds: [] });
  });

  test('P4 · what a colleague deletes is gone for everyone of the workspace, and for nobody else', async () => {
    const before = await readAccounts(AMARA);
    const elsewhere = await readAccounts(JONAS);
    const deletedId = String(before.rows[2]?.[0]);

    expect(await apply(MEI, 'delete', deletedId, {})).toBe('applied');

    expect((await readAccounts(AMARA, before.cursor)).deletedIds).toEqual([deletedId]);
    expect((await readAccounts(JONAS, elsewhere.cursor)).deletedIds).toEqual([]);
  });

  test.each(['nonsense', '00000000-0000-0000-0000-000000000000.5', `${randomUUID()}.99999999`])(
    'a cursor of no or another database (%s) brings the whole list',
    async (cursor) => {
      const answer = await readAccounts(JONAS, cursor);
      expect(answer.isWhole).toBe(true);
      expect(answer.rows.length).toBeGreaterThan(2_000);
    },
  );

  test('a cursor from the future, as after a restore, brings the whole list', async () => {
    const { cursor } = await readAccounts(JONAS);
    const future = `${cursor.split('.')[0]}.99999999999`;
    expect((await readAccounts(JONAS, future)).isWhole).toBe(true);
  });

  test('a long list travels compressed when that is welcome', async () => {
    const token = await signIn(AMARA);
    const headers = { authorization: `Bearer ${token}`, 'accept-encoding': 'gzip, br' };
    const response = await app.request('/api/accounts', { headers });
    const body = Buffer.from(await response.arrayBuffer());

    expect(response.headers.get('content-encoding')).toBe('gzip');
    expect(body.byteLength).toBeLessThan(2_000_000);
    expect((JSON.parse(gunzipSync(body).toString()) as AccountsAnswer).rows.length).toBeGreaterThan(18_000);
  });

  test('unknown addresses of the interface are refused as JSON, not as the page', async () => {
    for (const path of ['/api/nothing', '/v1/nothing']) {
      const response = await app.request(path);
      expect(response.status).toBe(404);
      expect(await response.json()).toMatchObject({ error: { code: 'NOT_FOUND' } });
    }
  });
});
