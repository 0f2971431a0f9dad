import * as v from 'valibot';
import { HoldfastError } from '../mutation/holdfast-error.ts';
import type { AuditExport, AuditPageQuery, AuditSource } from '../ports/audit-source.ts';
import type { AuditEntry, AuditResponse } from '../protocol/audit.ts';
import { NOT_OURS } from '../delivery/apply-response.ts';
import { classifyFailure } from '../delivery/classify-failure.ts';
import type { Verdict } from '../delivery/failure-table.ts';
import { type Fetch, platformFetch } from '../delivery/http-fetch.ts';

export interface HttpAuditLogOptions {
  /** Address of the server's audit log. @default '/v1/audit' */
  readonly url?: string;
  /** Address of the server's exports of logs. @default '/v1/export/logs' */
  readonly exportUrl?: string;
  /** Gives the token to read under, fresh when `refresh` is true; null when nobody is signed in. */
  readonly getToken: (options: { readonly refresh: boolean }) => Promise<string | null>;
  /** Longest wait for a page, in milliseconds. An export takes as long as it takes. @default 15_000 */
  readonly timeoutMs?: number;
  /** @default the platform's */
  readonly fetch?: Fetch;
  /** Says that there may be something new, where there is a live channel. @default what this device itself has confirmed */
  readonly onNews?: AuditSource['onNews'];
}

/** The audit log of Holdfast's server over HTTP: what `useAuditLogs` and `AuditLogViewer` read and export. */
export function httpAuditLog({
  url = '/v1/audit',
  exportUrl = '/v1/export/logs',
  getToken,
  timeoutMs = 15_000,
  fetch = platformFetch,
  onNews,
}: HttpAuditLogOptions): AuditSource {
  const askOnce = async (address: string, signal: AbortSignal, refresh: boolean): Promise<Response> => {
    const token = await getToken({ refresh });
    return fetch(address, {
      headers: token === null ? {} : { authorization: `Bearer ${token}` },
      redirect: 'error',
      signal,
    });
  };
  const ask = async (address: string, signalOf: () => AbortSignal): Promise<Response> => {
    let response = await askOnce(address, signalOf(), false);
    if (response.status === 401) response = await askOnce(address, signalOf(), true);
    if (!response.ok) throw readingFailed(response);
    return response;
  };
  return {
    readPage: (query, signal) =>
      told(signal, async () => {
        const signalOf = (): AbortSignal => eitherOf(signal, AbortSignal.timeout(timeoutMs));
        const response = await ask(`${url}?${parametersOf(query)}`, signalOf);
        const answer = v.safeParse(responseSchema, await response.json().catch(() => null));
        if (!answer.success) throw new HoldfastError(NOT_OURS);
        return answer.output;
      }),
    exportAuditLogs: ({ startDate, endDate, format }, { signal, onBytes }) =>
      told(signal, async () => {
        const days = { startDate: isoOf(startDate), endDate: isoOf(endDate), format };
        return fileOf(await ask(`${exportUrl}?${new URLSearchParams(days)}`, () => signal), onBytes);
      }),
    ...(onNews === undefined ? {} : { onNews }),
  };
}

/** What goes wrong is told as a `HoldfastError`; what was called off, as that. */
async function told<Result>(signal: AbortSignal, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    signal.throwIfAborted();
    throw error instanceof HoldfastError ? error : readingFailed(error);
  }
}

/** What of a failure is true of reading: nothing is sent again, and there is no change to correct. */
function readingFailed(failure: unknown): HoldfastError {
  const { error, verdict } = classifyFailure(failure);
  // What a browser says of it ("Failed to fetch") is nothing for people.
  const message = error.category === 'NETWORK_ERROR' ? 'The server cannot be reached now.' : error.message;
  return new HoldfastError({ ...error, message, hint: HINTS[verdict] });
}

const AGAIN = 'Try again in a while.';
const HINTS: Readonly<Record<Verdict, string>> = {
  line: AGAIN,
  rateLimit: AGAIN,
  refused: AGAIN,
  auth: 'Sign in again.',
  forbidden: 'Ask for access, or sign in as someone who has it.',
  outdated: 'Reload or update the app.',
  rejected: 'Correct what is asked for.',
  conflict: AGAIN,
};

/** A file that is cut short rejects, as its stream does. */
async function fileOf(response: Response, onBytes?: (byteCount: number) => void): Promise<AuditExport> {
  const fileName = /filename="([^"]+)"/.exec(response.headers.get('content-disposition') ?? '')?.[1];
  // A captive portal's page is not a log.
  if (fileName === undefined || response.body === null) throw new HoldfastError(NOT_OURS);
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  let byteCount = 0;
  for (const reader = response.body.getReader(); ; ) {
    const { done, value } = await reader.read();
    if (done) break;
    chunks.push(value);
    byteCount += value.byteLength;
    onBytes?.(byteCount);
  }
  return { fileName, content: new Blob(chunks, { type: response.headers.get('content-type') ?? '' }) };
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
  const days = { startDate: startDate && isoOf(startDate), endDate: endDate && isoOf(endDate) };
  const parameters = new URLSearchParams({ limit: String(limit) });
  for (const [name, value] of Object.entries({ ...texts, ...days, before: before ?? undefined }))
    if (value !== undefined) parameters.set(name, value);
  return parameters;
}

function isoOf(date: Date | string): string {
  return date instanceof Date ? date.toISOString() : date;
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
