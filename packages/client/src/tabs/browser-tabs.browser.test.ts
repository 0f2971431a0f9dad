import { afterEach, expect, test } from 'vitest';
import type { Tabs } from '../ports/tabs.ts';
import { browserTabs } from './browser-tabs.ts';

let opened: Tabs[] = [];
let stops: (() => void)[] = [];
let circleCount = 0;

afterEach(() => {
  for (const stop of stops) stop();
  for (const tabs of opened) tabs.close();
  opened = [];
  stops = [];
});

const newCircle = (): string => {
  circleCount += 1;
  return `circle ${circleCount}`;
};

/** A tab that stands in line for the lead, and what became of it so far. */
function inLine(circle: string, isForced = false) {
  const tabs = browserTabs(circle);
  opened.push(tabs);
  const events: string[] = [];
  let tell = (): void => {};
  const note = (event: string) => (): void => {
    events.push(event);
    tell();
  };
  const stop = tabs.lead({ onGranted: note('granted'), onLost: note('lost') }, { isForced });
  stops.push(stop);
  const until = async (count: number): Promise<readonly string[]> => {
    while (events.length < count) await new Promise<void>((resolve) => (tell = resolve));
    return events;
  };
  return { stop, events, until };
}

/** Waits until the lock manager knows so many of a circle: giving back takes effect a moment after the call. */
async function untilLocks(circle: string, count: { readonly held: number; readonly waiting: number }): Promise<void> {
  const isOf = ({ name }: LockInfo): boolean => name === `holdfast:${circle}`;
  for (;;) {
    const { held = [], pending = [] } = await navigator.locks.query();
    if (held.filter(isOf).length === count.held && pending.filter(isOf).length === count.waiting) return;
  }
}

test('Q19 · one leads, and the next as soon as it gives up', async () => {
  const circle = newCircle();
  const first = inLine(circle);
  expect(await first.until(1)).toEqual(['granted']);
  const second = inLine(circle);
  await untilLocks(circle, { held: 1, waiting: 1 });
  expect(second.events).toEqual([]);

  first.stop();

  expect(await second.until(1)).toEqual(['granted']);
  expect(first.events).toEqual(['granted']);
  second.stop();
  second.stop();
  await untilLocks(circle, { held: 0, waiting: 0 });
});

test('Q19 · whoever stops waiting is not granted the lead later', async () => {
  const circle = newCircle();
  const first = inLine(circle);
  await first.until(1);
  const second = inLine(circle);
  second.stop();

  first.stop();

  await untilLocks(circle, { held: 0, waiting: 0 });
  expect(second.events).toEqual([]);
});

test('Q19 · a lead taken by force is told to the one who had it, who stands in line again', async () => {
  const circle = newCircle();
  const first = inLine(circle);
  await first.until(1);

  const second = inLine(circle, true);

  expect(await second.until(1)).toEqual(['granted']);
  expect(await first.until(2)).toEqual(['granted', 'lost']);
  second.stop();
  expect(await first.until(3)).toEqual(['granted', 'lost', 'granted']);
});

test.each([
  { away: () => window.dispatchEvent(new PageTransitionEvent('pagehide', { persisted: true })), name: 'pagehide' },
  { away: () => document.dispatchEvent(new Event('freeze')), name: 'freeze' },
])('Q19 · on $name the lock is given up, and asked for again when the page is back', async ({ away }) => {
  const circle = newCircle();
  const page = inLine(circle);
  await page.until(1);

  away();
  away();

  expect(page.events).toEqual(['granted', 'lost']);
  await untilLocks(circle, { held: 0, waiting: 0 });
  document.dispatchEvent(new Event('resume'));
  window.dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }));
  expect(await page.until(3)).toEqual(['granted', 'lost', 'granted']);
  await untilLocks(circle, { held: 1, waiting: 0 });
});

test('Q19 · a page that has given up the lead is not given it by coming back', async () => {
  const circle = newCircle();
  const page = inLine(circle);
  await page.until(1);
  page.stop();

  document.dispatchEvent(new Event('freeze'));
  document.dispatchEvent(new Event('resume'));

  await untilLocks(circle, { held: 0, waiting: 0 });
  expect(page.events).toEqual(['granted']);
});

test('Q19 · what a tab says is heard in the others and not in itself, until they stop listening', async () => {
  const circle = newCircle();
  const [speaker, hearer] = [browserTabs(circle), browserTabs(circle)];
  opened.push(speaker, hearer);
  const own: unknown[] = [];
  speaker.onMessage((message) => own.push(message));
  const heard = new Promise((resolve) => hearer.onMessage(resolve));
  const missed: unknown[] = [];
  hearer.onMessage((message) => missed.push(message))();

  speaker.post({ kind: 'stored' });

  expect(await heard).toEqual({ kind: 'stored' });
  expect([own, missed]).toEqual([[], []]);
});
