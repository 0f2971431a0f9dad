import { expect, test } from 'vitest';
import { type MaintenanceReport, startMaintenance } from './maintenance.ts';
import { describeOnPostgres } from './testing-databases/test-databases.ts';
import { createDevice } from './testing-databases/test-device.ts';

/** Timers that go off when they are told to. */
function createTimers() {
  const waits: number[] = [];
  let due: (() => void)[] = [];
  return {
    waits,
    schedule(delayMs: number, callback: () => void): () => void {
      waits.push(delayMs);
      due.push(callback);
      return () => {
        due = due.filter((each) => each !== callback);
      };
    },
    goOff(): void {
      const callbacks = due;
      due = [];
      for (const callback of callbacks) callback();
    },
    get count(): number {
      return due.length;
    },
  };
}

describeOnPostgres((world) => {
  const forget = () => world.database.query('update holdfast.settings set maintained_at = null');

  test('P5 · of three servers with one database one makes the round, and what was written is sealed', async () => {
    await forget();
    const device = createDevice(world.database);
    await device.send([device.next()]);
    const reports: MaintenanceReport[] = [];
    const errors: unknown[] = [];
    const timers = createTimers();
    const servers = Array.from({ length: 3 }, () =>
      startMaintenance({
        database: world.database,
        schedule: (delayMs, callback) => timers.schedule(delayMs, callback),
        random: () => 0.5,
        onDone: (report) => reports.push(report),
        onError: (error) => errors.push(error),
      }),
    );
    expect(timers.waits).toEqual([15_000, 15_000, 15_000]);

    timers.goOff();
    await expect.poll(() => timers.count).toBe(3);
    expect(errors).toEqual([]);
    expect(reports).toMatchObject([{ monthsDropped: [], isLogInUse: false }]);
    expect(reports[0]?.auditRowsSealed).toBeGreaterThan(0);
    expect(timers.waits.slice(3)).toEqual([330_000, 330_000, 330_000]);

    // It was done within five minutes.
    timers.goOff();
    await expect.poll(() => timers.count).toBe(3);
    expect(reports).toHaveLength(1);
    for (const server of servers) await server.close();
    expect(timers.count).toBe(0);
  });

  test('P5 · a round that fails is told, and the next one comes all the same', async () => {
    await forget();
    const errors: unknown[] = [];
    const reports: MaintenanceReport[] = [];
    const timers = createTimers();
    let isAway = true;
    const server = startMaintenance({
      database: {
        ...world.database,
        query: (sql, parameters) =>
          isAway ? Promise.reject(new Error('away')) : world.database.query(sql, parameters),
      },
      schedule: (delayMs, callback) => timers.schedule(delayMs, callback),
      random: () => 0,
      onDone: (report) => reports.push(report),
      onError: (error) => errors.push(error),
    });
    timers.goOff();
    await expect.poll(() => timers.count).toBe(1);
    expect(errors).toMatchObject([{ message: 'away' }]);

    isAway = false;
    timers.goOff();
    await expect.poll(() => timers.count).toBe(1);
    expect(reports).toHaveLength(1);
    await server.close();
  });

  test('P5 · a month that somebody reads is not waited for, and goes with a later round', async () => {
    await world.database.query(`select holdfast.ensure_partitions(0, '2020-01-15Z')`);
    const round = async () => {
      const [row] = await world.database.query<{ done: MaintenanceReport }>('select holdfast.maintain() as done');
      return row?.done;
    };
    await world.database.transaction(async (session) => {
      await session.query('select 1 from holdfast.audit_log_202001');
      expect(await round()).toMatchObject({ isLogInUse: true, monthsDropped: [] });
    });
    expect((await round())?.monthsDropped).toContain('audit_log_202001');
  });
});
