import type { World } from './world.ts';

/** Lets the world go on until the promise has settled; null when it does not within a minute. */
export async function finish<Result>({ scheduler, history }: World, promise: Promise<Result>): Promise<Result | null> {
  let ended: { readonly result: Result | null } | null = null;
  promise.then(
    (result) => {
      ended = { result };
    },
    () => {
      ended = { result: null };
    },
  );
  const violationCount = history.violations.length;
  await scheduler.runUntil(
    scheduler.nowMs + 60_000,
    () => ended !== null || history.violations.length > violationCount,
  );
  return (ended as { readonly result: Result | null } | null)?.result ?? null;
}
