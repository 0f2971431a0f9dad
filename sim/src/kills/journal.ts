import type { VictimMessage } from './victim.ts';

/** What took effect on the server, in this order. */
export interface Effect {
  readonly mutationId: string;
  readonly rowId: string;
  readonly tag: string;
}

interface Promised {
  readonly id: string;
  readonly rowId: string;
  /** The order of the calls; null for what stands for an edit, which finds out first whether it takes a place of its own. */
  readonly number: number | null;
  /** It was said to be stored. */
  isAdded: boolean;
  isCancelAsked: boolean;
  /** It was said to be gone and never to have been sent. */
  isCancelled: boolean;
  /** What it may take effect as: since an edit was said to be stored, that and what was asked for later. */
  tags: readonly string[];
}

/** Ids of all that was told as stored, and of all that was told as taken back, at one moment. */
export interface Standing {
  readonly added: ReadonlySet<string>;
  readonly cancelled: ReadonlySet<string>;
}

/**
 * What the victims of one device were promised, written down by whoever kills them and outlives them. Shares no code with
 * the queue; the server's own table says what took effect.
 */
export class Journal {
  /** Each a sentence. */
  readonly violations: string[] = [];
  readonly counts: Record<string, number> = {};
  private readonly promised = new Map<string, Promised>();
  /** The row that an edit asked for is about, by its tag: another mutation may carry it, and nobody have heard which. */
  private readonly rowOfEdit = new Map<string, string>();

  /** What has been told until now: a process that is started now finds it, whatever others tell while it opens. */
  get standing(): Standing {
    const all = [...this.promised.values()];
    return {
      added: new Set(all.flatMap(({ id, isAdded }) => (isAdded ? [id] : []))),
      cancelled: new Set(all.flatMap(({ id, isCancelled }) => (isCancelled ? [id] : []))),
    };
  }

  /** `effects` are all of this device until now; `before` is what stood when the one who tells it was started. @default as it stands now */
  hear(message: VictimMessage, effects: readonly Effect[], before: Standing = this.standing): void {
    this.counts[message.kind] = (this.counts[message.kind] ?? 0) + 1;
    switch (message.kind) {
      case 'adding': {
        const { id, rowId, tag } = message;
        this.promise(id, rowId, tag, this.promised.size + 1);
        return;
      }
      case 'added':
        this.find(message.id).isAdded = true;
        return;
      case 'editing': {
        const edited = this.find(message.id);
        edited.tags = [...edited.tags, message.tag];
        this.rowOfEdit.set(message.tag, edited.rowId);
        return;
      }
      case 'edited':
        this.edited(message);
        return;
      case 'cancelling':
        this.find(message.id).isCancelAsked = true;
        return;
      case 'cancelled':
        if (message.answer === 'cancelled') this.find(message.id).isCancelled = true;
        else if (message.answer === 'tooLate') this.find(message.id).isCancelAsked = false;
        return;
      case 'failed':
        this.violations.push(`a healthy device says: ${message.what}`);
        return;
      case 'full':
        return;
      default:
        this.checkHeld(message, effects, before);
    }
  }

  /** At the end, with all delivered. */
  checkAtRest(effects: readonly Effect[]): void {
    this.checkEffects(effects);
    const taken = new Set(effects.map(({ mutationId }) => mutationId));
    for (const { id, isAdded, isCancelAsked } of this.promised.values())
      if (isAdded && !isCancelAsked && !taken.has(id))
        this.violations.push(`${id} was promised, and never took effect`);
  }

  private checkEffects(effects: readonly Effect[]): void {
    const seen = new Set<string>();
    const lastOfRow = new Map<string, number>();
    for (const { mutationId, rowId, tag } of effects) {
      if (!this.promised.has(mutationId) && this.rowOfEdit.get(tag) === rowId)
        this.promise(mutationId, rowId, tag, null);
      const made = this.promised.get(mutationId);
      if (seen.has(mutationId)) this.violations.push(`${mutationId} took effect twice`);
      seen.add(mutationId);
      if (made === undefined) {
        this.violations.push(`${mutationId} took effect, and nobody made it`);
        continue;
      }
      if (made.isCancelled) this.violations.push(`${mutationId} took effect after it was cancelled`);
      if (!made.tags.includes(tag)) this.violations.push(`${mutationId} took effect as ${tag}, after an edit`);
      if (made.number === null) continue;
      if (made.number < (lastOfRow.get(rowId) ?? 0))
        this.violations.push(`${mutationId} took effect out of order in its row`);
      lastOfRow.set(rowId, made.number);
    }
  }

  /** A new life finds all that was promised and has not taken effect. */
  private checkHeld(
    message: Extract<VictimMessage, { kind: 'opened' | 'drained' }>,
    effects: readonly Effect[],
    before: Standing,
  ): void {
    const held = new Set(message.open.map(({ id }) => id));
    const taken = new Set(effects.map(({ mutationId }) => mutationId));
    for (const id of before.added)
      if (!this.find(id).isCancelAsked && !held.has(id) && !taken.has(id))
        this.violations.push(`${id} was promised, and the device does not hold it any more`);
    for (const { id, status } of message.open) {
      if (status === 'failed') this.violations.push(`${id} is a dead letter, and nothing was wrong with it`);
      if (before.cancelled.has(id)) this.violations.push(`${id} is there again after it was cancelled`);
    }
    this.checkEffects(effects);
  }

  private edited({ id, tag, answer }: Extract<VictimMessage, { kind: 'edited' }>): void {
    const edited = this.find(id);
    if (answer.kind === 'edited') {
      edited.tags = edited.tags.slice(edited.tags.indexOf(tag));
      return;
    }
    // It may have been sent as it was: another one carries the edit, behind it.
    edited.tags = edited.tags.filter((each) => each !== tag);
    if (!this.promised.has(answer.id)) this.promise(answer.id, edited.rowId, tag, null);
    this.find(answer.id).isAdded = true;
  }

  private promise(id: string, rowId: string, tag: string, number: number | null): void {
    const made = { id, rowId, number, isAdded: false, isCancelAsked: false, isCancelled: false, tags: [tag] };
    this.promised.set(id, made);
  }

  private find(id: string): Promised {
    const made = this.promised.get(id);
    if (made === undefined) throw new Error(`Nobody told of ${id} before.`);
    return made;
  }
}
