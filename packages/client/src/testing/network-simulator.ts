import type { ProbeResult } from '../engine/probe-result.ts';
import type { Random } from '../ports/clock.ts';
import type { Connection, NetworkHint, NetworkSource } from '../ports/network-source.ts';
import { html, type SimulatedAnswer } from './error-modes.ts';
import type { SimulatedRequest } from './server-simulator.ts';
import type { SimulatedTime } from './simulated-time.ts';

export interface NetworkSimulatorOptions {
  /** A `FakeClock`, or `realTime`. */
  readonly clock: SimulatedTime;
  readonly random: Random;
  /** Whoever answers at the other end; null for never. A `ServerSimulator` is one, and so is a `FaultyServer`. */
  readonly server: { readonly receive: (request: SimulatedRequest) => Promise<SimulatedAnswer | null> };
}

export interface LossRates {
  /** Share of requests that never arrive, from 0 to 1. @default 0 */
  readonly requests?: number;
  /** Share of answers that never arrive although the server has done its work, from 0 to 1. @default 0 */
  readonly answers?: number;
}

/** `fetch` with a body of text. Libraries that want a `fetch` take it, and so do the transports. */
export type SimulatedFetch = (input: string | URL | Request, init?: RequestInit) => Promise<Response>;

/** The line between one device and the server: a `fetch` for the real transports, and the platform's word of the network. */
export class NetworkSimulator implements NetworkSource {
  /** Requests that left the device, whether they arrived or not. */
  requestCount = 0;
  private readonly clock: SimulatedTime;
  private readonly random: Random;
  private readonly server: NetworkSimulatorOptions['server'];
  private readonly listeners = new Set<(hint: NetworkHint) => void>();
  private connected: Connection = { type: 'unknown', generation: null, isMetered: null, bandwidthMbps: null };
  private isConnected = true;
  private isOnlineHint = true;
  private latencyMs: () => number = () => 0;
  private loss: Required<LossRates> = { requests: 0, answers: 0 };
  private isHalfOpen = false;
  private isInPortal = false;

  constructor({ clock, random, server }: NetworkSimulatorOptions) {
    this.clock = clock;
    this.random = random;
    this.server = server;
  }

  /** Cuts the line. Unnoticed, the platform still calls itself online, as with a dead access point. */
  setOffline({ isNoticed = true }: { readonly isNoticed?: boolean } = {}): void {
    this.isConnected = false;
    if (isNoticed) this.say('offline');
  }

  /** The line is there again, and the platform says so. */
  setOnline(): void {
    this.isConnected = true;
    this.say('online');
  }

  /** How long a request and its answer take together, in milliseconds; with two numbers, any time between. */
  setLatency(minMs: number, maxMs: number = minMs): void {
    this.latencyMs = () => minMs + this.random() * (maxMs - minMs);
  }

  /** Some requests, or the answers to them, get lost; `fetch` then fails. */
  setLoss({ requests = 0, answers = 0 }: LossRates): void {
    this.loss = { requests, answers };
  }

  /** Requests arrive, and no answer ever comes back: nor an error, until someone gives up waiting. */
  setHalfOpen(isHalfOpen: boolean): void {
    this.isHalfOpen = isHalfOpen;
  }

  /** Everything is answered with 200 and a page that asks to sign in, as hotels do. */
  setCaptivePortal(isInPortal: boolean): void {
    this.isInPortal = isInPortal;
  }

  /** What the platform says of the connection; what is left out stays as it was. */
  setConnection(connection: Partial<Connection>): void {
    this.connected = { ...this.connected, ...connection };
    this.say('changed');
  }

  /** The app comes to the foreground. */
  foreground(): void {
    this.say('foreground');
  }

  isOnline(): boolean {
    return this.isOnlineHint;
  }

  connection(): Connection {
    return this.connected;
  }

  onHint(listener: (hint: NetworkHint) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  async probe(signal: AbortSignal): Promise<ProbeResult> {
    const startedAtMs = this.clock.nowMs();
    try {
      const body: unknown = await (await this.fetch('/v1/health', { signal })).json();
      const isServer = typeof body === 'object' && body !== null && 'service' in body && body.service === 'holdfast';
      if (isServer) return { kind: 'reached', latencyMs: this.clock.nowMs() - startedAtMs };
    } catch {
      return { kind: 'notReached', reason: 'no connection' };
    }
    return { kind: 'notReached', reason: 'something else than the server answered' };
  }

  /** What `fetch` is on this device. */
  readonly fetch: SimulatedFetch = (input, init = {}) => {
    const signal = init.signal ?? null;
    const url = typeof input === 'string' ? input : 'href' in input ? input.href : input.url;
    return new Promise((resolve, reject) => {
      const abort = (): void => reject(new DOMException('The operation was aborted.', 'AbortError'));
      if (signal?.aborted === true) abort();
      signal?.addEventListener('abort', abort, { once: true });
      const request: SimulatedRequest = {
        method: init.method ?? 'GET',
        url,
        path: new URL(url, 'http://localhost').pathname,
        headers: new Headers(init.headers),
        body: typeof init.body === 'string' ? init.body : '',
      };
      this.carry(request).then((answer) => {
        if (answer === null) return;
        signal?.removeEventListener('abort', abort);
        resolve(new Response(answer.body, { status: answer.status, headers: answer.headers }));
      }, reject);
    });
  };

  private async carry(request: SimulatedRequest): Promise<SimulatedAnswer | null> {
    this.requestCount += 1;
    const latencyMs = this.latencyMs();
    await this.clock.delay(latencyMs / 2);
    if (!this.isConnected || this.random() < this.loss.requests) throw new TypeError('Failed to fetch');
    const answer = this.isInPortal ? html(200) : await this.server.receive(request);
    if (this.isHalfOpen || answer === null) return null;
    await this.clock.delay(latencyMs / 2);
    if (!this.isConnected || this.random() < this.loss.answers) throw new TypeError('Failed to fetch');
    return answer;
  }

  private say(hint: NetworkHint): void {
    if (hint === 'online' || hint === 'offline') this.isOnlineHint = hint === 'online';
    for (const listener of [...this.listeners]) listener(hint);
  }
}
