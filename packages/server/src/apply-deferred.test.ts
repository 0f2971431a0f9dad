import { randomUUID } from 'node:crypto';
import type { JsonObject, WireMutation } from 'holdfast/protocol';
import { describe, expect, test } from 'vitest';
import { applyRequest, HANDLER_MS_MAX, type MutationHandlers } from './apply-handled.ts';
import { parseApplyRequest } from './apply-request.ts';
import {
  describeOnEachDatabase,
  describeOnLowestPostgres,
  type TestWorld,
} from './testing-databases/test-databases.ts';
import { applyBatch, createDevice, kindOf, type TestDevice } from './testing-databases/test-device.ts';

/** By letter: o is good, b fails at once, c has a parent that comes later as p, x has a parent that never comes. */
const CASES: readonly (readonly [order: string, kinds: string])[] = [
  ['ocp', 'ok ok ok'],
  ['obcp', 'ok 23514 ok ok'],
  ['cpx', 'ok ok 23503'],
  ['cbp', 'ok 23514 ok'],
  ['cbbp', 'ok 23514 23514 ok'],
  ['xcp', '23503 ok ok'],
  ['cpoooxooob', 'ok ok ok ok ok 23503 ok ok ok 23514'],
  ['xbo', '23503 23514 ok'],
  ['bx', '23514 23503'],
  ['xx', '23503 23503'],
  ['cxp', 'ok 23503 ok'],
  ['cxbxpc', 'ok 23503 23514 23503 ok ok'],
  ['coooooooopx', 'ok ok ok ok ok ok ok ok ok ok 23503'],
];

describeOnEachDatabase(define);
// where what was deferred runs as whoever has it checked
describeOnLowestPostgres(define);

function define(world: TestWorld): void {
  describe.each(['in lanes of their own', 'in one lane'])('deferred constraints, %s', (lanes) => {
    test.each(CASES)('R8, P1 · of %s, each has its own verdict in one call', async (order, kinds) => {
      const device = createDevice(world.database);
      const batch = spell(device, order, lanes === 'in one lane');

      expect((await device.sendForKinds(batch)).map(short).join(' ')).toBe(kinds);
    });
  });

  test('R8, P1 · while the device holds more, what lacks a row is not rejected for good', async () => {
    const device = createDevice(world.database);
    const [child, parent] = spell(device, 'cp', false);
    const send = async (mutation: WireMutation | undefined, unsentCount: number) => {
      const { outcomes } = await applyBatch(world.database, device.claims, {
        protocol: 1,
        client: { id: device.clientId, workspaceId: device.workspaceId, lastSeq: 2, unsentCount },
        acknowledgedFloor: 0,
        mutations: [mutation],
      });
      return outcomes.map(kindOf);
    };

    expect(await send(child, 1)).toEqual(['refused 23503']);
    expect(await send(parent, 1)).toEqual(['applied']);
    expect(await send(child, 0)).toEqual(['applied']);
  });

  test('R8, P1 · a child is not rejected for good while its parent may still come', async () => {
    await world.database.transaction((session) =>
      session.runScript(`
        create or replace function public.be_busy() returns trigger language plpgsql as $$
        begin
            if new.name = 'busy' then raise exception using errcode = '55P03', message = 'planted'; end if;
            return new;
        end $$;
        create trigger be_busy before insert on public.accounts for each row execute function public.be_busy();`),
    );
    const device = createDevice(world.database);
    const [child, parent, other] = spell(device, 'cpo', false);
    const busy = { ...parent, payload: { name: 'busy' } };

    expect(await device.sendForKinds([child, busy])).toEqual(['refused 23503', 'refused 55P03']);
    expect(await device.sendForKinds([child, other, busy])).toEqual(['refused 23503', 'applied', 'refused 55P03']);
    await world.database.query('drop trigger be_busy on public.accounts');
    expect(await device.sendForKinds([child, busy])).toEqual(['applied', 'applied']);
  });

  test('R8, P1 · with many orphans all settle within few calls, whatever waits for one that comes after them', async () => {
    const device = createDevice(world.database);
    const told = new Map<string, string>();
    let rest: readonly WireMutation[] = [
      ...spell(device, 'x'.repeat(20), false),
      ...spell(device, `${'cx'.repeat(10)}xp`, false),
    ];
    for (let call = 0; call < 3; call += 1) {
      const outcomes = await device.send(rest);
      for (const outcome of outcomes) told.set(outcome.id, short(kindOf(outcome)));
      rest = rest.filter((_, index) => outcomes[index]?.kind === 'deferred' || outcomes[index]?.kind === 'refused');
    }

    expect(rest).toEqual([]);
    expect([...told.values()].join(' ')).toBe(`${'23503 '.repeat(20)}${'ok 23503 '.repeat(10)}23503 ok`);
  });

  test('R8, P1 · one whose turn has not come may bring what is missing', async () => {
    const device = createDevice(world.database);
    const [child, parent] = spell(device, 'cp', false);

    expect(await device.sendForKinds([child, { ...parent, after: 1_000 }])).toEqual(['refused 23503', 'deferred']);
  });

  test('P1 · a deferred unique constraint lets two rows change places, whatever else is in the batch', async () => {
    await world.database.transaction((session) =>
      session.runScript(`
        create table if not exists public.seats (
            id text primary key, workspace_id text not null, seat text,
            constraint seats_once unique (workspace_id, seat) deferrable initially deferred,
            -- as an app that defers it only where it wants to
            constraint seats_sane foreign key (id) references public.seats (id) deferrable initially immediate
        );
        alter table public.seats enable row level security;
        grant select, insert, update, delete on public.seats to authenticated;
        drop policy if exists w on public.seats;
        create policy w on public.seats to authenticated using (workspace_id = (select holdfast.workspace()));
        select holdfast.register_table('public.seats', array['seat']);`),
    );
    const device = createDevice(world.database);
    const [one, two] = [randomUUID(), randomUUID()];
    const seat = (operation: 'create' | 'update', id: string, value: string) =>
      device.next({ operation, entity: { table: 'seats', id }, payload: { seat: value } });
    await device.send([seat('create', one, 'A'), seat('create', two, 'B')]);

    expect(
      await device.sendForKinds([
        device.next(),
        device.next({ payload: { name: 'bad', beds: 5_000 } }),
        seat('update', one, 'B'),
        seat('update', two, 'A'),
      ]),
    ).toEqual(['applied', 'rejected 23514', 'applied', 'applied']);
  });

  test('P1 · constraints that were declared immediate stay so after a check', async () => {
    await world.database.transaction(async (session) => {
      await session.runScript(`
        create table public.firm (id int constraint firm_immediate unique deferrable initially immediate,
                                  other int constraint firm_deferred unique deferrable initially deferred);
        set constraints all immediate;
        select holdfast.defer_again();
        insert into public.firm values (1, 1);
        savepoint here;`);
      await expect(session.runScript('insert into public.firm values (1, 2)')).rejects.toThrow('firm_immediate');
      await session.runScript(
        'rollback to savepoint here; insert into public.firm values (2, 1); delete from public.firm; set constraints all immediate',
      );
      await session.runScript('drop table public.firm');
    });
  });

  describe('with handlers in code', () => {
    const handlers: MutationHandlers = {
      'code.nothing': async () => ({ result: 'ok' }),
      'code.child': async ({ payload }, { session, claims }) => {
        await session.query('insert into public.accounts (id, workspace_id, name, parent_id) values ($1, $2, $3, $4)', [
          randomUUID(),
          claims['workspace_id'],
          'by code',
          Reflect.get(payload, 'parent'),
        ]);
      },
    };
    const apply = async (device: TestDevice, mutations: readonly WireMutation[]): Promise<readonly string[]> => {
      const request = parseApplyRequest({
        protocol: 1,
        client: { id: device.clientId, workspaceId: device.workspaceId },
        acknowledgedFloor: 0,
        mutations,
      });
      const text = await applyRequest(world.database, device.claims, request, {
        handlers,
        handlerTimeoutMs: HANDLER_MS_MAX,
      });
      const { outcomes } = JSON.parse(text) as { readonly outcomes: readonly Parameters<typeof kindOf>[0][] };
      return outcomes.map(kindOf);
    };
    const code = (device: TestDevice, type: string, payload: JsonObject = {}): WireMutation =>
      device.next({ type, operation: 'custom', entity: null, payload });

    test('R8, P3 · one handled in code leaves what comes after it deferred as before', async () => {
      const device = createDevice(world.database);
      const [child, parent] = spell(device, 'cp', false);

      expect(
        await apply(
          device,
          [code(device, 'code.nothing'), child, parent].flatMap((one) => one ?? []),
        ),
      ).toEqual(['applied', 'applied', 'applied']);
    });

    test('R8, P3 · between a child and its parent, it costs the child a try and not its life', async () => {
      const device = createDevice(world.database);
      const [child, parent] = spell(device, 'cp', false);
      if (child === undefined || parent === undefined) throw new Error('spelt too short');
      const parentId = parent.entity?.id ?? '';
      const own = code(device, 'code.child', { parent: parentId });

      expect(await apply(device, [child, own, parent])).toEqual(['refused 23503', 'refused 23503', 'applied']);
      expect(await apply(device, [child, own])).toEqual(['applied', 'applied']);
      // control: with nothing behind it, it has its verdict
      expect(await apply(device, [code(device, 'code.child', { parent: randomUUID() })])).toEqual(['rejected 23503']);
    });
  });
}

function spell(device: TestDevice, order: string, isOneLane: boolean): readonly WireMutation[] {
  const parentId = randomUUID();
  return Array.from(order, (letter) => {
    const over = {
      o: {},
      b: { payload: { name: 'bad', beds: 5_000 } },
      c: { payload: { name: 'child', parent_id: parentId } },
      p: { entity: { table: 'accounts', id: parentId }, payload: { name: 'parent' } },
      x: { payload: { name: 'orphan', parent_id: randomUUID() } },
    }[letter];
    const mutation = device.next(over);
    return isOneLane && mutation.seq > 1 ? { ...mutation, after: mutation.seq - 1 } : mutation;
  });
}

function short(kind: string): string {
  return kind === 'applied' ? 'ok' : kind.replace('rejected ', '');
}
