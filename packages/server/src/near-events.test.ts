import { randomUUID } from 'node:crypto';
import type { JsonObject } from 'holdfast/protocol';
import { expect, test } from 'vitest';
import { describeOnEachDatabase } from './testing-databases/test-databases.ts';
import { change, createDevice, type TestDevice } from './testing-databases/test-device.ts';

const TALK = {
  line_id: 'l1',
  number: '+47 1',
  direction: 'in',
  started_at: '2026-01-01T10:00:00.000Z',
  duration_s: 60,
};

describeOnEachDatabase((world) => {
  test('C2 · two phones that tell of one call, a second apart, make one row, and both are told which', async () => {
    const [first, second] = twoPhones();
    const own = { table: 'talks', id: randomUUID() };
    await first.send([first.next(change('create', own, TALK))]);
    const repeat = tell(second, { started_at: '2026-01-01T10:00:01.000Z', duration_s: 61 });

    expect(await second.send([repeat])).toMatchObject([{ kind: 'applied', result: { id: own.id, duration_s: 60 } }]);
    expect(await second.send([repeat])).toMatchObject([
      { kind: 'duplicate', verdict: 'applied', result: { id: own.id } },
    ]);
    expect(await startsOf(first)).toEqual([0]);
    const recorded = await world.database.query(`select 1 from holdfast.audit_log where mutation_id = '${repeat.id}'`);
    expect(recorded).toEqual([]);
  });

  test.each([
    ['it began a moment later', { started_at: '2026-01-01T10:00:01.001Z' }],
    ['it lasted two seconds more', { duration_s: 62 }],
    ['it went the other way', { direction: 'out' }],
    ['nobody measured how long it was', { duration_s: null }],
  ])('C2 · another call is another row: %s', async (_, over) => {
    const [first, second] = twoPhones();
    await first.send([tell(first, {})]);

    expect(await second.sendForKinds([tell(second, over)])).toEqual(['applied']);

    expect(await startsOf(first)).toHaveLength(2);
  });

  test('C2 · it is near to the earliest or it is another: tolerances do not add up', async () => {
    const [first, second] = twoPhones();
    const at = (ms: number) => ({ started_at: new Date(Date.parse(TALK.started_at) + ms).toISOString() });
    // 800 is the call at 0; 1,600 is near to 800 only, which is not there; 1,200 is near to the one at 1,600
    const told = [0, 800, 1_600].map((ms) => tell(first, at(ms)));
    await first.send(told);

    expect(await second.send([tell(second, at(1_200)), tell(second, at(900))])).toMatchObject([
      { kind: 'applied', result: { id: told[2]?.entity?.id } },
      { kind: 'applied', result: { id: told[0]?.entity?.id } },
    ]);

    expect(await startsOf(first)).toEqual([0, 1_600]);
  });

  test('C2 · a call of another workspace is another call, and an id that is taken is not the same call', async () => {
    const [first] = twoPhones();
    const stranger = createDevice(world.database);
    const own = { table: 'talks', id: randomUUID() };
    await first.send([first.next(change('create', own, TALK))]);

    expect(await stranger.sendForKinds([tell(stranger, {})])).toEqual(['applied']);
    expect(await first.sendForKinds([first.next(change('create', own, TALK))])).toEqual(['rejected ROW_EXISTS']);
  });

  test('C2 · changes made together tell of calls like any other', async () => {
    const [first, second] = twoPhones();
    await first.send([tell(first, {})]);
    const members = [{}, { number: '+47 2' }].map((over) => ({
      type: 'talk',
      version: 1,
      operation: 'create',
      entity: { table: 'talks', id: randomUUID() },
      payload: { ...TALK, ...over },
    }));
    const together = { ...second.next(change('custom', null, { members })), type: 'holdfast.atomic' };

    expect(await second.sendForKinds([together])).toEqual(['applied']);

    expect(await startsOf(first)).toHaveLength(2);
  });

  test.each([
    ['a table that is not registered', `'public.workspaces_of_nobody'`, `array['a'], '{"b": 1}'`, 'does not exist'],
    ['no column that is equal', `'public.talks'`, `array[]::text[], '{"duration_s": 1}'`, 'the same event is not said'],
    ['no column that is near', `'public.talks'`, `array['line_id'], '{}'`, 'the same event is not said'],
    [
      'a column that payloads do not set',
      `'public.talks'`,
      `array['workspace_id'], '{"duration_s": 1}'`,
      'no column workspace_id',
    ],
    [
      'a time by a number',
      `'public.talks'`,
      `array['line_id'], '{"started_at": 1}'`,
      'is no tolerance for the column started_at',
    ],
    ['a tolerance that is none', `'public.talks'`, `array['line_id'], '{"started_at": "soon"}'`, 'is no tolerance'],
    ['a tolerance below zero', `'public.talks'`, `array['line_id'], '{"duration_s": -1}'`, 'is no tolerance'],
  ])('C2 · %s is refused, and says what to do', async (_, target, rest, message) => {
    await expect(world.database.query(`select holdfast.register_near_events(${target}, ${rest})`)).rejects.toThrow(
      message,
    );
  });

  function twoPhones(): readonly [TestDevice, TestDevice] {
    const first = createDevice(world.database);
    return [first, createDevice(world.database, { workspaceId: first.workspaceId })];
  }

  /** Milliseconds after the first call of the test began. */
  async function startsOf({ workspaceId }: TestDevice): Promise<readonly number[]> {
    const rows = await world.database.query<{ ms: number }>(
      `select (extract(epoch from started_at - '${TALK.started_at}') * 1000)::integer as ms
       from public.talks where workspace_id = '${workspaceId}' order by started_at`,
    );
    return rows.map(({ ms }) => ms);
  }
});

function tell(device: TestDevice, over: JsonObject) {
  return device.next(change('create', { table: 'talks', id: randomUUID() }, { ...TALK, ...over }));
}
