import { chromium, type BrowserContext, type Page } from 'playwright-core';
import puppeteer, { type Browser as Firefox, type Page as FirefoxPage } from 'puppeteer-core';
import { inject } from 'vitest';
import type { PageApi } from './page-api.ts';

declare module 'vitest' {
  interface ProvidedContext {
    readonly chromium: {
      readonly executablePath: string;
      readonly args: readonly string[];
      readonly env: Readonly<Record<string, string>>;
    };
    readonly firefox: { readonly executablePath: string } | { readonly missing: string };
  }
}

/** A tab of a real browser, with the page of `page.ts` in it. */
export interface RealTab {
  call<Name extends keyof PageApi>(
    name: Name,
    ...args: Parameters<PageApi[Name]>
  ): Promise<Awaited<ReturnType<PageApi[Name]>>>;
  close(): Promise<void>;
  /** To another page, from which it may come back out of the back/forward cache. */
  leave(url: string): Promise<void>;
}

/** What only Chromium lets a test do: each of its tabs has a process of its own. */
export interface ChromiumTab extends RealTab {
  crash(): Promise<void>;
  /** Stops its process, so that no code of the page runs. Chromium's own freezing needs hidden tabs, which it lacks without a screen. */
  stop(): void;
  goOn(): void;
}

/** One profile, which its tabs share. */
export interface RealBrowser<Tab extends RealTab = RealTab> {
  open(url: string): Promise<Tab>;
  /** All that is open. */
  closeTabs(): Promise<void>;
  close(): Promise<void>;
}

export async function startChromium(): Promise<RealBrowser<ChromiumTab>> {
  const { executablePath, args, env } = inject('chromium');
  const browser = await chromium.launch({
    executablePath,
    args: [...args, '--renderer-process-limit=100'],
    env: { ...process.env, ...env } as Record<string, string>,
  });
  const context = await browser.newContext();
  const ofBrowser = await browser.newBrowserCDPSession();
  const rendererIds = async (): Promise<readonly number[]> => {
    const { processInfo } = await ofBrowser.send('SystemInfo.getProcessInfo');
    return processInfo.filter(({ type }) => type === 'renderer').map(({ id }) => id);
  };
  const tabs: ChromiumTab[] = [];
  return {
    open: async (url) => {
      const before = await rendererIds();
      const page = await context.newPage();
      await page.goto(url);
      const own = (await rendererIds()).filter((id) => !before.includes(id));
      const tab = await chromiumTab(context, page, own);
      tabs.push(tab);
      return tab;
    },
    closeTabs: async () => {
      for (const tab of tabs.splice(0)) tab.goOn();
      await Promise.all(context.pages().map((page) => page.close()));
    },
    close: () => browser.close(),
  };
}

async function chromiumTab(context: BrowserContext, page: Page, processIds: readonly number[]): Promise<ChromiumTab> {
  const session = await context.newCDPSession(page);
  const signal = (name: 'SIGSTOP' | 'SIGCONT'): void => {
    for (const id of processIds) {
      try {
        process.kill(id, name);
      } catch {
        // It has ended.
      }
    }
  };
  const tab: ChromiumTab = {
    call: (name, ...args) => page.evaluate(invoke, { name, args }) as never,
    close: () => page.close(),
    leave: async (other) => void (await page.goto(other)),
    crash: async () => {
      const crashed = page.waitForEvent('crash');
      // The page that is to answer is gone.
      session.send('Page.crash').catch(() => {});
      await crashed;
    },
    stop: () => signal('SIGSTOP'),
    goOn: () => signal('SIGCONT'),
  };
  await tab.call('ready');
  return tab;
}

export async function startFirefox(executablePath: string): Promise<RealBrowser> {
  const browser: Firefox = await puppeteer.launch({ browser: 'firefox', executablePath, headless: true });
  const open: FirefoxPage[] = [];
  return {
    open: async (url) => {
      const page = await browser.newPage();
      open.push(page);
      await page.goto(url);
      const tab: RealTab = {
        call: (name, ...args) => page.evaluate(invoke, { name, args }) as never,
        close: () => page.close(),
        leave: async (other) => void (await page.goto(other)),
      };
      await tab.call('ready');
      return tab;
    },
    closeTabs: async () => {
      for (const page of open.splice(0)) if (!page.isClosed()) await page.close();
    },
    close: () => browser.close(),
  };
}

/** Runs in the page. */
function invoke({ name, args }: { readonly name: keyof PageApi; readonly args: readonly unknown[] }): unknown {
  const { page } = globalThis as unknown as { readonly page: Record<string, (...all: readonly unknown[]) => unknown> };
  return page[name]?.(...args);
}
