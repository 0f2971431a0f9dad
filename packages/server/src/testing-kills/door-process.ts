// A server as people run it: the door on a port of its own, told to whoever started it. Ended from outside.
import { createServer } from 'node:http';
import { getRequestListener } from '@hono/node-server';
import { createDoor } from '../door.ts';
import { openPg } from '../pg-database.ts';

const [databaseUrl = '', secret = ''] = process.argv.slice(2);
const database = openPg({ connectionString: databaseUrl, connectionCountMax: 20 });
const door = createDoor({ database, auth: { secret }, rateLimit: false, inFlightCountMax: 1_000 });
const server = createServer(getRequestListener(door.fetch));
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  if (typeof address === 'object' && address !== null) process.send?.(address.port);
});
