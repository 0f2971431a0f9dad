import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { type Line, openLine } from './line.ts';
import { type RealPostgres, startRealPostgres } from './real-postgres.ts';
import { type ServerProcess, startServer } from './server-process.ts';

/** Everything but the browser: a real Postgres, the example's own server as a process, and a line that can fail. */
export interface World {
  /** Straight to the server, past the line. */
  readonly serverUrl: string;
  readonly line: Line;
  readonly query: <Row extends object>(sql: string, parameters?: readonly unknown[]) => Promise<readonly Row[]>;
  readonly dataFolder: string;
  readonly close: () => Promise<void>;
}

export async function openWorld(): Promise<World> {
  await buildPage();
  const dataFolder = await mkdtemp(join(tmpdir(), 'crm-data-'));
  const postgres: RealPostgres = await startRealPostgres();
  const server: ServerProcess = await startServer({ HOLDFAST_DATA: dataFolder, DATABASE_URL: postgres.databaseUrl });
  const line = await openLine(server.port);
  const pool = new pg.Pool({ connectionString: postgres.databaseUrl });
  // the server of the test may stop before the last connection has said goodbye
  pool.on('connect', (client) => client.on('error', () => undefined));
  pool.on('error', () => undefined);
  return {
    serverUrl: `http://localhost:${server.port}`,
    line,
    dataFolder,
    query: async <Row extends object>(sql: string, parameters: readonly unknown[] = []): Promise<readonly Row[]> =>
      (await pool.query<Row>(sql, [...parameters])).rows,
    close: async () => {
      await line.close();
      await server.stop();
      await pool.end();
      await postgres.stop();
      await rm(dataFolder, { recursive: true, force: true });
    },
  };
}

/** As `npm run build` does it, in a process that is not in test mode. */
async function buildPage(): Promise<void> {
  const root = join(import.meta.dirname, '..', '..');
  const vite = join(dirname(createRequire(import.meta.url).resolve('vite/package.json')), 'bin', 'vite.js');
  const env = { ...process.env, NODE_ENV: 'production' };
  await promisify(execFile)(process.execPath, [vite, 'build', '--logLevel', 'warn'], { cwd: root, env });
}
