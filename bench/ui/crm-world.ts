import { execFile } from 'node:child_process';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { createRequire } from 'node:module';
import { promisify } from 'node:util';
import { getRequestListener } from '@hono/node-server';
import { openPglite } from '@holdfast/server';
import { createApp } from '../../examples/crm/server/app.ts';
import { readPageFiles } from '../../examples/crm/server/page-files.ts';
import { prepareDatabase } from '../../examples/crm/server/prepare-database.ts';

export interface CrmWorld {
  readonly url: string;
  readonly close: () => Promise<void>;
}

const ROOT = join(import.meta.dirname, '..', '..');
const CRM = join(ROOT, 'examples', 'crm');
/** Apart from what `npm start` serves. */
const PAGE = join(ROOT, 'temp', 'bench-crm');

/** The example's own page and server on an embedded database in memory, with so many accounts. */
export async function openCrm(rowCount: number): Promise<CrmWorld> {
  const vite = join(dirname(createRequire(import.meta.url).resolve('vite/package.json')), 'bin', 'vite.js');
  const env = { ...process.env, NODE_ENV: 'production' };
  await promisify(execFile)(
    process.execPath,
    [vite, 'build', '--logLevel', 'error', '--outDir', PAGE, '--emptyOutDir'],
    { cwd: CRM, env },
  );
  const database = await openPglite();
  const { databaseId } = await prepareDatabase(database);
  // what is left out is no change that anybody should hear of
  await database.query("select holdfast.disable_audit('public.accounts')");
  await database.query(
    `delete from public.accounts
     where id not in (select id from public.accounts where workspace_id = 'meridian-world' order by id limit $1)`,
    [rowCount],
  );
  await database.query("select holdfast.enable_audit('public.accounts')");
  const pageFiles = readPageFiles(PAGE);
  const app = createApp({ database, databaseId, secret: Buffer.alloc(32, 7), pageFiles });
  const server = createServer(getRequestListener(app.fetch));
  await new Promise<void>((done) => server.listen(0, 'localhost', done));
  return {
    url: `http://localhost:${(server.address() as AddressInfo).port}`,
    close: async () => {
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
      await database.close();
    },
  };
}
