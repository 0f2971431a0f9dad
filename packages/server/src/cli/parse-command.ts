import { parseArgs } from 'node:util';
import { type ExportFormat, type LogsQuery, parseExportFormat, parseLogsQuery } from '../export.ts';
import { Refusal } from '../refusal.ts';

export type Command =
  | { readonly kind: 'help'; readonly about: CommandName | null }
  | { readonly kind: 'version' }
  | { readonly kind: 'exportMigrations'; readonly folder: string; readonly isJson: boolean }
  | {
      readonly kind: 'export';
      readonly databaseUrl: string;
      readonly workspaceId: string;
      readonly what: ExportedRows | ExportedLogs;
      /** Null: to standard output. */
      readonly file: string | null;
    }
  | {
      readonly kind: 'archive';
      readonly databaseUrl: string;
      readonly folder: string;
      readonly location: string | null;
      readonly isJson: boolean;
    }
  | {
      readonly kind: 'dev';
      /** Null: an embedded one, in the folder. */
      readonly databaseUrl: string | null;
      readonly folder: string;
      readonly sqlFolder: string | null;
      readonly port: number;
    }
  | {
      readonly kind: Exclude<CommandName, 'archive' | 'export' | 'dev'>;
      readonly databaseUrl: string;
      readonly isJson: boolean;
    };

interface ExportedRows {
  readonly kind: 'rows';
  readonly entityType: string;
  readonly format: ExportFormat;
}

interface ExportedLogs {
  readonly kind: 'logs';
  readonly query: LogsQuery;
}

export const COMMAND_NAMES = ['dev', 'migrate', 'status', 'doctor', 'maintain', 'archive', 'export'] as const;
export type CommandName = (typeof COMMAND_NAMES)[number];

/** What belongs to some commands only. */
const OWN_OPTIONS: Readonly<Record<string, readonly CommandName[]>> = {
  folder: ['archive', 'dev'],
  location: ['archive'],
  sql: ['dev'],
  port: ['dev'],
  workspace: ['export'],
  from: ['export'],
  to: ['export'],
  table: ['export'],
  format: ['export'],
  output: ['export'],
};
const PORT_MAX = 65_535;

/** What was typed makes no command. The message says what would. */
export class UsageError extends Error {
  override readonly name: string = 'UsageError';
}

/** @throws UsageError */
export function parseCommand(
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): Command {
  const { values, positionals } = parse(args);
  const [name, ...rest] = positionals;
  if (values.version === true) return { kind: 'version' };
  if (name === undefined || name === 'help') {
    const about = COMMAND_NAMES.find((known) => known === rest[0]) ?? null;
    return { kind: 'help', about };
  }
  const kind = COMMAND_NAMES.find((known) => known === name);
  if (kind === undefined) {
    throw new UsageError(
      `There is no command "${name}". Commands are ${COMMAND_NAMES.join(', ')}; see holdfast --help.`,
    );
  }
  if (values.help === true) return { kind: 'help', about: kind };
  if (rest.length > 0) throw new UsageError(`"${rest[0]}" is one word too many; see holdfast ${kind} --help.`);
  const isJson = values.json === true;
  if (values.export !== undefined) {
    if (kind !== 'migrate') throw new UsageError(`--export belongs to migrate, not to ${kind}.`);
    return { kind: 'exportMigrations', folder: values.export, isJson };
  }
  for (const [option, owners] of Object.entries(OWN_OPTIONS)) {
    if (Reflect.get(values, option) !== undefined && !owners.includes(kind))
      throw new UsageError(`--${option} belongs to ${owners.join(' and ')}, not to ${kind}.`);
  }
  const databaseUrl = values['database-url'] ?? environment['DATABASE_URL'] ?? '';
  if (databaseUrl === '' && kind !== 'dev') {
    throw new UsageError(
      'Which database? Set DATABASE_URL, or give --database-url postgres://user:password@host:port/name.',
    );
  }
  if (databaseUrl !== '' && !/^postgres(ql)?:\/\//.test(databaseUrl)) {
    throw new UsageError('The address of the database must begin with postgres:// or postgresql://.');
  }
  switch (kind) {
    case 'dev': {
      const { folder = '.holdfast', sql = null, port = '3000' } = values;
      if (!/^\d{1,5}$/.test(port) || Number(port) > PORT_MAX)
        throw new UsageError(`--port must be a number from 0 to ${PORT_MAX}; it is "${port}".`);
      return { kind, databaseUrl: databaseUrl === '' ? null : databaseUrl, folder, sqlFolder: sql, port: Number(port) };
    }
    case 'archive': {
      const { folder, location = null } = values;
      if (folder === undefined || folder === '')
        throw new UsageError('Into which folder? Give --folder PATH; see holdfast archive --help.');
      return { kind, databaseUrl, folder, location, isJson };
    }
    case 'export': {
      const { workspace, output = null } = values;
      if (isJson) throw new UsageError('What is exported is as --format says: csv or json.');
      if (workspace === undefined || workspace === '')
        throw new UsageError('Of which workspace? Give --workspace ID; see holdfast export --help.');
      return { kind, databaseUrl, workspaceId: workspace, what: whatToExport(values), file: output };
    }
    default:
      return { kind, databaseUrl, isJson };
  }
}

function whatToExport({ table, from, to, format }: ReturnType<typeof parse>['values']): ExportedRows | ExportedLogs {
  const asked = format === undefined ? {} : { format };
  try {
    if (table === undefined) {
      if (from === undefined || to === undefined)
        throw new UsageError('Which days? Give --from DAY and --to DAY, or --table NAME; see holdfast export --help.');
      return { kind: 'logs', query: parseLogsQuery({ startDate: from, endDate: to, ...asked }) };
    }
    if (from !== undefined || to !== undefined)
      throw new UsageError('A table is exported as it is now: --from and --to are for the logs.');
    return { kind: 'rows', entityType: table, format: parseExportFormat(asked) };
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    // it names what it was called over HTTP
    throw new UsageError(
      error.message.replace('startDate', '--from').replace('endDate', '--to').replace('format', '--format'),
      {
        cause: error,
      },
    );
  }
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        'database-url': { type: 'string' },
        export: { type: 'string' },
        folder: { type: 'string' },
        location: { type: 'string' },
        sql: { type: 'string' },
        port: { type: 'string' },
        workspace: { type: 'string' },
        from: { type: 'string' },
        to: { type: 'string' },
        table: { type: 'string' },
        format: { type: 'string' },
        output: { type: 'string' },
        json: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
        version: { type: 'boolean' },
      },
    });
  } catch (error) {
    throw new UsageError(`${error instanceof Error ? error.message : String(error)} See holdfast --help.`, {
      cause: error,
    });
  }
}
