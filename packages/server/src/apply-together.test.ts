import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { describeOnEachDatabase } from './testing-databases/test-databases.ts';
import { change, countTraces, createDevice } from './testing-databases/test-device.ts';

describeOnEachDatabase((world) => {
  test('Q17 · among creations that come together, one that is only asked about is not carried out', async () => {
    const device = createDevice(world.database);
    const mutations = [device.next(), device.next({ outdated: true }), device.next()];
    expect(await device.sendForKinds(mutations)).toEqual(['applied', 'rejected OUTDATED', 'applied']);
    expect(await countTraces(world.database, device.workspaceId)).toEqual({ accounts: 2, ledger: 3, audit: 2 });
  });

  test('P1 · creations that come together are one statement, and each keeps its own result, audit row and mutation', async () => {
    const device = createDevice(world.database);
    const mutations = Array.from({ length: 40 }, (_, index) =>
      device.next({ payload: { name: `a${index}`, beds: index } }),
    );
    await world.database.query('create table if not exists public.statements (row_count integer)');
    await world.database.transaction((session) =>
      session.runScript(`
        create or replace function public.count_statement() returns trigger language plpgsql security definer set search_path = '' as $$
        begin insert into public.statements select count(*) from made; return null; end $$;
        create trigger count_statement after insert on public.accounts referencing new table as made
            for each statement execute function public.count_statement();`),
    );

    const outcomes = await device.send(mutations);
    await world.database.query('drop trigger count_statement on public.accounts');

    expect(outcomes.map((outcome) => (outcome.kind === 'applied' ? outcome.result : outcome))).toMatchObject(
      mutations.map(({ entity }, index) => ({ id: entity?.id, name: `a${index}`, beds: index, owner: 'nobody' })),
    );
    expect(await world.database.query('select row_count from public.statements')).toEqual([{ row_count: 40 }]);
    const audited = await world.database.query(
      `select entity_id, mutation_id, action, new_values ->> 'name' as name from holdfast.audit_log
       where workspace_id = $1 order by id`,
      [device.workspaceId],
    );
    expect(audited).toEqual(
      mutations.map(({ id, entity }, index) => ({
        entity_id: entity?.id,
        mutation_id: id,
        action: 'create',
        name: `a${index}`,
      })),
    );
    expect(await device.sendForKinds(mutations)).toEqual(mutations.map(() => 'duplicate applied'));
  });

  test('P1 · one bad creation among many costs the others nothing, wherever it stands', async () => {
    for (const bad of [0, 3, 9]) {
      const device = createDevice(world.database);
      const mutations = Array.from({ length: 10 }, (_, index) =>
        device.next({ payload: { name: 'n', beds: index === bad ? 5_000 : index } }),
      );
      expect(await device.sendForKinds(mutations)).toEqual(
        mutations.map((_, index) => (index === bad ? 'rejected 23514' : 'applied')),
      );
      expect(await countTraces(world.database, device.workspaceId)).toEqual({ accounts: 9, ledger: 10, audit: 9 });
    }
  });

  test('P1 · creations with other fields, of other tables, or amid edits, are each what they are', async () => {
    const device = createDevice(world.database);
    const [first, second] = [device.next({ payload: { name: 'first' } }), device.next({ payload: { name: 'second' } })];
    const outcomes = await device.send([
      first,
      second,
      device.next({ payload: { name: 'third', code: 'c3' } }),
      device.next({ payload: { code: 'c4', name: 'fourth' } }),
      device.next(change('update', first.entity, { name: 'first, edited' })),
      device.next(change('create', { table: 'lists', id: randomUUID() }, { value: 1 })),
      device.next(change('create', { table: 'notes', id: randomUUID() }, { title: 'a' })),
      device.next(change('create', { table: 'notes', id: randomUUID() }, { title: 'b' })),
      device.next({ payload: { name: 'no such', colour: 'red' } }),
      device.next({ payload: { name: 'no such', colour: 'red' } }),
      // the id in capitals names the same row
      device.next({ entity: { table: 'accounts', id: randomUUID().toUpperCase() }, payload: { name: 'capital' } }),
      device.next({ payload: { name: 'last' } }),
      device.next({ entity: second.entity, payload: { name: 'again' } }),
      device.next({ payload: {} }),
      device.next({ payload: {} }),
    ]);

    expect(
      outcomes.map((outcome) => {
        if (outcome.kind === 'rejected') return outcome.error.code;
        if (outcome.kind !== 'applied') return outcome.kind;
        const { name, title, value } = outcome.result as { name?: string; title?: string; value?: number };
        return `${name ?? title ?? value}${outcome.rowVersion === undefined ? '' : ` v${outcome.rowVersion}`}`;
      }),
    ).toEqual([
      ...['first', 'second', 'third', 'fourth', 'first, edited', '1', 'a v1', 'b v1'],
      ...['UNKNOWN_COLUMN', 'UNKNOWN_COLUMN', 'capital', 'last', 'ROW_EXISTS', '23502', '23502'],
    ]);
    const strays = await world.database.query(
      `select entity_id from holdfast.audit_log where workspace_id = $1 and mutation_id is null`,
      [device.workspaceId],
    );
    expect(strays).toEqual([]);
  });

  test('P1 · a trigger that changes further audited rows is recorded under the mutation that set it off', async () => {
    const device = createDevice(world.database);
    await world.database.transaction((session) =>
      session.runScript(`
        create function public.note_account() returns trigger language plpgsql set search_path = '' as $$
        begin
            insert into public.notes (id, workspace_id, title) values (gen_random_uuid(), new.workspace_id, new.name);
            return null;
        end $$;
        create trigger note_account after insert on public.accounts for each row execute function public.note_account();`),
    );
    const mutations = [device.next({ payload: { name: 'x' } }), device.next({ payload: { name: 'y' } })];

    expect(await device.sendForKinds(mutations)).toEqual(['applied', 'applied']);
    await world.database.transaction((session) =>
      session.runScript(`drop trigger note_account on public.accounts; drop function public.note_account();`),
    );

    const audited = await world.database.query<{ entity_type: string; name: string; mutation_id: string }>(
      `select entity_type, coalesce(new_values ->> 'name', new_values ->> 'title') as name, mutation_id
       from holdfast.audit_log where workspace_id = $1 order by id`,
      [device.workspaceId],
    );
    expect(audited).toHaveLength(4);
    for (const row of audited) expect(row.mutation_id).toBe(mutations[row.name === 'x' ? 0 : 1]?.id);
  });

  test('P1 · creations of one lane, each after the one before, go together too', async () => {
    const device = createDevice(world.database);
    const mutations = Array.from({ length: 5 }, () => device.next()).map((mutation, index, all) => ({
      ...mutation,
      after: all[index - 1]?.seq ?? null,
    }));
    expect(await device.sendForKinds(mutations.slice(2))).toEqual(['deferred', 'deferred', 'deferred']);
    expect(await device.sendForKinds(mutations)).toEqual(mutations.map(() => 'applied'));
  });
});
