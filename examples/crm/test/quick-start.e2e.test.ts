import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { getRequestListener } from '@hono/node-server';
import { createDoor, migrate, openPglite } from '@holdfast/server';
import { Hono } from 'hono';
import { SignJWT } from 'jose';
import { build, type Rolldown } from 'vite';
import { expect, test } from 'vitest';
import { makeProfile, startBrowser } from './support/browser.ts';

const ROOT = join(import.meta.dirname, '..', '..', '..');
const SECRET = Buffer.alloc(32, 7);

test('K4 · the quick start of the README runs as it is shown: in a browser, with a server made as shown there', async () => {
  const readme = await readFile(join(ROOT, 'README.md'), 'utf8');
  const [block = ''] = [...readme.matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map((match) => match[1]);
  const register = /`(select holdfast\.register_table\([^`]+)`/.exec(readme)?.[1] ?? '';
  const script = await bundled(`${block}\nObject.assign(globalThis, { verdict });\n`);

  const database = await openPglite();
  await migrate(database);
  await database.query(
    'create table public.accounts (id text primary key, workspace_id text not null default holdfast.workspace(), name text)',
  );
  await database.query('alter table public.accounts enable row level security');
  await database.query(
    'create policy own on public.accounts to authenticated using (workspace_id = holdfast.workspace())',
  );
  await database.query('grant select, insert, update, delete on public.accounts to authenticated');
  await database.query(register);
  await database.query("insert into public.accounts values ('7f0c…', 'north', 'Harbour')");
  const app = new Hono()
    .route('/', createDoor({ database, auth: { secret: SECRET } }))
    .get('/page.js', (context) => context.body(script, 200, { 'content-type': 'text/javascript' }))
    .get('/', (context) => context.html('<!doctype html><title>Quick start</title>'));
  const server = createServer(getRequestListener(app.fetch));
  await new Promise<void>((done) => server.listen(0, 'localhost', done));
  const profile = await makeProfile();
  const browser = await startBrowser(profile.folder);
  try {
    const page = await browser.newPage();
    await page.goto(`http://localhost:${(server.address() as AddressInfo).port}/`);
    const token = await new SignJWT({ role: 'authenticated', workspace_id: 'north' })
      .setProtectedHeader({ alg: 'HS256' })
      .setSubject('ana')
      .setExpirationTime('1h')
      .sign(SECRET);
    await page.evaluate((value) => sessionStorage.setItem('token', value), token);
    await page.addScriptTag({ url: '/page.js', type: 'module' });
    const verdict = await page.waitForFunction(() => (globalThis as { verdict?: { readonly status: string } }).verdict);
    expect(await verdict.evaluate((value) => value?.status)).toBe('completed');
    expect(await database.query('select name from public.accounts')).toEqual([{ name: 'Harbour & Sons' }]);
  } finally {
    await browser.close();
    await profile.remove();
    server.closeAllConnections();
    server.close();
    await database.close();
  }
});

/** As an app's bundler does it, from the packages' sources. */
async function bundled(source: string): Promise<string> {
  await mkdir(join(ROOT, 'temp'), { recursive: true });
  const folder = await mkdtemp(join(ROOT, 'temp', 'quick-start-'));
  try {
    const input = join(folder, 'quick-start.ts');
    await writeFile(input, source);
    const built = await build({
      configFile: false,
      logLevel: 'error',
      resolve: { conditions: ['@holdfast/source', 'module', 'browser', 'import', 'default'] },
      build: { write: false, minify: false, modulePreload: false, target: 'es2022', rolldownOptions: { input } },
    });
    const [output] = Array.isArray(built) ? built : [built as Rolldown.RolldownOutput];
    const chunk = output?.output.find((each) => each.type === 'chunk');
    if (chunk?.type !== 'chunk') throw new Error('The quick start was not built.');
    return chunk.code;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
