import { randomUUID } from 'node:crypto';
import { type ChangePage, createDoor, type Database, openPg, readChanges, withCaller } from '@holdfast/server';
import { type Clock, createQueue, httpTransport, memoryStorage, soloTabs } from 'holdfast';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { systemClock } from '../../packages/client/src/ports/system-clock.ts';
import {
  type RealPostgres,
  startPrimaryAndStandby,
} from '../../packages/server/src/testing-databases/real-postgres.ts';
import { createItem, updateItem } from './test/item-mutations.ts';
import { type MovingAddress, openMovingAddress } from './test/moving-address.ts';
import { prepare } from './test/tape-databases.ts';
import { SECRET, token } from './test/token.ts';

const DEVICE_COUNT = 4;
const ROWS_PER_DEVICE = 3;
/** Two servers, which on a busy machine take half a minute to start. */
const TIMEOUT_MS = 240_000;
const WAIT = { timeout: 60_000, interval: 20 };

/** Devices whose line was down come back within half a minute; here they wait a twentieth of that. */
const HASTE = 20;
const hastyClock: Clock = {
  wallMs: () => systemClock.wallMs(),
  nowMs: () => systemClock.nowMs() * HASTE,
  schedule: (delayMs, callback) => systemClock.schedule(delayMs / HASTE, callback),
};

let primary: RealPostgres;
let standby: RealPostgres;
let address: MovingAddress;
/** As the door has it: over the address. */
let database: Database;
/** On the standby itself. */
let operator: Database;
let databaseName: string;
let workspaceId: string;
/** What the door answered, in order, as status and, of a refusal, code. */
let answers: string[];

beforeEach(async () => {
  ({ primary, standby } = await startPrimaryAndStandby({ settings: ['synchronous_commit=on'] }));
  address = await openMovingAddress();
  const url = await primary.createDatabase();
  databaseName = new URL(url).pathname.slice(1);
  address.leadTo(portOf(url));
  database = openPg({ connectionString: urlAt(address.port) });
  await prepare(database);
  await vi.waitFor(() => openedStandby(), WAIT);
  workspaceId = `w-${randomUUID()}`;
  answers = [];
});
afterEach(async () => {
  await database.close();
  await operator.close();
  await address.close();
  await standby.stop();
  await primary.stop();
});

async function openedStandby(): Promise<void> {
  const opened = openPg({ connectionString: standby.urlOf(databaseName) });
  try {
    await opened.query('select 1 from public.sim_items limit 1');
    operator = opened;
  } catch (error) {
    await opened.close();
    throw error;
  }
}

type Device = ReturnType<typeof startDevice>;

/** A device with rows of its own and one that it shares with all others, which notes what it was told. */
function startDevice(place: number, sharedId: string, confirmedTailMs: number | undefined) {
  const queue = createQueue({
    name: randomUUID(),
    identity: { userId: 'ada', workspaceId },
    mutations: [createItem, updateItem],
    transport: httpTransport({
      url: 'http://localhost/v1/apply',
      fetch: async (url, init) => {
        const answer = await door.fetch(new Request(url, init));
        const body = (await answer.clone().json()) as { readonly error?: { readonly code: string } };
        answers.push(`${answer.status} ${body.error?.code ?? ''}`.trim());
        return answer;
      },
    }),
    auth: { getToken: () => Promise.resolve(token(workspaceId)) },
    storage: memoryStorage(),
    tabs: soloTabs,
    clock: hastyClock,
    attemptTimeoutMs: 30_000 * HASTE,
    network: {
      isOnline: () => true,
      onHint: () => () => {},
      probe: async () => ({ kind: 'reached', latencyMs: 1 }),
    },
    ...(confirmedTailMs === undefined ? {} : { confirmedTailMs }),
  });
  const door = createDoor({ database, auth: { secret: SECRET }, rateLimit: false });
  const rows = Array.from({ length: ROWS_PER_DEVICE }, () => randomUUID());
  // the first device makes the row that all of them share
  const expected = new Map<string, string[]>(place === 0 ? [] : [[sharedId, []]]);
  const confirmed = new Set<string>();
  const settling: Promise<unknown>[] = [];
  let count = 0;
  return {
    queue,
    place,
    expected,
    confirmed,
    /** As many more changes, in turn of the own rows and the shared one. */
    async change(more: number): Promise<void> {
      for (let index = 0; index < more; index += 1) {
        const id = [sharedId, ...rows][count % (ROWS_PER_DEVICE + 1)] ?? '';
        const tag = `${place}.${count}`;
        count += 1;
        const type = expected.has(id) ? 'item.update' : 'item.create';
        expected.set(id, [...(expected.get(id) ?? []), tag]);
        const handle = await queue.add({ type, payload: { id, tag } });
        settling.push(
          handle.settled.then(({ status }) => {
            if (status === 'completed') confirmed.add(tag);
          }),
        );
      }
    },
    async rest(): Promise<void> {
      await Promise.all(settling);
    },
  };
}

/** The tags of each row, in the order in which they took effect. */
async function entriesIn(source: Database): Promise<ReadonlyMap<string, readonly string[]>> {
  const rows = await source.query<{ id: string; entries: readonly string[] }>(
    'select id::text, entries from public.sim_items where workspace_id = $1',
    [workspaceId],
  );
  return new Map(rows.map(({ id, entries }) => [id, entries]));
}

async function tagsIn(source: Database): Promise<ReadonlySet<string>> {
  return new Set([...(await entriesIn(source)).values()].flat());
}

async function startDevices(confirmedTailMs?: number): Promise<readonly Device[]> {
  const sharedId = randomUUID();
  const devices = Array.from({ length: DEVICE_COUNT }, (_, place) => startDevice(place, sharedId, confirmedTailMs));
  for (const others of [devices.slice(0, 1), devices]) {
    await changeAll(others, 8);
    await restAll(others);
  }
  return devices;
}

async function standbyHas(devices: readonly Device[]): Promise<void> {
  const confirmed = devices.flatMap((device) => [...device.confirmed]);
  await vi.waitFor(async () => expect([...(await tagsIn(operator))]).toEqual(expect.arrayContaining(confirmed)), WAIT);
}

/** From now on the standby hears nothing. What it had received it replays. */
async function cutOff(): Promise<void> {
  await operator.query(`alter system set primary_conninfo = ''`);
  await operator.query('select pg_reload_conf()');
  await vi.waitFor(async () => {
    const [receivers] = await operator.query<{ count: number }>('select count(*)::int from pg_stat_wal_receiver');
    expect(receivers?.count).toBe(0);
  }, WAIT);
}

/**
 * The primary dies while devices send and never comes back; the address leads to the standby, at first before that is promoted.
 * Answers what was confirmed to devices and is not on the standby.
 */
async function failOver(devices: readonly Device[]): Promise<readonly string[]> {
  await primary.kill();
  address.leadTo(portOf(standby.urlOf(databaseName)));
  const answeredCount = answers.length;
  await vi.waitFor(() => expect(answers.length).toBeGreaterThan(answeredCount + DEVICE_COUNT), WAIT);
  const there = await tagsIn(operator);
  // Once it is promoted, it confirms more.
  const lost = devices.flatMap(({ confirmed }) => [...confirmed]).filter((tag) => !there.has(tag));
  await operator.query('select pg_promote()');
  return lost;
}

const portOf = (url: string): number => Number(new URL(url).port);

function urlAt(port: number): string {
  const url = new URL(primary.urlOf(databaseName));
  url.port = String(port);
  return String(url);
}

/** Answered by whichever server the address leads to. */
async function readFrom(cursor: string | null): Promise<ChangePage> {
  const claims = { sub: 'ada', role: 'authenticated', workspace_id: workspaceId } as const;
  return withCaller(database, claims, (session) => readChanges(session, { cursor }));
}

async function reasonsOfEpochs(): Promise<readonly string[]> {
  const epochs = await database.query<{ reason: string }>('select reason from holdfast.epochs order by place');
  return epochs.map(({ reason }) => reason);
}

async function expectEachEffectOnceAndInOrder(devices: readonly Device[]): Promise<void> {
  const entries = await entriesIn(database);
  let count = 0;
  for (const { expected, place } of devices) {
    for (const [id, tags] of expected) {
      // of a row that several devices change, each one's changes are in its order
      const own = (entries.get(id) ?? []).filter((tag) => tag.startsWith(`${place}.`));
      expect(own).toEqual(tags);
      count += tags.length;
    }
  }
  const [traces] = await database.query<Record<'entries' | 'ledger' | 'ids' | 'audit', number>>(
    `select (select sum(cardinality(entries))::int from public.sim_items where workspace_id = $1) as entries,
            (select count(*)::int from holdfast.ledger where workspace_id = $1) as ledger,
            (select count(distinct mutation_id)::int from holdfast.ledger where workspace_id = $1) as ids,
            (select count(*)::int from holdfast.audit_log where workspace_id = $1 and mutation_id is not null) as audit`,
    [workspaceId],
  );
  expect(traces).toEqual({ entries: count, ledger: count, ids: count, audit: count });
  for (const { queue } of devices)
    expect((await queue.getStatus()).counts).toMatchObject({ pending: 0, processing: 0, failed: 0 });
}

const changeAll = (devices: readonly Device[], count: number) =>
  Promise.all(devices.map((device) => device.change(count)));
const restAll = (devices: readonly Device[]) => Promise.all(devices.map((device) => device.rest()));
const closeAll = (devices: readonly Device[]) => Promise.all(devices.map(({ queue }) => queue.close()));

test('P12 · after a fail-over to a standby that lagged, what was confirmed and lost comes back by itself, each effect once, and in order', {
  timeout: TIMEOUT_MS,
}, async () => {
  const devices = await startDevices();
  const { cursor } = await readFrom(null);
  await standbyHas(devices);
  await cutOff();
  await changeAll(devices, 12);
  await restAll(devices);
  await changeAll(devices, 20);
  const lost = await failOver(devices);

  await restAll(devices);

  // control: of every device the standby had missed what was confirmed
  expect(lost.length).toBeGreaterThanOrEqual(12 * DEVICE_COUNT);
  await expectEachEffectOnceAndInOrder(devices);
  expect(await reasonsOfEpochs()).toEqual(['first', expect.stringMatching(/changed from .*\/0{7}1.* to .*\/0{7}2/)]);
  expect(await readFrom(cursor)).toMatchObject({ resync: true });
  // Not promoted yet, it takes nothing, which is nobody's fault.
  expect(new Set(answers)).toEqual(new Set(['200', '503 SERVER_UNAVAILABLE']));

  // Killed and started again on its own files, it is the same server still.
  await standby.kill();
  await standby.restart();
  await changeAll(devices, 4);
  await restAll(devices);
  await expectEachEffectOnceAndInOrder(devices);
  expect(await reasonsOfEpochs()).toHaveLength(2);
  await closeAll(devices);
});

test('P12 · control: after a fail-over that is not noticed, what was confirmed and lost stays lost, until somebody says so', {
  timeout: TIMEOUT_MS,
}, async () => {
  await database.query(`create or replace function holdfast.incarnation() returns text language sql return '?'`);
  await database.query(`select holdfast.begin_epoch('of a server that knows nothing of itself')`);
  const devices = await startDevices();
  await standbyHas(devices);
  const epochs = await reasonsOfEpochs();
  await cutOff();
  await changeAll(devices, 12);
  await restAll(devices);
  await changeAll(devices, 20);
  const lost = await failOver(devices);

  await restAll(devices);

  expect(lost.length).toBeGreaterThanOrEqual(12 * DEVICE_COUNT);
  const there = await tagsIn(database);
  expect(lost.filter((tag) => there.has(tag))).toEqual([]);
  expect(await reasonsOfEpochs()).toEqual(epochs);

  // Said by hand now, it is late, and not too late: what the devices have acknowledged, and nobody here has heard of, they send again under
  // another id. It comes behind what was changed meanwhile.
  await database.query(`select holdfast.begin_epoch('said late')`);
  await changeAll(devices, 1);
  await restAll(devices);
  const inTheEnd = [...(await entriesIn(database)).values()].flat();
  expect(new Set(inTheEnd).size).toBe(inTheEnd.length);
  expect(inTheEnd.toSorted()).toEqual(devices.flatMap(({ expected }) => [...expected.values()].flat()).toSorted());
  await closeAll(devices);
});

test('P12 · with a synchronous standby nothing that was confirmed is lost, also to devices that keep no tail', {
  timeout: TIMEOUT_MS,
}, async () => {
  const devices = await startDevices(0);
  await standbyHas(devices);
  await database.query(`alter system set synchronous_standby_names = '*'`);
  await database.query('select pg_reload_conf()');
  await changeAll(devices, 12);
  await restAll(devices);
  await cutOff();
  await changeAll(devices, 20);
  // A commit is not confirmed before the standby has it, and that hears nothing.
  await vi.waitFor(async () => {
    const waiting = await database.query(`select pid from pg_stat_activity where wait_event = 'SyncRep'`);
    expect(waiting).not.toEqual([]);
  }, WAIT);
  const lost = await failOver(devices);

  await restAll(devices);

  expect(lost).toEqual([]);
  await expectEachEffectOnceAndInOrder(devices);
  await closeAll(devices);
});

test('P12 · a connection to a server that takes no changes is let go, so that the next one goes where the address leads by then', async () => {
  const remove = 'delete from public.sim_items';
  for (const change of [
    (single: Database) => single.query(remove),
    (single: Database) => single.transaction((session) => session.query(remove)),
  ]) {
    const single = openPg({ connectionString: urlAt(address.port), connectionCountMax: 1 });
    address.leadTo(portOf(standby.urlOf(databaseName)));
    await expect(change(single)).rejects.toMatchObject({ code: '25006' });
    address.leadTo(portOf(primary.urlOf(databaseName)));
    await expect(change(single)).resolves.toEqual([]);
    await single.close();
  }
});
