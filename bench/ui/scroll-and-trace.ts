/** What was seen while a list was scrolled. */
export interface ScrollTrace {
  readonly frameMs: readonly number[];
  /** 0 when none took more than 50 ms. */
  readonly longestTaskMs: number;
}

/**
 * Runs in the page, and is sent there as it stands: scrolls a list a little with each frame, to the end and back, and takes down how long
 * each frame took.
 */
export async function scrollAndTrace(list: Element, durationMs: number): Promise<ScrollTrace> {
  let longestTaskMs = 0;
  const note = (entries: PerformanceEntryList): void => {
    for (const { duration } of entries) longestTaskMs = Math.max(longestTaskMs, duration);
  };
  const observer = new PerformanceObserver((seen) => note(seen.getEntries()));
  observer.observe({ type: 'longtask' });
  const frameMs: number[] = [];
  let lastMs = await new Promise<number>((resolve) => requestAnimationFrame(resolve));
  const endMs = lastMs + durationMs;
  let stepPx = 30;
  while (lastMs < endMs) {
    list.scrollTop += stepPx;
    if (list.scrollTop <= 0 || list.scrollTop + list.clientHeight >= list.scrollHeight - 1) stepPx = -stepPx;
    const atMs = await new Promise<number>((resolve) => requestAnimationFrame(resolve));
    frameMs.push(atMs - lastMs);
    lastMs = atMs;
  }
  // what it has not been told of yet
  note(observer.takeRecords());
  observer.disconnect();
  return { frameMs, longestTaskMs };
}
