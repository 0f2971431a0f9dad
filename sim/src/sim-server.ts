import {
  type ApplyRequest,
  PROTOCOL_VERSION,
  type WireError,
  type WireOutcome,
} from '../../packages/client/src/protocol/wire.ts';
import { BatchRefusal, type Caller, type PerformEffect } from '../../packages/client/src/testing/ledger.ts';
import type { Facts } from './facts.ts';
import type { History } from './history.ts';
import { ServerModel } from './server-model.ts';

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** One call of `apply`, as it arrived: enough to replay it against a database. */
export interface TapeEntry {
  readonly caller: Caller;
  readonly failingMoods: readonly string[];
  readonly request: ApplyRequest;
  readonly outcomes: readonly WireOutcome[];
}

/** The door before the server model: reads tokens and bodies, and answers as HTTP does. */
export class SimServer {
  readonly model: ServerModel;
  readonly tape: TapeEntry[] = [];
  /** A login's tokens below this number have expired. */
  readonly validTokenNumbers = new Map<string, number>();
  /** Until when its instances are being replaced, one after the other. */
  rolloutUntilMs = 0;
  private readonly history: History;
  private readonly facts: Facts;

  constructor(history: History, facts: Facts, performOther: PerformEffect | null = null) {
    this.history = history;
    this.facts = facts;
    this.model = new ServerModel((effect) => history.onEffect(effect), performOther);
  }

  /** `sentStep` is when the tab began to send it. */
  receive(authorization: string | null, request: ApplyRequest, sentStep: number): HttpAnswer {
    const caller = this.callerOf(authorization);
    if (caller === null) this.facts.reached('a token expires before its request arrives');
    if (caller === null) return refusal(401, 'AUTH_ERROR', 'TOKEN_EXPIRED');
    const failingMoods = [...this.model.failingMoods];
    this.history.servingSentStep = sentStep;
    try {
      const answer = this.model.apply(caller, request);
      const { outcomes } = answer;
      this.tape.push({ caller, failingMoods, request, outcomes });
      this.history.onOutcomes(request, outcomes);
      this.noteFacts(request, outcomes);
      return json(200, { protocol: PROTOCOL_VERSION, ...answer, serverTime: '2026-01-01T00:00:00.000Z' });
    } catch (error) {
      if (error instanceof BatchRefusal) return refusal(403, 'FORBIDDEN', error.code);
      throw error;
    }
  }

  private noteFacts({ mutations }: ApplyRequest, outcomes: readonly WireOutcome[]): void {
    const { facts } = this;
    if (mutations.length > 1) facts.reached('a batch of several');
    for (const outcome of outcomes) {
      if (outcome.kind === 'duplicate') facts.reached(`a duplicate is answered as ${outcome.verdict}`);
      else if (outcome.kind === 'refused') facts.reached('one is refused for now');
      else if (outcome.kind === 'rejected') facts.reached('one is rejected for good');
    }
  }

  private callerOf(authorization: string | null): Caller | null {
    const [sub, workspaceId, number] = (authorization ?? '').replace('Bearer ', '').split('|');
    if (sub === undefined || workspaceId === undefined) return null;
    if (Number(number) < (this.validTokenNumbers.get(sub) ?? 0)) return null;
    return { sub, workspaceId };
  }
}

export function json(status: number, body: unknown, headers: Readonly<Record<string, string>> = {}): HttpAnswer {
  return { status, headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(body) };
}

export function html(status: number): HttpAnswer {
  return { status, headers: { 'content-type': 'text/html' }, body: '<!doctype html><title>Please sign in</title>' };
}

export function refusal(
  status: number,
  category: WireError['category'],
  code: string,
  headers: Readonly<Record<string, string>> = {},
): HttpAnswer {
  return json(status, { error: { category, code, message: `The door said ${code}.` } }, headers);
}
