import { RECORD_FORMAT } from '../../mutation/record.ts';
import type { NetworkStatus } from '../../network/network-monitor.ts';
import { PROTOCOL_VERSION } from '../../protocol/wire.ts';
import { type DebugLog, type LogEntry, safeCode } from '../../telemetry/debug-log.ts';
import { PACKAGE_VERSION } from '../../telemetry/version.ts';
import type { ResolvedOptions } from '../options.ts';
import type { QueueSnapshot } from '../queue-snapshot.ts';

/**
 * What goes with a bug report: a plain object for `JSON.stringify`. In it are versions, figures, codes, types and ids of
 * mutations; no payload, token, address, message, or name of a user or workspace.
 */
export interface LogExport {
  readonly versions: { readonly holdfast: string; readonly protocol: number; readonly recordFormat: number };
  /** By the device's clock (ISO 8601). */
  readonly exportedAt: string;
  readonly options: {
    readonly name: string;
    readonly types: readonly { readonly type: string; readonly version: number }[];
    readonly hasAuth: boolean;
    readonly attemptTimeoutMs: number;
    readonly queueCapCount: number;
    readonly queueCapBytes: number;
  };
  readonly state: Omit<QueueSnapshot, 'error'> & { readonly errorCode: string | null };
  readonly network: NetworkStatus;
  /** Oldest first. */
  readonly entries: readonly LogEntry[];
  /** Older entries that are not kept any more. */
  readonly droppedCount: number;
}

export function exportLog(
  log: DebugLog,
  options: ResolvedOptions,
  { error, ...state }: QueueSnapshot,
  network: NetworkStatus,
): LogExport {
  const { name, definitions, attemptTimeoutMs, queueCapCount, queueCapBytes, clock } = options;
  return {
    versions: { holdfast: PACKAGE_VERSION, protocol: PROTOCOL_VERSION, recordFormat: RECORD_FORMAT },
    exportedAt: new Date(clock.wallMs()).toISOString(),
    options: {
      name,
      types: [...definitions.values()].map(({ type, version = 1 }) => ({ type, version })),
      hasAuth: options.getToken !== null,
      attemptTimeoutMs,
      queueCapCount,
      queueCapBytes,
    },
    state: { ...state, errorCode: error === null ? null : safeCode(error.code) },
    network,
    entries: log.entries,
    droppedCount: log.droppedCount,
  };
}
