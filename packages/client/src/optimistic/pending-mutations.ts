import type { AnyMutationDefinition } from '../mutation/definition.ts';
import type { MutationQueue } from '../queue/mutation-queue.ts';
import type { StoredEvent } from '../queue/queue-events.ts';
import type { StoringEvent } from '../queue/adding/storing-calls.ts';
import { KnownRevisions } from './known-revisions.ts';

/** What a view of pending mutations is told. */
export interface PendingListener {
  /**
   * Stored, or found pending: in this tab or another, in this run or an earlier one; again when it was rewritten. Before that, what
   * is being stored in this tab: of a revision before the first, behind all that is stored.
   */
  readonly stored: (stored: StoredEvent) => void;
  /** What was told as being stored is not: it was refused, or stands in another one now. */
  readonly notStored: (id: string) => void;
  /** The verdict, or that it was taken back. */
  readonly settled: (id: string, isCompleted: boolean) => void;
}

/** Of a mutation that is being stored. */
export const BEING_STORED = -1;
/** What is being stored stands behind all that is. */
const AFTER_STORED = Number.MAX_SAFE_INTEGER / 2;

/**
 * The mutations of a queue that have no verdict yet, with their payloads. Several views share one of these, so that what is
 * pending is read from the store once.
 */
export class PendingMutations {
  readonly queue: MutationQueue<readonly AnyMutationDefinition[]>;
  private readonly listeners = new Set<PendingListener>();
  private readonly stops: readonly (() => void)[];
  /** What was told. */
  private readonly known = new KnownRevisions();
  private readonly pending = new Map<string, StoredEvent>();
  private readonly storing = new Map<string, StoredEvent>();

  constructor(queue: MutationQueue<readonly AnyMutationDefinition[]>) {
    this.queue = queue;
    this.stops = [
      queue.onStoring((event) => (event.kind === 'begun' ? this.begun(event) : this.notStored(event.id))),
      queue.onPayload((stored) => this.tell(stored)),
      queue.on('change', ({ ids }) => void this.find(ids)),
      queue.on('settled', ({ id, status }) => this.settled(id, status === 'completed')),
    ];
    void this.find();
  }

  /** Tells first of all that is pending, in the order it was added. Returns an unsubscribe. */
  listen(listener: PendingListener): () => void {
    const all = [...this.pending.values(), ...this.storing.values()];
    for (const each of all.sort((a, b) => a.seq - b.seq)) listener.stored(each);
    this.listeners.add(listener);
    return () => {
      this.listeners.delete(listener);
    };
  }

  close(): void {
    for (const stop of this.stops) stop();
    this.listeners.clear();
  }

  /** Looks for what is pending and not known yet: all of it after a restart, or what another tab has added. */
  private async find(ids?: readonly string[]): Promise<void> {
    if (ids !== undefined) void this.findEnded(ids);
    const news = ids?.filter((id) => (this.known.get(id) ?? -1) < (this.queue.peekStatus(id)?.revision ?? 0));
    if (news?.length === 0) return;
    // A queue that cannot be read has said so itself; there is nothing to show then.
    for (const found of await this.queue.readPending(news).catch(() => [])) {
      // Taken back, or disposed of, while its payload was read: nobody would take its effect away again.
      if (this.queue.peekStatus(found.id) !== undefined) this.tell(found);
    }
  }

  /**
   * The queue may find that one is gone and not know any more how it ended: it ended unheard, and so long ago that history does
   * not say. Fresh data does, as with one that is confirmed.
   */
  private async findEnded(ids: readonly string[]): Promise<void> {
    const gone = ids.filter((id) => this.pending.has(id) && this.queue.peekStatus(id) === undefined);
    if (gone.length === 0) return;
    // Most endings are told just after the change.
    await Promise.resolve();
    for (const id of gone) {
      const stored = this.pending.get(id);
      if (stored === undefined) continue;
      // A queue that cannot be read has said so itself.
      const status = await this.queue.getMutationStatus(id).catch(() => null);
      // Retried meanwhile, it is shown anew, as another one.
      if (status === undefined && this.pending.get(id) === stored) this.settled(id, true);
    }
  }

  private begun({ id, type, payload, own, callNumber }: Extract<StoringEvent, { kind: 'begun' }>): void {
    const stored = { id, seq: AFTER_STORED + callNumber, type, payload, revision: BEING_STORED };
    const event = own === undefined ? stored : { ...stored, own };
    this.storing.set(event.id, event);
    for (const listener of this.listeners) listener.stored(event);
  }

  private notStored(id: string): void {
    if (!this.storing.delete(id)) return;
    for (const listener of this.listeners) listener.notStored(id);
  }

  private tell(stored: StoredEvent): void {
    const { id, revision } = stored;
    if (revision <= (this.known.get(id) ?? BEING_STORED)) return;
    // The verdict may have come while the payload was read or the commit returned: nobody will tell of it again.
    const status = this.queue.peekStatus(id)?.status;
    if (status === 'failed') {
      this.notStored(id);
      return;
    }
    this.storing.delete(id);
    this.known.set(id, revision);
    const own = stored.own ?? this.pending.get(id)?.own;
    const told = own === undefined ? stored : { ...stored, own };
    if (status === 'completed') this.known.end(id);
    else this.pending.set(id, told);
    for (const listener of this.listeners) {
      listener.stored(told);
      if (status === 'completed') listener.settled(id, true);
    }
  }

  private settled(id: string, isCompleted: boolean): void {
    this.pending.delete(id);
    if (isCompleted) this.known.end(id);
    // One that did not take effect may be tried again, and is news then.
    else this.known.delete(id);
    for (const listener of this.listeners) listener.settled(id, isCompleted);
  }
}
