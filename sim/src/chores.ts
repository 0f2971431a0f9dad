import type { AppTab } from './app-tab.ts';
import type { Device } from './device.ts';
import type { Dice } from './dice.ts';
import type { World } from './world.ts';

/** What an app does now and then that is about no mutation in particular, and changes what becomes of none. */
const CHORES = [
  'restart',
  'recover',
  'cleanup',
  'backup',
  'look',
  'restart',
  'quarantine',
  'loginChanged',
  'sendFirst',
  'recover',
] as const;

/** Somebody restarts a queue, looks through the store, takes a backup and puts it back, or signs out once all is sent. */
export function scheduleChores(world: World, devices: readonly Device[]): void {
  const { plan, scheduler } = world;
  const count = world.dice.howMany('chore', Math.min(80, (plan.choresPerMinute * plan.durationMs) / 60_000));
  for (let number = 0; number < count; number += 1) {
    const dice = world.dice.of('chore', number);
    if (!dice.happens()) continue;
    scheduler.at(dice.between(0, plan.durationMs), () => {
      const device = dice.pick(devices);
      if (device.isSignedOut) return;
      const tab = device.anyTab(dice);
      tab.process.enter('a chore', () => doChore(world, device, tab, dice));
    });
  }
}

function doChore(world: World, device: Device, tab: AppTab, dice: Dice): void {
  const { queue, process } = tab;
  const { facts, history } = world;
  const chore = dice.pick(CHORES);
  process.calls(`chore ${chore}`);
  const heed = (work: Promise<unknown>): void => void work.catch(() => {});
  switch (chore) {
    case 'restart':
      if (history.hasUnsettled) facts.reached('a queue is restarted while work is unsettled');
      queue.restart().catch(() => {
        if (!tab.isClosing) tab.couldNotOpen();
      });
      return;
    case 'recover':
      heed(queue.recover().then(() => facts.reached('all that is stored is looked through')));
      return;
    case 'cleanup':
      heed(queue.cleanup());
      return;
    case 'loginChanged':
      queue.loginChanged();
      return;
    case 'backup':
      heed(putBack(world, device, tab, dice));
      return;
    case 'look':
      heed(queue.getNextRetryTime());
      heed(queue.getMetrics());
      heed(queue.listMutations());
      for (const { id } of queue.listUnconfirmed(5)) heed(queue.explain(id));
      return;
    case 'quarantine':
      heed(decideOnDamaged(world, device, tab));
      return;
    case 'sendFirst':
      heed(sendFirst(world, device, tab, dice));
  }
}

/** What the device knows it knows, so that nothing comes in, whatever has become of it meanwhile; but for what it may have lost or forgotten. */
async function putBack(world: World, device: Device, { queue, process }: AppTab, dice: Dice): Promise<void> {
  const { scheduler, plan, faults, facts } = world;
  const file = await queue.exportQueue();
  const delayMs = dice.chance(0.5) ? dice.logBetween(1, 60_000) : 0;
  scheduler.at(delayMs, () => {
    const mayForget = device.hasClockJumped || plan.isStoreRelaxed || plan.rates.recordDamaged > 0;
    if (mayForget || !faults.isActive) return;
    process.enter('a backup is put back', () => {
      queue.importQueue(file).then(
        ({ pendingCount, deadLetterCount }) => {
          facts.reached('what is known already is imported');
          const count = pendingCount + deadLetterCount;
          if (count > 0) world.history.violated('inv-I2', `${process.name} takes in ${count} that it knew already`);
        },
        () => {},
      );
    });
  });
}

async function decideOnDamaged({ history }: World, device: Device, { queue }: AppTab): Promise<void> {
  const keys = (await queue.listQuarantine()).map(({ key }) => key);
  if (keys.length === 0) return;
  for (const made of history.made) if (made.deviceIndex === device.index && made.isDamaged) made.isDiscardAsked = true;
  await queue.discardQuarantined(keys, 'the simulated user says so');
}

/** All tabs are closed by it, if anything: the user comes back later. */
async function sendFirst({ scheduler, facts }: World, device: Device, tab: AppTab, dice: Dice): Promise<void> {
  const result = await tab.queue.signOut('sendFirst');
  if (result.kind !== 'signedOut') return;
  facts.reached('signed out once all was sent');
  tab.hasSignedOut();
  for (const other of device.liveTabs) other.process.enter('user has signed out', () => other.close());
  device.isSignedOut = true;
  scheduler.at(dice.logBetween(1_000, 60_000), () => {
    device.isSignedOut = false;
    device.anyTab(dice);
  });
}
