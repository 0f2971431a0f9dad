import type { TransportAnswer } from '../../engine/transport-answer.ts';
import type { AtomicPayload } from '../../mutation/atomic.ts';
import type { Transport } from '../../ports/transport.ts';
import {
  type ApplyRequest,
  ATOMIC_TYPE,
  type Json,
  type JsonObject,
  type WireError,
  type WireMutation,
  type WireOutcome,
} from '../../protocol/wire.ts';

export const SERVER_ERROR: WireError = {
  category: 'SERVER_ERROR',
  code: 'BUSY',
  message: 'The server is busy.',
  hint: 'Wait.',
};

type Judge = (mutation: WireMutation) => WireOutcome['kind'] | TransportAnswer['kind'];

/** A server that applies each id once, and that can be told to do worse. */
export class FakeServer {
  readonly requests: { readonly request: ApplyRequest; readonly token: string | null }[] = [];
  /** Ids in the order their effects took place. */
  readonly effects: string[] = [];
  /** What becomes of a call; decided by the first mutation of the batch when it is about the whole of it. */
  judge: Judge = () => 'applied';
  /** What a handler returns for a mutation that takes effect. */
  resultOf: (mutation: WireMutation) => Json = ({ id }) => ({ id });
  /** What it says to what it does not take. */
  error: WireError = SERVER_ERROR;
  /** Effects take place, and the answer is lost on the way. */
  isLosingAnswers = false;
  /** What it says that it is; null for a server that knows no epochs. */
  epoch: string | null = null;
  private readonly results = new Map<string, Json>();
  private isHolding = false;
  private releases: (() => void)[] = [];

  readonly transport: Transport = {
    send: async (request, { token, signal }) => {
      this.requests.push({ request, token });
      if (this.isHolding) {
        const wasAborted = await new Promise<boolean>((resolve) => {
          this.releases.push(() => resolve(false));
          signal.addEventListener('abort', () => resolve(true));
        });
        if (wasAborted) return { kind: 'unknown', error: SERVER_ERROR };
      }
      const answer = this.answer(request);
      return this.isLosingAnswers ? { kind: 'unknown', error: SERVER_ERROR } : answer;
    },
  };

  /** Rows that edits with a base are held to, by id; each has its `version`. */
  readonly rows: Map<string, JsonObject> = new Map();

  /** Calls wait from now on until `release`. */
  hold(): void {
    this.isHolding = true;
  }

  release(): void {
    this.isHolding = false;
    for (const release of this.releases) release();
    this.releases = [];
  }

  /** It is as it was after so many effects, and says so. */
  rewind(effectCount: number, epoch: string): void {
    this.effects.length = effectCount;
    this.epoch = epoch;
  }

  get sentIds(): readonly (readonly string[])[] {
    return this.requests.map(({ request }) => request.mutations.map(({ id }) => id));
  }

  private answer(request: ApplyRequest): TransportAnswer {
    const { epoch } = this;
    if (epoch === null) return this.judged(request);
    const isForeign = request.epoch !== undefined && request.epoch !== epoch;
    const outcomes = request.mutations.map(({ seq, id }) => ({ seq, id, kind: 'deferred' as const }));
    return { ...(isForeign ? { kind: 'answered', outcomes } : this.judged(request)), epoch } as TransportAnswer;
  }

  private judged(request: ApplyRequest): TransportAnswer {
    const outcomes: WireOutcome[] = [];
    for (const mutation of request.mutations) {
      const { id, seq } = mutation;
      const { error } = this;
      const verdict = this.judge(mutation);
      switch (verdict) {
        case 'applied':
        case 'duplicate':
          if (this.effects.includes(id)) {
            outcomes.push({ seq, id, kind: 'duplicate', verdict: 'applied', result: this.results.get(id) ?? null });
          } else {
            outcomes.push(this.apply(mutation));
          }
          break;
        case 'conflict':
          outcomes.push(this.conflict(mutation));
          break;
        case 'rejected':
        case 'refused':
          outcomes.push({ seq, id, kind: verdict, error });
          break;
        case 'deferred':
          outcomes.push({ seq, id, kind: 'deferred' });
          break;
        case 'answered':
          break;
        case 'unavailable':
        case 'rateLimited':
          return { kind: verdict, error, retryAfterMs: null };
        default:
          return { kind: verdict, error };
      }
    }
    return { kind: 'answered', outcomes };
  }

  /** An edit of a row that a test has put there is held to the version it was made on. */
  private apply(mutation: WireMutation): WireOutcome {
    const { id, seq, entity, payload, base, operation } = mutation;
    if (mutation.type === ATOMIC_TYPE) return this.applyAll(mutation);
    const row = this.rows.get(entity?.id ?? '');
    if (base !== undefined && row?.['version'] !== base.rowVersion) return this.conflict(mutation);
    this.effects.push(id);
    if (entity === null || row === undefined) {
      const result = this.resultOf(mutation);
      this.results.set(id, result);
      return { seq, id, kind: 'applied', result };
    }
    const result = this.change(entity.id, operation, payload);
    if (result === null) return { seq, id, kind: 'applied', result };
    this.results.set(id, result);
    return { seq, id, kind: 'applied', result, rowVersion: Number(result['version']) };
  }

  /** Members of tables that are here leave their rows; the whole is one effect. */
  private applyAll(mutation: WireMutation): WireOutcome {
    const { id, seq } = mutation;
    const { members } = mutation.payload as unknown as AtomicPayload;
    const changed = members.map(({ operation, entity, payload }) =>
      entity === null ? null : { entity, row: this.change(entity.id, operation, payload) },
    );
    this.effects.push(id);
    const rows = changed.map((member) => member?.row ?? null);
    const result = rows.some((row) => row !== null) ? rows : this.resultOf(mutation);
    this.results.set(id, result);
    const memberRows = changed.map(
      (member) =>
        member && { ...member.entity, rowVersion: member.row === null ? null : Number(member.row['version']) },
    );
    return { seq, id, kind: 'applied', result, memberRows };
  }

  /** The row as it is left; null where there is none. */
  private change(id: string, operation: WireMutation['operation'], payload: JsonObject): JsonObject | null {
    const row = this.rows.get(id);
    if (row === undefined) return null;
    if (operation === 'delete') {
      this.rows.delete(id);
      return null;
    }
    const changed = { ...row, ...payload, version: Number(row['version']) + 1 };
    this.rows.set(id, changed);
    return changed;
  }

  private conflict({ id, seq, entity, base }: WireMutation): WireOutcome {
    const current = this.rows.get(entity?.id ?? '') ?? null;
    const rowVersion = current === null ? null : Number(current['version']);
    const error = { category: 'CONFLICT', code: 'ROW_CHANGED', message: 'changed' } as const;
    return { seq, id, kind: 'conflict', baseRowVersion: base?.rowVersion ?? null, current, rowVersion, error };
  }
}
