import { answerOfMode, checkMode, type ErrorMode, type SimulatedAnswer } from './error-modes.ts';
import type { SimulatedFetch } from './network-simulator.ts';
import type { SimulatedRequest } from './server-simulator.ts';

/** What goes wrong with a whole request. Verdicts on single mutations are the real server's. */
export type RequestErrorMode = Exclude<ErrorMode, 'validation' | 'busy' | { readonly code: string }>;

/** A real server with faults before it, for a `NetworkSimulator` in an app that people use. */
export class FaultyServer {
  private readonly fetch: SimulatedFetch;
  private mode: RequestErrorMode | null = null;
  private isMeant: (request: SimulatedRequest) => boolean = () => true;

  /** `fetch` reaches the real server. */
  constructor({ fetch }: { readonly fetch: SimulatedFetch }) {
    this.fetch = fetch;
  }

  /** Sets what goes wrong from now on with the requests that `when` says true for; null for nothing. */
  setErrorMode(
    mode: RequestErrorMode | null,
    { when = () => true }: { readonly when?: (request: SimulatedRequest) => boolean } = {},
  ): void {
    checkMode(mode, 'request');
    this.mode = mode;
    this.isMeant = when;
  }

  /** Answers one request; null when no answer ever comes. `NetworkSimulator` calls it. */
  async receive(request: SimulatedRequest): Promise<SimulatedAnswer | null> {
    const mode = this.isMeant(request) ? this.mode : null;
    if (mode === null) return this.ask(request);
    if (mode === 'timeout') return null;
    if (mode === 'halfOpen' || mode === 'failsAfterCommit') await this.ask(request);
    return answerOfMode(mode);
  }

  private async ask({ url, method, headers, body }: SimulatedRequest): Promise<SimulatedAnswer> {
    const response = await this.fetch(url, { method, headers, ...(body === '' ? {} : { body }) });
    return { status: response.status, headers: Object.fromEntries(response.headers), body: await response.text() };
  }
}
