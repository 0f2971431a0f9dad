import type { Clock } from '../../ports/clock.ts';
import type { AppState } from '../../ports/network-source.ts';
import type {
  AppNotification,
  NotificationKind,
  NotificationPermissionState,
  NotificationPort,
} from '../../ports/notifications.ts';
import { systemClock } from '../../ports/system-clock.ts';
import type { ErrorCategory } from '../../protocol/wire.ts';
import { type SpelledNetwork, watchOfflineSpell } from './offline-spell.ts';

/** As much of a queue as is looked at. */
export interface NotifyingQueue {
  getSnapshot(): {
    readonly pendingCount: number;
    readonly processingCount: number;
    readonly failedCount: number;
    readonly isVolatile: boolean;
  };
  subscribe(listener: () => void): () => void;
  on(name: 'settled', listener: (settled: { readonly status: string }) => void): () => void;
  on(name: 'stored' | 'storageRestored', listener: () => void): () => void;
  onError(listener: (error: { readonly category: ErrorCategory }) => void): () => void;
  readonly network: SpelledNetwork & { getSnapshot(): { readonly appState: AppState } };
}

/** What a text may be made of. Payloads and messages are not among it: notifications are read on locked screens. */
export interface NotificationFigures {
  /** Of those being sent. */
  readonly confirmedCount: number;
  /** Of those being sent, and not retried or discarded since. */
  readonly refusedCount: number;
  /** Those two, and what is pending; what was taken back is none of them. */
  readonly totalCount: number;
  readonly pendingCount: number;
  /** All that were not accepted and need someone, whenever that was. */
  readonly failedCount: number;
  readonly isStorage: boolean;
}

export type NotificationTexts = {
  readonly [Kind in NotificationKind]: (figures: NotificationFigures) => {
    readonly title: string;
    readonly body: string;
  };
};

export interface NotifierOptions {
  readonly queue: NotifyingQueue;
  readonly port: NotificationPort;
  /** Words of one's own. */
  readonly texts?: Partial<NotificationTexts>;
  /** `inBackground`: only while the app is not before its user, who sees it on the screen otherwise. @default 'inBackground' */
  readonly shows?: 'inBackground' | 'always';
  /** From this many pending changes on progress and end are told. @default 10 */
  readonly progressCountMin?: number;
  /** How long the server must be out of reach before that is told, in milliseconds. @default 3_600_000 */
  readonly longOfflineMs?: number;
  /** @default the platform's */
  readonly clock?: Clock;
}

export interface Notifier {
  /** Asks the user; call it in answer to a tap. Resolves with `denied` where it cannot be asked. */
  readonly requestPermission: () => Promise<NotificationPermissionState>;
  /** Ends it, and takes back what it has told of as going on. */
  readonly stop: () => void;
}

/** Progress is told at most so often, in milliseconds. */
const PROGRESS_MS_MIN = 1_000;

/**
 * Tells the user of what happens while they look elsewhere: many changes being sent and done, a long time without the server,
 * changes that were not accepted. Without permission it is silent, and a port that fails harms nothing.
 */
export function createNotifier(options: NotifierOptions): Notifier {
  const { queue, port, shows = 'inBackground', progressCountMin = 10, longOfflineMs = 3_600_000 } = options;
  const clock = options.clock ?? systemClock;
  const texts: NotificationTexts = { ...TEXTS, ...options.texts };
  let confirmedCount = 0;
  let failedCountBefore = 0;
  let isSyncing = false;
  let toldAtMs = Number.NEGATIVE_INFINITY;
  let failure: 'none' | 'due' | 'told' = 'none';
  let isStorageTold = false;

  const figuresOf = (isStorage: boolean): NotificationFigures => {
    const { pendingCount, failedCount } = queue.getSnapshot();
    const refusedCount = Math.max(0, failedCount - failedCountBefore);
    const totalCount = confirmedCount + refusedCount + pendingCount;
    return { confirmedCount, refusedCount, totalCount, pendingCount, failedCount, isStorage };
  };

  /** One after the other: what is closed while it is being shown would stay. */
  let last: Promise<unknown> = Promise.resolve();
  const inTurn = (call: () => Promise<void> | void): void => {
    last = last.then(() => quietly(call));
  };
  const isSeen = (): boolean => shows === 'inBackground' && queue.network.getSnapshot().appState === 'active';
  const tell = (kind: NotificationKind, isStorage = false): void => {
    if (isSeen()) return;
    const figures = figuresOf(isStorage);
    inTurn(async () => {
      const notification: AppNotification = {
        tag: isStorage ? STORAGE_TAG : TAGS[kind],
        kind,
        isSilent: kind === 'syncProgress',
        ...texts[kind](figures),
      };
      if ((await port.permission()) === 'granted') await port.show(notification);
    });
  };
  const closeTag = (tag: string): void => inTurn(() => port.close(tag));
  const close = (kind: NotificationKind): void => closeTag(TAGS[kind]);

  const lookAtFailures = (): void => {
    if (failure === 'due') {
      failure = 'told';
      tell('criticalFailure');
    } else if (failure === 'told' && queue.getSnapshot().failedCount === 0) {
      failure = 'none';
      close('criticalFailure');
    }
  };

  /** What is stored, or stands on the device again, says that it can. */
  const canStore = (): void => {
    if (!isStorageTold || queue.getSnapshot().isVolatile) return;
    isStorageTold = false;
    closeTag(STORAGE_TAG);
  };

  const lookAtSync = (): void => {
    const { pendingCount, processingCount, failedCount } = queue.getSnapshot();
    if (!isSyncing && processingCount > 0 && pendingCount >= progressCountMin) {
      isSyncing = true;
      confirmedCount = 0;
      failedCountBefore = failedCount;
    }
    if (!isSyncing) return;
    if (pendingCount === 0) {
      isSyncing = false;
      // Of what was all taken back, or is seen in the app, there is nothing to tell; of how far it is, nothing any more.
      if (isSeen() || figuresOf(false).totalCount === 0) close('syncDone');
      else tell('syncDone');
    } else if (clock.nowMs() - toldAtMs >= PROGRESS_MS_MIN) {
      toldAtMs = clock.nowMs();
      tell('syncProgress');
    }
  };

  const stops = [
    queue.on('settled', ({ status }) => {
      if (status === 'completed') confirmedCount += 1;
      if (status === 'failed') failure = 'due';
    }),
    queue.onError(({ category }) => {
      if (category !== 'STORAGE_ERROR') return;
      isStorageTold = true;
      tell('criticalFailure', true);
    }),
    queue.on('stored', canStore),
    queue.on('storageRestored', canStore),
    queue.subscribe(() => {
      lookAtFailures();
      lookAtSync();
    }),
    watchOfflineSpell(queue.network, {
      clock,
      afterMs: longOfflineMs,
      onChange: (isLong) => {
        if (!isLong) close('longOffline');
        else if (queue.getSnapshot().pendingCount > 0) tell('longOffline');
      },
    }),
  ];
  return {
    requestPermission: async () => (await quietly(() => port.requestPermission())) ?? 'denied',
    stop: () => {
      for (const stop of stops) stop();
      // Of one login, which may be over; and nobody would take it back.
      for (const kind of [...(isSyncing ? ['syncProgress' as const] : []), 'longOffline', 'criticalFailure'] as const)
        close(kind);
      closeTag(STORAGE_TAG);
    },
  };
}

async function quietly<Value>(call: () => Promise<Value> | Value): Promise<Value | undefined> {
  try {
    return await call();
  } catch {
    return undefined;
  }
}

const TAGS: Readonly<Record<NotificationKind, string>> = {
  syncProgress: 'holdfast/sync',
  syncDone: 'holdfast/sync',
  longOffline: 'holdfast/offline',
  criticalFailure: 'holdfast/failure',
};

/** Of a critical failure that is about this device alone: it ends by itself. */
const STORAGE_TAG = 'holdfast/storage';

const TEXTS: NotificationTexts = {
  syncProgress: (figures) => ({ title: 'Sending your changes', body: progressOf(figures) }),
  syncDone: (figures) =>
    figures.refusedCount === 0
      ? { title: 'All changes are confirmed', body: `${changes(figures.confirmedCount, 'was', 'were')} sent.` }
      : { title: 'Not all changes are confirmed', body: progressOf(figures) },
  longOffline: ({ pendingCount }) => ({
    title: 'Offline for a long time',
    body: `${changes(pendingCount, 'waits', 'wait')} on this device for a connection. Nothing is lost.`,
  }),
  criticalFailure: ({ failedCount, isStorage }) =>
    isStorage
      ? { title: 'Changes cannot be saved', body: 'Open the app to see why.' }
      : { title: 'Not accepted', body: `${changes(failedCount, 'needs', 'need')} you. Open the app to see why.` },
};

function progressOf({ confirmedCount, refusedCount, totalCount }: NotificationFigures): string {
  const refused = refusedCount === 0 ? '' : `, ${refusedCount} ${refusedCount === 1 ? 'was' : 'were'} not accepted`;
  return `${confirmedCount} of ${totalCount} are confirmed${refused}.`;
}

function changes(count: number, verb: string, verbOfMany: string): string {
  return count === 1 ? `1 change ${verb}` : `${count} changes ${verbOfMany}`;
}
