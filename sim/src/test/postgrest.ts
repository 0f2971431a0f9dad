import { createTokenVerifier, type Database, refusalOf } from '@holdfast/server';
import type { PlainFetch } from 'holdfast';
import { SECRET } from './token.ts';

/**
 * As hosted Supabase has it: nothing of ours between PostgREST and the database. No PostgREST runs here; this says to the database
 * what PostgREST says (https://docs.postgrest.org/en/v13/references/transactions.html and `references/errors.html`): the role, the
 * settings, and the call of the function in the statement that its source builds for one that answers a single value.
 */
export function postgrest(database: Database): PlainFetch {
  const verify = createTokenVerifier({ secret: SECRET });
  return async (input, init) => {
    const request = new Request(input, init);
    const profile = request.headers.get('content-profile') ?? 'public';
    if (profile !== 'holdfast') return refuse(406, 'PGRST106', `Invalid schema: ${profile}`);
    const authorization = request.headers.get('authorization');
    const claims = await verify(authorization).catch(refusalOf);
    // a key that is no token is the role `anon`
    if (claims instanceof Error && claims.code !== 'TOKEN_MISSING') {
      return claims.code === 'TOKEN_EXPIRED'
        ? refuse(401, 'PGRST303', 'JWT expired')
        : refuse(401, 'PGRST301', 'JWSError JWSInvalidSignature');
    }
    const role = claims instanceof Error ? 'anon' : claims.role;
    try {
      const text = await database.transaction(async (session) => {
        await session.query(
          `select set_config('search_path', '"holdfast", "public", "extensions"', true), set_config('role', $1, true),
                  set_config('request.jwt.claims', $2, true), set_config('request.method', 'POST', true),
                  set_config('request.path', '/rpc/apply', true), set_config('request.headers', $3, true),
                  set_config('request.cookies', '{}', true)`,
          [
            role,
            JSON.stringify(claims instanceof Error ? { role } : claims),
            JSON.stringify(Object.fromEntries(request.headers)),
          ],
        );
        const rows = await session.query<{ readonly body: string }>(CALL, [await request.text()]);
        return rows[0]?.body ?? 'null';
      });
      return new Response(text, { status: 200, headers: { 'content-type': 'application/json; charset=utf-8' } });
    } catch (error) {
      const { code, message, detail, hint } = error as {
        readonly code: string;
        readonly message: string;
        readonly detail?: string;
        readonly hint?: string;
      };
      return refuse(statusOf(code, role), code, message, detail, hint);
    }
  };
}

const CALL = `
  with pgrst_source as (
    select pgrst_call.pgrst_scalar
    from (select $1::json as json_data) as pgrst_payload,
    lateral (select "batch" from json_to_record(pgrst_payload.json_data) as _("batch" jsonb) limit 1) as pgrst_body,
    lateral (select "holdfast"."apply"("batch" := pgrst_body."batch") as pgrst_scalar) as pgrst_call
  )
  select null::bigint as total_result_set, 1 as page_total,
         coalesce(json_agg(_postgrest_t.pgrst_scalar) -> 0, 'null')::text as body,
         nullif(current_setting('response.headers', true), '') as response_headers,
         nullif(current_setting('response.status', true), '') as response_status
  from (select "apply".pgrst_scalar from pgrst_source as "apply") as _postgrest_t`;

/** Of its table what our function can meet; whatever else is raised is 400. */
function statusOf(code: string, role: string): number {
  if (code === '42501') return role === 'anon' ? 401 : 403;
  if (/^(08|53)/.test(code)) return 503;
  return /^(25|40|54|55|57|58|XX)/.test(code) ? 500 : 400;
}

function refuse(status: number, code: string, message: string, details?: string, hint?: string): Response {
  return Response.json({ code, message, details: details ?? null, hint: hint ?? null }, { status });
}
