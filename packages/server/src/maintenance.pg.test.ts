import { createHash, randomUUID } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { describe, expect, onTestFinished, test } from 'vitest';
import { type ArchiveManifest, archiveMonths } from './archive.ts';
import type { Database } from './database.ts';
import { type MaintenanceReport, startMaintenance } from './maintenance.ts';
import { migrate } from './migrate.ts';
import { describeOnPostgres } from './testing-databases/test-databases.ts';
import { createDevice } from './testing-databases/test-device.ts';

/** Timers that go off when they are told to. */
function createTimers() {
  const waits: number[] = [];
  let due: (() => void)[] = [];
  return {
    waits,
    schedule(delayMs: number, callback: () => void): () => void {
      waits.push(delayMs);
      due.push(callback);
      return () => {
        due = due.filter((each) => each !== callback);
      };
    },
    goOff(): void {
      const callbacks = due;
      due = [];
      for (const callback of callbacks) callback();
    },
    get count(): number {
      return due.length;
    },
  };
}

describeOnPostgres((world) => {
  const forget = () =>
    world.database.query('update holdfast.settings set maintained_at = null, looked_at = null, believed_at = null');

  test('P5 · of three servers with one database one makes the round, and what was written is sealed', async () => {
    await forget();
    const device = createDevice(world.database);
    await device.send([device.next()]);
    const reports: MaintenanceReport[] = [];
    const errors: unknown[] = [];
    const timers = createTimers();
    const servers = Array.from({ length: 3 }, () =>
      startMaintenance({
        database: world.database,
        schedule: (delayMs, callback) => timers.schedule(delayMs, callback),
        random: () => 0.5,
        onDone: (report) => reports.push(report),
        onError: (error) => errors.push(error),
      }),
    );
    expect(timers.waits).toEqual([15_000, 15_000, 15_000]);

    timers.goOff();
    await expect.poll(() => timers.count).toBe(3);
    expect(errors).toEqual([]);
    expect(reports).toMatchObject([{ monthsDropped: [], isLogInUse: false }]);
    expect(reports[0]?.auditRowsSealed).toBeGreaterThan(0);
    expect(timers.waits.slice(3)).toEqual([330_000, 330_000, 330_000]);

    // It was done within five minutes.
    timers.goOff();
    await expect.poll(() => timers.count).toBe(3);
    expect(reports).toHaveLength(1);
    for (const server of servers) await server.close();
    expect(timers.count).toBe(0);
  });

  test('P5 · a round that fails is told, and the next one comes all the same', async () => {
    await forget();
    const errors: unknown[] = [];
    const reports: MaintenanceReport[] = [];
    const timers = createTimers();
    let isAway = true;
    const server = startMaintenance({
      database: {
        ...world.database,
        query: (sql, parameters) =>
          isAway ? Promise.reject(new Error('away')) : world.database.query(sql, parameters),
      },
      schedule: (delayMs, callback) => timers.schedule(delayMs, callback),
      random: () => 0,
      onDone: (report) => reports.push(report),
      onError: (error) => errors.push(error),
    });
    timers.goOff();
    await expect.poll(() => timers.count).toBe(1);
    expect(errors).toMatchObject([{ message: 'away' }]);

    isAway = false;
    timers.goOff();
    await expect.poll(() => timers.count).toBe(1);
    expect(reports).toHaveLength(1);
    await server.close();
  });

  test('P5 · a month that somebody reads is not waited for, and goes with a later round', async () => {
    await world.database.query(`select holdfast.ensure_partitions(0, '2020-01-15Z')`);
    await world.database.query(`update holdfast.settings set looked_at = now() - interval '1 day'`);
    const round = async () => {
      const [row] = await world.database.query<{ done: MaintenanceReport }>('select holdfast.maintain() as done');
      return row?.done;
    };
    await world.database.transaction(async (session) => {
      await session.query('select 1 from holdfast.audit_log_202001');
      expect(await round()).toMatchObject({ isLogInUse: true, monthsDropped: [] });
    });
    expect((await round())?.monthsDropped).toContain('audit_log_202001');
  });

  test('P5 · a clock that runs ahead for less than a day costs no month; what is due goes a day later', async () => {
    const [database] = await world.openEmpty();
    if (database === undefined) throw new Error('There is no database.');
    await migrate(database);
    await database.query(`select holdfast.ensure_partitions(0, '2022-03-15Z')`);
    const round = async (at: string) => {
      const [row] = await database.query<{ done: MaintenanceReport }>('select holdfast.maintain($1) as done', [at]);
      return row?.done.monthsDropped.filter((name) => name.startsWith('audit_log_'));
    };

    expect(await round('2022-05-20T00:00:00Z')).toEqual([]);
    // as after a start with a dead battery, until the network tells the time
    for (const at of ['2032-01-01T00:00:00Z', '2032-01-01T00:05:00Z', '2032-01-01T23:00:00Z'])
      expect(await round(at)).toEqual([]);
    for (const at of ['2022-05-20T23:00:00Z', '2022-05-22T00:00:00Z', '2022-07-02T00:00:00Z', '2022-07-02T12:00:00Z'])
      expect(await round(at)).toEqual([]);

    expect(await round('2022-07-03T00:00:00Z')).toEqual(['audit_log_202203']);
  });

  test('P5 · with the log being read for long, a month that is missing comes later, and all else is done', async () => {
    await forget();
    const device = createDevice(world.database);
    await device.send([device.next()]);
    const round = async () => {
      const [row] = await world.database.query<{ done: MaintenanceReport }>('select holdfast.maintain() as done');
      return row?.done;
    };
    await world.database.query(
      `do $$ begin execute format('drop table holdfast.%I', holdfast.partition_name('audit_log', now() + interval '3 months')); end $$`,
    );
    // as pg_dump does it, and an export
    await world.database.transaction(async (session) => {
      await session.query('select 1 from holdfast.audit_log limit 1');
      const done = await round();
      expect(done).toMatchObject({ isLogInUse: true, monthsMade: 0 });
      expect(done?.auditRowsSealed).toBeGreaterThan(0);
    });
    expect(await round()).toMatchObject({ isLogInUse: false, monthsMade: 1 });
  });

  // After the others, since it leaves the log to be archived.
  describe('archives', () => {
    test('P5 · months beyond their time go into files with a manifest, and only then out of the database', async () => {
      const { folder, workspaceId } = await plant('2021', ['plain', 'two\nlines, "quotes" and \\backslashes\\', 'ü ✓']);
      await retention(', needs_archive => true');

      const { archived, dropped } = await archiveMonths({ database: world.database, folder, location: 's3://logs' });

      expect(archived.map(({ partition, rowCount }) => [partition, rowCount])).toEqual([['audit_log_202101', 3]]);
      expect(ofAudit(dropped)).toEqual(['audit_log_202101']);
      expect(readdirSync(folder).toSorted()).toEqual(['audit_log_202101.jsonl.gz', 'audit_log_202101.manifest.json']);
      const manifest = JSON.parse(
        readFileSync(join(folder, 'audit_log_202101.manifest.json'), 'utf8'),
      ) as ArchiveManifest;
      expect(manifest).toEqual(archived[0]);
      const file = readFileSync(join(folder, manifest.file));
      expect(createHash('sha256').update(file).digest('hex')).toBe(manifest.fileSha256);
      const rows = gunzipSync(file).toString().trim().split('\n').map(parseRow);
      expect(rows.map(({ new_values: values }) => values.name)).toEqual([
        'plain',
        'two\nlines, "quotes" and \\backslashes\\',
        'ü ✓',
      ]);
      expect([manifest.firstId, manifest.lastId]).toEqual([String(rows[0]?.id), String(rows[2]?.id)]);
      expect(manifest.chainHeads).toEqual([
        { workspaceId, place: 3, hash: expect.stringMatching(/^[0-9a-f]{64}$/) as unknown },
      ]);
      const [noted] = await world.database.query<{ location: string }>(
        `select location from holdfast.archives where partition_name = 'audit_log_202101'`,
      );
      expect(noted?.location).toBe('s3://logs/audit_log_202101.jsonl.gz');
      expect((await archiveMonths({ database: world.database, folder })).archived).toEqual([]);
    });

    test('P5 · on legal hold, and where no archive is asked for, nothing is written', async () => {
      const { folder } = await plant('2022', ['kept']);
      await retention(', needs_archive => true, is_held => true');
      const held = await archiveMonths({ database: world.database, folder });
      expect([held.archived, ofAudit(held.dropped)]).toEqual([[], []]);
      expect(readdirSync(folder)).toEqual([]);
      await retention(', needs_archive => true');
      expect(ofAudit((await archiveMonths({ database: world.database, folder })).dropped)).toEqual([
        'audit_log_202201',
      ]);
    });

    test('P5 · ended anywhere in the middle, a month stays, and is archived the next time', async () => {
      const { folder } = await plant('2023', ['first', 'second']);
      await retention(', needs_archive => true');
      for (const step of ['copy', 'finish_archive', 'enforce_retention']) {
        await expect(archiveMonths({ database: dyingAt(step), folder })).rejects.toThrow('ended');
        expect(await isThere('audit_log_202301')).toBe(true);
      }
      expect(ofAudit((await archiveMonths({ database: world.database, folder })).dropped)).toEqual([
        'audit_log_202301',
      ]);
      const file = readFileSync(join(folder, 'audit_log_202301.jsonl.gz'));
      expect(gunzipSync(file).toString().trim().split('\n')).toHaveLength(2);
    });

    test('P5 · a file that does not hold what the database does lets no month go', async () => {
      const { folder } = await plant('2024', ['one', 'two']);
      await retention(', needs_archive => true');
      // A row that comes while it is written, as nobody should.
      const database: Database = {
        ...world.database,
        transaction: async (work) => {
          const result = await world.database.transaction(work);
          await insert('2024', 'late', 'workspace-late');
          return result;
        },
      };
      await expect(archiveMonths({ database, folder })).rejects.toThrow('does not hold what the database does');
      expect(await isThere('audit_log_202401')).toBe(true);
      writeFileSync(join(folder, 'audit_log_202401.jsonl.gz'), 'not gzip');
      expect((await archiveMonths({ database: world.database, folder })).archived).toMatchObject([{ rowCount: 3 }]);
    });

    async function plant(year: string, names: readonly string[]) {
      await retention('');
      await world.database.query(`select holdfast.ensure_partitions(0, $1)`, [`${year}-01-15T00:00:00Z`]);
      const workspaceId = `workspace-${randomUUID()}`;
      for (const name of names) await insert(year, name, workspaceId);
      await world.database.query('select holdfast.seal_audit()');
      const folder = mkdtempSync(join(tmpdir(), 'holdfast-archive-'));
      onTestFinished(() => rmSync(folder, { recursive: true }));
      return { folder, workspaceId };
    }

    function insert(year: string, name: string, workspaceId: string) {
      return world.database.query(
        `insert into holdfast.audit_log (workspace_id, occurred_at, action, entity_type, entity_id, new_values)
         values ($1, $2, 'create', 'accounts', 'x', jsonb_build_object('name', $3::text))`,
        [workspaceId, `${year}-01-10T00:00:00Z`, name],
      );
    }

    function retention(rest: string) {
      return world.database.query(`select holdfast.set_retention('audit_log', interval '90 days'${rest})`);
    }

    async function isThere(partition: string): Promise<boolean> {
      const [row] = await world.database.query<{ there: boolean }>('select to_regclass($1) is not null as there', [
        `holdfast.${partition}`,
      ]);
      return row?.there === true;
    }

    /** Ends where the named thing would be done. */
    function dyingAt(step: string): Database {
      const end = (): never => {
        throw new Error('ended');
      };
      return {
        ...world.database,
        query: (sql, parameters) =>
          sql.includes(step) ? Promise.reject(new Error('ended')) : world.database.query(sql, parameters),
        transaction: (work) =>
          world.database.transaction((session) =>
            work({
              ...session,
              async *copyOut(sql) {
                for await (const piece of session.copyOut(sql)) {
                  yield piece;
                  if (step === 'copy') end();
                }
              },
            }),
          ),
      };
    }
  });
});

/** Other logs have a retention of their own. */
function ofAudit(months: readonly string[]): readonly string[] {
  return months.filter((name) => name.startsWith('audit_log_'));
}

function parseRow(line: string): { readonly id: number; readonly new_values: { readonly name: string } } {
  return JSON.parse(line) as { readonly id: number; readonly new_values: { readonly name: string } };
}
