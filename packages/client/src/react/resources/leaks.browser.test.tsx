import { cleanup, render } from '@testing-library/react';
import { StrictMode } from 'react';
import { afterEach, describe, expect, it } from 'vitest';
import { cdp } from 'vitest/browser';
import { detectMemoryLeaks } from './detect-memory-leaks.ts';
import { useCancellablePromise } from './use-cancellable-promise.ts';
import { useCleanup } from './use-cleanup.ts';
import { useMemoryMonitor } from './use-memory-monitor.ts';
import { useResourceManager } from './use-resource-manager.ts';
import { useSafeAsync } from './use-safe-async.ts';
import { useSafeState } from './use-safe-state.ts';
import { useInterval, useTimeout } from './use-timers.ts';
import { createWeakCache } from './weak-cache.ts';

/** Mounts in one run, and runs that are measured: 1,000 mounts in all. */
const MOUNT_COUNT = 50;
const RUN_COUNT = 20;
/** What each mount holds on to, so that one that stays shows in the heap. */
const BALLAST_COUNT = 1_000;
const BYTES_PER_MOUNT_MAX = 250;

interface DevTools {
  send(method: 'HeapProfiler.collectGarbage'): Promise<unknown>;
  send(method: 'Runtime.getHeapUsage'): Promise<{ readonly usedSize: number }>;
}

const devTools = cdp() as unknown as DevTools;

/** After a forced collection: the browser's own figure. */
async function measureBytes(): Promise<number> {
  await devTools.send('HeapProfiler.collectGarbage');
  return (await devTools.send('Runtime.getHeapUsage')).usedSize;
}

afterEach(cleanup);

async function searchIn(Component: () => null, runCount: number) {
  const report = await detectMemoryLeaks(
    async () => {
      for (let mount = 0; mount < MOUNT_COUNT; mount += 1) {
        const { unmount } = render(<Component />, { wrapper: StrictMode });
        unmount();
      }
      cleanup();
    },
    { runCount, measureBytes, bytesPerRunMax: MOUNT_COUNT * BYTES_PER_MOUNT_MAX },
  );
  if (report === null) throw new Error('Memory could not be measured.');
  return report;
}

function ballast(): number[] {
  return Array.from({ length: BALLAST_COUNT }, (_none, index) => index + 0.5);
}

function UsesEverything(): null {
  const held = ballast();
  const [, set] = useSafeState(held);
  const { run } = useCancellablePromise();
  const manager = useResourceManager();
  useSafeAsync(
    (signal) =>
      new Promise<number[]>((resolve) => {
        const timer = setTimeout(() => resolve(held), 60_000);
        signal.addEventListener('abort', () => clearTimeout(timer));
      }),
    [],
  );
  useTimeout(() => set(held), 60_000);
  useInterval(() => set(held), 60_000);
  useMemoryMonitor();
  useCleanup(() => void held.length);
  if (manager.count() === 0) {
    manager.add(held, (resource) => void resource.length);
    run(() => new Promise<number[]>(() => {})).catch(() => held.length);
  }
  return null;
}

const kept: number[][] = [];

/** What a component that forgets to unsubscribe does. */
function Leaks(): null {
  const held = ballast();
  kept.push(held);
  return null;
}

describe('a thousand components that come and go', () => {
  it('E7 · nothing stays in memory of a component that used every hook', async () => {
    const report = await searchIn(UsesEverything, RUN_COUNT);
    expect(report, `${report.bytesPerRun / MOUNT_COUNT} bytes a mount`).toMatchObject({ isLeaking: false });
  });

  it('E7 · control: a planted leak is found', async () => {
    const report = await searchIn(Leaks, 4);
    expect(report).toMatchObject({ isLeaking: true });
    expect(report.bytesPerRun / MOUNT_COUNT).toBeGreaterThan(BALLAST_COUNT * 4);
    kept.length = 0;
  });
});

describe('a cache that keeps nothing alive', () => {
  it('E7 · a value is there as long as somebody holds it, and its key goes with it', async () => {
    const cache = createWeakCache<string, object>();
    const held = { size: 1 };
    cache.set('held', held);
    fill(cache);
    expect([cache.get('held'), cache.size()]).toEqual([held, 101]);
    for (let turn = 0; turn < 20 && cache.size() > 1; turn += 1) {
      await devTools.send('HeapProfiler.collectGarbage');
      await new Promise((resolve) => setTimeout(resolve));
    }
    expect([cache.get('held'), cache.get('dropped 7'), cache.size()]).toEqual([held, undefined, 1]);
    cache.set('held', { size: 2 });
    expect([cache.get('held'), cache.delete('held'), cache.delete('held'), cache.size()]).toEqual([
      { size: 2 },
      true,
      false,
      0,
    ]);
  });
});

function fill(cache: ReturnType<typeof createWeakCache<string, object>>): void {
  for (let number = 0; number < 100; number += 1) cache.set(`dropped ${number}`, { number });
}
