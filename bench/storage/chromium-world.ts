import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { bundle } from '../../scripts/bundle.ts';
import { withChromium } from '../open-chromium.ts';
import type { Measurement } from '../measurement.ts';

/** What the page under measurement can be. */
interface Page {
  readonly script: string;
  /** Other files it asks for, by path. */
  readonly files?: ReadonlyMap<string, string>;
  /** What to measure, as the page knows it. */
  readonly subject: string;
  /** What of it, where the page can be asked for some. @default all */
  readonly measures?: readonly string[];
}

export interface Told {
  readonly report: (measurement: Measurement) => void;
  readonly stopped: (what: string) => void;
}

/** Measures a store of the browser, in a page of a real Chromium. */
export async function measureChromium(
  world: 'indexeddb' | 'opfs',
  n: number,
  measures: readonly string[],
  report: (measurement: Measurement) => void,
): Promise<void> {
  const files = new Map<string, string>();
  for (const name of ['opfs-worker', 'bare-opfs-worker'])
    files.set(`/${name}.js`, await bundle(join(import.meta.dirname, `${name}.ts`), 'page'));
  const script = await bundle(join(import.meta.dirname, 'page.ts'), 'page');
  await measurePage({ script, files, subject: world, measures }, n, { report, stopped: () => {} });
}

/** Measures a library that people might pick instead. */
export async function measureLibrary(library: string, n: number, told: Told): Promise<void> {
  const script = await bundle(join(import.meta.dirname, '..', 'peers', 'page.ts'), 'page');
  await measurePage({ script, subject: library }, n, told);
}

async function measurePage(
  { script, files = new Map(), subject, measures = [] }: Page,
  n: number,
  told: Told,
): Promise<void> {
  const scripts = new Map([...files, ['/page.js', script]]);
  const server = createServer((request, response) => {
    const script = scripts.get(request.url ?? '');
    response
      .writeHead(200, { 'content-type': script === undefined ? 'text/html' : 'text/javascript', ...ISOLATED })
      .end(script ?? '<!doctype html><title>bench</title>');
  });
  await new Promise<void>((done) => server.listen(0, 'localhost', done));
  await withChromium(async (browser) => {
    const page = await browser.newPage();
    const session = await browser.newCDPSession(page);
    await page.exposeFunction('report', told.report);
    await page.exposeFunction('stopped', told.stopped);
    await page.exposeFunction('heapBytes', async () => {
      await session.send('HeapProfiler.collectGarbage');
      // What typed arrays hold counts too.
      const { usedSize, backingStorageSize } = await session.send('Runtime.getHeapUsage');
      return usedSize + backingStorageSize;
    });
    const failed = new Promise<never>((_, reject) => page.on('pageerror', reject));
    await page.goto(`http://localhost:${(server.address() as AddressInfo).port}/`);
    await page.addScriptTag({ url: '/page.js', type: 'module' });
    page.setDefaultTimeout(0);
    const measured = (async () => {
      await page.waitForFunction('globalThis.measure !== undefined');
      await page.evaluate(`globalThis.measure('${subject}', ${n}, ${JSON.stringify(measures)})`);
    })();
    await Promise.race([measured, failed]);
  }).finally(() => server.close());
}

/** With these the page's clock tells microseconds. */
const ISOLATED = { 'cross-origin-opener-policy': 'same-origin', 'cross-origin-embedder-policy': 'require-corp' };
