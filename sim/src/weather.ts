import type { Device } from './device.ts';
import type { FaultClass } from './plan.ts';
import { MOODS } from './workload.ts';
import type { World } from './world.ts';

/** Draws the faults that come by themselves, until the plan's time is up. */
export function scheduleFaults(world: World, devices: readonly Device[]): void {
  const { dice, server, scheduler, plan } = world;
  const oneOf = (run: (device: Device) => void) => (): void => run(dice.pick(devices));
  const every = (name: FaultClass, strike: () => void): void => {
    const delayMs = world.faults.nextInMs(name);
    if (delayMs === null || scheduler.nowMs + delayMs > plan.durationMs) return;
    scheduler.at(delayMs, () => {
      if (!world.faults.isActive) return;
      world.faults.happened(name);
      world.trace.note(scheduler.nowMs, 'world', name);
      strike();
      every(name, strike);
    });
  };
  const forAWhile = (begin: () => void, end: () => void): void => {
    begin();
    scheduler.at(dice.logBetween(500, 300_000), end);
  };

  every(
    'partition',
    oneOf((device) => device.line.cut(dice.logBetween(200, 1_800_000))),
  );
  every(
    'captivePortal',
    oneOf((device) => device.line.enterPortal(dice.logBetween(1_000, 600_000))),
  );
  every(
    'offlineHint',
    oneOf((device) => device.line.hint(dice.pick(['offline', 'offline', 'online', 'foreground']))),
  );
  every(
    'tokenRevoked',
    oneOf(({ userId }) => {
      server.validTokenNumbers.set(userId, (server.validTokenNumbers.get(userId) ?? 0) + 1);
    }),
  );
  every(
    'loginGone',
    oneOf((device) => {
      server.validTokenNumbers.set(device.userId, (server.validTokenNumbers.get(device.userId) ?? 0) + 1);
      forAWhile(
        () => (device.isLoginGone = true),
        () => (device.isLoginGone = false),
      );
    }),
  );
  every('serverMood', () => {
    const mood = dice.pick(MOODS);
    forAWhile(
      () => server.model.failingMoods.add(mood),
      () => server.model.failingMoods.delete(mood),
    );
  });
  every(
    'storageFull',
    oneOf(({ disk }) =>
      forAWhile(
        () => (disk.isFull = true),
        () => (disk.isFull = false),
      ),
    ),
  );
  every(
    'clockJump',
    oneOf((device) => {
      device.hasClockJumped = true;
      device.wallOffsetMs = dice.between(-1, 1) * dice.pick([60_000, 86_400_000, 3.1e11]);
    }),
  );
  every(
    'killTab',
    oneOf((device) => {
      const tab = dice.pick([null, ...device.liveTabs]);
      tab?.process.kill('killed');
      reopenSoon(world, device);
    }),
  );
  every(
    'closeTab',
    oneOf((device) => {
      const tab = dice.pick([null, ...device.liveTabs]);
      tab?.process.enter('user closes the tab', () => tab.close());
      reopenSoon(world, device);
    }),
  );
  every(
    'freezeTab',
    oneOf((device) => {
      const tab = dice.pick([null, ...device.liveTabs]);
      tab?.process.freeze(dice.logBetween(100, 600_000));
    }),
  );
}

/** People come back; and sometimes they open one tab more. */
function reopenSoon({ dice, scheduler, plan }: World, device: Device): void {
  scheduler.at(dice.logBetween(10, 60_000), () => {
    if (device.liveTabs.length < plan.tabCountMax) device.openTab();
  });
}
