import { chromium } from 'playwright-core';
import { expect, test } from 'vitest';
import { findChromium } from './chromium.ts';

test('house · the Chromium that tests drive starts, and has what the device needs', async () => {
  const { executablePath, args, env } = await findChromium();
  const browser = await chromium.launch({
    executablePath,
    args: [...args],
    env: { ...process.env, ...env } as Record<string, string>,
  });

  const page = await browser.newPage();
  await page.route('http://localhost/', (route) =>
    route.fulfill({ contentType: 'text/html', body: '<title>page</title>' }),
  );
  await page.goto('http://localhost/');
  const missing = await page.evaluate(() =>
    [
      'indexedDB',
      'BroadcastChannel',
      'CompressionStream',
      'navigator.locks',
      'navigator.serviceWorker',
      'navigator.storage',
    ].filter(
      (path) =>
        path.split('.').reduce<unknown>((object, name) => (object as Record<string, unknown>)[name], globalThis) ===
        undefined,
    ),
  );

  await browser.close();
  expect(missing).toEqual([]);
});
