import type { AuditAction, AuditEntry, AuditResponse } from 'holdfast/protocol';
import { z } from 'zod';
import type { Session } from './database.ts';
import { momentSchema, utcOf } from './moment.ts';
import { Refusal } from './refusal.ts';
import { isStorableText } from './storable.ts';

export interface AuditQuery {
  readonly entityType?: string | undefined;
  readonly entityId?: string | undefined;
  readonly action?: AuditAction | undefined;
  /** The user who made it. */
  readonly actor?: string | undefined;
  /** Only entries of this time or later: ISO 8601. */
  readonly startDate?: string | undefined;
  /** Only entries of before this time: ISO 8601. */
  readonly endDate?: string | undefined;
  /** Whose entries these are: refused when the caller's workspace is another one. */
  readonly workspaceId?: string | undefined;
  /** Most entries in the answer. @default 50 */
  readonly limit: number;
  /** Only entries older than the one with this id. */
  readonly before?: string | undefined;
}

const wordSchema: z.ZodType<string> = z
  .string()
  .min(1)
  .max(200)
  .refine(isStorableText, 'holds characters that a database cannot');

const auditQuerySchema: z.ZodType<AuditQuery> = z
  .object({
    entityType: wordSchema.optional(),
    entityId: wordSchema.optional(),
    action: z.enum(['create', 'update', 'delete', 'restore']).optional(),
    actor: wordSchema.optional(),
    startDate: momentSchema.optional(),
    endDate: momentSchema.optional(),
    workspaceId: wordSchema.optional(),
    limit: z.coerce.number().int().min(1).max(200).default(50),
    before: z
      .string()
      .regex(/^[1-9]\d{0,17}$/, 'must be the id of an entry')
      .optional(),
  })
  .refine((query) => query.entityId === undefined || query.entityType !== undefined, {
    path: ['entityId'],
    error: 'needs an entityType beside it',
  });

/** @throws Refusal `INVALID_REQUEST`. */
export function parseAuditQuery(parameters: Readonly<Record<string, string>>): AuditQuery {
  const parsed = auditQuerySchema.safeParse(parameters);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new Refusal(
    'INVALID_REQUEST',
    `${issue?.path.join('.') ?? 'The query'}: ${issue?.message ?? 'not understood'}.`,
    'Ask with entityType, entityId, action, actor, startDate, endDate, workspaceId, limit (1 to 200) and before.',
  );
}

/** Reads as whoever the session acts as, and what the policy of the log lets that one read. A page may be short, and the next one not. */
export async function readAudit(session: Session, query: AuditQuery): Promise<AuditResponse> {
  if (query.workspaceId !== undefined) {
    const [own] = await session.query<{ id: string }>('select holdfast.workspace()::text as id', []);
    if (own?.id !== query.workspaceId)
      throw new Refusal(
        'FOREIGN_WORKSPACE',
        `The workspace ${query.workspaceId} is not that of this login.`,
        'Ask with a token of that workspace.',
      );
  }
  const entries: AuditEntry[] = [];
  let before = query.before ?? null;
  for (let look = 0; look < LOOK_COUNT_MAX; look += 1) {
    // one more than asked for tells whether there is a next page
    const [seen] = await session.query<Seen>(READ, [
      query.entityType ?? null,
      query.entityId ?? null,
      before,
      query.limit + 1 - entries.length,
      query.action ?? null,
      query.startDate === undefined ? null : utcOf(query.startDate),
      query.endDate === undefined ? null : utcOf(query.endDate),
      query.actor ?? null,
      LOOKED_AT_COUNT,
    ]);
    if (seen === undefined) throw new Error('The log gave no answer.');
    entries.push(...seen.entries);
    before = seen.last;
    if (entries.length > query.limit || seen.count < LOOKED_AT_COUNT) break;
  }
  const shown = entries.slice(0, query.limit);
  if (entries.length > query.limit) return { entries: shown, nextBefore: shown.at(-1)?.id ?? null };
  return { entries: shown, nextBefore: before };
}

interface Seen {
  readonly entries: readonly AuditEntry[];
  readonly count: number;
  /** Where to go on; null when there is no more. */
  readonly last: string | null;
}

/** So many rows are looked at together, and so many times for one page: a caller from whom most is hidden gets short pages. */
const LOOKED_AT_COUNT = 500;
const LOOK_COUNT_MAX = 10;

const READ = `
  with page as materialized (
    select * from holdfast.audit_page($1, $2, $5, $6::timestamptz, $7::timestamptz, $3::bigint, $9)
  ), visible as (
    select asked.entity_type, holdfast.visible_rows(asked.entity_type, asked.ids) as ids
    from (
      select page.entity_type, array_agg(distinct page.entity_id) as ids
      from page where page.entity_id is not null and not page.is_own and not holdfast.is_admin() group by page.entity_type
    ) as asked
  ), readable as (
    select page.id, page.occurred_at
    from page left join visible on visible.entity_type = page.entity_type
    where page.is_own or holdfast.is_admin() or page.entity_id = any (visible.ids)
    order by page.id desc
    limit case when $8::text is null then $4::integer end
  ), entry as (
    select log.*
    from readable
    -- under the policy of the log; one by one, so that it is asked of no other rows
    cross join lateral (
      select found.* from holdfast.audit_log as found
      where found.id = readable.id and found.occurred_at = readable.occurred_at
      limit 1
    ) as log
    where $8::text is null or log.actor = $8
    order by log.id desc
    limit $4
  )
  select coalesce((
           select jsonb_agg(jsonb_build_object(
             'id', entry.id::text, 'occurredAt', to_char(entry.occurred_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
             'actor', entry.actor, 'action', entry.action, 'entityType', entry.entity_type, 'entityId', entry.entity_id,
             'oldValues', entry.old_values, 'newValues', entry.new_values, 'changedFields', entry.changed_fields,
             'mutationId', entry.mutation_id, 'clientId', entry.client_id, 'ip', entry.ip, 'userAgent', entry.user_agent
           ) order by entry.id desc) from entry), '[]') as entries,
         (select count(*)::integer from page) as count,
         case when (select count(*) from page) >= $9 then (select min(page.id)::text from page) end as last`;
