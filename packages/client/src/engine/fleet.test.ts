import { expect, test } from 'vitest';
import { EngineRig, ERROR } from './testing-engine/engine-rig.ts';

const DEVICE_COUNT = 1_000;
const BIN_MS = 3_000;

/** A device with one change, whose server is away from the start until the given moment; says when it delivers. */
function deliversAtMs(device: number, outageMs: number, onProbe: (rig: EngineRig) => void = () => {}): number {
  const rig = EngineRig.leading();
  rig.random = seeded(device);
  const startMs = rig.nowMs;
  rig.add();
  for (;;) {
    const isUp = rig.nowMs - startMs >= outageMs;
    if (isUp && rig.engine.gates.closed(rig.nowMs) === null) return rig.nowMs - startMs;
    if (rig.engine.sendingSeqs.length > 0) rig.answer({ kind: 'unavailable', error: ERROR, retryAfterMs: null });
    rig.wake();
    // The health endpoint is the same server.
    if (rig.effect('probe') !== undefined) {
      const isBack = rig.nowMs - startMs >= outageMs;
      rig.input({
        kind: 'probed',
        result: isBack ? { kind: 'reached', latencyMs: 20 } : { kind: 'notReached', reason: 'away' },
      });
      if (isBack) onProbe(rig);
    }
  }
}

function seeded(seed: number): () => number {
  let state = (seed + 1) * 2_654_435_761;
  return () => {
    state = (Math.imul(state ^ (state >>> 15), 2_246_822_519) + 0x9e3779b9) >>> 0;
    return ((state ^ (state >>> 13)) >>> 0) / 2 ** 32;
  };
}

/** How many deliver in each 3 s, from the first to the last. */
function bins(times: readonly number[]): readonly number[] {
  const firstMs = Math.min(...times);
  const counts = Array.from({ length: Math.floor((Math.max(...times) - firstMs) / BIN_MS) + 1 }, () => 0);
  for (const time of times) {
    const bin = Math.floor((time - firstMs) / BIN_MS);
    counts[bin] = (counts[bin] ?? 0) + 1;
  }
  return counts;
}

test.each([{ outageMs: 20_000 }, { outageMs: 60_000 }, { outageMs: 3_600_000 }])(
  'N5 · 1,000 devices spread over 30 s after an outage of the server of $outageMs ms',
  ({ outageMs }) => {
    const times = Array.from({ length: DEVICE_COUNT }, (_, device) => deliversAtMs(device, outageMs));

    const counts = bins(times);
    // As if all came evenly within 30 s: no 3 s bring more than twice their share.
    expect(Math.max(...counts)).toBeLessThanOrEqual((2 * DEVICE_COUNT * BIN_MS) / 30_000);
    expect(Math.max(...times) - Math.min(...times)).toBeGreaterThan(27_000);
  },
);

test('N5 · with a sign that it was its own line, a device begins at once', () => {
  const times = Array.from({ length: 100 }, (_, device) => {
    let probedAtMs = 0;
    const deliveredAtMs = deliversAtMs(device, 60_000, (rig) => {
      probedAtMs = rig.nowMs - 1_000_000;
      rig.pass(1_000);
      rig.input({ kind: 'hint', hint: 'online' });
    });
    return deliveredAtMs - probedAtMs;
  });

  expect(Math.max(...times)).toBeLessThanOrEqual(1_000);
});

test('N5 · a single failure of the server is a hiccup, and not an outage', () => {
  const rig = EngineRig.leading();
  rig.add();
  rig.answer({ kind: 'unavailable', error: ERROR, retryAfterMs: null });
  rig.wake();

  rig.input({ kind: 'probed', result: { kind: 'reached', latencyMs: 20 } });

  expect(rig.batches).toHaveLength(2);
});

test('N5 · a device that was in an outage long ago, and has left delivery to another tab since, begins at once', () => {
  const rig = EngineRig.leading();
  // as late as it can be
  rig.random = () => 0.999;
  rig.add();
  for (let failure = 0; failure < 3; failure += 1) {
    if (rig.engine.sendingSeqs.length > 0) rig.answer({ kind: 'unavailable', error: ERROR, retryAfterMs: null });
    else rig.input({ kind: 'probed', result: { kind: 'notReached', reason: 'away' } });
    if (failure < 2) rig.wake();
  }
  rig.input({ kind: 'leadership', isLeader: false });
  rig.pass(200_000);
  const batchCount = rig.batches.length;

  rig.input({ kind: 'leadership', isLeader: true, earlierSeq: 0 });
  expect(rig.effect('probe')).toBeDefined();
  rig.input({ kind: 'probed', result: { kind: 'reached', latencyMs: 20 } });

  expect(rig.batches).toHaveLength(batchCount + 1);
});
