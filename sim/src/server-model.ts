import type {
  ApplyRequest,
  Json,
  JsonObject,
  WireError,
  WireMutation,
  WireOutcome,
} from '../../packages/client/src/protocol/wire.ts';

/** Whose token a request carried. */
export interface Caller {
  readonly sub: string;
  readonly workspaceId: string;
}

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

export interface LedgerRow {
  readonly clientId: string;
  readonly seq: number;
  readonly mutationId: string;
  readonly generation: number;
  readonly hash: string;
  readonly verdict: 'applied' | 'rejected';
  readonly result: Json;
  readonly error: WireError | null;
}

interface Client {
  readonly workspaceId: string;
  readonly actor: string;
  readonly ledger: Map<number, LedgerRow>;
  floor: number;
}

/** The whole batch is refused, as by an exception in SQL. */
export class BatchRefusal extends Error {
  readonly code: string;
  constructor(code: string) {
    super(code);
    this.code = code;
  }
}

type Performed = { readonly kind: 'done'; readonly result: Json } | { readonly kind: 'failed'; readonly state: string };
type Finding = { readonly kind: 'new' } | { readonly kind: 'known'; readonly outcome: WireOutcome };

/** Codes that a database raises for one mutation and that will never pass. */
const PERMANENT: Readonly<Record<string, WireError['category']>> = {
  ROW_EXISTS: 'CONFLICT',
  ROW_NOT_FOUND: 'NOT_FOUND',
  UNKNOWN_COLUMN: 'VALIDATION_ERROR',
  ID_REUSED: 'CONFLICT',
  SEQ_REUSED: 'CONFLICT',
  '23514': 'VALIDATION_ERROR',
};
const COLUMNS: readonly string[] = ['tag', 'level', 'mood'];

/**
 * `holdfast.apply` on one registered table, in memory. It is written from what the SQL promises and held to it: the tape
 * test replays what arrived here against Postgres and compares every outcome.
 * Not modelled: limits of size, and the 50 blocks of one call, which batches of a simulation do not reach.
 */
export class ServerModel {
  readonly rows = new Map<string, ItemRow>();
  readonly effects: Effect[] = [];
  /** A mutation in one of these moods is refused for now. */
  readonly failingMoods = new Set<string>();
  private readonly clients = new Map<string, Client>();
  private readonly byMutation = new Map<string, LedgerRow[]>();
  private readonly onEffect: (effect: Effect) => void;

  constructor(onEffect: (effect: Effect) => void) {
    this.onEffect = onEffect;
  }

  ledgerRows(mutationId: string): readonly LedgerRow[] {
    return this.byMutation.get(mutationId) ?? [];
  }

  /** Throws `BatchRefusal`; then nothing has happened. */
  apply(caller: Caller, request: ApplyRequest): readonly WireOutcome[] {
    const client = this.clientOf(caller, request);
    client.floor = Math.max(client.floor, request.acknowledgedFloor);
    const seenSeqs = new Set<number>();
    const seenIds = new Set<string>();
    const findings = request.mutations.map((mutation): Finding | null => {
      const isTwin = seenSeqs.has(mutation.seq) || seenIds.has(mutation.id);
      seenSeqs.add(mutation.seq);
      seenIds.add(mutation.id);
      return isTwin ? null : this.find(client, request.client.id, mutation);
    });
    const wasSettled = request.mutations.map(
      ({ after }) => after === null || after <= client.floor || client.ledger.has(after),
    );
    const settled = new Set<number>();
    request.mutations.forEach(({ seq }, index) => {
      if (findings[index]?.kind === 'known') settled.add(seq);
    });
    return request.mutations.map((mutation, index) => {
      const finding = findings[index];
      const { seq, id, after } = mutation;
      if (finding?.kind === 'known') return finding.outcome;
      const isDeferred = finding == null || !(wasSettled[index] || (after !== null && settled.has(after)));
      if (isDeferred) return { seq, id, kind: 'deferred' };
      return this.carryOut(client, request.client.id, mutation, settled);
    });
  }

  private clientOf(caller: Caller, request: ApplyRequest): Client {
    if (caller.workspaceId !== request.client.workspaceId) throw new BatchRefusal('FOREIGN_WORKSPACE');
    let client = this.clients.get(request.client.id);
    if (client === undefined) {
      client = { workspaceId: caller.workspaceId, actor: caller.sub, ledger: new Map(), floor: 0 };
      this.clients.set(request.client.id, client);
    }
    if (client.workspaceId !== caller.workspaceId || client.actor !== caller.sub) {
      throw new BatchRefusal('FOREIGN_CLIENT');
    }
    return client;
  }

  private find(client: Client, clientId: string, mutation: WireMutation): Finding {
    const { seq, id } = mutation;
    const sameSeq = client.ledger.get(seq);
    if (sameSeq === undefined && seq <= client.floor) {
      return { kind: 'known', outcome: { seq, id, kind: 'duplicate', verdict: 'applied', result: null } };
    }
    if (sameSeq !== undefined && sameSeq.mutationId !== id) return known(mutation, 'SEQ_REUSED');
    const seen = mostTelling(this.ledgerRows(id), clientId, seq);
    if (seen === undefined) return { kind: 'new' };
    if (seen.clientId !== clientId || seen.hash !== hashOf(mutation)) return known(mutation, 'ID_REUSED');
    if (sameSeq === undefined && seen.verdict === 'rejected' && seen.generation < mutation.generation) {
      return { kind: 'new' };
    }
    if (seen.error === null) {
      return { kind: 'known', outcome: { seq, id, kind: 'duplicate', verdict: 'applied', result: seen.result } };
    }
    return { kind: 'known', outcome: { seq, id, kind: 'duplicate', verdict: 'rejected', error: seen.error } };
  }

  private carryOut(client: Client, clientId: string, mutation: WireMutation, settled: Set<number>): WireOutcome {
    const { seq, id, generation } = mutation;
    const performed = this.perform(client, clientId, mutation);
    const row = { clientId, seq, mutationId: id, generation, hash: hashOf(mutation) };
    if (performed.kind === 'done') {
      const { result } = performed;
      this.record(client, { ...row, verdict: 'applied', result, error: null });
      settled.add(seq);
      return { seq, id, kind: 'applied', result };
    }
    const error = wireError(performed.state);
    if (PERMANENT[performed.state] === undefined) return { seq, id, kind: 'refused', error };
    this.record(client, { ...row, verdict: 'rejected', result: null, error });
    settled.add(seq);
    return { seq, id, kind: 'rejected', error };
  }

  private record(client: Client, row: LedgerRow): void {
    client.ledger.set(row.seq, row);
    this.byMutation.set(row.mutationId, [...this.ledgerRows(row.mutationId), row]);
  }

  private perform(client: Client, clientId: string, mutation: WireMutation): Performed {
    const { operation, entity, payload } = mutation;
    const entityId = entity?.id ?? '';
    const row = this.rows.get(entityId);
    const isThere = row !== undefined && row.workspaceId === client.workspaceId;
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
    else this.rows.set(entityId, { workspaceId: client.workspaceId, entries });
    const { workspaceId } = client;
    const { id: mutationId, seq, generation } = mutation;
    const effect = { clientId, workspaceId, mutationId, seq, generation, operation, entityId, tag };
    this.effects.push(effect);
    this.onEffect(effect);
    return { kind: 'done', result: operation === 'delete' ? null : { id: entityId, entries } };
  }
}

/** Someone else's above all, then the row of this very number, then an effect, then the latest refusal. */
function mostTelling(rows: readonly LedgerRow[], clientId: string, seq: number): LedgerRow | undefined {
  const rank = (row: LedgerRow): readonly number[] => [
    row.clientId === clientId ? 1 : 0,
    row.seq === seq ? 0 : 1,
    row.verdict === 'applied' ? 0 : 1,
    -row.generation,
  ];
  return [...rows].sort((left, right) => {
    const leftRank = rank(left);
    const rightRank = rank(right);
    const place = leftRank.findIndex((value, index) => value !== rightRank[index]);
    return place === -1 ? 0 : (leftRank[place] ?? 0) - (rightRank[place] ?? 0);
  })[0];
}

function known({ seq, id }: WireMutation, code: string): Finding {
  return { kind: 'known', outcome: { seq, id, kind: 'rejected', error: wireError(code) } };
}

function failed(state: string): Performed {
  return { kind: 'failed', state };
}

function wireError(code: string): WireError {
  const category = PERMANENT[code] ?? 'SERVER_ERROR';
  return { category, code, message: `The database said ${code}.` };
}

function hashOf({ type, operation, entity, payload }: WireMutation): string {
  return canonical([type, operation, entity?.table ?? null, entity?.id ?? null, payload]);
}

function canonical(value: Json): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  if (isArray(value)) return `[${value.map(canonical).join()}]`;
  const fields = Object.entries(value).sort(([left], [right]) => (left < right ? -1 : 1));
  return `{${fields.map(([key, field]) => `${JSON.stringify(key)}:${canonical(field)}`).join()}}`;
}

function isArray(value: readonly Json[] | JsonObject): value is readonly Json[] {
  return Array.isArray(value);
}
