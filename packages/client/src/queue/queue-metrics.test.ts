import { describe, expect, test } from 'vitest';
import { note, TestDevice } from './testing-queue/test-device.ts';

describe('metrics', () => {
  test('Q5 · what was not measured is null, neither 0 nor NaN', async () => {
    const device = new TestDevice();
    const queue = await device.open();

    expect(await queue.getMetrics()).toEqual({
      total: { pending: 0, processing: 0, completed: 0, failed: 0 },
      byType: {},
      byPriority: {
        high: { pending: 0, processing: 0, completed: 0, failed: 0 },
        normal: { pending: 0, processing: 0, completed: 0, failed: 0 },
        low: { pending: 0, processing: 0, completed: 0, failed: 0 },
      },
      verdictCount: 0,
      averageRetries: null,
      successRate: null,
      firstAttemptSuccessRate: null,
      averageProcessingTimeMs: null,
      processingTimeMs: { p50: null, p95: null, p99: null },
      throughputPerMinute: null,
      growth: null,
    });
  });

  test('Q5 · totals, types and priorities are counted, rates and times measured, the same in every tab', async () => {
    const device = new TestDevice();
    const queue = await device.open();
    const other = await device.open();
    await queue.pause();
    for (const id of ['a', 'b', 'c']) await queue.add({ ...note(id), priority: 'high' });
    await queue.add({ ...note('bad'), doNotRetry: true });
    await queue.add({ type: 'log.write', payload: { line: 'x' }, priority: 'low', delayMs: 600_000 });
    await device.clock.pass(10_000);
    let isFirst = true;
    device.server.judge = ({ payload }) => {
      const isRefused = payload['id'] === 'bad' || (payload['id'] === 'a' && isFirst);
      if (payload['id'] === 'a') isFirst = false;
      return isRefused ? 'refused' : 'applied';
    };

    await queue.resume();
    await device.clock.pass(20_000);

    for (const tab of [queue, other]) {
      const metrics = await tab.getMetrics();
      expect(metrics).toMatchObject({
        total: { pending: 1, processing: 0, completed: 3, failed: 1 },
        byType: {
          'note.save': { pending: 0, processing: 0, completed: 3, failed: 1 },
          'log.write': { pending: 1, processing: 0, completed: 0, failed: 0 },
        },
        byPriority: { high: { completed: 3 }, normal: { failed: 1 }, low: { pending: 1 } },
        averageRetries: 0.25,
        successRate: 0.75,
        firstAttemptSuccessRate: 0.5,
        processingTimeMs: { p50: 10_000, p99: 11_000 },
        throughputPerMinute: 8,
      });
      expect(metrics.averageProcessingTimeMs).toBeCloseTo(31_000 / 3);
    }
  });

  test('Q5 · throughput is that of the last minute, and growth what came on top in it', async () => {
    const device = new TestDevice();
    const queue = await device.open();
    for (const id of ['a', 'b']) await queue.add(note(id));
    await device.clock.pass(60_000);
    await device.goOffline();
    for (const id of ['c', 'd', 'e']) await queue.add(note(id));
    await device.clock.pass(30_000);

    expect(await queue.getMetrics()).toMatchObject({ throughputPerMinute: 0, growth: 3 });

    await device.clock.pass(60_000);
    await device.goOnline();
    await device.clock.pass(10_000);
    expect(await queue.getMetrics()).toMatchObject({ throughputPerMinute: 3, growth: -3 });
  });

  test('Q5 · monitoring reports at each interval until it is stopped, or the queue closed', async () => {
    const device = new TestDevice();
    const queue = await device.open();
    const reports: number[] = [];
    const stop = queue.startMonitoring({
      intervalMs: 5_000,
      onReport: ({ total }) => {
        reports.push(total.completed);
        if (reports.length === 2) throw new Error('A report that nobody can show.');
      },
    });
    await device.clock.settle();
    await queue.add(note('a'));
    await device.clock.pass(10_000);
    expect(reports).toEqual([0, 1, 1]);

    stop();
    await device.clock.pass(10_000);
    expect(reports).toHaveLength(3);
    queue.startMonitoring({ onReport: ({ total }) => reports.push(total.completed) });
    await queue.close();
    await device.clock.pass(60_000);
    expect(reports.length).toBeLessThanOrEqual(4);
    expect(() => queue.startMonitoring({ intervalMs: 0, onReport: () => {} })).toThrow('intervalMs');
  });
});
