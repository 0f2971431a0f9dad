import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Hono } from 'hono';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readPageFiles, servePage } from '../server/page-files.ts';

let folder = '';
const app = new Hono();
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'crm-page-'));
  await mkdir(join(folder, 'assets'));
  await writeFile(join(folder, 'index.html'), '<!doctype html><title>page</title>');
  await writeFile(join(folder, 'service-worker.js'), '// worker');
  await writeFile(join(folder, 'assets', 'index-abc.js'), 'x'.repeat(10_000));
  await writeFile(join(folder, '.sources'), 'not for anyone');
  const files = readPageFiles(folder);
  app.get('*', (context) => servePage(context, files));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

test('the page is asked for anew each time, its hashed parts never', async () => {
  const page = await app.request('/');
  expect(page.headers.get('cache-control')).toBe('no-cache');
  expect((await app.request('/service-worker.js')).headers.get('cache-control')).toBe('no-cache');
  expect((await app.request('/assets/index-abc.js')).headers.get('cache-control')).toBe(
    'public, max-age=31536000, immutable',
  );
  const again = await app.request('/', { headers: { 'if-none-match': page.headers.get('etag') ?? '' } });
  expect(again.status).toBe(304);
});

test('a screen of the page gets the page, a missing file does not', async () => {
  expect(await (await app.request('/accounts/some-id')).text()).toContain('<title>page</title>');
  expect((await app.request('/assets/index-old.js')).status).toBe(404);
  expect((await app.request('/.sources')).status).toBe(404);
});

test('scripts, frames and forms of others are forbidden', async () => {
  const policy = (await app.request('/')).headers.get('content-security-policy') ?? '';
  expect(policy).toContain("default-src 'self'");
  expect(policy).toContain("frame-ancestors 'none'");
  expect(policy).not.toMatch(/script-src|unsafe-eval/);
});

test('what pays is sent compressed', async () => {
  const response = await app.request('/assets/index-abc.js', { headers: { 'accept-encoding': 'gzip' } });
  expect(response.headers.get('content-encoding')).toBe('gzip');
  expect((await response.arrayBuffer()).byteLength).toBeLessThan(200);
});

test('without a built page there is a sentence instead', async () => {
  const unbuilt = new Hono();
  unbuilt.get('*', (context) => servePage(context, readPageFiles(join(folder, 'nothing'))));
  const response = await unbuilt.request('/');
  expect(response.status).toBe(404);
  expect(await response.text()).toBe('The page is not built: run npm run build.');
});
