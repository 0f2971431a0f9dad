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

/**
 * The time of something that happens on this device now: later than `last`, the latest that it has given, whatever the
 * wall clock says. `wallMs` is the later of the device's clock and of what it last heard of the server's.
 */
export function nextHybridTime(last: string | null, wallMs: number, node: string): string {
  const nowMs = Math.min(WALL_MS_MAX, Math.max(0, Math.floor(wallMs)));
  const before = last === null ? null : parseHybridTime(last);
  if (before === null || before.wallMs < nowMs) return formatHybridTime({ wallMs: nowMs, counter: 0, node });
  // A counter that is full carries over: the time runs a millisecond ahead rather than stand still.
  if (before.counter === COUNTER_MAX) return formatHybridTime({ wallMs: before.wallMs + 1, counter: 0, node });
  return formatHybridTime({ wallMs: before.wallMs, counter: before.counter + 1, node });
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
