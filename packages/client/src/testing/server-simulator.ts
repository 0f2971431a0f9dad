import type { Random } from '../ports/clock.ts';
import {
  type ApplyRequest,
  type HealthResponse,
  type Json,
  PROTOCOL_VERSION,
  type WireMutation,
} from '../protocol/wire.ts';
import {
  answerOfMode,
  answerOfVerdict,
  checkMode,
  type ErrorMode,
  html,
  json,
  refusal,
  type SimulatedAnswer,
  verdictOfMode,
} from './error-modes.ts';
import { FakeClock } from './fake-clock.ts';
import { BatchRefusal, type Caller, Ledger, type LedgerRow, type Performed } from './ledger.ts';
import { answerOfRoute, findRoute, type Route } from './routes.ts';
import { seededRandom } from './seeded-random.ts';
import { type Row, type ServerHandler, ServerTables, type TableRules } from './server-tables.ts';

export interface ErrorModeOptions {
  /** Requests (or mutations, where the mode is about each) that it strikes before it is over. @default until it is set anew */
  readonly count?: number;
  /** Strikes only these mutations, and requests that carry one of them. @default all */
  readonly when?: (mutation: WireMutation) => boolean;
}

export interface RateLimitResponse {
  /** What `Retry-After` says; null for an answer that does not say. @default until the window ends */
  readonly retryAfterSeconds?: number | null;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Json;
}

/** A request as it arrived at the simulated server. */
export interface SimulatedRequest {
  /** As it was asked for. */
  readonly url: string;
  readonly method: string;
  /** Without host and query. */
  readonly path: string;
  readonly headers: Headers;
  readonly body: string;
}

/** One mutation that took effect. */
export interface ServerEffect {
  readonly id: string;
  readonly type: string;
  readonly userId: string;
  readonly workspaceId: string;
}

export interface ServerSimulatorOptions {
  /** Shared with the devices. @default a new one */
  readonly clock?: FakeClock;
  /** Tables that are registered, and what they demand of their rows. @default every table takes any row */
  readonly tables?: Readonly<Record<string, TableRules>>;
  /** Types that have code of their own on the server, by type. */
  readonly handlers?: Readonly<Record<string, ServerHandler>>;
  /** Endpoints of the app's own, by method and path: `PATCH /api/notes/:id`. Modes and limits hold for them too. */
  readonly routes?: Readonly<Record<string, Route>>;
  /** All chance in the simulated world comes from it. @default 1 */
  readonly seed?: number;
}

/**
 * A Holdfast server in memory, for the real transports: tables, a ledger that applies each mutation once whatever is sent
 * how often, tokens, and everything that can go wrong. Serves as many devices as a test needs.
 */
export class ServerSimulator {
  readonly clock: FakeClock;
  readonly random: Random;
  /** Calls of `apply` that arrived, oldest first. */
  readonly requests: { readonly mutations: readonly WireMutation[]; readonly token: string | null }[] = [];
  /** What took effect, in its order; each id at most once. */
  readonly effects: ServerEffect[] = [];
  private readonly tables: ServerTables;
  private readonly routes: Readonly<Record<string, Route>>;
  private readonly ledger: Ledger;
  private mode: {
    readonly kind: ErrorMode;
    left: number;
    readonly when: (mutation: WireMutation) => boolean;
    readonly isEverything: boolean;
  } | null = null;
  private rateLimit: { readonly count: number; readonly windowMs: number } | null = null;
  private rateLimitResponse: RateLimitResponse = {};
  private windowRequests: number[] = [];
  private tokenCount = 0;
  private validFromToken = 0;
  private held: (() => void)[] | null = null;

  constructor({ clock, tables, handlers = {}, routes = {}, seed = 1 }: ServerSimulatorOptions = {}) {
    this.clock = clock ?? new FakeClock();
    this.random = seededRandom(seed);
    this.routes = routes;
    this.tables = new ServerTables(tables ?? null, handlers);
    this.ledger = new Ledger((mutation, caller) => this.perform(mutation, caller));
  }

  /** Sets what goes wrong from now on; null for nothing. Throws `INVALID_OPTION` for a mode that there is not. */
  setErrorMode(mode: ErrorMode | null, options: ErrorModeOptions = {}): void {
    checkMode(mode);
    const { count: left = Number.POSITIVE_INFINITY, when = () => true } = options;
    const isEverything = options.when === undefined;
    this.mode = mode === null ? null : { kind: mode, left, when, isEverything };
  }

  /** Takes this many requests in any window of this length, and answers 429 to more; null for no limit. */
  setRateLimit(limit: { readonly count: number; readonly windowMs: number } | null): void {
    this.rateLimit = limit;
    this.windowRequests = [];
  }

  /** What the answer to one request too many looks like. */
  setRateLimitResponse(response: RateLimitResponse): void {
    this.rateLimitResponse = response;
  }

  /** Requests wait from now on, before anything happens, until `release`. */
  hold(): void {
    this.held ??= [];
  }

  release(): void {
    const { held } = this;
    this.held = null;
    for (const go of held ?? []) go();
  }

  /** Puts rows there, past all mutations and rules, as a seed or another app would. Everybody may change them. */
  insert(table: string, ...rows: readonly Row[]): void {
    for (const row of rows) this.tables.write(table, row, null);
  }

  rows(table: string): readonly Row[] {
    return this.tables.rows(table);
  }

  row(table: string, id: string): Row | undefined {
    return this.tables.row(table, id);
  }

  /** What the ledger knows of a mutation, by its id. */
  verdictsOn(mutationId: string): readonly LedgerRow[] {
    return this.ledger.rowsOf(mutationId);
  }

  /** A token for this login, valid until `expireTokens`. */
  issueToken(login: { readonly userId: string; readonly workspaceId: string }): string {
    this.tokenCount += 1;
    return ['test', login.userId, login.workspaceId, String(this.tokenCount)].map(encodeURIComponent).join('.');
  }

  /** Tokens issued so far are answered with 401 from now on. */
  expireTokens(): void {
    this.validFromToken = this.tokenCount + 1;
  }

  /** Answers one request; null when no answer ever comes. `NetworkSimulator` calls it. */
  async receive(request: SimulatedRequest): Promise<SimulatedAnswer | null> {
    const { method, path, headers, body } = request;
    if (path.endsWith('/health')) return this.health();
    const found = findRoute(this.routes, method, path);
    if (found === null && (method !== 'POST' || !path.endsWith('/apply'))) return refusal(404, 'NOT_FOUND');
    if (this.held !== null) await new Promise<void>((resolve) => this.held?.push(resolve));
    const token = /^Bearer (.+)$/.exec(headers.get('authorization') ?? '')?.[1] ?? null;
    const batch = found === null ? (JSON.parse(body) as ApplyRequest) : null;
    if (batch !== null) this.requests.push({ mutations: batch.mutations, token });
    const limited = this.limit();
    if (limited !== null) return limited;
    const mode = this.strike(batch);
    if (mode === 'timeout') return null;
    const refused = mode === null ? null : (answerOfMode(mode) ?? (batch === null ? answerOfVerdict(mode) : null));
    if (refused !== null && mode !== 'failsAfterCommit') return refused;
    const answer = batch === null ? this.callRoute(found, request) : this.apply(token, batch);
    if (mode === 'halfOpen') return null;
    return refused ?? answer;
  }

  private callRoute(found: ReturnType<typeof findRoute>, { headers, body }: SimulatedRequest): SimulatedAnswer {
    if (found === null) return refusal(404, 'NOT_FOUND');
    const { route, params } = found;
    const { tables } = this;
    return answerOfRoute(
      route({
        params,
        headers,
        body: parseJson(body),
        row: (table, id) => tables.row(table, id),
        rows: (table) => tables.rows(table),
        write: (table, row) => tables.write(table, row, null),
        remove: (table, id) => tables.remove(table, id),
      }),
    );
  }

  private apply(token: string | null, batch: ApplyRequest): SimulatedAnswer {
    const caller = this.callerOf(token);
    if (caller === null) return refusal(401, token === null ? 'TOKEN_MISSING' : 'TOKEN_EXPIRED');
    try {
      const answer = this.ledger.apply(caller, batch);
      return json(200, { protocol: PROTOCOL_VERSION, ...answer, serverTime: this.serverTime() });
    } catch (error) {
      if (error instanceof BatchRefusal) return refusal(error.code === 'WRONG_LOGIN' ? 401 : 403, error.code);
      throw error;
    }
  }

  private perform(mutation: WireMutation, caller: Caller): Performed {
    const verdict = this.mode === null ? null : verdictOfMode(this.mode.kind);
    if (verdict !== null && this.mode?.when(mutation) === true) {
      this.countStrike();
      return verdict;
    }
    const performed = this.tables.perform(mutation, caller);
    const { id, type } = mutation;
    if (performed.kind === 'done') this.effects.push({ id, type, userId: caller.sub, workspaceId: caller.workspaceId });
    return performed;
  }

  /** The mode that strikes the whole request, if one does; a request to an endpoint of the app's own has no batch. */
  private strike(batch: ApplyRequest | null): ErrorMode | null {
    const { mode } = this;
    if (mode === null || (batch !== null && verdictOfMode(mode.kind) !== null)) return null;
    const mutations = batch?.mutations ?? [];
    if (mutations.length > 0 && !mutations.some(mode.when)) return null;
    this.countStrike();
    return mode.kind;
  }

  private countStrike(): void {
    if (this.mode === null) return;
    this.mode.left -= 1;
    if (this.mode.left <= 0) this.mode = null;
  }

  private limit(): SimulatedAnswer | null {
    if (this.rateLimit === null) return null;
    const { count, windowMs } = this.rateLimit;
    const nowMs = this.clock.nowMs();
    this.windowRequests = this.windowRequests.filter((atMs) => atMs > nowMs - windowMs);
    const [oldest = nowMs] = this.windowRequests;
    if (this.windowRequests.length < count) {
      this.windowRequests.push(nowMs);
      return null;
    }
    const untilSeconds = Math.ceil((oldest + windowMs - nowMs) / 1_000);
    const { retryAfterSeconds = untilSeconds, headers, body } = this.rateLimitResponse;
    const all = { ...(retryAfterSeconds === null ? {} : { 'retry-after': String(retryAfterSeconds) }), ...headers };
    return body === undefined ? refusal(429, 'TOO_MANY_REQUESTS', all) : json(429, body, all);
  }

  private callerOf(token: string | null): Caller | null {
    const [kind, sub, workspaceId, number] = (token ?? '').split('.').map(decodeURIComponent);
    if (kind !== 'test' || sub === undefined || workspaceId === undefined) return null;
    return Number(number) < this.validFromToken ? null : { sub, workspaceId };
  }

  /** What is wrong with the server as a whole is wrong with its health endpoint too. */
  private health(): SimulatedAnswer | null {
    const kind = this.mode?.isEverything === true ? this.mode.kind : null;
    if (kind === 'timeout') return null;
    if (kind === 'badGateway') return html(502);
    const status = kind === 'unavailable' ? 'unavailable' : 'ok';
    const body: HealthResponse = {
      service: 'holdfast',
      protocol: PROTOCOL_VERSION,
      status,
      serverTime: this.serverTime(),
    };
    return json(status === 'ok' ? 200 : 503, body);
  }

  private serverTime(): string {
    return new Date(this.clock.wallMs()).toISOString();
  }
}

function parseJson(text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return null;
  }
}
