import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest';
import { PageServer } from './testing-tabs/page-server.ts';
import { type RealBrowser, type RealTab, startChromium, startFirefox } from './testing-tabs/real-browsers.ts';

const CLOSED_MS_MAX = 2_000;
const FROZEN_MS_MAX = 15_000;

/** Each test has an origin of its own, and with it a storage, locks and messages of its own. */
let server: PageServer;
beforeEach(async () => {
  server = await PageServer.start();
});
afterEach(() => server.close());

function inBrowser(start: () => Promise<RealBrowser>) {
  let browser: RealBrowser;
  beforeAll(async () => {
    browser = await start();
  });
  afterEach(() => browser.closeTabs());
  afterAll(() => browser.close());
  const open = (tab: string, ...faults: readonly string[]): Promise<RealTab> => browser.open(addressOf(tab, faults));
  return {
    open,
    /** The first to open leads. */
    async openLeader(tab: string, ...faults: readonly string[]): Promise<RealTab> {
      const leader = await open(tab, ...faults);
      await leader.call('until', { isLeader: true });
      return leader;
    },
  };
}

const addressOf = (tab: string, faults: readonly string[]): string =>
  `${server.url}/?${new URLSearchParams([['tab', tab], ...faults.map((fault) => ['fault', fault])]).toString()}`;

/** From now until the effect of this mutation takes place. */
async function timeToEffect(id: string, sinceMs: number): Promise<{ readonly tab: string; readonly ms: number }> {
  const { tab, atMs } = await server.effectOf(id);
  return { tab, ms: atMs - sinceMs };
}

const tabsOf = (list: readonly { readonly tab: string }[]): readonly string[] => [
  ...new Set(list.map(({ tab }) => tab)),
];

/** What every engine must do. */
function describeTabs(browser: ReturnType<typeof inBrowser>): void {
  test('Q19 · every tab stores by itself, one delivers, and all see the same', async () => {
    const a = await browser.openLeader('A');
    const b = await browser.open('B');
    server.swallowed.add('A');
    const ids = [await a.call('add', 'one'), await b.call('add', 'two'), await b.call('add', 'three')];
    await server.arrivalOf(ids[0] ?? '');
    await a.call('until', { pendingCount: 3 });
    await b.call('until', { pendingCount: 3 });
    await b.call('pause');
    await a.call('until', { isPaused: true, waitingFor: 'paused' });
    expect(await b.call('state')).toEqual({ ...(await a.call('state')), isLeader: false });
  });

  test('Q19 · both tabs add, one delivers, and each effect takes place once', async () => {
    const a = await browser.openLeader('A');
    const b = await browser.open('B');
    const texts = Array.from({ length: 20 }, (_, index) => `${index}`);

    const ids = await Promise.all(texts.map((text, index) => (index % 2 === 0 ? a : b).call('add', text)));
    await a.call('until', { pendingCount: 0 });
    await b.call('until', { pendingCount: 0 });

    expect(server.effects.map(({ id }) => id).toSorted()).toEqual(ids.toSorted());
    expect(server.arrivals).toHaveLength(20);
    expect(tabsOf(server.arrivals)).toEqual(['A']);
  });

  test('Q19 · the tab that delivers is closed in the middle of a request: another goes on within 2 s', async () => {
    const a = await browser.openLeader('A');
    const b = await browser.open('B');
    server.swallowed.add('A');
    const id = await b.call('add', 'one');
    await server.arrivalOf(id);

    const closedAtMs = performance.now();
    await a.close();

    const { tab, ms } = await timeToEffect(id, closedAtMs);
    expect(tab).toBe('B');
    expect(ms).toBeLessThan(CLOSED_MS_MAX);
  });

  test('Q19 · the tab that delivers goes to another page: another goes on within 2 s', async () => {
    const a = await browser.openLeader('A');
    const b = await browser.open('B');
    server.swallowed.add('A');
    const id = await b.call('add', 'one');
    await server.arrivalOf(id);

    const leftAtMs = performance.now();
    await a.leave('data:text/html,elsewhere');

    const { tab, ms } = await timeToEffect(id, leftAtMs);
    expect(tab).toBe('B');
    expect(ms).toBeLessThan(CLOSED_MS_MAX);
  });

  test('Q19 · a lock manager that grants everyone: all is delivered, each effect once', async () => {
    const a = await browser.openLeader('A', 'lockBroken');
    const b = await browser.open('B', 'lockBroken');

    const ids = [await a.call('add', 'one'), await b.call('add', 'two'), await a.call('add', 'three')];
    await Promise.all([a, b].map((tab) => tab.call('until', { pendingCount: 0 })));

    expect(server.effects.map(({ id }) => id).toSorted()).toEqual(ids.toSorted());
  });

  test('Q19 · without locks: one leads all the same, and closed without a word it counts as dead', async () => {
    const a = await browser.openLeader('A', 'noLock');
    const b = await browser.open('B', 'noLock');
    server.swallowed.add('A');
    const id = await b.call('add', 'one');
    await server.arrivalOf(id);
    expect(tabsOf(server.arrivals)).toEqual(['A']);

    const closedAtMs = performance.now();
    await a.close();

    const { tab, ms } = await timeToEffect(id, closedAtMs);
    expect(tab).toBe('B');
    expect(ms).toBeLessThan(FROZEN_MS_MAX);
  });

  test('Q19 · without messages between tabs everything is delivered, each effect once', async () => {
    const a = await browser.openLeader('A', 'noChannel');
    const b = await browser.open('B', 'noChannel');

    const ids = [await a.call('add', 'one'), await b.call('add', 'two')];
    await Promise.all(ids.map((id) => server.effectOf(id)));

    expect(server.effects).toHaveLength(2);
  });

  test('Q19 · the tab that delivers crashes: another goes on within 2 s', async () => {
    const a = await browser.openLeader('A');
    const b = await browser.open('B');
    server.swallowed.add('A');
    const id = await b.call('add', 'one');
    await server.arrivalOf(id);

    const crashedAtMs = performance.now();
    await a.crash();

    const { tab, ms } = await timeToEffect(id, crashedAtMs);
    expect(tab).toBe('B');
    expect(ms).toBeLessThan(CLOSED_MS_MAX);
  });

  test.each([
    { isTold: true, told: 'told of it' },
    { isTold: false, told: 'without a word' },
  ])(
    'Q19 · the tab that delivers is frozen, $told: another goes on within 15 s, and the thawed one does not send',
    async ({ isTold }) => {
      const a = await browser.openLeader('A');
      const b = await browser.open('B');
      const before = await a.call('add', 'before');
      // Stopped while it writes, it would keep the store from everyone, which no browser does to a page that it freezes.
      await b.call('untilConfirmed', 1);
      if (isTold) await a.call('tell', 'freeze');
      a.stop();

      const addedAtMs = performance.now();
      const id = await b.call('add', 'one');

      const { tab, ms } = await timeToEffect(id, addedAtMs);
      expect(tab).toBe('B');
      expect(ms).toBeLessThan(isTold ? CLOSED_MS_MAX : FROZEN_MS_MAX);
      a.goOn();
      if (isTold) await a.call('tell', 'resume');
      const last = await a.call('add', 'two');
      await a.call('until', { isLeader: false, pendingCount: 0 });
      expect(server.effects.map((effect) => [effect.id, effect.tab])).toEqual([
        [before, 'A'],
        [id, 'B'],
        [last, 'B'],
      ]);
      expect(server.arrivals.filter((arrival) => arrival.tab === 'A').map((arrival) => arrival.id)).toEqual([before]);
    },
  );

  test('Q19 · the tab that delivers is frozen with a request on its way: each effect takes place once', async () => {
    const a = await browser.openLeader('A');
    const b = await browser.open('B');
    server.swallowed.add('A');
    const id = await a.call('add', 'one');
    await server.arrivalOf(id);
    await b.call('until', { pendingCount: 1 });
    a.stop();

    const stoppedAtMs = performance.now();
    const { tab, ms } = await timeToEffect(id, stoppedAtMs);

    expect(tab).toBe('B');
    expect(ms).toBeLessThan(FROZEN_MS_MAX);
    server.swallowed.delete('A');
    a.goOn();
    await a.call('until', { isLeader: false, pendingCount: 0 });
    expect(server.effects).toHaveLength(1);
  });
}

describe('in Chromium', () => {
  describeTabs(inBrowser(() => startChromium()));
});

describe('in Chromium, with room for a megabyte', () => {
  const browser = inBrowser(() => startChromium(1_000_000));

  test('S12 · what finds no room in the browser is refused; what did outlives the tab, and is delivered once', async () => {
    const a = await browser.openLeader('A');
    const b = await browser.open('B');
    server.swallowed.add('A');
    const kept = [await a.call('add', 'one'), await b.call('add', 'two')];
    await server.arrivalOf(kept[0] ?? '');
    // As little of it as can be is saved by compression.
    const large = (): string => randomBytes(75_000).toString('base64');
    let refusal = '';
    for (let count = 0; refusal === ''; count += 1) {
      expect(count).toBeLessThan(100);
      await (count % 2 === 0 ? a : b).call('add', large()).then(
        (id) => kept.push(id),
        (error: unknown) => {
          refusal = String(error);
        },
      );
    }
    expect(refusal).toContain('the space that the browser allows is used up');
    for (const tab of [a, b]) await expect(tab.call('add', large())).rejects.toThrow('is used up');

    // The other one may not even find room to say that it delivers now: then it waits for that.
    await a.crash();
    await b.makeRoom?.();
    kept.push(await b.call('add', large()));
    await b.call('untilConfirmed', kept.length);

    expect(server.effects.map(({ id }) => id).toSorted()).toEqual(kept.toSorted());
    await b.close();
    const c = await browser.open('C');
    expect(await c.call('state')).toMatchObject({ pendingCount: 0 });
  });
});

describe('in Chromium, with room for a megabyte that is used up to the last byte', () => {
  const browser = inBrowser(() => startChromium(1_000_000));

  test('S12 · who takes over the lead delivers all the same', async () => {
    const a = await browser.openLeader('A');
    const b = await browser.open('B');
    server.swallowed.add('A');
    const kept = [await a.call('add', 'one')];
    await server.arrivalOf(kept[0] ?? '');
    for (const size of [75_000, 2_000, 10]) {
      for (let isFull = false; !isFull; ) {
        await a.call('add', randomBytes(size).toString('base64')).then(
          (id) => kept.push(id),
          (error: unknown) => {
            expect(String(error)).toContain('is used up');
            isFull = true;
          },
        );
      }
    }

    await a.crash();
    await b.call('until', { pendingCount: 0 });

    expect(server.effects.map(({ id }) => id).toSorted()).toEqual(kept.toSorted());
  });
});

const firefox = inject('firefox');
// Where there is none, `npm test` says so.
describe.each('executablePath' in firefox ? [firefox] : [])('in Firefox', ({ executablePath }) => {
  describeTabs(inBrowser(() => startFirefox(executablePath)));
});
