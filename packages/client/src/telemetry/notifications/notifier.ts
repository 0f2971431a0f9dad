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
  getSnapshot(): { readonly pendingCount: number; readonly processingCount: number };
  subscribe(listener: () => void): () => void;
  on(name: 'settled', listener: (settled: { readonly status: string }) => void): () => void;
  onError(listener: (error: { readonly category: ErrorCategory }) => void): () => void;
  readonly network: SpelledNetwork & { getSnapshot(): { readonly appState: AppState } };
}

/** What a text may be made of. Payloads and messages are not among it: notifications are read on locked screens. */
export interface NotificationFigures {
  readonly doneCount: number;
  readonly totalCount: number;
  readonly pendingCount: number;
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
  let doneCount = 0;
  let failedCount = 0;
  let isSyncing = false;
  let toldAtMs = Number.NEGATIVE_INFINITY;

  const tell = async (kind: NotificationKind, isStorage = false): Promise<void> => {
    const { pendingCount } = queue.getSnapshot();
    if (shows === 'inBackground' && queue.network.getSnapshot().appState === 'active') return;
    const figures = { doneCount, totalCount: doneCount + pendingCount, pendingCount, failedCount, isStorage };
    const notification: AppNotification = {
      tag: TAGS[kind],
      kind,
      isSilent: kind === 'syncProgress',
      ...texts[kind](figures),
    };
    await quietly(async () => {
      if ((await port.permission()) === 'granted') await port.show(notification);
    });
  };

  const look = (): void => {
    const { pendingCount, processingCount } = queue.getSnapshot();
    if (!isSyncing && processingCount > 0 && pendingCount >= progressCountMin) {
      isSyncing = true;
      doneCount = 0;
    }
    if (!isSyncing) return;
    if (pendingCount === 0) {
      isSyncing = false;
      void tell('syncDone');
    } else if (clock.nowMs() - toldAtMs >= PROGRESS_MS_MIN) {
      toldAtMs = clock.nowMs();
      void tell('syncProgress');
    }
  };

  const stops = [
    queue.on('settled', ({ status }) => {
      doneCount += 1;
      if (status !== 'failed') return;
      failedCount += 1;
      void tell('criticalFailure');
    }),
    queue.onError(({ category }) => {
      if (category === 'STORAGE_ERROR') void tell('criticalFailure', true);
    }),
    queue.subscribe(look),
    watchOfflineSpell(queue.network, {
      clock,
      afterMs: longOfflineMs,
      onChange: (isLong) => {
        if (!isLong) void quietly(() => port.close(TAGS.longOffline));
        else if (queue.getSnapshot().pendingCount > 0) void tell('longOffline');
      },
    }),
  ];
  return {
    requestPermission: async () => (await quietly(() => port.requestPermission())) ?? 'denied',
    stop: () => {
      for (const stop of stops) stop();
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

const TEXTS: NotificationTexts = {
  syncProgress: ({ doneCount, totalCount }) => ({
    title: 'Sending your changes',
    body: `${doneCount} of ${totalCount} are confirmed.`,
  }),
  syncDone: ({ doneCount }) => ({
    title: 'Everything is sent',
    body: `${changes(doneCount, 'has', 'have')} been answered.`,
  }),
  longOffline: ({ pendingCount }) => ({
    title: 'Offline for a long time',
    body: `${changes(pendingCount, 'waits', 'wait')} on this device for a connection. Nothing is lost.`,
  }),
  criticalFailure: ({ failedCount, isStorage }) =>
    isStorage
      ? { title: 'Changes cannot be saved', body: 'Open the app to see why.' }
      : { title: 'Not accepted', body: `${changes(failedCount, 'needs', 'need')} you. Open the app to see why.` },
};

function changes(count: number, verb: string, verbOfMany: string): string {
  return count === 1 ? `1 change ${verb}` : `${count} changes ${verbOfMany}`;
}
