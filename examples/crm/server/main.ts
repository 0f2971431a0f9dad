// The example's server: page, API and database on one port.
//   PORT (3000; 0 takes any free one), HOST (localhost), HOLDFAST_DATA (./.data), DATABASE_URL (else embedded, in the data folder)
import { createServer, type Server } from 'node:http';
import { join } from 'node:path';
import { getRequestListener } from '@hono/node-server';
import {
  attachLiveSocket,
  createLiveChannel,
  createTokenVerifier,
  type Database,
  type Maintenance,
  openPg,
  openPglite,
  shutDown,
  startMaintenance,
} from '@holdfast/server';
import type { Hono } from 'hono';
import { createApp } from './app.ts';
import { readOrMakeSecret } from './development-secret.ts';
import { readPageFiles } from './page-files.ts';
import { prepareDatabase } from './prepare-database.ts';
import { readSettings, type Settings } from './settings.ts';

try {
  await start();
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  process.exit(1);
}

async function start(): Promise<void> {
  const settings = readSettings(process.env);
  const app = Promise.withResolvers<Hono>();
  app.promise.catch(() => undefined); // told once, below
  // Listening comes first, so that a taken port is found before anything is opened; requests wait for the app.
  const server = createServer(
    getRequestListener(async (request, bindings) => (await app.promise).fetch(request, bindings)),
  );
  const port = await listen(server, settings);
  const secret = readOrMakeSecret(settings.dataFolder);
  const database = await openDatabase(settings);
  const live = createLiveChannel({ database, onError: (error) => console.error('Live updates:', error) });
  const begun: { maintenance?: Maintenance } = {};
  stopOnSignal(() => shutDown({ server, database, live, ...begun }));

  const startedAtMs = performance.now();
  const { databaseId, seededCount } = await prepareDatabase(database);
  if (seededCount > 0) {
    console.error(`Filled ${seededCount} accounts in ${((performance.now() - startedAtMs) / 1000).toFixed(1)} s.`);
  }
  const pageFiles = readPageFiles(join(import.meta.dirname, '..', 'dist'));
  app.resolve(createApp({ database, databaseId, secret, pageFiles, live }));
  begun.maintenance = startMaintenance({ database, onError: (error) => console.error('Maintenance:', error) });
  attachLiveSocket(server, { live, verifyToken: createTokenVerifier({ secret }) });
  console.log(`http://${settings.host}:${port}`);
}

function listen(server: Server, settings: Settings): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const message =
        cause.code === 'EADDRINUSE'
          ? `Port ${settings.port} is taken: stop the program that uses it, or set PORT to another one.`
          : `Cannot listen on ${settings.host}:${settings.port} (${cause.code ?? cause.message}): set HOST and PORT to an address of this machine.`;
      reject(new Error(message, { cause }));
    });
    server.listen(settings.port, settings.host, () => {
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : settings.port);
    });
  });
}

async function openDatabase(settings: Settings): Promise<Database> {
  if (settings.databaseUrl !== null) return openPg({ connectionString: settings.databaseUrl });
  return await openPglite({ folder: join(settings.dataFolder, 'database') });
}

/** The first signal lets requests finish and closes the database; a second one ends at once. */
function stopOnSignal(stop: () => Promise<unknown>): void {
  let isStopping = false;
  const end = async (): Promise<void> => {
    if (isStopping) process.exit(1);
    isStopping = true;
    await stop();
    process.exit(0);
  };
  process.on('SIGINT', () => void end());
  process.on('SIGTERM', () => void end());
}
