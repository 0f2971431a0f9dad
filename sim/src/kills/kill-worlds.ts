import { Dice } from '../dice.ts';
import { chromiumDevices, type PageStore } from './chromium-devices.ts';
import { killDevices, type KillPlan, type KillReport } from './kill-devices.ts';
import { KillsServer } from './kills-server.ts';
import { nodeDevices } from './node-devices.ts';

type Progress = (kills: number) => void;

/** Kills processes with a queue on SQLite (`synchronous = FULL`). */
export async function killNode(
  killCount: number,
  seed: number,
  progress?: Progress,
  more: Partial<Pick<KillPlan, 'isHasty' | 'processes' | 'toldCountMax'>> = {},
): Promise<KillReport> {
  const dice = new Dice(seed);
  const server = await KillsServer.start(dice);
  const devices = await nodeDevices();
  try {
    const plan = {
      killCount,
      killsPerDevice: 25,
      openingMsMax: 150,
      toldCountMax: 120,
      workingMsMax: 10,
      silenceMsMax: 60_000,
      ...more,
    };
    return await killDevices(plan, server, dice, devices.open, progress);
  } finally {
    devices.end();
    await server.close();
  }
}

/** Pages of a database that holds some dozen changes. */
const SMALL_DISK_PAGES = 16;

/** Kills two processes on one SQLite file at a time. One of them has an older version of the app, and soon no room left. */
export function killPairs(killCount: number, seed: number, progress?: Progress): Promise<KillReport> {
  const processes = [{ appVersion: 1, pageCountMax: SMALL_DISK_PAGES }, { appVersion: 2 }] as const;
  // The one that does not deliver asks the other, which does not hear it, and so tells less in the same time.
  return killNode(killCount, seed, progress, { processes, toldCountMax: 40 });
}

/** Kills browsers with a queue on IndexedDB (`strict`) or OPFS; `isTorn` makes each kill one in the middle of a write. */
export async function killChromium(
  killCount: number,
  seed: number,
  progress?: Progress,
  store: PageStore = 'indexeddb',
  isTorn = false,
): Promise<KillReport> {
  const dice = new Dice(seed);
  const server = await KillsServer.start(dice);
  try {
    const plan = {
      killCount,
      killsPerDevice: 10,
      openingMsMax: 1_500,
      toldCountMax: 200,
      workingMsMax: 50,
      silenceMsMax: 60_000,
      isTorn,
    };
    return await killDevices(plan, server, dice, await chromiumDevices(server, store), progress);
  } finally {
    await server.close();
  }
}
