/**
 * A hybrid logical clock (Kulkarni, Demirbas, Madappa, Avva, Leone 2014): as near to wall time as order allows, and never
 * behind what was seen before. A device whose clock is set back goes on counting from its latest time, so a later edit
 * never looks older than an earlier one of the same device.
 *
 * A time is a text of fixed length: 12 hexadecimal digits of milliseconds, 4 of a counter, and who made it. The order of
 * the texts, code unit by code unit, is the order of the times; two devices never make the same one.
 */
export interface HybridTime {
  readonly wallMs: number;
  readonly counter: number;
  /** Who made it: a client id, in lower case. Decides between two times that are otherwise equal. */
  readonly node: string;
}

/** The last millisecond that 12 hexadecimal digits hold: in the year 10889. */
const WALL_MS_MAX = 0xffff_ffff_ffff;
const COUNTER_MAX = 0xffff;

/** The time of something that happens on this device now; later than `last`, whatever the wall clock says. */
export function nextHybridTime(last: string | null, wallMs: number, node: string): string {
  return laterTime([last === null ? null : parseHybridTime(last)], wallMs, node);
}

/** What `last` becomes when this device learns of a time from elsewhere: everything it does from now on is later than that. */
export function receiveHybridTime(last: string | null, remote: string, wallMs: number, node: string): string {
  return laterTime([last === null ? null : parseHybridTime(last), parseHybridTime(remote)], wallMs, node);
}

/** Null for a text that is no hybrid time. */
export function parseHybridTime(text: string): HybridTime | null {
  const match = /^([0-9a-f]{12})-([0-9a-f]{4})-([0-9a-z-]{1,36})$/.exec(text);
  if (match === null) return null;
  const [, wall = '', counter = '', node = ''] = match;
  return { wallMs: Number.parseInt(wall, 16), counter: Number.parseInt(counter, 16), node };
}

export function formatHybridTime({ wallMs, counter, node }: HybridTime): string {
  return `${wallMs.toString(16).padStart(12, '0')}-${counter.toString(16).padStart(4, '0')}-${node}`;
}

/** The least time after all of these that is not before the wall clock. */
function laterTime(seen: readonly (HybridTime | null)[], wallMs: number, node: string): string {
  let latest: HybridTime = { wallMs: Math.min(WALL_MS_MAX, Math.max(0, Math.floor(wallMs))), counter: -1, node };
  for (const time of seen) {
    if (time === null || time.wallMs < latest.wallMs) continue;
    if (time.wallMs > latest.wallMs || time.counter > latest.counter) latest = { ...time, node };
  }
  // A counter that is full carries over: the time runs a millisecond ahead rather than stand still.
  if (latest.counter < COUNTER_MAX) return formatHybridTime({ ...latest, counter: latest.counter + 1 });
  return formatHybridTime({ wallMs: latest.wallMs + 1, counter: 0, node });
}
