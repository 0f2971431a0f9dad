import { damageRecord, losePower } from './damage.ts';
import type { Device } from './device.ts';
import type { Dice } from './dice.ts';
import type { FaultClass } from './plan.ts';
import { MOODS } from './workload.ts';
import type { World } from './world.ts';

/** Draws the faults that come by themselves, until the plan's time is up. */
export function scheduleFaults(world: World, devices: readonly Device[]): void {
  const { server, scheduler, plan } = world;
  const oneOf =
    (run: (device: Device, dice: Dice) => void) =>
    (dice: Dice): void =>
      run(dice.pick(devices), dice);
  const every = (name: FaultClass, strike: (dice: Dice) => void, number = 0): void => {
    const dice = world.dice.of(name, number);
    const atMs = world.faults.nextAtMs(name, dice, scheduler.nowMs);
    if (atMs === null || atMs > plan.durationMs) return;
    scheduler.at(atMs - scheduler.nowMs, () => {
      if (!world.faults.isActive) return;
      world.faults.happened(name);
      world.trace.note(scheduler.nowMs, 'world', name);
      strike(dice);
      every(name, strike, number + 1);
    });
  };
  const forAWhile = (dice: Dice, begin: () => void, end: () => void): void => {
    begin();
    scheduler.at(dice.logBetween(500, 300_000), end);
  };

  const rollOut = (number: number): void => {
    const dice = world.dice.of('rollout', number);
    const atMs = dice.momentAfter(scheduler.nowMs, plan.rolloutsPerMinute);
    if (atMs === null || atMs > plan.durationMs) return;
    scheduler.at(atMs - scheduler.nowMs, () => {
      if (!world.faults.isActive) return;
      world.trace.note(scheduler.nowMs, 'world', 'rollout');
      server.rolloutUntilMs = scheduler.nowMs + dice.logBetween(500, 60_000);
      rollOut(number + 1);
    });
  };
  rollOut(0);
  const lock = (number: number): void => {
    const dice = world.dice.of('lock', number);
    const atMs = dice.momentAfter(scheduler.nowMs, plan.locksPerMinute);
    if (atMs === null || atMs > plan.durationMs) return;
    scheduler.at(atMs - scheduler.nowMs, () => {
      if (!world.faults.isActive) return;
      world.trace.note(scheduler.nowMs, 'world', 'lock');
      const { disk } = dice.pick(devices);
      disk.isLocked = true;
      world.facts.reached('the keys of the store are away');
      scheduler.at(dice.logBetween(100, 60_000), () => {
        disk.isLocked = false;
        lock(number + 1);
      });
    });
  };
  lock(0);
  const rewind = (number: number): void => {
    const dice = world.dice.of('rewind', number);
    const atMs = dice.momentAfter(scheduler.nowMs, plan.rewindsPerMinute);
    if (atMs === null || atMs > plan.durationMs) return;
    scheduler.at(atMs - scheduler.nowMs, () => {
      const putBack = server.model.save();
      scheduler.at(dice.logBetween(100, 60_000), () => {
        if (!world.faults.isActive) return;
        world.trace.note(scheduler.nowMs, 'world', 'rewind');
        world.history.serverRewound(putBack(`epoch ${number + 2}`));
        rewind(number + 1);
      });
    });
  };
  if (plan.rewindsPerMinute > 0) server.model.beginEpoch('epoch 1');
  rewind(0);
  every(
    'partition',
    oneOf((device, dice) => device.line.cut(dice.logBetween(200, 1_800_000), dice.chance(0.4))),
  );
  every(
    'captivePortal',
    oneOf((device, dice) => device.line.enterPortal(dice.logBetween(1_000, 600_000))),
  );
  every(
    'offlineHint',
    oneOf((device, dice) => device.line.hint(dice.pick(['offline', 'offline', 'online', 'foreground']))),
  );
  every(
    'tokenRevoked',
    oneOf(({ userId }) => {
      server.validTokenNumbers.set(userId, (server.validTokenNumbers.get(userId) ?? 0) + 1);
    }),
  );
  every(
    'loginGone',
    oneOf((device, dice) => {
      server.validTokenNumbers.set(device.userId, (server.validTokenNumbers.get(device.userId) ?? 0) + 1);
      forAWhile(
        dice,
        () => (device.isLoginGone = true),
        () => (device.isLoginGone = false),
      );
    }),
  );
  every('serverMood', (dice) => {
    const mood = dice.pick(MOODS);
    forAWhile(
      dice,
      () => server.model.failingMoods.add(mood),
      () => server.model.failingMoods.delete(mood),
    );
  });
  every(
    'storageFull',
    oneOf(({ disk }, dice) =>
      forAWhile(
        dice,
        () => (disk.isFull = true),
        () => (disk.isFull = false),
      ),
    ),
  );
  every(
    'recordDamaged',
    oneOf((device, dice) => damageRecord(world, device, dice)),
  );
  every(
    'powerLoss',
    oneOf((device, dice) => {
      losePower(world, device, dice);
      reopenSoon(world, device, dice);
    }),
  );
  every(
    'signOut',
    oneOf((device, dice) => {
      device.isSignedOut = true;
      scheduler.at(dice.logBetween(1_000, 300_000), () => {
        device.isSignedOut = false;
        reopenSoon(world, device, dice);
      });
      // Some apps only close; others say what is to become of what is pending.
      const choice = dice.pick(['close', 'keep', 'discard'] as const);
      const [one, ...others] = device.liveTabs;
      one?.process.enter('user signs out', () => (choice === 'close' ? one.close() : one.signOut(choice)));
      for (const tab of others) tab.process.enter('user signs out', () => tab.close());
    }),
  );
  every(
    'clockJump',
    oneOf((device, dice) => {
      device.hasClockJumped = true;
      const before = device.wallOffsetMs;
      device.wallOffsetMs = dice.between(-1, 1) * dice.pick([60_000, 86_400_000, 3.1e11]);
      if (device.wallOffsetMs < before && world.history.hasUnsettled)
        world.facts.reached('the clock goes back while work is unsettled');
    }),
  );
  every(
    'killTab',
    oneOf((device, dice) => {
      const tab = dice.pick([null, ...device.liveTabs]);
      tab?.process.kill('killed');
      reopenSoon(world, device, dice);
    }),
  );
  every(
    'closeTab',
    oneOf((device, dice) => {
      const tab = dice.pick([null, ...device.liveTabs]);
      tab?.process.enter('user closes the tab', () => tab.close());
      reopenSoon(world, device, dice);
    }),
  );
  every(
    'freezeTab',
    oneOf((device, dice) => {
      const tab = dice.pick([null, ...device.liveTabs]);
      tab?.process.freeze(dice.logBetween(100, 600_000), dice.chance(0.5));
    }),
  );
}

/** People come back; and sometimes they open one tab more. */
function reopenSoon({ scheduler, plan }: World, device: Device, dice: Dice): void {
  scheduler.at(dice.logBetween(10, 60_000), () => {
    if (!device.isSignedOut && device.liveTabs.length < plan.tabCountMax) device.openTab();
  });
}
