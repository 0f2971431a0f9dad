import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { BrowserContext } from 'playwright-core';
import { bundle } from '../../scripts/bundle.ts';
import { beside, type Measurement, quantile } from '../measurement.ts';
import type { Painted } from './page.ts';

/** From a change to the frame that shows it, in a list of so many rows. */
export async function measurePaint(
  browser: BrowserContext,
  { rowCount, times }: { readonly rowCount: number; readonly times: number },
): Promise<readonly Measurement[]> {
  const script = await bundle(join(import.meta.dirname, 'page.ts'), 'page');
  const server = createServer((request, response) => {
    const isScript = request.url === '/page.js';
    response
      .writeHead(200, { 'content-type': isScript ? 'text/javascript' : 'text/html' })
      .end(isScript ? script : '<!doctype html><html lang="en"><title>bench</title><body></body></html>');
  });
  await new Promise<void>((done) => server.listen(0, 'localhost', done));
  const page = await browser.newPage();
  try {
    await page.goto(`http://localhost:${(server.address() as AddressInfo).port}/`);
    await page.addScriptTag({ url: '/page.js', type: 'module' });
    await page.waitForFunction(() => globalThis.measurePaint !== undefined);
    const run = (subject: 'holdfast' | 'react', count: number): Promise<readonly Painted[]> =>
      page.evaluate(
        ([name, rows, each]) => globalThis.measurePaint?.(name, rows, each) ?? Promise.reject(new Error('No page.')),
        [subject, rowCount, count] as const,
      );
    // what runs for the first time is compiled then
    for (const subject of ['react', 'holdfast'] as const) await run(subject, 20);
    const raw = await run('react', times);
    const ours = await run('holdfast', times);
    const toastRun = (subject: 'holdfast' | 'sonner', count: number): Promise<readonly number[]> =>
      page.evaluate(([name, each]) => globalThis.measureToasts?.(name, each) ?? Promise.reject(new Error('No page.')), [
        subject,
        count,
      ] as const);
    for (const subject of ['sonner', 'holdfast'] as const) await toastRun(subject, 20);
    const toasts = { raw: await toastRun('sonner', times), ours: await toastRun('holdfast', times) };
    return [...paintMeasurements(rowCount, { raw, ours }), ...toastMeasurements(times, toasts)];
  } finally {
    await page.close();
    server.close();
    server.closeAllConnections();
  }
}

/** Lines of a result, ours beside the raw one. */
export function paintMeasurements(
  rowCount: number,
  { raw, ours }: { readonly raw: readonly Painted[]; readonly ours: readonly Painted[] },
): readonly Measurement[] {
  const line = (
    measure: string,
    unit: string,
    of: (painted: Painted) => number,
    share: number,
  ): readonly Measurement[] =>
    beside({ measure, n: rowCount, unit }, { subject: 'raw/react state', value: quantile(raw.map(of), share) }, [
      { subject: 'holdfast, indexeddb', value: quantile(ours.map(of), share) },
    ]);
  return [
    ...line('add-painted', 'ms', ({ ms }) => ms, 0.5),
    ...line('add-painted-p95', 'ms', ({ ms }) => ms, 0.95),
    ...line('add-frames', 'frames', ({ frames }) => frames, 0.5),
    ...line('add-frames-p95', 'frames', ({ frames }) => frames, 0.95),
  ];
}

/** Lines of what a word on a toast takes. */
export function toastMeasurements(
  times: number,
  { raw, ours }: { readonly raw: readonly number[]; readonly ours: readonly number[] },
): readonly Measurement[] {
  // The clock of a page ticks every 0.1 ms: a ratio of such figures says nothing.
  const line = (measure: string, share: number): readonly Measurement[] =>
    Object.entries({ 'raw/sonner': raw, 'holdfast, sonner': ours }).map(([subject, values]) => ({
      measure,
      n: times,
      subject,
      value: quantile(values, share),
      unit: 'ms',
      ratioToRaw: null,
    }));
  return [...line('toast-update', 0.5), ...line('toast-update-p95', 0.95)];
}
