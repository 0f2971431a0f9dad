import { z } from 'zod';
import { type CallerClaims, withCaller, workspaceOf } from './caller.ts';
import type { Database, Session } from './database.ts';
import { momentSchema, utcOf } from './moment.ts';
import { Refusal } from './refusal.ts';

export type ExportFormat = 'csv' | 'json';

export interface LogsQuery {
  /** The first that counts: a date (its beginning, in UTC) or a time with its zone, ISO 8601. */
  readonly startDate: string;
  /** The first that does not count any more. */
  readonly endDate: string;
  readonly format: ExportFormat;
}

/** A file on its way: nothing of it is held longer than it takes to hand on. */
export interface Export {
  readonly format: ExportFormat;
  /** ISO 8601. */
  readonly exportedAt: string;
  /** Says what it holds, of which days, in which format. */
  readonly fileName: string;
  readonly contentType: string;
  /** Cancelling it ends the query. It fails midway where the query does, since a file cut short must not look whole. */
  readonly body: ReadableStream<Uint8Array>;
  /** Once it has given its connection back, whichever way it ended. */
  readonly ended: Promise<void>;
}

export interface ExportOptions {
  /** Longest an export may take, in milliseconds, and longest that it waits to be read. @default 300_000 */
  readonly exportTimeoutMs?: number;
  readonly nowMs: () => number;
}

const rowsQuerySchema: z.ZodType<{ readonly format: ExportFormat }> = z.object({
  format: z.enum(['csv', 'json']).default('csv'),
});
const logsQuerySchema: z.ZodType<LogsQuery> = z
  .object({ startDate: momentSchema, endDate: momentSchema, format: z.enum(['csv', 'json']).default('json') })
  .refine(({ startDate, endDate }) => Date.parse(startDate) < Date.parse(endDate), {
    path: ['endDate'],
    error: 'must be later than startDate',
  });

/** @throws Refusal `INVALID_REQUEST`. */
export function parseLogsQuery(parameters: Readonly<Record<string, string>>): LogsQuery {
  return parseQuery(logsQuerySchema, parameters, 'Ask with startDate, endDate and format (csv or json).');
}

/** @throws Refusal `INVALID_REQUEST`. */
export function parseExportFormat(parameters: Readonly<Record<string, string>>): ExportFormat {
  return parseQuery(rowsQuerySchema, parameters, 'Ask with format (csv or json).').format;
}

function parseQuery<Query>(
  schema: z.ZodType<Query>,
  parameters: Readonly<Record<string, string>>,
  hint: string,
): Query {
  const parsed = schema.safeParse(parameters);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new Refusal(
    'INVALID_REQUEST',
    `${issue?.path.join('.') ?? 'The query'}: ${issue?.message ?? 'not understood'}.`,
    hint,
  );
}

/**
 * All rows of a registered table that the caller may see. In CSV every text that a spreadsheet would take for a formula begins
 * with an apostrophe; JSON is exact.
 *
 * @throws Refusal `NOT_FOUND` when no table is registered under the name.
 */
export async function exportRows(
  database: Database,
  claims: CallerClaims,
  { entityType, format }: { readonly entityType: string; readonly format: ExportFormat },
  options: ExportOptions,
): Promise<Export> {
  const about = describe(entityType.replaceAll(/[^\w-]+/g, '_').slice(0, 60), format, options);
  const selectOf = async (session: Session): Promise<string> => {
    const [row] = await session.query<{ sql: string | null }>('select holdfast.export_query($1, $2) as sql', [
      entityType,
      format,
    ]);
    if (row?.sql == null) {
      throw new Refusal(
        'NOT_FOUND',
        `No table is registered as "${entityType.slice(0, 100)}".`,
        'Ask for one that mutations may change.',
      );
    }
    return row.sql;
  };
  return {
    ...about,
    ...(await stream(database, claims, { format, selectOf, head: { entityType } }, about.exportedAt, options)),
  };
}

/**
 * The audit log, the attempts to deliver and the acts of operators between two days (the first counts, the last does not), as
 * far as the caller may read them, in one file: each line or entry says in `log` which of the three it is of.
 */
export async function exportAuditLogs(
  database: Database,
  claims: CallerClaims,
  { startDate, endDate, format }: LogsQuery,
  options: ExportOptions,
): Promise<Export> {
  const about = describe(`audit-logs_${startDate.slice(0, 10)}_${endDate.slice(0, 10)}`, format, options);
  const selectOf = async (session: Session): Promise<string> => {
    // a copy takes no parameters
    await session.query(
      `select set_config('holdfast.export_from', $1::timestamptz::text, true), set_config('holdfast.export_to', $2::timestamptz::text, true)`,
      [utcOf(startDate), utcOf(endDate)],
    );
    return LOGS.map(format === 'csv' ? selectAsCsv : selectAsJson).join(' union all ');
  };
  return {
    ...about,
    ...(await stream(database, claims, { format, selectOf, head: { startDate, endDate } }, about.exportedAt, options)),
  };
}

function describe(name: string, format: ExportFormat, { nowMs }: ExportOptions): Omit<Export, keyof Streamed> {
  const exportedAt = new Date(nowMs()).toISOString();
  return {
    format,
    exportedAt,
    fileName: `${name}_exported-${exportedAt.slice(0, 10)}.${format}`,
    contentType: format === 'csv' ? 'text/csv; charset=utf-8' : 'application/json; charset=utf-8',
  };
}

interface Source {
  readonly format: ExportFormat;
  readonly selectOf: (session: Session) => Promise<string>;
  /** What a JSON file says of itself beside date and format. */
  readonly head: Readonly<Record<string, string>>;
}

type Streamed = Pick<Export, 'body' | 'ended'>;

/** Resolves with the first piece in hand, so that a query which fails is a refusal and not half a file. */
async function stream(
  database: Database,
  claims: CallerClaims,
  { format, selectOf, head }: Source,
  exportedAt: string,
  { exportTimeoutMs = 300_000 }: ExportOptions,
): Promise<Streamed> {
  const begun = Promise.withResolvers<void>();
  let controller: TransformStreamDefaultController<Uint8Array> | undefined;
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>({
    start: (own) => {
      controller = own;
    },
  });
  // Postgres counts no time while it waits for room in the line
  const tooLong = setTimeout(() => controller?.error(new Error('The export took too long.')), exportTimeoutMs);
  const writer = writable.getWriter();
  const write = async (piece: Uint8Array, { copiesWhole }: Session): Promise<void> => {
    begun.resolve();
    // waits for whoever reads, and fails when nobody does any more
    const written = writer.write(piece);
    // the embedded database has one connection: an app must not stand still because somebody does not read a download
    if (copiesWhole) written.catch(() => undefined);
    else await written;
  };
  const ended = withCaller(
    database,
    claims,
    async (session) => {
      const select = await selectOf(session);
      await session.query(`select set_config('timezone', 'UTC', true), set_config('datestyle', 'ISO', true)`);
      if (format === 'csv') {
        for await (const piece of session.copyOut(`copy (${select}) to stdout (format csv, header, force_quote *)`))
          await write(piece, session);
      } else {
        // JSON text holds neither of the two, so every line is one value as it is
        const lines = session.copyOut(`copy (${select}) to stdout (format csv, quote e'\\x01', delimiter e'\\x02')`);
        for await (const piece of asJsonFile({ exportedAt, format, workspaceId: workspaceOf(claims), ...head }, lines))
          await write(piece, session);
      }
    },
    { statementTimeoutMs: exportTimeoutMs },
  )
    .then(
      () => writer.close(),
      (error: unknown) => {
        begun.reject(error);
        return writer.abort(error);
      },
    )
    .catch(() => undefined) // the reader has gone, and was the one to be told
    .finally(() => clearTimeout(tooLong));
  await begun.promise;
  return { body: readable, ended };
}

const LINE_END = 10;

/** `{…head, "entries": […]}`, line by line. */
async function* asJsonFile(head: object, lines: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const encoder = new TextEncoder();
  yield encoder.encode(`${JSON.stringify(head).slice(0, -1)},"entries":[`);
  let isBetween = false;
  for await (const piece of lines) {
    const lineEnds: number[] = [];
    let from = 0;
    const parts: Uint8Array[] = [];
    for (let at = piece.indexOf(LINE_END); at !== -1; at = piece.indexOf(LINE_END, at + 1)) lineEnds.push(at);
    // a comma is due before the first byte that follows the end of a line, in this piece or a later one
    for (const at of lineEnds) {
      if (at > from) parts.push(...(isBetween ? [encoder.encode(',\n')] : []), piece.subarray(from, at));
      isBetween = true;
      from = at + 1;
    }
    if (from < piece.byteLength) {
      parts.push(...(isBetween ? [encoder.encode(',\n')] : []), piece.subarray(from));
      isBetween = false;
    }
    yield concatenate(parts);
  }
  yield encoder.encode(']}\n');
}

function concatenate(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.byteLength;
  }
  return whole;
}

/** Of each log the columns that it has, in the order of the whole file. `null` stands where it has none. */
const LOGS = [
  {
    log: 'audit',
    table: 'audit_log',
    columns: {
      actor: 'actor',
      action: 'action',
      entity_type: 'entity_type',
      entity_id: 'entity_id',
      mutation_id: 'mutation_id',
      client_id: 'client_id',
      changed_fields: 'to_jsonb(changed_fields)',
      old_values: 'old_values',
      new_values: 'new_values',
      ip: 'ip',
      user_agent: 'user_agent',
    },
  },
  {
    log: 'retry',
    table: 'mutation_retry_logs',
    columns: {
      actor: 'actor',
      mutation_id: 'mutation_id',
      client_id: 'client_id',
      type: 'type',
      attempt_number: 'attempt_number',
      outcome: 'outcome',
      error_category: 'error_category',
      error_code: 'error_code',
      error_message: 'error_message',
      admin: 'admin',
    },
  },
  {
    log: 'admin',
    table: 'admin_action_logs',
    columns: { action: 'action', mutation_id: 'mutation_id', admin: 'admin', details: 'details', reason: 'reason' },
  },
] as const;

const COLUMNS = [...new Set(LOGS.flatMap(({ columns }) => Object.keys(columns)))];
const TIME = `to_char(occurred_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;
const RANGE = `workspace_id = (select holdfast.workspace())
  and occurred_at >= current_setting('holdfast.export_from')::timestamptz
  and occurred_at < current_setting('holdfast.export_to')::timestamptz`;

function selectAsCsv({ log, table, columns }: (typeof LOGS)[number]): string {
  const cells = COLUMNS.map((name) => {
    const source: unknown = Reflect.get(columns, name);
    return `${typeof source === 'string' ? `holdfast.csv_text((${source})::text)` : 'null::text'} as ${name}`;
  });
  return `(select '${log}' as log, id, ${TIME} as occurred_at, ${cells.join(', ')} from holdfast.${table} where ${RANGE} order by id)`;
}

function selectAsJson({ log, table, columns }: (typeof LOGS)[number]): string {
  const fields = Object.entries(columns).map(([name, source]) => `'${inCamelCase(name)}', ${source}`);
  return `(select jsonb_build_object('log', '${log}', 'id', id::text, 'occurredAt', ${TIME}, ${fields.join(', ')})
    from holdfast.${table} where ${RANGE} order by id)`;
}

function inCamelCase(name: string): string {
  return name.replaceAll(/_(\w)/g, (_, letter: string) => letter.toUpperCase());
}
