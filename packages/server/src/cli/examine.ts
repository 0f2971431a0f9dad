import { randomUUID } from 'node:crypto';
import { withCaller } from '../caller.ts';
import type { Database, Session } from '../database.ts';
import { readMigrationState } from '../migrate.ts';

/** One thing that was looked at. A `problem` loses changes, shows them to others, or stops them; a `warning` may come to that. */
export interface Finding {
  readonly check: string;
  readonly state: 'ok' | 'warning' | 'problem';
  readonly message: string;
  /** What to do; null when there is nothing to do. */
  readonly hint: string | null;
}

const VERSION_MIN = 150_000;
const CLOCK_WARNING_MS = 5_000;
const CLOCK_PROBLEM_MS = 60_000;

const ok = (check: string, message: string): Finding => ({ check, state: 'ok', message, hint: null });
const warning = (check: string, message: string, hint: string): Finding => ({ check, state: 'warning', message, hint });
const problem = (check: string, message: string, hint: string): Finding => ({ check, state: 'problem', message, hint });

/** Looks for what makes a database lose, leak or refuse changes. It changes nothing: the test insert is rolled back. */
export async function examine(database: Database, nowMs: () => number): Promise<readonly Finding[]> {
  const first = await database.transaction(async (session) => [
    ...(await examineServer(session)),
    await examineClock(session, nowMs),
    await examineMigrations(session),
  ]);
  if (first.some(({ check, state }) => check === 'migrations' && state === 'problem')) return first;
  return [
    ...first,
    ...(await database.transaction(examineTables)),
    ...(await database.transaction(examineHandlers)),
    ...(await database.transaction(examinePartitions)),
    await database.transaction(examineRewinds),
    await database.transaction(examineMaintenance),
    await examineRole(database),
    await tryInsert(database),
  ];
}

async function examineServer(session: Session): Promise<readonly Finding[]> {
  const [server] = await session.query<
    Record<'version' | 'number' | 'encoding' | 'commit' | 'fsync' | 'pages', string>
  >(
    `select current_setting('server_version') as version, current_setting('server_version_num') as number,
            current_setting('server_encoding') as encoding, current_setting('synchronous_commit') as commit, current_setting('fsync') as fsync,
            current_setting('full_page_writes') as pages`,
  );
  if (server === undefined) throw new Error('The database said nothing of itself.');
  return [
    Number(server.number) >= VERSION_MIN
      ? ok('version', `Postgres ${server.version}.`)
      : problem('version', `Postgres ${server.version} is older than 15.`, 'Upgrade to Postgres 15 or newer.'),
    server.encoding === 'UTF8'
      ? ok('encoding', 'Text is kept as UTF8.')
      : problem(
          'encoding',
          `Text is kept as ${server.encoding}: what people write in other letters is refused, or cannot be read back.`,
          `Make the database anew: create database your_database encoding 'UTF8' template template0;`,
        ),
    server.commit === 'off'
      ? problem(
          'synchronous_commit',
          'synchronous_commit is off: what was confirmed to a device is lost when the server crashes.',
          `Run: alter database your_database set synchronous_commit = 'on';`,
        )
      : ok('synchronous_commit', `synchronous_commit is ${server.commit}.`),
    server.fsync === 'off' || server.pages === 'off'
      ? problem(
          'fsync',
          'fsync or full_page_writes is off: a power cut can destroy the database.',
          'Switch both on in postgresql.conf.',
        )
      : ok('fsync', 'fsync and full_page_writes are on.'),
  ];
}

async function examineClock(session: Session, nowMs: () => number): Promise<Finding> {
  const beforeMs = nowMs();
  const [row] = await session.query<{ at: number }>(
    `select (extract(epoch from clock_timestamp()) * 1000)::float8 as at`,
  );
  const aheadMs = Math.round((row?.at ?? Number.NaN) - (beforeMs + nowMs()) / 2);
  const told = `The clock of the database is ${Math.abs(aheadMs)} ms ${aheadMs < 0 ? 'behind' : 'ahead of'} the one here.`;
  const hint = 'Let both follow a time server: tokens end and latest edits win by these clocks.';
  if (Math.abs(aheadMs) >= CLOCK_PROBLEM_MS) return problem('clock', told, hint);
  return Math.abs(aheadMs) >= CLOCK_WARNING_MS ? warning('clock', told, hint) : ok('clock', told);
}

async function examineMigrations(session: Session): Promise<Finding> {
  const { applied, pending, unknown, edited, isOfOtherFiles } = await readMigrationState(session);
  if (isOfOtherFiles) {
    return problem(
      'migrations',
      'The database was migrated with files that this version no longer has.',
      'Make the database anew (drop it and create it), and run: holdfast migrate',
    );
  }
  if (unknown.length > 0) {
    return problem(
      'migrations',
      `The database has ${unknown.join(', ')}, which is not known here: it is newer.`,
      'Update this server.',
    );
  }
  if (edited.length > 0) {
    return problem('migrations', `${edited.join(', ')} was edited after it ran.`, 'Put the file back as it was.');
  }
  if (pending.length > 0)
    return problem('migrations', `${pending.length} have not run: ${pending.join(', ')}.`, 'Run: holdfast migrate');
  return ok('migrations', `All ${applied.length} have run.`);
}

interface TableFacts {
  readonly name: string;
  readonly target: string;
  readonly has_rls: boolean;
  readonly is_forced: boolean;
  readonly schema: string;
  readonly is_schema_closed: boolean;
  readonly policy_count: number;
  /** What no policy is for: `select`, `insert`, `update`, `delete`. */
  readonly unruled: readonly string[];
  /** Policies that let everybody do it, whatever the workspace. */
  readonly open_policies: readonly string[];
  /** A command, or one with the column that it is missing for. */
  readonly missing_grants: readonly string[];
  readonly is_audited: boolean;
  /** Roles of callers that may empty it, which no policy holds up and no log records. */
  readonly truncaters: readonly string[];
  readonly index_count: number;
}

async function examineTables(session: Session): Promise<readonly Finding[]> {
  const tables = await session.query<TableFacts>(
    `select known.entity_type as name, known.target::text as target, relrowsecurity as has_rls, relforcerowsecurity as is_forced,
            (select count(*)::int from pg_policy where polrelid = known.target
               and (polroles = '{0}' or 'authenticated'::regrole = any (polroles))) as policy_count,
            relnamespace::regnamespace::text as schema,
            not has_schema_privilege('authenticated', relnamespace, 'usage') as is_schema_closed,
            array(select command.name from (values ('select', 'r'), ('insert', 'a'), ('update', 'w'), ('delete', 'd')) as command (name, letter)
                  where not exists (
                      select from pg_policy where polrelid = known.target and polpermissive and polcmd::text in ('*', command.letter)
                        and (polroles = '{0}' or 'authenticated'::regrole = any (polroles)))
            ) as unruled,
            array(select polname::text from pg_policy where polrelid = known.target and polpermissive
                    and (polroles = '{0}' or 'authenticated'::regrole = any (polroles))
                    and 'true' in (pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid)) order by 1) as open_policies,
            -- what is answered is the whole row, and what is written are the registered columns, of a new row also id and workspace
            array(
                select needed.command || case when has_any_column_privilege('authenticated', known.target, needed.command)
                    then ' (' || string_agg(quote_ident(needed.column_name), ', ' order by needed.place) || ')' else '' end
                from (
                    select 'select' as command, attname as column_name, attnum as place
                    from pg_attribute where attrelid = known.target and attnum > 0 and not attisdropped
                    union all
                    select command, attname, attnum from unnest(array['insert', 'update']) as command
                    join pg_attribute on attrelid = known.target and attnum > 0 and not attisdropped
                    where attname = any (known.columns)
                       or (command = 'insert' and attname in (known.id_column, known.workspace_column))
                ) as needed
                where not has_column_privilege('authenticated', known.target, needed.column_name, needed.command)
                group by needed.command
                union all
                select 'delete' where not has_table_privilege('authenticated', known.target, 'delete')
                order by 1
            ) as missing_grants,
            (select count(*) = 3 from pg_trigger where tgrelid = known.target and tgname like 'holdfast_audit_%' and tgenabled <> 'D')
                as is_audited,
            array(select role from unnest(array['anon', 'authenticated']) as role where has_table_privilege(role, known.target, 'truncate'))
                as truncaters,
            (select count(*)::int from holdfast.id_indexes(known.target, known.id_column, known.workspace_column)) as index_count
     from holdfast.registered_tables as known join pg_class on pg_class.oid = known.target order by 1`,
  );
  if (tables.length === 0) {
    return [
      warning(
        'tables',
        'No table is registered, so no mutation can change anything.',
        `Run: select holdfast.register_table('your_table', array['column', …]);`,
      ),
    ];
  }
  return tables.flatMap((table) => {
    const check = `table ${table.name}`;
    const found: Finding[] = [];
    if (!table.has_rls) {
      found.push(
        problem(
          check,
          'Row-level security is off: everybody reads and changes everything.',
          `Run: alter table ${table.target} enable row level security;`,
        ),
      );
    } else if (!table.is_forced) {
      found.push(
        warning(
          check,
          'Its policies do not bind its owner.',
          `Run: alter table ${table.target} force row level security;`,
        ),
      );
    }
    if (table.is_schema_closed) {
      found.push(
        problem(
          check,
          `"authenticated" may not use the schema ${table.schema}.`,
          `Run: grant usage on schema ${table.schema} to authenticated;`,
        ),
      );
    }
    if (table.has_rls && table.open_policies.length > 0) {
      found.push(
        problem(
          check,
          `Open to every workspace by ${table.open_policies.join(', ')}: using (true).`,
          'Let the policy compare the workspace: using (workspace_id = (select holdfast.workspace())).',
        ),
      );
    }
    if (table.policy_count > 0 && table.unruled.length > 0) {
      found.push(
        warning(
          check,
          `No policy lets "authenticated" ${table.unruled.join(', ')}.`,
          'Make a policy for it, or leave it, if no mutation needs that.',
        ),
      );
    }
    if (table.policy_count === 0) {
      found.push(
        problem(
          check,
          'No policy is for "authenticated", so callers see nothing and change nothing.',
          `Run: create policy … on ${table.target} to authenticated using (workspace_id = (select holdfast.workspace()));`,
        ),
      );
    }
    if (table.missing_grants.length > 0) {
      found.push(
        problem(
          check,
          `"authenticated" may not ${table.missing_grants.join(', ')}.`,
          `Run: grant ${table.missing_grants.join(', ')} on ${table.target} to authenticated; (or leave it, if no mutation needs that)`,
        ),
      );
    }
    if (table.index_count === 0) {
      found.push(
        problem(check, 'Nothing keeps its id unique any more.', 'Put the primary key or unique constraint back.'),
      );
    }
    if (table.truncaters.length > 0) {
      const roles = table.truncaters.join(', ');
      found.push(
        warning(
          check,
          `May be emptied by ${roles}: truncate goes past every policy, and is not recorded.`,
          `Run: revoke truncate on ${table.target} from ${roles};`,
        ),
      );
    }
    if (!table.is_audited) {
      found.push(
        warning(
          check,
          'Changes are not recorded: no history, no undo, no live updates.',
          `Run: select holdfast.enable_audit('${table.target}');`,
        ),
      );
    }
    return found.length > 0 ? found : [ok(check, 'Policies, grants, key and audit triggers are there.')];
  });
}

async function examineHandlers(session: Session): Promise<readonly Finding[]> {
  const handlers = await session.query<
    Record<'type' | 'handler', string> & Record<'is_closed' | 'is_definer', boolean>
  >(
    `select known.type, known.handler::text as handler, proc.prosecdef as is_definer,
            not (has_function_privilege('authenticated', proc.oid, 'execute')
                 and has_schema_privilege('authenticated', proc.pronamespace, 'usage')) as is_closed
     from holdfast.handlers as known join pg_proc as proc on proc.oid = known.handler order by 1`,
  );
  return handlers.map(({ type, handler, is_closed: isClosed, is_definer: isDefiner }) => {
    const check = `handler ${type}`;
    if (isDefiner) {
      return problem(
        check,
        `${handler} runs with the rights of its owner, so it is not called.`,
        `Run: alter function ${handler} security invoker;`,
      );
    }
    if (isClosed) {
      return problem(
        check,
        `"authenticated" may not execute ${handler}.`,
        `Run: grant execute on function ${handler} to authenticated; and grant usage on its schema.`,
      );
    }
    return ok(check, `"authenticated" may execute ${handler}.`);
  });
}

/** A day without a round is no harm yet; after a week months may be missing, and what is not sealed is not protected. */
const MAINTENANCE_WARNING_DAYS = 1;
const MAINTENANCE_PROBLEM_DAYS = 7;

async function examineMaintenance(session: Session): Promise<Finding> {
  const [row] = await session.query<{ days: number | null }>(
    `select (extract(epoch from clock_timestamp() - maintained_at) / 86400)::float8 as days from holdfast.settings`,
  );
  const days = row?.days ?? null;
  const hint = 'Let a server call startMaintenance(), or a scheduler holdfast maintain or select holdfast.maintain().';
  if (days === null) return warning('maintenance', 'It has never been done.', hint);
  const told = `It was done ${days < 1 ? 'within the last day' : `${Math.floor(days)} days ago`}.`;
  if (days >= MAINTENANCE_PROBLEM_DAYS) return problem('maintenance', told, hint);
  return days >= MAINTENANCE_WARNING_DAYS ? warning('maintenance', told, hint) : ok('maintenance', told);
}

/** A restore or fail-over is noticed by what Postgres says of itself, which some hosts keep to themselves. */
async function examineRewinds(session: Session): Promise<Finding> {
  const [row] = await session.query<{ incarnation: string | null; began: string; reason: string }>(
    `select holdfast.incarnation() as incarnation, to_char(began_at at time zone 'UTC', 'YYYY-MM-DD') as began, reason
     from holdfast.epochs order by place desc limit 1`,
  );
  if (row === undefined || row.incarnation?.startsWith('?') === true) {
    return warning(
      'rewind',
      'Postgres does not say here which server it is: a restore or fail-over may pass unnoticed.',
      `After one run select holdfast.begin_epoch('why'); before devices reach it.`,
    );
  }
  return ok('rewind', `Restores and fail-overs are noticed. The present epoch began on ${row.began} (${row.reason}).`);
}

async function examinePartitions(session: Session): Promise<readonly Finding[]> {
  const tables = await session.query<{ table_name: string; months_ahead: number; misplaced_rows: string }>(
    'select table_name, months_ahead, misplaced_rows from holdfast.partition_report()',
  );
  return tables.map(({ table_name: name, months_ahead: ahead, misplaced_rows: misplaced }) => {
    const hint = 'Run: select holdfast.maintain(); and see to it that something runs it every day.';
    if (ahead < 1) return problem(`partitions of ${name}`, 'No month is made ahead.', hint);
    if (Number(misplaced) > 0) return warning(`partitions of ${name}`, `${misplaced} rows are of no month.`, hint);
    return ok(`partitions of ${name}`, `${ahead} months are made ahead.`);
  });
}

async function examineRole(database: Database): Promise<Finding> {
  try {
    await database.transaction((session) => session.query('set local role authenticated'));
    return ok('role', 'This user may act as "authenticated".');
  } catch (error) {
    return problem(
      'role',
      `This user may not act as "authenticated": ${textOf(error)}.`,
      'Run: grant authenticated to your_user;',
    );
  }
}

class RolledBack extends Error {}

/** A table that is there for this transaction only, and one creation through `apply`, as a caller: the whole way. */
async function tryInsert(database: Database): Promise<Finding> {
  const check = 'test insert';
  const [rowId, workspaceId] = [randomUUID(), `holdfast-doctor-${randomUUID()}`];
  let outcome = 'no answer';
  let audited = 0;
  try {
    await database.transaction(async (session) => {
      await session.runScript(TEST_TABLE);
      await withCaller(
        { transaction: (work) => work(session) },
        { sub: 'holdfast-doctor', role: 'authenticated', workspace_id: workspaceId },
        async (caller) => {
          const [row] = await caller.query<{ kind: string; code: string | null }>(
            `select answer #>> '{outcomes,0,kind}' as kind, answer #>> '{outcomes,0,error,code}' as code
             from holdfast.apply($1::jsonb) as answer`,
            [JSON.stringify(testBatch(workspaceId, rowId))],
          );
          outcome = [row?.kind, row?.code].filter((word) => word != null).join(' ');
          const [log] = await caller.query<{ count: number }>(
            'select count(*)::int as count from holdfast.audit_log where entity_id = $1',
            [rowId],
          );
          audited = log?.count ?? 0;
        },
      );
      throw new RolledBack();
    });
  } catch (error) {
    if (!(error instanceof RolledBack)) {
      return warning(
        check,
        `It could not be tried: ${textOf(error)}.`,
        'Run doctor as the user who migrates, who may create tables.',
      );
    }
  }
  if (outcome === 'applied' && audited === 1) return ok(check, 'A creation was applied and recorded, and rolled back.');
  return problem(
    check,
    `A creation was answered "${outcome}" and recorded ${audited} times.`,
    'Run holdfast migrate; if it stays, compare the grants of the schema holdfast with a new database.',
  );
}

const TEST_TABLE = `
  create table public.holdfast_doctor (id uuid primary key, workspace_id text not null, note text);
  alter table public.holdfast_doctor enable row level security;
  create policy by_workspace on public.holdfast_doctor to authenticated using (workspace_id = (select holdfast.workspace()));
  grant select, insert on public.holdfast_doctor to authenticated;
  select holdfast.register_table('public.holdfast_doctor', array['note']);
`;

function testBatch(workspaceId: string, rowId: string): object {
  return {
    protocol: 1,
    client: { id: randomUUID(), workspaceId },
    acknowledgedFloor: 0,
    mutations: [
      {
        id: randomUUID(),
        seq: 1,
        after: null,
        generation: 0,
        type: 'holdfast-doctor',
        version: 1,
        operation: 'create',
        entity: { table: 'holdfast_doctor', id: rowId },
        payload: { note: 'rolled back' },
      },
    ],
  };
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
