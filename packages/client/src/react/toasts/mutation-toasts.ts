import type { AnyMutationDefinition } from '../../mutation/definition.ts';
import { type HoldfastError, toHoldfastError } from '../../mutation/holdfast-error.ts';
import type { Clock } from '../../ports/clock.ts';
import { systemClock } from '../../ports/system-clock.ts';
import type { JsonObject } from '../../protocol/wire.ts';
import type { MutationQueue } from '../../queue/mutation-queue.ts';
import type { Settled, StoredEvent } from '../../queue/queue-events.ts';
import type { AnyQueue } from '../queue-context.ts';
import { GroupToast } from './group-toast.ts';
import type { Toast, ToastAction, ToastPort } from './toast-port.ts';
import {
  COMMON_WORDS,
  type CommonWords,
  type Said,
  saidAbout,
  type ToastTexts,
  type TypeTexts,
} from './toast-texts.ts';

export interface ToastsOptions<Definitions extends readonly AnyMutationDefinition[]> {
  readonly queue: MutationQueue<Definitions>;
  /** Shows them, such as `sonnerToasts(toast)`. */
  readonly port: ToastPort;
  /** What is said, by type. @default by the operation of the type, with the id of the row */
  readonly texts?: ToastTexts<NoInfer<Definitions>>;
  /** Words about the toasts themselves. @default English */
  readonly words?: Partial<CommonWords>;
  /** More unconfirmed changes than this that have a toast each share one. @default 3 */
  readonly groupOverCount?: number;
  /** How long "undo" is offered, in milliseconds. @default 5_000 */
  readonly undoMs?: number;
  /** @default the platform's */
  readonly clock?: Clock;
}

/** How long something good is said, in milliseconds. */
const DONE_MS = 4_000;
/** The shared toast counts at most this often, in milliseconds. */
const GROUP_MS = 100;

/** One change and its toast. */
interface Followed {
  readonly toastId: string;
  readonly said: Said;
  /** Takes it back; null where that is not offered (any more). */
  undo: (() => void) | null;
  undoUntilMs: number;
  /** What is shown, so that nothing is shown twice. */
  shown: string;
}

export type ToastChange = Partial<Omit<Toast, 'id'>> & Pick<Toast, 'tone' | 'text'>;

/**
 * One toast for each change made in this tab, which says what is true at the moment: being stored, saved on this device (and what it
 * waits for), confirmed, or refused and why, with a way to try again. Many at once share one. Made by `createToasts`.
 */
export class MutationToasts {
  readonly undoMs: number;
  private readonly queue: AnyQueue;
  private readonly port: ToastPort;
  private readonly texts: Readonly<Record<string, TypeTexts<never> | false | undefined>>;
  private readonly words: CommonWords;
  private readonly groupOverCount: number;
  private readonly clock: Clock;
  private readonly followed = new Map<string, Followed>();
  /** Confirmed, and may still be taken back. */
  private readonly undoable = new Map<string, Followed>();
  private readonly group: GroupToast;
  /** Toasts that are there before their mutation, by type; and those stored meanwhile, which are theirs or not. */
  private readonly begun = new Map<string, { count: number; readonly stored: StoredEvent[] }>();
  private stops: (() => void)[] = [];
  private startCount = 0;
  private toastCount = 0;
  private isLookDue = false;

  constructor(options: ToastsOptions<readonly AnyMutationDefinition[]>) {
    this.queue = options.queue;
    this.port = options.port;
    this.texts = (options.texts ?? {}) as typeof this.texts;
    this.words = { ...COMMON_WORDS, ...options.words };
    this.groupOverCount = options.groupOverCount ?? 3;
    this.undoMs = options.undoMs ?? 5_000;
    this.clock = options.clock ?? systemClock;
    this.group = new GroupToast({
      words: this.words,
      show: (id, change) => this.updateToast(id, change),
      newId: () => this.newId(),
      retry: (ids) =>
        void Promise.all(ids.map((id) => this.queue.retry(id))).catch((error) => this.queue.report(error)),
    });
  }

  /** Begins to listen to the queue; returns what ends that. The provider does both. */
  start(): () => void {
    this.startCount += 1;
    if (this.startCount === 1) {
      this.stops = [
        this.queue.on('stored', (stored) => this.stored(stored)),
        this.queue.on('settled', (settled) => this.settled(settled)),
        this.queue.on('change', ({ ids }) => this.changed(ids)),
      ];
    }
    return () => {
      this.startCount -= 1;
      if (this.startCount > 0) return;
      for (const stop of this.stops) stop();
      this.stops = [];
    };
  }

  /** A toast of the app's own that something is under way; returns its id for `updateToast`. */
  showLoading(text: string): string {
    const id = this.newId();
    this.updateToast(id, { tone: 'loading', text });
    return id;
  }

  /** Says something else on the same toast. What is done goes by itself, what failed stays. */
  updateToast(id: string, { tone, text, detail = null, action = null, durationMs }: ToastChange): void {
    const isOver = tone === 'success' || tone === 'info';
    this.port.show({ id, tone, text, detail, action, durationMs: durationMs ?? (isOver ? DONE_MS : null) });
  }

  dismiss(id: string): void {
    this.port.dismiss(id);
  }

  /** Says that something is done, and offers to take it back, for 5 seconds unless said otherwise. Returns the id of the toast. */
  showWithUndo(
    text: string,
    undo: () => void,
    { durationMs = this.undoMs }: { readonly durationMs?: number } = {},
  ): string {
    const id = this.newId();
    const onSelect = (): void => {
      this.port.dismiss(id);
      undo();
    };
    this.updateToast(id, { tone: 'success', text, action: { label: this.words.undo, onSelect }, durationMs });
    return id;
  }

  /** A change is about to be added: its toast is there before it is stored. Null where its type has none. */
  begin(type: string, payload: object): string | null {
    const said = this.saidAbout(type, payload as JsonObject);
    if (said === null) return null;
    const begun = this.begun.get(type) ?? { count: 0, stored: [] };
    begun.count += 1;
    this.begun.set(type, begun);
    const id = this.newId();
    // Of many, those that share a toast have none of their own before either.
    if (!this.isCrowded) this.updateToast(id, { tone: 'loading', text: said.words.storing(said.item) });
    return id;
  }

  /** It has been stored: the toast tells from now on what becomes of it. */
  follow(
    toastId: string | null,
    stored: { readonly id: string; readonly type: string; readonly payload: object },
    undo?: () => void,
  ): void {
    const said = this.saidAbout(stored.type, stored.payload as JsonObject);
    if (toastId === null || said === null) return;
    const before = this.followed.get(stored.id);
    // It has become part of an earlier one, which has a toast already.
    if (before !== undefined) this.port.dismiss(toastId);
    else this.add(stored.id, toastId, said, undo ?? null);
    this.endOfBegin(stored.type, stored.id);
  }

  /** It could not be stored, so nothing has happened. */
  notStored(
    toastId: string | null,
    about: { readonly type: string; readonly payload: object },
    error: HoldfastError,
    retry: () => void,
  ): void {
    const said = this.saidAbout(about.type, about.payload as JsonObject);
    if (toastId === null || said === null) return;
    const detail = [error.message, error.hint].filter(Boolean).join(' ');
    const again = (): void => {
      this.port.dismiss(toastId);
      retry();
    };
    this.updateToast(toastId, {
      tone: 'error',
      text: said.words.failed(said.item),
      detail,
      action: this.retryAction(again),
    });
    this.endOfBegin(about.type, null);
  }

  /** It is being taken back, or that has not worked. */
  takenBack(id: string, isDone: boolean): void {
    const followed = this.followed.get(id) ?? this.undoable.get(id);
    if (followed === undefined) return;
    this.undoable.delete(id);
    const { said, toastId } = followed;
    if (isDone) {
      this.followed.delete(id);
      this.updateToast(toastId, { tone: 'success', text: said.words.takenBack(said.item) });
      return;
    }
    followed.undo = null;
    this.updateToast(toastId, {
      tone: 'error',
      text: said.words.confirmed(said.item),
      detail: this.words.tooLate,
      durationMs: DONE_MS,
    });
  }

  private saidAbout(type: string, payload: JsonObject | null): Said | null {
    const definition = this.queue.definitions.get(type);
    return definition === undefined ? null : saidAbout(definition, this.texts[type], payload);
  }

  private newId(): string {
    this.toastCount += 1;
    return `holdfast-${this.toastCount}`;
  }

  private get isCrowded(): boolean {
    return this.followed.size >= this.groupOverCount || this.group.isOpen;
  }

  private stored(stored: StoredEvent): void {
    const begun = this.begun.get(stored.type);
    if (begun !== undefined && begun.count > 0) begun.stored.push(stored);
    else this.addStored(stored);
  }

  private addStored({ id, type, payload }: StoredEvent): void {
    const said = this.saidAbout(type, payload);
    if (said !== null && !this.followed.has(id) && !this.group.has(id)) this.add(id, this.newId(), said, null);
  }

  /** Those stored meanwhile that nobody has claimed were added by somebody else. */
  private endOfBegin(type: string, id: string | null): void {
    const begun = this.begun.get(type);
    if (begun === undefined) return;
    begun.count -= 1;
    const claimed = begun.stored.findIndex((stored) => stored.id === id);
    if (claimed >= 0) begun.stored.splice(claimed, 1);
    if (begun.count > 0) return;
    this.begun.delete(type);
    for (const stored of begun.stored) this.addStored(stored);
  }

  private add(id: string, toastId: string, said: Said, undo: (() => void) | null): void {
    // It may be settled already.
    const status = this.queue.peekStatus(id)?.status;
    if (this.isCrowded && status !== 'completed' && status !== 'failed') {
      this.port.dismiss(toastId);
      this.group.add(id);
      this.lookAtGroup();
      return;
    }
    const followed: Followed = { toastId, said, undo, undoUntilMs: this.clock.nowMs() + this.undoMs, shown: '' };
    this.followed.set(id, followed);
    if (undo !== null) {
      this.clock.schedule(this.undoMs, () => {
        followed.undo = null;
        this.undoable.delete(id);
        this.showPending(id);
      });
    }
    if (status === 'completed') this.confirmed(id, followed);
    else this.showPending(id);
  }

  private changed(ids: readonly string[]): void {
    // What stops all of them (offline, paused) is no change of any.
    for (const id of ids.length === 0 ? this.followed.keys() : ids) this.showPending(id);
    this.lookAtGroup();
  }

  /** At once, and then at most every so often: each look paints. */
  private lookAtGroup(): void {
    if (this.isLookDue) return;
    this.group.look(this.queue.getSnapshot().processingCount > 0);
    if (!this.group.isOpen) return;
    this.isLookDue = true;
    this.clock.schedule(GROUP_MS, () => {
      this.isLookDue = false;
      this.group.look(this.queue.getSnapshot().processingCount > 0);
    });
  }

  /** The truth about one that has no verdict yet. */
  private showPending(id: string): void {
    const followed = this.followed.get(id);
    const status = this.queue.peekStatus(id);
    if (followed === undefined || status === undefined) return;
    if (status.status !== 'pending' && status.status !== 'processing') return;
    const { said } = followed;
    const isOnItsWay = status.status === 'processing' || status.waitingFor === 'nothing';
    this.say(followed, {
      tone: isOnItsWay ? 'loading' : 'info',
      text: said.words.stored(said.item),
      detail: isOnItsWay ? null : status.sentence,
      action: this.undoAction(id, followed),
      durationMs: isOnItsWay ? null : Math.max(DONE_MS, this.undoLeftMs(followed)),
    });
  }

  private settled(settled: Settled): void {
    const { id, status } = settled;
    const error = status === 'failed' ? settled.error : null;
    if (this.group.settled(id, error?.message ?? null)) return;
    const followed = this.followed.get(id);
    if (status === 'completed') {
      if (followed !== undefined) this.confirmed(id, followed);
      return;
    }
    if (status === 'cancelled') {
      this.takenBack(id, true);
      return;
    }
    // Of an earlier run of the app: one tab says it.
    const known = followed ?? (this.queue.getSnapshot().isLeader ? this.fromEarlier(id) : null);
    if (known === null || error === null) return;
    this.followed.delete(id);
    this.say(known, {
      tone: 'error',
      text: known.said.words.failed(known.said.item),
      detail: [error.message, error.hint].filter(Boolean).join(' '),
      action: this.retryAction(() => this.retry(id, known)),
    });
  }

  private confirmed(id: string, followed: Followed): void {
    this.followed.delete(id);
    if (followed.undo !== null) this.undoable.set(id, followed);
    this.sayConfirmed(id, followed);
  }

  private sayConfirmed(id: string, followed: Followed): void {
    const { said } = followed;
    const action = this.undoAction(id, followed);
    const durationMs = Math.max(DONE_MS, this.undoLeftMs(followed));
    this.say(followed, { tone: 'success', text: said.words.confirmed(said.item), action, durationMs });
  }

  private fromEarlier(id: string): Followed | null {
    const status = this.queue.peekStatus(id);
    const said = status === undefined ? null : this.saidAbout(status.type, null);
    if (status === undefined || said === null) return null;
    const item = status.entity?.id ?? said.item;
    return { toastId: this.newId(), said: { ...said, item }, undo: null, undoUntilMs: 0, shown: '' };
  }

  private retry(id: string, followed: Followed): void {
    this.followed.set(id, followed);
    this.queue.retry(id).catch((error: unknown) => this.queue.report(toHoldfastError(error)));
  }

  private say(followed: Followed, change: ToastChange): void {
    const words = [change.tone, change.text, change.detail, change.action?.label].join('\n');
    if (words === followed.shown) return;
    followed.shown = words;
    this.updateToast(followed.toastId, change);
  }

  private undoLeftMs({ undo, undoUntilMs }: Followed): number {
    return undo === null ? 0 : Math.max(0, undoUntilMs - this.clock.nowMs());
  }

  /** Chosen once, it is not offered any more: the next word on the toast says what came of it. */
  private undoAction(id: string, followed: Followed): ToastAction | null {
    if (followed.undo === null) return null;
    const onSelect = (): void => {
      const { undo } = followed;
      followed.undo = null;
      if (this.undoable.has(id)) this.sayConfirmed(id, followed);
      else this.showPending(id);
      undo?.();
    };
    return { label: this.words.undo, onSelect };
  }

  private retryAction(onSelect: () => void): ToastAction {
    return { label: this.words.retry, onSelect };
  }
}

/**
 * Makes the toasts of a queue. Hand them to the provider (`toasts`).
 *
 * ```ts
 * const toasts = createToasts({
 *   queue,
 *   port: sonnerToasts(toast),
 *   texts: { 'account.create': { item: ({ name }) => name } },
 * });
 * ```
 */
export function createToasts<const Definitions extends readonly AnyMutationDefinition[]>(
  options: ToastsOptions<Definitions>,
): MutationToasts {
  return new MutationToasts(options as unknown as ToastsOptions<readonly AnyMutationDefinition[]>);
}
