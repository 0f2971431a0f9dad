import type { BrowserContext, Page } from 'playwright-core';
import type { Measurement } from '../measurement.ts';
import { openCrm } from './crm-world.ts';

/** What was seen while the list was scrolled. */
interface Trace {
  readonly frameMs: readonly number[];
  readonly longestTaskMs: number;
}

/** A frame takes 16.7 ms on screens of 60 Hz; what is measured of one is a little more or less. */
const FRAME_MS = 1000 / 60 + 1;
const SLOW_MS = 50;

/** The list of the example at so many rows, scrolled for some seconds: by itself, and while so many changes settle. */
export async function measureScroll(
  browser: BrowserContext,
  {
    rowCount,
    changeCount,
    scrollMs,
  }: { readonly rowCount: number; readonly changeCount: number; readonly scrollMs: number },
): Promise<readonly Measurement[]> {
  const crm = await openCrm(rowCount);
  const page = await browser.newPage();
  try {
    await page.setViewportSize({ width: 1440, height: 900 });
    await page.goto(crm.url);
    await page.getByRole('button', { name: 'Amara Okafor' }).click();
    await page.locator('[data-account]').first().waitFor({ timeout: 60_000 });
    const raw = await scroll(page, scrollMs);

    // the first so many rows get another owner
    await page.locator('[role=grid]').evaluate((grid) => grid.scrollTo({ top: 0 }));
    const boxes = page.locator('[data-account] input[type=checkbox]');
    await boxes.first().click();
    await page.locator('[role=grid]').evaluate((grid, top) => grid.scrollTo({ top }), changeCount * 56);
    const rowIndex = String(changeCount + 1);
    await page.locator(`[aria-rowindex="${rowIndex}"] input`).click({ modifiers: ['Shift'] });
    await page.getByRole('combobox', { name: 'New owner' }).click();
    await page.locator('[role=option]:visible').first().click();
    await page.getByRole('button', { name: 'Change owner' }).click();
    const ours = await scroll(page, scrollMs);
    await page.getByText(`${changeCount} of ${changeCount} confirmed`).waitFor({ timeout: 120_000 });

    const lines = (subject: string, { frameMs, longestTaskMs }: Trace): readonly Measurement[] => {
      const line = (measure: string, value: number, unit: string, rawValue: number): Measurement => ({
        measure,
        n: rowCount,
        subject,
        value,
        unit,
        ratioToRaw: rawValue > 0 ? value / rawValue : null,
      });
      const over = (limitMs: number, trace: Trace): number => trace.frameMs.filter((ms) => ms > limitMs).length;
      return [
        line('scroll-frames', frameMs.length, 'frames', raw.frameMs.length),
        line('frames-over-16.7', over(FRAME_MS, { frameMs, longestTaskMs }), 'frames', over(FRAME_MS, raw)),
        line('frames-over-50', over(SLOW_MS, { frameMs, longestTaskMs }), 'frames', over(SLOW_MS, raw)),
        line('longest-task', longestTaskMs, 'ms', raw.longestTaskMs),
      ];
    };
    return [...lines('raw/crm, nothing settles', raw), ...lines(`holdfast crm, ${changeCount} settle`, ours)];
  } finally {
    await page.close();
    await crm.close();
  }
}

/** Scrolls a little with each frame, to the end and back, and takes down how long each frame took. */
function scroll(page: Page, scrollMs: number): Promise<Trace> {
  return page.evaluate(async (durationMs): Promise<Trace> => {
    const grid = document.querySelector('[role=grid]');
    if (grid === null) throw new Error('There is no list.');
    let longestTaskMs = 0;
    const observer = new PerformanceObserver((list) => {
      for (const { duration } of list.getEntries()) longestTaskMs = Math.max(longestTaskMs, duration);
    });
    observer.observe({ type: 'longtask' });
    const frameMs: number[] = [];
    const startMs = performance.now();
    let lastMs = await new Promise<number>((resolve) => requestAnimationFrame(resolve));
    let stepPx = 30;
    while (performance.now() - startMs < durationMs) {
      grid.scrollTop += stepPx;
      if (grid.scrollTop <= 0 || grid.scrollTop + grid.clientHeight >= grid.scrollHeight - 1) stepPx = -stepPx;
      const atMs = await new Promise<number>((resolve) => requestAnimationFrame(resolve));
      frameMs.push(atMs - lastMs);
      lastMs = atMs;
    }
    observer.disconnect();
    return { frameMs, longestTaskMs };
  }, scrollMs);
}
