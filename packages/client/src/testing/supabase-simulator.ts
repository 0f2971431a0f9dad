import type { ErrorBody } from '../protocol/wire.ts';
import { json, type SimulatedAnswer } from './error-modes.ts';
import { ServerSimulator, type SimulatedRequest } from './server-simulator.ts';

/**
 * A Supabase project in memory: the same server behind its REST API, for `supabaseTransport` with a real client of
 * `supabase-js` over the simulated line. Failures come in the words of PostgREST and of the gateway before it.
 */
export class SupabaseSimulator extends ServerSimulator {
  override async receive(request: SimulatedRequest): Promise<SimulatedAnswer | null> {
    if (!request.path.endsWith('/rest/v1/rpc/apply')) return super.receive(request);
    const { batch } = JSON.parse(request.body) as { readonly batch: unknown };
    const answer = await super.receive({ ...request, body: JSON.stringify(batch) });
    return answer === null ? null : inWordsOfPostgrest(answer);
  }
}

/** SQLSTATEs of the refusals that `holdfast.apply` raises for a whole batch; PostgREST answers them with 400. */
const REFUSALS: Readonly<Record<string, string>> = {
  WRONG_LOGIN: 'HF003',
  FOREIGN_WORKSPACE: 'HF010',
  FOREIGN_CLIENT: 'HF011',
  UPGRADE_REQUIRED: 'HF021',
};

function inWordsOfPostgrest(answer: SimulatedAnswer): SimulatedAnswer {
  const { status, headers, body } = answer;
  if (status === 200 || headers['content-type'] !== 'application/json') return answer;
  const { error } = (JSON.parse(body) ?? {}) as Partial<ErrorBody>;
  // An answer that the test has made up stands as it is.
  if (error === undefined) return answer;
  const { code, message } = error;
  if (status === 429) return json(status, { message: 'API rate limit exceeded' }, headers);
  if (code === 'TOKEN_EXPIRED') return json(status, failure('PGRST303', 'JWT expired'));
  if (code === 'TOKEN_MISSING') return json(status, failure('42501', 'permission denied for schema holdfast'));
  if (status === 503) return json(status, failure('PGRST000', 'Could not connect to the database.'), headers);
  const state = REFUSALS[code];
  return state === undefined ? json(500, failure('XX000', message)) : json(400, failure(state, message, code));
}

function failure(code: string, message: string, details: string | null = null): Record<string, string | null> {
  return { code, message, details, hint: null };
}
