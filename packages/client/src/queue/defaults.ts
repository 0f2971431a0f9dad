import { LINE_DELAY_MS_BASE, LINE_DELAY_MS_MAX, LINE_JITTER } from '../engine/backoff.ts';
import { RATE_LIMIT_MS_MAX } from '../engine/gates.ts';
import { LEVEL_MS } from '../engine/lanes.ts';
import { RETRY_DEFAULTS, type RetryRules } from '../mutation/definition.ts';
import { LATENCY_VALID_MS, PROBE_TIMEOUT_MS } from '../network/network-monitor.ts';
import { LIMITS } from '../protocol/wire.ts';
import { COMPRESS_OVER_LENGTH } from '../storage/compressed-storage.ts';
import { CACHE_BYTES } from '../storage/text-cache.ts';
import { LOG_ENTRY_COUNT } from '../telemetry/debug-log.ts';
import {
  ATTEMPT_TIMEOUT_MS,
  CONFIRMED_TAIL_BYTES,
  CONFIRMED_TAIL_MS,
  HISTORY_MS,
  PAUSE_GRACE_MS,
  QUEUE_CAP_BYTES,
  QUEUE_CAP_COUNT,
} from './options.ts';

/** Every default of a queue, and every figure that it keeps to, in one place. The queue reads the same constants. */
export interface Defaults {
  /** How a refused mutation is tried again; `retry` of `defineMutation` changes it. */
  readonly retry: RetryRules;
  /** How the server is asked whether it is there, once the line has failed. */
  readonly line: {
    /** Wait after the first failure, doubling with each, in milliseconds. */
    readonly delayMsBase: number;
    /** Longest wait, before jitter, in milliseconds. */
    readonly delayMsMax: number;
    /** Up to this share is added to each wait, drawn anew. */
    readonly jitter: number;
    /** Longest wait for a probe's answer, in milliseconds. */
    readonly probeTimeoutMs: number;
  };
  /** `attemptTimeoutMs` of `createQueue`. */
  readonly attemptTimeoutMs: number;
  /** `queueCapCount` of `createQueue`. */
  readonly queueCapCount: number;
  /** `queueCapBytes` of `createQueue`. */
  readonly queueCapBytes: number;
  /** `compressOverLength` of `createQueue`. */
  readonly compressOverLength: number;
  /** `cacheBytes` of `createQueue`. */
  readonly cacheBytes: number;
  /** What is on its way at `pause()` may take this long to end, in milliseconds. */
  readonly pauseGraceMs: number;
  /** A lane that waits rises one level of priority in this time, in milliseconds. */
  readonly priorityLevelMs: number;
  /** A server that asks for a longer pause than this is asked again after it, in milliseconds. */
  readonly rateLimitMsMax: number;
  /** History of confirmed mutations is kept this long, in milliseconds. */
  readonly historyMs: number;
  /** `confirmedTailMs` of `createQueue`. */
  readonly confirmedTailMs: number;
  /** `confirmedTailBytes` of `createQueue`. */
  readonly confirmedTailBytes: number;
  /** A measured latency counts this long, in milliseconds. */
  readonly latencyValidMs: number;
  /** Entries that the log keeps. */
  readonly logEntryCount: number;
  /** Limits that device and server both keep to. */
  readonly limits: typeof LIMITS;
}

export const defaults: Defaults = Object.freeze({
  retry: Object.freeze(RETRY_DEFAULTS),
  line: Object.freeze({
    delayMsBase: LINE_DELAY_MS_BASE,
    delayMsMax: LINE_DELAY_MS_MAX,
    jitter: LINE_JITTER,
    probeTimeoutMs: PROBE_TIMEOUT_MS,
  }),
  attemptTimeoutMs: ATTEMPT_TIMEOUT_MS,
  queueCapCount: QUEUE_CAP_COUNT,
  queueCapBytes: QUEUE_CAP_BYTES,
  compressOverLength: COMPRESS_OVER_LENGTH,
  cacheBytes: CACHE_BYTES,
  pauseGraceMs: PAUSE_GRACE_MS,
  priorityLevelMs: LEVEL_MS,
  rateLimitMsMax: RATE_LIMIT_MS_MAX,
  historyMs: HISTORY_MS,
  confirmedTailMs: CONFIRMED_TAIL_MS,
  confirmedTailBytes: CONFIRMED_TAIL_BYTES,
  latencyValidMs: LATENCY_VALID_MS,
  logEntryCount: LOG_ENTRY_COUNT,
  limits: Object.freeze(LIMITS),
});
