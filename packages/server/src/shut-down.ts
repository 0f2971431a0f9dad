import type { Server } from 'node:http';
import type { Database } from './database.ts';
import type { LiveChannel } from './live-channel.ts';
import type { Maintenance } from './maintenance.ts';

export interface ShutDownOptions {
  /** That the door is served by. */
  readonly server: Server;
  readonly database: Database;
  readonly live?: LiveChannel;
  readonly maintenance?: Maintenance;
  /**
   * How long requests in flight and live lines may take to end, in milliseconds; then they are cut off, or end with the process. As long
   * again is waited for the database to be let go, which waits for what still runs in it. @default 5_000
   */
  readonly finishMsMax?: number;
}

export interface ShutDownResult {
  /**
   * False when a request was cut off, or something still held a line or the database. Its device sends it again, and it takes effect
   * once. What runs on ends with the process.
   */
  readonly isWhole: boolean;
}

/** A line that was in use when the end began is looked at again so often, in milliseconds. */
const LOOK_MS = 50;

/**
 * Ends a server without losing what it took, as a rolling update wants it (on SIGTERM): no new connection is taken, live
 * subscribers are told to come again elsewhere, requests in flight are answered, and only then the database is let go.
 */
export async function shutDown(options: ShutDownOptions): Promise<ShutDownResult> {
  const { server, database, live, maintenance, finishMsMax = 5_000 } = options;
  const closed = new Promise<boolean>((resolve) => {
    server.close(() => resolve(true));
  });
  // One that is kept alive is idle, and can go, once its request is answered.
  const idle = setInterval(() => server.closeIdleConnections(), LOOK_MS);
  server.closeIdleConnections();
  // the channel may wait for a database that does not answer, and a line that has become a WebSocket is none that Node would cut off
  const isAnswered = await within(
    finishMsMax,
    Promise.all([closed, live?.close()]).then(() => true),
  );
  clearInterval(idle);
  if (!isAnswered) server.closeAllConnections();
  const letGo = async (): Promise<boolean> => {
    await maintenance?.close();
    await database.close();
    return true;
  };
  return { isWhole: (await within(finishMsMax, letGo())) && isAnswered };
}

async function within(timeoutMs: number, done: Promise<boolean>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), timeoutMs);
  });
  try {
    return await Promise.race([done, late]);
  } finally {
    clearTimeout(timer);
  }
}
