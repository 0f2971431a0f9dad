import { randomUUID } from 'node:crypto';
import type { WireMutation } from 'holdfast/protocol';
import { describe, expect, test } from 'vitest';
import { describeOnEachDatabase } from './testing-databases/test-databases.ts';
import { change, countTraces, createDevice } from './testing-databases/test-device.ts';

describeOnEachDatabase((world) => {
  describe('partial failure', () => {
    test('R8, P1 · one bad mutation of a hundred: 99 are applied, one is rejected', async () => {
      const device = createDevice(world.database);
      const batch = Array.from({ length: 100 }, (_, index) =>
        device.next(index === 41 ? { payload: { name: 'bad', beds: 5000 } } : {}),
      );

      const kinds = await device.sendForKinds(batch);

      expect(kinds[41]).toBe('rejected 23514');
      expect(kinds.filter((kind) => kind === 'applied')).toHaveLength(99);
      expect(await countTraces(world.database, device.workspaceId)).toEqual({ accounts: 99, ledger: 100, audit: 99 });
      expect(await auditedMutations(device.workspaceId)).toEqual(
        batch
          .filter((_, index) => index !== 41)
          .map((mutation) => mutation.id)
          .toSorted(),
      );
    });

    test('R8, P1 · with more than 50 failures the rest is deferred, and settles on later calls', async () => {
      const device = createDevice(world.database);
      const batch = Array.from({ length: 100 }, () => device.next({ payload: { name: 'bad', beds: 5000 } }));

      const kinds = await device.sendForKinds(batch);
      expect(kinds.slice(0, 50)).toEqual(Array.from({ length: 50 }, () => 'rejected 23514'));
      expect(kinds.slice(50)).toEqual(Array.from({ length: 50 }, () => 'deferred'));

      expect(await device.sendForKinds(batch.slice(50))).toEqual(Array.from({ length: 50 }, () => 'rejected 23514'));
    });

    test('R8 · good and bad in turns all settle within few calls', async () => {
      const device = createDevice(world.database);
      const batch = Array.from({ length: 100 }, (_, index) =>
        device.next(index % 2 === 0 ? {} : { payload: { name: 'bad', beds: 5000 } }),
      );
      let rest: readonly WireMutation[] = batch;
      for (let call = 0; call < 3; call += 1) {
        const outcomes = await device.send(rest);
        rest = rest.filter((_, index) => outcomes[index]?.kind === 'deferred');
      }

      expect(rest).toEqual([]);
      expect(await countTraces(world.database, device.workspaceId)).toEqual({ accounts: 50, ledger: 100, audit: 50 });
    });

    test('R8 · what a bad one did before it failed is undone', async () => {
      const device = createDevice(world.database);
      const id = randomUUID();
      const good = device.next(change('create', { table: 'accounts', id }, { name: 'good', code: 'A' }));
      const clash = device.next({ payload: { name: 'clash', code: 'A' } });

      expect(await device.sendForKinds([good, clash])).toEqual(['applied', 'rejected 23505']);
      expect(await countTraces(world.database, device.workspaceId)).toEqual({ accounts: 1, ledger: 2, audit: 1 });
    });

    test('P1 · a deferred constraint fails its own mutation and not the commit', async () => {
      const device = createDevice(world.database);
      const batch = Array.from({ length: 20 }, (_, index) =>
        device.next(index === 13 ? { payload: { name: 'orphan', parent_id: randomUUID() } } : {}),
      );

      const kinds = await device.sendForKinds(batch);

      expect(kinds[13]).toBe('rejected 23503');
      expect(kinds.filter((kind) => kind === 'applied')).toHaveLength(19);
      expect(await countTraces(world.database, device.workspaceId)).toEqual({ accounts: 19, ledger: 20, audit: 19 });
    });

    test('Q8 · a missing row that may still be on its way is refused and not remembered, and applied once it is there', async () => {
      const device = createDevice(world.database);
      const parentId = randomUUID();
      const child = device.next({ payload: { name: 'child', parent_id: parentId } });
      const beside = device.next();
      const waiting = { ...child, awaitsCreation: true };

      expect(await device.sendForKinds([waiting, beside])).toEqual(['refused 23503', 'applied']);
      expect(await countTraces(world.database, device.workspaceId)).toEqual({ accounts: 1, ledger: 1, audit: 1 });
      // control: one that waits for nothing has its verdict
      expect(await device.sendForKinds([device.next({ payload: { name: 'orphan', parent_id: parentId } })])).toEqual([
        'rejected 23503',
      ]);

      const parent = device.next(change('create', { table: 'accounts', id: parentId }, { name: 'parent' }));
      expect(await device.sendForKinds([parent])).toEqual(['applied']);
      expect(await device.sendForKinds([child])).toEqual(['applied']);
      // its answer was lost: it goes again, in either form
      expect(await device.sendForKinds([child])).toEqual(['duplicate applied']);
      expect(await device.sendForKinds([waiting])).toEqual(['duplicate applied']);
      expect(await countTraces(world.database, device.workspaceId)).toEqual({ accounts: 3, ledger: 4, audit: 3 });
    });

    test('Q8 · what is rejected for good stays so, however it is asked again', async () => {
      const device = createDevice(world.database);
      const parentId = randomUUID();
      const child = device.next({ payload: { name: 'child', parent_id: parentId } });
      expect(await device.sendForKinds([child])).toEqual(['rejected 23503']);
      await device.send([device.next(change('create', { table: 'accounts', id: parentId }, { name: 'parent' }))]);

      expect(await device.sendForKinds([{ ...child, awaitsCreation: true }])).toEqual(['duplicate rejected 23503']);
    });

    test('Q8 · only true means that it waits', async () => {
      const device = createDevice(world.database);
      for (const awaitsCreation of ['true', 'no', 1, false, null, {}]) {
        const orphan = device.next({ payload: { name: 'orphan', parent_id: randomUUID() } });
        expect(await device.sendForKinds([{ ...orphan, awaitsCreation }])).toEqual(['rejected 23503']);
      }
    });

    test('Q8 · whatever else fails is for good, though it waits for a creation', async () => {
      const device = createDevice(world.database);
      const bad = { ...device.next({ payload: { name: 'bad', beds: 5000 } }), awaitsCreation: true };

      expect(await device.sendForKinds([bad])).toEqual(['rejected 23514']);
    });

    test.each(['22000', '23000', '42501', 'P0001', 'HF032'])(
      'R1 · %s is for good: rejected and stored',
      async (state) => {
        await plantFault(state);
        const device = createDevice(world.database);
        const mutation = device.next(change('create', { table: 'fault', id: randomUUID() }, { state }));

        const [first] = await device.send([mutation]);
        const [again] = await device.send([mutation]);

        expect(first).toMatchObject({ kind: 'rejected', error: { message: `planted ${state}`, hint: 'a hint' } });
        expect(again).toMatchObject({ kind: 'duplicate', verdict: 'rejected' });
      },
    );

    test.each(['40001', '40P01', '55P03', '57014', '53200', '57P03', '08006', 'XX000', '42P01', 'P0004'])(
      'R1 · %s may pass: refused, not stored, and applied once it has passed',
      async (state) => {
        await plantFault(state);
        const device = createDevice(world.database);
        const before = device.next();
        const mutation = device.next(change('create', { table: 'fault', id: randomUUID() }, { state }));

        const outcomes = await device.send([before, mutation]);
        expect(outcomes).toMatchObject([{ kind: 'applied' }, { kind: 'refused', error: { code: state } }]);
        expect(JSON.stringify(outcomes)).not.toContain('planted');
        expect(await countTraces(world.database, device.workspaceId)).toMatchObject({ ledger: 1 });

        await world.database.query('delete from public.fault_states where state = $1', [state]);
        expect(await device.sendForKinds([before, mutation])).toEqual(['duplicate applied', 'applied']);
      },
    );

    test('P1 · a cancelled mutation keeps what stood before it and puts off what comes after', async () => {
      await plantFault('57014');
      const device = createDevice(world.database);
      const cancelled = change('create', { table: 'fault', id: randomUUID() }, { state: '57014' });

      expect(
        await device.sendForKinds([device.next(), device.next(), device.next(cancelled), device.next(), device.next()]),
      ).toEqual(['applied', 'applied', 'refused 57014', 'deferred', 'deferred']);
    });
  });

  describe('one transaction', () => {
    test('P1 · a call that is rolled back leaves neither effect nor ledger nor audit row', async () => {
      const device = createDevice(world.database);
      const mutation = device.next();

      // control: the same call, committed, leaves one of each (first test of this file)
      await expect(
        world.database.transaction(async (session) => {
          await session.query(
            `select set_config('request.jwt.claims', $1, true), set_config('role', 'authenticated', true)`,
            [JSON.stringify(device.claims)],
          );
          await session.query('select holdfast.apply($1::jsonb)', [
            JSON.stringify({
              protocol: 1,
              client: { id: device.clientId, workspaceId: device.workspaceId },
              acknowledgedFloor: 0,
              mutations: [mutation],
            }),
          ]);
          throw new Error('the server dies before the commit');
        }),
      ).rejects.toThrow('the server dies');

      expect(await countTraces(world.database, device.workspaceId)).toEqual({ accounts: 0, ledger: 0, audit: 0 });
      expect(await device.sendForKinds([mutation])).toEqual(['applied']);
    });

    test('P1 · when the ledger row cannot be written, the effect and its audit row do not stand', async () => {
      const device = createDevice(world.database);
      const [good, broken] = [device.next(), device.next()];
      const afterBroken = device.next({ after: broken.seq });
      await world.database.transaction((session) =>
        session.runScript(`
          create function public.break_ledger() returns trigger language plpgsql as $$
          begin
            if new.mutation_id = '${broken.id}' then raise exception using errcode = 'XX000'; end if;
            return new;
          end $$;
          create trigger break_ledger before insert on holdfast.ledger
            for each row execute function public.break_ledger();`),
      );
      try {
        // the block fails at its end, after all three were carried out in it
        expect(await device.sendForKinds([good, broken, afterBroken])).toEqual([
          'applied',
          'refused XX000',
          'deferred',
        ]);
        expect(await countTraces(world.database, device.workspaceId)).toEqual({ accounts: 1, ledger: 1, audit: 1 });
      } finally {
        await world.database.query('drop trigger break_ledger on holdfast.ledger');
        await world.database.query('drop function public.break_ledger()');
      }
      expect(await device.sendForKinds([good, broken, afterBroken])).toEqual([
        'duplicate applied',
        'applied',
        'applied',
      ]);
    });

    test('P1 · when an audit row cannot be written, the effect and its ledger row do not stand', async () => {
      const device = createDevice(world.database);
      const [good, broken, after] = [device.next(), device.next({ payload: { name: 'unwritable' } }), device.next()];
      await world.database.transaction((session) =>
        session.runScript(`
          create function public.break_log() returns trigger language plpgsql as $$
          begin
            if new.new_values ->> 'name' = 'unwritable' then raise exception using errcode = 'XX000'; end if;
            return new;
          end $$;
          create trigger break_log before insert on holdfast.audit_log for each row execute function public.break_log();`),
      );
      try {
        expect(await device.sendForKinds([good, broken, after])).toEqual(['applied', 'refused XX000', 'applied']);
        expect(await countTraces(world.database, device.workspaceId)).toEqual({ accounts: 2, ledger: 2, audit: 2 });
      } finally {
        await world.database.query('drop trigger break_log on holdfast.audit_log');
        await world.database.query('drop function public.break_log()');
      }
      expect(await device.sendForKinds([good, broken, after])).toEqual([
        'duplicate applied',
        'applied',
        'duplicate applied',
      ]);
    });

    test('P1 · the context of a mutation ends with it', async () => {
      const device = createDevice(world.database);
      const later = await world.database.transaction(async (session) => {
        await session.query(`select set_config('request.jwt.claims', $1, true)`, [JSON.stringify(device.claims)]);
        await session.query('select holdfast.apply($1::jsonb)', [
          JSON.stringify({
            protocol: 1,
            client: { id: device.clientId, workspaceId: device.workspaceId },
            acknowledgedFloor: 0,
            mutations: [device.next()],
          }),
        ]);
        return session.query<{ mutation: string }>(`select current_setting('holdfast.mutation_id', true) as mutation`);
      });
      expect(later).toEqual([{ mutation: '' }]);
    });
  });

  async function plantFault(state: string): Promise<void> {
    await world.database.query('insert into public.fault_states values ($1) on conflict do nothing', [state]);
  }

  async function auditedMutations(workspaceId: string): Promise<readonly string[]> {
    const rows = await world.database.query<{ id: string }>(
      'select mutation_id as id from holdfast.audit_log where workspace_id = $1 order by mutation_id',
      [workspaceId],
    );
    return rows.map((row) => row.id);
  }
});
