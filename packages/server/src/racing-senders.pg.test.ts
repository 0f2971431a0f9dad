import { randomUUID } from 'node:crypto';
import type { ApplyResponse, WireMutation } from 'holdfast/protocol';
import { expect, test } from 'vitest';
import { applyRequest, HANDLER_MS_MAX } from './apply-handled.ts';
import { parseApplyRequest } from './apply-request.ts';
import { withCaller } from './caller.ts';
import { fieldOf } from './database.ts';
import { randomFrom } from './testing-databases/random-from.ts';
import { describeOnPostgres } from './testing-databases/test-databases.ts';
import { change, countTraces, createDevice, kindOf } from './testing-databases/test-device.ts';

/** CI takes few; `RACING_CLIENTS=40` for a long look. */
const CLIENT_COUNT = Number(process.env['RACING_CLIENTS'] ?? 8);
const SENDER_COUNT = 3;
const LIST_COUNT = 4;
const CHANGES_PER_LIST = 20;
const SLICE_COUNT = 25;

describeOnPostgres((world) => {
  test('P1 · racing senders of overlapping, repeated slices: each effect once, each lane in order', async () => {
    const clients = Array.from({ length: CLIENT_COUNT }, () => createDevice(world.database));
    const kinds = new Map<string, number>();
    const floors = new Map<string, number>();
    let sunkenFloorCount = 0;

    const histories = await Promise.all(
      clients.map(async (device, index) => {
        // the changes of the lists are interleaved, each list a lane
        const lists = Array.from({ length: LIST_COUNT }, () => ({ table: 'lists', id: randomUUID() }));
        const last = new Map<string, number>();
        const mutations: WireMutation[] = [];
        for (let value = 1; value <= CHANGES_PER_LIST; value += 1) {
          for (const list of lists) {
            const mutation = device.next({
              ...change(value === 1 ? 'create' : 'update', list, { value }),
              after: last.get(list.id) ?? null,
            });
            last.set(list.id, mutation.seq);
            mutations.push(mutation);
          }
        }
        await Promise.all(
          Array.from({ length: SENDER_COUNT }, async (_, sender) => {
            const draw = randomFrom(index * SENDER_COUNT + sender);
            const settled = new Set<number>();
            for (let slice = 0; slice < SLICE_COUNT; slice += 1) {
              const from = Math.floor(draw() * mutations.length);
              const part = mutations.slice(from, from + 1 + Math.floor(draw() * 30));
              // each sender acknowledges what it knows itself, so floors race too
              let floor = 0;
              while (settled.has(floor + 1)) floor += 1;
              floors.set(device.clientId, Math.max(floor, floors.get(device.clientId) ?? 0));
              for (const outcome of await device.send(draw() < 0.2 ? part.toReversed() : part, floor)) {
                kinds.set(kindOf(outcome), (kinds.get(kindOf(outcome)) ?? 0) + 1);
                if (outcome.kind !== 'deferred') settled.add(outcome.seq);
              }
              if ((await floorOf(device.clientId)) < floor) sunkenFloorCount += 1;
            }
            // at last everything, in order, as a client does that has heard nothing
            expect(new Set(await device.sendForKinds(mutations))).toSatisfy(
              (seen: Set<string>) => !seen.has('deferred'),
            );
          }),
        );
        expect(await countTraces(world.database, device.workspaceId)).toMatchObject({
          ledger: LIST_COUNT * CHANGES_PER_LIST,
          audit: LIST_COUNT * CHANGES_PER_LIST,
        });
        return lists.map((list) => list.id);
      }),
    );

    const rows = await world.database.query<{ history: number[] }>(
      'select history from public.lists where id = any ($1::uuid[])',
      [histories.flat()],
    );
    expect(rows).toHaveLength(CLIENT_COUNT * LIST_COUNT);
    for (const row of rows) {
      expect(row.history).toEqual(Array.from({ length: CHANGES_PER_LIST }, (_, index) => index + 1));
    }
    expect(sunkenFloorCount).toBe(0);
    for (const [clientId, floor] of floors) expect(await floorOf(clientId)).toBe(floor);
    expect(Math.max(...floors.values())).toBeGreaterThan(10);
    // control: the race did produce repeats and deferrals, or it would prove nothing
    expect(kinds.get('duplicate applied')).toBeGreaterThan(100);
    expect(kinds.get('deferred')).toBeGreaterThan(100);
    expect([...kinds.keys()].toSorted()).toEqual(['applied', 'deferred', 'duplicate applied']);
  });

  test.each([
    ['of one workspace', { workspaceId: `workspace-${randomUUID()}` }],
    ['of a workspace each', {}],
  ])('P4 · of clients %s racing with the same id, one is applied and the others refused', async (_, options) => {
    const devices = Array.from({ length: 6 }, () => createDevice(world.database, options));
    const id = randomUUID();

    const kinds = await Promise.all(
      devices.map((device) =>
        device.sendForKinds([device.next(), device.next({ id, payload: { name: device.clientId } }), device.next()]),
      ),
    );

    const contested = kinds.map((kind) => kind[1]);
    expect(contested.filter((kind) => kind === 'applied')).toHaveLength(1);
    expect(contested.filter((kind) => kind === 'rejected ID_REUSED')).toHaveLength(5);
    expect(kinds.map((kind) => [kind[0], kind[2]]).flat()).toEqual(Array.from({ length: 12 }, () => 'applied'));
    const traces = await Promise.all(
      [...new Set(devices.map(({ workspaceId }) => workspaceId))].map((workspaceId) =>
        countTraces(world.database, workspaceId),
      ),
    );
    expect(traces.reduce((sum, { accounts }) => sum + accounts, 0)).toBe(13);
    expect(traces.reduce((sum, { audit }) => sum + audit, 0)).toBe(13);
  });

  test.each([
    ['a creation', 'create', 0],
    ['a creation, retried on one of them', 'create', 1],
    ['an edit', 'update', 0],
    ['an edit, retried on one of them', 'update', 1],
  ] as const)(
    'P1, S9 · %s that two devices of a user send at the same moment takes effect once, and neither is told for good that it was refused',
    async (_, operation, generation) => {
      const user = `user-${randomUUID()}`;
      const desk = createDevice(world.database, { user });
      const phone = createDevice(world.database, { user, workspaceId: desk.workspaceId });
      const list = { table: 'lists', id: randomUUID() };
      // both are known, so that nothing but the change itself is what one waits for
      for (const device of [desk, phone]) await device.send([]);
      if (operation === 'update') await desk.send([desk.next(change('create', list, { value: 1 }))]);
      const mutation = desk.next(change(operation, list, { value: 2 }));
      const copy = { ...mutation, seq: 1, generation };
      const beside = phone.next({ seq: 2 });

      // the one has carried it out, and has not committed
      const late = await withCaller(world.database, desk.claims, async (session) => {
        const client = { id: desk.clientId, workspaceId: desk.workspaceId };
        await session.query('select holdfast.apply($1::jsonb)', [
          JSON.stringify({ protocol: 1, client, acknowledgedFloor: 0, mutations: [mutation] }),
        ]);
        const answer = phone.sendForKinds([copy, beside]);
        await untilOneWaits();
        return { answer };
      });

      expect(await late.answer).toEqual(['refused 40001', 'applied']);
      expect(await phone.sendForKinds([copy, beside])).toEqual(['duplicate applied', 'duplicate applied']);
      const rows = await world.database.query('select history from public.lists where id = $1', [list.id]);
      expect(rows).toEqual([{ history: operation === 'create' ? [2] : [1, 2] }]);
    },
  );

  test('P4 · a client registered by two logins at once belongs to one of them', async () => {
    const clientId = randomUUID();
    const devices = Array.from({ length: 4 }, () => createDevice(world.database, { clientId }));
    const answers = await Promise.allSettled(devices.map((device) => device.send([device.next()])));
    expect(answers.filter((answer) => answer.status === 'fulfilled')).toHaveLength(1);
    const refusals = answers.flatMap((answer) =>
      answer.status === 'rejected' ? [fieldOf(answer.reason, 'detail')] : [],
    );
    expect(refusals).toEqual(['FOREIGN_CLIENT', 'FOREIGN_CLIENT', 'FOREIGN_CLIENT']);
  });

  test('P9 · a statement out of time keeps what stood before it and puts off the rest', async () => {
    const device = createDevice(world.database);
    const entity = { table: 'accounts', id: randomUUID() };
    await device.send([device.next(change('create', entity, { name: 'held' }))]);
    const batch = [
      device.next(),
      device.next(),
      device.next(change('update', entity, { name: 'waits for the lock' })),
      device.next(),
    ];

    // another transaction holds the row for as long as the call lasts
    const kinds = await world.database.transaction(async (holder) => {
      await holder.query('select from public.accounts where id = $1 for update', [entity.id]);
      return world.database.transaction(async (session) => {
        await session.query(
          `select set_config('statement_timeout', '300ms', true), set_config('request.jwt.claims', $1, true),
                  set_config('role', 'authenticated', true)`,
          [JSON.stringify(device.claims)],
        );
        const rows = await session.query<{ answer: ApplyResponse }>('select holdfast.apply($1::jsonb) as answer', [
          JSON.stringify({
            protocol: 1,
            client: { id: device.clientId, workspaceId: device.workspaceId },
            acknowledgedFloor: 0,
            mutations: batch,
          }),
        ]);
        return rows[0]?.answer.outcomes.map(kindOf);
      });
    });

    expect(kinds).toEqual(['applied', 'applied', 'refused 57014', 'deferred']);
    expect(await device.sendForKinds(batch)).toEqual(['duplicate applied', 'duplicate applied', 'applied', 'applied']);
  });

  test('P9 · several in one statement that run out of time end the call, and one by one in the next tells which it was', async () => {
    await world.database.transaction((session) =>
      session.runScript(`
        create table public.slow (id uuid primary key, workspace_id text not null, seconds double precision not null);
        create function public.take_time() returns trigger language plpgsql as $$
        begin perform pg_sleep(new.seconds); return new; end $$;
        create trigger take_time before insert on public.slow for each row execute function public.take_time();
        alter table public.slow enable row level security;
        grant insert, select on public.slow to authenticated;
        create policy w on public.slow to authenticated using (workspace_id = (select holdfast.workspace()));
        select holdfast.register_table('public.slow', array['seconds']);`),
    );
    const device = createDevice(world.database);
    const batch = [0, 30, 0].map((seconds) =>
      device.next(change('create', { table: 'slow', id: randomUUID() }, { seconds })),
    );
    const send = async (mutations: readonly WireMutation[]): Promise<readonly string[]> => {
      const request = parseApplyRequest({
        protocol: 1,
        client: { id: device.clientId, workspaceId: device.workspaceId },
        acknowledgedFloor: 0,
        mutations,
      });
      const text = await applyRequest(world.database, device.claims, request, {
        handlers: { code: async () => undefined },
        handlerTimeoutMs: HANDLER_MS_MAX,
        statementTimeoutMs: 1_000,
      });
      return (JSON.parse(text) as ApplyResponse).outcomes.map(kindOf);
    };

    const startedAtMs = performance.now();
    expect(await send(batch)).toEqual(['deferred', 'deferred', 'deferred']);
    expect(await send(batch)).toEqual(['applied', 'refused 57014', 'deferred']);
    // also with one among them that code of the server handles, which makes several calls of one request
    const mixed = [
      device.next({ type: 'code', operation: 'custom', entity: null, payload: {} }),
      ...[0, 30, 0].map((seconds) => device.next(change('create', { table: 'slow', id: randomUUID() }, { seconds }))),
    ];
    expect(await send(mixed)).toEqual(['applied', 'deferred', 'deferred', 'deferred']);
    expect(await send(mixed)).toEqual(['duplicate applied', 'applied', 'refused 57014', 'deferred']);
    expect(performance.now() - startedAtMs).toBeLessThan(25_000);
  });

  /** Until a connection waits for a lock of another. */
  async function untilOneWaits(): Promise<void> {
    const isWaiting = async (): Promise<boolean> =>
      (
        await world.database.query(
          `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
        )
      ).length > 0;
    while (!(await isWaiting()));
  }

  async function floorOf(clientId: string): Promise<number> {
    const rows = await world.database.query<{ floor: string }>(
      'select floor from holdfast.clients where client_id = $1',
      [clientId],
    );
    return Number(rows[0]?.floor);
  }
});
