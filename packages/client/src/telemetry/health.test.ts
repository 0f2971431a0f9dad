import { describe, expect, it } from 'vitest';
import { assessHealth, HEALTH_LIMITS, type HealthFigures } from './health.ts';

const WELL: HealthFigures = {
  isStorageDegraded: false,
  oldestPendingAgeMs: 60_000,
  verdictCount: 100,
  failureRate: 0.01,
  memoryPercent: 40,
};

describe('health', () => {
  it('E5 · with nothing measured, and with everything in order, it is healthy', () => {
    const nothing = { ...WELL, oldestPendingAgeMs: null, verdictCount: 0, failureRate: null, memoryPercent: null };
    for (const figures of [WELL, nothing])
      expect(assessHealth(figures)).toEqual({ status: 'healthy', issues: [], recommendations: [] });
  });

  it.each([
    { figures: { oldestPendingAgeMs: 300_000 }, status: 'healthy' },
    { figures: { oldestPendingAgeMs: 300_001 }, status: 'degraded' },
    { figures: { failureRate: 0.049 }, status: 'healthy' },
    { figures: { failureRate: 0.05 }, status: 'degraded' },
    { figures: { failureRate: 0.249 }, status: 'degraded' },
    { figures: { failureRate: 0.25 }, status: 'critical' },
    { figures: { failureRate: 1, verdictCount: 9 }, status: 'healthy' },
    { figures: { memoryPercent: 79.9 }, status: 'healthy' },
    { figures: { memoryPercent: 80 }, status: 'degraded' },
    { figures: { memoryPercent: 95 }, status: 'critical' },
    { figures: { isStorageDegraded: true }, status: 'critical' },
  ])('E5 · with $figures it is $status', ({ figures, status }) => {
    expect(assessHealth({ ...WELL, ...figures }).status).toBe(status);
  });

  it('E5 · of several issues the worst comes first, each with what to do', () => {
    const health = assessHealth({ ...WELL, oldestPendingAgeMs: 600_000, isStorageDegraded: true, failureRate: 0.06 });
    expect(health.status).toBe('critical');
    expect(health.issues.map(({ code }) => code)).toEqual(['STORAGE_DEGRADED', 'FAILURE_RATE', 'OLDEST_PENDING']);
    expect(health.issues.map(({ message }) => message)).toMatchInlineSnapshot(`
      [
        "Changes cannot be kept on this device.",
        "6 % of 100 changes were not accepted.",
        "A change has been waiting for 10 min.",
      ]
    `);
    expect(health.recommendations).toHaveLength(3);
  });

  it('E5 · limits are the app’s to set', () => {
    const limits = { ...HEALTH_LIMITS, oldestPendingAgeMsMax: 10_000, verdictCountMin: 1 };
    expect(assessHealth({ ...WELL, oldestPendingAgeMs: 10_001 }, limits).status).toBe('degraded');
    expect(assessHealth({ ...WELL, verdictCount: 1, failureRate: 1 }, limits).status).toBe('critical');
  });
});
