import { execFileSync } from 'node:child_process';
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
  /** Ends its process, which no other tab is in. Resolves when it has ended. */
  crash(): Promise<void>;
  /** Stops its process, so that no code of the page runs. A browser's own freezing needs hidden tabs, which it lacks without a screen. */
  stop(): void;
  goOn(): void;
  /** Its origin may take as many bytes as there are. */
  makeRoom?(): Promise<void>;
}

/** One profile, which its tabs share. */
export interface RealBrowser {
  open(url: string): Promise<RealTab>;
  /** All that is open. */
  closeTabs(): Promise<void>;
  close(): Promise<void>;
}

/** `quotaSize`: most bytes that an origin may take, until `makeRoom`. The browser goes by what it was told before the first one. */
export async function startChromium(quotaSize: number | null = null): Promise<RealBrowser> {
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
  const tabs: RealTab[] = [];
  return {
    open: async (url) => {
      const before = await rendererIds();
      const page = await context.newPage();
      if (quotaSize !== null) {
        const session = await context.newCDPSession(page);
        await session.send('Storage.overrideQuotaForOrigin', { origin: new URL(url).origin, quotaSize });
      }
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

async function chromiumTab(context: BrowserContext, page: Page, processIds: readonly number[]): Promise<RealTab> {
  const session = await context.newCDPSession(page);
  const tab: RealTab = {
    call: (name, ...args) => page.evaluate(invoke, { name, args }) as never,
    close: () => page.close(),
    leave: async (other) => void (await page.goto(other)),
    crash: async () => {
      const crashed = page.waitForEvent('crash');
      // The page that is to answer is gone.
      session.send('Page.crash').catch(() => {});
      await crashed;
    },
    stop: () => signal(processIds, 'SIGSTOP'),
    goOn: () => signal(processIds, 'SIGCONT'),
    makeRoom: async () => {
      await session.send('Storage.overrideQuotaForOrigin', { origin: new URL(page.url()).origin });
    },
  };
  await tab.call('ready');
  return tab;
}

function signal(processIds: readonly number[], name: 'SIGSTOP' | 'SIGCONT' | 'SIGKILL'): void {
  for (const id of processIds) {
    try {
      process.kill(id, name);
    } catch {
      // It has ended.
    }
  }
}

export async function startFirefox(executablePath: string): Promise<RealBrowser> {
  const browser: Firefox = await puppeteer.launch({
    browser: 'firefox',
    executablePath,
    headless: true,
    // A process for each tab, also of one origin, begun when it is needed and not before.
    extraPrefsFirefox: {
      'dom.ipc.processCount': 100,
      'dom.ipc.processPrelaunch.enabled': false,
      'dom.ipc.keepProcessesAlive.web': 0,
    },
  });
  const contentIds = (): readonly number[] => contentProcessesOf(browser.process()?.pid ?? 0);
  const open: { readonly page: FirefoxPage; readonly tab: RealTab }[] = [];
  return {
    open: async (url) => {
      const before = contentIds();
      const page = await browser.newPage();
      await page.goto(url);
      const own = contentIds().filter((id) => !before.includes(id));
      const tab: RealTab = {
        call: (name, ...args) => page.evaluate(invoke, { name, args }) as never,
        close: () => page.close(),
        leave: async (other) => void (await page.goto(other)),
        crash: async () => {
          signal(own, 'SIGKILL');
          while (contentIds().some((id) => own.includes(id))) await new Promise((next) => setTimeout(next, 5));
        },
        stop: () => signal(own, 'SIGSTOP'),
        goOn: () => signal(own, 'SIGCONT'),
      };
      open.push({ page, tab });
      await tab.call('ready');
      return tab;
    },
    closeTabs: async () => {
      const tabs = open.splice(0);
      for (const { tab } of tabs) tab.goOn();
      // One that has crashed is gone already.
      for (const { page } of tabs) if (!page.isClosed()) await page.close().catch(() => {});
    },
    close: () => browser.close(),
  };
}

/** Ids of the processes that Firefox runs pages in. It begins them itself, or has another one do it. */
function contentProcessesOf(firefoxId: number): readonly number[] {
  const lines = execFileSync('ps', ['-A', '-o', 'pid=,ppid=,stat=,args='], { encoding: 'utf8' }).trim().split('\n');
  const rows = lines.map((line) => {
    const [id, parentId, state = '', ...words] = line.trim().split(/\s+/);
    return { id: Number(id), parentId: Number(parentId), isEnded: state.startsWith('Z'), kind: words.at(-1) };
  });
  const begunBy = (parents: readonly number[]): readonly number[] =>
    rows.flatMap(({ id, parentId }) => (parents.includes(parentId) ? [id] : []));
  const children = begunBy([firefoxId]);
  const all = [...children, ...begunBy(children)];
  return rows.flatMap(({ id, isEnded, kind }) => (all.includes(id) && !isEnded && kind === 'tab' ? [id] : []));
}

/** Runs in the page. */
function invoke({ name, args }: { readonly name: keyof PageApi; readonly args: readonly unknown[] }): unknown {
  const { page } = globalThis as unknown as { readonly page: Record<string, (...all: readonly unknown[]) => unknown> };
  return page[name]?.(...args);
}
