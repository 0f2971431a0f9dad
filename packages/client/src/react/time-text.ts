/** A point in time as people here write it. Rendered on devices only: a server has nothing that has a time. */
export function timeText(atMs: number): string {
  return new Date(atMs).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'medium' });
}
