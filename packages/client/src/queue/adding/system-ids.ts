import { v7 } from 'uuid';

/** Ids that one look at the platform's chance is enough for: it costs more than all the rest of an id. */
const SUPPLY_COUNT = 128;
const RANDOM_BYTES = 16;

/** Makes UUIDs that are in order by their time. */
export function systemIds(): (wallMs: number) => string {
  const supply = new Uint8Array(SUPPLY_COUNT * RANDOM_BYTES);
  let used = supply.length;
  return (wallMs) => {
    if (used === supply.length) {
      crypto.getRandomValues(supply);
      used = 0;
    }
    const random = supply.subarray(used, used + RANDOM_BYTES);
    used += RANDOM_BYTES;
    return v7({ msecs: wallMs, random });
  };
}
