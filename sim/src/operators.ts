import type { AppTab } from './app-tab.ts';
import type { Device } from './device.ts';
import type { Dice } from './dice.ts';
import type { Made } from './history.ts';
import { finish } from './finish.ts';
import type { World } from './world.ts';

/** What somebody with a name did to a mutation, and which the queue said it touched; null while nobody has heard. */
export interface OperatorAct {
  readonly kind: 'retry' | 'discard' | 'cancel';
  readonly actor: string;
  /** Of this act alone, so that it can be told in the log. */
  readonly reason: string;
  readonly deviceIndex: number;
  readonly tag: string;
  readonly invokedStep: number;
  touchedIds: readonly string[] | null;
}

const ACTORS = ['ann', 'bob'] as const;
/** Half of these moments two people choose the very same. */
const KINDS = ['discard', 'retry', 'retry', 'cancel'] as const;

/** Two people who look after one device each choose something for the same mutation, in the same moment, unaware of each other. */
export function scheduleOperators(world: World, devices: readonly Device[]): void {
  const { plan, scheduler } = world;
  const count = world.dice.howMany('operators', Math.min(60, (plan.operatorsPerMinute * plan.durationMs) / 60_000));
  for (let number = 0; number < count; number += 1) {
    const dice = world.dice.of('operators', number);
    if (!dice.happens()) continue;
    scheduler.at(dice.between(0, plan.durationMs), () => {
      const device = dice.pick(devices);
      if (device.isSignedOut) return;
      const made = choose(world, device, dice);
      if (made === null) return;
      world.facts.reached('two operators act on the same mutation at once');
      const first = device.anyTab(dice);
      const second = device.anyTab(dice);
      const kind = dice.pick(KINDS);
      const otherKind = dice.chance(0.5) ? dice.pick(KINDS) : kind;
      act(world, { device, tab: first, made, kind, number, who: 0 });
      act(world, { device, tab: second, made, kind: otherKind, number, who: 1 });
    });
  }
}

/** A dead letter if there is one, else one of the last. */
function choose({ history }: World, device: Device, dice: Dice): Made | null {
  const own = history.made.filter(
    (made) => made.deviceIndex === device.index && made.keptIn === null && !made.isDiscardAsked,
  );
  const failed = own.filter(({ toldFailedStep }) => toldFailedStep !== null);
  const some = failed.length > 0 && !dice.chance(0.2) ? failed : own.slice(-5);
  return some.length === 0 ? null : dice.pick(some);
}

interface Deed {
  readonly device: Device;
  readonly tab: AppTab;
  readonly made: Made;
  readonly kind: OperatorAct['kind'];
  readonly number: number;
  readonly who: 0 | 1;
}

function act({ history }: World, { device, tab, made, kind, number, who }: Deed): void {
  const done: OperatorAct = {
    kind,
    actor: ACTORS[who],
    reason: `reason ${number} of ${ACTORS[who]}`,
    deviceIndex: device.index,
    tag: made.tag,
    invokedStep: history.nextStep(),
    touchedIds: null,
  };
  history.operatorActs.push(done);
  tab.process.enter(`${done.actor} acts`, () => {
    if (kind === 'discard') tab.discard(made, done);
    else if (kind === 'cancel') tab.cancel(made, done);
    else tab.retry(made, false, done);
  });
}

/** Who did what stands in the device's log: all that somebody was told, once, and nothing that nobody did. */
export async function checkActs(world: World, device: Device, { queue, process }: AppTab): Promise<void> {
  const { history, plan, facts } = world;
  const acts = history.operatorActs.filter(({ deviceIndex }) => deviceIndex === device.index);
  if (acts.length === 0) return;
  const listed = await finish(world, queue.listActs({ limit: 10_000 }));
  const records = listed?.filter(({ actor }) => (ACTORS as readonly string[]).includes(actor)) ?? [];
  for (const { reason, actor, kind, ids } of records) {
    const done = acts.find((each) => each.reason === reason);
    if (done === undefined || done.actor !== actor || done.kind !== kind)
      history.violated('inv-I23', `${process.name} lists that ${actor} did ${kind} (${reason}), which nobody did so`);
    else if (done.touchedIds !== null && ids.join() !== done.touchedIds.join())
      history.violated('inv-I23', `${kind} of ${done.tag} touched ${done.touchedIds.join()}; listed: ${ids.join()}`);
  }
  // A relaxed store may forget its last commits, with what was noted in them.
  const mayForget = plan.isStoreRelaxed && plan.rates.powerLoss > 0;
  const ended = new Map<string, OperatorAct>();
  for (const done of acts) {
    const { kind, touchedIds, reason, tag } = done;
    if (touchedIds === null) continue;
    if (touchedIds.length === 0) facts.reached('of two operators one comes too late');
    const { length } = records.filter((record) => record.reason === reason);
    if (touchedIds.length > 0 && length !== 1 && !mayForget)
      history.violated(
        'inv-I23',
        `${done.actor} was told that ${kind} of ${tag} is done; it is listed ${length} times`,
      );
    for (const id of kind === 'discard' || kind === 'cancel' ? touchedIds : []) {
      if (ended.has(id) && !mayForget)
        history.violated('inv-I26', `${tag} was disposed of by ${ended.get(id)?.actor}, and by ${done.actor} too`);
      ended.set(id, done);
    }
  }
}
