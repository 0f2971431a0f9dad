import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { readAudit } from './audit-query.ts';
import { type CallerClaims, withCaller } from './caller.ts';
import { readChanges } from './change-feed.ts';
import { fieldOf } from './database.ts';
import { describeOnEachDatabase } from './testing-databases/test-databases.ts';
import { change, createDevice } from './testing-databases/test-device.ts';

describeOnEachDatabase((world) => {
  test('P8 · a reader is told what happened after it began, each change once, and then nothing', async () => {
    const device = createDevice(world.database);
    await device.send([device.next({ payload: { name: 'before' } })]);
    const begun = await read(device.claims, null);
    expect(begun).toMatchObject({ changes: [], hasMore: false, resync: false });

    const entity = { table: 'accounts', id: randomUUID() };
    const created = device.next(change('create', entity, { name: 'Oslo' }));
    await device.send([created, device.next(change('update', entity, { name: 'Bergen' }))]);
    const first = await read(device.claims, begun.cursor);
    await device.send([device.next(change('delete', entity))]);
    const second = await read(device.claims, first.cursor);

    // by the time of reading the row was there; a deletion tells no more than the id
    expect(first.changes).toMatchObject([
      {
        action: 'create',
        entityType: 'accounts',
        entityId: entity.id,
        newValues: { name: 'Oslo' },
        mutationId: created.id,
      },
      { action: 'update', oldValues: { name: 'Oslo' }, newValues: { name: 'Bergen' }, changedFields: ['name'] },
    ]);
    expect(second.changes).toMatchObject([
      {
        action: 'delete',
        entityId: entity.id,
        oldValues: null,
        newValues: null,
        isHidden: false,
        clientId: device.clientId,
      },
    ]);
    expect((await read(device.claims, second.cursor)).changes).toEqual([]);
    // a place may be used again, as one does that never heard the answer
    expect((await read(device.claims, begun.cursor)).changes).toHaveLength(3);
  });

  test.each([
    ['whose ids were of another type', 'notes', 'select'],
    ['that has been dropped', 'gone', 'drop table public.gone'],
  ])(
    'P5, P8 · an entry of a table %s is hidden, and holds up neither the feed nor the log',
    async (_, entityType, sql) => {
      const device = createDevice(world.database);
      const { workspaceId } = device;
      const begun = await read(device.claims, null);
      await world.database.transaction((session) =>
        session.runScript(`
        create table if not exists public.gone (id uuid primary key, workspace_id text not null);
        alter table public.gone enable row level security;
        grant select on public.gone to authenticated;
        select holdfast.register_table('public.gone', '{}')`),
      );
      await world.database.query(
        `insert into holdfast.audit_log (workspace_id, actor, action, entity_type, entity_id, new_values)
       values ($1, 'someone else', 'create', $2, '4711', '{}')`,
        [workspaceId, entityType],
      );
      await world.database.query(sql);
      await device.send([device.next()]);

      const { changes } = await read(device.claims, begun.cursor);

      expect(changes).toMatchObject([
        { entityType, entityId: '4711', isHidden: true, newValues: null },
        { entityType: 'accounts', isHidden: false },
      ]);
      const { entries } = await withCaller(world.database, device.claims, (session) =>
        readAudit(session, { limit: 50 }),
      );
      expect(entries.map((entry) => entry.entityType)).toEqual(['accounts']);
      // control: one that fits is told
      const stranger = createDevice(world.database, { workspaceId });
      await stranger.send([stranger.next()]);
      expect((await read(device.claims, begun.cursor)).changes.at(-1)).toMatchObject({ isHidden: false });
    },
  );

  test('P8 · pages follow each other without gap or overlap', async () => {
    const device = createDevice(world.database);
    let { cursor } = await read(device.claims, null);
    await device.send(Array.from({ length: 7 }, () => device.next()));
    const pages: unknown[][] = [];
    for (let hasMore = true; hasMore; ) {
      const page = await read(device.claims, cursor, 3);
      pages.push(page.changes.map(({ newValues }) => newValues?.['name']));
      ({ cursor, hasMore } = page);
      // what is written between two pages comes after them
      if (pages.length === 1) await device.send([device.next()]);
    }
    expect(pages).toEqual([
      ['account 1', 'account 2', 'account 3'],
      ['account 4', 'account 5', 'account 6'],
      ['account 7'],
    ]);
    expect((await read(device.claims, cursor)).changes.map(({ newValues }) => newValues?.['name'])).toEqual([
      'account 8',
    ]);
  });

  test('P5, P8 · a row that goes over to another workspace is gone from the one and new in the other', async () => {
    const [mine, theirs] = [createDevice(world.database), createDevice(world.database)];
    const [entity, stays] = [
      { table: 'accounts', id: randomUUID() },
      { table: 'accounts', id: randomUUID() },
    ];
    await mine.send([
      mine.next(change('create', entity, { name: 'Oslo' })),
      mine.next(change('create', stays, { name: 'Bergen' })),
    ]);
    const [left, joined] = [await read(mine.claims, null), await read(theirs.claims, null)];

    await world.database.query(
      `update public.accounts set beds = 7, workspace_id = case when id = $1 then $3 else workspace_id end
       where id = any (array[$1, $2]::uuid[])`,
      [entity.id, stays.id, theirs.workspaceId],
    );

    const [here, there] = [await read(mine.claims, left.cursor), await read(theirs.claims, joined.cursor)];
    expect(here.changes.map(({ action, entityId }) => `${action} ${entityId}`).toSorted()).toEqual([
      `delete ${entity.id}`,
      `update ${stays.id}`,
    ]);
    expect(there.changes).toMatchObject([
      {
        action: 'create',
        entityId: entity.id,
        oldValues: null,
        newValues: { name: 'Oslo', beds: 7, workspace_id: theirs.workspaceId },
        changedFields: null,
      },
    ]);
    const [record] = await world.database.query(
      `select old_values ->> 'name' as name, old_values ->> 'workspace_id' as workspace from holdfast.audit_log
       where workspace_id = $1 and action = 'delete'`,
      [mine.workspaceId],
    );
    expect(record).toEqual({ name: 'Oslo', workspace: mine.workspaceId });
  });

  test('P8 · a reader hears of its own workspace only', async () => {
    const [mine, theirs] = [createDevice(world.database), createDevice(world.database)];
    const { cursor } = await read(mine.claims, null);
    const foreign = await read(theirs.claims, null);
    await theirs.send([theirs.next()]);
    expect((await read(mine.claims, cursor)).changes).toEqual([]);
    // nor with the place of another
    expect((await read(mine.claims, foreign.cursor)).changes).toEqual([]);
    expect((await read(theirs.claims, cursor)).changes).toHaveLength(1);
    await expect(read({ sub: 'nobody in particular', role: 'authenticated' }, cursor)).rejects.toSatisfy(
      (error) => fieldOf(error, 'detail') === 'FOREIGN_WORKSPACE',
    );
  });

  test('P8 · values of a row are told only to those who may see it', async () => {
    const device = createDevice(world.database);
    const { cursor } = await read(device.claims, null);
    await world.database.transaction((session) =>
      session.runScript(`drop policy by_workspace on public.lists;
        create policy even_only on public.lists to authenticated
            using (workspace_id = (select holdfast.workspace()) and value % 2 = 0)
            with check (workspace_id = (select holdfast.workspace()))`),
    );
    const [odd, even] = [randomUUID(), randomUUID()];
    await world.database.query(`insert into public.lists (id, workspace_id, value) values ($1, $3, 1), ($2, $3, 2)`, [
      odd,
      even,
      device.workspaceId,
    ]);
    const { changes } = await read(device.claims, cursor);
    await world.database.transaction((session) =>
      session.runScript(`drop policy even_only on public.lists;
        create policy by_workspace on public.lists to authenticated
            using (workspace_id = (select holdfast.workspace())) with check (workspace_id = (select holdfast.workspace()))`),
    );
    expect(changes).toMatchObject([
      { entityId: odd, isHidden: true, newValues: null },
      { entityId: even, isHidden: false, newValues: { value: 2 } },
    ]);
  });

  test('P8 · after a rewind of the server, and beyond what is kept, a reader is told to read everything anew', async () => {
    const device = createDevice(world.database);
    const { cursor: old } = await read(device.claims, null);
    await world.database.query(`select holdfast.begin_epoch('test')`);
    await device.send([device.next({ payload: { name: 'after the rewind' } })]);
    const lost = await read(device.claims, old);
    expect(lost).toMatchObject({ resync: true, changes: [] });
    await device.send([device.next({ payload: { name: 'later' } })]);
    const found = await read(device.claims, lost.cursor);
    expect(found).toMatchObject({ resync: false, changes: [{ newValues: { name: 'later' } }] });

    // the month of what it has read last is dropped
    await world.database.query(
      'update holdfast.epochs set trimmed_id = (select max(id) from holdfast.audit_log) + 1 where place = (select max(place) from holdfast.epochs)',
    );
    const trimmed = await read(device.claims, found.cursor);
    await world.database.query('update holdfast.epochs set trimmed_id = 0');
    expect(trimmed).toMatchObject({ resync: true, changes: [] });
  });

  test('P8 · a place that is none is refused', async () => {
    const device = createDevice(world.database);
    const [epoch] = (await read(device.claims, null)).cursor.split('~');
    for (const cursor of [
      '',
      '1',
      `${randomUUID()}~x`,
      `${randomUUID()}~1:1:~-1~1:1:`,
      ...['5:3:', '0:0:', '1:5:9', '5:9:6~1~9:5:'].map((place) => `${epoch}~${place}`),
      "' or true --",
      '~'.repeat(200),
    ]) {
      await expect(read(device.claims, cursor)).rejects.toSatisfy(
        (error) => fieldOf(error, 'detail') === 'INVALID_REQUEST',
      );
    }
    await expect(read(device.claims, null, 1001)).rejects.toThrow('A page holds 1 to 1000 changes.');
  });

  function read(claims: CallerClaims, cursor: string | null, limit?: number) {
    return withCaller(world.database, claims, (session) => readChanges(session, { cursor, limit }));
  }
});
