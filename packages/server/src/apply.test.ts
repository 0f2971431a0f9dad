import { randomUUID } from 'node:crypto';
import type { WireMutation } from 'holdfast/protocol';
import { describe, expect, test } from 'vitest';
import {
  describeOnEachDatabase,
  describeOnLowestPostgres,
  type TestWorld,
} from './testing-databases/test-databases.ts';
import { change, countTraces, createDevice } from './testing-databases/test-device.ts';

describeOnEachDatabase(defineContract);
describeOnLowestPostgres((world) => {
  test('P10 · the migrations run on the oldest Postgres that we claim', async () => {
    const [row] = await world.database.query<{ version: string }>(
      `select current_setting('server_version_num') as version`,
    );
    expect(Math.floor(Number(row?.version) / 10_000)).toBe(15);
  });

  defineContract(world);
});

function defineContract(world: TestWorld): void {
  describe('repetition', () => {
    test('P1 · a lost answer applies once', async () => {
      const device = createDevice(world.database);
      const mutation = device.next();

      const [first] = await device.send([mutation]);
      const [second] = await device.send([mutation]);

      expect(first).toMatchObject({ kind: 'applied', seq: 1, id: mutation.id });
      expect(second).toMatchObject({ kind: 'duplicate', verdict: 'applied', result: { name: 'account 1' } });
      expect(await countTraces(world.database, device.workspaceId)).toEqual({ accounts: 1, ledger: 1, audit: 1 });
    });

    test('P1 · a repeated refusal is told again and not tried again', async () => {
      const device = createDevice(world.database);
      const mutation = device.next({ payload: { name: 'too big', beds: 5000 } });

      expect(await device.sendForKinds([mutation])).toEqual(['rejected 23514']);
      expect(await device.sendForKinds([mutation])).toEqual(['duplicate rejected 23514']);
    });

    test('P1 · overlapping and reordered deliveries apply each mutation once, in lane order', async () => {
      const device = createDevice(world.database);
      const list = { table: 'lists', id: randomUUID() };
      const lane: WireMutation[] = [device.next(change('create', list, { value: 1 }))];
      for (let value = 2; value <= 6; value += 1) {
        lane.push(device.next({ ...change('update', list, { value }), after: value - 1 }));
      }

      expect(await device.sendForKinds(lane.slice(1, 4))).toEqual(['deferred', 'deferred', 'deferred']);
      expect(await device.sendForKinds(lane.slice(0, 3))).toEqual(['applied', 'applied', 'applied']);
      expect(await device.sendForKinds(lane.slice(4))).toEqual(['deferred', 'deferred']);
      expect(await device.sendForKinds(lane.slice(2))).toEqual(['duplicate applied', 'applied', 'applied', 'applied']);
      expect(await device.sendForKinds(lane.toReversed())).toEqual(lane.map(() => 'duplicate applied'));

      expect(await historyOf(list.id)).toEqual([1, 2, 3, 4, 5, 6]);
    });

    test('P1 · twins in one batch: the first is carried out, the second is told later', async () => {
      const device = createDevice(world.database);
      const mutation = device.next();

      expect(await device.sendForKinds([mutation, mutation])).toEqual(['applied', 'deferred']);
      expect(await device.sendForKinds([mutation])).toEqual(['duplicate applied']);
      expect(await countTraces(world.database, device.workspaceId)).toEqual({ accounts: 1, ledger: 1, audit: 1 });
    });

    test('P1 · an empty batch is answered', async () => {
      expect(await createDevice(world.database).send([])).toEqual([]);
    });
  });

  describe('lanes', () => {
    test('P12 · what comes after an unsettled one waits, within a batch and across batches', async () => {
      const device = createDevice(world.database);
      const [one, two, three] = [device.next(), device.next({ after: 1 }), device.next({ after: 2 })];

      expect(await device.sendForKinds([two, one, three])).toEqual(['deferred', 'applied', 'deferred']);
      expect(await device.sendForKinds([three])).toEqual(['deferred']);
      expect(await device.sendForKinds([two, three])).toEqual(['applied', 'applied']);
    });

    test('P12 · a rejected one frees what comes after it, a refused one does not', async () => {
      await world.database.query(`insert into public.fault_states values ('40P01')`);
      const device = createDevice(world.database);
      const bad = device.next({ payload: { name: 'bad', beds: -1 } });
      const afterBad = device.next({ after: bad.seq });
      const busy = device.next(change('create', { table: 'fault', id: randomUUID() }, { state: '40P01' }));
      const afterBusy = device.next({ after: busy.seq });

      expect(await device.sendForKinds([bad, afterBad, busy, afterBusy])).toEqual([
        'rejected 23514',
        'applied',
        'refused 40P01',
        'deferred',
      ]);
      expect(await device.sendForKinds([afterBusy])).toEqual(['deferred']);
    });

    test('P12 · one whose id was reused frees what comes after it in the batch', async () => {
      const device = createDevice(world.database);
      const first = device.next();
      await device.send([first]);
      const reused = device.next({ id: first.id, payload: { name: 'other' } });

      expect(await device.sendForKinds([reused, device.next({ after: reused.seq })])).toEqual([
        'rejected ID_REUSED',
        'applied',
      ]);
    });
  });

  describe('the floor', () => {
    test('P12 · what is at or below the floor is a duplicate for ever, even with its row trimmed', async () => {
      const device = createDevice(world.database);
      const [one, two, three] = [device.next(), device.next(), device.next()];
      await device.send([one, two]);
      await device.send([], 2);

      const trimmed = await world.database.query<{ count: string }>(
        `select holdfast.trim_ledger(at => now() + interval '31 days') as count`,
      );

      expect(Number(trimmed[0]?.count)).toBeGreaterThanOrEqual(2);
      expect(await device.send([one])).toEqual([
        { seq: 1, id: one.id, kind: 'duplicate', verdict: 'applied', result: null },
      ]);
      expect(await device.sendForKinds([{ ...three, after: 2 }])).toEqual(['applied']);
      expect(await countTraces(world.database, device.workspaceId)).toMatchObject({ accounts: 3 });
    });

    test('P12 · rows are kept until 30 days after their acknowledgement', async () => {
      const device = createDevice(world.database);
      await device.send([device.next(), device.next()]);
      await device.send([], 1);

      await world.database.query(`select holdfast.trim_ledger(at => now() + interval '29 days')`);
      expect(await countTraces(world.database, device.workspaceId)).toMatchObject({ ledger: 2 });
      await world.database.query(`select holdfast.trim_ledger(at => now() + interval '31 days')`);
      expect(await countTraces(world.database, device.workspaceId)).toMatchObject({ ledger: 1 });
    });

    test('P12 · of a device that comes back on another day, rows go 30 days after the day on which it acknowledged them', async () => {
      const device = createDevice(world.database);
      await device.send([device.next(), device.next(), device.next()]);
      await device.send([], 2);
      await world.database.query(
        `update holdfast.clients set last_seen_at = last_seen_at - interval '40 days' where client_id = $1`,
        [device.clientId],
      );
      await device.send([], 3);

      await world.database.query('select holdfast.trim_ledger()');

      expect(await countTraces(world.database, device.workspaceId)).toMatchObject({ ledger: 1 });
      await world.database.query(`select holdfast.trim_ledger(at => now() + interval '31 days')`);
      expect(await countTraces(world.database, device.workspaceId)).toMatchObject({ ledger: 0 });
    });

    test('P12 · a floor never sinks', async () => {
      const device = createDevice(world.database);
      const never = device.next();
      await device.send([], 7);
      await device.send([], 3);

      expect(await device.send([never], 0)).toMatchObject([{ kind: 'duplicate', verdict: 'applied', result: null }]);
      expect(await countTraces(world.database, device.workspaceId)).toMatchObject({ accounts: 0, ledger: 0 });
    });

    test('P12 · a number already below the floor still frees what comes after it', async () => {
      const device = createDevice(world.database);
      await device.send([], 5);
      expect(await device.sendForKinds([device.next({ seq: 9, after: 5 })])).toEqual(['applied']);
    });
  });

  describe('ids and numbers', () => {
    test('P12 · an id with another payload is refused and the old verdict stays', async () => {
      const device = createDevice(world.database);
      const mutation = device.next();
      await device.send([mutation]);

      expect(await device.sendForKinds([{ ...mutation, payload: { name: 'other' } }])).toEqual(['rejected ID_REUSED']);
      expect(await device.sendForKinds([device.next({ id: mutation.id })])).toEqual(['rejected ID_REUSED']);
      expect(await device.sendForKinds([mutation])).toEqual(['duplicate applied']);
      expect(await countTraces(world.database, device.workspaceId)).toEqual({ accounts: 1, ledger: 1, audit: 1 });
    });

    test('Q17, P12 · migrated after it may have been sent, it is known by its first form, and takes effect once', async () => {
      const device = createDevice(world.database);
      const entity = { table: 'accounts', id: randomUUID() };
      const before = device.next({ operation: 'custom', entity: null, payload: { title: 'as it was' } });
      const { version, operation, payload } = before;
      const original = { version, operation, entity: before.entity, payload };
      const after = { ...before, version: 2, operation: 'create', entity, payload: { name: 'as it is' }, original };

      // The first form never came: what it is now takes effect.
      expect(await device.send([after])).toMatchObject([{ kind: 'applied', result: { name: 'as it is' } }]);
      // A late copy of the first form, and once more of the second.
      expect(await device.sendForKinds([before])).toEqual(['duplicate applied']);
      expect(await device.sendForKinds([after])).toEqual(['duplicate applied']);
      expect(await device.sendForKinds([{ ...after, original: { ...original, payload: {} } }])).toEqual([
        'rejected ID_REUSED',
      ]);
      expect(await countTraces(world.database, device.workspaceId)).toEqual({ accounts: 1, ledger: 1, audit: 1 });

      // The first form had taken effect, and only the answer was lost.
      const sent = device.next();
      await device.send([sent]);
      const first = { version: 1, operation: sent.operation, entity: sent.entity, payload: sent.payload };
      const migrated = { ...sent, version: 2, entity, payload: { name: 'other' }, original: first };
      expect(await device.sendForKinds([migrated])).toEqual(['duplicate applied']);
    });

    test('Q17 · asked about one that no app can carry out any more, it tells the verdict, or refuses it for good', async () => {
      const device = createDevice(world.database);
      const sent = device.next();
      await device.send([sent]);
      const neverSent = device.next();

      expect(await device.sendForKinds([{ ...sent, outdated: true }])).toEqual(['duplicate applied']);
      expect(await device.sendForKinds([{ ...neverSent, outdated: true }])).toEqual(['rejected OUTDATED']);
      const member = { type: 't', version: 1, operation: 'custom', entity: null, payload: {} };
      const whole = device.next({
        type: 'holdfast.atomic',
        operation: 'custom',
        entity: null,
        payload: { members: [member] },
      });
      expect(await device.sendForKinds([{ ...whole, outdated: true }])).toEqual(['rejected OUTDATED']);
      // A late copy of it has no effect; a retry by an app that knows the way has.
      expect(await device.sendForKinds([neverSent])).toEqual(['duplicate rejected OUTDATED']);
      const { version, operation, entity, payload } = neverSent;
      const original = { version, operation, entity, payload };
      const retried = { ...neverSent, seq: 9, generation: 1, version: 2, payload: { name: 'new' }, original };
      expect(await device.sendForKinds([retried])).toEqual(['applied']);
      expect(await countTraces(world.database, device.workspaceId)).toEqual({ accounts: 2, ledger: 4, audit: 2 });
    });

    test('P12 · the order of keys in a payload makes no other payload', async () => {
      const device = createDevice(world.database);
      const mutation = device.next({ payload: { name: 'same', beds: 3 } });
      await device.send([mutation]);

      expect(await device.sendForKinds([{ ...mutation, payload: { beds: 3, name: 'same' } }])).toEqual([
        'duplicate applied',
      ]);
    });

    test('P12 · a number used again for another mutation is refused', async () => {
      const device = createDevice(world.database);
      await device.send([device.next()]);

      expect(await device.sendForKinds([device.next({ seq: 1 })])).toEqual(['rejected SEQ_REUSED']);
      expect(await countTraces(world.database, device.workspaceId)).toEqual({ accounts: 1, ledger: 1, audit: 1 });
    });

    test('P1 · the same mutation under a new number is a duplicate with its result', async () => {
      const device = createDevice(world.database);
      const mutation = device.next();
      await device.send([mutation]);

      expect(await device.send([{ ...mutation, seq: 50, generation: 1 }])).toMatchObject([
        { kind: 'duplicate', verdict: 'applied', seq: 50, result: { name: 'account 1' } },
      ]);
    });

    test('R6 · a refusal is tried anew under a higher generation, and only then', async () => {
      const device = createDevice(world.database);
      const parent = randomUUID();
      const child = device.next(change('update', { table: 'accounts', id: parent }, { name: 'renamed' }));
      expect(await device.sendForKinds([child])).toEqual(['rejected ROW_NOT_FOUND']);
      await device.send([device.next(change('create', { table: 'accounts', id: parent }, { name: 'there now' }))]);

      expect(await device.sendForKinds([{ ...child, seq: 10 }])).toEqual(['duplicate rejected ROW_NOT_FOUND']);
      expect(await device.sendForKinds([{ ...child, seq: 11, generation: 1, payload: { name: 'x' } }])).toEqual([
        'rejected ID_REUSED',
      ]);
      expect(await device.sendForKinds([{ ...child, seq: 12, generation: 1 }])).toEqual(['applied']);
      expect(await device.sendForKinds([{ ...child, seq: 13, generation: 2 }])).toEqual(['duplicate applied']);
      expect(await device.sendForKinds([child])).toEqual(['duplicate rejected ROW_NOT_FOUND']);
    });

    test('P4 · an id of another client or workspace is refused without telling what it was', async () => {
      const mine = createDevice(world.database);
      const mutation = mine.next({ payload: { name: 'secret' } });
      await mine.send([mutation]);
      const sameWorkspace = createDevice(world.database, { workspaceId: mine.workspaceId });
      const elsewhere = createDevice(world.database);

      for (const other of [sameWorkspace, elsewhere]) {
        const outcomes = await other.send([mutation]);
        expect(outcomes).toMatchObject([{ kind: 'rejected', error: { code: 'ID_REUSED' } }]);
        expect(JSON.stringify(outcomes)).not.toContain('secret');
      }
      expect(await countTraces(world.database, elsewhere.workspaceId)).toEqual({ accounts: 0, ledger: 0, audit: 0 });
    });

    test('P1 · an id in capitals comes back as it was sent', async () => {
      const device = createDevice(world.database);
      const mutation = device.next({ id: randomUUID().toUpperCase() });

      expect(await device.send([mutation])).toMatchObject([{ kind: 'applied', id: mutation.id }]);
      expect(await device.send([mutation])).toMatchObject([{ kind: 'duplicate', id: mutation.id }]);
    });
  });

  async function historyOf(id: string): Promise<readonly number[] | undefined> {
    const rows = await world.database.query<{ history: number[] }>('select history from public.lists where id = $1', [
      id,
    ]);
    return rows[0]?.history;
  }
}
