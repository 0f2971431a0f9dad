import { compressText } from '../../packages/client/src/storage/compressed-text.ts';
import type { Measurement } from '../measurement.ts';
import { contact } from './work.ts';

/** How much smaller JSON of some sizes is stored, with everything that is written around it. */
export function measureCompression(report: (measurement: Measurement) => void): void {
  for (const sizeBytes of [1_100, 2_000, 4_000, 16_000, 64_000]) {
    const rows = [contact(1)];
    while (JSON.stringify({ rows }).length < sizeBytes) rows.push(contact(rows.length * 104_729));
    const text = JSON.stringify({ payload: { rows } });
    const stored = compressText(text, 1_024);
    const subject = `holdfast, JSON of ${text.length} bytes`;
    const value = 1 - stored.length / text.length;
    report({ measure: 'compression-saved', n: 1, subject, value, unit: 'share', ratioToRaw: null });
  }
}
