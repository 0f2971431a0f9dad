import type { LiveMessage } from 'holdfast/protocol';
import { type CallerClaims, withCaller, workspaceOf } from './caller.ts';
import { type ChangePage, readChanges } from './change-feed.ts';
import type { Database } from './database.ts';
import { createRateLimit, type RateLimit } from './rate-limit.ts';
import { Refusal, refusalOf } from './refusal.ts';

/** Where messages of one subscriber go. */
export interface LiveSink {
  /** Resolves once there is room for more. Until then nothing more is read for this subscriber, so nothing piles up. */
  send(message: LiveMessage): Promise<void>;
  /** Called once, after the last message. */
  close(): void;
}

export interface LiveChannelOptions {
  readonly database: Database;
  /** How often the database is asked whether anything was committed, in milliseconds: once for all subscribers. @default 250 */
  readonly pollIntervalMs?: number;
  /** Most subscribers at a time; the next one is refused. @default 1_000 */
  readonly subscriberCountMax?: number;
  /** Most of them of one user in one workspace, so that nobody takes the places of others. @default 50 */
  readonly subscriberCountPerUserMax?: number;
  /** How often one user may begin to listen, each of which is a question to the database; `false` for no limit. @default 600 a minute */
  readonly rateLimit?: RateLimit | false;
  /** A subscriber that does not take what it is sent for so long is let go, in milliseconds. It resumes by its cursor. @default 30_000 */
  readonly slowAfterMs?: number;
  /** Told of what went wrong inside. */
  readonly onError?: (error: unknown) => void;
}

/**
 * Tells subscribers what changes in their workspace, in the order of commits, as far as each may read it. It keeps nothing: a
 * subscriber's place is its cursor, which any server goes on from.
 *
 *   timer or nudge ──▶ has anything been committed? ──yes──▶ each subscriber that is not being served reads on from its cursor
 *                        (one question for all)                 └─ page ─ send ─ room again? ─ page … until there is no more
 */
export interface LiveChannel {
  /** @returns what ends the subscription. The sink is closed when it ends for whatever reason. */
  subscribe(claims: CallerClaims, cursor: string | null, sink: LiveSink): () => void;
  /** Something was probably committed just now: look at once. A hint; without it the timer finds out. */
  nudge(): void;
  /** How many are subscribed. */
  readonly subscriberCount: number;
  /** Aborted by `close`, for those who hold lines that have not subscribed yet. */
  readonly closing: AbortSignal;
  /** Tells every subscriber to come again elsewhere, and ends. */
  close(): Promise<void>;
}

interface Subscriber {
  readonly claims: CallerClaims;
  readonly sink: LiveSink;
  cursor: string | null;
  isReady: boolean;
  isBusy: boolean;
  /** Something was committed while it was being served. */
  isStale: boolean;
  isEnded: boolean;
  expiry: NodeJS.Timeout | undefined;
}

const CLOSING_RETRY_MS = 1_000;
/** A database that has not said by then whether anything was committed is asked on another line, in milliseconds. */
const LOOK_MS_MAX = 5_000;
/** What went wrong inside may be over by then, in milliseconds. */
const INTERNAL_RETRY_MS = 5_000;

export function serverIsClosing(): Refusal {
  return new Refusal('SERVER_UNAVAILABLE', 'This server is closing.', 'Connect again.', undefined, CLOSING_RETRY_MS);
}

/** The last message of a line. Only what no time mends is final for whoever listens. */
export function refusedMessage(refusal: Refusal): LiveMessage {
  const retryAfterMs =
    refusal.retryAfterSeconds !== null
      ? refusal.retryAfterSeconds * 1_000
      : refusal.code === 'INTERNAL'
        ? INTERNAL_RETRY_MS
        : null;
  return { kind: 'refused', error: refusal.toWireError(), retryAfterMs };
}

export function createLiveChannel(options: LiveChannelOptions): LiveChannel {
  const { database, pollIntervalMs = 250, subscriberCountMax = 1_000, slowAfterMs = 30_000 } = options;
  const subscribers = new Set<Subscriber>();
  const { subscriberCountPerUserMax = 50 } = options;
  const countOfUser = (claims: CallerClaims): number => {
    const workspaceId = workspaceOf(claims);
    let count = 0;
    for (const other of subscribers)
      if (other.claims.sub === claims.sub && workspaceOf(other.claims) === workspaceId) count += 1;
    return count;
  };
  const countSubscription =
    options.rateLimit === false ? () => undefined : createRateLimit(options.rateLimit ?? {}, () => performance.now());
  /** @throws Refusal */
  const admit = (claims: CallerClaims): void => {
    if (isClosed || subscribers.size >= subscriberCountMax)
      throw new Refusal('SERVER_UNAVAILABLE', 'Too many are listening here.', 'Try again in a moment.');
    const workspaceId = workspaceOf(claims);
    if (workspaceId === null) {
      throw new Refusal(
        'FOREIGN_WORKSPACE',
        'This login does not belong to a workspace.',
        'Sign in to the workspace whose changes are wanted.',
      );
    }
    if (countOfUser(claims) >= subscriberCountPerUserMax) {
      throw new Refusal('TOO_MANY_REQUESTS', 'This user is listening too often.', 'Close what is not needed any more.');
    }
    countSubscription(`${workspaceId}\n${claims.sub}`);
  };
  let head: string | null = null;
  let timer: NodeJS.Timeout | undefined;
  let looking: Promise<void> | null = null;
  let isNudged = false;
  let isClosed = false;
  const closing = new AbortController();

  /** One look at a time; what is asked meanwhile is looked at again right after. */
  const look = (): Promise<void> => {
    if (looking !== null) {
      isNudged = true;
      return looking;
    }
    clearTimeout(timer);
    looking = lookOnce()
      .catch((error: unknown) => options.onError?.(error))
      .then(() => {
        looking = null;
        if (isClosed || subscribers.size === 0) return;
        if (isNudged) {
          isNudged = false;
          void look();
        } else {
          timer = setTimeout(() => void look(), pollIntervalMs);
        }
      });
    return looking;
  };

  const lookOnce = async (): Promise<void> => {
    const [row] = await database.query<{ head: string }>('select holdfast.feed_head() as head', [], {
      answerMsMax: LOOK_MS_MAX,
    });
    if (row === undefined || row.head === head) return;
    head = row.head;
    for (const subscriber of subscribers) serve(subscriber);
  };

  const serve = (subscriber: Subscriber): void => {
    if (subscriber.isBusy) {
      subscriber.isStale = true;
      return;
    }
    subscriber.isBusy = true;
    void readOn(subscriber)
      .catch((error: unknown) => {
        const refusal = refusalOf(error);
        if (refusal.code === 'INTERNAL') options.onError?.(error);
        return end(subscriber, refusal);
      })
      .then(() => {
        subscriber.isBusy = false;
        if (!subscriber.isStale || subscriber.isEnded) return;
        subscriber.isStale = false;
        serve(subscriber);
      });
  };

  const readOn = async (subscriber: Subscriber): Promise<void> => {
    for (let hasMore = true; hasMore && !subscriber.isEnded; ) {
      const page: ChangePage = await withCaller(database, subscriber.claims, (session) =>
        readChanges(session, { cursor: subscriber.cursor }),
      );
      if (subscriber.isEnded) return;
      if (page.resync) await tell(subscriber, { kind: 'resync', cursor: page.cursor });
      else if (!subscriber.isReady && subscriber.cursor === null)
        await tell(subscriber, { kind: 'ready', cursor: page.cursor });
      else {
        if (!subscriber.isReady) await tell(subscriber, { kind: 'ready', cursor: subscriber.cursor ?? page.cursor });
        if (page.changes.length > 0) {
          await tell(subscriber, {
            kind: 'changes',
            changes: page.changes,
            cursor: page.cursor,
            hasMore: page.hasMore,
          });
        }
      }
      subscriber.isReady = true;
      subscriber.cursor = page.cursor;
      ({ hasMore } = page);
    }
  };

  const tell = async (subscriber: Subscriber, message: LiveMessage): Promise<void> => {
    let tooSlow: NodeJS.Timeout | undefined;
    const slow = new Promise<never>((_, reject) => {
      tooSlow = setTimeout(
        () =>
          reject(
            new Refusal(
              'SERVER_UNAVAILABLE',
              'The changes were not taken for too long.',
              'Connect again; nothing is lost.',
            ),
          ),
        slowAfterMs,
      );
    });
    try {
      await Promise.race([subscriber.sink.send(message), slow]);
    } finally {
      clearTimeout(tooSlow);
    }
  };

  const end = async (subscriber: Subscriber, refusal: Refusal | null): Promise<void> => {
    if (subscriber.isEnded) return;
    subscriber.isEnded = true;
    subscribers.delete(subscriber);
    clearTimeout(subscriber.expiry);
    if (refusal !== null) {
      // whoever is too slow does not hear it either; the closed line says enough
      await Promise.race([
        subscriber.sink.send(refusedMessage(refusal)).catch(() => undefined),
        new Promise((resolve) => setTimeout(resolve, CLOSING_RETRY_MS)),
      ]);
    }
    subscriber.sink.close();
  };

  return {
    closing: closing.signal,
    get subscriberCount() {
      return subscribers.size;
    },
    subscribe(claims, cursor, sink) {
      const subscriber: Subscriber = {
        claims,
        sink,
        cursor,
        isReady: false,
        isBusy: false,
        isStale: false,
        isEnded: false,
        expiry: undefined,
      };
      try {
        admit(claims);
      } catch (error) {
        void end(subscriber, refusalOf(error));
        return () => undefined;
      }
      const expiresAt = claims['exp'];
      if (typeof expiresAt === 'number') {
        // a login that has ended reads nothing more; timers hold no more than 24.8 days
        const expiry = new Refusal(
          'TOKEN_EXPIRED',
          'The login has expired.',
          'Connect again with a fresh token.',
          undefined,
          0,
        );
        subscriber.expiry = setTimeout(
          () => void end(subscriber, expiry),
          Math.min(expiresAt * 1_000 - Date.now(), 2_000_000_000),
        );
      }
      subscribers.add(subscriber);
      serve(subscriber);
      if (subscribers.size === 1) void look();
      return () => void end(subscriber, null);
    },
    nudge() {
      if (subscribers.size > 0 && !isClosed) void look();
    },
    async close() {
      isClosed = true;
      clearTimeout(timer);
      closing.abort();
      await Promise.all([...subscribers].map((subscriber) => end(subscriber, serverIsClosing())));
      await looking;
    },
  };
}
