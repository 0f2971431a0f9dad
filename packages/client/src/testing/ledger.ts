import type {
  ApplyRequest,
  ClientNotice,
  ForkedFrom,
  Json,
  JsonObject,
  LostChanges,
  MemberRow,
  WireError,
  WireMutation,
  WireOutcome,
} from '../protocol/wire.ts';

/** Whose token a request carried. */
export interface Caller {
  /** The user. */
  readonly sub: string;
  readonly workspaceId: string;
}

/** What the server remembers of one mutation that it has settled. */
export interface LedgerRow {
  readonly clientId: string;
  readonly seq: number;
  readonly mutationId: string;
  readonly generation: number;
  /** How often the client had made the payload anew after a conflict. */
  readonly rebases: number;
  readonly hash: string;
  readonly verdict: 'applied' | 'rejected';
  readonly result: Json;
  readonly error: WireError | null;
  /** What the effect left of a row that counts its changes. */
  readonly rowVersion?: number;
  /** The same of the rows of an atomic one. */
  readonly memberRows?: readonly (MemberRow | null)[];
}

/** What became of an effect. A failure for good is remembered and told again; one for now is forgotten. */
export type Performed =
  | ({ readonly kind: 'done' } & Pick<LedgerRow, 'result' | 'rowVersion' | 'memberRows'>)
  /** The row is another version than the edit was made on: nothing is changed, and nothing is remembered. */
  | { readonly kind: 'conflict'; readonly current: JsonObject | null; readonly rowVersion: number | null }
  | { readonly kind: 'failed'; readonly error: WireError; readonly isPermanent: boolean };

/** Carries out the effect of a mutation that is new, or says why not; then nothing of it stands. */
export type PerformEffect = (mutation: WireMutation, caller: Caller & { readonly clientId: string }) => Performed;

/** The whole batch is refused, as by an exception in SQL, and nothing has happened. */
export class BatchRefusal extends Error {
  readonly code: 'FOREIGN_WORKSPACE' | 'FOREIGN_CLIENT' | 'WRONG_LOGIN';
  constructor(code: BatchRefusal['code']) {
    super(code);
    this.code = code;
  }
}

interface Client {
  readonly workspaceId: string;
  readonly actor: string;
  readonly ledger: Map<number, LedgerRow>;
  /** Numbers that were answered by what is known under another one, or of another client: settled, without a row of theirs. */
  readonly toldSeqs: Set<number>;
  floor: number;
  /** How far its numbers had come, and how many changes stayed with it, when it was last heard of. */
  highSeq: number;
  unsentCount: number;
  /** Its store was lost or put back, and another client has taken its place. */
  lost: { readonly answer: LostChanges; readonly replacedBy: string } | null;
}

/** What `apply` answers. */
export interface LedgerAnswer {
  readonly outcomes: readonly WireOutcome[];
  /** Left out where there is nothing to say of the client. */
  readonly client?: ClientNotice;
  readonly epoch?: string;
}

type Finding = { readonly kind: 'new' } | { readonly kind: 'known'; readonly outcome: WireOutcome };

/**
 * What `holdfast.apply` remembers and promises, in memory: each mutation takes effect once, in the order of its lane,
 * whoever sends it how often. It is written from what the SQL promises and held to it: a test of the simulation replays
 * what arrived here against Postgres and compares every outcome.
 * Not modelled: limits of size, and the 50 blocks of one call.
 */
export class Ledger {
  /** Which server this is, to whoever names one: another one after it was put back. Null for one that knows no epochs. */
  epoch: string | null = null;
  private clients = new Map<string, Client>();
  private byMutation = new Map<string, LedgerRow[]>();
  private readonly perform: PerformEffect;

  constructor(perform: PerformEffect) {
    this.perform = perform;
  }

  /** What is remembered of a mutation, by its id; empty when it never came, or was refused for now. */
  rowsOf(mutationId: string): readonly LedgerRow[] {
    return this.byMutation.get(mutationId) ?? [];
  }

  /** Keeps what is remembered now; the function brings it back, as a restore does. */
  save(): () => void {
    const clients = copyOf(this.clients);
    const byMutation = new Map(this.byMutation);
    return () => {
      this.clients = copyOf(clients);
      this.byMutation = new Map(byMutation);
    };
  }

  /** Throws `BatchRefusal`; then nothing has happened. Of a batch that names another epoch nothing is carried out, nor is its floor believed. */
  apply(caller: Caller, request: ApplyRequest): LedgerAnswer {
    const { epoch } = this;
    if (epoch === null) return this.applyHere(caller, request);
    if (request.epoch === undefined || request.epoch === epoch) return { ...this.applyHere(caller, request), epoch };
    const answer = this.applyHere(caller, { ...request, mutations: [], acknowledgedFloor: 0 });
    const outcomes = request.mutations.map(({ seq, id }) => ({ seq, id, kind: 'deferred' as const }));
    return { ...answer, outcomes, epoch };
  }

  private applyHere(caller: Caller, request: ApplyRequest): LedgerAnswer {
    const client = this.clientOf(caller, request);
    const behind = whyBehind(client, request);
    if (behind !== null) {
      const outcomes = request.mutations.map(({ seq, id }) => ({ seq, id, kind: 'deferred' as const }));
      return { outcomes, client: { behind: { reason: behind, highSeq: client.highSeq } } };
    }
    const { lastSeq = 0, unsentCount = client.unsentCount, forkedFrom } = request.client;
    client.highSeq = Math.max(client.highSeq, lastSeq);
    client.unsentCount = unsentCount;
    const lost = forkedFrom === undefined ? null : this.noteFork(client, request.client.id, forkedFrom);
    const outcomes = this.settle(client, request);
    return lost === null ? { outcomes } : { outcomes, client: { lost } };
  }

  private settle(client: Client, request: ApplyRequest): readonly WireOutcome[] {
    client.floor = Math.max(client.floor, request.acknowledgedFloor);
    const seenSeqs = new Set<number>();
    const seenIds = new Set<string>();
    const findings = request.mutations.map((mutation): Finding | null => {
      const isTwin = seenSeqs.has(mutation.seq) || seenIds.has(mutation.id);
      seenSeqs.add(mutation.seq);
      seenIds.add(mutation.id);
      return isTwin ? null : this.find(client, mutation);
    });
    const wasSettled = request.mutations.map(
      ({ after }) => after === null || after <= client.floor || client.ledger.has(after) || client.toldSeqs.has(after),
    );
    const settled = new Set<number>();
    request.mutations.forEach(({ seq }, index) => {
      if (findings[index]?.kind !== 'known') return;
      settled.add(seq);
      client.toldSeqs.add(seq);
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
    if ((request.client.userId ?? caller.sub) !== caller.sub) throw new BatchRefusal('WRONG_LOGIN');
    let client = this.clients.get(request.client.id);
    if (client === undefined) {
      client = {
        workspaceId: caller.workspaceId,
        actor: caller.sub,
        ledger: new Map(),
        toldSeqs: new Set(),
        floor: 0,
        highSeq: 0,
        unsentCount: 0,
        lost: null,
      };
      this.clients.set(request.client.id, client);
    }
    if (client.workspaceId !== caller.workspaceId || client.actor !== caller.sub) {
      throw new BatchRefusal('FOREIGN_CLIENT');
    }
    return client;
  }

  /** Another client has taken the place of one of the same user; told twice, it answers the same. */
  private noteFork(client: Client, clientId: string, fork: ForkedFrom): LostChanges | null {
    const former = this.clients.get(fork.id);
    if (former === undefined || former === client) return null;
    if (former.workspaceId !== client.workspaceId || former.actor !== client.actor) return null;
    if (former.lost === null) {
      const { reason } = fork;
      const unsentCount =
        reason === 'wiped' ? Math.max(former.unsentCount, fork.unsentCount ?? 0) : lostSince(former, fork.lastSeq ?? 0);
      former.lost = { answer: { clientId: fork.id, reason, unsentCount }, replacedBy: clientId };
    }
    return former.lost.replacedBy === clientId ? former.lost.answer : null;
  }

  private find(client: Client, mutation: WireMutation): Finding {
    const { seq, id } = mutation;
    const sameSeq = client.ledger.get(seq);
    if (sameSeq === undefined && seq <= client.floor) {
      return { kind: 'known', outcome: { seq, id, kind: 'duplicate', verdict: 'applied', result: null } };
    }
    if (sameSeq !== undefined && sameSeq.mutationId !== id) return known(mutation, SEQ_REUSED);
    const seen = mostTelling(this.rowsOf(id), (row) => this.isOwn(client, row), seq);
    if (seen === undefined) return { kind: 'new' };
    if (!this.isOwn(client, seen)) return known(mutation, ID_REUSED);
    const rebases = mutation.rebases ?? 0;
    if (seen.hash !== hashOf(mutation)) {
      // A late copy of a form before the one that was settled is told of that one; a form after one that was refused for
      // good is its retry.
      const isRetry = seen.verdict === 'rejected' && seen.generation < mutation.generation && seen.rebases < rebases;
      if (!isRetry) return rebases < seen.rebases ? repeat(mutation, seen) : known(mutation, ID_REUSED);
    }
    if (sameSeq === undefined && seen.verdict === 'rejected' && seen.generation < mutation.generation) {
      return { kind: 'new' };
    }
    return repeat(mutation, seen);
  }

  /** A user's other devices count as this one. */
  private isOwn({ workspaceId, actor }: Client, { clientId }: LedgerRow): boolean {
    const theirs = this.clients.get(clientId);
    return theirs?.workspaceId === workspaceId && theirs.actor === actor;
  }

  private carryOut(client: Client, clientId: string, mutation: WireMutation, settled: Set<number>): WireOutcome {
    const { seq, id, generation } = mutation;
    const caller = { sub: client.actor, workspaceId: client.workspaceId, clientId };
    const performed: Performed =
      mutation.outdated === true
        ? { kind: 'failed', error: OUTDATED, isPermanent: true }
        : this.perform(mutation, caller);
    const row = { clientId, seq, mutationId: id, generation, rebases: mutation.rebases ?? 0, hash: hashOf(mutation) };
    if (performed.kind === 'conflict') {
      const { current, rowVersion } = performed;
      const baseRowVersion = mutation.base?.rowVersion ?? null;
      return { seq, id, kind: 'conflict', baseRowVersion, current, rowVersion, error: ROW_CHANGED };
    }
    if (performed.kind === 'done') {
      const { kind: _, ...left } = performed;
      this.record(client, { ...row, verdict: 'applied', error: null, ...left });
      settled.add(seq);
      return { seq, id, kind: 'applied', ...left };
    }
    const { error } = performed;
    if (!performed.isPermanent) return { seq, id, kind: 'refused', error };
    this.record(client, { ...row, verdict: 'rejected', result: null, error });
    settled.add(seq);
    return { seq, id, kind: 'rejected', error };
  }

  private record(client: Client, row: LedgerRow): void {
    client.ledger.set(row.seq, row);
    this.byMutation.set(row.mutationId, [...this.rowsOf(row.mutationId), row]);
  }
}

function copyOf(clients: ReadonlyMap<string, Client>): Map<string, Client> {
  return new Map(
    [...clients].map(([id, client]) => [
      id,
      { ...client, ledger: new Map(client.ledger), toldSeqs: new Set(client.toldSeqs) },
    ]),
  );
}

/**
 * Numbers only go up: a client that has given out fewer than it once said, or gives one out again, was put back to an earlier
 * state, and nothing of it is looked at. A late copy of a request looks the same; nobody hears that answer.
 */
function whyBehind(client: Client, { client: { lastSeq }, mutations }: ApplyRequest): 'behind' | 'reused' | null {
  if (lastSeq === undefined) return null;
  if (lastSeq < client.highSeq) return 'behind';
  const isReused = mutations.some(({ seq, id }) => (client.ledger.get(seq)?.mutationId ?? id) !== id);
  return isReused ? 'reused' : null;
}

/** Numbers given out after the state that it was put back to, of which no change has come. */
function lostSince({ floor, highSeq, ledger, unsentCount }: Client, restoredSeq: number): number {
  const fromSeq = Math.max(floor, restoredSeq);
  const settledCount = [...ledger.keys()].filter((seq) => seq > fromSeq).length;
  return Math.min(unsentCount, Math.max(0, highSeq - fromSeq - settledCount));
}

/** Someone else's above all, then the row of this very number, then an effect, then the latest refusal. */
function mostTelling(
  rows: readonly LedgerRow[],
  isOwn: (row: LedgerRow) => boolean,
  seq: number,
): LedgerRow | undefined {
  const rank = (row: LedgerRow): readonly number[] => [
    isOwn(row) ? 1 : 0,
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

function known({ seq, id }: WireMutation, error: WireError): Finding {
  return { kind: 'known', outcome: { seq, id, kind: 'rejected', error } };
}

function repeat({ seq, id }: WireMutation, { result, error, rowVersion, memberRows }: LedgerRow): Finding {
  if (error !== null) return { kind: 'known', outcome: { seq, id, kind: 'duplicate', verdict: 'rejected', error } };
  const left = {
    ...(rowVersion === undefined ? {} : { rowVersion }),
    ...(memberRows === undefined ? {} : { memberRows }),
  };
  return { kind: 'known', outcome: { seq, id, kind: 'duplicate', verdict: 'applied', result, ...left } };
}

const ROW_CHANGED: WireError = {
  category: 'CONFLICT',
  code: 'ROW_CHANGED',
  message: 'It was changed by someone else since this edit was made.',
  hint: 'Decide which of the two versions is to stand, or merge them.',
};

const OUTDATED: WireError = {
  category: 'OUTDATED',
  code: 'OUTDATED',
  message: 'An earlier version of the app has stored it, and this one cannot migrate it.',
  hint: 'Let a version of the app that can retry it, or edit it, or discard it.',
};

const SEQ_REUSED: WireError = {
  category: 'CONFLICT',
  code: 'SEQ_REUSED',
  message: 'This number was used for another mutation.',
  hint: 'Two devices share one store: give each its own.',
};

const ID_REUSED: WireError = {
  category: 'CONFLICT',
  code: 'ID_REUSED',
  message: 'This id was used for another mutation.',
  hint: 'Make the change again: it gets an id of its own.',
};

/** A mutation is known by its first form. */
function hashOf({ type, original, ...current }: WireMutation): string {
  const { operation, entity, payload, encoding } = original ?? current;
  const more = encoding === undefined ? [] : [encoding];
  return canonical([type, operation, entity?.table ?? null, entity?.id ?? null, payload, ...more]);
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
