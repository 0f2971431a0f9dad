import type { Json } from 'holdfast/protocol';
import { z } from 'zod';
import type { Session } from './database.ts';
import { Refusal } from './refusal.ts';
import { isStorableText } from './storable.ts';

/** One change of one row. */
export interface AuditEntry {
  /** Grows with time; hand the last one of a page back as `before` to get the next page. */
  readonly id: string;
  /** ISO 8601. */
  readonly occurredAt: string;
  /** The user who made it; null when no signed-in user did. */
  readonly actor: string | null;
  readonly action: 'create' | 'update' | 'delete' | 'restore';
  readonly entityType: string;
  readonly entityId: string;
  /** Update: the changed fields before. Delete: the whole row. Create and restore: null. */
  readonly oldValues: { readonly [field: string]: Json } | null;
  /** Create and restore: the whole row. Update: the changed fields after. Delete: null. */
  readonly newValues: { readonly [field: string]: Json } | null;
  /** Sorted; null unless the action is an update. */
  readonly changedFields: readonly string[] | null;
  /** Null when the change was not made by a mutation. */
  readonly mutationId: string | null;
  readonly clientId: string | null;
  /** Address of whoever made it, as the outermost trusted proxy saw it; null when nobody trustworthy told. */
  readonly ip: string | null;
  readonly userAgent: string | null;
}

/** Answer of `GET /v1/audit`. */
export interface AuditResponse {
  /** Newest first. */
  readonly entries: readonly AuditEntry[];
  /** What to send as `before` for the next page; null when there is none. */
  readonly nextBefore: string | null;
}

export interface AuditQuery {
  readonly entityType?: string | undefined;
  readonly entityId?: string | undefined;
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
    'Ask with entityType, entityId, limit (1 to 200) and before.',
  );
}

/** Reads as whoever the session acts as: row-level security keeps it to the caller's workspace. */
export async function readAudit(session: Session, query: AuditQuery): Promise<AuditResponse> {
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
     -- the column, not the text of it selected above: '9' would come after '10'
     order by audit_log.id desc
     limit $4`,
    [query.entityType ?? null, query.entityId ?? null, query.before ?? null, query.limit + 1],
  );
  const entries = rows.slice(0, query.limit);
  return { entries, nextBefore: rows.length > query.limit ? (entries.at(-1)?.id ?? null) : null };
}
