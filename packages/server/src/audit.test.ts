import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { readAudit } from './audit-query.ts';
import { withCaller } from './caller.ts';
import { describeOnEachDatabase } from './testing-databases/test-databases.ts';
import { change, createDevice, type TestDevice } from './testing-databases/test-device.ts';

describeOnEachDatabase((world) => {
  test('P5 · the log is read by action, by actor and by time', async () => {
    const device = createDevice(world.database);
    const entity = { table: 'accounts', id: randomUUID() };
    await device.send([
      device.next(change('create', entity, { name: 'Oslo', beds: 1 })),
      device.next(change('update', entity, { name: 'Bergen', beds: 1 })),
    ]);
    const about = { entityType: 'accounts', entityId: entity.id, limit: 50 };
    const actions = async (query: object): Promise<readonly string[]> =>
      (await read(device, { ...about, ...query })).entries.map(({ action }) => action);
    const hourMs = 3_600_000;
    const at = (ms: number): string => new Date(Date.now() + ms).toISOString();

    expect(await actions({ action: 'update' })).toEqual(['update']);
    expect(await actions({ actor: device.claims.sub, action: 'create' })).toEqual(['create']);
    expect(await actions({ actor: 'somebody else' })).toEqual([]);
    expect(await actions({ startDate: at(-hourMs), endDate: at(hourMs) })).toEqual(['update', 'create']);
    expect(await actions({ startDate: at(hourMs) })).toEqual([]);
    expect(await actions({ endDate: at(-hourMs) })).toEqual([]);
    expect(await actions({ workspaceId: device.workspaceId })).toEqual(['update', 'create']);
    await expect(actions({ workspaceId: 'another' })).rejects.toMatchObject({ code: 'FOREIGN_WORKSPACE' });
  });

  test('P5 · each effect leaves exactly one audit row, with before, after, actor and mutation', async () => {
    const device = createDevice(world.database);
    const entity = { table: 'accounts', id: randomUUID() };
    const [created, updated, deleted] = [
      device.next(change('create', entity, { name: 'Oslo', beds: 1 })),
      device.next(change('update', entity, { name: 'Bergen', beds: 1 })),
      device.next(change('delete', entity)),
    ];
    await device.send([created, updated, deleted]);
    await device.send([created, updated, deleted]);

    const { entries, nextBefore } = await read(device, { entityType: 'accounts', entityId: entity.id, limit: 50 });

    const whole = {
      id: entity.id,
      workspace_id: device.workspaceId,
      beds: 1,
      code: null,
      tags: null,
      owner: 'nobody',
      parent_id: null,
    };
    const common = { actor: device.claims.sub, entityType: 'accounts', entityId: entity.id, clientId: device.clientId };
    expect(entries).toMatchObject([
      {
        ...common,
        mutationId: deleted.id,
        action: 'delete',
        oldValues: { ...whole, name: 'Bergen' },
        newValues: null,
        changedFields: null,
      },
      {
        ...common,
        mutationId: updated.id,
        action: 'update',
        oldValues: { name: 'Oslo' },
        newValues: { name: 'Bergen' },
        changedFields: ['name'],
      },
      {
        ...common,
        mutationId: created.id,
        action: 'create',
        oldValues: null,
        newValues: { ...whole, name: 'Oslo' },
        changedFields: null,
      },
    ]);
    expect(entries[1]?.oldValues).toEqual({ name: 'Oslo' });
    expect(nextBefore).toBeNull();
  });

  test('P5 · what came before and after are what the rows really were, also where a trigger changed them', async () => {
    const device = createDevice(world.database);
    const entity = { table: 'lists', id: randomUUID() };
    await device.send([
      device.next(change('create', entity, { value: 1 })),
      device.next(change('update', entity, { value: 2 })),
    ]);
    const { entries } = await read(device, { limit: 1 });
    expect(entries).toMatchObject([
      {
        oldValues: { value: 1, history: [1] },
        newValues: { value: 2, history: [1, 2] },
        changedFields: ['history', 'value'],
      },
    ]);
  });

  test('P5 · an update that changes nothing is recorded as such', async () => {
    const device = createDevice(world.database);
    const entity = { table: 'accounts', id: randomUUID() };
    await device.send([
      device.next(change('create', entity, { name: 'same' })),
      device.next(change('update', entity, { name: 'same' })),
    ]);
    const { entries } = await read(device, { limit: 1 });
    expect(entries).toMatchObject([{ action: 'update', oldValues: {}, newValues: {}, changedFields: [] }]);
  });

  test('P5 · changes past Holdfast are recorded too, row by row, with no mutation', async () => {
    const device = createDevice(world.database);
    await device.send(Array.from({ length: 3 }, () => device.next({ payload: { name: 'same' } })));
    await world.database.query(`update public.accounts set name = name || '!' where workspace_id = $1`, [
      device.workspaceId,
    ]);

    const { entries } = await read(device, { limit: 3 });
    expect(entries.map((entry) => [entry.actor, entry.mutationId, entry.clientId])).toEqual(
      Array.from({ length: 3 }, () => [null, null, null]),
    );
    for (const entry of entries) {
      expect(entry).toMatchObject({ oldValues: { name: 'same' }, newValues: { name: 'same!' } });
    }
  });

  test('P5 · when the key itself changes, before and after still belong together', async () => {
    const device = createDevice(world.database);
    await device.send([
      device.next({ payload: { name: 'a', beds: 1 } }),
      device.next({ payload: { name: 'b', beds: 2 } }),
    ]);
    await world.database.query(
      `update public.accounts set id = gen_random_uuid(), name = name || beds where workspace_id = $1`,
      [device.workspaceId],
    );
    const { entries } = await read(device, { limit: 2 });
    expect(new Map(entries.map((entry) => [entry.oldValues?.['name'], entry.newValues?.['name']]))).toEqual(
      new Map([
        ['a', 'a1'],
        ['b', 'b2'],
      ]),
    );
    expect(entries[0]?.changedFields).toEqual(['id', 'name']);
  });

  test('P5 · pages follow each other without gap or overlap', async () => {
    const device = createDevice(world.database);
    await device.send(Array.from({ length: 7 }, () => device.next()));
    const pages: unknown[][] = [];
    for (let before: string | undefined, page = 0; page < 3; page += 1) {
      const answer = await read(device, { limit: 3, before });
      pages.push(answer.entries.map((entry) => entry.newValues?.['name']));
      before = answer.nextBefore ?? undefined;
    }
    expect(pages).toEqual([
      ['account 7', 'account 6', 'account 5'],
      ['account 4', 'account 3', 'account 2'],
      ['account 1'],
    ]);
  });

  test('P5 · disable_audit stops the recording, enable_audit starts it again', async () => {
    const device = createDevice(world.database);
    await world.database.query(`select holdfast.disable_audit('public.faults')`);
    await device.send([device.next(change('create', { table: 'fault', id: randomUUID() }))]);
    await world.database.query(`select holdfast.enable_audit('public.faults', 'fault')`);
    // twice is as good as once
    await world.database.query(`select holdfast.enable_audit('public.faults', 'fault')`);
    await device.send([device.next(change('create', { table: 'fault', id: randomUUID() }))]);

    expect((await read(device, { limit: 5 })).entries).toHaveLength(1);
  });

  test.each([
    ['id_column', 'uid'],
    ['workspace_column', 'organisation id'],
  ])('P5 · a table that has no such %s is not audited, and the refusal names it', async (parameter, column) => {
    const enabling = world.database.query(
      `select holdfast.enable_audit('public.faults', 'fault', ${parameter} => '${column}')`,
    );
    await expect(enabling).rejects.toMatchObject({ code: 'HF033' });
    await expect(enabling).rejects.toThrow(column);
    // as it was
    const device = createDevice(world.database);
    await device.send([device.next(change('create', { table: 'fault', id: randomUUID() }))]);
    expect((await read(device, { limit: 5 })).entries).toHaveLength(1);
  });

  test.each([
    { hops: 0, forwardedFor: '1.1.1.1, 2.2.2.2', peerAddress: '10.0.0.9', ip: '10.0.0.9' },
    { hops: 1, forwardedFor: '1.1.1.1, 2.2.2.2', peerAddress: '10.0.0.9', ip: '2.2.2.2' },
    { hops: 2, forwardedFor: '1.1.1.1, 2.2.2.2', peerAddress: '10.0.0.9', ip: '1.1.1.1' },
    // what is further left than our own proxies anybody may have written, and so is all of it where there is none
    { hops: 3, forwardedFor: '1.1.1.1, 2.2.2.2', peerAddress: '10.0.0.9', ip: null },
    { hops: 0, forwardedFor: '1.1.1.1', peerAddress: undefined, ip: null },
    { hops: 1, forwardedFor: '9.9.9.9, 1.1.1.1:4711', peerAddress: undefined, ip: '1.1.1.1' },
    { hops: 1, forwardedFor: '[2001:db8::1]', peerAddress: undefined, ip: '2001:db8::1' },
    { hops: 1, forwardedFor: `x', (select 1)--`, peerAddress: '10.0.0.9', ip: null },
    { hops: 1, forwardedFor: undefined, peerAddress: '10.0.0.9', ip: null },
    // whatever the length of what others wrote before it
    { hops: 1, forwardedFor: `${'6.6.6.66,'.repeat(300)} 1.1.1.1`, peerAddress: '10.0.0.9', ip: '1.1.1.1' },
  ])('P5 · with $hops trusted hops, $forwardedFor before $peerAddress is $ip', async ({ hops, ip, ...origin }) => {
    const device = createDevice(world.database);
    await world.database.query('select holdfast.set_trusted_hops($1)', [hops]);
    await withCaller(
      world.database,
      device.claims,
      (session) =>
        session.query('insert into public.accounts (id, workspace_id, name) values (gen_random_uuid(), $1, $2)', [
          device.workspaceId,
          'made',
        ]),
      { origin: { ...origin, userAgent: 'A browser' } },
    );
    await world.database.query('select holdfast.set_trusted_hops(0)');
    expect((await read(device, { limit: 1 })).entries).toMatchObject([{ ip, userAgent: 'A browser' }]);
  });

  test('P5, P8 · rows that SQL of the app moves to another workspace, several in one statement, leave the one before they are in the other', async () => {
    await world.database.transaction((session) =>
      session.runScript(`
        create table public.moving (id uuid primary key, workspace_id text not null, name text);
        create function public.move_on() returns trigger language plpgsql set search_path = '' as $$
        begin
            if starts_with(new.name, 'to ') then new.workspace_id := substr(new.name, 4); end if;
            return new;
        end $$;
        create trigger move_on before update on public.moving for each row execute function public.move_on();
        alter table public.moving enable row level security;
        create policy all_of_them on public.moving to authenticated using (true) with check (true);
        grant select, insert, update, delete on public.moving to authenticated;
        select holdfast.register_table('public.moving', array['name']);`),
    );
    const device = createDevice(world.database);
    const there = `workspace-${randomUUID()}`;
    const rows = Array.from({ length: 4 }, () => ({ table: 'moving', id: randomUUID() }));
    await device.send(rows.map((entity) => device.next(change('create', entity, { name: 'here' }))));
    const names = [`to ${there}`, 'stays', `to ${there}`, `to ${there}`];
    // in another order than they were made
    const edits = [2, 0, 3, 1].map((row, index) =>
      device.next(change('update', rows[row] ?? null, { name: names[index] ?? '' })),
    );
    expect(await device.sendForKinds(edits)).toEqual(['applied', 'applied', 'applied', 'applied']);

    const log = await world.database.query<{ what: string; mutation_id: string }>(
      `select action || case workspace_id when $2 then ' there' else ' here' end as what, mutation_id
       from holdfast.audit_log where entity_id = any ($1) and mutation_id = any ($3) order by id`,
      [rows.map(({ id }) => id), there, edits.map(({ id }) => id)],
    );
    // the workspace that they leave hears of all of them in order, and the other one of what came, after that
    expect(log.filter(({ what }) => what !== 'create there')).toEqual(
      edits.map(({ id }, index) => ({ what: index === 1 ? 'update here' : 'delete here', mutation_id: id })),
    );
    expect(log.slice(4).map(({ what }) => what)).toEqual(['create there', 'create there', 'create there']);
    expect(new Set(log.slice(4).map(({ mutation_id }) => mutation_id))).toEqual(
      new Set([edits[0], edits[2], edits[3]].map((edit) => edit?.id)),
    );
  });

  test('P5 · a header that no database can hold stops nobody', async () => {
    const device = createDevice(world.database);
    await withCaller(
      world.database,
      device.claims,
      (session) =>
        session.query(`insert into public.accounts (id, workspace_id, name) values (gen_random_uuid(), $1, 'made')`, [
          device.workspaceId,
        ]),
      { origin: { userAgent: 'a\0b', forwardedFor: '\ud800' } },
    );
    expect((await read(device, { limit: 1 })).entries).toMatchObject([{ ip: null, userAgent: null }]);
  });

  function read(device: TestDevice, query: Parameters<typeof readAudit>[1]) {
    return withCaller(world.database, device.claims, (session) => readAudit(session, query));
  }
});
