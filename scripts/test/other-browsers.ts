// Browser tests in engines that no driver of vitest drives. All that a test asks of one is that it opens the page of vitest.
import { type ChildProcess, spawn } from 'node:child_process';
import { type AddressInfo, createServer } from 'node:net';
import { defineBrowserProvider } from '@vitest/browser';
import puppeteer from 'puppeteer-core';
import type { BrowserProvider, BrowserProviderOption } from 'vitest/node';
import type { Firefox } from '../firefox.ts';
import type { WebKit } from '../webkit.ts';

/** A browser with one page. */
export interface OnePageBrowser {
  open(url: string): Promise<void>;
  close(): Promise<void>;
}

const START_MS_MAX = 30_000;

/** For `browser.provider`; the browser of an instance is one of these names. */
export function otherBrowsers(starts: Readonly<Record<string, () => Promise<OnePageBrowser>>>): BrowserProviderOption {
  return defineBrowserProvider({
    name: 'other-browsers',
    supportedBrowser: Object.keys(starts),
    options: {},
    providerFactory: (project): BrowserProvider => {
      // Asked for before each file. No test of ours there looks at the size of its page.
      project.browser?.registerCommand('__vitest_viewport' as never, (() => {}) as never);
      const start = starts[project.config.browser.name];
      if (start === undefined) throw new Error(`No browser is called ${project.config.browser.name} here.`);
      let starting: Promise<OnePageBrowser> | null = null;
      return {
        name: 'other-browsers',
        supportsParallelism: false,
        getCommandsContext: () => ({}),
        openPage: async (_sessionId, url) => {
          starting ??= start();
          await (await starting).open(url);
        },
        close: async () => {
          const started = starting;
          starting = null;
          await (await started)?.close();
        },
      };
    },
  });
}

export async function startFirefox({
  executablePath,
}: Exclude<Firefox, { readonly missing: string }>): Promise<OnePageBrowser> {
  const browser = await puppeteer.launch({ browser: 'firefox', executablePath, headless: true });
  const page = await browser.newPage();
  return { open: async (url) => void (await page.goto(url)), close: () => browser.close() };
}

/** By the WebDriver protocol (w3.org/TR/webdriver2). WebKitGTK cannot do without a screen, so it gets one that nobody sees. */
export async function startWebKit({
  driverPath,
  browserPath,
  screenPath,
}: Exclude<WebKit, { readonly missing: string }>): Promise<OnePageBrowser> {
  const children: ChildProcess[] = [];
  const endAll = (): void => {
    for (const child of children) child.kill();
  };
  process.once('exit', endAll);
  try {
    const screen = spawn(screenPath, ['-displayfd', '1', '-nolisten', 'tcp'], { stdio: ['ignore', 'pipe', 'ignore'] });
    children.push(screen);
    const display = await new Promise<string>((told, failed) => {
      screen.once('exit', () => failed(new Error(`${screenPath} has ended before it began.`)));
      screen.stdout.once('data', (text) => told(`:${String(text).trim()}`));
    });
    const port = await freePort();
    const isRoot = process.getuid?.() === 0;
    // Its sandbox does not start for root; tests visit only our own pages.
    const sandbox = isRoot ? { WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS: '1' } : {};
    const env = { ...process.env, ...sandbox, DISPLAY: display };
    children.push(spawn(driverPath, [`--port=${port}`], { env, stdio: 'ignore' }));
    const ask = async (method: 'GET' | 'POST' | 'DELETE', path: string, body?: unknown): Promise<unknown> => {
      const content = body === undefined ? {} : { body: JSON.stringify(body) };
      const response = await fetch(`http://127.0.0.1:${port}${path}`, { method, ...content });
      const { value } = (await response.json()) as { readonly value: unknown };
      if (!response.ok) throw new Error(`WebKitGTK refused ${method} ${path}: ${JSON.stringify(value)}`);
      return value;
    };
    await untilAnswered(() => ask('GET', '/status'));
    const { sessionId } = (await ask('POST', '/session', {
      capabilities: {
        alwaysMatch: { 'webkitgtk:browserOptions': { binary: browserPath, args: ['--automation'] } },
      },
    })) as { readonly sessionId: string };
    return {
      open: async (url) => void (await ask('POST', `/session/${sessionId}/url`, { url })),
      close: async () => {
        // Ends the browser, too.
        await ask('DELETE', `/session/${sessionId}`);
        endAll();
        process.off('exit', endAll);
      },
    };
  } catch (error) {
    endAll();
    throw error;
  }
}

async function untilAnswered(ask: () => Promise<unknown>): Promise<void> {
  const endsAtMs = Date.now() + START_MS_MAX;
  for (;;) {
    try {
      await ask();
      return;
    } catch (error) {
      if (Date.now() > endsAtMs) throw error;
      await new Promise((next) => setTimeout(next, 20));
    }
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as AddressInfo;
  await new Promise((done) => server.close(done));
  return port;
}
