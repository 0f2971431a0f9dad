import type { AuditAction, AuditEntry, AuditResponse } from 'holdfast/protocol';
import { z } from 'zod';
import type { Session } from './database.ts';
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

const dateSchema: z.ZodType<string> = z.union([z.iso.date(), z.iso.datetime({ offset: true })], {
  error: 'must be a date, or a time with its zone, in ISO 8601',
});

const auditQuerySchema: z.ZodType<AuditQuery> = z
  .object({
    entityType: wordSchema.optional(),
    entityId: wordSchema.optional(),
    action: z.enum(['create', 'update', 'delete', 'restore']).optional(),
    actor: wordSchema.optional(),
    startDate: dateSchema.optional(),
    endDate: dateSchema.optional(),
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

/** Reads as whoever the session acts as: row-level security keeps it to the caller's workspace. */
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
  // one more than asked for tells whether there is a next page
  const rows = await session.query<AuditEntry>(
    `select id::text as "id", to_char(occurred_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as "occurredAt",
            actor, action, entity_type as "entityType", entity_id as "entityId", old_values as "oldValues",
            new_values as "newValues", changed_fields as "changedFields", mutation_id as "mutationId",
            client_id as "clientId", ip, user_agent as "userAgent"
     from holdfast.audit_log
     where workspace_id = holdfast.workspace()
       and ($1::text is null or entity_type = $1)
       and ($2::text is null or entity_id = $2)
       and ($3::bigint is null or id < $3)
       and ($5::text is null or action = $5)
       and ($6::timestamptz is null or occurred_at >= $6)
       and ($7::timestamptz is null or occurred_at < $7)
       and ($8::text is null or actor = $8)
     -- the column, not the text of it selected above: '9' would come after '10'
     order by audit_log.id desc
     limit $4`,
    [
      query.entityType ?? null,
      query.entityId ?? null,
      query.before ?? null,
      query.limit + 1,
      query.action ?? null,
      query.startDate ?? null,
      query.endDate ?? null,
      query.actor ?? null,
    ],
  );
  const entries = rows.slice(0, query.limit);
  return { entries, nextBefore: rows.length > query.limit ? (entries.at(-1)?.id ?? null) : null };
}
