/** One line of the result. `value` is per mutation, but for `open-first`, which is one wait. */
export interface Measurement {
  readonly measure: string;
  /** How many are queued. */
  readonly n: number;
  readonly subject: string;
  readonly value: number;
  readonly unit: string;
  /** To the raw store in the same run, where there is something to compare. */
  readonly ratioToRaw: number | null;
}

/** Puts what is ours beside what is raw. */
export function beside(
  { measure, n, unit }: Pick<Measurement, 'measure' | 'n' | 'unit'>,
  raw: { readonly subject: string; readonly value: number },
  ours: readonly { readonly subject: string; readonly value: number }[],
): readonly Measurement[] {
  return [
    { measure, n, subject: raw.subject, value: raw.value, unit, ratioToRaw: 1 },
    ...ours.map(({ subject, value }) => ({ measure, n, subject, value, unit, ratioToRaw: value / raw.value })),
  ];
}

/** The value below which this share of them lies. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((left, right) => left - right);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}
