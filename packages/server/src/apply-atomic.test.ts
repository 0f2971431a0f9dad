import { randomUUID } from 'node:crypto';
import type { JsonObject, WireMutation } from 'holdfast/protocol';
import { expect, test } from 'vitest';
import { describeOnEachDatabase } from './testing-databases/test-databases.ts';
import { countTraces, createDevice, type TestDevice } from './testing-databases/test-device.ts';

describeOnEachDatabase((world) => {
  test('R8 · the members of an atomic mutation take effect together, with one ledger row and an audit row each', async () => {
    const device = createDevice(world.database);
    const [first, second] = [randomUUID(), randomUUID()];
    const atomic = together(device, [
      create(first, { name: 'one' }),
      create(second, { name: 'two' }),
      { type: 'account.rename', operation: 'update', entity: entity(first), payload: { name: 'one, renamed' } },
      { type: 'account.drop', operation: 'delete', entity: entity(second), payload: {} },
    ]);

    const [outcome] = await device.send([atomic]);

    expect(outcome).toMatchObject({
      kind: 'applied',
      result: [{ id: first, name: 'one' }, { id: second }, { id: first, name: 'one, renamed' }, null],
    });
    expect(await countTraces(world.database, device.workspaceId)).toEqual({ accounts: 1, ledger: 1, audit: 4 });
    expect(await device.sendForKinds([atomic])).toEqual(['duplicate applied']);
    expect(await countTraces(world.database, device.workspaceId)).toEqual({ accounts: 1, ledger: 1, audit: 4 });
  });

  test('R8, C1 · it says which version each of its rows was left in, also when it is asked again', async () => {
    const device = createDevice(world.database);
    const [first, second] = [randomUUID(), randomUUID()];
    const note = (id: string) => ({ table: 'notes', id });
    const atomic = together(device, [
      { type: 'note.create', operation: 'create', entity: note(first), payload: { title: 'one' } },
      { type: 'note.edit', operation: 'update', entity: note(first), payload: { title: 'two' } },
      create(second, { name: 'not counted' }),
      { type: 'note.drop', operation: 'delete', entity: note(first), payload: {} },
    ]);
    const memberRows = [
      { ...note(first), rowVersion: 1 },
      { ...note(first), rowVersion: 2 },
      { ...entity(second), rowVersion: null },
      { ...note(first), rowVersion: null },
    ];

    expect(await device.send([atomic])).toMatchObject([{ kind: 'applied', memberRows }]);
    expect(await device.send([atomic])).toMatchObject([{ kind: 'duplicate', verdict: 'applied', memberRows }]);
  });

  test('R8 · an atomic mutation is that whatever operation it names, also when several come together', async () => {
    const device = createDevice(world.database);
    await world.database.transaction((session) =>
      session.runScript(`
        create table public.teams (id uuid primary key, workspace_id text not null, members jsonb);
        alter table public.teams enable row level security;
        create policy by_workspace on public.teams to authenticated using (workspace_id = (select holdfast.workspace()));
        grant select, insert on public.teams to authenticated;
        select holdfast.register_table('public.teams', array['members']);`),
    );
    const atomics = [1, 2].map(() => ({
      ...together(device, [create(randomUUID(), { name: 'one' }), create(randomUUID(), { name: 'two' })]),
      operation: 'create' as const,
      entity: { table: 'teams', id: randomUUID() },
    }));

    expect(await device.sendForKinds(atomics)).toEqual(['applied', 'applied']);
    expect(await countTraces(world.database, device.workspaceId)).toEqual({ accounts: 4, ledger: 2, audit: 4 });
  });

  test('R8 · when one member fails none stands, and the rest of the batch does', async () => {
    const device = createDevice(world.database);
    const atomic = together(device, [
      create(randomUUID(), { name: 'fine' }),
      create(randomUUID(), { name: 'bad', beds: 5000 }),
      create(randomUUID(), { name: 'never tried' }),
    ]);
    const beside = device.next({ payload: { name: 'beside' } });

    expect(await device.sendForKinds([atomic, beside])).toEqual(['rejected 23514', 'applied']);
    expect(await countTraces(world.database, device.workspaceId)).toEqual({ accounts: 1, ledger: 2, audit: 1 });
    expect(await device.sendForKinds([atomic])).toEqual(['duplicate rejected 23514']);
  });

  test.each<[string, unknown]>([
    ['no members', []],
    ['members that are no list', 'all'],
    ['101 members', Array.from({ length: 101 }, () => create(randomUUID(), { name: 'x' }))],
    ['a member that is no object', [1]],
    ['a member without operation', [{ type: 'x', payload: {}, entity: null, operation: 'steal' }]],
    ['a member that is atomic itself', [{ type: 'holdfast.atomic', operation: 'custom', entity: null, payload: {} }]],
    ['a table that is not registered', [{ ...create(randomUUID(), {}), entity: { table: 'pg_class', id: '1' } }]],
  ])('R8 · %s is rejected, and the client is not stuck', async (_, members) => {
    const device = createDevice(world.database);
    const broken = device.next({
      type: 'holdfast.atomic',
      operation: 'custom',
      entity: null,
      payload: { members } as JsonObject,
    });

    const [kind, after] = await device.sendForKinds([broken, device.next()]);

    expect(kind).toMatch(/^rejected (INVALID_PAYLOAD|NO_HANDLER)$/);
    expect(after).toBe('applied');
  });

  test('R8, R1 · a member that creates a row which is there says so, as it would alone', async () => {
    const device = createDevice(world.database);
    const there = device.next();
    await device.send([there]);
    const { id = '' } = there.entity ?? {};
    const atomic = together(device, [create(randomUUID(), { name: 'new' }), create(id, { name: 'there' })]);
    const clash = together(device, [
      create(randomUUID(), { name: 'one', code: 'A' }),
      create(randomUUID(), { name: 'two', code: 'A' }),
    ]);

    const [outcome, other] = await device.send([atomic, clash]);

    expect(outcome).toMatchObject({
      kind: 'rejected',
      error: { category: 'CONFLICT', code: 'ROW_EXISTS', message: 'A "accounts" with this id is already there.' },
    });
    // control: another constraint than that of the id
    expect(other).toMatchObject({ kind: 'rejected', error: { code: '23505' } });
  });

  test('R8, P4 · a member cannot reach into another workspace', async () => {
    const owner = createDevice(world.database);
    const row = owner.next();
    await owner.send([row]);
    const thief = createDevice(world.database);
    const steal = together(thief, [
      create(randomUUID(), { name: 'cover' }),
      { type: 'account.rename', operation: 'update', entity: row.entity, payload: { name: 'stolen' } },
    ]);

    expect(await thief.sendForKinds([steal])).toEqual(['rejected ROW_NOT_FOUND']);
    expect(await countTraces(world.database, thief.workspaceId)).toEqual({ accounts: 0, ledger: 1, audit: 0 });
  });
});

type Member = Pick<WireMutation, 'type' | 'operation' | 'entity' | 'payload'>;

const entity = (id: string) => ({ table: 'accounts', id });

function create(id: string, payload: JsonObject): Member {
  return { type: 'account.create', operation: 'create', entity: entity(id), payload };
}

function together(device: TestDevice, members: readonly Member[]): WireMutation {
  return device.next({
    type: 'holdfast.atomic',
    operation: 'custom',
    entity: null,
    payload: { members: members.map((member) => ({ version: 1, ...member })) } as unknown as JsonObject,
  });
}
