import type { WaitingFor } from '../engine/engine-io.ts';
import type { WireError } from '../protocol/wire.ts';
import type { Runner } from './runner.ts';

/** The queue at a glance. The object stays the same until something in it changes. */
export interface QueueSnapshot {
  /** False until what is stored on this device has been read. */
  readonly isReady: boolean;
  readonly pendingCount: number;
  /** Of the pending ones, those on their way. */
  readonly processingCount: number;
  /** Dead letters. */
  readonly failedCount: number;
  /** Of the pending ones, edits that wait for a person to choose between two versions. */
  readonly conflictCount: number;
  readonly isPaused: boolean;
  /** Whether this tab is the one that delivers. */
  readonly isLeader: boolean;
  /** The store of this device cannot be used: what is pending is kept in this tab only. See `getStorageHealth`. */
  readonly isVolatile: boolean;
  /** What stops everything, if anything does. */
  readonly waitingFor: WaitingFor;
  readonly error: WireError | null;
}

/** The queue at a glance; before it is read, empty. */
export function snapshotOf(
  runner: Runner | null,
  isReady: boolean,
  blockedBy: WireError | null = null,
  isVolatile = false,
): QueueSnapshot {
  const counts = runner?.engine.mutations.counts ?? { pending: 0, processing: 0, failed: 0 };
  const closed = runner?.engine.closed(runner.moment().nowMs) ?? null;
  return {
    isReady,
    pendingCount: counts.pending,
    processingCount: counts.processing,
    failedCount: counts.failed,
    conflictCount: runner?.engine.mutations.openConflicts.size ?? 0,
    isPaused: runner?.engine.gates.isPaused ?? false,
    isLeader: runner?.engine.isLeader ?? false,
    isVolatile,
    waitingFor: blockedBy === null ? (closed?.waitingFor ?? 'nothing') : waitedFor(blockedBy),
    error: blockedBy ?? closed?.error ?? null,
  };
}

export function isSameSnapshot(left: QueueSnapshot, right: QueueSnapshot): boolean {
  return (Object.keys(left) as (keyof QueueSnapshot)[]).every((key) => left[key] === right[key]);
}

/** By a queue that is not open yet. */
function waitedFor({ code }: WireError): WaitingFor {
  return code === 'STORAGE_LOCKED' ? 'locked' : 'storage';
}
