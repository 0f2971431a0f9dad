import { expect, test } from 'vitest';
import type { Connection } from '../ports/network-source.ts';
import { FakeClock } from '../queue/testing-queue/fake-clock.ts';
import { connectionOf } from './browser-network.ts';
import { type NetInfoStateLike, netInfoNetwork } from './net-info-network.ts';
import { NetworkMonitor } from './network-monitor.ts';
import { nodeNetwork } from './node-network.ts';

const reachedIn = (latencyMs: number) => async () => ({ kind: 'reached' as const, latencyMs });

function monitored(connection: Partial<Connection>, probe = reachedIn(20)) {
  const clock = new FakeClock();
  let say = (_hint: 'online' | 'offline' | 'foreground' | 'changed'): void => {};
  const current = {
    connection: {
      type: 'unknown',
      generation: null,
      isMetered: null,
      bandwidthMbps: null,
      ...connection,
    } as Connection,
    appState: 'active' as 'active' | 'background',
    probeCount: 0,
  };
  const monitor = new NetworkMonitor(
    {
      isOnline: () => current.connection.type !== 'none',
      connection: () => current.connection,
      appState: () => current.appState,
      onHint: (listener) => {
        say = listener;
        return () => {};
      },
      probe: () => {
        current.probeCount += 1;
        return probe();
      },
    },
    clock,
    () => {},
  );
  return { clock, monitor, current, say: (hint: Parameters<typeof say>[0]) => say(hint) };
}

test.each([
  [{ type: 'wifi' }, 'excellent', 95],
  [{ type: 'ethernet' }, 'excellent', 95],
  [{ type: 'cellular', generation: '5g' }, 'excellent', 95],
  [{ type: 'cellular', generation: '4g' }, 'good', 80],
  [{ type: 'cellular', generation: '3g' }, 'fair', 60],
  [{ type: 'cellular', generation: '2g' }, 'poor', 30],
  [{ type: 'cellular' }, 'unknown', 50],
  [{ type: 'unknown' }, 'unknown', 50],
  [{ type: 'none' }, 'offline', 0],
] as const)('N2 · a line of %o that was not measured is %s', (connection, quality, score) => {
  const { monitor } = monitored(connection);

  expect(monitor.getSnapshot()).toMatchObject({ quality, score, type: connection.type, stability: 1 });
});

test.each([
  [0, 100],
  [199, 90],
  [200, 90],
  [1_000, 50],
  [1_999, 0],
  [2_000, 0],
  [9_000, 0],
])('N1 · a measured round trip of %i ms scores %i, whatever the line is called', async (latencyMs, score) => {
  const { monitor } = monitored({ type: 'cellular', generation: '2g' }, reachedIn(latencyMs));

  await monitor.probe();

  expect(monitor.getSnapshot().score).toBe(score);
});

test('N2 · a measurement of the last 60 s decides alone; after it the name does again', async () => {
  const { monitor, clock, current, say } = monitored({ type: 'cellular', generation: '2g' });
  await monitor.probe();
  expect(monitor.getQuality()).toBe('excellent');
  current.appState = 'background';
  say('changed');

  await clock.pass(60_000);
  expect(monitor.getQuality()).toBe('excellent');
  await clock.pass(1);

  expect(monitor.getQuality()).toBe('poor');
});

test('N1 · calls that fail lower stability and score', async () => {
  let isReached = true;
  const { monitor } = monitored({ type: 'wifi' }, async () =>
    isReached ? { kind: 'reached', latencyMs: 0 } : ({ kind: 'notReached', reason: 'no connection' } as never),
  );
  await monitor.probe();
  isReached = false;
  await monitor.probe();
  isReached = true;
  for (let call = 0; call < 2; call += 1) await monitor.probe();

  expect(monitor.getSnapshot()).toMatchObject({ stability: 0.75, score: 88 });
});

test('N1 · another connection, or the app put into the background, is told at once', () => {
  const { monitor, current, say } = monitored({ type: 'wifi', isMetered: false });
  const told: unknown[] = [];
  monitor.onChange(({ type, isMetered, appState }) => told.push({ type, isMetered, appState }));

  current.connection = { type: 'cellular', generation: '4g', isMetered: true, bandwidthMbps: 12 };
  say('changed');
  current.appState = 'background';
  say('changed');
  say('changed');

  expect(told).toEqual([
    { type: 'cellular', isMetered: true, appState: 'active' },
    { type: 'cellular', isMetered: true, appState: 'background' },
  ]);
  expect(monitor.getSnapshot().bandwidthMbps).toBe(12);
});

test('N2 · the line is measured every 30 s while the app is before its user and online, and not otherwise', async () => {
  const { clock, current, say, monitor } = monitored({ type: 'wifi' });

  await clock.pass(29_999);
  expect(current.probeCount).toBe(0);
  await clock.pass(1);
  expect(current.probeCount).toBe(1);
  await clock.pass(30_000);
  expect(current.probeCount).toBe(2);
  current.appState = 'background';
  say('changed');
  await clock.pass(300_000);
  expect(current.probeCount).toBe(2);
  monitor.close();
  expect(clock.waitingCount).toBe(0);
});

test.each([
  [undefined, true, { type: 'unknown', generation: null, isMetered: null, bandwidthMbps: null }],
  [undefined, false, { type: 'none' }],
  [
    { type: 'wifi', effectiveType: '4g', downlink: 10 },
    true,
    { type: 'wifi', generation: null, isMetered: false, bandwidthMbps: 10 },
  ],
  [{ type: 'cellular', effectiveType: '3g' }, true, { type: 'cellular', generation: '3g', isMetered: true }],
  [{ effectiveType: 'slow-2g' }, true, { type: 'unknown', generation: '2g', isMetered: null }],
  [{ type: 'wifi', saveData: true }, true, { type: 'wifi', isMetered: true }],
  [{ type: 'bluetooth' }, true, { type: 'unknown' }],
] as const)('N1 · what a browser says: %o, online %s', (information, isOnline, expected) => {
  expect(connectionOf(information, isOnline)).toMatchObject(expected);
});

test('N1 · NetInfo: type, generation, metered, going offline and coming back, each told once', () => {
  let tell = (_state: NetInfoStateLike): void => {};
  let tellAppState = (_state: string): void => {};
  let isStopped = false;
  const appState = {
    currentState: 'active',
    addEventListener: (_name: 'change', listener: (state: string) => void) => {
      tellAppState = (state) => {
        appState.currentState = state;
        listener(state);
      };
      return { remove: () => (isStopped = true) };
    },
  };
  const source = netInfoNetwork(
    {
      addEventListener: (listener) => {
        tell = listener;
        return () => {};
      },
    },
    { probeUrl: '/v1/health', appState },
  );
  expect([source.isOnline(), source.connection?.().type, source.appState?.()]).toEqual([true, 'unknown', 'active']);
  const hints: string[] = [];
  const stop = source.onHint((hint) => hints.push(hint));

  const cellular = {
    type: 'cellular',
    isConnected: true,
    details: { cellularGeneration: '4g', isConnectionExpensive: true },
  };
  tell(cellular);
  tell(cellular);
  expect(source.connection?.()).toEqual({ type: 'cellular', generation: '4g', isMetered: true, bandwidthMbps: null });
  tell({ type: 'none', isConnected: false });
  expect([source.isOnline(), source.connection?.().type]).toEqual([false, 'none']);
  tell({ type: 'wifi', isConnected: true, details: { isConnectionExpensive: false } });
  tellAppState('background');
  expect(source.appState?.()).toBe('background');
  tellAppState('active');
  stop();

  expect(hints).toEqual(['changed', 'offline', 'online', 'changed', 'foreground']);
  expect(isStopped).toBe(true);
});

test('N1 · in Node nothing is told, and the probe decides', async () => {
  const source = nodeNetwork({ probeUrl: 'http://localhost:1/v1/health' });

  expect(source.isOnline()).toBe(true);
  source.onHint(() => {})();
  expect(await source.probe(new AbortController().signal)).toEqual({ kind: 'notReached', reason: 'no connection' });
});
