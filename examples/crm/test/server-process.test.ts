import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startInVain, startServer } from './support/server-process.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'crm-data-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('starting the server', () => {
  test('data and secret survive a restart, and a signal ends it cleanly', async () => {
    const first = await startServer({ HOLDFAST_DATA: folder });
    const [tokenBefore, countBefore] = [await signIn(first.port), await countAccounts(first.port)];
    expect(await first.stop()).toBe(0);

    const second = await startServer({ HOLDFAST_DATA: folder });
    expect(second.output()).not.toContain('Filled');
    expect(await countAccounts(second.port, tokenBefore)).toBe(countBefore);
    expect(countBefore).toBeGreaterThan(10_000);
    expect(await second.stop('SIGINT')).toBe(0);
  });

  test('only its owner can read the secret', async () => {
    expect((await stat(join(folder, 'development-secret'))).mode & 0o777).toBe(0o600);
  });

  test('a taken port gets one sentence', async () => {
    const first = await startServer({ HOLDFAST_DATA: folder });

    const { exitCode, stdout, stderr } = await startInVain({ HOLDFAST_DATA: folder, PORT: String(first.port) });

    expect(exitCode).toBe(1);
    expect(stdout).toBe('');
    expect(stderr).toBe(`Port ${first.port} is taken: stop the program that uses it, or set PORT to another one.\n`);
    await first.stop();
  });

  test('a data folder that another server uses gets one sentence', async () => {
    const first = await startServer({ HOLDFAST_DATA: folder });

    const { exitCode, stderr } = await startInVain({ HOLDFAST_DATA: folder });

    expect(exitCode).toBe(1);
    expect(stderr).toMatch(
      /^The data folder \S+ is used by another process \(\d+\)\. Stop that one, or choose another folder\.\n$/,
    );
    await first.stop();
  });

  test('a data folder that cannot be written gets one sentence', async () => {
    const file = join(folder, 'a-file');
    await writeFile(file, '');

    const { exitCode, stderr } = await startInVain({ HOLDFAST_DATA: join(file, 'data') });

    expect(exitCode).toBe(1);
    expect(stderr).toBe(
      `The data folder ${join(file, 'data')} cannot be written: set HOLDFAST_DATA to a folder you may write to, or change who may write to this one.\n`,
    );
  });

  test('a port that is no number gets one sentence', async () => {
    const { exitCode, stderr } = await startInVain({ HOLDFAST_DATA: folder, PORT: 'http' });

    expect(exitCode).toBe(1);
    expect(stderr).toBe('PORT is "http": set it to a number from 0 to 65535.\n');
  });
});

async function signIn(port: number): Promise<string> {
  const response = await fetch(`http://localhost:${port}/api/sign-in`, {
    method: 'POST',
    body: JSON.stringify({ userId: '5d2f1c1e-6a54-4b0e-9a55-0f4a4f6b7a01' }),
  });
  return ((await response.json()) as { readonly token: string }).token;
}

/** Works with a token of a run before only if the secret is still the same. */
async function countAccounts(port: number, token?: string): Promise<number> {
  const response = await fetch(`http://localhost:${port}/api/accounts`, {
    headers: { authorization: `Bearer ${token ?? (await signIn(port))}` },
  });
  return ((await response.json()) as { readonly rows: readonly unknown[] }).rows.length;
}
