import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import type { WireMutation, WireOutcome } from 'holdfast/protocol';
import { describe, expect, test } from 'vitest';
import { describeOnEachDatabase } from './testing-databases/test-databases.ts';
import { change, countTraces, createDevice } from './testing-databases/test-device.ts';

describeOnEachDatabase((world) => {
  describe('what a mutation does', () => {
    test('P3 · create, update and delete answer with the row they leave', async () => {
      const device = createDevice(world.database);
      const entity = { table: 'accounts', id: randomUUID() };
      const row = { id: entity.id, workspace_id: device.workspaceId, owner: 'nobody', code: null, parent_id: null };

      const outcomes = await device.send([
        device.next(change('create', entity, { name: 'Oslo', beds: 3, tags: ['a', { b: null }] })),
        device.next(change('update', entity, { beds: null, name: 'Ærø "x" \\ 😀' })),
        device.next(change('delete', entity)),
      ]);

      expect(outcomes).toMatchObject([
        { kind: 'applied', result: { ...row, name: 'Oslo', beds: 3, tags: ['a', { b: null }] } },
        { kind: 'applied', result: { ...row, name: 'Ærø "x" \\ 😀', beds: null, tags: ['a', { b: null }] } },
        { kind: 'applied', result: null },
      ]);
      expect(await countTraces(world.database, device.workspaceId)).toEqual({ accounts: 0, ledger: 3, audit: 3 });
    });

    test('P3 · an update sets the fields it names and leaves the others', async () => {
      const device = createDevice(world.database);
      const entity = { table: 'accounts', id: randomUUID() };
      await device.send([device.next(change('create', entity, { name: 'Oslo', beds: 3, code: 'OSL' }))]);

      expect(await device.send([device.next(change('update', entity, { beds: 4 }))])).toMatchObject([
        { result: { name: 'Oslo', beds: 4, code: 'OSL' } },
      ]);
    });

    test('P3 · an update without fields answers with the row and leaves no audit row', async () => {
      const device = createDevice(world.database);
      const entity = { table: 'accounts', id: randomUUID() };
      await device.send([device.next(change('create', entity, { name: 'Oslo' }))]);

      expect(await device.send([device.next(change('update', entity, {}))])).toMatchObject([
        { kind: 'applied', result: { name: 'Oslo' } },
      ]);
      expect(await countTraces(world.database, device.workspaceId)).toMatchObject({ ledger: 2, audit: 1 });
      expect(await device.sendForKinds([device.next(change('update', { ...entity, id: randomUUID() }, {}))])).toEqual([
        'rejected ROW_NOT_FOUND',
      ]);
    });

    test('P3 · a create of what is there says so; another unique clash keeps its own name', async () => {
      const device = createDevice(world.database);
      const entity = { table: 'accounts', id: randomUUID() };
      await device.send([device.next(change('create', entity, { name: 'Oslo', code: 'OSL' }))]);

      const outcomes = await device.send([
        device.next(change('create', entity, { name: 'again' })),
        device.next({ payload: { name: 'other', code: 'OSL' } }),
      ]);

      expect(outcomes).toMatchObject([
        {
          kind: 'rejected',
          error: { category: 'CONFLICT', code: 'ROW_EXISTS', message: 'A "accounts" with this id is already there.' },
        },
        { kind: 'rejected', error: { category: 'CONFLICT', code: '23505' } },
      ]);
      expect(JSON.stringify(outcomes[1])).toContain('accounts_code_unique');
    });

    test('P3 · no row to update or delete: rejected, with what it may mean', async () => {
      const device = createDevice(world.database);
      const gone = { table: 'accounts', id: randomUUID() };
      const outcomes = await device.send([
        device.next(change('update', gone, { name: 'x' })),
        device.next(change('delete', gone)),
      ]);
      expect(outcomes.map((outcome) => ('error' in outcome ? outcome.error : null))).toEqual([
        {
          category: 'NOT_FOUND',
          code: 'ROW_NOT_FOUND',
          message: `There is no "accounts" with the id "${gone.id}" that you may change.`,
          hint: 'It may have been deleted, or it belongs to someone else.',
        },
        expect.objectContaining({ code: 'ROW_NOT_FOUND' }),
      ]);
    });

    test('P3 · an id that is none, and a value of the wrong type, are rejected', async () => {
      const device = createDevice(world.database);
      expect(
        await device.sendForKinds([
          device.next(change('update', { table: 'accounts', id: 'no uuid' }, { name: 'x' })),
          device.next({ payload: { name: 'x', beds: 'many' } }),
          device.next({ payload: { name: null } }),
        ]),
      ).toEqual(['rejected 22P02', 'rejected 22P02', 'rejected 23502']);
    });

    test('P3 · what nothing handles is rejected', async () => {
      const device = createDevice(world.database);
      expect(
        await device.sendForKinds([
          device.next(change('custom', { table: 'accounts', id: randomUUID() })),
          device.next(change('create', null)),
          device.next(change('create', { table: 'public.accounts', id: randomUUID() })),
          device.next(change('create', { table: 'ledger', id: randomUUID() })),
        ]),
      ).toEqual(Array.from({ length: 4 }, () => 'rejected NO_HANDLER'));
    });
  });

  describe('what a mutation may not do', () => {
    test('P3 · a column that is unknown or not registered is rejected', async () => {
      const device = createDevice(world.database);
      const kinds = await device.sendForKinds([
        device.next({ payload: { name: 'x', nonsense: 1 } }),
        device.next({ payload: { name: 'x', owner: 'me' } }),
        device.next({ payload: { name: 'x', ctid: '(0,1)' } }),
        device.next({ payload: { name: 'x', NAME: 'y' } }),
      ]);
      expect(kinds).toEqual(Array.from({ length: 4 }, () => 'rejected UNKNOWN_COLUMN'));
      expect(await countTraces(world.database, device.workspaceId)).toMatchObject({ accounts: 0, audit: 0 });
    });

    test('P4 · neither workspace nor id can be set through the payload', async () => {
      const device = createDevice(world.database);
      const entity = { table: 'accounts', id: randomUUID() };
      const kinds = await device.sendForKinds([
        device.next(change('create', entity, { name: 'x', workspace_id: 'another' })),
        device.next(change('create', entity, { name: 'x', id: randomUUID() })),
        device.next(change('create', entity, { name: 'mine', id: entity.id })),
        device.next(change('update', entity, { workspace_id: 'another' })),
        device.next(change('update', entity, { id: randomUUID() })),
      ]);
      expect(kinds).toEqual([
        'rejected UNKNOWN_COLUMN',
        'rejected INVALID_PAYLOAD',
        'applied',
        'rejected UNKNOWN_COLUMN',
        'rejected INVALID_PAYLOAD',
      ]);
    });

    test('P4 · rows of another workspace can be neither changed nor deleted, and look as if they were not there', async () => {
      const mine = createDevice(world.database);
      const theirs = createDevice(world.database);
      const entity = { table: 'accounts', id: randomUUID() };
      await mine.send([mine.next(change('create', entity, { name: 'mine' }))]);

      expect(
        await theirs.sendForKinds([
          theirs.next(change('update', entity, { name: 'taken' })),
          theirs.next(change('delete', entity)),
        ]),
      ).toEqual(['rejected ROW_NOT_FOUND', 'rejected ROW_NOT_FOUND']);
      expect(await mine.sendForKinds([mine.next(change('update', entity, { name: 'still mine' }))])).toEqual([
        'applied',
      ]);
    });

    test('P4 · a policy that forbids a row rejects the mutation', async () => {
      const device = createDevice(world.database);
      await world.database.query(
        `create policy no_castles on public.accounts as restrictive for insert to authenticated with check (name <> 'castle')`,
      );
      const outcomes = await device.send([device.next({ payload: { name: 'castle' } }), device.next()]);
      expect(outcomes).toMatchObject([
        { kind: 'rejected', error: { category: 'FORBIDDEN', code: '42501' } },
        { kind: 'applied' },
      ]);
      await world.database.query('drop policy no_castles on public.accounts');
    });
  });

  describe('hostile names and values', () => {
    const nasty = fc.constantFrom(
      'accounts; drop table public.accounts; --',
      '"accounts"',
      'public.accounts',
      "accounts' or '1'='1",
      'accounts"; select pg_sleep(10); --',
      'accounts /*',
      '$1',
      '%I',
      '%s',
      'ACCOUNTS',
      'аccounts',
      'a'.repeat(200),
      'holdfast.clients',
      'pg_catalog.pg_authid',
      '__proto__',
      'select',
      'U&"\\0061ccounts"',
      'accounts\u2028',
    );
    const text = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 80 }).filter((value) => !value.includes('\0'));
    const name = fc.oneof(nasty, text).filter((value) => !['accounts', 'lists', 'fault', 'weird'].includes(value));
    const column = fc
      .oneof(nasty, text)
      .filter((value) => !['id', 'name', 'beds', 'code', 'tags', 'parent_id'].includes(value));

    test('P3 · no name of a table or column reaches a statement unless it is registered', async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(name, { minLength: 1, maxLength: 20 }),
          fc.array(column, { minLength: 1, maxLength: 20 }),
          async (tables, columns) => {
            const device = createDevice(world.database);
            const batch = [
              ...tables.map((table) => device.next(change('create', { table, id: randomUUID() }, { name: 'x' }))),
              ...columns.map((key) =>
                device.next({
                  payload: Object.fromEntries([
                    ['name', 'x'],
                    [key, 'y'],
                  ]),
                }),
              ),
            ];
            const kinds = await device.sendForKinds(batch);
            expect(kinds).toEqual([
              ...tables.map(() => 'rejected NO_HANDLER'),
              ...columns.map(() => 'rejected UNKNOWN_COLUMN'),
            ]);
            expect(await countTraces(world.database, device.workspaceId)).toMatchObject({ accounts: 0, audit: 0 });
          },
        ),
        { numRuns: 25 },
      );
    });

    test('P3 · a value is stored as it is, whatever it says', async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.record({ name: fc.oneof(nasty, text), tags: fc.jsonValue({ maxDepth: 4 }) }), {
            minLength: 1,
            maxLength: 25,
          }),
          async (rows) => {
            const device = createDevice(world.database);
            const payloads = rows
              // what the door keeps out (NUL, half a surrogate pair) and what jsonb has no room for (minus zero)
              .filter((row) => !/\\u0000|\\ud[89a-f]/i.test(JSON.stringify(row)))
              .map((row) => JSON.parse(JSON.stringify(row)) as { name: string; tags: null });
            const outcomes = await device.send(payloads.map((payload) => device.next({ payload })));
            expect(outcomes).toMatchObject(
              payloads.map((payload) => ({ kind: 'applied', result: { name: payload.name } })),
            );
            expect(outcomes.map(tagsOf)).toEqual(payloads.map((payload) => payload.tags));
          },
        ),
        { numRuns: 25 },
      );
    });

    test('P3 · a table whose own names are hostile works like any other', async () => {
      const device = createDevice(world.database);
      const entity = { table: 'weird', id: String(Math.floor(performance.now() * 1000)) };
      const payload = {
        'a"b\'); --': "'; drop table x; --",
        holdfast_row: 'r',
        holdfast_value: 'v',
        image: 'i',
        $1: 'd',
      };

      const outcomes = await device.send([
        device.next(change('create', entity, payload)),
        device.next(change('update', entity, { ...payload, image: 'j' })),
        device.next(change('delete', entity)),
      ]);

      expect(outcomes).toMatchObject([
        { kind: 'applied', result: { ...payload, 'row id': Number(entity.id), "ten'ant": device.workspaceId } },
        { kind: 'applied', result: { ...payload, image: 'j' } },
        { kind: 'applied', result: null },
      ]);
      const audit = await world.database.query(
        `select action, entity_id, old_values -> 'image' as old, new_values -> 'image' as new
         from holdfast.audit_log where workspace_id = $1 order by id`,
        [device.workspaceId],
      );
      expect(audit).toEqual([
        { action: 'create', entity_id: entity.id, old: null, new: 'i' },
        { action: 'update', entity_id: entity.id, old: 'i', new: 'j' },
        { action: 'delete', entity_id: entity.id, old: 'j', new: null },
      ]);
    });
  });

  describe('registering', () => {
    test.each([
      [
        'a view',
        'create view public.no_table as select 1 as id',
        'public.no_table',
        `array['id']`,
        'no_table is not a table',
      ],
      [
        'a table without row-level security',
        'create table public.no_rls (id uuid primary key, workspace_id text, name text)',
        'public.no_rls',
        `array['name']`,
        'no_rls has no row-level security',
      ],
      [
        'a table whose id is not unique',
        `create table public.no_key (id uuid, workspace_id text, name text);
         alter table public.no_key enable row level security`,
        'public.no_key',
        `array['name']`,
        'Nothing keeps id unique',
      ],
      ['a column that is not there', 'select 1', 'public.accounts', `array['nonsense']`, 'has no column nonsense'],
      ['the id as a column', 'select 1', 'public.accounts', `array['id']`, 'registered_tables_id_not_assignable'],
      [
        'the workspace as a column',
        'select 1',
        'public.accounts',
        `array['workspace_id']`,
        'registered_tables_workspace_not_assignable',
      ],
    ])('P3 · %s cannot be registered', async (_, setUp, table, columns, message) => {
      await expect(
        world.database.transaction(async (session) => {
          await session.runScript(setUp);
          await session.query(`select holdfast.register_table('${table}', ${columns})`);
        }),
      ).rejects.toThrow(message);
    });

    test('P3, Q21 · a creation made again changes the row that the first one made, and creates it where there is none', async () => {
      const device = createDevice(world.database);
      const entity = { table: 'accounts', id: randomUUID() };
      const first = device.next(change('create', entity, { name: 'first' }));
      const again = { ...device.next(change('create', entity, { name: 'again' })), replaces: first.id };
      const another = { table: 'accounts', id: randomUUID() };
      const alone = { ...device.next(change('create', another, { name: 'alone' })), replaces: first.id };
      const foreign = createDevice(world.database);
      const theirs = { ...foreign.next(change('create', entity, { name: 'theirs' })), replaces: first.id };

      expect(await device.sendForKinds([first, again, alone])).toEqual(['applied', 'applied', 'applied']);
      expect(await device.sendForKinds([again])).toEqual(['duplicate applied']);
      expect(await foreign.sendForKinds([theirs])).toEqual(['rejected ROW_EXISTS']);

      const rows = await world.database.query<{ name: string }>(
        'select name from public.accounts where id = any ($1) order by name',
        [[entity.id, another.id]],
      );
      expect(rows.map(({ name }) => name)).toEqual(['again', 'alone']);
      // what says nothing of another creation meets the row
      for (const replaces of [undefined, null, 1, 'no id'])
        expect(
          await device.sendForKinds([
            { ...device.next(change('create', entity, { name: 'new' })), replaces } as WireMutation,
          ]),
        ).toEqual(['rejected ROW_EXISTS']);
    });

    test('P3 · registering again changes the columns, and a key over workspace and id is enough', async () => {
      const device = createDevice(world.database);
      await world.database.transaction((session) =>
        session.runScript(`
          create table public.rooms (
            id text, workspace_id text, name text, size integer, primary key (workspace_id, id));
          alter table public.rooms enable row level security;
          create policy by_workspace on public.rooms to authenticated using (workspace_id = (select holdfast.workspace()));
          grant select, insert, update, delete on public.rooms to authenticated;
          select holdfast.register_table('public.rooms', array['name'], entity_type => 'chamber');
          select holdfast.register_table('public.rooms', array['name', 'size'], entity_type => 'room', audit => false);`),
      );
      expect(
        await device.sendForKinds([
          device.next(change('create', { table: 'chamber', id: 'r' }, { name: 'x' })),
          device.next(change('create', { table: 'room', id: 'r' }, { name: 'x', size: 3 })),
          device.next(change('create', { table: 'room', id: 'r' }, { name: 'x', size: 3 })),
        ]),
      ).toEqual(['rejected NO_HANDLER', 'applied', 'rejected ROW_EXISTS']);
      expect(await countTraces(world.database, device.workspaceId)).toMatchObject({ audit: 0 });
    });
  });
});

function tagsOf(outcome: WireOutcome): unknown {
  return 'result' in outcome && typeof outcome.result === 'object' && outcome.result !== null
    ? Reflect.get(outcome.result, 'tags')
    : undefined;
}
