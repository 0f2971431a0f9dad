import * as v from 'valibot';
import type { GetToken } from '../session/token-source.ts';

const valuesSchema = v.nullable(v.record(v.string(), v.unknown()));
const answerSchema = v.object({
  entries: v.array(
    v.object({
      id: v.string(),
      occurredAt: v.string(),
      actor: v.nullable(v.string()),
      action: v.picklist(['create', 'update', 'delete', 'restore']),
      oldValues: valuesSchema,
      newValues: valuesSchema,
    }),
  ),
  nextBefore: v.nullable(v.string()),
});
export type HistoryPage = v.InferOutput<typeof answerSchema>;
export type HistoryEntry = HistoryPage['entries'][number];

const PAGE_COUNT = 30;
const TIMEOUT_MS = 15_000;

/** One page of what happened to an account, newest first, from the audit log. */
export async function fetchHistory(
  accountId: string,
  before: string | null,
  { getToken, fetch }: { readonly getToken: GetToken; readonly fetch: typeof globalThis.fetch },
): Promise<HistoryPage> {
  const query = new URLSearchParams({ entityType: 'accounts', entityId: accountId, limit: String(PAGE_COUNT) });
  if (before !== null) query.set('before', before);
  const ask = async (refresh: boolean): Promise<Response> =>
    fetch(`/v1/audit?${query}`, {
      headers: { authorization: `Bearer ${(await getToken({ refresh })) ?? ''}` },
      redirect: 'error',
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
  let response = await ask(false);
  if (response.status === 401) response = await ask(true);
  const answer = v.safeParse(answerSchema, response.ok ? await response.json().catch(() => null) : null);
  if (!answer.success) throw new Error('Something else than our server answered.');
  return answer.output;
}

/** Fields the database keeps for itself. */
const INTERNAL = new Set(['id', 'workspace_id', 'updated_at', 'changed_xid']);

export interface FieldChange {
  readonly field: string;
  readonly before: unknown;
  readonly after: unknown;
}

/** What an entry changed, field by field, without what nobody said anything about. */
export function changesOf({ oldValues, newValues }: HistoryEntry): readonly FieldChange[] {
  const names = new Set([...Object.keys(oldValues ?? {}), ...Object.keys(newValues ?? {})]);
  return [...names]
    .filter((field) => !INTERNAL.has(field))
    .map((field) => ({ field, before: oldValues?.[field] ?? null, after: newValues?.[field] ?? null }))
    .filter(({ before, after }) => before !== null || after !== null);
}
