import type { JsonObject } from 'holdfast';
import { decompressText } from '../../packages/client/src/storage/compressed-text.ts';
import type { Device } from './device.ts';
import type { Dice } from './dice.ts';
import type { World } from './world.ts';

/** Mutations are stored under keys that begin so: a header, a payload, a dead letter, history. */
const RECORDS = /^[pbfd]\//;
/**
 * What a queue keeps of itself, and the marks of ids of the app's own: no mutation suffers from their damage. Whether it is paused or
 * signed out stands by the key alone.
 */
const KEPT = /^(?:i\/|meta\/(?!paused$|signed-out$))/;

/** One bit of a stored record is not what it was. Whose record it is, only the simulation knows from then on. */
export function damageRecord({ history, trace, scheduler }: World, device: Device, dice: Dice): void {
  const stores = device.ownStores;
  const all = stores.flatMap(({ values }) => [...values.keys()]).sort();
  // Records first: in worlds that were recorded before the others could be damaged, the same record is.
  const keys = [RECORDS, KEPT].flatMap((sort) => all.filter((key) => sort.test(key)));
  if (keys.length === 0) return;
  const key = dice.pick(keys);
  for (const { values } of stores) {
    const text = values.get(key);
    // Twice in the same place, and it would be whole again.
    if (text === undefined || text === device.damagedTexts.get(key)) continue;
    const number = key.slice(2);
    const headers = [text, values.get(`p/${number}`), values.get(`f/${number}`)];
    const ids = [number, ...headers.map((header) => /"id":"([^"]*)"/.exec(decompressText(header ?? ''))?.[1])];
    const made = KEPT.test(key)
      ? undefined
      : ids.map((id) => history.damaged(id ?? '')).find((found) => found !== undefined);
    const at = dice.below(text.length);
    const damaged = String.fromCharCode(text.charCodeAt(at) ^ (1 << dice.below(7)));
    const after = text.slice(0, at) + damaged + text.slice(at + 1);
    values.set(key, after);
    device.damagedTexts.set(key, after);
    trace.note(scheduler.nowMs, 'world', `damaged ${key} of ${made?.tag ?? 'nobody'} at ${at}`);
  }
}

/**
 * Everything that runs on the device ends at once. A strict store keeps what it has reported; a relaxed one may lose its last
 * commits, with all that was promised on them.
 */
export function losePower({ history, plan, trace, scheduler }: World, device: Device, dice: Dice): void {
  device.disk.powerLossCount += 1;
  for (const { process } of device.tabs) process.kill('power lost');
  if (!plan.isStoreRelaxed) return;
  for (const stored of device.ownStores) {
    const sinceStep = stored.losePower(scheduler.nowMs, dice);
    if (sinceStep === null) continue;
    trace.note(scheduler.nowMs, 'world', `lost what was stored since step ${sinceStep}`);
    history.rewound(device.index, sinceStep);
    device.pause = null;
  }
}

/** Whether something that was damaged still stands there, which every tab that opens stumbles over. */
export function hasUnreadable({ ownStores, damagedTexts }: Device): boolean {
  return [...damagedTexts].some(
    ([key, text]) => /^[pf]\//.test(key) && ownStores.some(({ values }) => values.get(key) === text),
  );
}

/** Whether this is what a payload was made into. */
export function isDamagedPayload({ damagedTexts }: Device, payload: JsonObject): boolean {
  return [...damagedTexts.values()].some((text) => {
    try {
      return (
        JSON.stringify((JSON.parse(decompressText(text)) as { payload?: unknown }).payload) === JSON.stringify(payload)
      );
    } catch {
      return false;
    }
  });
}
