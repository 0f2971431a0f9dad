import type { ProbeResult } from '../engine/probe-result.ts';
import type { TransportAnswer } from '../engine/transport-answer.ts';
import type { Clock } from '../ports/clock.ts';
import type { NetworkSource } from '../ports/network-source.ts';
import { Emitter } from '../telemetry/emitter.ts';

/** How good the line is, by the latency measured in the last 60 s; `unknown` when none was. */
export type NetworkQuality = 'excellent' | 'good' | 'fair' | 'poor' | 'offline' | 'unknown';

export interface NetworkStatus {
  /** The server answered last, and the platform does not say otherwise. True until something says otherwise. */
  readonly isOnline: boolean;
  readonly quality: NetworkQuality;
  /** Last measured round trip, in milliseconds; null when none was measured in the last 60 s. */
  readonly latencyMs: number | null;
}

export interface NetworkChange extends NetworkStatus {
  /** By the device's clock. */
  readonly changedAtMs: number;
}

const HISTORY_COUNT = 50;
export const LATENCY_VALID_MS = 60_000;
export const PROBE_TIMEOUT_MS = 10_000;

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
  private readonly hints: Emitter<'online' | 'offline' | 'foreground'>;
  private readonly stop: () => void;
  private readonly changesSeen: NetworkChange[] = [];
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
    const isOnline = source.isOnline();
    this.status = { isOnline, quality: isOnline ? 'unknown' : 'offline', latencyMs: null };
    this.stop = source.onHint((hint) => {
      if (hint === 'offline') this.update(false);
      this.hints.emit(hint);
      // With something to send the queue has asked by now; with nothing, nobody else does.
      if (hint !== 'offline' && !this.status.isOnline) void this.probe();
    });
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
      this.status = { ...this.status, latencyMs: null, quality: this.status.isOnline ? 'unknown' : 'offline' };
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
    if (result.kind === 'reached') this.update(true, result.latencyMs);
    else this.update(false);
    return result;
  }

  /** Learns from a batch's answer what a probe would have told. */
  observe(answer: TransportAnswer, latencyMs: number): void {
    // A captive portal answers too; online means that the server does.
    const isOther = answer.kind === 'unavailable' && answer.error.code === 'NOT_OUR_SERVER';
    if (answer.kind === 'unreachable' || answer.kind === 'unknown' || isOther) this.update(false);
    else this.update(true, latencyMs);
  }

  close(): void {
    this.stop();
  }

  private update(isOnline: boolean, latencyMs: number | null = null): void {
    const nowMs = this.clock.nowMs();
    if (latencyMs !== null) this.measured = { latencyMs, atMs: nowMs };
    if (!isOnline) this.measured = null;
    const before = this.status;
    const quality = isOnline ? qualityOfLatency(this.measured?.latencyMs ?? null) : 'offline';
    if (before.isOnline !== isOnline) {
      if (before.isOnline) this.onlineMs += nowMs - this.lastChangeAtMs;
      this.lastChangeAtMs = nowMs;
    }
    if (before.isOnline === isOnline && before.quality === quality) return;
    this.status = { isOnline, quality, latencyMs: this.measured?.latencyMs ?? null };
    this.changesSeen.push({ ...this.status, changedAtMs: this.clock.wallMs() });
    if (this.changesSeen.length > HISTORY_COUNT) this.changesSeen.shift();
    this.changes.emit(this.status);
    if (!before.isOnline && isOnline) this.reconnects.emit(this.status);
  }
}

function qualityOfLatency(latencyMs: number | null): NetworkQuality {
  if (latencyMs === null) return 'unknown';
  if (latencyMs < 200) return 'excellent';
  if (latencyMs < 500) return 'good';
  return latencyMs < 1_000 ? 'fair' : 'poor';
}
