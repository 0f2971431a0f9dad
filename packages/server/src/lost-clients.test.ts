import { randomUUID } from 'node:crypto';
import type { ApplyRequest, ApplyResponse, WireMutation } from 'holdfast/protocol';
import { describe, expect, test } from 'vitest';
import { describeOnEachDatabase } from './testing-databases/test-databases.ts';
import { applyBatch, countTraces, createDevice, kindOf, type TestDevice } from './testing-databases/test-device.ts';

describeOnEachDatabase((world) => {
  /** Another client of the same user. */
  function another(device: TestDevice): TestDevice {
    return createDevice(world.database, { workspaceId: device.workspaceId, user: String(device.claims.sub) });
  }

  function send(
    device: TestDevice,
    mutations: readonly WireMutation[],
    client: Partial<ApplyRequest['client']> = {},
    acknowledgedFloor = 0,
  ): Promise<ApplyResponse> {
    return applyBatch(world.database, device.claims, {
      protocol: 1,
      client: { id: device.clientId, workspaceId: device.workspaceId, ...client },
      acknowledgedFloor,
      mutations,
    });
  }

  const kinds = ({ outcomes }: ApplyResponse): readonly string[] => outcomes.map(kindOf);

  async function trim(days: number): Promise<void> {
    await world.database.query(`select holdfast.trim_ledger(at => now() + make_interval(days => $1))`, [days]);
  }

  async function lost(silentFor = '7 days', at = 'now()') {
    return world.database.query<{
      client_id: string;
      reason: string;
      unsent_count: number;
      replaced_by: string | null;
    }>(`select client_id, reason, unsent_count, replaced_by from holdfast.lost_clients($1::interval, ${at})`, [
      silentFor,
    ]);
  }

  describe('a client that was put back to an earlier state', () => {
    test('S14 · is told so, nothing of it is looked at, and under another id all of it takes effect once', async () => {
      const device = createDevice(world.database);
      const earlier = [device.next(), device.next(), device.next()];
      expect(kinds(await send(device, earlier, { lastSeq: 3, unsentCount: 0 }, 0))).toEqual(Array(3).fill('applied'));
      await send(device, [], { lastSeq: 5, unsentCount: 2 }, 3);

      // Put back to when it had given out two numbers: the second is pending there, and a new change gets the third again.
      const [, second] = earlier as [WireMutation, WireMutation];
      const anew = device.next({ seq: 3 });
      const answer = await send(device, [second, anew], { lastSeq: 3, unsentCount: 0 }, 1);

      expect(kinds(answer)).toEqual(['deferred', 'deferred']);
      expect(answer.client).toEqual({ behind: { reason: 'behind', highSeq: 5 } });
      expect(await countTraces(world.database, device.workspaceId)).toMatchObject({ accounts: 3 });

      const fork = another(device);
      const forkedFrom = { id: device.clientId, reason: 'behind' as const, lastSeq: 3 };
      const again = await send(fork, [second, anew], { lastSeq: 3, unsentCount: 0, forkedFrom }, 1);

      expect(kinds(again)).toEqual(['duplicate applied', 'applied']);
      expect(again.client).toEqual({ lost: { clientId: device.clientId, reason: 'behind', unsentCount: 2 } });
      expect(await countTraces(world.database, device.workspaceId)).toMatchObject({ accounts: 4 });
      expect(await lost()).toContainEqual({
        client_id: device.clientId,
        reason: 'behind',
        unsent_count: 2,
        replaced_by: fork.clientId,
      });
      // Told again when the answer was lost.
      expect((await send(fork, [second], { lastSeq: 3, forkedFrom }, 1)).client).toEqual(again.client);
    });

    test('P12, S14 · once the ledger was trimmed, what it carries over still takes effect once, also from one put back to the next', async () => {
      const device = createDevice(world.database);
      const entity = { table: 'lists', id: randomUUID() };
      const create = device.next({ operation: 'create', entity, payload: { value: 0 } });
      const second = device.next({ operation: 'update', entity, payload: { value: 1 } });
      const third = device.next({ operation: 'update', entity, payload: { value: 2 } });
      await send(device, [create, second, third], { lastSeq: 3, unsentCount: 0 });
      await send(device, [], { lastSeq: 3, unsentCount: 0 }, 3);
      await world.database.query(`select holdfast.trim_ledger(at => now() + interval '32 days')`);

      // put back to when the second was pending; since then one more was made there
      const fork = another(device);
      const forkedFrom = { id: device.clientId, reason: 'behind' as const, lastSeq: 2 };
      const anew = device.next({ operation: 'update', entity, payload: { value: 9 }, seq: 3, after: 2 });
      expect(kinds(await send(fork, [second, anew], { lastSeq: 3, forkedFrom }, 1))).toEqual([
        'duplicate applied',
        'applied',
      ]);
      // without the mark, which it sends until it is answered
      expect(kinds(await send(fork, [second], { lastSeq: 3 }, 1))).toEqual(['duplicate applied']);

      const next = another(device);
      const again = { id: fork.clientId, reason: 'behind' as const, lastSeq: 3 };
      expect(kinds(await send(next, [second, anew], { lastSeq: 3, forkedFrom: again }, 1))).toEqual([
        'duplicate applied',
        'duplicate applied',
      ]);
      expect(await world.database.query('select history from public.lists where id = $1', [entity.id])).toEqual([
        { history: [0, 1, 2, 9] },
      ]);
    });

    test('P12, S14 · once the ledger was trimmed, a change made after it was put back takes effect under the number of a former one', async () => {
      const device = createDevice(world.database);
      const list = { table: 'lists', id: randomUUID() };
      const former = [
        device.next({ operation: 'create', entity: list, payload: { value: 0 } }),
        ...[1, 2, 3].map((value) => device.next({ operation: 'update', entity: list, payload: { value } })),
      ];
      await send(device, former, { lastSeq: 4, unsentCount: 0 });
      await send(device, [], { lastSeq: 4, unsentCount: 0 }, 4);
      await world.database.query(`select holdfast.trim_ledger(at => now() + interval '32 days')`);
      const later = new Date(Date.now() + 33 * 86_400_000).toISOString();
      const anew = (seq: number, value: number) =>
        device.next({ operation: 'update', entity: list, payload: { value }, seq, createdAt: later });
      const second = former[1] as WireMutation;

      // put back to when it had given out two numbers; it says how far they have come when it hears of it
      const third = anew(3, 8);
      expect((await send(device, [second, third], { lastSeq: 3, unsentCount: 0 }, 1)).client?.behind?.reason).toBe(
        'behind',
      );
      const fork = another(device);
      const forkedFrom = { id: device.clientId, reason: 'behind' as const, lastSeq: 3 };
      expect(kinds(await send(fork, [second], { lastSeq: 3, forkedFrom }, 1))).toEqual(['duplicate applied']);
      expect(kinds(await send(fork, [second, third], { lastSeq: 3 }, 1))).toEqual(['duplicate applied', 'applied']);
      expect(kinds(await send(fork, [third], { lastSeq: 3 }, 1))).toEqual(['duplicate applied']);

      // another one, which has come further than it ever had before it is heard of
      const [fourth, fifth] = [anew(4, 9), anew(5, 10)];
      const further = await send(device, [second, fourth, fifth], { lastSeq: 5, unsentCount: 0 }, 1);
      expect(further.client).toEqual({ behind: { reason: 'reused', highSeq: 4 } });
      const next = another(device);
      const again = { id: device.clientId, reason: 'behind' as const, lastSeq: 5 };
      expect(kinds(await send(next, [second, fourth, fifth], { lastSeq: 5, forkedFrom: again }, 1))).toEqual([
        'duplicate applied',
        'applied',
        'applied',
      ]);
      expect(await world.database.query('select history from public.lists where id = $1', [list.id])).toEqual([
        { history: [0, 1, 2, 3, 8, 9, 10] },
      ]);
    });

    test('P12, S14 · a number that was given out and never sent is no duplicate when another change has it', async () => {
      const device = createDevice(world.database);
      const [first, , third] = [device.next(), device.next(), device.next()];
      await send(device, [first, third] as WireMutation[], { lastSeq: 3, unsentCount: 0 });
      await send(device, [], { lastSeq: 3, unsentCount: 0 }, 3);

      const anew = [device.next({ seq: 2 }), device.next({ seq: 4 })];
      const answer = await send(device, anew, { lastSeq: 4, unsentCount: 0 }, 1);
      expect(kinds(answer)).toEqual(['deferred', 'deferred']);
      expect(answer.client).toEqual({ behind: { reason: 'reused', highSeq: 3 } });
    });

    test('P12, S14 · a number under which another client of the user had settled it is no other change, however late it is told again', async () => {
      const device = createDevice(world.database);
      const moved = device.next();
      await send(device, [moved], { lastSeq: 1, unsentCount: 0 });
      const other = another(device);
      expect(kinds(await send(other, [moved], { lastSeq: 1, unsentCount: 0 }))).toEqual(['duplicate applied']);
      await send(other, [], { lastSeq: 1, unsentCount: 0 }, 1);

      const late = await send(other, [moved], { lastSeq: 1, unsentCount: 0 });
      expect([kinds(late), late.client]).toEqual([['duplicate applied'], undefined]);
    });

    test('P12 · a floor above all numbers that a client has given out is not believed beyond them', async () => {
      const device = createDevice(world.database);
      await send(device, [device.next()], { lastSeq: 1, unsentCount: 0 }, 99);
      expect(kinds(await send(device, [device.next()], { lastSeq: 2, unsentCount: 0 }, 1))).toEqual(['applied']);
    });

    test('P12, S14 · once the ledger was trimmed, of what was refused it hears that, and of what was retried with success that it took effect', async () => {
      const device = createDevice(world.database);
      const list = { table: 'lists', id: randomUUID() };
      const good = device.next();
      const bad = device.next({ payload: { name: 'x', beds: 5_000 } });
      const early = device.next({ operation: 'update', entity: list, payload: { value: 2 } });
      expect(kinds(await send(device, [good, bad, early], { lastSeq: 3, unsentCount: 0 }))).toEqual([
        'applied',
        'rejected 23514',
        'rejected ROW_NOT_FOUND',
      ]);
      const create = device.next({ operation: 'create', entity: list, payload: { value: 1 } });
      const retry = { ...early, seq: 5, generation: 1 };
      device.next();
      await send(device, [create, retry], { lastSeq: 5, unsentCount: 0 });
      await send(device, [], { lastSeq: 5, unsentCount: 0 }, 5);
      await trim(32);

      // put back to when all of it waited
      const fork = another(device);
      const forkedFrom = { id: device.clientId, reason: 'behind' as const, lastSeq: 3 };
      const answer = await send(fork, [good, bad, early], { lastSeq: 3, forkedFrom });
      expect(kinds(answer)).toEqual(['duplicate applied', 'duplicate rejected 23514', 'duplicate applied']);
      expect(answer.outcomes[1]).toMatchObject({
        error: { category: 'VALIDATION_ERROR', message: expect.stringContaining('refused') as unknown },
      });
      // a person retries it: it never took effect, so it is looked at anew
      expect(kinds(await send(fork, [{ ...bad, seq: 6, generation: 1 }], { lastSeq: 6 }))).toEqual(['rejected 23514']);
      expect(await world.database.query('select history from public.lists where id = $1', [list.id])).toEqual([
        { history: [1, 2] },
      ]);
    });

    test('P12, S14 · a refusal that was retried with success long after its row was trimmed is told as what it came to', async () => {
      const device = createDevice(world.database);
      const list = { table: 'lists', id: randomUUID() };
      const early = device.next({ operation: 'update', entity: list, payload: { value: 2 } });
      await send(device, [early], { lastSeq: 1, unsentCount: 0 });
      await send(device, [], { lastSeq: 1, unsentCount: 0 }, 1);
      await trim(32);
      const forkedFrom = { id: device.clientId, reason: 'behind' as const, lastSeq: 1 };
      expect(kinds(await send(another(device), [early], { lastSeq: 1, forkedFrom }))).toEqual([
        'duplicate rejected ROW_NOT_FOUND',
      ]);

      const create = device.next({ operation: 'create', entity: list, payload: { value: 1 } });
      const retry = { ...early, seq: 3, generation: 1 };
      expect(kinds(await send(device, [create, retry], { lastSeq: 3, unsentCount: 0 }, 1))).toEqual([
        'applied',
        'applied',
      ]);
      // as long as its row is there, and after
      expect(kinds(await send(another(device), [early], { lastSeq: 1, forkedFrom }))).toEqual(['duplicate applied']);
      await send(device, [], { lastSeq: 3, unsentCount: 0 }, 3);
      await trim(64);
      const late = another(device);
      expect(kinds(await send(late, [early], { lastSeq: 1, forkedFrom }))).toEqual(['duplicate applied']);
      expect(await world.database.query('select history from public.lists where id = $1', [list.id])).toEqual([
        { history: [1, 2] },
      ]);
    });

    test('P12, S14 · what was refused is told to its user only, and for 400 days', async () => {
      const device = createDevice(world.database);
      const bad = device.next({ payload: { name: 'x', beds: 5_000 } });
      await send(device, [bad], { lastSeq: 1, unsentCount: 0 });
      await send(device, [], { lastSeq: 1, unsentCount: 0 }, 1);
      await trim(32);
      const stranger = createDevice(world.database, { workspaceId: device.workspaceId });
      await send(stranger, [stranger.next()], { lastSeq: 1 });
      await send(stranger, [], { lastSeq: 1 }, 1);
      // it has acknowledged the number, and its row is trimmed
      await trim(32);
      const { outcomes } = await send(stranger, [{ ...bad, seq: 1 }], {}, 1);
      expect(JSON.stringify(outcomes)).not.toContain('23514');

      const forkedFrom = { id: device.clientId, reason: 'behind' as const, lastSeq: 1 };
      const told = async () => kinds(await send(another(device), [bad], { lastSeq: 1, forkedFrom }));
      await trim(399);
      expect(await told()).toEqual(['duplicate rejected 23514']);
      await trim(401);
      expect(await told()).toEqual(['duplicate applied']);
    });

    test('P12, S14 · nobody inherits from a client of someone else, and one that came back empty begins anew', async () => {
      const device = createDevice(world.database);
      await send(device, [device.next(), device.next()], { lastSeq: 2, unsentCount: 0 });
      await send(device, [], { lastSeq: 2, unsentCount: 0 }, 2);
      await world.database.query(`select holdfast.trim_ledger(at => now() + interval '32 days')`);

      const stranger = createDevice(world.database, { workspaceId: device.workspaceId });
      const behind = { id: device.clientId, reason: 'behind' as const, lastSeq: 2 };
      expect(kinds(await send(stranger, [stranger.next()], { lastSeq: 1, forkedFrom: behind }))).toEqual(['applied']);
      const wiped = another(device);
      const forkedFrom = { id: device.clientId, reason: 'wiped' as const, lastSeq: 2 };
      expect(kinds(await send(wiped, [wiped.next()], { lastSeq: 1, forkedFrom }))).toEqual(['applied']);
    });

    test('S14 · control: without its marks, a new change under an old number would pass for the one that was applied', async () => {
      const device = createDevice(world.database);
      await send(device, [device.next(), device.next()], {}, 0);
      await send(device, [], {}, 2);
      await world.database.query('delete from holdfast.ledger where client_id = $1', [device.clientId]);

      expect(kinds(await send(device, [device.next({ seq: 2 })], {}, 0))).toEqual(['duplicate applied']);
    });

    test('S14 · a number that was used by another change is found out even when the numbers have come further', async () => {
      const device = createDevice(world.database);
      await send(device, [device.next(), device.next()], { lastSeq: 2 });

      const answer = await send(device, [device.next({ seq: 2 }), device.next({ seq: 3 })], { lastSeq: 3 });

      expect(kinds(answer)).toEqual(['deferred', 'deferred']);
      expect(answer.client).toEqual({ behind: { reason: 'reused', highSeq: 2 } });
    });

    test('S14 · a late copy of an earlier request changes nothing', async () => {
      const device = createDevice(world.database);
      const first = device.next();
      await send(device, [first], { lastSeq: 1 });
      await send(device, [device.next()], { lastSeq: 2, unsentCount: 0 }, 1);

      const late = await send(device, [first], { lastSeq: 1, unsentCount: 9 });

      expect(kinds(late)).toEqual(['deferred']);
      expect(
        await world.database.query(
          'select high_seq::int, unsent_count, floor::int from holdfast.clients where client_id = $1',
          [device.clientId],
        ),
      ).toEqual([{ high_seq: 2, unsent_count: 0, floor: 1 }]);
    });
  });

  describe('a client that came back empty, or did not come back', () => {
    test('S14 · user and operator learn how much was lost with it', async () => {
      const device = createDevice(world.database);
      await send(device, [device.next()], { lastSeq: 4, unsentCount: 3 });
      const fork = another(device);

      const answer = await send(fork, [], {
        lastSeq: 0,
        forkedFrom: { id: device.clientId, reason: 'wiped', unsentCount: 5 },
      });

      expect(answer.client).toEqual({ lost: { clientId: device.clientId, reason: 'wiped', unsentCount: 5 } });
      expect(await lost()).toContainEqual({
        client_id: device.clientId,
        reason: 'wiped',
        unsent_count: 5,
        replaced_by: fork.clientId,
      });
    });

    test('S14 · nobody can say that of a client of someone else', async () => {
      const device = createDevice(world.database);
      await send(device, [device.next()], { lastSeq: 1, unsentCount: 3 });
      const stranger = createDevice(world.database, { workspaceId: device.workspaceId });

      const answer = await send(stranger, [stranger.next()], {
        lastSeq: 1,
        forkedFrom: { id: device.clientId, reason: 'wiped' },
      });

      expect(answer.client).toBeUndefined();
      expect((await lost()).map((each) => each.client_id)).not.toContain(device.clientId);
    });

    test('S14 · one that is silent with changes unsent is listed, until it is heard of again', async () => {
      const device = createDevice(world.database);
      await send(device, [device.next()], { lastSeq: 4, unsentCount: 3 });
      const later = `now() + interval '8 days'`;

      expect(await lost('7 days', later)).toContainEqual({
        client_id: device.clientId,
        reason: 'silent',
        unsent_count: 3,
        replaced_by: null,
      });
      expect((await lost()).map((each) => each.client_id)).not.toContain(device.clientId);
      await send(device, [], { lastSeq: 4, unsentCount: 0 });
      expect((await lost('7 days', later)).map((each) => each.client_id)).not.toContain(device.clientId);
    });
  });

  describe('ids of a user', () => {
    test('S9 · a change that came from another device of the same user is known by its id, with its verdict', async () => {
      const device = createDevice(world.database);
      const good = device.next();
      const bad = device.next({ payload: { name: 'too big', beds: 5000 } });
      expect(kinds(await send(device, [good, bad]))).toEqual(['applied', 'rejected 23514']);
      const phone = another(device);

      const copies = [good, bad].map((each, index) => ({ ...each, seq: 11 + index, generation: 1 }));
      expect(kinds(await send(phone, copies))).toEqual(['duplicate applied', 'rejected 23514']);
      expect(kinds(await send(phone, [{ ...good, seq: 13, payload: { name: 'else' } }]))).toEqual([
        'rejected ID_REUSED',
      ]);
      expect(await countTraces(world.database, device.workspaceId)).toMatchObject({ accounts: 1 });
    });

    test('P12, Q7 · a number that was answered by what is known of another is settled for what comes after it, whatever else waits', async () => {
      const device = createDevice(world.database);
      const stranger = createDevice(world.database);
      const [first, theirs] = [device.next(), stranger.next()];
      await send(device, [first]);
      await send(stranger, [theirs]);
      device.next(); // of another lane, and not settled for long
      const answered = [
        { ...first, seq: 3, generation: 1 },
        { ...theirs, seq: 4 },
      ];
      expect(kinds(await send(device, answered, {}, 1))).toEqual(['duplicate applied', 'rejected ID_REUSED']);

      const after = [3, 4].map((seq) => device.next({ seq: seq + 2, after: seq }));
      expect(kinds(await send(device, after, {}, 1))).toEqual(['applied', 'applied']);
      // amid what is known, and one by one as well
      const more = [3, 4].map((seq) => device.next({ seq: seq + 4, after: seq }));
      expect(kinds(await send(device, [first, ...more], {}, 1))).toEqual(['duplicate applied', 'applied', 'applied']);
      // control: what was never heard of is not settled
      expect(kinds(await send(device, [device.next({ seq: 9, after: 2 })], {}, 1))).toEqual(['deferred']);
      // above the floor it stays, however often the ledger is trimmed
      await world.database.query('select holdfast.trim_ledger()');
      expect(kinds(await send(device, [device.next({ seq: 10, after: 4 })], {}, 1))).toEqual(['applied']);
      await send(device, [], {}, 10);
      await world.database.query('select holdfast.trim_ledger()');
      expect(
        await world.database.query('select from holdfast.told_numbers where client_id = $1', [device.clientId]),
      ).toEqual([]);
    });

    test('S9 · two devices that send one change at once let it take effect once', async () => {
      const device = createDevice(world.database);
      const phone = another(device);
      const mutation = device.next();

      const answers = await Promise.all([send(device, [mutation]), send(phone, [{ ...mutation, generation: 1 }])]);

      expect(await countTraces(world.database, device.workspaceId)).toMatchObject({ accounts: 1 });
      expect(answers.flatMap(kinds)).toContain('applied');
    });

    test('S9 · the id of someone else stays theirs', async () => {
      const device = createDevice(world.database);
      const mutation = device.next();
      await send(device, [mutation]);
      const stranger = createDevice(world.database, { workspaceId: device.workspaceId });

      expect(kinds(await send(stranger, [{ ...mutation, seq: 1 }]))).toEqual(['rejected ID_REUSED']);
      expect(randomUUID()).not.toBe(mutation.id);
    });
  });

  describe('a client that is silent for long', () => {
    const maintain = () => world.database.query(`select holdfast.maintain(now() + interval '31 days')`);
    const isKnown = async (device: TestDevice): Promise<boolean> => {
      const rows = await world.database.query('select from holdfast.clients where client_id = $1', [device.clientId]);
      return rows.length > 0;
    };

    test('P9, P12 · is forgotten if it has never sent a change, and is new when it comes again', async () => {
      const telemetry = { reportId: randomUUID(), pendingCount: 0, failedCount: 0, oldestAt: null, counts: [] };
      const device = createDevice(world.database);
      await applyBatch(world.database, device.claims, {
        protocol: 1,
        client: { id: device.clientId, workspaceId: device.workspaceId, lastSeq: 0, unsentCount: 0 },
        acknowledgedFloor: 0,
        mutations: [],
        telemetry,
      });
      await world.database.query('select holdfast.maintain()');
      expect(await isKnown(device)).toBe(true);

      await maintain();

      expect(await isKnown(device)).toBe(false);
      expect(kinds(await send(device, [device.next()], { lastSeq: 1 }))).toEqual(['applied']);
    });

    test('P12 · is never forgotten if anything of it was settled, or waited on it: what it sends again is a duplicate', async () => {
      const [acknowledged, settled, refused, waiting] = Array.from({ length: 4 }, () =>
        createDevice(world.database),
      ) as [TestDevice, TestDevice, TestDevice, TestDevice];
      const [first, second] = [acknowledged.next(), settled.next()];
      await send(acknowledged, [first]);
      await send(acknowledged, [], {}, 1);
      await send(settled, [second]);
      await send(refused, [refused.next({ payload: { beds: -1 } })]);
      await send(waiting, [], { lastSeq: 1, unsentCount: 1 });

      await maintain();

      for (const device of [acknowledged, settled, refused, waiting]) expect(await isKnown(device)).toBe(true);
      expect(kinds(await send(acknowledged, [first]))).toEqual(['duplicate applied']);
      expect(kinds(await send(settled, [second]))).toEqual(['duplicate applied']);
    });
  });
});
