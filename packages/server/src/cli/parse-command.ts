import { parseArgs } from 'node:util';

export type Command =
  | { readonly kind: 'help'; readonly about: CommandName | null }
  | { readonly kind: 'version' }
  | { readonly kind: 'export'; readonly folder: string; readonly isJson: boolean }
  | {
      readonly kind: 'archive';
      readonly databaseUrl: string;
      readonly folder: string;
      readonly location: string | null;
      readonly isJson: boolean;
    }
  | { readonly kind: Exclude<CommandName, 'archive'>; readonly databaseUrl: string; readonly isJson: boolean };

export const COMMAND_NAMES = ['migrate', 'status', 'doctor', 'maintain', 'archive'] as const;
export type CommandName = (typeof COMMAND_NAMES)[number];

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
    return { kind: 'export', folder: values.export, isJson };
  }
  const databaseUrl = values['database-url'] ?? environment['DATABASE_URL'];
  if (databaseUrl === undefined || databaseUrl === '') {
    throw new UsageError(
      'Which database? Set DATABASE_URL, or give --database-url postgres://user:password@host:port/name.',
    );
  }
  if (!/^postgres(ql)?:\/\//.test(databaseUrl)) {
    throw new UsageError('The address of the database must begin with postgres:// or postgresql://.');
  }
  const { folder, location = null } = values;
  if (kind === 'archive') {
    if (folder === undefined || folder === '')
      throw new UsageError('Into which folder? Give --folder PATH; see holdfast archive --help.');
    return { kind, databaseUrl, folder, location, isJson };
  }
  if (folder !== undefined || location !== null)
    throw new UsageError(`--folder and --location belong to archive, not to ${kind}.`);
  return { kind, databaseUrl, isJson };
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
