import { classifyFailure } from '../delivery/classify-failure.ts';
import { applyJsonPatch, parseJsonPatch } from '../delivery/conflicts/json-patch.ts';
import { applyMergePatch } from '../delivery/conflicts/merge-patch.ts';
import { changesOf } from '../delivery/conflicts/three-way-merge.ts';
import type { AtomicPayload } from '../mutation/atomic.ts';
import {
  ATOMIC_TYPE,
  type EntityRef,
  type ErrorCategory,
  type Json,
  type JsonObject,
  type MemberRow,
  type WireError,
  type WireMutation,
} from '../protocol/wire.ts';
import type { Caller, Performed } from './ledger.ts';

/** A row of a simulated table: its id, and what was written. */
export type Row = JsonObject & { readonly id: string };

/** What a simulated table demands of its rows, as constraints of a database do. */
export interface TableRules {
  /** What may be written; anything else is `UNKNOWN_COLUMN`. @default anything */
  readonly columns?: readonly string[];
  /** Never missing or null: SQLSTATE `23502`. */
  readonly required?: readonly string[];
  /** Never twice in the table: SQLSTATE `23505`. */
  readonly unique?: readonly string[];
  /** What a new row gets for what is not written. */
  readonly defaults?: JsonObject;
  /** Counts the changes of a row, so that an edit of an older version is in conflict. @default a table that does not count */
  readonly versionColumn?: string;
  /** Says what is wrong with a row that someone wants to write, or null: `P0001`, with that text. */
  readonly check?: (row: Row, caller: Caller) => string | null;
}

/** What a handler of the simulated server may do, all of it or (when it throws) nothing. */
export interface ServerHandlerContext {
  readonly mutation: WireMutation;
  /** Whose token it came with. */
  readonly caller: Caller;
  readonly row: (table: string, id: string) => Row | undefined;
  readonly rows: (table: string) => readonly Row[];
  /** Writes a whole row, new or not. */
  readonly write: (table: string, row: Row) => void;
  readonly remove: (table: string, id: string) => void;
}

/**
 * Carries out mutations of one type. What it returns is the result. What it throws is judged as the queue would judge it
 * (`classifyFailure`): a `HoldfastError` of category `VALIDATION_ERROR` rejects for good, an error nobody knows only for now.
 */
// oxlint-disable-next-line typescript/no-explicit-any -- the payload is what the app's definition of the type says
export type ServerHandler = (payload: any, context: ServerHandlerContext) => Json | undefined | void;

interface StoredRow {
  /** Null for a row that every workspace may change. */
  readonly workspaceId: string | null;
  readonly row: Row;
}

type Tables = Map<string, Map<string, StoredRow>>;

/** The app's tables in the simulated database, written by the same operations as `holdfast.register_table` gives. */
export class ServerTables {
  private tables: Tables = new Map();
  /** What was deleted last under an id, as the audit log of the server knows it. */
  private deleted: Tables = new Map();
  /** Null when every table takes any row. */
  private readonly rules: Readonly<Record<string, TableRules>> | null;
  private readonly handlers: Readonly<Record<string, ServerHandler>>;

  constructor(rules: Readonly<Record<string, TableRules>> | null, handlers: Readonly<Record<string, ServerHandler>>) {
    this.rules = rules;
    this.handlers = handlers;
  }

  rows(table: string): readonly Row[] {
    return [...(this.tables.get(table)?.values() ?? [])].map(({ row }) => row);
  }

  row(table: string, id: string): Row | undefined {
    return this.tables.get(table)?.get(id)?.row;
  }

  write(table: string, row: Row, workspaceId: string | null): void {
    const rows = this.tables.get(table) ?? new Map<string, StoredRow>();
    this.tables.set(table, rows.set(row.id, { workspaceId, row }));
  }

  remove(table: string, id: string): void {
    this.tables.get(table)?.delete(id);
  }

  perform(mutation: WireMutation, caller: Caller): Performed {
    if (mutation.type === ATOMIC_TYPE) return this.performAll(mutation, caller);
    const handler = Object.hasOwn(this.handlers, mutation.type) ? this.handlers[mutation.type] : undefined;
    if (handler !== undefined) return this.handle(handler, mutation, caller);
    const { entity, base, replaces } = mutation;
    if (mutation.operation === 'custom' || entity === null)
      return failed('NO_HANDLER', 'VALIDATION_ERROR', `Nothing on the server handles the type "${mutation.type}".`);
    const { table, id } = entity;
    if (this.rules !== null && !Object.hasOwn(this.rules, table))
      return failed('NO_HANDLER', 'VALIDATION_ERROR', `No table is registered as "${table}".`);
    const stored = this.tables.get(table)?.get(id);
    // Another workspace's row is not there, as row-level security has it.
    const isMine = stored !== undefined && [caller.workspaceId, null].includes(stored.workspaceId);
    // Made once more, a creation changes what the first one may have made.
    const isMadeAgain = mutation.operation === 'create' && replaces !== undefined && isMine;
    const operation = isMadeAgain ? 'update' : mutation.operation;
    const missing = failed(
      'ROW_NOT_FOUND',
      'NOT_FOUND',
      `There is no "${table}" with the id "${id}" that you may change.`,
    );
    const version = this.rulesOf(table).versionColumn;
    if (base !== undefined && version === undefined)
      return failed('NO_HANDLER', 'VALIDATION_ERROR', `No version column is registered for "${table}".`);
    const current = isMine ? stored.row : null;
    if (base !== undefined && version !== undefined && current?.[version] !== base.rowVersion)
      return { kind: 'conflict', current, rowVersion: current === null ? null : Number(current[version]) };
    if (operation === 'restore') return this.restore(entity, stored, caller);
    const payload = fieldsOf(mutation, current);
    if (operation === 'delete') {
      if (!isMine) return missing;
      const deleted = this.deleted.get(table) ?? new Map<string, StoredRow>();
      this.deleted.set(table, deleted.set(`${caller.workspaceId} ${id}`, stored));
      this.remove(table, id);
      return { kind: 'done', result: null };
    }
    // In the order of the database: the handler's own checks, not null, the row's id, unique constraints, triggers.
    const complaint = this.complainOfPayload(entity, payload);
    if (complaint !== null) return complaint;
    if (operation === 'update' && !isMine) return missing;
    const row: Row = { ...(operation === 'create' ? this.rulesOf(table).defaults : stored?.row), ...payload, id };
    const isTaken = operation === 'create' && stored !== undefined;
    const objection =
      this.complainOfNulls(table, row) ?? (isTaken ? exists(entity) : this.complain(table, row, caller));
    if (objection !== null) return objection;
    const workspaceId = operation === 'create' ? caller.workspaceId : (stored?.workspaceId ?? null);
    if (version === undefined) {
      this.write(table, row, workspaceId);
      return { kind: 'done', result: row };
    }
    const rowVersion = Number(current?.[version] ?? 0) + 1;
    const counted = { ...row, [version]: rowVersion };
    this.write(table, counted, workspaceId);
    return { kind: 'done', result: counted, rowVersion };
  }

  /** The row as it was when it was deleted last, counting on from there. */
  private restore(entity: EntityRef, stored: StoredRow | undefined, caller: Caller): Performed {
    const { table, id } = entity;
    const former = this.deleted.get(table)?.get(`${caller.workspaceId} ${id}`);
    if (former === undefined)
      return failed('ROW_NOT_FOUND', 'NOT_FOUND', `No deletion of a "${table}" with the id "${id}" is on record.`);
    const version = this.rulesOf(table).versionColumn;
    const rowVersion = version === undefined ? undefined : Number(former.row[version] ?? 0) + 1;
    const row: Row = version === undefined ? former.row : { ...former.row, [version]: rowVersion ?? 0 };
    const objection = stored === undefined ? this.complain(table, row, caller) : exists(entity);
    if (objection !== null) return objection;
    this.write(table, row, former.workspaceId);
    return { kind: 'done', result: row, ...(rowVersion === undefined ? {} : { rowVersion }) };
  }

  /** What `addAtomic` sent: all members or none. */
  private performAll(mutation: WireMutation, caller: Caller): Performed {
    const { members } = mutation.payload as unknown as AtomicPayload;
    const before = copyOf(this.tables);
    const deletedBefore = copyOf(this.deleted);
    const results: Json[] = [];
    const memberRows: (MemberRow | null)[] = [];
    for (const member of members) {
      const performed = this.perform({ ...mutation, ...member }, caller);
      if (performed.kind !== 'done') {
        this.tables = before;
        this.deleted = deletedBefore;
        return performed;
      }
      results.push(performed.result);
      const isOfRow = member.entity !== null && !Object.hasOwn(this.handlers, member.type);
      memberRows.push(isOfRow ? { ...member.entity, rowVersion: performed.rowVersion ?? null } : null);
    }
    return { kind: 'done', result: results, memberRows };
  }

  private rulesOf(table: string): TableRules {
    return this.rules?.[table] ?? {};
  }

  private complainOfPayload({ table, id }: EntityRef, payload: JsonObject): Performed | null {
    if (payload['id'] != null && payload['id'] !== id)
      return failed('INVALID_PAYLOAD', 'VALIDATION_ERROR', 'The payload names another id than the mutation.');
    const { columns } = this.rulesOf(table);
    const unknown = Object.keys(payload).find((key) => key !== 'id' && columns?.includes(key) === false);
    if (unknown === undefined) return null;
    return failed('UNKNOWN_COLUMN', 'VALIDATION_ERROR', `"${table}" has no field "${unknown}" that may be set.`);
  }

  private complainOfNulls(table: string, row: Row): Performed | null {
    const missing = (this.rulesOf(table).required ?? []).find((column) => row[column] == null);
    if (missing === undefined) return null;
    const message = `null value in column "${missing}" of relation "${table}" violates not-null constraint`;
    return failed('23502', 'VALIDATION_ERROR', message);
  }

  private complain(table: string, row: Row, caller: Caller): Performed | null {
    const { unique = [], check } = this.rulesOf(table);
    const others = this.rows(table).filter(({ id }) => id !== row.id);
    const taken = unique.find((column) => row[column] != null && others.some((other) => other[column] === row[column]));
    if (taken !== undefined)
      return failed('23505', 'CONFLICT', `duplicate key value violates unique constraint "${table}_${taken}_key"`);
    const objection = check?.(row, caller) ?? null;
    return objection === null ? null : failed('P0001', 'VALIDATION_ERROR', objection);
  }

  private handle(handler: ServerHandler, mutation: WireMutation, caller: Caller): Performed {
    const before = copyOf(this.tables);
    try {
      const result = handler(mutation.payload, {
        mutation,
        caller,
        row: (table, id) => this.row(table, id),
        rows: (table) => this.rows(table),
        write: (table, row) => this.write(table, row, caller.workspaceId),
        remove: (table, id) => this.remove(table, id),
      });
      return { kind: 'done', result: result ?? null };
    } catch (thrown) {
      this.tables = before;
      const { error, verdict } = classifyFailure(thrown);
      const isPermanent = verdict === 'rejected' || verdict === 'forbidden' || verdict === 'conflict';
      return { kind: 'failed', error, isPermanent };
    }
  }
}

function copyOf(tables: Tables): Tables {
  return new Map([...tables].map(([name, rows]) => [name, new Map(rows)]));
}

function exists({ table, id }: EntityRef): Performed {
  return failed('ROW_EXISTS', 'CONFLICT', `There is a row of "${table}" with the id "${id}".`);
}

/** The fields that an edit sets, however it travelled. */
function fieldsOf({ payload, encoding }: WireMutation, row: Row | null): JsonObject {
  if (encoding === undefined || row === null) return payload;
  const patched =
    encoding === 'mergePatch'
      ? applyMergePatch(row, payload)
      : applyJsonPatch(row, parseJsonPatch(payload['patch'] ?? null));
  const fields = patched as JsonObject;
  const removed = Object.keys(row).filter((key) => !Object.hasOwn(fields, key));
  return { ...changesOf(row, fields), ...Object.fromEntries(removed.map((key) => [key, null])) };
}

/** For good, in the words of the server. */
function failed(code: string, category: ErrorCategory, message: string): Performed {
  const error: WireError = { category, code, message };
  return { kind: 'failed', error, isPermanent: true };
}
