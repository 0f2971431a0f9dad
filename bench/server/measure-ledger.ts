import type { Measurement } from '../measurement.ts';
import { quantile } from '../measurement.ts';
import { BATCH_COUNT, type BenchWorld, createBenchDevice, createRowSource, preparePlainBatch } from './bench-world.ts';
import { takeTurns } from './measure-apply.ts';

const PER_CLIENT_COUNT = 1_000;
const FILL_COUNT = 250_000;

/**
 * What a batch takes with an almost empty ledger, and with `ledgerRows` rows of other devices in it. Beside each, in turns, a plain
 * batch is written, and the ratio is of what apply took of it: what else the machine did in the meantime takes both alike.
 */
export async function measureLedger(
  { database }: BenchWorld,
  {
    ledgerRows,
    batchCount,
    plainBatch,
  }: { readonly ledgerRows: number; readonly batchCount: number; readonly plainBatch: string },
  report: (measurement: Measurement) => void,
): Promise<void> {
  const nextRows = createRowSource();
  const measure = async (): Promise<{ readonly applyMs: number; readonly toPlain: number }> => {
    const device = createBenchDevice(database, 'audited_rows');
    const times = await takeTurns(
      {
        plain: () => preparePlainBatch(database, plainBatch, nextRows(BATCH_COUNT)),
        apply: () => device.prepare(nextRows(BATCH_COUNT)),
      },
      { batchCount, senderCount: 1 },
    );
    const apply = times['apply'] ?? [];
    return {
      applyMs: quantile(apply, 0.5),
      toPlain: quantile(
        apply.map((time, round) => time / (times['plain']?.[round] ?? Number.NaN)),
        0.5,
      ),
    };
  };

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
           (client_id, seq, workspace_id, mutation_id, generation, payload_hash, verdict, result)
       select client_id, seq, 'bench', uuidv7(), 0, hashtextextended(client_id::text, seq), 'applied',
              json_build_object('id', client_id, 'name', 'Contact ' || seq, 'amount', seq)
       from client cross join generate_series(1, $2::bigint) as seq`,
      [Math.min(FILL_COUNT, ledgerRows - filled), PER_CLIENT_COUNT],
    );
  }
  // what the filling has left to be done is not what a batch costs
  await database.query('vacuum analyze holdfast.ledger');
  await database.query('checkpoint');
  const after = await measure();

  const rest = { measure: 'ledger-growth', unit: 'ms' } as const;
  report({ ...rest, n: 0, subject: 'holdfast/apply, empty ledger', value: before.applyMs, ratioToRaw: 1 });
  report({
    ...rest,
    n: ledgerRows,
    subject: 'holdfast/apply, grown ledger',
    value: after.applyMs,
    ratioToRaw: after.toPlain / before.toPlain,
  });
}
