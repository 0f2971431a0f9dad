import {
  type Caller,
  Ledger,
  type LedgerRow,
  type PerformEffect,
  type Performed,
} from '../../packages/client/src/testing/ledger.ts';
import type { ApplyRequest, WireError, WireMutation, WireOutcome } from '../../packages/client/src/protocol/wire.ts';

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
}

/** A row of the table that the simulated app changes; every change is appended, so what is lost or doubled shows. */
export interface ItemRow {
  readonly workspaceId: string;
  readonly entries: readonly string[];
}

/** Codes that a database raises for one mutation and that will never pass. */
const PERMANENT: Readonly<Record<string, WireError['category']>> = {
  ROW_EXISTS: 'CONFLICT',
  ROW_NOT_FOUND: 'NOT_FOUND',
  UNKNOWN_COLUMN: 'VALIDATION_ERROR',
  '23514': 'VALIDATION_ERROR',
};
const COLUMNS: readonly string[] = ['tag', 'level', 'mood'];

/** One registered table behind the ledger that the testing kit uses too; the tape test holds both to the SQL. */
export class ServerModel {
  readonly rows = new Map<string, ItemRow>();
  readonly effects: Effect[] = [];
  /** A mutation in one of these moods is refused for now. */
  readonly failingMoods = new Set<string>();
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

  /** Throws `BatchRefusal`; then nothing has happened. */
  apply(caller: Caller, request: ApplyRequest): readonly WireOutcome[] {
    return this.ledger.apply(caller, request);
  }

  private perform(
    mutation: WireMutation,
    { workspaceId, clientId }: { readonly workspaceId: string; readonly clientId: string },
  ): Performed {
    const { entity, payload, replaces } = mutation;
    const entityId = entity?.id ?? '';
    const row = this.rows.get(entityId);
    const isThere = row !== undefined && row.workspaceId === workspaceId;
    // Made once more, it changes what the first one may have made.
    const isMadeAgain = mutation.operation === 'create' && replaces !== undefined && isThere;
    const operation = isMadeAgain ? 'update' : mutation.operation;
    if (operation !== 'delete') {
      if (Object.keys(payload).some((key) => key !== 'id' && !COLUMNS.includes(key))) return failed('UNKNOWN_COLUMN');
      if (operation === 'update' && !isThere) return failed('ROW_NOT_FOUND');
      if (typeof payload['mood'] === 'string' && this.failingMoods.has(payload['mood'])) return failed('40001');
      if (typeof payload['level'] === 'number' && payload['level'] < 0) return failed('23514');
      if (operation === 'create' && row !== undefined) return failed('ROW_EXISTS');
    } else if (!isThere) {
      return failed('ROW_NOT_FOUND');
    }
    const tag = typeof payload['tag'] === 'string' ? payload['tag'] : '';
    const entries = [...(row?.entries ?? []), tag];
    if (operation === 'delete') this.rows.delete(entityId);
    else this.rows.set(entityId, { workspaceId, entries });
    const { id: mutationId, seq, generation } = mutation;
    const effect = { clientId, workspaceId, mutationId, seq, generation, operation, entityId, tag };
    this.effects.push(effect);
    this.onEffect(effect);
    return { kind: 'done', result: operation === 'delete' ? null : { id: entityId, entries } };
  }
}

function failed(code: string): Performed {
  const category = PERMANENT[code];
  const error: WireError = { category: category ?? 'SERVER_ERROR', code, message: `The database said ${code}.` };
  return { kind: 'failed', error, isPermanent: category !== undefined };
}
