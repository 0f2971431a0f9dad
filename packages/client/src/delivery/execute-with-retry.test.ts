import { describe, expect, test } from 'vitest';
import { HoldfastError } from '../mutation/holdfast-error.ts';
import { FakeClock } from '../queue/testing-queue/fake-clock.ts';
import { type ExecuteOptions, executeWithRetry, type UpcomingRetry } from './execute-with-retry.ts';

/** Fails with each of these in turn, then succeeds. */
function failing(...failures: readonly unknown[]): { call: () => Promise<string>; callCount: number } {
  const made = {
    callCount: 0,
    call: async () => {
      made.callCount += 1;
      if (made.callCount <= failures.length) throw failures[made.callCount - 1];
      return 'done';
    },
  };
  return made;
}

const away = (): Error => Object.assign(new Error('Bad gateway'), { status: 502 });
const reset = (): Error =>
  new TypeError('fetch failed', { cause: Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' }) });

/** Runs to its end; the clock goes only where the call waits. */
async function run(call: () => Promise<string>, options: ExecuteOptions = {}) {
  const clock = new FakeClock();
  const retries: UpcomingRetry[] = [];
  let ended: { readonly value: string } | { readonly thrown: unknown } | null = null;
  void executeWithRetry(call, {
    clock,
    random: () => 0.5,
    jitter: 'none',
    onRetry: (retry) => retries.push(retry),
    ...options,
  }).then(
    (value) => {
      ended = { value };
    },
    (thrown: unknown) => {
      ended = { thrown };
    },
  );
  await clock.pass(3_600_000);
  return {
    ended: ended as { readonly value?: string; readonly thrown?: unknown } | null,
    delaysMs: retries.map(({ delayMs }) => delayMs),
    retries,
    clock,
  };
}

describe('how often, and how far apart', () => {
  test('R7 · three retries by default, after 1, 2 and 4 seconds', async () => {
    const made = failing(away(), away(), away());
    const { ended, delaysMs } = await run(made.call);
    expect(ended).toEqual({ value: 'done' });
    expect(delaysMs).toEqual([1_000, 2_000, 4_000]);
    expect(made.callCount).toBe(4);
  });

  test.each([
    { options: { backoffMultiplier: 3, initialDelayMs: 100 }, delaysMs: [100, 300, 900] },
    { options: { delayMsMax: 1_500 }, delaysMs: [1_000, 1_500, 1_500] },
    { options: { strategy: 'linear' }, delaysMs: [1_000, 2_000, 3_000] },
    { options: { strategy: 'fixed' }, delaysMs: [1_000, 1_000, 1_000] },
    { options: { jitter: 'full' }, delaysMs: [500, 1_000, 2_000] },
    { options: { jitter: 'decorrelated' }, delaysMs: [2_000, 3_500, 6_500] },
    { options: { maxRetries: 0 }, delaysMs: [] },
  ] as const)('R2 · $options wait $delaysMs ms', async ({ options, delaysMs }) => {
    expect((await run(failing(away(), away(), away()).call, options)).delaysMs).toEqual(delaysMs);
  });

  test('R2 · a connection that was reset is tried at once, once, within 100 ms', async () => {
    const { ended, delaysMs } = await run(failing(reset(), reset()).call);
    expect(ended).toEqual({ value: 'done' });
    expect(delaysMs).toEqual([50, 2_000]);
    expect((await run(failing(reset()).call, { random: () => 1 - 2 ** -53 })).delaysMs[0]).toBeLessThanOrEqual(100);
  });

  test('R2 · no other failure is tried at once', async () => {
    for (const failure of [away(), new TypeError('Failed to fetch'), new Error('x')]) {
      expect((await run(failing(failure).call)).delaysMs).toEqual([1_000]);
    }
  });

  test('R3 · Retry-After is waited for, and an absurd one for five minutes', async () => {
    const asked = (headers: Record<string, string>): Response => new Response('', { status: 429, headers });
    expect((await run(failing(asked({ 'retry-after': '5' })).call)).delaysMs).toEqual([5_000]);
    expect((await run(failing(asked({ 'retry-after': '999999999' })).call)).delaysMs).toEqual([300_000]);
    expect((await run(failing(asked({ 'retry-after': '0' })).call)).delaysMs).toEqual([1_000]);
    expect(
      (await run(failing(asked({ 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': '7' })).call)).delaysMs,
    ).toEqual([7_000]);
    expect(
      (await run(failing(asked({ 'x-ratelimit-remaining': '3', 'x-ratelimit-reset': '7' })).call)).delaysMs,
    ).toEqual([1_000]);
  });
});

describe('what is thrown', () => {
  test('R7 · out of retries: the last failure, as the cause of a typed error', async () => {
    const last = away();
    const made = failing(away(), away(), away(), last);
    const { ended } = await run(made.call);
    expect(ended?.thrown).toBeInstanceOf(HoldfastError);
    expect(ended?.thrown).toMatchObject({
      category: 'SERVER_ERROR',
      code: 'SERVER_UNAVAILABLE',
      message: 'Bad gateway',
    });
    expect(ended).toHaveProperty('thrown.cause', last);
    expect(made.callCount).toBe(4);
  });

  test.each([400, 401, 403, 404, 409, 422])('R2 · a %i is not tried again', async (status) => {
    const made = failing(Object.assign(new Error('No.'), { status }));
    const { ended } = await run(made.call);
    expect(made.callCount).toBe(1);
    expect(ended?.thrown).toMatchObject({ message: 'No.' });
  });

  test('R7 · a typed error is thrown as it is', async () => {
    const error = new HoldfastError({ code: 'CARD_DECLINED', category: 'VALIDATION_ERROR', message: 'x' });
    expect((await run(failing(error).call)).ended?.thrown).toBe(error);
  });

  test('R7 · the caller may say what is worth another attempt', async () => {
    const conflict = Object.assign(new Error('x'), { status: 409 });
    expect(
      (await run(failing(conflict).call, { isRetryable: ({ error }) => error.category === 'CONFLICT' })).ended,
    ).toEqual({ value: 'done' });
    expect((await run(failing(away()).call, { isRetryable: () => false })).ended?.thrown).toMatchObject({
      code: 'SERVER_UNAVAILABLE',
    });
  });

  test.each([{ maxRetries: -1 }, { initialDelayMs: Number.NaN }, { backoffMultiplier: 0.5 }, { delayMsMax: -1 }])(
    'R7 · %s is refused before anything is called',
    async (options) => {
      const made = failing();
      expect((await run(made.call, options)).ended?.thrown).toMatchObject({ code: 'INVALID_OPTION' });
      expect(made.callCount).toBe(0);
    },
  );
});

describe('stopping', () => {
  test('R7 · an abort during a wait ends it at once and leaves no timer behind', async () => {
    const clock = new FakeClock();
    const abort = new AbortController();
    const made = failing(away(), away());
    const ended = executeWithRetry(made.call, { clock, random: () => 0.5, signal: abort.signal });
    await clock.settle();
    expect(clock.waitingCount).toBe(1);

    abort.abort(new Error('left the screen'));

    await expect(ended).rejects.toThrow('left the screen');
    expect(clock.waitingCount).toBe(0);
    expect(made.callCount).toBe(1);
  });

  test('R7 · aborted before it begins, it calls nothing', async () => {
    const made = failing();
    await expect(executeWithRetry(made.call, { signal: AbortSignal.abort(new Error('never mind')) })).rejects.toThrow(
      'never mind',
    );
    expect(made.callCount).toBe(0);
  });

  test('R7 · a call that ends because of the abort is not tried again', async () => {
    const abort = new AbortController();
    const call = async (): Promise<string> => {
      abort.abort(new Error('stop'));
      throw away();
    };
    expect((await run(call, { signal: abort.signal })).ended?.thrown).toMatchObject({ message: 'stop' });
  });

  test('R7 · a call that aborted itself is not tried again, one that ran out of time is', async () => {
    const aborted = new DOMException('x', 'AbortError');
    expect((await run(failing(aborted).call)).ended?.thrown).toBe(aborted);
    expect((await run(failing(new DOMException('x', 'TimeoutError')).call)).ended).toEqual({ value: 'done' });
  });

  test('R7 · each attempt is told its number and the signal', async () => {
    const { signal } = new AbortController();
    const seen: unknown[] = [];
    const clock = new FakeClock();
    void executeWithRetry(
      (attempt) => {
        seen.push(attempt);
        if (seen.length < 3) throw away();
        return seen.length;
      },
      { clock, signal, random: () => 0.5 },
    );
    await clock.pass(60_000);
    expect(seen).toEqual([1, 2, 3].map((attemptNumber) => ({ attemptNumber, signal })));
  });
});
