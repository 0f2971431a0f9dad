import * as v from 'valibot';
import type { Clock, Random } from '../ports/clock.ts';
import { systemClock, systemRandom } from '../ports/system-clock.ts';
import type { Change, LiveMessage } from '../protocol/live.ts';
import { type OpenSocket, platformSocket } from './browser-socket.ts';
import { type Fetch, platformFetch } from '../delivery/http-fetch.ts';
import { readLiveEvents, readLiveSocket } from './live-lines.ts';
import { wait } from '../delivery/wait.ts';

/** `offline`: not connected, and trying again by itself. `stopped`: by `stop`, or because the server will never let this login in. */
export type LiveState = 'connecting' | 'live' | 'offline' | 'stopped';

export interface LiveChangesOptions {
  /** Address of the server's live channel, such as `/v1/live`; a path is that of the page. */
  readonly url: string;
  /** A token for the login whose changes are wanted; null when nobody is signed in. `refresh`: the last one was not accepted. */
  readonly getToken: (options: { readonly refresh: boolean }) => Promise<string | null>;
  /**
   * Called with what was committed, in its order, one call after the other. The next ones are taken once it has resolved, and
   * only then the cursor moves on; if it rejects, the same changes come again.
   */
  readonly onChanges: (changes: readonly Change[], cursor: string) => void | Promise<void>;
  /** From here on nothing is left out, and what came before is not known: read everything that is shown. */
  readonly onRefresh: (cursor: string) => void | Promise<void>;
  readonly onState?: (state: LiveState) => void;
  /** Where to go on, as `onChanges` told it before a restart. @default from now on, which calls `onRefresh` */
  readonly cursor?: string | null;
  /** @default the platform's `fetch` */
  readonly fetch?: Fetch;
  /** Opens a WebSocket; null for Server-Sent Events only. @default the platform's */
  readonly openSocket?: OpenSocket | null;
  readonly clock?: Clock;
  readonly random?: Random;
}

export interface LiveChanges {
  readonly state: LiveState;
  /** Of what was handled last; null until something was. */
  readonly cursor: string | null;
  readonly stop: () => void;
}

const BACKOFF_MS_BASE = 1_000;
const BACKOFF_MS_MAX = 30_000;
/** A WebSocket over which nothing came so often in a row is taken for blocked, and the other way is tried. */
const SOCKET_FAILURES_MAX = 2;
/** Codes that a fresh token may mend. */
const LOGIN_CODES = ['TOKEN_MISSING', 'TOKEN_INVALID', 'TOKEN_EXPIRED'];

/** Only the shape that is relied on; the server is ours, and newer ones may say more. */
const messageSchema = v.variant('kind', [
  v.looseObject({ kind: v.literal('ready'), cursor: v.string() }),
  v.looseObject({ kind: v.literal('resync'), cursor: v.string() }),
  v.looseObject({
    kind: v.literal('changes'),
    cursor: v.string(),
    hasMore: v.boolean(),
    changes: v.array(
      v.looseObject({ id: v.string(), entityType: v.string(), entityId: v.string(), action: v.string() }),
    ),
  }),
  v.looseObject({
    kind: v.literal('refused'),
    error: v.looseObject({ code: v.string() }),
    retryAfterMs: v.nullable(v.number()),
  }),
]);

/**
 * Follows what is committed in the workspace of the login, by whomever. It connects again by itself, after a pause that doubles
 * up to 30 s, and goes on from where it was: over WebSocket, and where none gets through, by Server-Sent Events.
 */
export function followChanges(options: LiveChangesOptions): LiveChanges {
  const { clock = systemClock, random = systemRandom, fetch = platformFetch, openSocket = platformSocket } = options;
  const stopping = new AbortController();
  let state: LiveState = 'connecting';
  let cursor = options.cursor ?? null;
  let failureCount = 0;
  let socketFailureCount = 0;
  let needsFreshToken = false;
  let isRefreshDue = cursor === null;

  const become = (next: LiveState): void => {
    if (state === next) return;
    state = next;
    options.onState?.(next);
  };

  /** @returns whether to go on with this line. */
  const handle = async (message: LiveMessage): Promise<boolean> => {
    switch (message.kind) {
      case 'ready':
        if (isRefreshDue) await options.onRefresh(message.cursor);
        isRefreshDue = false;
        cursor = message.cursor;
        failureCount = 0;
        become('live');
        return true;
      case 'resync':
        isRefreshDue = true;
        await options.onRefresh(message.cursor);
        isRefreshDue = false;
        cursor = message.cursor;
        return true;
      case 'changes':
        await options.onChanges(message.changes, message.cursor);
        cursor = message.cursor;
        return true;
      default:
        return refuse(message);
    }
  };

  const refuse = ({ error, retryAfterMs }: Extract<LiveMessage, { kind: 'refused' }>): false => {
    if (LOGIN_CODES.includes(error.code)) needsFreshToken = true;
    else if (error.code === 'INVALID_REQUEST' && cursor !== null) {
      // a place that the server does not know: begin anew
      cursor = null;
      isRefreshDue = true;
    } else if (retryAfterMs === null) {
      become('stopped');
      stopping.abort();
    }
    return false;
  };

  const connect = async (): Promise<void> => {
    const token = await options.getToken({ refresh: needsFreshToken });
    needsFreshToken = false;
    if (token === null) return;
    const viaSocket = openSocket !== null && socketFailureCount < SOCKET_FAILURES_MAX;
    const line = viaSocket
      ? readLiveSocket(openSocket, { url: options.url, token, cursor, signal: stopping.signal })
      : readLiveEvents(fetch, { url: options.url, token, cursor, signal: stopping.signal });
    let wasHeard = false;
    try {
      for await (const text of line) {
        const message = v.parse(messageSchema, JSON.parse(text)) as LiveMessage;
        wasHeard = true;
        if (!(await handle(message)) || stopping.signal.aborted) break;
      }
    } finally {
      if (wasHeard) socketFailureCount = 0;
      else if (viaSocket) socketFailureCount += 1;
    }
  };

  const run = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      await connect().catch(() => undefined);
      if (stopping.signal.aborted) break;
      become('offline');
      const delayMs = Math.min(BACKOFF_MS_MAX, BACKOFF_MS_BASE * 2 ** failureCount) * (0.5 + random() / 2);
      failureCount += 1;
      await wait(clock, delayMs, stopping.signal).catch(() => undefined);
    }
    become('stopped');
  };
  void run();

  return {
    get state() {
      return state;
    },
    get cursor() {
      return cursor;
    },
    stop: () => stopping.abort(),
  };
}
