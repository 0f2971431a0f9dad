import { randomBytes } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { join } from 'node:path';
import { getRequestListener } from '@hono/node-server';
import { Hono } from 'hono';
import { SignJWT } from 'jose';
import { createTokenVerifier } from '../auth.ts';
import { createDoor } from '../door.ts';
import { createLiveChannel } from '../live-channel.ts';
import { attachLiveSocket } from '../live-socket.ts';
import { startMaintenance } from '../maintenance.ts';
import { migrate } from '../migrate.ts';
import { openPg } from '../pg-database.ts';
import { openPglite } from '../pglite-database.ts';
import { Refusal } from '../refusal.ts';
import { shutDown } from '../shut-down.ts';

export interface DevelopOptions {
  /** For the embedded database and the secret; made where it is not there. */
  readonly folder: string;
  /** Null for the embedded one. */
  readonly databaseUrl: string | null;
  /** The app's own migrations; null for none. */
  readonly sqlFolder: string | null;
  /** 0 takes any free one. */
  readonly port: number;
  /** Told of what went wrong beside requests. */
  readonly onError: (error: unknown) => void;
}

export interface Development {
  readonly url: string;
  /** Migrations that have run now. */
  readonly applied: readonly string[];
  stop(): Promise<void>;
}

const SERVER_NAMES = ['localhost', '127.0.0.1', '[::1]'];

/**
 * Everything on one machine: a database (embedded, unless another is named) with Holdfast's tables and the app's, the door with live
 * updates, and tokens for whoever asks. It is reached from this machine only.
 */
export async function develop(options: DevelopOptions): Promise<Development> {
  const { folder, databaseUrl, sqlFolder, onError } = options;
  const app = Promise.withResolvers<Hono>();
  app.promise.catch(() => undefined); // whoever started it is told
  // First of all, so that a taken port is found before anything is opened; requests wait for the app.
  const server = createServer(
    getRequestListener(async (request, bindings) => (await app.promise).fetch(request, bindings)),
  );
  const port = await listen(server, options.port);
  try {
    const secret = await readOrMakeSecret(folder);
    const database =
      databaseUrl === null
        ? await openPglite({ folder: join(folder, 'database') })
        : openPg({ connectionString: databaseUrl, onIdleError: onError });
    const { applied } = await migrate(database);
    const own = sqlFolder === null ? [] : (await migrate(database, { set: 'app', folder: sqlFolder })).applied;
    const live = createLiveChannel({ database, onError });
    attachLiveSocket(server, { live, verifyToken: createTokenVerifier({ secret }) });
    const maintenance = startMaintenance({ database, onError });
    app.resolve(createApp(createDoor({ database, auth: { secret }, live }), secret));
    return {
      url: `http://localhost:${port}`,
      applied: [...applied, ...own],
      stop: async () => void (await shutDown({ server, database, live, maintenance })),
    };
  } catch (error) {
    app.reject(error);
    server.close();
    throw error;
  }
}

function createApp(door: Hono, secret: Uint8Array): Hono {
  const app = new Hono();
  // a page of somebody else's whose name leads to this machine gets nothing
  app.use(async ({ req }, next) => {
    if (!SERVER_NAMES.includes(new URL(req.url).hostname))
      return new Refusal('NOT_FOUND', 'This server is for this machine.', 'Ask for localhost.').toResponse();
    return next();
  });
  app.get('/dev/token', async (context) => {
    const { user = 'ana', workspace = 'demo', role } = context.req.query();
    const token = await new SignJWT({
      role: 'authenticated',
      workspace_id: workspace,
      ...(role === 'admin' ? { holdfast_role: 'admin' } : {}),
    })
      .setProtectedHeader({ alg: 'HS256' })
      .setSubject(user)
      .setExpirationTime('1h')
      .sign(secret);
    return context.json({ token }, 200, { 'cache-control': 'no-store' });
  });
  app.route('/', door);
  return app;
}

function listen(server: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const message =
        cause.code === 'EADDRINUSE'
          ? `Port ${port} is taken: stop the program that uses it, or give --port another one.`
          : `Port ${port} cannot be used (${cause.code ?? cause.message}): give --port another one.`;
      reject(new Error(message, { cause }));
    });
    server.listen(port, 'localhost', () => {
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : port);
    });
  });
}

/** Made once, so that tokens outlive a restart; only its owner can read it. */
async function readOrMakeSecret(folder: string): Promise<Uint8Array> {
  await mkdir(folder, { recursive: true });
  const file = join(folder, 'development-secret');
  await writeFile(file, randomBytes(32).toString('base64url'), { mode: 0o600, flag: 'wx' }).catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    },
  );
  return Buffer.from((await readFile(file, 'utf8')).trim(), 'base64url');
}
