import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type BrowserContext, chromium, type Page } from 'playwright-core';
import { inject } from 'vitest';

declare module 'vitest' {
  interface ProvidedContext {
    /** The Chromium that `vitest.config.ts` has found. */
    readonly chromium: {
      readonly executablePath: string;
      readonly args: readonly string[];
      readonly env: Readonly<Record<string, string>>;
    };
  }
}

/** A browser of its own process and profile, so that it can be killed and started again as a person's would be. */
export interface TestBrowser {
  readonly context: BrowserContext;
  readonly newPage: () => Promise<Page>;
  /** Ends every process of it at once, in the middle of whatever it does. */
  readonly kill: () => Promise<void>;
  readonly close: () => Promise<void>;
}

export async function makeProfile(): Promise<{ readonly folder: string; readonly remove: () => Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), 'crm-profile-'));
  return { folder, remove: () => rm(folder, { recursive: true, force: true, maxRetries: 5 }) };
}

export async function startBrowser(profileFolder: string): Promise<TestBrowser> {
  const { executablePath, args, env } = inject('chromium');
  const child = spawn(
    executablePath,
    [
      ...args,
      '--headless=new',
      '--remote-debugging-port=0',
      `--user-data-dir=${profileFolder}`,
      '--window-size=1440,900',
      '--lang=en-GB',
      // pages in the background work at full speed, as two windows side by side would
      '--disable-background-timer-throttling',
      '--disable-backgrounding-occluded-windows',
      '--disable-renderer-backgrounding',
      'about:blank',
    ],
    // a group of its own, so that all of it can be killed at once
    { env: { ...process.env, ...env }, stdio: ['ignore', 'ignore', 'pipe'], detached: true },
  );
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const browser = await chromium.connectOverCDP(await debuggingUrl(child));
  const context = browser.contexts()[0];
  if (context === undefined) throw new Error('The browser has no context.');
  const kill = async (): Promise<void> => {
    if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, 'SIGKILL');
    await exited;
  };
  return {
    context,
    newPage: () => context.newPage(),
    kill,
    close: async () => {
      await browser.close().catch(() => undefined);
      await kill();
    },
  };
}

function debuggingUrl(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let output = '';
    child.stderr?.on('data', (chunk: Buffer) => {
      output += chunk.toString();
      const url = /DevTools listening on (ws:\/\/\S+)/.exec(output)?.[1];
      if (url !== undefined) resolve(url);
    });
    child.once('exit', (code) => reject(new Error(`The browser ended with code ${code}:\n${output}`)));
  });
}
