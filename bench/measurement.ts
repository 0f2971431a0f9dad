/** One line of a result. What `value` is for one of, the page of the benchmark says. */
export interface Measurement {
  readonly measure: string;
  /** How many are queued, sent or there, as the measure says. */
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

/** A line of the table that people read; the other form is JSON. */
export function formatMeasurement({ measure, n, subject, value, unit, ratioToRaw }: Measurement): string {
  const figure = value >= 100 ? value.toFixed(0) : value.toPrecision(3);
  const ratio = ratioToRaw === null ? '' : `× ${ratioToRaw.toFixed(2)}`;
  return `${measure.padEnd(20)}${String(n).padStart(8)}  ${subject.padEnd(30)}${figure.padStart(9)} ${unit.padEnd(6)}${ratio}`;
}
