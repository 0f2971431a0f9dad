import type { ArchiveReport } from '../archive.ts';
import type { MaintenanceReport } from '../maintenance.ts';
import type { MigrationReport } from '../migrate.ts';
import type { Development } from './develop.ts';
import type { Finding } from './examine.ts';
import type { CommandName } from './parse-command.ts';
import type { Status } from './read-status.ts';

const OPTIONS = `Options
  --database-url URL   the database, as postgres://user:password@host:port/name; else DATABASE_URL
  --json               one JSON document on standard output
  --help               this text, or that of a command
  --version            the version

Exit codes
  0  done, and nothing is wrong
  1  it failed; standard error says why
  2  it was not understood; standard error says what would be
  3  done, and something is wrong: a migration has not run (status), or a problem was found (doctor)`;

const ABOUT: Readonly<Record<CommandName, string>> = {
  dev: `holdfast dev [--folder FOLDER] [--sql FOLDER] [--port PORT] [--database-url URL]

Everything on this machine, until it is ended (Ctrl-C): an embedded Postgres, Holdfast's tables and the app's, the door with live
updates, maintenance, and GET /dev/token?user=ana&workspace=demo (&role=admin) for logins. Not for others: whoever asks is let in.

  --folder FOLDER      where database and secret are kept; else .holdfast
  --sql FOLDER         the app's own migrations, run after Holdfast's
  --port PORT          else 3000; 0 takes any free one
  --database-url URL   a database of one's own instead of the embedded one; else DATABASE_URL, if it is set`,
  migrate: `holdfast migrate [--export FOLDER]

Brings the schema "holdfast" up to date: runs each numbered SQL file that has not run, in order, each in a transaction. Safe to run
at every start and by several servers at once. Refuses a database that is newer than this version, and a file edited after it ran.

  --export FOLDER      runs nothing, and writes the files as the Supabase CLI takes them (FOLDER: supabase/migrations)`,
  status: `holdfast status

Says which migrations have run, which tables mutations may change, and how much is there. Changes nothing.`,
  doctor: `holdfast doctor

Looks for what loses, leaks or stops changes: settings of the server, its clock, migrations, policies, grants, audit triggers and keys
of registered tables, months not made ahead, maintenance that nobody does, and a test insert that is rolled back. Changes nothing.`,
  maintain: `holdfast maintain

One round of maintenance: makes months ahead, seals the audit log, deletes old rows of the ledger and of logs, and drops months that are
older than they are kept. For a scheduler, where no server does it by itself. Several at once do no harm.`,
  archive: `holdfast archive --folder FOLDER [--location TEXT]

Writes each month that is older than it is kept, and asks for an archive (set_retention(…, needs_archive => true)), into a file of JSON
lines (gzip) with a manifest, reads it back, has the database compare, and only then drops it. Legal hold is kept to.

  --folder FOLDER      where the files go
  --location TEXT      what the database notes as the place of the files, such as the address of a bucket; else FOLDER`,
  export: `holdfast export --workspace ID --from DAY --to DAY [--format json|csv] [--output FILE]
holdfast export --workspace ID --table NAME [--format csv|json] [--output FILE]

Writes the logs of a workspace between two days (audit log, attempts, acts of operators), or all rows of a registered table, as they
are read: as an admin of the workspace, as far as the policies of the table show it to one. In CSV nothing begins as a formula does.

  --workspace ID       whose
  --from DAY --to DAY  of the logs: the first day, and the first that does not count any more; or times with their zone
  --table NAME         all rows of this table, by the name that mutations use
  --format FORMAT      json or csv; else json for logs and csv for a table
  --output FILE        where to; else standard output`,
};

export function renderHelp(about: CommandName | null): string {
  if (about !== null) return `${ABOUT[about]}\n\n${OPTIONS}\n`;
  return `holdfast: the Postgres half of Holdfast

  holdfast dev         all of it on this machine
  holdfast migrate     bring the database up to date
  holdfast status      what is there
  holdfast doctor      what is wrong
  holdfast maintain    months, seals, and what is old
  holdfast archive     months of the audit log into files
  holdfast export      logs of a workspace, or rows of a table, as CSV or JSON

${OPTIONS}\n`;
}

export function renderDevelopment({ url, applied }: Development): string {
  const ran = applied.length === 0 ? '' : `${applied.map((name) => `ran ${name}`).join('\n')}\n`;
  return `${ran}The server listens at ${url}\nA login: ${url}/dev/token?user=ana&workspace=demo\n`;
}

export function renderMigration({ applied }: MigrationReport): string {
  if (applied.length === 0) return 'The database is up to date.\n';
  return `${applied.map((name) => `ran ${name}`).join('\n')}\nThe database is up to date.\n`;
}

export function renderArchive({ archived, dropped }: ArchiveReport, folder: string): string {
  const lines = archived.map(
    ({ partition, file, rowCount, fileBytes }) =>
      `wrote ${folder}/${file}: ${partition}, ${rowCount} rows, ${fileBytes} bytes`,
  );
  if (archived.length === 0) lines.push('No month is to be archived.');
  lines.push(`Months dropped: ${dropped.length === 0 ? 'none' : dropped.join(', ')}`);
  return `${lines.join('\n')}\n`;
}

export function renderMaintenance(report: MaintenanceReport): string {
  const { monthsMade, auditRowsSealed, ledgerRowsTrimmed, monthsDropped, isLogInUse } = report;
  const lines = [
    `Months made    ${monthsMade}`,
    `Rows sealed    ${auditRowsSealed}`,
    `Rows trimmed   ${ledgerRowsTrimmed}`,
    `Months dropped ${monthsDropped.length === 0 ? 'none' : monthsDropped.join(', ')}`,
  ];
  if (isLogInUse) lines.push('A month that is due was being read, and stays until the next round.');
  return `${lines.join('\n')}\n`;
}

export function renderExport(names: readonly string[], folder: string): string {
  return `${names.map((name) => `wrote ${folder}/${name}`).join('\n')}\nRun them with: supabase db push\n`;
}

export function renderStatus({ serverVersion, migrations, counts, registeredTables }: Status): string {
  const lines = [`Postgres      ${serverVersion}`, `Migrations    ${migrations.applied.length} have run`];
  if (migrations.isOfOtherFiles) {
    lines.push('              They are of files that this version no longer has: the database has to be made anew');
  }
  for (const name of migrations.pending) lines.push(`              ${name} has not`);
  for (const name of migrations.unknown) lines.push(`              ${name} is not known here: the database is newer`);
  for (const name of migrations.edited) lines.push(`              ${name} was edited after it ran`);
  if (counts !== null) {
    lines.push(
      `Tables        ${registeredTables.length === 0 ? 'none registered' : registeredTables.join(', ')}`,
      `Clients       ${counts.clients}, ${counts.clientsSeenInLastDay} of them seen in the last day`,
      `Ledger        about ${counts.ledgerRowsEstimated} rows`,
      `Audit log     about ${counts.auditRowsEstimated} rows`,
    );
  }
  return `${lines.join('\n')}\n`;
}

const MARKS = { ok: 'ok      ', warning: 'warning ', problem: 'PROBLEM ' } as const;

export function renderFindings(findings: readonly Finding[]): string {
  const width = Math.max(...findings.map(({ check }) => check.length));
  const lines = findings.flatMap(({ check, state, message, hint }) => [
    `${MARKS[state]}${check.padEnd(width)}  ${message}`,
    ...(hint === null ? [] : [`${' '.repeat(8 + width)}  → ${hint}`]),
  ]);
  const count = (state: Finding['state']): number => findings.filter((finding) => finding.state === state).length;
  const [problems, warnings] = [count('problem'), count('warning')];
  return `${lines.join('\n')}\n\n${problems} ${problems === 1 ? 'problem' : 'problems'}, ${warnings} ${warnings === 1 ? 'warning' : 'warnings'}.\n`;
}
