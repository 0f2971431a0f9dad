import type { MutationStatus } from '../queue/mutation-status.ts';
import type { AnyQueue } from './queue-context.ts';
import { isSameStatus } from './same-status.ts';

/** Where one mutation stands, for one place that shows it; the object stays the same until something in it changes. */
export class WatchedStatus {
  readonly id: string | undefined;
  private readonly queue: AnyQueue;
  private status: MutationStatus | undefined;
  /** Of the place that shows it; null while nobody does. */
  private listener: (() => void) | null = null;

  constructor(queue: AnyQueue, id: string | undefined) {
    this.queue = queue;
    this.id = id;
  }

  getSnapshot = (): MutationStatus | undefined => {
    const next = this.id === undefined ? undefined : this.queue.peekStatus(this.id);
    // Only the last confirmed ones are in memory, and nothing more becomes of those that were.
    const isForgotten = next === undefined && this.status?.status === 'completed';
    if (!isForgotten && !isSameStatus(this.status, next)) this.status = next;
    return this.status;
  };

  subscribe = (listener: () => void): (() => void) => {
    this.listener = listener;
    const stop = watchOf(this.queue).add(this);
    return () => {
      this.listener = null;
      stop();
    };
  };

  /** React looks, and renders what is another object than before. Says whether more may become of it. */
  look(): boolean {
    this.listener?.();
    return this.listener !== null && this.status?.status !== 'completed';
  }

  /** What becomes of another one, or of all of them, may end its waiting. */
  get waitsForOthers(): boolean {
    const waitingFor = this.status?.waitingFor;
    return waitingFor === 'lane' || waitingFor === 'dependency' || waitingFor === 'policy';
  }
}

/**
 * Tells of a change of the queue those whom it concerns: where thousands are shown, most changes name one. What opens or closes for all of
 * them names none, and then all that are open may wait for something else.
 */
class StatusWatch {
  private readonly queue: AnyQueue;
  private readonly byId = new Map<string | undefined, Set<WatchedStatus>>();
  private readonly open = new Set<WatchedStatus>();
  private gates = '';
  private stop: () => void = () => {};

  constructor(queue: AnyQueue) {
    this.queue = queue;
  }

  add(watched: WatchedStatus): () => void {
    const { byId, queue } = this;
    if (byId.size === 0) {
      this.gates = gatesOf(queue);
      this.stop = queue.on('change', ({ ids }) => this.changed(ids));
    }
    const { id } = watched;
    const same = byId.get(id) ?? new Set();
    byId.set(id, same.add(watched));
    this.look(watched);
    return () => {
      this.open.delete(watched);
      same.delete(watched);
      if (same.size === 0) byId.delete(id);
      if (byId.size === 0) this.stop();
    };
  }

  private changed(ids: readonly string[]): void {
    const gates = gatesOf(this.queue);
    const isAboutAll = ids.length === 0 || gates !== this.gates;
    this.gates = gates;
    const concerned = new Set(ids.flatMap((id) => [...(this.byId.get(id) ?? [])]));
    for (const watched of this.open) if (isAboutAll || watched.waitsForOthers) concerned.add(watched);
    for (const watched of concerned) this.look(watched);
  }

  private look(watched: WatchedStatus): void {
    if (watched.look()) this.open.add(watched);
    else this.open.delete(watched);
  }
}

const watches = new WeakMap<AnyQueue, StatusWatch>();

function watchOf(queue: AnyQueue): StatusWatch {
  const watch = watches.get(queue) ?? new StatusWatch(queue);
  watches.set(queue, watch);
  return watch;
}

/** What stops all of them. */
function gatesOf(queue: AnyQueue): string {
  const { isReady, isPaused, isLeader, waitingFor, error } = queue.getSnapshot();
  return [isReady, isPaused, isLeader, waitingFor, error?.code].join();
}
