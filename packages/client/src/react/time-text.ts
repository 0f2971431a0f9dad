// Made at the first use, and once: making one takes longer than all the rest of a row.
let format: Intl.DateTimeFormat | undefined;

/** A point in time as people here write it. Rendered on devices only: a server has nothing that has a time. */
export function timeText(atMs: number): string {
  format ??= new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' });
  return format.format(atMs);
}
