/** What health is judged by. What was not measured is null. */
export interface HealthFigures {
  readonly isStorageDegraded: boolean;
  readonly oldestPendingAgeMs: number | null;
  /** Verdicts that the next figure is made of. */
  readonly verdictCount: number;
  /** Of the verdicts, those that were refusals: 0 to 1. */
  readonly failureRate: number | null;
  /** Of what this page may use, 0 to 100. */
  readonly memoryPercent: number | null;
}

/** From where on something is not as it should be. */
export interface HealthLimits {
  /** Degraded when something waits longer, in milliseconds. @default 300_000 */
  readonly oldestPendingAgeMsMax: number;
  /** Degraded from this share of refusals on, 0 to 1. @default 0.05 */
  readonly failureRateDegraded: number;
  /** Critical from this share of refusals on, 0 to 1. @default 0.25 */
  readonly failureRateCritical: number;
  /** Fewer verdicts say nothing about a rate. @default 10 */
  readonly verdictCountMin: number;
  /** @default 80 */
  readonly memoryPercentDegraded: number;
  /** @default 95 */
  readonly memoryPercentCritical: number;
}

export const HEALTH_LIMITS: HealthLimits = {
  oldestPendingAgeMsMax: 300_000,
  failureRateDegraded: 0.05,
  failureRateCritical: 0.25,
  verdictCountMin: 10,
  memoryPercentDegraded: 80,
  memoryPercentCritical: 95,
};

export type HealthStatus = 'healthy' | 'degraded' | 'critical';

/** One thing that is not as it should be. */
export interface HealthIssue {
  readonly code: 'STORAGE_DEGRADED' | 'OLDEST_PENDING' | 'FAILURE_RATE' | 'MEMORY';
  readonly status: 'degraded' | 'critical';
  /** What is the case, in a sentence. */
  readonly message: string;
  /** What to do about it, in the imperative. */
  readonly recommendation: string;
}

export interface SystemHealth {
  /** That of the worst issue. */
  readonly status: HealthStatus;
  /** The worst first. */
  readonly issues: readonly HealthIssue[];
  readonly recommendations: readonly string[];
}

export function assessHealth(figures: HealthFigures, limits: HealthLimits = HEALTH_LIMITS): SystemHealth {
  const found = [storage(figures), failures(figures, limits), age(figures, limits), memory(figures, limits)];
  const issues = found.filter((issue) => issue !== null);
  const ordered = [...issues.filter(isCritical), ...issues.filter((issue) => !isCritical(issue))];
  return {
    status: ordered[0]?.status ?? 'healthy',
    issues: ordered,
    recommendations: ordered.map(({ recommendation }) => recommendation),
  };
}

function isCritical({ status }: HealthIssue): boolean {
  return status === 'critical';
}

function storage({ isStorageDegraded }: HealthFigures): HealthIssue | null {
  if (!isStorageDegraded) return null;
  return {
    code: 'STORAGE_DEGRADED',
    status: 'critical',
    message: 'Changes cannot be kept on this device.',
    recommendation: 'Keep the app open until everything is sent, free some room, or open the app anew.',
  };
}

function failures({ failureRate, verdictCount }: HealthFigures, limits: HealthLimits): HealthIssue | null {
  if (failureRate === null || verdictCount < limits.verdictCountMin) return null;
  if (failureRate < limits.failureRateDegraded) return null;
  return {
    code: 'FAILURE_RATE',
    status: failureRate >= limits.failureRateCritical ? 'critical' : 'degraded',
    message: `${Math.round(100 * failureRate)} % of ${verdictCount} changes were not accepted.`,
    recommendation: 'Look at what was not accepted and why; correct it, then try it again.',
  };
}

function age({ oldestPendingAgeMs }: HealthFigures, limits: HealthLimits): HealthIssue | null {
  if (oldestPendingAgeMs === null || oldestPendingAgeMs <= limits.oldestPendingAgeMsMax) return null;
  return {
    code: 'OLDEST_PENDING',
    status: 'degraded',
    message: `A change has been waiting for ${Math.round(oldestPendingAgeMs / 60_000)} min.`,
    recommendation: 'See what it waits for in the list of pending changes; connect, sign in, or send now.',
  };
}

function memory({ memoryPercent }: HealthFigures, limits: HealthLimits): HealthIssue | null {
  if (memoryPercent === null || memoryPercent < limits.memoryPercentDegraded) return null;
  return {
    code: 'MEMORY',
    status: memoryPercent >= limits.memoryPercentCritical ? 'critical' : 'degraded',
    message: `The app uses ${Math.round(memoryPercent)} % of the memory that it may have.`,
    recommendation: 'Close what is not needed, or load the page anew: nothing that is saved gets lost by it.',
  };
}
