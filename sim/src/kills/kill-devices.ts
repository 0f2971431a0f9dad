import type { Dice } from '../dice.ts';
import { Journal } from './journal.ts';
import type { KillsServer } from './kills-server.ts';
import type { VictimLife, VictimMessage } from './victim.ts';

/** A device whose app can be started and killed; what it stores outlives both. */
export interface KillableDevice {
  /** Resolves when the app is under way. */
  start(life: VictimLife, hear: (message: VictimMessage) => void): Promise<Victim>;
  /** While it is dead: leaves its store as a kill in the middle of a write leaves it, where such a moment is rarely met. */
  tear?(): void;
  /** Removes what it has stored. */
  end(): Promise<void>;
}

export interface Victim {
  /** The operating system ends it, with SIGKILL. Resolves when it is gone. */
  kill(): Promise<void>;
  /** It has ended, by itself or not. */
  readonly ended: Promise<void>;
}

export interface KillPlan {
  readonly killCount: number;
  /** Kills of one device; then all it holds is delivered, and it is checked. */
  readonly killsPerDevice: number;
  /** Longest from the start to a kill while it opens, in milliseconds. */
  readonly openingMsMax: number;
  /** Most that it tells before a kill while it works, and longest from then, in milliseconds. */
  readonly toldCountMax: number;
  readonly workingMsMax: number;
  /** A device that tells nothing for so long has failed, in milliseconds. */
  readonly silenceMsMax: number;
  readonly isHasty?: boolean;
  /** Of the processes that one device has at once, on one store, what each is beside its life; the last one's delivers all in the end. @default one */
  readonly processes?: readonly Pick<VictimLife, 'appVersion' | 'pageCountMax'>[];
  /** Every kill of one that works tears its store, where the device can do that. */
  readonly isTorn?: boolean;
}

export interface KillReport {
  readonly kills: number;
  readonly devices: number;
  /** Told as stored before a kill. */
  readonly acknowledged: number;
  readonly effects: number;
  readonly messages: Readonly<Record<string, number>>;
  readonly violations: readonly string[];
}

/** Between the rows of two processes of a device. */
const ROWS_APART = 1_000_000;
/** Every so many kills one comes while the app is starting. */
const OPENING_SHARE = 0.25;

/** Kills devices at random moments, starts them again, and holds them to what they had promised. */
export async function killDevices(
  plan: KillPlan,
  server: KillsServer,
  dice: Dice,
  open: (deviceNumber: number) => Promise<KillableDevice>,
  progress: (kills: number) => void = () => {},
): Promise<KillReport> {
  const total = { kills: 0, devices: 0, acknowledged: 0, effects: 0 };
  const messages: Record<string, number> = {};
  const violations: string[] = [];
  while (total.kills < plan.killCount && violations.length === 0) {
    total.devices += 1;
    const processes = plan.processes ?? [{}];
    const rowNumbers = processes.map((_, index) => total.devices + index * ROWS_APART);
    const { workspaceId, token } = await server.addDevice(total.devices, rowNumbers);
    const device = await open(total.devices);
    const journal = new Journal();
    const liveOn = async (kind: VictimLife['kind'], number: number, process: number): Promise<void> => {
      const identity = { userId: 'victim', workspaceId };
      const before = journal.standing;
      await oneLife(
        plan,
        dice,
        device,
        {
          ...{ kind, number, rowNumber: rowNumbers[process] ?? 0, serverUrl: server.url, token, identity },
          ...(plan.isHasty === undefined ? {} : { isHasty: plan.isHasty }),
          ...processes[process],
        },
        async (message) => {
          // What it holds was looked up before its effects are: what took effect in between is in both.
          if (message.kind === 'opened') journal.hear(message, await server.effectsOf(workspaceId), before);
          else journal.hear(message, message.kind === 'drained' ? await server.effectsOf(workspaceId) : []);
        },
      );
    };
    const count = Math.min(plan.killsPerDevice, plan.killCount - total.kills);
    for (let index = 0; index < count && journal.violations.length === 0; index += processes.length) {
      await Promise.all(processes.map((_, process) => liveOn('work', total.kills + 1 + process, process)));
      total.kills += processes.length;
      progress(total.kills);
    }
    if (journal.violations.length === 0) await liveOn('drain', 0, processes.length - 1);
    const effects = await server.effectsOf(workspaceId);
    journal.checkAtRest(effects);
    total.effects += effects.length;
    total.acknowledged += journal.counts.added ?? 0;
    for (const [kind, times] of Object.entries(journal.counts)) messages[kind] = (messages[kind] ?? 0) + times;
    violations.push(...journal.violations.map((violation) => `device ${total.devices}: ${violation}`));
    await device.end();
  }
  return { ...total, messages, violations };
}

async function oneLife(
  plan: KillPlan,
  dice: Dice,
  device: KillableDevice,
  life: VictimLife,
  write: (message: VictimMessage) => Promise<void>,
): Promise<void> {
  const isEarly = life.kind === 'work' && dice.chance(OPENING_SHARE);
  // By what it has done, and not by time alone: a machine that is slow today does as much before it is killed.
  const enoughCount = 1 + Math.floor(dice.next() * plan.toldCountMax);
  const toldEnough = Promise.withResolvers<void>();
  let toldCount = 0;
  let written = Promise.resolve();
  // Not before it is killed while it opens: what is torn has to be cleared away first, and that takes some milliseconds.
  if (plan.isTorn === true && !isEarly) device.tear?.();
  const victim = await device.start(life, (message) => {
    toldCount += 1;
    if (toldCount >= enoughCount) toldEnough.resolve();
    written = written.then(() => write(message));
  });
  if (life.kind === 'work') {
    if (!isEarly) await orComplain(toldEnough.promise, victim.ended, plan.silenceMsMax);
    await wait(dice.next() * (isEarly ? plan.openingMsMax : plan.workingMsMax));
    await victim.kill();
  } else {
    await orComplain(victim.ended, null, plan.silenceMsMax);
  }
  await written;
}

async function orComplain(promise: Promise<void>, ended: Promise<void> | null, ms: number): Promise<void> {
  const abort = new AbortController();
  const tooLate = wait(ms, abort.signal).then(() => {
    throw new Error(`The device has told nothing for ${ms} ms.`);
  });
  const died = ended?.then(() => {
    throw new Error('The device has ended before anybody killed it.');
  });
  try {
    await Promise.race([promise, tooLate, ...(died === undefined ? [] : [died])]);
  } finally {
    abort.abort();
    tooLate.catch(() => {});
    died?.catch(() => {});
  }
}

function wait(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal?.addEventListener('abort', () => clearTimeout(timer));
  });
}
