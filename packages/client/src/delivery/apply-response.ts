import * as v from 'valibot';
import {
  type ApplyResponse,
  type ClientNotice,
  ERROR_CATEGORIES,
  type Json,
  type JsonObject,
  type WireError,
  type WireOutcome,
} from '../protocol/wire.ts';

/** The answer of `holdfast.apply`, however it was carried; null for anything else, such as the page of a captive portal. */
export function parseApplyResponse(body: unknown): ApplyResponse | null {
  const answer = v.safeParse(applyResponse, body);
  return answer.success ? answer.output : null;
}

/** When the server says that it is; nothing for what is no time. */
export function serverTimeOf({ serverTime }: ApplyResponse): { readonly serverTimeMs?: number } {
  const serverTimeMs = Date.parse(serverTime);
  return Number.isFinite(serverTimeMs) ? { serverTimeMs } : {};
}

/** Which server this is: another one after a restore or a fail-over. */
export function epochOf({ epoch }: ApplyResponse): { readonly epoch?: string } {
  return epoch === undefined ? {} : { epoch };
}

/** What it says of the client; nothing for nothing. */
export function noticeOf({ client }: ApplyResponse): { readonly client?: ClientNotice } {
  return client === undefined ? {} : { client };
}

/** An answer that nobody but another server would give. */
export const NOT_OURS: WireError = {
  category: 'SERVER_ERROR',
  code: 'NOT_OUR_SERVER',
  message: 'Something else than a Holdfast server answered.',
  hint: 'Sign in to the network if it asks for it (a captive portal), or check the address of the server.',
};

// Whatever `JSON.parse` returns is JSON.
const json: v.GenericSchema<Json> = v.custom<Json>((value) => value !== undefined);
export const wireErrorSchema: v.GenericSchema<WireError> = v.object({
  category: v.fallback(v.picklist(ERROR_CATEGORIES), 'UNKNOWN_ERROR'),
  code: v.string(),
  message: v.string(),
  hint: v.optional(v.string()),
});
const key = { seq: v.number(), id: v.string() };
const row: v.GenericSchema<JsonObject> = v.custom<JsonObject>(
  (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
);
const effect = {
  result: json,
  rowVersion: v.optional(v.number()),
  memberRows: v.optional(
    v.array(v.nullable(v.object({ table: v.string(), id: v.string(), rowVersion: v.nullable(v.number()) }))),
  ),
};
const outcome: v.GenericSchema<WireOutcome> = v.union([
  v.object({ ...key, kind: v.literal('applied'), ...effect }),
  v.object({ ...key, kind: v.literal('duplicate'), verdict: v.literal('applied'), ...effect }),
  v.object({ ...key, kind: v.literal('duplicate'), verdict: v.literal('rejected'), error: wireErrorSchema }),
  v.object({ ...key, kind: v.literal('rejected'), error: wireErrorSchema }),
  v.object({ ...key, kind: v.literal('refused'), error: wireErrorSchema }),
  v.object({
    ...key,
    kind: v.literal('conflict'),
    baseRowVersion: v.nullable(v.number()),
    current: v.nullable(row),
    rowVersion: v.nullable(v.number()),
    error: wireErrorSchema,
  }),
  v.object({ ...key, kind: v.literal('deferred') }),
]);
const notice: v.GenericSchema<ClientNotice> = v.object({
  behind: v.optional(v.object({ reason: v.picklist(['behind', 'reused']), highSeq: v.number() })),
  lost: v.optional(
    v.object({ clientId: v.string(), reason: v.picklist(['wiped', 'behind']), unsentCount: v.number() }),
  ),
});
const applyResponse: v.GenericSchema<ApplyResponse> = v.object({
  protocol: v.number(),
  outcomes: v.array(outcome),
  serverTime: v.string(),
  epoch: v.optional(v.string()),
  // What does not read is not said: it is about the client, and not about what was sent.
  client: v.optional(v.fallback(v.optional(notice), undefined)),
});
