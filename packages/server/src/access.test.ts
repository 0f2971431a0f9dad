import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { withCaller } from './caller.ts';
import { readChanges } from './change-feed.ts';
import { sqlStateOf } from './database.ts';
import { exportAuditLogs } from './export.ts';
import { describeOnEachDatabase } from './testing-databases/test-databases.ts';
import { applyBatch, change, countTraces, createDevice, type TestDevice } from './testing-databases/test-device.ts';

const RECORD = `select holdfast.record_verdicts($1::uuid, array[1], array[77::bigint], array[$2::uuid], array[0],
  array[0::bigint], 'applied', array['{"forged": true}'::json], null)`;

describeOnEachDatabase((world) => {
  test('P4 · each workspace sees its own rows and its own history only', async () => {
    const [mine, theirs] = [createDevice(world.database), createDevice(world.database)];
    await mine.send([mine.next({ payload: { name: 'mine' } })]);
    await theirs.send([theirs.next({ payload: { name: 'theirs' } })]);

    expect(await asCaller(mine, 'select name from public.accounts')).toEqual([{ name: 'mine' }]);
    expect(await asCaller(mine, `select distinct workspace_id from holdfast.audit_log`)).toEqual([
      { workspace_id: mine.workspaceId },
    ]);
  });

  test('P4, P7 · what the policies of a table hide, neither log nor export nor feed tells; admins read all', async () => {
    await world.database.transaction((session) =>
      session.runScript(`
        create table public.diary (
            id uuid primary key, workspace_id text not null, owner text not null default holdfast.actor(), body text);
        alter table public.diary enable row level security;
        grant select, insert, update, delete on public.diary to authenticated;
        create policy own on public.diary to authenticated
            using (workspace_id = (select holdfast.workspace()) and owner = (select holdfast.actor()));
        select holdfast.register_table('public.diary', array['body']);`),
    );
    const workspaceId = `workspace-${randomUUID()}`;
    const ada = createDevice(world.database, { workspaceId });
    const bob = createDevice(world.database, { workspaceId });
    const admin = { ...bob, claims: { ...bob.claims, sub: 'the admin', holdfast_role: 'admin' } };
    const feed = (device: TestDevice, cursor: string | null) =>
      withCaller(world.database, device.claims, (session) => readChanges(session, { cursor }));
    const { cursor } = await feed(bob, null);
    const entity = { table: 'diary', id: randomUUID() };
    await ada.send([
      ada.next(change('create', entity, { body: 'secret' })),
      ada.next(change('update', entity, { body: 'more' })),
      ada.next(change('delete', entity)),
      ada.next({ payload: { name: 'for all' } }),
    ]);

    const log = `select action || ' ' || entity_type as what from holdfast.audit_log order by id`;
    const all = ['create diary', 'update diary', 'delete diary', 'create accounts'];
    expect(await asCaller(bob, log)).toEqual([{ what: 'create accounts' }]);
    expect(await asCaller(ada, log)).toEqual(all.map((what) => ({ what })));
    expect(await asCaller(admin, log)).toEqual(all.map((what) => ({ what })));
    const day = 86_400_000;
    const exported = await exportAuditLogs(
      world.database,
      bob.claims,
      {
        startDate: new Date(Date.now() - day).toISOString(),
        endDate: new Date(Date.now() + day).toISOString(),
        format: 'json',
      },
      { nowMs: Date.now },
    );
    const text = await new Response(exported.body).text();
    expect(text).toContain('for all');
    expect(text).not.toContain(entity.id);
    const { changes } = await feed(bob, cursor);
    expect(changes.slice(0, 3)).toMatchObject(
      [true, true, false].map((isHidden) => ({
        entityId: entity.id,
        isHidden,
        actor: null,
        mutationId: null,
        clientId: null,
        oldValues: null,
        newValues: null,
        changedFields: null,
      })),
    );
    expect(changes[3]).toMatchObject({ actor: ada.claims.sub, newValues: { name: 'for all' } });
    expect(await bob.sendForKinds([bob.next(change('restore', entity))])).toEqual(['rejected ROW_NOT_FOUND']);
    expect(await ada.sendForKinds([ada.next(change('restore', entity))])).toEqual(['applied']);
  });

  test('P4 · without a workspace in the claims nothing is seen', async () => {
    const mine = createDevice(world.database);
    await mine.send([mine.next()]);
    const nowhere = { ...mine, claims: { sub: 'someone', role: 'authenticated' } as const };

    expect(await asCaller(nowhere, 'select name from public.accounts')).toEqual([]);
    expect(await asCaller(nowhere, 'select id from holdfast.audit_log')).toEqual([]);
  });

  test('P4 · the workspace may come from app_metadata, as Supabase writes it', async () => {
    const device = createDevice(world.database);
    const claims = { sub: 'u', role: 'authenticated', app_metadata: { workspace_id: device.workspaceId } } as const;
    const answer = await applyBatch(world.database, claims, {
      protocol: 1,
      client: { id: randomUUID(), workspaceId: device.workspaceId },
      mutations: [device.next()],
    });
    expect(answer.outcomes).toMatchObject([{ kind: 'applied', result: { workspace_id: device.workspaceId } }]);
  });

  test('P4 · a batch made in another workspace is refused whole', async () => {
    const device = createDevice(world.database);
    const batch = {
      protocol: 1,
      client: { id: randomUUID(), workspaceId: 'another' },
      acknowledgedFloor: 0,
      mutations: [device.next()],
    };
    await expect(applyBatch(world.database, device.claims, batch)).rejects.toMatchObject({
      code: 'HF010',
      detail: 'FOREIGN_WORKSPACE',
    });
  });

  test('P4 · nobody applies as the client of another user or workspace', async () => {
    const mine = createDevice(world.database);
    await mine.send([mine.next()]);
    const colleague = createDevice(world.database, { workspaceId: mine.workspaceId, clientId: mine.clientId });
    const stranger = createDevice(world.database, { clientId: mine.clientId });

    for (const other of [colleague, stranger]) {
      await expect(other.send([other.next({ seq: 2 })], 100)).rejects.toMatchObject({
        code: 'HF011',
        detail: 'FOREIGN_CLIENT',
      });
    }
    // and the floor has not moved
    expect(await mine.sendForKinds([mine.next()])).toEqual(['applied']);
  });

  test('P4 · nobody applies without being signed in', async () => {
    const device = createDevice(world.database);
    await expect(
      world.database.transaction(async (session) => {
        await session.query(`select set_config('role', 'authenticated', true)`);
        await session.query(`select holdfast.apply('{"protocol": 1, "mutations": []}')`);
      }),
    ).rejects.toMatchObject({ code: 'HF001' });
    await expect(
      world.database.transaction(async (session) => {
        await session.query(`select set_config('role', 'anon', true), set_config('request.jwt.claims', $1, true)`, [
          JSON.stringify(device.claims),
        ]);
        await session.query(`select holdfast.apply('{}')`);
      }),
    ).rejects.toMatchObject({ code: '42501' });
  });

  test.each([
    ['insert', 'insert into holdfast.audit_log (action, entity_type, new_values) values ($$create$$, $$x$$, $${}$$)'],
    ['update', 'update holdfast.audit_log set actor = null'],
    ['delete', 'delete from holdfast.audit_log'],
    ['truncate', 'truncate holdfast.audit_log'],
    ['a look into the ledger', 'select 1 from holdfast.ledger'],
    ['a ledger row', 'insert into holdfast.ledger default values'],
    ['a change of the ledger', 'update holdfast.ledger set verdict = $$applied$$'],
    ['a deletion from the ledger', 'delete from holdfast.ledger'],
    ['a look at clients', 'select 1 from holdfast.clients'],
    ['a floor', 'update holdfast.clients set floor = 99'],
    ['a workspace', 'insert into holdfast.workspaces values ($$x$$)'],
    ['a registration', 'insert into holdfast.registered_tables default values'],
    ['a look at migrations', 'select 1 from holdfast.migrations'],
    ['register_table', 'select holdfast.register_table($$public.accounts$$, array[$$owner$$])'],
    ['enable_audit', 'select holdfast.enable_audit($$public.accounts$$)'],
    ['disable_audit', 'select holdfast.disable_audit($$public.accounts$$)'],
    ['trim_ledger', 'select holdfast.trim_ledger()'],
    ['a look into a month past the policies', 'select 1 from holdfast.audit_log_default'],
    ['a look at settings', 'select 1 from holdfast.settings'],
    ['a look at epochs', 'select 1 from holdfast.epochs'],
    ['a mark in the feed', 'insert into holdfast.feed_marks default values'],
    ['a handler', 'insert into holdfast.handlers default values'],
    ['register_handler', 'select holdfast.register_handler($$x$$, $$holdfast.claims()$$)'],
    ['remove_handler', 'select holdfast.remove_handler($$x$$)'],
    ['a look at the chain', 'select 1 from holdfast.audit_chain'],
    ['a head of the chain', 'update holdfast.audit_heads set place = 0'],
    ['seal_audit', 'select holdfast.seal_audit()'],
    ['verify_audit', 'select holdfast.verify_audit($$x$$)'],
    ['maintain', 'select holdfast.maintain()'],
    ['maintain_if_due', 'select holdfast.maintain_if_due()'],
    ['a line of the retry log', 'insert into holdfast.mutation_retry_logs default values'],
    ['a change of the figures', 'update holdfast.user_mutation_metrics set completed_count = 9'],
    ['a change of the queue', 'update holdfast.mutation_queue set status = $$completed$$'],
    ['a deletion of an admin action', 'delete from holdfast.admin_action_logs'],
    ['begin_epoch', 'select holdfast.begin_epoch($$x$$)'],
    ['ensure_partitions', 'select holdfast.ensure_partitions()'],
    ['enforce_retention', 'select holdfast.enforce_retention()'],
    ['set_retention', 'select holdfast.set_retention($$audit_log$$, interval $$1 day$$)'],
    ['finish_archive', 'select holdfast.finish_archive($$audit_log_202601$$, 0, $$$$, $$x$$)'],
    ['set_trusted_hops', 'select holdfast.set_trusted_hops(3)'],
  ])('P4 · a caller is denied %s', async (_, statement) => {
    const device = createDevice(world.database);
    await device.send([device.next()]);
    // a view that takes no changes at all says so before it looks at who asks
    await expect(asCaller(device, statement)).rejects.toSatisfy((error) =>
      ['42501', '55000'].includes(sqlStateOf(error) ?? ''),
    );
  });

  test('P4 · record_verdicts takes nothing without a batch begun in the same transaction', async () => {
    const device = createDevice(world.database);
    await device.send([device.next()]);
    await expect(asCaller(device, RECORD, [device.clientId, randomUUID()])).rejects.toMatchObject({ code: 'HF011' });
  });

  test("P4 · having begun one's own batch lets nobody record for another client", async () => {
    const victim = createDevice(world.database);
    await victim.send([victim.next()]);
    const colleague = createDevice(world.database, { workspaceId: victim.workspaceId });

    await expect(
      withCaller(world.database, colleague.claims, async (session) => {
        await session.query('select holdfast.begin_batch($1)', [emptyBatch(colleague)]);
        await session.query(RECORD, [victim.clientId, randomUUID()]);
      }),
    ).rejects.toMatchObject({ code: 'HF011' });
    expect(await countTraces(world.database, victim.workspaceId)).toMatchObject({ ledger: 1 });
  });

  test('P4 · all a caller can forge is a promise about its own mutation, and never over an old one', async () => {
    const device = createDevice(world.database);
    const [kept, forged] = [device.next(), randomUUID()];
    await device.send([kept]);

    await withCaller(world.database, device.claims, async (session) => {
      await session.query('select holdfast.begin_batch($1)', [emptyBatch(device)]);
      await session.query(RECORD, [device.clientId, forged]);
    });
    await expect(
      withCaller(world.database, device.claims, async (session) => {
        await session.query('select holdfast.begin_batch($1)', [emptyBatch(device)]);
        await session.query(RECORD, [device.clientId, kept.id]);
      }),
    ).rejects.toMatchObject({ constraint: 'holdfast_ledger_number_once' });

    expect(await device.sendForKinds([kept])).toEqual(['duplicate applied']);
    expect(await countTraces(world.database, device.workspaceId)).toEqual({ accounts: 1, ledger: 2, audit: 1 });
  });

  test('P4 · functions with the rights of the owner are few, pinned, and owned by a role nobody logs in as', async () => {
    const definers = await world.database.query<{ name: string; caller: boolean; isPinned: boolean }>(
      `select p.proname as name, has_function_privilege('authenticated', p.oid, 'execute') as caller,
              p.proconfig @> array['search_path=""'] and r.rolname = 'holdfast_owner' and not r.rolcanlogin as "isPinned"
       from pg_proc p join pg_roles r on r.oid = p.proowner
       where p.pronamespace = 'holdfast'::regnamespace and p.prosecdef order by 1`,
    );
    expect(definers.filter(({ isPinned }) => !isPinned)).toEqual([]);
    // the others are for operators, and for triggers
    expect(definers.filter(({ caller }) => caller).map(({ name }) => name)).toEqual([
      'audit_page',
      'current_epoch',
      'feed_page',
      'go_alone',
      'is_settled_meanwhile',
      'log_admin_action',
      'mark_check',
      'mark_feed',
      'open_window',
      'passed_mark',
      'record_verdicts',
      'take_batch',
      'take_notes',
    ]);
  });

  test('P4 · what callers may execute is this list, and the public may execute nothing', async () => {
    const functions = await world.database.query<{ name: string; caller: boolean; anyone: boolean }>(
      `select proname as name, has_function_privilege('authenticated', oid, 'execute') as caller,
              has_function_privilege('anon', oid, 'execute') as anyone
       from pg_proc where pronamespace = 'holdfast'::regnamespace order by 1`,
    );
    expect(functions.filter((row) => row.anyone)).toEqual([]);
    expect(functions.filter((row) => row.caller).map((row) => row.name)).toEqual([
      'actor',
      'apply',
      'apply_as_text',
      'apply_in_blocks',
      'apply_mutations',
      'as_change_of_row',
      'audit_page',
      'begin_batch',
      'begin_handler',
      'blocks_left',
      'claims',
      'csv_text',
      'current_epoch',
      'defer_again',
      'describe_failure',
      'describe_missing_row',
      'export_query',
      'fail_handler',
      'feed_head',
      'feed_page',
      'finish_handler',
      'go_alone',
      'handler_of',
      'hybrid_time',
      'id_indexes',
      'is_admin',
      'is_counter',
      'is_for_good',
      'is_permanent',
      'is_settled_meanwhile',
      'is_too_deep',
      'is_uuid',
      'json_patch',
      'known_errors',
      'log_admin_action',
      'made_at',
      'malformed_reason',
      'mark_check',
      'mark_feed',
      'may_see',
      'member_rows',
      'merge_patch',
      'noting',
      'open_window',
      'passed_mark',
      'patched_fields',
      'payload_bytes',
      'payload_hash',
      'perform',
      'perform_change',
      'perform_mutation',
      'perform_one',
      'perform_run',
      'pointer_steps',
      'read_changes',
      'read_row',
      'record_handled',
      'record_verdicts',
      'refuse',
      'refuse_missing_row',
      'refuse_patch',
      'refuse_stray_row',
      'refuse_unfit_payload',
      'refuse_unregistered',
      'restore_row',
      'row_version_field',
      'run_ends',
      'same_event',
      'take_batch',
      'take_notes',
      'try_notes',
      'value_at',
      'visible_rows',
      'wire_error',
      'workspace',
    ]);
  });

  test('P4 · no caller is a member of the owner', async () => {
    expect(
      await world.database.query(
        `select rolname from pg_roles
         where rolname in ('authenticated', 'anon') and pg_has_role(rolname, 'holdfast_owner', 'member')`,
      ),
    ).toEqual([]);
  });

  test('P4 · every table of Holdfast has row-level security', async () => {
    const open = await world.database.query(
      `select relname from pg_class
       where relnamespace = 'holdfast'::regnamespace and relkind in ('r', 'p') and not relrowsecurity`,
    );
    expect(open).toEqual([]);
  });

  test('P4 · a token of another role is not acted upon', async () => {
    const device = createDevice(world.database);
    const claims = JSON.parse(JSON.stringify({ ...device.claims, role: 'postgres' })) as typeof device.claims;
    expect(() => withCaller(world.database, claims, () => Promise.resolve())).toThrow('may act as the role "postgres"');
  });

  test('P4 · role and claims end with the transaction', async () => {
    const device = createDevice(world.database);
    await asCaller(device, 'select 1');
    const rows = await world.database.query<{ who: string; claims: unknown }>(
      `select current_user::text as who, holdfast.claims() as claims`,
    );
    expect(rows).toEqual([{ who: 'postgres', claims: null }]);
  });

  test('P4 · a delete under row-level security is as narrow as an update', async () => {
    const [mine, theirs] = [createDevice(world.database), createDevice(world.database)];
    const account = { table: 'accounts', id: randomUUID() };
    await mine.send([mine.next(change('create', account, { name: 'mine' }))]);
    expect(await asCaller(theirs, 'delete from public.accounts returning id')).toEqual([]);
    expect(await asCaller(mine, 'select id from public.accounts')).toEqual([{ id: account.id }]);
  });

  function asCaller(device: Pick<TestDevice, 'claims'>, sql: string, parameters?: readonly unknown[]) {
    return withCaller(world.database, device.claims, (session) => session.query(sql, parameters));
  }

  function emptyBatch(device: TestDevice): string {
    const client = { id: device.clientId, workspaceId: device.workspaceId };
    return JSON.stringify({ protocol: 1, client, acknowledgedFloor: 0, mutations: [] });
  }
});
