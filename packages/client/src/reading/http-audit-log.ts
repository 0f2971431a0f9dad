import * as v from 'valibot';
import { HoldfastError } from '../mutation/holdfast-error.ts';
import type { AuditPageQuery, AuditSource } from '../ports/audit-source.ts';
import type { AuditEntry, AuditResponse } from '../protocol/audit.ts';
import { NOT_OURS } from '../delivery/apply-response.ts';
import { classifyFailure } from '../delivery/classify-failure.ts';
import { type Fetch, platformFetch } from '../delivery/http-fetch.ts';

export interface HttpAuditLogOptions {
  /** Address of the server's audit log. @default '/v1/audit' */
  readonly url?: string;
  /** Gives the token to read under, fresh when `refresh` is true; null when nobody is signed in. */
  readonly getToken: (options: { readonly refresh: boolean }) => Promise<string | null>;
  /** Longest wait for an answer, in milliseconds. @default 15_000 */
  readonly timeoutMs?: number;
  /** @default the platform's */
  readonly fetch?: Fetch;
  /** Says that there may be something new, where there is a live channel. @default what this device itself has confirmed */
  readonly onNews?: AuditSource['onNews'];
}

/** The audit log of Holdfast's server over HTTP: what `useAuditLogs` reads. */
export function httpAuditLog({
  url = '/v1/audit',
  getToken,
  timeoutMs = 15_000,
  fetch = platformFetch,
  onNews,
}: HttpAuditLogOptions): AuditSource {
  const ask = async (query: AuditPageQuery, signal: AbortSignal, refresh: boolean): Promise<Response> => {
    const token = await getToken({ refresh });
    return fetch(`${url}?${parametersOf(query)}`, {
      headers: token === null ? {} : { authorization: `Bearer ${token}` },
      redirect: 'error',
      signal: eitherOf(signal, AbortSignal.timeout(timeoutMs)),
    });
  };
  return {
    readPage: async (query, signal) => {
      try {
        let response = await ask(query, signal, false);
        if (response.status === 401) response = await ask(query, signal, true);
        if (!response.ok) throw new HoldfastError(classifyFailure(response).error);
        const answer = v.safeParse(responseSchema, await response.json().catch(() => null));
        if (!answer.success) throw new HoldfastError(NOT_OURS);
        return answer.output;
      } catch (error) {
        signal.throwIfAborted();
        throw error instanceof HoldfastError ? error : new HoldfastError(classifyFailure(error).error);
      }
    },
    ...(onNews === undefined ? {} : { onNews }),
  };
}

/** `AbortSignal.any`, which Safari has since 17.4 only. */
function eitherOf(...signals: readonly AbortSignal[]): AbortSignal {
  const controller = new AbortController();
  for (const signal of signals) {
    if (signal.aborted) controller.abort(signal.reason);
    signal.addEventListener('abort', () => controller.abort(signal.reason), { once: true });
  }
  return controller.signal;
}

function parametersOf({ limit, before, startDate, endDate, ...texts }: AuditPageQuery): URLSearchParams {
  const iso = (date: Date | string | undefined): string | undefined =>
    date instanceof Date ? date.toISOString() : date;
  const all = { ...texts, startDate: iso(startDate), endDate: iso(endDate), before: before ?? undefined };
  const parameters = new URLSearchParams({ limit: String(limit) });
  for (const [name, value] of Object.entries(all)) if (value !== undefined) parameters.set(name, value);
  return parameters;
}

const values: v.GenericSchema<AuditEntry['oldValues']> = v.nullable(
  v.custom<NonNullable<AuditEntry['oldValues']>>((value) => typeof value === 'object' && !Array.isArray(value)),
);
const text = v.nullable(v.string());
const responseSchema: v.GenericSchema<unknown, AuditResponse> = v.object({
  entries: v.array(
    v.object({
      id: v.string(),
      occurredAt: v.string(),
      actor: text,
      action: v.picklist(['create', 'update', 'delete', 'restore']),
      entityType: v.string(),
      entityId: v.string(),
      oldValues: values,
      newValues: values,
      changedFields: v.nullable(v.array(v.string())),
      mutationId: text,
      clientId: text,
      ip: v.fallback(text, null),
      userAgent: v.fallback(text, null),
    }),
  ),
  nextBefore: text,
});
