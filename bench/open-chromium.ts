import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type BrowserContext, chromium } from 'playwright-core';
import { findChromium } from '../scripts/chromium.ts';

/** With a fresh profile on the disk: a private window, which a page of a new context is, keeps its stores in memory, and flushes nothing. */
export async function withChromium<Result>(work: (browser: BrowserContext) => Promise<Result>): Promise<Result> {
  const { executablePath, args, env } = await findChromium();
  const profile = mkdtempSync(join(tmpdir(), 'holdfast-bench-profile-'));
  const browser = await chromium.launchPersistentContext(profile, {
    executablePath,
    args: [...args],
    env: { ...process.env, ...env } as Record<string, string>,
  });
  try {
    return await work(browser);
  } finally {
    await browser.close();
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  }
}
