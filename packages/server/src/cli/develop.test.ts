import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';

const TABLE = `
  create table public.notes (id text primary key, workspace_id text not null, text text);
  alter table public.notes enable row level security;
  grant select, insert, update, delete on public.notes to authenticated;
  create policy w on public.notes to authenticated using (workspace_id = (select holdfast.workspace()));
  select holdfast.register_table('public.notes', array['text']);
`;

test('K3 · dev is all of it on one machine: database, door and logins, kept over a restart, and for this machine only', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-dev-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, '0001_notes.sql'), TABLE);
  const data = join(folder, 'data');
  const args = ['dev', '--folder', data, '--sql', folder, '--port', '0'];

  const first = await start(args);
  expect(first.said()).toContain('ran 0001_notes.sql');
  const { token } = (await (await fetch(`${first.url}/dev/token?user=bob&workspace=w`)).json()) as {
    readonly token: string;
  };
  expect(await add(first.url, token)).toMatchObject([{ kind: 'applied' }]);
  // as a page of others would ask, whose name leads here
  expect(await statusFor(first.url, '/dev/token', 'evil.example')).toBe(404);
  expect((await stat(join(data, 'development-secret'))).mode & 0o777).toBe(0o600);
  const second = spawnHoldfast(args);
  const [code] = (await once(second, 'exit')) as [number];
  expect(code).toBe(1);
  expect(await first.stop()).toBe(0);

  const again = await start(args);
  expect(again.said()).not.toContain('ran ');
  const history = await fetch(`${again.url}/v1/audit`, { headers: { authorization: `Bearer ${token}` } });
  expect(await history.json()).toMatchObject({
    entries: [{ action: 'create', actor: 'bob', newValues: { text: 'kept' } }],
  });
  expect(await again.stop()).toBe(0);
  expect(await readFile(join(data, 'development-secret'), 'utf8')).toMatch(/^[\w-]{43}$/);
});

async function add(url: string, token: string): Promise<unknown> {
  const mutation = {
    id: randomUUID(),
    seq: 1,
    after: null,
    generation: 0,
    type: 'note.save',
    version: 1,
    operation: 'create',
    entity: { table: 'notes', id: 'n1' },
    payload: { text: 'kept' },
    createdAt: '2026-01-01T00:00:00.000Z',
  };
  const answer = await fetch(`${url}/v1/apply`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
    body: JSON.stringify({
      protocol: 1,
      client: { id: randomUUID(), workspaceId: 'w' },
      acknowledgedFloor: 0,
      mutations: [mutation],
    }),
  });
  return ((await answer.json()) as { readonly outcomes: unknown }).outcomes;
}

function statusFor(url: string, path: string, host: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    request(`${url}${path}`, { headers: { host } }, ({ statusCode }) => resolve(statusCode))
      .on('error', reject)
      .end();
  });
}

function spawnHoldfast(args: readonly string[]): ChildProcess {
  return spawn(
    process.execPath,
    [
      '--disable-warning=ExperimentalWarning',
      '--conditions=@holdfast/source',
      join(import.meta.dirname, 'main.ts'),
      ...args,
    ],
    { env: { ...process.env, DATABASE_URL: '' }, stdio: ['ignore', 'pipe', 'inherit'] },
  );
}

async function start(args: readonly string[]) {
  const child = spawnHoldfast(args);
  onTestFinished(() => void child.kill('SIGKILL'));
  let said = '';
  const url = await new Promise<string>((resolve, reject) => {
    child.stdout?.on('data', (piece) => {
      said += String(piece);
      const found = /listens at (\S+)\n/.exec(said)?.[1];
      if (found !== undefined) resolve(found);
    });
    child.once('exit', (code) => reject(new Error(`It ended with ${code}: ${said}`)));
  });
  return {
    url,
    said: () => said,
    async stop(): Promise<number | null> {
      const exited = once(child, 'exit');
      child.kill('SIGTERM');
      return ((await exited) as [number | null])[0];
    },
  };
}
