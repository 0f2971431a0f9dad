import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer as createTcpServer, type AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { createServer } from 'vite';
import { expect, test } from 'vitest';
import { makeProfile, startBrowser } from './support/browser.ts';

const ROOT = join(import.meta.dirname, '..', '..', '..');
const GUIDE = join(ROOT, 'docs', 'guides', 'quick-start.md');
const FILES = ['index.html', 'main.tsx', 'server.ts', 'sql/0001_accounts.sql', 'ten-lines.ts', 'vite.config.ts'];

test('K4 · the files of the quick-start guide are an app that keeps a rename while its server is away, through a reload', async () => {
  const port = await freePort();
  const app = await writeFiles(port);
  let server = await startServer(app.folder);
  const vite = await createServer({
    root: app.folder,
    configFile: join(app.folder, 'vite.config.ts'),
    cacheDir: join(app.folder, '.vite'),
    logLevel: 'silent',
    resolve: { conditions: ['@holdfast/source', 'module', 'browser', 'development|production'] },
    server: { host: 'localhost', port: 0 },
  });
  const profile = await makeProfile();
  const browser = await startBrowser(profile.folder);
  try {
    await vite.listen();
    const page = await browser.newPage();
    let name = '';
    page.on('dialog', (dialog) => void dialog.accept(name));
    const rename = async (to: string): Promise<void> => {
      name = to;
      await page.getByRole('button', { name: 'Rename' }).click();
    };
    const account = page.getByRole('listitem').filter({ has: page.getByRole('button', { name: 'Rename' }) });
    const untilPill = (text: string): Promise<void> => page.locator('.holdfast-pill', { hasText: text }).waitFor();
    await page.goto(vite.resolvedUrls?.local[0] ?? '');
    await account.filter({ hasText: 'Harbour' }).waitFor();

    await rename('Harbour & Co');
    await untilPill('All changes confirmed');
    await server.stop();
    await rename('Harbour & Sons');
    await untilPill('1 change saved on this device');
    await page.reload();
    await untilPill('1 change saved on this device');
    await account.filter({ hasText: 'Harbour & Sons' }).waitFor();

    server = await startServer(app.folder);
    await untilPill('All changes confirmed');
    await page.reload();
    await account.filter({ hasText: 'Harbour & Sons' }).waitFor();
    expect(await account.count()).toBe(1);
  } finally {
    await browser.close();
    await profile.remove();
    await vite.close();
    await server.stop();
    await app.remove();
  }
});

test('K4 · the ten lines of the quick-start guide run as they are shown', async () => {
  const app = await writeFiles(0);
  try {
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ['--conditions=@holdfast/source', '--disable-warning=ExperimentalWarning', 'ten-lines.ts'],
      { cwd: app.folder },
    );
    expect(stdout).toMatch(/^completed \[ \{ id: '1', text: 'Kept' \} \]$/m);
  } finally {
    await app.remove();
  }
});

/** The files of the guide, which name themselves in their first line, in a folder that finds this repository's packages. */
async function writeFiles(port: number): Promise<{ readonly folder: string; readonly remove: () => Promise<void> }> {
  const guide = await readFile(GUIDE, 'utf8');
  await mkdir(join(ROOT, 'temp'), { recursive: true });
  const folder = await mkdtemp(join(ROOT, 'temp', 'quick-start-guide-'));
  const names: string[] = [];
  for (const [, text = '', name = ''] of guide.matchAll(/^```\w+\n((?:\/\/|--|<!--) (\S+)[^\n]*\n[\s\S]*?)^```$/gm)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), text.replaceAll('3000', String(port)));
    names.push(name);
  }
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }');
  expect(names.toSorted()).toEqual(FILES);
  return { folder, remove: () => rm(folder, { recursive: true, force: true, maxRetries: 5 }) };
}

interface RunningServer {
  readonly stop: () => Promise<void>;
}

/** As the guide starts it, but on the packages' sources. */
async function startServer(folder: string): Promise<RunningServer> {
  const child: ChildProcess = spawn(process.execPath, ['--conditions=@holdfast/source', 'server.ts'], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const exited = once(child, 'exit');
  let output = '';
  await new Promise<void>((resolve, reject) => {
    const read = (chunk: Buffer): void => {
      output += chunk.toString();
      if (output.includes('The server listens')) resolve();
    };
    child.stdout?.on('data', read);
    child.stderr?.on('data', read);
    void exited.then(([code]) => reject(new Error(`The server ended with code ${String(code)}:\n${output}`)));
  });
  return {
    stop: async () => {
      child.kill('SIGINT');
      await exited;
    },
  };
}

/** One that nobody listens on just now: the files of the guide name theirs. */
async function freePort(): Promise<number> {
  const server = createTcpServer();
  server.listen(0, 'localhost');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
