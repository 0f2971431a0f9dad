import type { Measurement } from '../measurement.ts';
import { quantile } from '../measurement.ts';
import { BATCH_COUNT, type BenchWorld, createBenchDevice, createRowSource } from './bench-world.ts';

const PER_CLIENT_COUNT = 1_000;
const FILL_COUNT = 200_000;

/** What a batch takes with an almost empty ledger, and with `ledgerRows` rows of other devices in it. */
export async function measureLedger(
  { database }: BenchWorld,
  { ledgerRows, batchCount }: { readonly ledgerRows: number; readonly batchCount: number },
  report: (measurement: Measurement) => void,
): Promise<void> {
  const nextRows = createRowSource();
  const measure = async (): Promise<number> => {
    const device = createBenchDevice(database, 'audited_rows');
    const times: number[] = [];
    for (let sent = 0; sent < batchCount; sent += 1) {
      const rows = nextRows(BATCH_COUNT);
      const startedAtMs = performance.now();
      await device.send(rows);
      times.push(performance.now() - startedAtMs);
    }
    return quantile(times, 0.5);
  };

  await measure();
  const before = await measure();
  for (let filled = 0; filled < ledgerRows; filled += FILL_COUNT) {
    await database.query(
      `with client as (
           insert into holdfast.clients (client_id, workspace_id, actor, transaction_id, floor)
           select gen_random_uuid(), 'bench', 'bench', pg_current_xact_id(), $2
           from generate_series(1, ($1::bigint + $2 - 1) / $2)
           returning client_id
       )
       insert into holdfast.ledger
           (client_id, seq, workspace_id, mutation_id, generation, payload_hash, verdict, result, applied_at, acknowledged_at)
       select client_id, seq, 'bench', uuidv7(), 0, sha256(uuid_send(client_id) || int8send(seq)), 'applied',
              jsonb_build_object('id', gen_random_uuid(), 'name', 'Contact ' || seq, 'amount', seq), now(), now()
       from client cross join generate_series(1, $2::bigint) as seq`,
      [Math.min(FILL_COUNT, ledgerRows - filled), PER_CLIENT_COUNT],
    );
  }
  await database.query('vacuum analyze holdfast.ledger');
  await measure();
  const after = await measure();

  const rest = { measure: 'ledger-growth', unit: 'ms' } as const;
  report({ ...rest, n: 0, subject: 'holdfast/apply, empty ledger', value: before, ratioToRaw: 1 });
  report({ ...rest, n: ledgerRows, subject: 'holdfast/apply, grown ledger', value: after, ratioToRaw: after / before });
}
