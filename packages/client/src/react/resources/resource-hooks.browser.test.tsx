import { act, cleanup, render, renderHook } from '@testing-library/react';
import { StrictMode, useEffect, useLayoutEffect, useRef } from 'react';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { MemoryUsage } from './memory-usage.ts';
import { debounceCleanup, throttleCleanup } from './rate-limits.ts';
import { useCancellablePromise } from './use-cancellable-promise.ts';
import { useCleanup } from './use-cleanup.ts';
import { useMemoryMonitor } from './use-memory-monitor.ts';
import { useResourceManager } from './use-resource-manager.ts';
import { useSafeAsync } from './use-safe-async.ts';
import { useSafeState } from './use-safe-state.ts';
import { useInterval, useTimeout } from './use-timers.ts';

const strict = { wrapper: StrictMode };

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  cleanup();
  vi.useRealTimers();
});

/** A promise that the test settles. */
function deferred<Value>() {
  let resolve!: (value: Value) => void;
  let reject!: (error: unknown) => void;
  const promise = new Promise<Value>((ok, no) => {
    resolve = ok;
    reject = no;
  });
  return { promise, resolve, reject };
}

describe('state and calls that outlive a component', () => {
  it('E7 · a setter does nothing once the component is gone, and works again when React puts it back', () => {
    const { result, unmount } = renderHook(() => useSafeState(1), strict);
    const [, set] = result.current;
    act(() => set((before) => before + 1));
    expect(result.current[0]).toBe(2);
    expect(result.current[1]).toBe(set);
    unmount();
    set(3);
    expect(result.current[0]).toBe(2);
  });

  it('E7 · what is set while the component appears counts, from its own layout effect and from a child', () => {
    const Child = ({ set }: { readonly set: (text: string) => void }): null => {
      useEffect(() => set('from the child'), [set]);
      return null;
    };
    const Measured = () => {
      const [size, setSize] = useSafeState(0);
      const [text, setText] = useSafeState('nothing');
      const element = useRef<HTMLDivElement>(null);
      useLayoutEffect(() => setSize(element.current?.offsetHeight ?? -1), [setSize]);
      return (
        <div ref={element} style={{ height: 50 }}>
          {size} {text}
          <Child set={setText} />
        </div>
      );
    };
    for (const isStrict of [false, true]) {
      const { container } = render(
        isStrict ? (
          <StrictMode>
            <Measured />
          </StrictMode>
        ) : (
          <Measured />
        ),
      );
      expect(container.textContent).toBe('50 from the child');
    }
  });

  it('E7 · only the answer to the last call counts, whichever comes first; the others are told to stop', async () => {
    const calls: {
      readonly id: string;
      readonly signal: AbortSignal;
      readonly answer: ReturnType<typeof deferred<string>>;
    }[] = [];
    const { result, rerender, unmount } = renderHook(
      ({ id }) =>
        useSafeAsync(
          (signal) => {
            const answer = deferred<string>();
            calls.push({ id, signal, answer });
            return answer.promise;
          },
          [id],
        ),
      { initialProps: { id: 'a' } },
    );
    expect(result.current).toMatchObject({ data: undefined, error: null, loading: true });
    rerender({ id: 'b' });
    const [first, second] = calls;
    expect([first?.signal.aborted, second?.signal.aborted]).toEqual([true, false]);
    await act(async () => second?.answer.resolve('B'));
    await act(async () => first?.answer.resolve('A'));
    expect(result.current).toMatchObject({ data: 'B', error: null, loading: false });

    act(() => result.current.reload());
    expect(result.current).toMatchObject({ data: 'B', loading: true });
    await act(async () => calls.at(-1)?.answer.reject(new Error('no')));
    expect(result.current).toMatchObject({ data: 'B', error: new Error('no'), loading: false });
    act(() => result.current.reload());
    unmount();
    expect(calls.at(-1)?.signal.aborted).toBe(true);
  });

  it('E7 · a call that throws before its first promise is an error, not a crash', async () => {
    const { result } = renderHook(() =>
      useSafeAsync(() => {
        throw new Error('at once');
      }, []),
    );
    await act(async () => {});
    expect(result.current).toMatchObject({ error: new Error('at once'), loading: false });
  });

  it('E7 · work ends with the component, with an AbortError, also when it does not listen', async () => {
    const { result, unmount } = renderHook(() => useCancellablePromise(), strict);
    const { run, cancel } = result.current;
    await expect(run(() => 'done')).resolves.toBe('done');
    await expect(run(() => Promise.reject(new Error('its own')))).rejects.toThrow('its own');

    let wasTold = false;
    const deaf = run(() => new Promise<never>(() => {}));
    const listening = run((signal) => {
      signal.addEventListener('abort', () => {
        wasTold = true;
      });
      return new Promise<never>(() => {});
    });
    cancel();
    await expect(deaf).rejects.toMatchObject({ name: 'AbortError' });
    await expect(listening).rejects.toMatchObject({ name: 'AbortError' });
    expect(wasTold).toBe(true);
    const last = run(() => new Promise<never>(() => {}));
    unmount();
    await expect(last).rejects.toMatchObject({ name: 'AbortError' });
  });
});

describe('timers', () => {
  it('E7 · a timeout rings once with the callback of the last render, and not when it is cleared or the component gone', () => {
    const seen: string[] = [];
    const { result, rerender, unmount } = renderHook(
      ({ word, delayMs }) => useTimeout(() => seen.push(word), delayMs),
      { initialProps: { word: 'first', delayMs: 1_000 as number | null }, ...strict },
    );
    vi.advanceTimersByTime(600);
    rerender({ word: 'second', delayMs: 1_000 });
    vi.advanceTimersByTime(400);
    expect(seen).toEqual(['second']);
    rerender({ word: 'third', delayMs: 500 });
    result.current.clear();
    vi.advanceTimersByTime(5_000);
    expect(seen).toEqual(['second']);
    rerender({ word: 'fourth', delayMs: 700 });
    unmount();
    vi.advanceTimersByTime(5_000);
    expect(seen).toEqual(['second']);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('E7 · an interval keeps its beat while its callback changes, and null stops it', () => {
    const seen: number[] = [];
    const { rerender } = renderHook(({ number, delayMs }) => useInterval(() => seen.push(number), delayMs), {
      initialProps: { number: 1, delayMs: 100 as number | null },
      ...strict,
    });
    vi.advanceTimersByTime(250);
    rerender({ number: 2, delayMs: 100 });
    vi.advanceTimersByTime(50);
    expect(seen).toEqual([1, 1, 2]);
    rerender({ number: 3, delayMs: null });
    vi.advanceTimersByTime(1_000);
    expect([seen.length, vi.getTimerCount()]).toEqual([3, 0]);
  });

  it('E7 · debounced: once it is quiet, with the last arguments; throttled: at once and at the end; cleaned up: not at all', () => {
    const seen: string[] = [];
    const [debounced, calm] = debounceCleanup((word: string) => seen.push(`d ${word}`), 100);
    const [throttled, stop] = throttleCleanup((word: string) => seen.push(`t ${word}`), 100);
    for (const word of ['a', 'b', 'c']) {
      debounced(word);
      throttled(word);
      vi.advanceTimersByTime(40);
    }
    expect(seen).toEqual(['t a', 't c']);
    vi.advanceTimersByTime(1_000);
    expect(seen).toEqual(['t a', 't c', 'd c']);
    debounced('x');
    throttled('y');
    throttled('z');
    calm();
    stop();
    vi.advanceTimersByTime(1_000);
    expect(seen).toEqual(['t a', 't c', 'd c', 't y']);
    throttled('again');
    expect(seen.at(-1)).toBe('t again');
    stop();
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('what must be given back', () => {
  it('E7 · resources are given back when the component goes, the newest first, though one of them throws', () => {
    const given: string[] = [];
    const reported: unknown[] = [];
    const report = vi.spyOn(globalThis, 'reportError').mockImplementation((error) => reported.push(error));
    const { result, unmount } = renderHook(() => useResourceManager(), strict);
    const { add, release, count } = result.current;
    const one = add({ name: 'one' }, ({ name }) => given.push(name));
    add({ name: 'two' }, () => {
      throw new Error('two fails');
    });
    add({ name: 'three' }, ({ name }) => given.push(name));
    expect([release(one), release(one), count()]).toEqual([true, false, 2]);
    unmount();
    expect(given).toEqual(['one', 'three']);
    expect(reported).toEqual([new Error('two fails')]);
    add({ name: 'late' }, ({ name }) => given.push(name));
    expect(given.at(-1)).toBe('late');
    report.mockRestore();
  });

  it('E7 · the last cleanup that was rendered is called when the component goes', () => {
    const called: string[] = [];
    const { rerender, unmount } = renderHook(({ word }) => useCleanup(() => called.push(word)), {
      initialProps: { word: 'first' },
    });
    rerender({ word: 'second' });
    expect(called).toEqual([]);
    unmount();
    expect(called).toEqual(['second']);
  });

  it('E7 · memory is looked at in time, warned of once each time it is high, and null where it cannot be measured', () => {
    const warnings: number[] = [];
    let usage: MemoryUsage | null = null;
    const at = (usagePercent: number): MemoryUsage => ({
      usedJSHeapSize: usagePercent,
      jsHeapSizeLimit: 100,
      usagePercent,
    });
    const { result } = renderHook(() =>
      useMemoryMonitor({
        intervalMs: 1_000,
        read: () => usage,
        onWarn: ({ usagePercent }) => warnings.push(usagePercent),
      }),
    );
    expect(result.current).toBeNull();
    for (const percent of [50, 80, 95, 79, 81]) {
      usage = at(percent);
      act(() => void vi.advanceTimersByTime(1_000));
      expect(result.current).toEqual(at(percent));
    }
    expect(warnings).toEqual([80, 81]);
  });

  it('E7 · in this browser memory is measured', () => {
    vi.useRealTimers();
    const { result } = renderHook(() => useMemoryMonitor());
    expect(result.current?.usagePercent).toBeGreaterThan(0);
  });
});
