import type { HoldfastError } from '../../mutation/holdfast-error.ts';
import type { NetworkChange, NetworkStatus } from '../../network/network-monitor.ts';
import type { Clock } from '../../ports/clock.ts';
import { systemClock } from '../../ports/system-clock.ts';
import type { WireError } from '../../protocol/wire.ts';
import type { QueueStatus } from '../../queue/queue-reader.ts';
import { assessHealth, HEALTH_LIMITS, type HealthLimits, type SystemHealth } from '../../telemetry/health.ts';
import type { QueueMetrics } from '../../telemetry/queue-metrics.ts';
import type { AnyQueue } from '../queue-context.ts';
import { type MemoryUsage, readMemoryUsage } from '../resources/memory-usage.ts';
import { NETWORK_ON_A_SERVER } from '../use-network-status.ts';

export interface MonitoringOptions {
  /** Limits of one's own; what is left out stays as it is by default. */
  readonly limits?: Partial<HealthLimits>;
  /** How often it looks by itself, in milliseconds; changes are seen within a second besides. @default 10_000 */
  readonly intervalMs?: number;
  /** Told when the health has another status than before. */
  readonly onHealthChange?: (health: SystemHealth) => void;
  /** @default the platform's word; null where there is none */
  readonly readMemory?: () => MemoryUsage | null;
  /** @default the platform's */
  readonly clock?: Clock;
}

export interface MonitoringMetrics {
  readonly networkStatus: NetworkStatus;
  /** Changes that the server has not answered yet. */
  readonly syncQueueCount: number;
  /** Dead letters: refused for good, or given up. */
  readonly failedRequestsCount: number;
  /** Null where it cannot be measured. */
  readonly memoryUsage: MemoryUsage | null;
  /** Errors that the queue has told of since the monitor began. */
  readonly errorCount: number;
  /** How long the monitor has been looking, in milliseconds. */
  readonly uptimeMs: number;
}

/** What was seen last. The object stays the same until something is looked at anew. */
export interface MonitoringSnapshot {
  readonly metrics: MonitoringMetrics;
  readonly systemHealth: SystemHealth;
  /** Whether something is on its way to the server just now. */
  readonly isAutoSyncing: boolean;
  /** By the device's clock; null before the first look. */
  readonly lookedAtMs: number | null;
}

export interface DetailedMetrics extends MonitoringSnapshot {
  readonly queue: QueueMetrics;
  readonly status: QueueStatus;
  readonly network: { readonly uptimePercent: number; readonly history: readonly NetworkChange[] };
  /** The last 50 errors, oldest first. */
  readonly errors: readonly (WireError & { readonly atMs: number })[];
}

/** On a server, and while its page is taken over, nothing has been looked at. */
export const NOT_LOOKED_YET: MonitoringSnapshot = {
  metrics: {
    networkStatus: NETWORK_ON_A_SERVER,
    syncQueueCount: 0,
    failedRequestsCount: 0,
    memoryUsage: null,
    errorCount: 0,
    uptimeMs: 0,
  },
  systemHealth: assessHealth(
    { isStorageDegraded: false, oldestPendingAgeMs: null, verdictCount: 0, failureRate: null, memoryPercent: null },
    HEALTH_LIMITS,
  ),
  isAutoSyncing: false,
  lookedAtMs: null,
};

const ERROR_COUNT_MAX = 50;
/** Changes come by the hundred; it looks at most this often, in milliseconds. */
const LOOK_MS_MIN = 1_000;

/** Watches one queue for an app that shows how it does. It keeps the last look and 50 errors, and nothing else. */
export class ProductionMonitor {
  private readonly queue: AnyQueue;
  private readonly options: MonitoringOptions;
  private readonly limits: HealthLimits;
  private readonly clock: Clock;
  private readonly readMemory: () => MemoryUsage | null;
  private readonly listeners = new Set<() => void>();
  private readonly errors: (WireError & { readonly atMs: number })[] = [];
  private errorCount = 0;
  private startedAtMs: number;
  private snapshot: MonitoringSnapshot;
  private startCount = 0;
  private stop = (): void => {};
  private looking: Promise<void> | null = null;

  constructor(queue: AnyQueue, options: MonitoringOptions = {}) {
    this.queue = queue;
    this.options = options;
    this.limits = { ...HEALTH_LIMITS, ...options.limits };
    this.clock = options.clock ?? systemClock;
    this.readMemory = options.readMemory ?? readMemoryUsage;
    this.startedAtMs = this.clock.nowMs();
    this.snapshot = this.snapshotOf(null, null);
  }

  getSnapshot(): MonitoringSnapshot {
    return this.snapshot;
  }

  subscribe(listener: () => void): () => void {
    const own = (): void => listener();
    this.listeners.add(own);
    return () => {
      this.listeners.delete(own);
    };
  }

  /** Begins to look. Returns what ends it; it looks as long as anybody who began has not ended it. */
  start(): () => void {
    this.startCount += 1;
    if (this.startCount === 1) this.begin();
    let hasEnded = false;
    return () => {
      if (hasEnded) return;
      hasEnded = true;
      this.startCount -= 1;
      if (this.startCount === 0) this.stop();
    };
  }

  /** Looks now. Those who ask while it looks share the look. */
  refresh(): Promise<void> {
    this.looking ??= this.look().finally(() => {
      this.looking = null;
    });
    return this.looking;
  }

  async getDetailed(): Promise<DetailedMetrics> {
    await this.refresh();
    const { network } = this.queue;
    const [queue, status] = await Promise.all([this.queue.getMetrics(), this.queue.getStatus()]);
    return {
      ...this.snapshot,
      queue,
      status,
      network: { uptimePercent: network.getUptime(), history: network.getHistory() },
      errors: [...this.errors],
    };
  }

  private begin(): void {
    const { intervalMs = 10_000 } = this.options;
    let cancel = (): void => {};
    let plannedAtMs = Number.POSITIVE_INFINITY;
    let lookedAtMs = Number.NEGATIVE_INFINITY;
    let isOver = false;
    const plan = (delayMs: number): void => {
      const atMs = this.clock.nowMs() + delayMs;
      if (isOver || atMs >= plannedAtMs) return;
      cancel();
      plannedAtMs = atMs;
      cancel = this.clock.schedule(delayMs, lookAndPlan);
    };
    const lookAndPlan = (): void => {
      plannedAtMs = Number.POSITIVE_INFINITY;
      lookedAtMs = this.clock.nowMs();
      void this.refresh();
      plan(intervalMs);
    };
    const lookSoon = (): void => plan(Math.max(0, lookedAtMs + LOOK_MS_MIN - this.clock.nowMs()));
    const stops = [
      this.queue.subscribe(lookSoon),
      this.queue.network.onChange(lookSoon),
      this.queue.onError((error) => {
        this.noteError(error);
        lookSoon();
      }),
    ];
    this.stop = () => {
      isOver = true;
      cancel();
      for (const end of stops) end();
    };
    lookAndPlan();
  }

  private noteError(error: HoldfastError): void {
    this.errorCount += 1;
    this.errors.push({ ...error.toWire(), atMs: this.clock.wallMs() });
    if (this.errors.length > ERROR_COUNT_MAX) this.errors.shift();
  }

  private async look(): Promise<void> {
    let metrics: QueueMetrics | null = null;
    let status: QueueStatus | null = null;
    try {
      [metrics, status] = await Promise.all([this.queue.getMetrics(), this.queue.getStatus()]);
    } catch {
      // A queue that is closed or cannot be opened has told its `onError`; what is known without it is shown.
    }
    const before = this.snapshot.systemHealth.status;
    this.snapshot = this.snapshotOf(metrics, status);
    for (const listener of [...this.listeners]) listener();
    if (this.snapshot.systemHealth.status !== before) this.options.onHealthChange?.(this.snapshot.systemHealth);
  }

  private snapshotOf(metrics: QueueMetrics | null, status: QueueStatus | null): MonitoringSnapshot {
    const { network } = this.queue;
    const { pendingCount, failedCount, processingCount, waitingFor } = this.queue.getSnapshot();
    const memoryUsage = this.readMemory();
    const successRate = metrics?.successRate ?? null;
    const systemHealth = assessHealth(
      {
        isStorageDegraded: waitingFor === 'storage' || this.queue.getStorageHealth().kind !== 'well',
        oldestPendingAgeMs: status?.oldestPendingAgeMs ?? null,
        verdictCount: metrics?.verdictCount ?? 0,
        failureRate: successRate === null ? null : 1 - successRate,
        memoryPercent: memoryUsage?.usagePercent ?? null,
      },
      this.limits,
    );
    return {
      metrics: {
        networkStatus: network.getSnapshot(),
        syncQueueCount: pendingCount,
        failedRequestsCount: failedCount,
        memoryUsage,
        errorCount: this.errorCount,
        uptimeMs: this.clock.nowMs() - this.startedAtMs,
      },
      systemHealth,
      isAutoSyncing: processingCount > 0,
      lookedAtMs: metrics === null ? null : this.clock.wallMs(),
    };
  }
}
