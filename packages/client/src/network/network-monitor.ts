import type { ProbeResult } from '../engine/probe-result.ts';
import type { TransportAnswer } from '../engine/transport-answer.ts';
import type { Clock } from '../ports/clock.ts';
import type { AppState, Connection, NetworkHint, NetworkSource } from '../ports/network-source.ts';
import { Emitter } from '../telemetry/emitter.ts';

/**
 * How good the line is: by the latency measured in the last 60 s, and without one by what the connection is called;
 * `unknown` when neither is known.
 */
export type NetworkQuality = 'excellent' | 'good' | 'fair' | 'poor' | 'offline' | 'unknown';

export interface NetworkStatus extends Connection {
  /** The server answered last, and the platform does not say otherwise. True until something says otherwise. */
  readonly isOnline: boolean;
  readonly quality: NetworkQuality;
  /** Last measured round trip, in milliseconds; null when none was measured in the last 60 s. */
  readonly latencyMs: number | null;
  /** Share of the last 20 calls that reached the server, 0 to 1; 1 before the first. */
  readonly stability: number;
  /** The line in one figure, 0 (offline) to 100: its latency, or else its quality by name, lowered by failed calls. */
  readonly score: number;
  readonly appState: AppState;
}

export interface NetworkChange extends NetworkStatus {
  /** By the device's clock. */
  readonly changedAtMs: number;
}

const HISTORY_COUNT = 50;
export const LATENCY_VALID_MS = 60_000;
export const PROBE_TIMEOUT_MS = 10_000;
/** A line that nothing was sent over is measured so often, in milliseconds, while the app is before its user. */
const CHECK_MS = 30_000;
/** Calls that stability looks back on. */
const CALL_COUNT = 20;
const NOT_TOLD: Connection = { type: 'unknown', generation: null, isMetered: null, bandwidthMbps: null };

/**
 * Knows whether the server can be reached: the platform's word is a hint, a probe or an answered batch decides. Online
 * means that the server answers, not that a cable is in.
 */
export class NetworkMonitor {
  private readonly source: NetworkSource;
  private readonly clock: Clock;
  private readonly startedAtMs: number;
  private readonly changes: Emitter<NetworkStatus>;
  private readonly reconnects: Emitter<NetworkStatus>;
  private readonly hints: Emitter<Exclude<NetworkHint, 'changed'>>;
  private readonly stop: () => void;
  private readonly changesSeen: NetworkChange[] = [];
  private readonly calls: boolean[] = [];
  private cancelCheck: () => void = () => {};
  private status: NetworkStatus;
  private measured: { readonly latencyMs: number; readonly atMs: number } | null = null;
  private probing: Promise<ProbeResult> | null = null;
  private onlineMs = 0;
  private lastChangeAtMs: number;

  constructor(source: NetworkSource, clock: Clock, onThrow: (error: unknown) => void) {
    this.source = source;
    this.clock = clock;
    this.startedAtMs = clock.nowMs();
    this.lastChangeAtMs = this.startedAtMs;
    this.changes = new Emitter(onThrow);
    this.reconnects = new Emitter(onThrow);
    this.hints = new Emitter(onThrow);
    this.status = this.look(source.isOnline());
    this.stop = source.onHint((hint) => {
      if (hint === 'offline') this.update(false);
      else this.update(this.status.isOnline);
      if (hint === 'changed') return;
      this.hints.emit(hint);
      // With something to send the queue has asked by now; with nothing, nobody else does.
      if (hint !== 'offline' && !this.status.isOnline) void this.probe();
    });
    if (source.appState !== undefined) this.checkLater();
  }

  isOnline(): boolean {
    return this.status.isOnline;
  }

  getQuality(): NetworkQuality {
    return this.getSnapshot().quality;
  }

  /** Keeps its identity until something changes. */
  getSnapshot(): NetworkStatus {
    if (this.measured !== null && this.clock.nowMs() - this.measured.atMs > LATENCY_VALID_MS) {
      this.measured = null;
      this.status = this.look(this.status.isOnline);
    }
    return this.status;
  }

  /** Share of the time since start that the server could be reached, in percent. */
  getUptime(): number {
    const nowMs = this.clock.nowMs();
    const totalMs = nowMs - this.startedAtMs;
    if (totalMs <= 0) return this.status.isOnline ? 100 : 0;
    const currentMs = this.status.isOnline ? nowMs - this.lastChangeAtMs : 0;
    return (100 * (this.onlineMs + currentMs)) / totalMs;
  }

  /** The last 50 changes, oldest first. */
  getHistory(): readonly NetworkChange[] {
    return [...this.changesSeen];
  }

  onChange(listener: (status: NetworkStatus) => void): () => void {
    return this.changes.on(listener);
  }

  /** When the server can be reached again. */
  onReconnect(listener: (status: NetworkStatus) => void): () => void {
    return this.reconnects.on(listener);
  }

  /** What the platform says, for the queue, which then asks for a probe when it needs one. */
  onHint(listener: (hint: 'online' | 'offline' | 'foreground') => void): () => void {
    return this.hints.on(listener);
  }

  /** Asks the server whether it is there. Those who ask at once share the answer. */
  probe(): Promise<ProbeResult> {
    this.probing ??= this.probeNow().finally(() => {
      this.probing = null;
    });
    return this.probing;
  }

  private async probeNow(): Promise<ProbeResult> {
    const abort = new AbortController();
    let cancel = (): void => {};
    const timeout = new Promise<ProbeResult>((resolve) => {
      cancel = this.clock.schedule(PROBE_TIMEOUT_MS, () => {
        abort.abort();
        resolve({ kind: 'notReached', reason: 'no answer in time' });
      });
    });
    // Of somebody else's source neither the signal nor the promise is taken on trust.
    const asked = this.source
      .probe(abort.signal)
      .catch((): ProbeResult => ({ kind: 'notReached', reason: 'the probe failed' }));
    const result = await Promise.race([asked, timeout]);
    cancel();
    this.noteCall(result.kind === 'reached');
    if (result.kind === 'reached') this.update(true, result.latencyMs);
    else this.update(false);
    return result;
  }

  /** Learns from a batch's answer what a probe would have told. */
  observe(answer: TransportAnswer, latencyMs: number): void {
    // A captive portal answers too; online means that the server does.
    const isOther = answer.kind === 'unavailable' && answer.error.code === 'NOT_OUR_SERVER';
    const isReached = answer.kind !== 'unreachable' && answer.kind !== 'unknown' && !isOther;
    this.noteCall(isReached);
    if (isReached) this.update(true, latencyMs);
    else this.update(false);
  }

  close(): void {
    this.stop();
    this.cancelCheck();
  }

  private checkLater(): void {
    this.cancelCheck = this.clock.schedule(CHECK_MS, () => {
      const { isOnline, appState } = this.getSnapshot();
      const isMeasured = this.measured !== null && this.clock.nowMs() - this.measured.atMs < CHECK_MS;
      if (isOnline && appState === 'active' && !isMeasured) void this.probe();
      this.checkLater();
    });
  }

  private noteCall(isReached: boolean): void {
    this.calls.push(isReached);
    if (this.calls.length > CALL_COUNT) this.calls.shift();
  }

  /** Everything as it stands, if the server can be reached or cannot. */
  private look(isOnline: boolean): NetworkStatus {
    const { type, generation, isMetered, bandwidthMbps } = this.source.connection?.() ?? NOT_TOLD;
    const latencyMs = this.measured?.latencyMs ?? null;
    const quality = isOnline ? (qualityOfLatency(latencyMs) ?? qualityOfName(type, generation)) : 'offline';
    const stability = this.calls.length === 0 ? 1 : this.calls.filter(Boolean).length / this.calls.length;
    const line = isOnline && latencyMs !== null ? Math.max(0, 100 - latencyMs / 20) : SCORES[quality];
    const score = Math.round(line * (0.5 + 0.5 * stability));
    const appState = this.source.appState?.() ?? 'active';
    return { isOnline, quality, latencyMs, type, generation, isMetered, bandwidthMbps, stability, score, appState };
  }

  private update(isOnline: boolean, latencyMs: number | null = null): void {
    const nowMs = this.clock.nowMs();
    if (latencyMs !== null) this.measured = { latencyMs, atMs: nowMs };
    if (!isOnline) this.measured = null;
    const before = this.status;
    if (before.isOnline !== isOnline) {
      if (before.isOnline) this.onlineMs += nowMs - this.lastChangeAtMs;
      this.lastChangeAtMs = nowMs;
    }
    const next = this.look(isOnline);
    this.status = next;
    // Of figures that move all the time only what they are called is told.
    if (TOLD.every((name) => before[name] === next[name])) return;
    this.changesSeen.push({ ...this.status, changedAtMs: this.clock.wallMs() });
    if (this.changesSeen.length > HISTORY_COUNT) this.changesSeen.shift();
    this.changes.emit(this.status);
    if (!before.isOnline && isOnline) this.reconnects.emit(this.status);
  }
}

const TOLD = ['isOnline', 'quality', 'type', 'generation', 'isMetered', 'appState'] as const;

/** Of a line that was not measured. */
const SCORES: Readonly<Record<NetworkQuality, number>> = {
  excellent: 95,
  good: 80,
  fair: 60,
  poor: 30,
  unknown: 50,
  offline: 0,
};

function qualityOfLatency(latencyMs: number | null): NetworkQuality | null {
  if (latencyMs === null) return null;
  if (latencyMs < 200) return 'excellent';
  if (latencyMs < 500) return 'good';
  return latencyMs < 1_000 ? 'fair' : 'poor';
}

function qualityOfName(type: Connection['type'], generation: Connection['generation']): NetworkQuality {
  if (type === 'wifi' || type === 'ethernet') return 'excellent';
  return generation === null ? 'unknown' : QUALITY_OF_GENERATION[generation];
}

const QUALITY_OF_GENERATION = { '5g': 'excellent', '4g': 'good', '3g': 'fair', '2g': 'poor' } as const;
