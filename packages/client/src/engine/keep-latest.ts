/** Forgets the first ones beyond so many: those that were put there longest ago. */
export function keepLatest(kept: Map<unknown, unknown> | Set<unknown>, countMax: number): void {
  for (const oldest of kept.keys()) {
    if (kept.size <= countMax) return;
    kept.delete(oldest);
  }
}
