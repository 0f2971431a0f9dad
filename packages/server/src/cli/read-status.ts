import type { Database } from '../database.ts';
import { type MigrationState, readMigrationState } from '../migrate.ts';

export interface Status {
  readonly serverVersion: string;
  readonly migrations: MigrationState;
  /** Null until the first migrations have run. */
  readonly counts: {
    readonly clients: number;
    readonly clientsSeenInLastDay: number;
    /** As the planner estimates them; counting would read them all. */
    readonly ledgerRowsEstimated: number;
    readonly auditRowsEstimated: number;
  } | null;
  /** What mutations may change: names that they use. */
  readonly registeredTables: readonly string[];
}

export async function readStatus(database: Database): Promise<Status> {
  return database.transaction(async (session) => {
    await session.query('set transaction read only');
    const migrations = await readMigrationState(session);
    const [server] = await session.query<{ version: string }>(`select current_setting('server_version') as version`);
    const serverVersion = server?.version ?? 'unknown';
    // the last of the tables that are read here
    const [table] = await session.query<{ is_there: boolean }>(
      `select to_regclass('holdfast.registered_tables') is not null as is_there`,
    );
    if (table?.is_there !== true) {
      return { serverVersion, migrations, counts: null, registeredTables: [] };
    }
    const [counts] = await session.query<NonNullable<Status['counts']>>(
      `select (select count(*)::int from holdfast.clients) as "clients",
              (select count(*)::int from holdfast.clients where last_seen_at > now() - interval '1 day') as "clientsSeenInLastDay",
              (select greatest(reltuples, 0)::float8 from pg_class where oid = 'holdfast.ledger'::regclass) as "ledgerRowsEstimated",
              (select coalesce(sum(greatest(part.reltuples, 0)), 0)::float8 from pg_inherits join pg_class as part on part.oid = inhrelid
               where inhparent = 'holdfast.audit_log'::regclass) as "auditRowsEstimated"`,
    );
    const tables = await session.query<{ name: string }>(
      'select entity_type as name from holdfast.registered_tables order by entity_type',
    );
    return { serverVersion, migrations, counts: counts ?? null, registeredTables: tables.map(({ name }) => name) };
  });
}
