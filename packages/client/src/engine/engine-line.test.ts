import { describe, expect, test } from 'vitest';
import type { EngineInput } from './engine-io.ts';
import { applied, EngineRig, ERROR, LINE_FAILURES, refused, seqsOf } from './testing-engine/engine-rig.ts';
import type { TransportAnswer } from './transport-answer.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const unknown: TransportAnswer = { kind: 'unknown', error: ERROR };
const reached: EngineInput = { kind: 'probed', result: { kind: 'reached', latencyMs: 20 } };
const notReached: EngineInput = { kind: 'probed', result: { kind: 'notReached', reason: 'no connection' } };
const hint = (kind: 'online' | 'offline' | 'foreground' | 'nudge'): EngineInput => ({ kind: 'hint', hint: kind });

/** Answers every batch, probe and token request in the given way until the time is over; says how many requests that took. */
function suffer(
  rig: EngineRig,
  durationMs: number,
  world: { batch: TransportAnswer; probe: EngineInput; token: boolean },
): number {
  const untilMs = rig.nowMs + durationMs;
  const { length: batchesBefore } = rig.batches;
  const before = rig.probeCount + rig.refreshCount + batchesBefore;
  let answered = batchesBefore - 1;
  for (let step = 0; step < 10_000; step += 1) {
    if (rig.batches.length > answered && rig.batches.length > 0 && rig.engine.sendingSeqs.length > 0) {
      answered = rig.batches.length;
      rig.answer(world.batch);
    } else if (rig.effect('probe') !== undefined) rig.input(world.probe);
    else if (rig.effect('refreshToken') !== undefined) rig.input({ kind: 'tokenRefreshed', isThere: world.token });
    else if (rig.wakeAtMs === null || rig.wakeAtMs > untilMs) break;
    else rig.wake();
  }
  rig.nowMs = untilMs;
  return rig.probeCount + rig.refreshCount + rig.batches.length - before;
}

describe('R4: the line is not the mutation', () => {
  test.each(LINE_FAILURES.map((answer) => ({ kind: answer.kind, answer })))(
    'R4 · $kind a thousand times in a row uses no attempt and makes no dead letter',
    ({ answer }) => {
      const rig = EngineRig.leading();
      const header = rig.add();

      for (let round = 1; round <= 1_000; round += 1) {
        if (rig.engine.sendingSeqs.length > 0) rig.answer(answer);
        rig.pass(10 * 60_000);
        rig.input({ kind: 'tick' });
        if (rig.effect('probe') !== undefined) rig.input(reached);
        if (rig.effect('refreshToken') !== undefined) rig.input({ kind: 'tokenRefreshed', isThere: true });
      }

      expect(rig.entry(header).header.attempts).toEqual([]);
      expect(rig.settlements).toEqual([]);
      expect(rig.engine.mutations.counts).toMatchObject({ pending: 1, failed: 0 });
    },
  );

  test.each([
    { kind: 'unreachable', mayHaveBeenSent: false },
    { kind: 'unknown', mayHaveBeenSent: true },
  ] as const)('Q21 · after $kind it counts as possibly sent: $mayHaveBeenSent', ({ kind, mayHaveBeenSent }) => {
    const rig = EngineRig.leading();
    const header = rig.add();

    rig.answer({ kind, error: ERROR });

    expect(rig.entry(header).mayHaveBeenSent).toBe(mayHaveBeenSent);
  });

  test.each([
    { kind: 'unreachable', waitingFor: 'network' },
    { kind: 'unknown', waitingFor: 'network' },
    { kind: 'unavailable', waitingFor: 'circuit' },
    { kind: 'rateLimited', waitingFor: 'rateLimit' },
    { kind: 'calledOff', waitingFor: 'nothing' },
    { kind: 'unauthorized', waitingFor: 'auth' },
    { kind: 'forbidden', waitingFor: 'auth' },
    { kind: 'upgradeRequired', waitingFor: 'upgrade' },
  ] as const)('Q3 · after $kind it waits for $waitingFor, and says what was said', ({ kind, waitingFor }) => {
    const rig = EngineRig.leading();
    const header = rig.add();
    const answer = LINE_FAILURES.find((each) => each.kind === kind);
    if (answer === undefined) throw new Error('Every kind is in the list.');

    rig.answer(answer);

    expect(rig.waiting(header).waitingFor).toBe(waitingFor);
    expect(rig.entry(header).lastError).toEqual(ERROR);
    if (waitingFor !== 'nothing') expect(rig.waiting(header).error).toEqual(ERROR);
  });

  test('R3 · a wait that the server asks for in answer to a question is everybody’s', () => {
    const rig = EngineRig.leading();
    rig.input({ kind: 'rateLimited', error: ERROR, retryAfterMs: 30_000 });

    const header = rig.add();

    expect(rig.waiting(header)).toMatchObject({ waitingFor: 'rateLimit', error: ERROR });
    expect(rig.batches).toEqual([]);
  });
});

describe('the breaker', () => {
  test('R4 · one failure stops every send; then a probe asks, at growing intervals', () => {
    const rig = EngineRig.leading();
    rig.addAll([{}, {}]);
    rig.answer(unknown);
    const intervalsMs: number[] = [];

    for (let round = 1; round <= 10; round += 1) {
      intervalsMs.push((rig.wakeAtMs ?? 0) - rig.nowMs);
      rig.wake();
      expect(rig.effect('probe')).toBeDefined();
      expect(rig.wakeAtMs).toBeNull();
      rig.input(notReached);
    }

    expect(rig.batches.length).toBe(1);
    // 1 s doubling to 5 min, and half of 20 %
    expect(intervalsMs.map((ms) => Math.round(ms / 11) * 10)).toEqual(
      [1, 2, 4, 8, 16, 32, 64, 128, 256, 300].map((s) => s * 1_000),
    );
  });

  test('R4 · a probe that succeeds sends at once', () => {
    const rig = EngineRig.leading();
    rig.add();
    rig.answer(unknown);
    rig.wake();

    rig.input(reached);

    expect(rig.batches.length).toBe(2);
  });

  test.each([
    { name: 'nothing reaches the server', batch: unknown, probe: notReached, token: true },
    { name: 'the server answers the probe and drops every batch', batch: unknown, probe: reached, token: true },
    {
      name: 'a gateway answers 503',
      batch: { kind: 'unavailable', error: ERROR, retryAfterMs: null } as const,
      probe: reached,
      token: true,
    },
    {
      name: 'a gateway answers 503 with `Retry-After: 0`',
      batch: { kind: 'unavailable', error: ERROR, retryAfterMs: 0 } as const,
      probe: reached,
      token: true,
    },
    {
      name: 'every call is limited, without saying for how long',
      batch: { kind: 'rateLimited', error: ERROR, retryAfterMs: null } as const,
      probe: reached,
      token: true,
    },
    {
      name: 'every call is limited with `Retry-After: 0`',
      batch: { kind: 'rateLimited', error: ERROR, retryAfterMs: 0 } as const,
      probe: reached,
      token: true,
    },
    {
      name: 'every call is limited with `Retry-After: 1`',
      batch: { kind: 'rateLimited', error: ERROR, retryAfterMs: 1_000 } as const,
      probe: reached,
      token: true,
    },
    {
      name: 'answers are about nothing that was sent',
      batch: { kind: 'answered', outcomes: [] } as const,
      probe: reached,
      token: true,
    },
  ])('R4 · a day in which $name costs at most 300 requests', ({ batch, probe, token }) => {
    const rig = EngineRig.leading();
    rig.random = () => 0;
    rig.addAll(Array.from({ length: 50 }, () => ({})));

    expect(suffer(rig, DAY_MS, { batch, probe, token })).toBeLessThanOrEqual(300);
    expect(rig.engine.mutations.counts.pending).toBe(50);
  });

  test.each([
    { name: 'there is no token to be had', kind: 'unauthorized', token: false },
    { name: 'every fresh token is refused', kind: 'unauthorized', token: true },
    { name: 'the login is forbidden', kind: 'forbidden', token: true },
    { name: 'the login is forbidden and then gone', kind: 'forbidden', token: false },
  ] as const)('R4 · a day in which $name costs at most 300 batches and 300 requests for a token', ({ kind, token }) => {
    const rig = EngineRig.leading();
    rig.random = () => 0;
    rig.add();

    suffer(rig, DAY_MS, { batch: { kind, error: ERROR }, probe: reached, token });

    expect(rig.batches.length).toBeLessThanOrEqual(300);
    expect(rig.refreshCount).toBeLessThanOrEqual(300);
  });

  test('R3 · a longer `Retry-After` of an unavailable server is obeyed, an absurd one is cut to 5 min', () => {
    for (const { retryAfterMs, delayMs } of [
      { retryAfterMs: 45_000, delayMs: 45_000 },
      { retryAfterMs: 300_000, delayMs: 300_000 },
      { retryAfterMs: 300_001, delayMs: 300_000 },
      { retryAfterMs: 31_536_000_000, delayMs: 300_000 },
    ]) {
      const rig = EngineRig.leading();
      rig.add();
      rig.answer({ kind: 'unavailable', error: ERROR, retryAfterMs });
      expect(rig.wakeAtMs).toBe(rig.nowMs + delayMs);
    }
  });

  test('R3 · a rate limit is obeyed between 1 s and 5 min, and nothing is sent meanwhile', () => {
    for (const { retryAfterMs, delayMs } of [
      { retryAfterMs: 0, delayMs: 1_100 },
      { retryAfterMs: 5_000, delayMs: 5_000 },
      { retryAfterMs: 300_000, delayMs: 300_000 },
      { retryAfterMs: 86_400_000, delayMs: 300_000 },
    ]) {
      const rig = EngineRig.leading();
      const header = rig.add();
      rig.answer({ kind: 'rateLimited', error: ERROR, retryAfterMs });
      expect(rig.waiting(header)).toEqual({ waitingFor: 'rateLimit', error: ERROR, untilMs: rig.nowMs + delayMs });
      expect(rig.wakeAtMs).toBe(rig.nowMs + delayMs);
      rig.pass(delayMs - 1);
      rig.add();
      expect(rig.batches.length).toBe(1);
      rig.pass(1);
      rig.input({ kind: 'tick' });
      expect(rig.batches.length).toBe(2);
    }
  });

  test('R4 · an answered batch ends the row of failures', () => {
    const rig = EngineRig.leading();
    rig.random = () => 0;
    rig.add({ lane: 'a' });
    for (let round = 1; round <= 3; round += 1) {
      rig.answer(unknown);
      rig.wake();
      if (rig.effect('probe') !== undefined) rig.input(reached);
    }
    rig.answerAll(applied);

    rig.add({ lane: 'b' });
    rig.answer(unknown);

    expect(rig.wakeAtMs).toBe(rig.nowMs + 1_000);
  });

  test('R4 · when the probe cannot see what is wrong, the next check is a batch', () => {
    const rig = EngineRig.leading();
    rig.add();
    rig.answer(unknown);
    rig.wake();
    rig.input(reached);
    rig.answer(unknown);

    rig.wake();

    expect(rig.effect('probe')).toBeUndefined();
    expect(rig.batches.length).toBe(3);
  });
});

describe('signs that the line may be back', () => {
  /** An outage of an hour: the next check is up to 5 min away. */
  function afterAnHour(): EngineRig {
    const rig = EngineRig.leading();
    rig.addAll([{}, {}]);
    suffer(rig, HOUR_MS, { batch: unknown, probe: notReached, token: true });
    return rig;
  }

  test.each(['online', 'foreground', 'nudge'] as const)('N5 · %s asks the server at once', (kind) => {
    const rig = afterAnHour();
    rig.pass(30_000);

    rig.input(hint(kind));

    expect(rig.effect('probe')).toBeDefined();
  });

  test('N5 · signs in a row ask at most once a second', () => {
    const rig = afterAnHour();
    rig.input(hint('online'));
    rig.input(notReached);

    rig.input(hint('foreground'));
    expect(rig.effect('probe')).toBeUndefined();
    expect(rig.wakeAtMs).toBe(rig.nowMs + 1_000);

    rig.wake();
    expect(rig.effect('probe')).toBeDefined();
  });

  test('N5 · a sign while the server is being asked asks nothing more', () => {
    const rig = afterAnHour();
    rig.input(hint('online'));

    rig.input(hint('nudge'));

    expect(rig.effect('probe')).toBeUndefined();
  });

  test('R4 · a new mutation made in another tab asks the server too, and one that was known already does not', () => {
    const rig = afterAnHour();
    rig.wake();
    rig.input(notReached);
    const headers = [rig.header()];

    rig.input({ kind: 'found', headers, deadLetters: [] });
    expect(rig.wakeAtMs).toBe(rig.nowMs + 15_000);

    rig.pass(15_000);
    rig.input({ kind: 'tick' });
    rig.input(notReached);
    rig.input({ kind: 'found', headers, deadLetters: [] });
    expect(rig.wakeAtMs).toBeGreaterThan(rig.nowMs + 240_000);
  });

  test('R4 · a new mutation asks the server, but at most every 15 s', () => {
    const rig = afterAnHour();
    rig.wake();
    rig.input(notReached);

    rig.add();
    expect(rig.effect('probe')).toBeUndefined();
    expect(rig.wakeAtMs).toBe(rig.nowMs + 15_000);

    rig.pass(15_000);
    rig.add();
    expect(rig.effect('probe')).toBeDefined();
  });

  test('N5 · the device that went offline and online sends again after one probe', () => {
    const rig = EngineRig.leading();
    rig.input(hint('offline'));
    const header = rig.add();
    expect(rig.batches.length).toBe(0);
    expect(rig.waiting(header)).toMatchObject({ waitingFor: 'network', error: { code: 'OFFLINE' } });

    rig.pass(60_000);
    rig.input(hint('online'));
    rig.input(reached);

    expect(seqsOf(rig.lastBatch)).toEqual([header.seq]);
  });

  test('N2 · a platform that says offline and is wrong is found out by a probe', () => {
    const rig = EngineRig.leading();
    rig.input(hint('offline'));
    rig.add();

    rig.wake();
    rig.input(reached);

    expect(rig.batches.length).toBe(1);
  });

  test('N2 · offline, said while the server was known to be away, does not begin the waiting anew', () => {
    const rig = afterAnHour();
    const wakeAtMs = rig.wakeAtMs;

    rig.input(hint('offline'));

    expect(rig.wakeAtMs).toBe(wakeAtMs);
  });

  test('N2 · offline, said while the server could not serve, is what the user is told', () => {
    const rig = EngineRig.leading();
    const header = rig.add();
    rig.answer({ kind: 'unavailable', error: ERROR, retryAfterMs: null });

    rig.input(hint('offline'));

    expect(rig.waiting(header).waitingFor).toBe('network');
  });

  test('N2 · a batch that is on its way when the platform says offline is waited for', () => {
    const rig = EngineRig.leading();
    rig.add();
    rig.input(hint('offline'));
    expect(rig.effect('abort')).toBeUndefined();

    rig.answerAll(applied);

    expect(rig.settlements.length).toBe(1);
    rig.add();
    expect(rig.batches.length).toBe(2);
  });

  test('Q18 · a nudge forgets the delays of refused mutations; the other signs do not', () => {
    const rig = EngineRig.leading();
    const header = rig.add();
    rig.answerAll(refused);

    rig.input(hint('online'));
    rig.input(hint('foreground'));
    expect(rig.batches.length).toBe(1);

    rig.input(hint('nudge'));
    expect(seqsOf(rig.lastBatch)).toEqual([header.seq]);
    expect(rig.batches.length).toBe(2);
  });

  test('R4 · with nothing to send nobody is asked', () => {
    const rig = EngineRig.leading();
    rig.input(hint('offline'));

    rig.input(hint('online'));

    expect(rig.effects.map(({ kind }) => kind)).toEqual(['changed']);
    expect(rig.wakeAtMs).toBeNull();
  });
});

describe('the login', () => {
  const unauthorized: TransportAnswer = { kind: 'unauthorized', error: ERROR };

  test('R5 · a refused token is refreshed once, and the same batch goes again', () => {
    const rig = EngineRig.leading();
    const headers = rig.addAll([{}, {}]);

    rig.answer(unauthorized);
    expect(rig.effect('refreshToken')).toBeDefined();
    rig.input({ kind: 'tokenRefreshed', isThere: true });

    expect(seqsOf(rig.lastBatch)).toEqual(headers.map(({ seq }) => seq));
    expect(rig.batches.length).toBe(2);
  });

  test('R5 · when the fresh token is refused too, it waits before the app is asked again', () => {
    const rig = EngineRig.leading();
    rig.random = () => 0;
    const header = rig.add();
    rig.answer(unauthorized);
    rig.input({ kind: 'tokenRefreshed', isThere: true });

    rig.answer(unauthorized);

    expect(rig.effect('refreshToken')).toBeUndefined();
    expect(rig.waiting(header)).toEqual({ waitingFor: 'auth', error: ERROR, untilMs: rig.nowMs + 1_000 });
    rig.wake();
    expect(rig.effect('refreshToken')).toBeDefined();
  });

  test('R5 · without a token the app is asked at growing intervals, and nothing is sent', () => {
    const rig = EngineRig.leading();
    rig.random = () => 0;
    rig.add();
    rig.answer(unauthorized);
    const intervalsMs: number[] = [];

    for (let round = 1; round <= 5; round += 1) {
      rig.input({ kind: 'tokenRefreshed', isThere: false });
      intervalsMs.push((rig.wakeAtMs ?? 0) - rig.nowMs);
      rig.wake();
      expect(rig.effect('refreshToken')).toBeDefined();
    }

    expect(intervalsMs).toEqual([1_000, 2_000, 4_000, 8_000, 16_000]);
    expect(rig.batches.length).toBe(1);
  });

  test.each(['online', 'foreground', 'nudge'] as const)(
    'R5 · %s asks for a token at once when there was none to be had',
    (kind) => {
      // given: a token that expired in a tunnel, and an hour without one
      const rig = EngineRig.leading();
      rig.add();
      rig.answer(unauthorized);
      suffer(rig, HOUR_MS, { batch: unauthorized, probe: reached, token: false });
      const { refreshCount } = rig;

      rig.input(hint(kind));

      expect(rig.refreshCount).toBe(refreshCount + 1);
    },
  );

  test('R5 · a sign while something is on its way lets waits for the login begin short again', () => {
    const rig = EngineRig.leading();
    rig.add();
    rig.answer(unauthorized);
    suffer(rig, HOUR_MS, { batch: unauthorized, probe: reached, token: true });
    while (rig.effect('send') === undefined) {
      if (rig.effect('refreshToken') === undefined) rig.wake();
      else rig.input({ kind: 'tokenRefreshed', isThere: true });
    }

    rig.input(hint('online'));
    rig.answer(unauthorized);

    expect((rig.wakeAtMs ?? 0) - rig.nowMs).toBeLessThan(2_000);
  });

  test('R5 · a new mutation asks for a token too, but at most every 15 s', () => {
    const rig = EngineRig.leading();
    rig.add();
    rig.answer(unauthorized);
    suffer(rig, HOUR_MS, { batch: unauthorized, probe: reached, token: false });
    rig.wake();
    rig.input({ kind: 'tokenRefreshed', isThere: false });
    const { refreshCount } = rig;

    rig.add();
    expect(rig.refreshCount).toBe(refreshCount);
    rig.pass(15_000);
    rig.add();
    expect(rig.refreshCount).toBe(refreshCount + 1);
  });

  test('R5 · a new login opens the gate at once', () => {
    const rig = EngineRig.leading();
    rig.add();
    rig.answer(unauthorized);
    rig.input({ kind: 'tokenRefreshed', isThere: false });

    rig.input({ kind: 'loginChanged' });

    expect(rig.batches.length).toBe(2);
  });

  test('R5 · a token that comes when nobody waits for one changes nothing', () => {
    const rig = EngineRig.leading();
    rig.add();

    rig.input({ kind: 'tokenRefreshed', isThere: false });

    expect(rig.engine.gates.closed(rig.nowMs)).toBeNull();
  });

  test('R5 · a forbidden login is asked for again after minutes, and at once when it changes', () => {
    const rig = EngineRig.leading();
    rig.random = () => 0;
    const header = rig.add();
    rig.answer({ kind: 'forbidden', error: ERROR });
    expect(rig.waiting(header)).toMatchObject({ waitingFor: 'auth', error: ERROR });
    expect((rig.wakeAtMs ?? 0) - rig.nowMs).toBeGreaterThanOrEqual(256_000);

    // a sign about the line says nothing about what a login may do
    rig.pass(60_000);
    for (const kind of ['online', 'foreground', 'nudge'] as const) rig.input(hint(kind));
    rig.add();
    expect(rig.refreshCount).toBe(0);

    rig.input({ kind: 'loginChanged' });
    expect(rig.batches.length).toBe(2);
  });

  test('R5 · an answered batch shows that the login is good: the next failure is refreshed at once', () => {
    const rig = EngineRig.leading();
    rig.add();
    rig.answer(unauthorized);
    rig.input({ kind: 'tokenRefreshed', isThere: true });
    rig.answerAll(applied);

    rig.add();
    rig.answer(unauthorized);

    expect(rig.effect('refreshToken')).toBeDefined();
  });
});

describe('what a person has closed', () => {
  test('Q13 · paused, what is on its way may finish and nothing more begins; resumed, it goes on', () => {
    const rig = EngineRig.leading();
    rig.addAll([{ lane: 'a' }, { lane: 'a' }]);
    rig.input({ kind: 'paused' });
    expect(rig.effect('abort')).toBeUndefined();

    rig.answerAll(applied);
    expect(rig.settlements.length).toBe(1);
    expect(rig.batches.length).toBe(1);
    expect(rig.wakeAtMs).toBeNull();

    rig.input({ kind: 'resumed' });
    expect(seqsOf(rig.lastBatch)).toEqual([2]);
  });

  test('Q13 · a paused queue asks nobody anything, whatever signs come', () => {
    const rig = EngineRig.leading();
    rig.add();
    rig.answer(unknown);
    rig.input({ kind: 'paused' });
    rig.pass(HOUR_MS);

    for (const input of [hint('online'), hint('foreground'), hint('nudge'), { kind: 'tick' } as const])
      rig.input(input);
    rig.add();

    expect([rig.probeCount, rig.batches.length]).toEqual([0, 1]);
  });

  test('Q3 · paused comes before every other reason, and promises no time', () => {
    const rig = EngineRig.leading();
    const header = rig.add();
    rig.answer(unknown);

    rig.input({ kind: 'paused' });

    expect(rig.waiting(header)).toEqual({ waitingFor: 'paused', error: null, untilMs: null });
  });

  test('Q3 · an app that is too old waits for its update, promises no time, and asks nobody', () => {
    const rig = EngineRig.leading();
    const header = rig.add();
    rig.answer({ kind: 'upgradeRequired', error: ERROR });

    rig.pass(HOUR_MS);
    for (const input of [hint('nudge'), { kind: 'loginChanged' } as const, { kind: 'tick' } as const]) rig.input(input);

    expect(rig.batches.length).toBe(1);
    expect(rig.waiting(header)).toEqual({ waitingFor: 'upgrade', error: ERROR, untilMs: null });
    expect(rig.wakeAtMs).toBeNull();
  });

  test('Q13 · one that was called off goes again, without an attempt and without a word against the line', () => {
    const rig = EngineRig.leading();
    const header = rig.add();
    rig.input({ kind: 'paused' });
    rig.answer({ kind: 'calledOff', error: ERROR });
    expect(rig.entry(header)).toMatchObject({ phase: { kind: 'waiting' }, mayHaveBeenSent: true });

    rig.input({ kind: 'resumed' });

    expect(seqsOf(rig.lastBatch)).toEqual([header.seq]);
    expect(rig.probeCount).toBe(0);
  });
});

describe('N5: the fleet begins again', () => {
  test('N5 · a second probe that is answered while a device waits its turn does not move its turn', () => {
    const rig = EngineRig.leading();
    rig.add();
    rig.answer({ kind: 'unavailable', error: ERROR, retryAfterMs: null });
    for (let failures = 1; failures < 3; failures += 1) {
      rig.wake();
      rig.input(notReached);
    }
    rig.wake();
    rig.input(reached);
    const turnAtMs = rig.wakeAtMs;
    expect(turnAtMs).toBe(rig.nowMs + 15_000);

    rig.pass(1_000);
    rig.random = () => 0.9;
    rig.input(reached);

    expect(rig.wakeAtMs).toBe(turnAtMs);
    expect(rig.batches).toHaveLength(1);
    rig.wake();
    expect(rig.batches).toHaveLength(2);
  });
});

test('S10, R4 · what cannot be sent since its store fails waits for that, and not for the network', () => {
  const rig = EngineRig.leading();
  const header = rig.add();

  rig.answer({ kind: 'unreachable', error: { ...ERROR, category: 'STORAGE_ERROR' } });

  expect(rig.waiting(header)).toMatchObject({ waitingFor: 'storage' });
});
