import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readAudit } from './audit-query.ts';
import { type CallerClaims, withCaller } from './caller.ts';
import { readChanges } from './change-feed.ts';
import { type Database, fieldOf } from './database.ts';
import { migrate } from './migrate.ts';
import { openPg } from './pg-database.ts';
import { type RealPostgres, startRealPostgres } from './testing-databases/real-postgres.ts';
import { TEST_TABLES } from './testing-databases/test-tables.ts';
import { applyBatch, change, createDevice, kindOf, type TestDevice } from './testing-databases/test-device.ts';

/** As behind a transaction pooler: whoever comes next gets the very connection that another has just used. */
const CONNECTION_COUNT = 1;
const TENANT_COUNT = 3;

const RACER_STEPS = ['create', 'create', 'update', 'steal', 'read', 'read', 'fail', 'timeOut', 'forge'] as const;

interface RacerStep {
  readonly racer: number;
  readonly kind: (typeof RACER_STEPS)[number];
  readonly pick: number;
}

interface Racer {
  readonly device: TestDevice;
  readonly rowIds: string[];
}

interface Relation {
  readonly name: string;
  readonly workspaceColumn: string;
  readonly verbs: readonly string[];
}

describe('tenants on one connection', () => {
  let server: RealPostgres;
  let database: Database;
  let tenants: readonly TestDevice[];
  let relations: readonly Relation[];

  beforeAll(async () => {
    server = await startRealPostgres();
    database = openPg({ connectionString: await server.createDatabase(), connectionCountMax: CONNECTION_COUNT });
    await migrate(database);
    await database.transaction((session) => session.runScript(TEST_TABLES));
    tenants = Array.from({ length: TENANT_COUNT }, (_, index) =>
      createDevice(database, { workspaceId: `tenant-${index}` }),
    );
    for (const tenant of tenants) {
      const { workspaceId } = tenant;
      await tenant.send([
        tenant.next({ payload: { name: workspaceId }, source: { screen: workspaceId } }),
        tenant.next(change('create', { table: 'notes', id: randomUUID() }, { title: workspaceId })),
        tenant.next(change('create', { table: 'plans', id: randomUUID() }, { title: workspaceId })),
        tenant.next(change('create', { table: 'lists', id: randomUUID() }, { value: 2 })),
        tenant.next(change('create', { table: 'fault', id: randomUUID() })),
        tenant.next(change('create', { table: 'weird', id: String(tenants.indexOf(tenant)) }, { image: workspaceId })),
        tenant.next({ payload: { beds: -1 } }),
      ]);
      await applyBatch(database, tenant.claims, {
        protocol: 1,
        client: { id: tenant.clientId, workspaceId },
        acknowledgedFloor: 0,
        mutations: [],
        telemetry: {
          id: randomUUID(),
          queue: { pending: 1, failed: 0 },
          types: [{ type: 'account.change', completed: 1 }],
        },
      });
      const admin = { ...tenant.claims, holdfast_role: 'admin' };
      await withCaller(database, admin, (session) => session.query(`select holdfast.log_admin_action('look')`));
    }
    relations = await relationsOfCallers();
  });
  afterAll(async () => {
    await database.close();
    await server.stop();
  });

  test('P4 · whatever a caller may read shows rows of its own workspace only, and each has some', async () => {
    // generated from the catalogue, so that a table that is added is asked about too
    expect(relations.map(({ name }) => name)).toEqual(
      expect.arrayContaining([
        'holdfast.audit_log',
        'holdfast.mutation_queue',
        'holdfast.mutation_sources',
        'public.accounts',
      ]),
    );
    for (const tenant of tenants) {
      for (const { name, workspaceColumn } of relations) {
        await misbehave(tenant);
        const claims = { ...tenant.claims, holdfast_role: 'admin' };
        const rows = await withCaller(database, claims, (session) =>
          session.query<{ own: number; others: number }>(
            `select count(*) filter (where ${workspaceColumn} = $1)::int as own,
                    count(*) filter (where ${workspaceColumn} is distinct from $1)::int as others from ${name}`,
            [tenant.workspaceId],
          ),
        );
        expect([name, rows[0]?.others]).toEqual([name, 0]);
        if (!['public.calls', 'public.talks'].includes(name)) expect([name, rows[0]?.own !== 0]).toEqual([name, true]);
      }
    }
  });

  test('P4 · nothing of another workspace is changed or deleted, whatever may be written', async () => {
    const before = await everything();
    const [mine, theirs] = tenants as [TestDevice, TestDevice];
    for (const { name, workspaceColumn, verbs } of relations) {
      for (const verb of ['update', 'delete'] as const) {
        const statement =
          verb === 'delete'
            ? `delete from ${name} where ${workspaceColumn} = $1 returning 1`
            : `update ${name} set ${workspaceColumn} = ${workspaceColumn} where ${workspaceColumn} = $1 returning 1`;
        const claims = { ...mine.claims, holdfast_role: 'admin' };
        const answer = withCaller(database, claims, (session) => session.query(statement, [theirs.workspaceId]));
        if (verbs.includes(verb)) expect([name, verb, await answer]).toEqual([name, verb, []]);
        else
          await expect(answer, `${verb} ${name}`).rejects.toSatisfy((error) =>
            ['42501', '55000'].includes(fieldOf(error, 'code') ?? ''),
          );
        await misbehave(theirs);
      }
    }
    expect(await everything()).toEqual(before);
  });

  test.each([
    ['none', null],
    ['empty ones', ''],
    ['ones without a workspace', '{"sub": "someone"}'],
    ['an empty workspace', '{"sub": "someone", "workspace_id": ""}'],
    ['a workspace set by the user', '{"sub": "someone", "user_metadata": {"workspace_id": "tenant-0"}}'],
  ])('P4 · with claims that are %s nothing is seen, and nothing written', async (_, claims) => {
    await tenants[0]?.send([]);
    const seen = await database.transaction(async (session) => {
      if (claims !== null) await session.query(`select set_config('request.jwt.claims', $1, true)`, [claims]);
      await session.query(`select set_config('role', 'authenticated', true)`);
      const counts: unknown[] = [];
      for (const { name } of relations) counts.push(await session.query(`select 1 from ${name} limit 1`));
      return counts.flat();
    });
    expect(seen).toEqual([]);
    await expect(
      database.transaction(async (session) => {
        if (claims !== null) await session.query(`select set_config('request.jwt.claims', $1, true)`, [claims]);
        await session.query(`select set_config('role', 'authenticated', true)`);
        await session.query(
          `insert into public.accounts (id, workspace_id, name) values (gen_random_uuid(), 'tenant-0', 'x')`,
        );
      }),
    ).rejects.toMatchObject({ code: '42501' });
  });

  test('P4 · audit pages and the change feed show the caller the same on a connection that others have just used', async () => {
    const cursors = await Promise.all(
      tenants.map((tenant) => withCaller(database, tenant.claims, (session) => readChanges(session, { cursor: null }))),
    );
    for (const tenant of tenants) {
      await misbehave(tenant);
      await tenant.send([tenant.next({ payload: { name: `again ${tenant.workspaceId}` } })]);
    }
    for (const [index, tenant] of tenants.entries()) {
      const { changes } = await withCaller(database, tenant.claims, (session) =>
        // the place of another tenant
        readChanges(session, { cursor: cursors[(index + 1) % TENANT_COUNT]?.cursor ?? null }),
      );
      expect(changes.map(({ newValues }) => newValues?.['name'])).toEqual([`again ${tenant.workspaceId}`]);
      const { entries } = await withCaller(database, tenant.claims, (session) => readAudit(session, { limit: 200 }));
      expect(new Set(entries.map(({ actor }) => actor))).toEqual(new Set([tenant.claims.sub]));
    }
  });

  test('P4 · a captured batch sent with the token of another tenant has no effect and tells nothing, also after 31 days', async () => {
    const [victim, thief] = tenants as [TestDevice, TestDevice];
    const secret = victim.next({ payload: { name: 'secret', code: 'secret-code' } });
    const captured = {
      protocol: 1,
      client: { id: victim.clientId, workspaceId: victim.workspaceId },
      acknowledgedFloor: 0,
      mutations: [secret],
    };
    await applyBatch(database, victim.claims, captured);

    const attempts: readonly {
      readonly claims: CallerClaims;
      readonly client: object;
      readonly refusal: string | null;
    }[] = [
      { claims: thief.claims, client: captured.client, refusal: 'FOREIGN_WORKSPACE' },
      {
        claims: thief.claims,
        client: { id: victim.clientId, workspaceId: thief.workspaceId },
        refusal: 'FOREIGN_CLIENT',
      },
      { claims: thief.claims, client: { id: randomUUID(), workspaceId: thief.workspaceId }, refusal: null },
    ];
    for (const { claims, client, refusal } of attempts) {
      const answer = applyBatch(database, claims, { ...captured, client });
      if (refusal === null) {
        const { outcomes } = await answer;
        expect(outcomes.map(kindOf)).toEqual(['rejected ID_REUSED']);
        expect(JSON.stringify(outcomes)).not.toContain('secret');
      } else {
        await expect(answer).rejects.toSatisfy((error) => fieldOf(error, 'detail') === refusal);
      }
    }

    // the ledger has forgotten the row, and the floor has not
    await victim.send([], secret.seq);
    await database.query(`select holdfast.trim_ledger(at => now() + interval '31 days')`);
    expect((await applyBatch(database, victim.claims, captured)).outcomes).toEqual([
      { seq: secret.seq, id: secret.id, kind: 'duplicate', verdict: 'applied', result: null },
    ]);
    await expect(applyBatch(database, thief.claims, captured)).rejects.toThrow();
    const rows = await database.query(`select workspace_id from public.accounts where name = 'secret'`);
    expect(rows).toEqual([{ workspace_id: victim.workspaceId }]);
  });

  test('P4, sec-W2 · whoever sends, whichever client, workspace and user the batch says: only its own is taken, and of no other anything is told', async () => {
    // two users in each of two workspaces, one of whom is in both
    const logins = ['a', 'b'].flatMap((place) =>
      ['shared user', `user of ${place}`].map((user) =>
        createDevice(database, { workspaceId: `matrix-${place}`, user }),
      ),
    );
    for (const login of logins) await login.send([login.next({ payload: { name: `secret of ${login.clientId}` } })]);
    const count = async () =>
      (await database.query<{ count: number }>('select count(*)::int as count from holdfast.ledger'))[0]?.count;
    const before = await count();
    const said = new Map<string, number>();

    for (const caller of logins) {
      for (const client of logins) {
        for (const workspace of logins) {
          for (const userId of [undefined, ...logins.map(({ claims }) => claims.sub)]) {
            const foreign = logins[(logins.indexOf(caller) + 1) % logins.length] as TestDevice;
            const known = caller.next({ payload: { name: 'x' } });
            const batch = {
              protocol: 1,
              client: {
                id: client.clientId,
                workspaceId: workspace.workspaceId,
                ...(userId === undefined ? {} : { userId }),
              },
              acknowledgedFloor: 1_000_000,
              // with nothing new in it, so that whatever is taken leaves no trace
              mutations: [] as readonly unknown[],
            };
            const expected =
              workspace.workspaceId !== caller.workspaceId
                ? 'FOREIGN_WORKSPACE'
                : userId !== undefined && userId !== caller.claims.sub
                  ? 'WRONG_LOGIN'
                  : client.clientId !== caller.clientId
                    ? 'FOREIGN_CLIENT'
                    : 'taken';
            const answer = await applyBatch(
              database,
              caller.claims,
              expected === 'taken'
                ? { ...batch, acknowledgedFloor: 0 }
                : { ...batch, mutations: [{ ...known, id: foreign.clientId }] },
            ).then(
              () => 'taken',
              (error: unknown) => {
                expect(JSON.stringify(error) + String(error)).not.toMatch(/secret of|user of [ab]/);
                return fieldOf(error, 'detail');
              },
            );
            expect([caller.claims.sub, client.clientId, workspace.workspaceId, userId, answer]).toEqual([
              caller.claims.sub,
              client.clientId,
              workspace.workspaceId,
              userId,
              expected,
            ]);
            said.set(expected, (said.get(expected) ?? 0) + 1);
          }
        }
      }
    }
    expect([...said.keys()].toSorted()).toEqual(['FOREIGN_CLIENT', 'FOREIGN_WORKSPACE', 'WRONG_LOGIN', 'taken']);
    expect(await count()).toBe(before);
    // no floor was moved by what was refused
    const floors = await database.query<{ floor: number }>(
      'select distinct floor::int as floor from holdfast.clients where client_id = any ($1)',
      [logins.map(({ clientId }) => clientId)],
    );
    expect(floors).toEqual([{ floor: 0 }]);
  });

  describe('racing through a pool', () => {
    let pool: Database;
    let racers: readonly Racer[];
    /** In the place of `withCaller`, for the control. */
    let act: typeof withCaller = withCaller;

    beforeAll(async () => {
      pool = openPg({ connectionString: await server.createDatabase(), connectionCountMax: 2 });
      await migrate(pool);
      await pool.transaction((session) => session.runScript(TEST_TABLES));
      racers = Array.from({ length: 4 }, (_, index) => ({
        device: createDevice(pool, { workspaceId: `racer-${index}`, user: `user of racer-${index}` }),
        rowIds: [],
      }));
    });
    afterAll(() => pool.close());

    test('P4, inv-I24 · tenants that race through a pool, with errors and timeouts in between, never meet each other', async () => {
      const step = fc.record({
        racer: fc.nat(racers.length - 1),
        kind: fc.constantFrom(...RACER_STEPS),
        pick: fc.nat(1_000),
      });
      const waves = fc.array(fc.array(step, { minLength: 2, maxLength: 10 }), { minLength: 1, maxLength: 4 });
      await fc.assert(
        fc.asyncProperty(waves, async (all) => {
          for (const wave of all) await Promise.all(wave.map(take));
        }),
        { numRuns: 40, seed: 24 },
      );
      const seen = await pool.query<{ count: number; strangers: number }>(
        `select count(*)::int as count,
                (count(*) filter (where actor <> 'user of ' || workspace_id or new_values ->> 'name' <> workspace_id))::int as strangers
         from holdfast.audit_log`,
      );
      expect(seen[0]?.count).toBeGreaterThan(50);
      expect(seen[0]?.strangers).toBe(0);
      const rows = await pool.query<{ strangers: number }>(
        'select count(*)::int as strangers from public.accounts where name <> workspace_id',
      );
      expect(rows[0]?.strangers).toBe(0);
    });

    test('P4, inv-I24 · the same finds out when claims outlive their transaction on a connection', async () => {
      act = (database, claims, work) =>
        database.transaction(async (session) => {
          await session.query(
            `select set_config('request.jwt.claims', coalesce(nullif(current_setting('request.jwt.claims', true), ''), $1), false),
                    set_config('role', 'authenticated', true)`,
            [JSON.stringify(claims)],
          );
          return work(session);
        });
      const reading = Array.from({ length: 40 }, (_, index) => take({ racer: index % 4, kind: 'read', pick: 0 }));
      const ends = await Promise.allSettled(reading);
      expect(ends.some(({ status }) => status === 'rejected')).toBe(true);
    });

    async function take({ racer, kind, pick }: RacerStep): Promise<void> {
      const [mine, theirs] = [racers[racer], racers[(racer + 1 + (pick % 3)) % 4]] as [Racer, Racer];
      const { device, rowIds } = mine;
      const { workspaceId, claims } = device;
      const own = rowIds[pick % Math.max(1, rowIds.length)];
      const foreign = theirs.rowIds[pick % Math.max(1, theirs.rowIds.length)];
      const rename = { name: workspaceId };
      switch (kind) {
        case 'create': {
          const id = randomUUID();
          const entity = { table: 'accounts', id };
          expect(await device.sendForKinds([device.next(change('create', entity, rename))])).toEqual(['applied']);
          rowIds.push(id);
          return;
        }
        case 'update':
          if (own === undefined) return;
          expect(
            await device.sendForKinds([device.next(change('update', { table: 'accounts', id: own }, rename))]),
          ).toEqual(['applied']);
          return;
        case 'steal':
          if (foreign === undefined) return;
          for (const operation of ['update', 'delete', 'create'] as const) {
            const entity = { table: 'accounts', id: foreign };
            const theft = change(operation, entity, operation === 'delete' ? {} : rename);
            const [outcome] = await device.send([device.next(theft)]);
            expect(outcome?.kind).toBe('rejected');
            expect(JSON.stringify(outcome)).not.toContain(theirs.device.workspaceId);
          }
          return;
        case 'read': {
          const foreigners = await act(pool, claims, (session) =>
            session.query(
              `select workspace_id from public.accounts where workspace_id is distinct from $1
               union all select workspace_id from holdfast.audit_log where workspace_id is distinct from $1
               union all select actor from holdfast.audit_log where actor <> $2`,
              [workspaceId, claims.sub],
            ),
          );
          expect(foreigners).toEqual([]);
          return;
        }
        case 'fail':
          await withCaller(pool, claims, (session) => session.query('select 1 / 0')).catch(() => undefined);
          return;
        case 'timeOut':
          await withCaller(
            pool,
            claims,
            (session) => session.query('select count(*) from generate_series(1, 100000000)'),
            { statementTimeoutMs: 1 + (pick % 20) },
          ).catch(() => undefined);
          return;
        case 'forge':
          await withCaller(pool, claims, async (session) => {
            await session.query(`select set_config('request.jwt.claims', $1, true)`, [
              JSON.stringify(theirs.device.claims),
            ]);
            throw new Error('given up in the middle');
          }).catch(() => undefined);
      }
    }
  });

  /** What leaves a careless connection in a bad state: an error, a statement that is cancelled, settings that last. */
  async function misbehave(tenant: TestDevice): Promise<void> {
    const attempt = (sql: string, statementTimeoutMs = 10_000) =>
      withCaller(database, tenant.claims, (session) => session.query(sql), { statementTimeoutMs }).catch(
        () => undefined,
      );
    await attempt('select 1 / 0');
    await attempt('select count(*) from generate_series(1, 100000000)', 1);
    await attempt(`select set_config('request.jwt.claims', '{"sub": "x", "workspace_id": "tenant-0"}', true)`);
  }

  /** Tables and views in which a caller may do anything, with what it may do there. */
  async function relationsOfCallers(): Promise<readonly Relation[]> {
    return database.query<Relation>(
      `select format('%I.%I', space.nspname, relation.relname) as name,
              (select format('%I', attribute.attname) from pg_attribute as attribute
               where attribute.attrelid = relation.oid and attribute.attname in ('workspace_id', 'ten''ant')) as "workspaceColumn",
              array_remove(array[
                  case when has_table_privilege('authenticated', relation.oid, 'update') then 'update' end,
                  case when has_table_privilege('authenticated', relation.oid, 'delete') then 'delete' end], null) as verbs
       from pg_class as relation join pg_namespace as space on space.oid = relation.relnamespace
       where space.nspname in ('public', 'holdfast') and relation.relkind in ('r', 'p', 'v')
         and has_table_privilege('authenticated', relation.oid, 'select')
         and exists (select from pg_attribute as attribute
                     where attribute.attrelid = relation.oid and attribute.attname in ('workspace_id', 'ten''ant'))
       order by 1`,
    );
  }

  /** Of all workspaces, as the superuser sees it. */
  async function everything(): Promise<readonly unknown[]> {
    const counts: unknown[] = [];
    for (const { name } of relations)
      counts.push([
        name,
        await database.query(`select md5(string_agg(each::text, '' order by each::text)) from ${name} as each`),
      ]);
    return counts;
  }
});
