import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import type { Database } from './database.ts';
import { createDoor } from './door.ts';
import { describeOnEachDatabase } from './testing-databases/test-databases.ts';
import { change, createDevice } from './testing-databases/test-device.ts';
import { TEST_SECRET, testToken } from './testing-databases/test-token.ts';

describeOnEachDatabase((world) => {
  const get = async (path: string, workspaceId: string, user?: string): Promise<Response> =>
    createDoor({ database: world.database, auth: { secret: TEST_SECRET } }).request(path, {
      headers: { authorization: `Bearer ${await testToken(workspaceId, user)}` },
    });

  test('P7 · the logs of some days come as CSV and as JSON, and say of which days and in which format', async () => {
    const device = createDevice(world.database);
    const made = device.next({ payload: { name: 'a "quoted", name', beds: 3 } });
    await device.send([made]);
    await device.send([device.next(change('update', made.entity, { beds: 4 }))]);
    const stranger = createDevice(world.database);
    await stranger.send([stranger.next()]);
    const days = `startDate=${day(-1)}&endDate=${day(1)}`;

    const json = await get(`/v1/export/logs?${days}&format=json`, device.workspaceId);
    const csv = await get(`/v1/export/logs?${days}&format=csv`, device.workspaceId);
    const earlier = await get(`/v1/export/logs?startDate=${day(-3)}&endDate=${day(-2)}`, device.workspaceId);

    expect(json.headers.get('content-disposition')).toBe(
      `attachment; filename="audit-logs_${day(-1)}_${day(1)}_exported-${day(0)}.json"`,
    );
    expect(await json.json()).toMatchObject({
      format: 'json',
      startDate: day(-1),
      endDate: day(1),
      workspaceId: device.workspaceId,
      entries: [
        { log: 'audit', action: 'create', entityId: made.entity?.id, newValues: { beds: 3 }, mutationId: made.id },
        { log: 'audit', action: 'update', oldValues: { beds: 3 }, newValues: { beds: 4 }, changedFields: ['beds'] },
      ],
    });
    expect(csv.headers.get('content-type')).toBe('text/csv; charset=utf-8');
    const [header, ...lines] = parseCsv(await csv.text());
    expect(header?.slice(0, 4)).toEqual(['log', 'id', 'occurred_at', 'actor']);
    expect(lines.map((line) => line[header?.indexOf('action') ?? -1])).toEqual(['create', 'update']);
    expect(JSON.parse(lines[0]?.[header?.indexOf('new_values') ?? -1] ?? '')).toMatchObject({
      name: 'a "quoted", name',
    });
    expect(await earlier.json()).toMatchObject({ entries: [] });
  });

  test.each<readonly [text: string, written: string]>([
    [' \t=1+1', `' \t'=1+1`],
    ...['\u00a0', '\u202f', '\u205f', '\u1680', '\u0085', '\u2028', '\u2060', '\u180e', '\u00ad', '\u200e'].map(
      (blank) => [` ${blank}=1+1`, `' ${blank}=1+1`] as const,
    ),
    ['a;=1+1;b', `a;'=1+1;b`],
    ['a; @x', `a;' @x`],
    ['a\t=1', `a\t'=1`],
    ['a;b-c', 'a;b-c'],
    ['1 = 1', '1 = 1'],
  ])('P7, sec-W10 · %j is written as %j', async (text, written) => {
    expect(await world.database.query('select holdfast.csv_text($1) as cell', [text])).toEqual([{ cell: written }]);
  });

  test('P7, sec-W10 · nor does the name of a column', async () => {
    await world.database.transaction((session) =>
      session.runScript(`
        create table public.headed (id uuid primary key, workspace_id text not null, "=cmd|calc" text, "-n" integer);
        alter table public.headed enable row level security;
        grant select on public.headed to authenticated;
        create policy w on public.headed to authenticated using (workspace_id = (select holdfast.workspace()));
        select holdfast.register_table('public.headed', array['=cmd|calc', '-n']);`),
    );
    const [header] = parseCsv(await (await get('/v1/export/rows/headed?format=csv', 'w-headed')).text());
    expect(header).toEqual(['id', 'workspace_id', `'=cmd|calc`, `'-n`]);
  });

  test('P7, sec-W10 · no cell begins with what a spreadsheet takes for a formula; numbers stay numbers', async () => {
    const device = createDevice(world.database);
    const triggers = [
      '=1+1',
      '+1',
      '-1',
      '@SUM(A1)',
      '\t=1',
      '\r=1',
      '  =1',
      '\u00a0=1',
      '\u3000=1',
      '＝1',
      '＠x',
      'a\n=1',
      'a\r\n @x',
    ];
    const harmless = ['plain', 'a=b', 'x\ny', '', "it's", '1-2'];
    const names = [...triggers, ...harmless];
    await device.send(names.map((name) => device.next({ payload: { name, beds: 5 } })));
    await device.send([device.next({ payload: { name: 'tags', tags: ['=1', '-2'] } })]);

    const [header, ...lines] = parseCsv(
      await (await get('/v1/export/rows/accounts?format=csv', device.workspaceId)).text(),
    );

    expect(lines).toHaveLength(names.length + 1);
    const cells = lines.map((line) => line[header?.indexOf('name') ?? -1] ?? '');
    for (const cell of lines.flat()) expect(cell).not.toMatch(/(^|[\n\r])[\s\u00a0\u3000]*[-=+@＝＋－＠]/);
    expect(cells.toSorted()).toEqual(
      [
        ...triggers.slice(0, -2).map((name) => (/^[\r\t]/.test(name) ? `'${name[0]}'=1` : `'${name}`)),
        "a\n'=1",
        "a\r\n' @x",
        ...harmless,
        'tags',
      ].toSorted(),
    );
    expect(new Set(lines.map((line) => line[header?.indexOf('beds') ?? -1]))).toEqual(new Set(['5', '']));
    // JSON is exact
    const rows = (await (await get('/v1/export/rows/accounts?format=json', device.workspaceId)).json()) as {
      readonly entries: readonly { readonly name: string }[];
    };
    expect(rows.entries.map(({ name }) => name).toSorted()).toEqual([...names, 'tags'].toSorted());
  });

  test('P5, P7 · days are those of UTC, whatever time zone the database lives by', async () => {
    const workspaceId = `w-${randomUUID()}`;
    const elsewhere: Database = {
      ...world.database,
      transaction: (work) =>
        world.database.transaction(async (session) => {
          await session.query(`set local timezone = 'America/New_York'`);
          return work(session);
        }),
    };
    const door = createDoor({ database: elsewhere, auth: { secret: TEST_SECRET } });
    const ask = async (path: string): Promise<{ readonly entries: readonly unknown[] }> =>
      (await (
        await door.request(path, { headers: { authorization: `Bearer ${await testToken(workspaceId)}` } })
      ).json()) as { readonly entries: readonly unknown[] };
    for (const at of [`${day(-1)}T23:30:00Z`, `${day(0)}T00:30:00Z`, `${day(1)}T00:30:00Z`]) {
      await world.database.query(
        `insert into holdfast.audit_log (workspace_id, occurred_at, actor, action, entity_type, entity_id, new_values)
         values ($1, $2, 'ada', 'create', 'accounts', gen_random_uuid()::text, '{}')`,
        [workspaceId, at],
      );
    }
    const days = `startDate=${day(0)}&endDate=${day(1)}`;
    const found = [{ occurredAt: `${day(0)}T00:30:00.000Z` }];
    expect((await ask(`/v1/export/logs?${days}`)).entries).toMatchObject(found);
    expect((await ask(`/v1/audit?${days}`)).entries).toMatchObject(found);
    // the same, seen from where it is tomorrow already
    const there = `startDate=${day(0)}T23:00:00%2B23:00&endDate=${day(1)}T23:00:00%2B23:00`;
    expect((await ask(`/v1/audit?${there}`)).entries).toMatchObject(found);
  });

  test('P7 · what cannot be exported is refused with the reason, before a byte of a file', async () => {
    for (const [path, status, code] of [
      ['/v1/export/rows/secrets', 404, 'NOT_FOUND'],
      ['/v1/export/rows/accounts?format=xml', 400, 'INVALID_REQUEST'],
      ['/v1/export/logs?startDate=yesterday&endDate=2026-01-01', 400, 'INVALID_REQUEST'],
      ['/v1/export/logs?startDate=2026-01-02&endDate=2026-01-01', 400, 'INVALID_REQUEST'],
    ] as const) {
      const answer = await get(path, `w-${randomUUID()}`);
      expect(answer.status).toBe(status);
      expect(await answer.json()).toMatchObject({ error: { code } });
    }
  });
});

function day(offset: number): string {
  return new Date(Date.now() + offset * 86_400_000).toISOString().slice(0, 10);
}

/** By the book (RFC 4180), and no more lenient. */
function parseCsv(text: string): readonly (readonly string[])[] {
  const rows: string[][] = [];
  let row: string[] = [];
  for (const [, quoted, bare, end] of text.matchAll(/(?:"((?:[^"]|"")*)"|([^",\n]*))(,|\n|$)/g)) {
    row.push(quoted?.replaceAll('""', '"') ?? bare ?? '');
    if (end === ',') continue;
    if (row.length > 1) rows.push(row);
    row = [];
  }
  return rows;
}
