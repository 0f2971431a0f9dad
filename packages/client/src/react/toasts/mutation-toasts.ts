import type { AnyMutationDefinition } from '../../mutation/definition.ts';
import { type HoldfastError, isHoldfastError } from '../../mutation/holdfast-error.ts';
import type { Clock } from '../../ports/clock.ts';
import { systemClock } from '../../ports/system-clock.ts';
import type { JsonObject } from '../../protocol/wire.ts';
import type { MutationQueue } from '../../queue/mutation-queue.ts';
import type { Settled, StoredEvent } from '../../queue/queue-events.ts';
import type { AnyQueue } from '../queue-context.ts';
import { ChangeToast, DONE_MS, type ToastFace } from './change-toast.ts';
import { GroupToast } from './group-toast.ts';
import type { ToastChange, ToastParts } from './toast-parts.ts';
import type { ToastPort } from './toast-port.ts';
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

/**
 * Of all queues of the page: what shows toasts takes an old one away some frames after it was told to, by its id, which must not be that of
 * a new one by then.
 */
let toastCount = 0;

/** How long the tab that delivers waits for the one that has made a change to say that it tells of it, in milliseconds. */
const CLAIM_MS = 500;

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
  private readonly parts: ToastParts;
  /** By mutation, as long as something may become of it; what undoes one leads to its toast as well. */
  private readonly changes = new Map<string, ChangeToast>();
  /** By mutation: those that share a toast. */
  private readonly groups = new Map<string, GroupToast>();
  /** The one that others may still share. */
  private group: GroupToast | null = null;
  /** Shared by those of an earlier run of the app that were refused. */
  private earlier: GroupToast | null = null;
  /** Whoever adds these tells of them until their verdict. */
  private readonly toldElsewhere = new Set<string>();
  /** Refused, and made in another run of the app: by another tab, which then tells of it itself, or by one that is gone. */
  private readonly unclaimed = new Set<string>();
  /** Toasts that are there until something else is said on them. */
  private readonly standing = new Set<string>();
  /** Toasts of changes that could not be stored, by row: a later change of that makes them void. */
  private readonly unstored = new Map<string, string>();
  /** Toasts that are there before their mutation, by type; and those stored meanwhile, which are theirs or not. */
  private readonly begun = new Map<string, { count: number; stored: StoredEvent[] }>();
  private stops: (() => void)[] = [];
  private startCount = 0;

  constructor(options: ToastsOptions<readonly AnyMutationDefinition[]>) {
    this.queue = options.queue;
    this.port = options.port;
    this.texts = (options.texts ?? {}) as typeof this.texts;
    this.words = { ...COMMON_WORDS, ...options.words };
    this.groupOverCount = options.groupOverCount ?? 3;
    this.undoMs = options.undoMs ?? 5_000;
    this.clock = options.clock ?? systemClock;
    this.parts = {
      queue: this.queue,
      clock: this.clock,
      words: this.words,
      show: (toastId, change) => this.updateToast(toastId, change),
      dismiss: (toastId) => this.dismiss(toastId),
      retry: (toastId, text, ids) => this.retry(toastId, text, ids),
    };
  }

  /**
   * Begins to listen to the queue; returns what ends that, and takes away what nobody would change any more. The provider does both.
   */
  start(): () => void {
    this.startCount += 1;
    if (this.startCount === 1) {
      this.stops = [
        this.queue.on('stored', (stored) => this.stored(stored)),
        this.queue.on('amended', (amended) => this.makeVoid(amended)),
        this.queue.on('settled', (settled) => this.settled(settled)),
        this.queue.on('change', ({ ids }) => this.changed(ids)),
        this.queue.on('toldElsewhere', ({ id }) => this.unclaimed.delete(id)),
      ];
      // What has happened while nobody listened.
      const known = [...this.changes.keys(), ...this.groups.keys()];
      if (known.length > 0) this.changed(known);
    }
    return () => {
      this.startCount -= 1;
      if (this.startCount > 0) return;
      for (const stop of this.stops) stop();
      this.stops = [];
      for (const id of [...this.standing]) this.dismiss(id);
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
    // Null is said, and not left open: such a one stays.
    const lastsMs = durationMs === undefined ? (isOver ? DONE_MS : null) : durationMs;
    if (lastsMs === null) this.standing.add(id);
    else this.standing.delete(id);
    this.port.show({ id, tone, text, detail, action, durationMs: lastsMs });
  }

  dismiss(id: string): void {
    this.standing.delete(id);
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
      this.dismiss(id);
      undo();
    };
    this.updateToast(id, { tone: 'success', text, action: { label: this.words.undo, onSelect }, durationMs });
    return id;
  }

  /** A change is about to be added: its toast is there before it is stored. Null where its type has none. */
  begin(type: string, payload: object): string | null {
    const said = this.saidAbout(type, payload as JsonObject);
    if (said === null) return null;
    this.hold(type);
    const id = this.newId();
    // Of many, those that share a toast have none of their own before either.
    if (!this.isCrowded) this.updateToast(id, { tone: 'loading', text: said.words.storing(said.item) });
    return id;
  }

  /** It has been stored: the toast tells from now on what becomes of it. */
  follow(
    toastId: string | null,
    { id, type, payload }: { readonly id: string; readonly type: string; readonly payload: object },
    undo?: () => void,
  ): void {
    const said = this.saidAbout(type, payload as JsonObject);
    if (toastId === null || said === null) return;
    this.add(id, { toastId, said, undo: undo ?? null });
    this.release(type, id);
  }

  /** It could not be stored, so nothing has happened. */
  notStored(
    toastId: string | null,
    about: { readonly type: string; readonly payload: object },
    error: HoldfastError,
    retry: () => void,
  ): void {
    const change = { type: about.type, payload: about.payload as JsonObject };
    const said = this.saidAbout(change.type, change.payload);
    if (toastId === null || said === null) return;
    const onSelect = (): void => {
      this.makeVoid(change);
      this.dismiss(toastId);
      retry();
    };
    // The same was tried before, and is told of here.
    this.makeVoid(change);
    this.unstored.set(this.rowOf(change), toastId);
    this.updateToast(toastId, {
      tone: 'error',
      text: said.words.failed(said.item),
      detail: this.words.refused(error),
      action: { label: this.words.retry, onSelect },
    });
    this.release(about.type, null);
  }

  /** A change is to be undone: its toast tells from now on how far that is. */
  undoing(id: string): void {
    this.at(id, (change) => change.undoing());
  }

  /** Adds what undoes a change, and tells of it on the same toast. */
  async addUndoing<Handle extends { readonly id: string }>(
    id: string,
    type: string,
    add: () => Promise<Handle>,
  ): Promise<Handle> {
    this.hold(type);
    let claimed: string | null = null;
    try {
      const handle = await add();
      const change = this.changes.get(id);
      if (change !== undefined) {
        claimed = handle.id;
        this.changes.set(claimed, change);
        change.undoneBy(claimed);
      }
      return handle;
    } finally {
      this.release(type, claimed);
    }
  }

  /** It is as it was before. */
  undone(id: string): void {
    this.at(id, (change) => change.undone());
  }

  /** It stands: there is nothing to undo it with, or what went wrong may be tried `again`. */
  notUndone(id: string, failure: { readonly error: HoldfastError; readonly again: () => void } | null): void {
    const detail = failure === null ? this.words.notPossible : this.words.refused(failure.error);
    this.at(id, (change) => change.notUndone(detail, failure?.again ?? null));
  }

  private saidAbout(type: string, payload: JsonObject | null): Said | null {
    const definition = this.queue.definitions.get(type);
    return definition === undefined ? null : saidAbout(definition, this.texts[type], payload);
  }

  private newId(): string {
    toastCount += 1;
    return `holdfast-${toastCount}`;
  }

  private get isCrowded(): boolean {
    const open = [...this.changes.values()].filter(({ isOpen }) => isOpen);
    return open.length >= this.groupOverCount || this.group?.isOpen === true;
  }

  private stored(stored: StoredEvent): void {
    this.makeVoid(stored);
    if (stored.own?.toast === false) {
      this.toldElsewhere.add(stored.id);
      return;
    }
    const begun = this.begun.get(stored.type);
    if (begun === undefined) this.addStored(stored);
    else begun.stored.push(stored);
  }

  private addStored({ id, type, payload }: StoredEvent): void {
    const said = this.saidAbout(type, payload);
    if (said !== null && !this.changes.has(id) && !this.groups.has(id))
      this.add(id, { toastId: this.newId(), said, undo: null });
  }

  /** What was not stored would undo this if it were tried again. */
  private makeVoid(change: Pick<StoredEvent, 'type' | 'payload'>): void {
    const row = this.rowOf(change);
    const toastId = this.unstored.get(row);
    if (row === '' || toastId === undefined) return;
    this.unstored.delete(row);
    this.dismiss(toastId);
  }

  /** Empty for a type that names none. */
  private rowOf({ type, payload }: Pick<StoredEvent, 'type' | 'payload'>): string {
    const row = this.queue.definitions.get(type)?.entity?.(payload);
    return row === undefined ? '' : JSON.stringify([type, row.table, row.id]);
  }

  /** One of this type is being added: whose it is, is known when it is. */
  private hold(type: string): void {
    const begun = this.begun.get(type) ?? { count: 0, stored: [] };
    begun.count += 1;
    this.begun.set(type, begun);
  }

  /** Those stored meanwhile that nobody has claimed were added by somebody else. */
  private release(type: string, id: string | null): void {
    const begun = this.begun.get(type);
    if (begun === undefined) return;
    begun.count -= 1;
    begun.stored = begun.stored.filter((stored) => stored.id !== id);
    if (begun.count > 0) return;
    this.begun.delete(type);
    for (const stored of begun.stored) this.addStored(stored);
  }

  private add(id: string, face: ToastFace): void {
    const known = this.changes.get(id);
    // It may be settled already.
    const status = this.queue.peekStatus(id)?.status;
    const isSettled = status === 'completed' || status === 'failed';
    if (this.groups.has(id) || (known === undefined && this.isCrowded && !isSettled)) {
      this.dismiss(face.toastId);
      this.addToGroup(id);
      return;
    }
    const change = known ?? this.newChange(id, face);
    change.take(face, this.undoMs);
    if (face.undo !== null) this.clock.schedule(this.undoMs, () => this.at(id, () => change.endUndo()));
    this.at(id, () => change.look());
  }

  private newChange(id: string, face: ToastFace): ChangeToast {
    const change = new ChangeToast(id, face, this.parts);
    this.changes.set(id, change);
    return change;
  }

  private addToGroup(id: string): void {
    if (this.groups.has(id)) return;
    if (this.group?.isOpen !== true) this.group = new GroupToast(this.newId(), this.parts);
    this.groups.set(id, this.group);
    this.group.add(id);
  }

  /** Does something with the toast of a change, and forgets it when nothing more can become of it. */
  private at(id: string, act: (change: ChangeToast) => void): void {
    const change = this.changes.get(id);
    if (change === undefined) return;
    act(change);
    if (change.isOver) for (const each of change.ids) this.changes.delete(each);
  }

  private changed(ids: readonly string[]): void {
    // What stops all of them (offline, paused) is no change of any.
    for (const id of ids.length === 0 ? [...this.changes.keys()] : ids) {
      this.at(id, (change) => change.look(id));
      this.groups.get(id)?.look(id);
      this.findIfEnded(id);
    }
    this.group?.look();
  }

  private awaits(id: string): boolean {
    return this.changes.get(id)?.awaits(id) === true || this.groups.get(id)?.awaits(id) === true;
  }

  /** One that has ended, and nobody has told how: the queue, or its history, is asked. */
  private findIfEnded(id: string): void {
    const status = this.queue.peekStatus(id)?.status;
    if (status !== 'pending' && status !== 'processing' && this.awaits(id)) void this.findEnd(id);
  }

  private async findEnd(id: string): Promise<void> {
    // Most endings are told just after the change; others when they are stored.
    await Promise.resolve();
    if (!this.awaits(id)) return;
    try {
      await this.queue.getMutationStatus(id);
      const settled = await this.queue.settled(id);
      if (this.awaits(id)) this.settled(settled);
    } catch (error) {
      // A queue that cannot be read has said so itself.
      if (!this.awaits(id) || !isHoldfastError(error) || error.code !== 'UNKNOWN_MUTATION') return;
      this.groups.get(id)?.unheard(id);
      this.groups.delete(id);
      this.at(id, (change) => change.unheard());
    }
  }

  private settled(settled: Settled): void {
    const { id, status } = settled;
    const isToldElsewhere = this.toldElsewhere.delete(id);
    const isKnown = isToldElsewhere || this.changes.has(id) || this.groups.has(id);
    if (status === 'failed' && isKnown) this.queue.tellOf(id);
    else if (status === 'failed' && this.queue.getSnapshot().isLeader) this.waitForClaim(settled);
    if (!isToldElsewhere) this.tell(settled);
  }

  /** Of another tab, which tells it; or of an earlier run of the app, and then the tab that delivers does. */
  private waitForClaim(settled: Settled): void {
    const { id } = settled;
    this.unclaimed.add(id);
    this.clock.schedule(CLAIM_MS, () => {
      if (!this.unclaimed.delete(id) || this.startCount === 0 || this.queue.peekStatus(id)?.status !== 'failed') return;
      this.addEarlier(id);
      this.tell(settled);
    });
  }

  private tell(settled: Settled): void {
    const { id } = settled;
    const group = this.groups.get(id);
    group?.settled(settled);
    if (group?.has(id) === false) this.groups.delete(id);
    this.at(id, (change) => change.settled(settled));
  }

  private addEarlier(id: string): void {
    const { type = '', entity = null } = this.queue.peekStatus(id) ?? {};
    const said = this.saidAbout(type, null);
    if (said === null) return;
    if (this.changes.size >= this.groupOverCount) {
      this.earlier ??= new GroupToast(this.newId(), this.parts);
      this.groups.set(id, this.earlier);
      return;
    }
    this.newChange(id, { toastId: this.newId(), said: { ...said, item: entity?.id ?? said.item }, undo: null });
  }

  /** What was changed again since is not overwritten before someone has said so. */
  private retry(toastId: string, text: string, ids: readonly string[], mayOverwrite = false): void {
    const { queue, words } = this;
    const overtaken = queue.listOvertaken();
    const wanted = new Set(mayOverwrite ? ids : ids.filter((id) => !overtaken.has(id)));
    queue.retryFailed({ where: ({ id }) => wanted.has(id) }).then(
      ({ touchedCount }) => {
        if (touchedCount > 0) return;
        const action = { label: words.overwrite, onSelect: () => this.retry(toastId, text, ids, true) };
        if (ids.some((id) => overtaken.has(id)))
          this.updateToast(toastId, { tone: 'error', text, detail: words.overtaken, action });
        // Discarded, or retried, a moment before: there is nothing to try again.
        else this.dismiss(toastId);
      },
      (error: unknown) => queue.report(error),
    );
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
