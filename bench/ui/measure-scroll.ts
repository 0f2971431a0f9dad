import type { BrowserContext, Page } from 'playwright-core';
import type { Measurement } from '../measurement.ts';
import { openCrm } from './crm-world.ts';
import { scrollAndTrace, type ScrollTrace } from './scroll-and-trace.ts';

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

    return scrollMeasurements(rowCount, changeCount, { raw, ours });
  } finally {
    await page.close();
    await crm.close();
  }
}

/** Lines of a result, ours beside the raw one. */
export function scrollMeasurements(
  rowCount: number,
  changeCount: number,
  { raw, ours }: { readonly raw: ScrollTrace; readonly ours: ScrollTrace },
): readonly Measurement[] {
  const lines = (subject: string, trace: ScrollTrace): readonly Measurement[] => {
    const line = (measure: string, unit: string, of: (each: ScrollTrace) => number): Measurement => {
      const [value, rawValue] = [of(trace), of(raw)];
      return { measure, n: rowCount, subject, value, unit, ratioToRaw: rawValue > 0 ? value / rawValue : null };
    };
    const over =
      (limitMs: number) =>
      ({ frameMs }: ScrollTrace): number =>
        frameMs.filter((ms) => ms > limitMs).length;
    return [
      line('scroll-frames', 'frames', ({ frameMs }) => frameMs.length),
      line('frames-over-16.7', 'frames', over(FRAME_MS)),
      line('frames-over-50', 'frames', over(SLOW_MS)),
      line('longest-task', 'ms', ({ longestTaskMs }) => longestTaskMs),
    ];
  };
  return [...lines('raw/crm, nothing settles', raw), ...lines(`holdfast crm, ${changeCount} settle`, ours)];
}

function scroll(page: Page, scrollMs: number): Promise<ScrollTrace> {
  return page.locator('[role=grid]').evaluate(scrollAndTrace, scrollMs);
}
