import { randomUUID } from 'node:crypto';
import type { JsonObject, WireOutcome } from 'holdfast/protocol';
import { expect, test } from 'vitest';
import { readAudit } from './audit-query.ts';
import { withCaller } from './caller.ts';
import { type Session, sqlStateOf } from './database.ts';
import { describeOnEachDatabase } from './testing-databases/test-databases.ts';
import { change, countTraces, createDevice, kindOf, type TestDevice } from './testing-databases/test-device.ts';

const HANDLERS = `
  create or replace function public.add_up(mutation jsonb) returns jsonb language plpgsql set search_path = '' as $$
  declare
      total integer;
  begin
      if (mutation #>> '{payload,amount}')::integer < 0 then
          raise exception 'Nothing can be taken away.' using hint = 'Add something.';
      end if;
      update public.accounts set beds = coalesce(beds, 0) + (mutation #>> '{payload,amount}')::integer
      where id = (mutation #>> '{payload,account}')::uuid
      returning beds into total;
      if total is null then
          perform holdfast.refuse('ROW_NOT_FOUND', 'There is no such account.', 'Look again.');
      end if;
      return jsonb_build_object('beds', total);
  end $$;
  grant execute on function public.add_up(jsonb) to authenticated;
  select holdfast.register_handler('beds.add', 'public.add_up(jsonb)');
  create or replace function public.shout(mutation jsonb) returns jsonb language sql set search_path = '' as $$
      insert into public.accounts (id, workspace_id, name)
      values ((mutation #>> '{entity,id}')::uuid, holdfast.workspace(), upper(mutation #>> '{payload,name}'))
      returning jsonb_build_object('name', name)
  $$;
  grant execute on function public.shout(jsonb) to authenticated;
  select holdfast.register_handler('account.shout', 'public.shout(jsonb)');
  create or replace function public.as_owner(mutation jsonb) returns jsonb language sql security definer as 'select mutation';
  create or replace function public.of_text(mutation text) returns text language sql as 'select mutation';
`;

describeOnEachDatabase((world) => {
  test('P3 · a function of the app carries out its type: once, as the caller, audited, with its answer as the result', async () => {
    await install();
    const device = createDevice(world.database);
    const account = randomUUID();
    await device.send([device.next(change('create', { table: 'accounts', id: account }, { name: 'x', beds: 1 }))]);
    const add = device.next({ ...change('custom', null, { account, amount: 2 }), type: 'beds.add' });

    expect(await device.send([add])).toMatchObject([{ kind: 'applied', result: { beds: 3 } }]);
    expect(await device.send([add])).toMatchObject([{ kind: 'duplicate', result: { beds: 3 } }]);

    const { entries } = await withCaller(world.database, device.claims, (session) => readAudit(session, { limit: 1 }));
    expect(entries).toMatchObject([{ action: 'update', mutationId: add.id, newValues: { beds: 3 } }]);
    // another workspace's row is not there for it
    const stranger = createDevice(world.database);
    expect(
      await stranger.sendForKinds([
        stranger.next({ ...change('custom', null, { account, amount: 2 }), type: 'beds.add' }),
        stranger.next({ ...change('custom', null, { account, amount: -2 }), type: 'beds.add' }),
        stranger.next(),
      ]),
    ).toEqual(['rejected ROW_NOT_FOUND', 'rejected P0001', 'applied']);
  });

  test('P3 · creations of a type with a handler go to it too when several come together', async () => {
    await install();
    const device = createDevice(world.database);
    const shout = (name: string) => ({
      ...change('create', { table: 'accounts', id: randomUUID() }, { name }),
      type: 'account.shout',
    });

    expect(await device.send([device.next(shout('a')), device.next(shout('b'))])).toMatchObject([
      { kind: 'applied', result: { name: 'A' } },
      { kind: 'applied', result: { name: 'B' } },
    ]);
  });

  test('P3 · a handler takes its type from the table handlers too, also in the middle of a batch and within an atomic one', async () => {
    await install();
    const device = createDevice(world.database);
    const account = randomUUID();
    const add = { ...change('create', { table: 'accounts', id: account }, { account, amount: 1 }), type: 'beds.add' };
    const batch = [
      device.next(change('create', { table: 'accounts', id: account }, { name: 'x' })),
      device.next(add),
      device.next(),
      device.next({
        ...change('custom', null, {
          members: [
            { ...add, version: 1 },
            { ...add, version: 1 },
          ] as unknown as JsonObject[],
        }),
        type: 'holdfast.atomic',
      }),
    ];
    const outcomes = await device.send(batch);
    expect(outcomes.map(kindOf)).toEqual(['applied', 'applied', 'applied', 'applied']);
    expect(outcomes[3]).toMatchObject({ result: [{ beds: 2 }, { beds: 3 }] });
    await world.database.query(`select holdfast.remove_handler('beds.add')`);
    expect(await device.sendForKinds([device.next(add)])).toEqual(['rejected UNKNOWN_COLUMN']);
  });

  test.each([
    ['public.as_owner(jsonb)', 'runs with the rights of its owner'],
    ['public.of_text(text)', 'does not take one jsonb and answer one jsonb'],
  ])('P3 · %s is no handler', async (handler, reason) => {
    await install();
    await expect(
      world.database.query(`select holdfast.register_handler('x', $1::regprocedure)`, [handler]),
    ).rejects.toThrow(reason);
  });

  test('P3, P4 · a handler that was made to run as its owner after it was registered is not called', async () => {
    await world.database.transaction((session) =>
      session.runScript(`
        create function public.turned(mutation jsonb) returns jsonb language sql as $$ select to_jsonb(current_user::text) $$;
        select holdfast.register_handler('turned', 'public.turned(jsonb)');
        alter function public.turned(jsonb) security definer;`),
    );
    const device = createDevice(world.database);
    const custom = { type: 'turned', operation: 'custom', entity: null, payload: {} } as const;

    expect(await device.sendForKinds([device.next(custom), device.next()])).toEqual(['rejected NO_HANDLER', 'applied']);
    await world.database.query('alter function public.turned(jsonb) security invoker');
    expect(await device.send([device.next(custom)])).toMatchObject([{ kind: 'applied', result: 'authenticated' }]);
  });

  test('P3 · a deleted row comes back as it was, counting on, and the log calls it a restore', async () => {
    const device = createDevice(world.database);
    const entity = { table: 'notes', id: randomUUID() };
    await device.send([
      device.next(change('create', entity, { title: 'a', meta: { deep: [1, null] } })),
      device.next(change('update', entity, { body: 'b' })),
      device.next(change('delete', entity)),
    ]);
    const restore = device.next(change('restore', entity));
    const [outcome] = await device.send([restore]);

    expect(outcome).toMatchObject({
      kind: 'applied',
      rowVersion: 3,
      result: { id: entity.id, title: 'a', body: 'b', meta: { deep: [1, null] } },
    });
    expect(await device.sendForKinds([restore])).toEqual(['duplicate applied']);
    // there already
    expect(await device.sendForKinds([device.next(change('restore', entity))])).toEqual(['rejected ROW_EXISTS']);
    const { entries } = await withCaller(world.database, device.claims, (session) => readAudit(session, { limit: 1 }));
    expect(entries).toMatchObject([
      { action: 'restore', oldValues: null, newValues: { title: 'a' }, mutationId: restore.id },
    ]);
    // an edit of what was there before the deletion is in conflict with what is there now
    expect(
      await device.sendForKinds([
        device.next({ ...change('update', entity, { title: 'c' }), base: { rowVersion: 2 } }),
      ]),
    ).toEqual(['conflict']);
  });

  test('P3 · nobody brings back what they could not see, what was never there, or what may not be made any more', async () => {
    const [mine, theirs] = [createDevice(world.database), createDevice(world.database)];
    const entity = { table: 'accounts', id: randomUUID() };
    await mine.send([
      mine.next(change('create', entity, { name: 'x', code: 'A' })),
      mine.next(change('delete', entity)),
    ]);
    expect(await theirs.sendForKinds([theirs.next(change('restore', entity))])).toEqual(['rejected ROW_NOT_FOUND']);
    expect(
      await mine.sendForKinds([
        mine.next(change('restore', { table: 'accounts', id: randomUUID() })),
        mine.next(change('restore', { table: 'nothing', id: entity.id })),
        mine.next({ payload: { name: 'y', code: 'A' } }),
        mine.next(change('restore', entity)),
      ]),
    ).toEqual(['rejected ROW_NOT_FOUND', 'rejected NO_HANDLER', 'applied', 'rejected 23505']);
  });

  test('P3 · what a payload may not set comes back too, a generated number anew', async () => {
    const device = createDevice(world.database);
    const entity = { table: 'weird', id: String(Math.floor(Math.random() * 2 ** 40)) };
    await device.send([device.next(change('create', entity, { image: 'i' })), device.next(change('delete', entity))]);
    expect(await device.send([device.next(change('restore', entity))])).toMatchObject([{ result: { image: 'i' } }]);

    const account = { table: 'accounts', id: randomUUID() };
    await device.send([device.next(change('create', account, { name: 'x' }))]);
    await world.database.query(`update public.accounts set owner = 'ann' where id = $1`, [account.id]);
    await device.send([device.next(change('delete', account))]);
    expect(await device.send([device.next(change('restore', account))])).toMatchObject([{ result: { owner: 'ann' } }]);
  });

  test('P3 · code of the server carries out a mutation between two statements of one transaction', async () => {
    const device = createDevice(world.database);
    const mutation = device.next({ ...change('custom', null, { name: 'by code' }), type: 'by.code' });
    const insert = (session: Session) =>
      session.query(`insert into public.accounts (id, workspace_id, name) values (gen_random_uuid(), $1, 'by code')`, [
        device.workspaceId,
      ]);

    expect(await handle(device, mutation, insert)).toMatchObject({
      kind: 'applied',
      result: { done: true },
      rowVersion: 7,
    });
    expect(await handle(device, mutation, insert)).toMatchObject({
      kind: 'duplicate',
      result: { done: true },
      rowVersion: 7,
    });
    expect(await countTraces(world.database, device.workspaceId)).toEqual({ accounts: 1, ledger: 1, audit: 1 });

    const waits = device.next({ ...change('custom', null), type: 'by.code', after: mutation.seq + 5 });
    expect(await handle(device, waits, insert)).toMatchObject({ kind: 'deferred' });
    const bad = device.next({ ...change('custom', null), type: 'by.code' });
    const failing = async (session: Session) => {
      await insert(session);
      await session.query(`insert into public.accounts (id, workspace_id, name) values ('x', 'y', null)`);
    };
    expect(await handle(device, bad, failing)).toMatchObject({ kind: 'rejected', error: { code: '22P02' } });
    expect(await handle(device, bad, insert)).toMatchObject({ kind: 'duplicate', verdict: 'rejected' });
    const late = device.next({ ...change('custom', null), type: 'by.code' });
    const transient = () => Promise.reject(Object.assign(new Error('later'), { code: '55P03' }));
    expect(await handle(device, late, transient)).toMatchObject({ kind: 'refused', error: { code: '55P03' } });
    expect(await handle(device, late, insert)).toMatchObject({ kind: 'applied' });
    expect(await countTraces(world.database, device.workspaceId)).toEqual({ accounts: 2, ledger: 3, audit: 2 });
  });

  function install() {
    return world.database.transaction((session) => session.runScript(HANDLERS));
  }

  /** As a server with a handler in TypeScript does it. */
  test('Q17, P3 · one that is only asked about comes to no handler in code', async () => {
    const device = createDevice(world.database);
    const mutation = { ...device.next({ operation: 'custom', entity: null }), outdated: true };
    const ran: string[] = [];

    const outcome = await handle(device, mutation, async () => ran.push('ran'));

    expect(outcome).toMatchObject({ kind: 'rejected', error: { category: 'OUTDATED', code: 'OUTDATED' } });
    expect(ran).toEqual([]);
    expect(await device.sendForKinds([mutation])).toEqual(['duplicate rejected OUTDATED']);
  });

  function handle(device: TestDevice, mutation: unknown, effect: (session: Session) => Promise<unknown>) {
    const batch = JSON.stringify({
      protocol: 1,
      client: { id: device.clientId, workspaceId: device.workspaceId },
      acknowledgedFloor: 0,
      mutations: [mutation],
    });
    return withCaller(world.database, device.claims, async (session) => {
      const ask = async (sql: string, parameters: readonly unknown[]): Promise<WireOutcome | null> =>
        (await session.query<{ outcome: WireOutcome | null }>(`select ${sql} as outcome`, parameters))[0]?.outcome ??
        null;
      const known = await ask('holdfast.begin_handler($1)', [batch]);
      if (known !== null) return known;
      await session.query('savepoint effect');
      try {
        await effect(session);
        return await ask('holdfast.finish_handler($1, $2, $3)', [batch, { done: true }, 7]);
      } catch (error) {
        await session.query('rollback to savepoint effect');
        return ask('holdfast.fail_handler($1, $2, $3)', [batch, sqlStateOf(error), String(error)]);
      }
    });
  }
});
