/**
 * A function that is called once things have been quiet for `delayMs` milliseconds, with the last arguments; and what calls off
 * a call that is still to come. `setTimeout` is the platform's.
 */
export function debounceCleanup<Arguments extends readonly unknown[]>(
  callback: (...args: Arguments) => void,
  delayMs: number,
): readonly [debounced: (...args: Arguments) => void, cleanup: () => void] {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const cleanup = (): void => clearTimeout(timer);
  const debounced = (...args: Arguments): void => {
    clearTimeout(timer);
    timer = setTimeout(() => callback(...args), delayMs);
  };
  return [debounced, cleanup];
}

/**
 * A function that is called at most once in `intervalMs` milliseconds: at once, and at the end of the interval with the last
 * arguments that came meanwhile; and what calls off that last one.
 */
export function throttleCleanup<Arguments extends readonly unknown[]>(
  callback: (...args: Arguments) => void,
  intervalMs: number,
): readonly [throttled: (...args: Arguments) => void, cleanup: () => void] {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let waiting: Arguments | null = null;
  const release = (): void => {
    timer = undefined;
    if (waiting === null) return;
    const args = waiting;
    waiting = null;
    timer = setTimeout(release, intervalMs);
    callback(...args);
  };
  const throttled = (...args: Arguments): void => {
    if (timer !== undefined) {
      waiting = args;
      return;
    }
    timer = setTimeout(release, intervalMs);
    callback(...args);
  };
  const cleanup = (): void => {
    clearTimeout(timer);
    timer = undefined;
    waiting = null;
  };
  return [throttled, cleanup];
}
