import { afterEach, expect, test } from 'vitest';
import './page.ts';
import { scrollAndTrace } from './scroll-and-trace.ts';

afterEach(() => document.body.replaceChildren());

test('B1 · each change is painted before the next one, through the queue as through React alone', async () => {
  for (const subject of ['react', 'holdfast'] as const) {
    const painted = (await globalThis.measurePaint?.(subject, 100, 3)) ?? [];

    expect(painted).toHaveLength(3);
    for (const { ms, frames } of painted) {
      expect(ms).toBeGreaterThan(0);
      expect(frames).toBeGreaterThanOrEqual(1);
    }
    expect(document.querySelector('[data-id="row-000002"]')?.textContent).toBe('Changed 2');
  }
});

test('B1 · a list is scrolled to its end and back, and each frame and the longest task are taken down', async () => {
  const list = document.createElement('div');
  list.style.cssText = 'height: 100px; overflow: auto';
  list.innerHTML = '<div style="height: 200px"></div>';
  document.body.append(list);
  const seen: number[] = [];
  list.addEventListener('scroll', () => {
    seen.push(list.scrollTop);
    // a task that is too long for a frame
    if (seen.length === 2) for (const endMs = performance.now() + 80; performance.now() < endMs; );
  });

  const { frameMs, longestTaskMs } = await scrollAndTrace(list, 400);

  expect(seen).toContain(100);
  expect(seen.at(-1)).toBeLessThanOrEqual(100);
  expect(seen.some((top, index) => top < (seen[index - 1] ?? 0))).toBe(true);
  expect(frameMs.reduce((sum, ms) => sum + ms, 0)).toBeGreaterThan(399);
  expect(Math.max(...frameMs)).toBeGreaterThan(50);
  expect(longestTaskMs).toBeGreaterThan(50);
});
