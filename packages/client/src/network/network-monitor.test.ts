import { expect, test } from 'vitest';
import type { ProbeResult } from '../engine/probe-result.ts';
import { FakeClock } from '../queue/testing-queue/fake-clock.ts';
import { NetworkMonitor } from './network-monitor.ts';

/** A monitor over a network that answers probes as it is told. */
function monitored(probe: () => Promise<ProbeResult>, isOnline = true) {
  const clock = new FakeClock();
  let say = (_hint: 'online' | 'offline' | 'foreground'): void => {};
  const monitor = new NetworkMonitor(
    {
      isOnline: () => isOnline,
      onHint: (listener) => {
        say = listener;
        return () => {
          say = () => {};
        };
      },
      probe,
    },
    clock,
    () => {},
  );
  return { clock, monitor, say: (hint: 'online' | 'offline' | 'foreground') => say(hint) };
}

const reached = (latencyMs: number) => async (): Promise<ProbeResult> => ({ kind: 'reached', latencyMs });

test.each([
  { latencyMs: 199, quality: 'excellent' },
  { latencyMs: 200, quality: 'good' },
  { latencyMs: 499, quality: 'good' },
  { latencyMs: 500, quality: 'fair' },
  { latencyMs: 999, quality: 'fair' },
  { latencyMs: 1_000, quality: 'poor' },
])('N2 · a round trip of $latencyMs ms is $quality, for a minute', async ({ latencyMs, quality }) => {
  const { clock, monitor } = monitored(reached(latencyMs));
  expect(monitor.getQuality()).toBe('unknown');

  await monitor.probe();
  expect(monitor.getSnapshot()).toMatchObject({ isOnline: true, quality, latencyMs });

  await clock.pass(60_000);
  expect(monitor.getQuality()).toBe(quality);
  await clock.pass(1);
  expect(monitor.getSnapshot()).toMatchObject({ isOnline: true, quality: 'unknown', latencyMs: null });
});

test('N3 · changes and reconnections are told, the last 50 kept, and the uptime is in percent', async () => {
  const { clock, monitor, say } = monitored(reached(20));
  const changes: boolean[] = [];
  let reconnectCount = 0;
  monitor.onChange(({ isOnline }) => changes.push(isOnline));
  const stop = monitor.onReconnect(() => {
    reconnectCount += 1;
  });
  expect(monitor.getUptime()).toBe(100);

  await clock.pass(1_000);
  say('offline');
  await clock.pass(3_000);
  expect(monitor.getUptime()).toBe(25);
  say('online');
  await clock.settle();
  await clock.pass(4_000);

  expect(changes).toEqual([false, true]);
  expect(reconnectCount).toBe(1);
  expect(monitor.getUptime()).toBe(62.5);
  stop();
  for (let round = 0; round < 40; round += 1) {
    say('offline');
    say('online');
    await clock.settle();
  }
  expect(monitor.getHistory().length).toBe(50);
  expect(reconnectCount).toBe(1);
  monitor.close();
  say('offline');
  expect(monitor.isOnline()).toBe(true);
});

test('N2 · those who probe at once share one answer', async () => {
  let probeCount = 0;
  const { monitor } = monitored(async () => {
    probeCount += 1;
    return { kind: 'reached', latencyMs: 1 };
  });

  await Promise.all([monitor.probe(), monitor.probe()]);
  expect(probeCount).toBe(1);
  await monitor.probe();
  expect(probeCount).toBe(2);
});

test.each([
  { name: 'never answers', probe: () => new Promise<never>(() => {}) },
  { name: 'rejects', probe: () => Promise.reject(new Error('mine')) },
])('N2 · a source whose probe $name counts as not reached after 10 s', async ({ probe }) => {
  const { clock, monitor } = monitored(probe);

  const asked = monitor.probe();
  await clock.pass(10_000);

  expect(await asked).toMatchObject({ kind: 'notReached' });
  expect(monitor.isOnline()).toBe(false);
  expect(clock.waitingCount).toBe(0);
});
