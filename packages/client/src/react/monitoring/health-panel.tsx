import { type ReactNode, useState } from 'react';
import type { DrainResult } from '../../queue/delivering/drain.ts';
import type { HealthStatus } from '../../telemetry/health.ts';
import { adviceOf } from '../advice-of.ts';
import type { MemoryUsage } from '../resources/memory-usage.ts';
import type { MonitoringMetrics } from './production-monitor.ts';
import { useProductionMonitoring } from './production-monitoring-provider.tsx';

export interface HealthPanelProps {
  /** @default 'Health' */
  readonly title?: string;
  readonly className?: string;
}

const STATUS: Readonly<Record<HealthStatus, { readonly tone: string; readonly text: string }>> = {
  healthy: { tone: 'calm', text: 'Healthy' },
  degraded: { tone: 'waiting', text: 'Degraded' },
  critical: { tone: 'alert', text: 'Critical' },
};

/** How the queue of this device does, what is wrong and what to do, with a button that sends now and one that looks anew. */
export function HealthPanel({ title = 'Health', className = '' }: HealthPanelProps): ReactNode {
  const { metrics, systemHealth, isAutoSyncing, syncAll, refreshMetrics } = useProductionMonitoring();
  const [progress, setProgress] = useState<{ readonly done: number; readonly total: number } | null>(null);
  const [said, setSaid] = useState('');
  const { tone, text } = STATUS[systemHealth.status];
  const isDisabled = progress !== null || metrics.syncQueueCount === 0;

  const send = async (): Promise<void> => {
    setProgress({ done: 0, total: metrics.syncQueueCount });
    try {
      const result = await syncAll((done, total) => setProgress({ done, total }));
      setSaid(describeDrain(result));
      await refreshMetrics();
    } catch (error) {
      setSaid(adviceOf(error));
    } finally {
      setProgress(null);
    }
  };
  const refresh = async (): Promise<void> => {
    await refreshMetrics();
    setSaid('Looked just now.');
  };

  return (
    <section className={`holdfast-panel ${className}`} aria-label={title}>
      <header className="holdfast-panel-head">
        <h2 className="holdfast-panel-title">{title}</h2>
        <span className="holdfast-pill" data-tone={tone}>
          <span className="holdfast-dot" aria-hidden="true" />
          <span role="status">{text}</span>
        </span>
      </header>
      {systemHealth.issues.length === 0 ? null : (
        <ul className="holdfast-list" aria-label="Issues">
          {systemHealth.issues.map(({ code, message, recommendation }) => (
            <li key={code} className="holdfast-item">
              <span className="holdfast-item-name">{message}</span>
              <p className="holdfast-item-reason">{recommendation}</p>
            </li>
          ))}
        </ul>
      )}
      <dl className="holdfast-figures">
        {figuresOf(metrics).map(([name, value]) => (
          <div key={name} className="holdfast-figure">
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      <div className="holdfast-item-actions">
        <button
          type="button"
          className="holdfast-button"
          data-tone="busy"
          // Not `disabled`: a button that loses the focus while it works throws people with a keyboard back to the top.
          aria-disabled={isDisabled}
          onClick={() => {
            if (!isDisabled) void send();
          }}
        >
          {progress === null ? 'Send now' : 'Sending'}
        </button>
        <button type="button" className="holdfast-button" onClick={() => void refresh()}>
          Refresh
        </button>
        {progress === null ? null : (
          <progress aria-label="Sent" value={progress.done} max={Math.max(1, progress.total)} />
        )}
      </div>
      <p className="holdfast-item-reason" role="status">
        {progress === null && isAutoSyncing ? 'Sending by itself.' : said}
      </p>
    </section>
  );
}

function figuresOf({
  networkStatus,
  syncQueueCount,
  failedRequestsCount,
  memoryUsage,
  errorCount,
  uptimeMs,
}: MonitoringMetrics): readonly (readonly [name: string, value: string])[] {
  const { isOnline, quality, latencyMs } = networkStatus;
  const line = latencyMs === null ? quality : `${quality}, ${Math.round(latencyMs)} ms`;
  return [
    ['Network', isOnline ? `Online (${line})` : 'Offline'],
    ['Waiting to be sent', String(syncQueueCount)],
    ['Not accepted', String(failedRequestsCount)],
    ['Errors', String(errorCount)],
    ['Memory', memoryUsage === null ? 'Not measured here' : describeMemory(memoryUsage)],
    ['Running for', describeSpan(uptimeMs)],
  ];
}

function describeMemory({ usedJSHeapSize, usagePercent }: MemoryUsage): string {
  return `${Math.round(usedJSHeapSize / 1e6)} MB, ${Math.round(usagePercent)} %`;
}

function describeSpan(spanMs: number): string {
  const minuteCount = Math.floor(spanMs / 60_000);
  if (minuteCount < 1) return 'less than a minute';
  if (minuteCount < 60) return `${minuteCount} min`;
  return `${Math.floor(minuteCount / 60)} h ${minuteCount % 60} min`;
}

function describeDrain({ succeeded, failed, total }: DrainResult): string {
  const waiting = total - succeeded - failed;
  const parts = [`${succeeded} of ${total} confirmed`];
  if (failed > 0) parts.push(`${failed} not accepted`);
  if (waiting > 0) parts.push(`${waiting} cannot be sent now`);
  return `${parts.join(', ')}.`;
}
