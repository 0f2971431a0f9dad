import type { ProbeResult } from '../engine/probe-result.ts';

/** Asks the server itself, and takes only our server's JSON for an answer: a captive portal answers everything with 200. */
export async function probeServer(url: string, signal: AbortSignal): Promise<ProbeResult> {
  const startedAtMs = performance.now();
  try {
    const response = await fetch(url, { signal, cache: 'no-store', redirect: 'error', credentials: 'omit' });
    const body: unknown = await response.json();
    if (isHealth(body)) return { kind: 'reached', latencyMs: performance.now() - startedAtMs };
    return { kind: 'notReached', reason: 'something else than the server answered' };
  } catch (error) {
    return { kind: 'notReached', reason: signal.aborted ? 'no answer in time' : describe(error) };
  }
}

function isHealth(body: unknown): boolean {
  return typeof body === 'object' && body !== null && 'service' in body && body.service === 'holdfast';
}

function describe(error: unknown): string {
  return error instanceof SyntaxError ? 'something else than the server answered' : 'no connection';
}
