import {
  type Caller,
  Ledger,
  type LedgerAnswer,
  type LedgerRow,
  type PerformEffect,
  type Performed,
} from '../../packages/client/src/testing/ledger.ts';
import {
  ATOMIC_TYPE,
  type ApplyRequest,
  type Json,
  type JsonObject,
  type MemberRow,
  type WireError,
  type WireMutation,
} from '../../packages/client/src/protocol/wire.ts';

/** One change of a row, in the order in which the server made them. */
export interface Effect {
  readonly clientId: string;
  readonly workspaceId: string;
  readonly mutationId: string;
  readonly seq: number;
  readonly generation: number;
  readonly operation: string;
  readonly entityId: string;
  /** Made by the one who added the mutation: unique for each promise, whatever ids it travels under. */
  readonly tag: string;
  /** The fields that it changed, each from what to what. */
  readonly changed: readonly { readonly field: Field; readonly from: string | null; readonly to: string | null }[];
  /** What it left. */
  readonly rowVersion: number;
}

/** Fields that edits of the simulated app set; each holds the tag of the one who set it last. */
export const FIELDS = ['alpha', 'beta', 'gamma'] as const;
export type Field = (typeof FIELDS)[number];
export type Fields = Readonly<Record<Field, string | null>>;

/** A row of the table that the simulated app changes; every change is appended, so what is lost or doubled shows. */
export interface ItemRow {
  readonly workspaceId: string;
  readonly entries: readonly string[];
  readonly fields: Fields;
  /** Counts its changes. */
  readonly version: number;
}

/** Codes that a database raises for one mutation and that will never pass. */
const PERMANENT: Readonly<Record<string, WireError['category']>> = {
  ROW_EXISTS: 'CONFLICT',
  ROW_NOT_FOUND: 'NOT_FOUND',
  UNKNOWN_COLUMN: 'VALIDATION_ERROR',
  '23514': 'VALIDATION_ERROR',
};
const COLUMNS: readonly string[] = ['tag', 'level', 'mood', ...FIELDS];
const NO_FIELDS: Fields = { alpha: null, beta: null, gamma: null };

/** One registered table behind the ledger that the testing kit uses too; the tape test holds both to the SQL. */
export class ServerModel {
  readonly rows = new Map<string, ItemRow>();
  readonly effects: Effect[] = [];
  /** A mutation in one of these moods is refused for now. */
  readonly failingMoods = new Set<string>();
  private readonly recordedIds = new Set<string>();
  private readonly forgotten = new Map<string, readonly LedgerRow[]>();
  private readonly ledger: Ledger;
  private readonly onEffect: (effect: Effect) => void;

  /** `performOther` carries out what is none of the simulated app's. */
  constructor(onEffect: (effect: Effect) => void, performOther: PerformEffect | null = null) {
    this.onEffect = onEffect;
    this.ledger = new Ledger((mutation, caller) =>
      performOther === null || mutation.type.startsWith('item.')
        ? this.perform(mutation, caller)
        : performOther(mutation, caller),
    );
  }

  ledgerRows(mutationId: string): readonly LedgerRow[] {
    return this.ledger.rowsOf(mutationId);
  }

  /** Ever recorded, also what a server that was put back has forgotten. */
  everRecorded(mutationId: string): readonly LedgerRow[] {
    return [...this.ledger.rowsOf(mutationId), ...(this.forgotten.get(mutationId) ?? [])];
  }

  /** It tells its clients which server it is. */
  beginEpoch(epoch: string): void {
    this.ledger.epoch = epoch;
  }

  /** Keeps all that is there now. The function puts it back, and answers the effects that are undone by that. */
  save(): (epoch: string) => readonly Effect[] {
    const rows = new Map(this.rows);
    const effectCount = this.effects.length;
    const restoreLedger = this.ledger.save();
    return (epoch) => {
      for (const id of this.recordedIds) this.forgotten.set(id, this.everRecorded(id));
      restoreLedger();
      this.beginEpoch(epoch);
      this.rows.clear();
      for (const [id, row] of rows) this.rows.set(id, row);
      return this.effects.splice(effectCount);
    };
  }

  /** Throws `BatchRefusal`; then nothing has happened. */
  apply(caller: Caller, request: ApplyRequest): LedgerAnswer {
    for (const { id } of request.mutations) this.recordedIds.add(id);
    return this.ledger.apply(caller, request);
  }

  /** All members, or none: what one that fails has left of the others is undone, and nobody has seen it. */
  private performAll(
    mutation: WireMutation,
    caller: { readonly workspaceId: string; readonly clientId: string },
  ): Performed {
    const { members } = mutation.payload as unknown as { readonly members: readonly Partial<WireMutation>[] };
    const before = new Map(this.rows);
    const effects: Effect[] = [];
    const results: Json[] = [];
    const memberRows: (MemberRow | null)[] = [];
    for (const member of members) {
      const performed = this.perform({ ...mutation, ...member }, caller, (effect) => effects.push(effect));
      if (performed.kind !== 'done') {
        this.rows.clear();
        for (const [id, row] of before) this.rows.set(id, row);
        return performed;
      }
      results.push(performed.result);
      memberRows.push(member.entity == null ? null : { ...member.entity, rowVersion: performed.rowVersion ?? null });
    }
    for (const effect of effects) this.tell(effect);
    return { kind: 'done', result: results, memberRows };
  }

  private tell(effect: Effect): void {
    this.effects.push(effect);
    this.onEffect(effect);
  }

  private perform(
    mutation: WireMutation,
    { workspaceId, clientId }: { readonly workspaceId: string; readonly clientId: string },
    tell: (effect: Effect) => void = (effect) => this.tell(effect),
  ): Performed {
    if (mutation.type === ATOMIC_TYPE) return this.performAll(mutation, { workspaceId, clientId });
    const { entity, base, replaces } = mutation;
    const payload = decoded(mutation);
    const entityId = entity?.id ?? '';
    const row = this.rows.get(entityId);
    const isThere = row !== undefined && row.workspaceId === workspaceId;
    // Made once more, it changes what the first one may have made.
    const isMadeAgain = mutation.operation === 'create' && replaces !== undefined && isThere;
    const operation = isMadeAgain ? 'update' : mutation.operation;
    if (operation !== 'delete' && Object.keys(payload).some((key) => key !== 'id' && !COLUMNS.includes(key)))
      return failed('UNKNOWN_COLUMN');
    if (operation !== 'create') {
      if (base !== undefined && (!isThere || row.version !== base.rowVersion)) {
        const current = isThere ? rowAsJson(entityId, row) : null;
        return { kind: 'conflict', current, rowVersion: isThere ? row.version : null };
      }
      if (!isThere) return failed('ROW_NOT_FOUND');
    }
    if (operation !== 'delete') {
      if (typeof payload['mood'] === 'string' && this.failingMoods.has(payload['mood'])) return failed('40001');
      if (typeof payload['level'] === 'number' && payload['level'] < 0) return failed('23514');
      if (operation === 'create' && row !== undefined) return failed('ROW_EXISTS');
    }
    const tag = typeof payload['tag'] === 'string' ? payload['tag'] : '';
    const before = row?.fields ?? NO_FIELDS;
    const fields = operation === 'delete' ? before : setFields(before, payload);
    const version = (row?.version ?? 0) + 1;
    const written: ItemRow = { workspaceId, entries: [...(row?.entries ?? []), tag], fields, version };
    if (operation === 'delete') this.rows.delete(entityId);
    else this.rows.set(entityId, written);
    const { id: mutationId, seq, generation } = mutation;
    const changed = FIELDS.filter((field) => fields[field] !== before[field]).map((field) => ({
      field,
      from: before[field],
      to: fields[field],
    }));
    const effect: Effect = {
      clientId,
      workspaceId,
      mutationId,
      seq,
      generation,
      operation,
      entityId,
      tag,
      changed,
      rowVersion: version,
    };
    tell(effect);
    if (operation === 'delete') return { kind: 'done', result: null };
    return { kind: 'done', result: rowAsJson(entityId, written), rowVersion: version };
  }
}

/** The row as an app reads it. What the last one to write it was called, is not kept. */
export function rowAsJson(id: string, { entries, fields, version }: ItemRow): JsonObject {
  return { id, tag: null, entries, ...fields, version };
}

/** The fields that an edit sets, however it travelled. Rows are flat, so a merge patch is the fields that differ. */
function decoded({ payload, encoding }: WireMutation): JsonObject {
  if (encoding === 'jsonPatch') throw new Error('No JSON Patch is smaller than a merge patch of a flat row.');
  return payload;
}

function setFields(before: Fields, payload: JsonObject): Fields {
  const value = (field: Field): string | null => {
    const written = payload[field];
    return written === undefined ? before[field] : typeof written === 'string' ? written : null;
  };
  return { alpha: value('alpha'), beta: value('beta'), gamma: value('gamma') };
}

function failed(code: string): Performed {
  const category = PERMANENT[code];
  const error: WireError = { category: category ?? 'SERVER_ERROR', code, message: `The database said ${code}.` };
  return { kind: 'failed', error, isPermanent: category !== undefined };
}
