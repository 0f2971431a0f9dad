import { exportRows } from '@holdfast/server';
import type { Measurement } from '../measurement.ts';
import { type BenchWorld, CLAIMS } from './bench-world.ts';

const LOOK_MS = 5;

/** How far the memory of this process grows while `rows` rows go out as CSV, read as fast as they come. */
export async function measureExport(
  { database }: BenchWorld,
  { rows }: { readonly rows: number },
  report: (measurement: Measurement) => void,
): Promise<void> {
  await database.query(
    `insert into public.unaudited_rows (id, workspace_id, name, email, phone, note, amount)
     select gen_random_uuid(), 'bench', 'Contact ' || n, 'contact.' || n || '@example.org', '+49 30 ' || n,
            repeat('Met at the fair; wants a call back. ', 3), n
     from generate_series(1, $1::int) as n`,
    [rows],
  );
  globalThis.gc?.();
  const before = process.memoryUsage.rss();
  let peak = before;
  const look = setInterval(() => {
    peak = Math.max(peak, process.memoryUsage.rss());
  }, LOOK_MS);
  const startedAtMs = performance.now();
  const { body } = await exportRows(
    database,
    CLAIMS,
    { entityType: 'unaudited_rows', format: 'csv' },
    { nowMs: () => Date.now() },
  );
  let lineCount = 0;
  for await (const piece of body) {
    for (const byte of piece) if (byte === 10) lineCount += 1;
    peak = Math.max(peak, process.memoryUsage.rss());
  }
  clearInterval(look);
  if (lineCount <= rows) throw new Error(`The file has ${lineCount} lines, not ${rows} and a head.`);
  const rest = { n: rows, subject: 'holdfast/csv', ratioToRaw: null } as const;
  report({ ...rest, measure: 'export-memory', value: (peak - before) / 1_000_000, unit: 'MB' });
  report({
    ...rest,
    measure: 'export-speed',
    value: (lineCount * 1_000) / (performance.now() - startedAtMs),
    unit: 'rows/s',
  });
}
