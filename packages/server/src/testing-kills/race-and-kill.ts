import { type ChildProcess, fork } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import type { ApplyResponse, WireMutation } from 'holdfast/protocol';
import type { Database } from '../database.ts';
import { migrate } from '../migrate.ts';
import { openPg } from '../pg-database.ts';
import { randomFrom } from '../testing-databases/random-from.ts';
import { startRealPostgres } from '../testing-databases/real-postgres.ts';
import { createDevice } from '../testing-databases/test-device.ts';
import { TEST_TABLES } from '../testing-databases/test-tables.ts';
import { TEST_SECRET, testToken } from '../testing-databases/test-token.ts';

export interface KillPlan {
  readonly killCount: number;
  readonly clientCount: number;
  /** Of one client, at a time. */
  readonly senderCount: number;
  readonly seed: number;
  readonly onKill?: (done: number) => void;
}

export interface KillReport {
  readonly postgresKills: number;
  readonly serverKills: number;
  readonly answered: number;
  readonly unanswered: number;
  readonly effects: number;
  /** What should not be, in words; empty when all is well. */
  readonly broken: readonly string[];
}

const LISTS_PER_CLIENT = 3;
const LIFE_MS_SPREAD = 300;
const REQUEST_TIMEOUT_MS = 20_000;
const RETRY_MS = 150;

/** After a crash Postgres would sync each of some thousand files by itself, which is most of the time that it is away. */
const QUICK_RECOVERY = process.platform === 'linux' ? ['recovery_init_sync_method=syncfs'] : [];

/**
 * Clients append to lists, each list a lane, while Postgres (which waits for its disk) and the server before it are ended with
 * SIGKILL at random. Each client has several senders at a time, whose slices overlap, repeat and come in any order. A list keeps
 * every value it was ever set to, so it tells what took effect, how often, and in which order.
 */
export async function raceAndKill(plan: KillPlan): Promise<KillReport> {
  const draw = randomFrom(plan.seed);
  const postgres = await startRealPostgres({ isDurable: true, settings: QUICK_RECOVERY });
  const databaseUrl = await postgres.createDatabase();
  await withDatabase(databaseUrl, async (database) => {
    await migrate(database);
    await database.transaction((session) => session.runScript(TEST_TABLES));
  });
  let door = await startDoor(databaseUrl);
  // what is away is not asked by all of them all the time: that would take the time of what is starting
  let isBack: Promise<void> = Promise.resolve();
  const stopping = new AbortController();
  const counts = { postgresKills: 0, serverKills: 0, answered: 0, unanswered: 0 };
  const broken: string[] = [];
  const clients = Array.from({ length: plan.clientCount }, () => createRacer(databaseUrl));
  const tokens = await Promise.all(
    clients.map(({ device }) => testToken(device.workspaceId, device.claims.sub, 86_400)),
  );

  const send = async (client: Racer, token: string, mutations: readonly WireMutation[]): Promise<boolean> => {
    try {
      const answer = await fetch(`http://127.0.0.1:${door.port}/v1/apply`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
        body: JSON.stringify({
          protocol: 1,
          client: { id: client.device.clientId, workspaceId: client.device.workspaceId },
          acknowledgedFloor: 0,
          mutations,
        }),
        signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
      });
      if (!answer.ok) throw new Error(String(answer.status));
      for (const outcome of ((await answer.json()) as ApplyResponse).outcomes) {
        if (outcome.kind === 'applied') {
          // answered once as done now, it must be known from then on
          if (client.applied.has(outcome.seq))
            broken.push(`${client.device.clientId} ${outcome.seq} was applied twice`);
          client.applied.add(outcome.seq);
        } else if (
          outcome.kind === 'rejected' ||
          outcome.kind === 'conflict' ||
          (outcome.kind === 'duplicate' && outcome.verdict !== 'applied')
        ) {
          broken.push(`${client.device.clientId} ${outcome.seq} was answered ${outcome.kind}`);
        }
        if (outcome.kind === 'applied' || outcome.kind === 'duplicate') client.settled.add(outcome.seq);
      }
      counts.answered += 1;
      return true;
    } catch {
      counts.unanswered += 1;
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      // one goes on, so that also a server that is only just starting has somebody at its door
      if (client !== clients[0]) await isBack;
      return false;
    }
  };

  const race = async (client: Racer, token: string, sender: number): Promise<void> => {
    const drawOwn = randomFrom(plan.seed * 1_000 + sender);
    while (!stopping.signal.aborted) {
      // a little of the past, and what comes next
      client.growTo(client.firstUnsettled() + 40);
      const from = Math.max(0, client.firstUnsettled() - 10 + Math.floor(drawOwn() * 20));
      const slice = client.mutations.slice(from, from + 1 + Math.floor(drawOwn() * 25));
      await send(client, token, drawOwn() < 0.2 ? slice.toReversed() : slice);
    }
  };
  const racing = clients.flatMap((client, index) =>
    Array.from({ length: plan.senderCount }, (_, sender) =>
      race(client, tokens[index] ?? '', index * plan.senderCount + sender),
    ),
  );

  try {
    for (let kill = 0; kill < plan.killCount; kill += 1) {
      // not before it is at work again: to kill what has just begun proves little
      const isAtWork = counts.answered + plan.clientCount;
      while (counts.answered < isAtWork) await new Promise((resolve) => setTimeout(resolve, 10));
      await new Promise((resolve) => setTimeout(resolve, draw() * LIFE_MS_SPREAD));
      const { promise, resolve: tellBack } = Promise.withResolvers<void>();
      isBack = promise;
      if (draw() < 0.5) {
        await postgres.kill();
        await postgres.restart();
        counts.postgresKills += 1;
      } else {
        door.process.kill('SIGKILL');
        door = await startDoor(databaseUrl);
        counts.serverKills += 1;
      }
      tellBack();
      plan.onKill?.(kill + 1);
    }
    stopping.abort();
    await Promise.all(racing);
    // healed: all that was made is sent until it is settled
    for (const [index, client] of clients.entries()) {
      for (let tries = 0; client.firstUnsettled() < client.mutations.length && tries < 1_000; tries += 1) {
        const from = client.firstUnsettled();
        await send(client, tokens[index] ?? '', client.mutations.slice(from, from + 100));
      }
    }
    const effects = await withDatabase(databaseUrl, (database) => check(database, clients, broken));
    return { ...counts, effects, broken };
  } finally {
    stopping.abort();
    door.process.kill('SIGKILL');
    await postgres.stop();
  }
}

/** Each list holds 1, 2, 3, … as far as it was appended to; each effect has one ledger row and one audit row. */
async function check(database: Database, clients: readonly Racer[], broken: string[]): Promise<number> {
  let effects = 0;
  for (const { device, lengths, mutations } of clients) {
    const rows = await database.query<{ id: string; history: number[] }>(
      'select id, history from public.lists where workspace_id = $1',
      [device.workspaceId],
    );
    for (const [id, length] of lengths) {
      const history = rows.find((row) => row.id === id)?.history ?? [];
      if (history.length !== length || history.some((value, index) => value !== index + 1)) {
        broken.push(`list ${id} should be 1 to ${length} and is ${history.join()}`);
      }
      effects += history.length;
    }
    const [traces] = await database.query<{ ledger: number; audit: number }>(
      `select (select count(*)::int from holdfast.ledger where workspace_id = $1) as ledger,
              (select count(*)::int from holdfast.audit_log where workspace_id = $1) as audit`,
      [device.workspaceId],
    );
    if (traces?.ledger !== mutations.length || traces.audit !== mutations.length) {
      broken.push(`${mutations.length} effects have ${traces?.ledger} ledger rows and ${traces?.audit} audit rows`);
    }
  }
  return effects;
}

interface Racer {
  readonly device: ReturnType<typeof createDevice>;
  readonly mutations: readonly WireMutation[];
  readonly applied: Set<number>;
  readonly settled: Set<number>;
  /** Of each list, how often it is appended to. */
  readonly lengths: ReadonlyMap<string, number>;
  growTo(count: number): void;
  /** As an index into `mutations`. */
  firstUnsettled(): number;
}

function createRacer(databaseUrl: string): Racer {
  // it only makes mutations and numbers them; what sends them is elsewhere
  const device = createDevice(openPg({ connectionString: databaseUrl }));
  const mutations: WireMutation[] = [];
  const settled = new Set<number>();
  const ids = Array.from({ length: LISTS_PER_CLIENT }, () => randomUUID());
  const lengths = new Map<string, number>();
  const last = new Map<string, number>();
  let first = 0;
  return {
    device,
    mutations,
    applied: new Set(),
    settled,
    lengths,
    growTo(count) {
      while (mutations.length < count) {
        const id = ids[mutations.length % LISTS_PER_CLIENT] ?? '';
        const value = (lengths.get(id) ?? 0) + 1;
        const mutation = device.next({
          operation: value === 1 ? 'create' : 'update',
          entity: { table: 'lists', id },
          payload: { value },
          after: last.get(id) ?? null,
        });
        lengths.set(id, value);
        last.set(id, mutation.seq);
        mutations.push(mutation);
      }
    },
    firstUnsettled() {
      while (first < mutations.length && settled.has(mutations[first]?.seq ?? -1)) first += 1;
      return first;
    },
  };
}

async function startDoor(databaseUrl: string): Promise<{ readonly process: ChildProcess; readonly port: number }> {
  const child = fork(join(import.meta.dirname, 'door-process.ts'), [databaseUrl, TEST_SECRET], {
    execArgv: ['--conditions=@holdfast/source', '--disable-warning=ExperimentalWarning'],
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const port = await new Promise<number>((resolve, reject) => {
    child.once('message', (message) => resolve(Number(message)));
    child.once('exit', () => reject(new Error('The server did not start.')));
  });
  return { process: child, port };
}

async function withDatabase<Result>(
  connectionString: string,
  work: (database: Database) => Promise<Result>,
): Promise<Result> {
  const database = openPg({ connectionString });
  try {
    return await work(database);
  } finally {
    await database.close();
  }
}
