import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { bundle } from '../../scripts/bundle.ts';
import { findChromium } from '../../scripts/chromium.ts';
import type { Measurement } from './measurement.ts';

/** Measures IndexedDB in a page of a real Chromium, with a fresh profile. */
export async function measureChromium(n: number, report: (measurement: Measurement) => void): Promise<void> {
  const script = await bundle(join(import.meta.dirname, 'page.ts'), 'page');
  const server = createServer((request, response) => {
    if (request.url === '/page.js') response.writeHead(200, { 'content-type': 'text/javascript' }).end(script);
    else
      response.writeHead(200, { 'content-type': 'text/html', ...ISOLATED }).end('<!doctype html><title>bench</title>');
  });
  await new Promise<void>((done) => server.listen(0, 'localhost', done));
  const { executablePath, args, env } = await findChromium();
  const browser = await chromium.launch({
    executablePath,
    args: [...args],
    env: { ...process.env, ...env } as Record<string, string>,
  });
  try {
    const page = await browser.newPage();
    const session = await page.context().newCDPSession(page);
    await page.exposeFunction('report', report);
    await page.exposeFunction('heapBytes', async () => {
      await session.send('HeapProfiler.collectGarbage');
      const { usedSize } = await session.send('Runtime.getHeapUsage');
      return usedSize;
    });
    await page.goto(`http://localhost:${(server.address() as AddressInfo).port}/`);
    await page.addScriptTag({ url: '/page.js', type: 'module' });
    page.setDefaultTimeout(0);
    await page.waitForFunction('globalThis.measure !== undefined');
    await page.evaluate(`globalThis.measure(${n})`);
  } finally {
    await browser.close();
    server.close();
  }
}

/** With these the page's clock tells microseconds. */
const ISOLATED = { 'cross-origin-opener-policy': 'same-origin', 'cross-origin-embedder-policy': 'require-corp' };
