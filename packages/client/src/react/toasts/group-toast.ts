import type { Settled } from '../../queue/queue-events.ts';
import type { ToastChange, ToastParts } from './toast-parts.ts';
import { openStage, settledStage, type Stage } from './toast-stages.ts';

/** The shared toast counts at most this often, in milliseconds. */
const GROUP_MS = 100;
const ASIDES = ['takenBack', 'superseded', 'unheard'] as const;

/** One toast for many changes: from the first that shares it until all of them are settled, and while some have failed. */
export class GroupToast {
  private readonly parts: ToastParts;
  private readonly toastId: string;
  private readonly open = new Set<string>();
  /** Dead letters, with why. */
  private readonly failed = new Map<string, string>();
  private readonly counts = { confirmed: 0, takenBack: 0, superseded: 0, unheard: 0 };
  private shown = '';
  private isLookDue = false;

  constructor(toastId: string, parts: ToastParts) {
    this.toastId = toastId;
    this.parts = parts;
  }

  get isOpen(): boolean {
    return this.open.size > 0;
  }

  add(id: string): void {
    this.open.add(id);
    this.sayOften();
  }

  /** Its verdict is still to be told. */
  awaits(id: string): boolean {
    return this.open.has(id);
  }

  /** Whether more may become of it. */
  has(id: string): boolean {
    return this.open.has(id) || this.failed.has(id);
  }

  /** One that has failed is on its way again. */
  look(id?: string): void {
    const status = id !== undefined && this.failed.has(id) ? this.parts.queue.peekStatus(id) : undefined;
    if (status !== undefined && openStage(status) !== null) {
      this.failed.delete(status.id);
      this.open.add(status.id);
    }
    this.sayOften();
  }

  settled(settled: Settled): void {
    const { id } = settled;
    this.ended(id, settledStage(settled, this.failed.delete(id), this.parts.words));
  }

  /** How it ended, nobody knows any more. */
  unheard(id: string): void {
    this.ended(id, { kind: 'unheard' });
  }

  private ended(id: string, stage: Stage): void {
    this.open.delete(id);
    if (stage.kind === 'failed') this.failed.set(id, stage.detail);
    else if (stage.kind in this.counts) this.counts[stage.kind as keyof typeof this.counts] += 1;
    if (this.isOpen) this.sayOften();
    else this.sayEnd();
  }

  /** At once, and then at most every so often: each look paints. */
  private sayOften(): void {
    if (this.isLookDue || !this.isOpen) return;
    this.sayProgress();
    this.isLookDue = true;
    this.parts.clock.schedule(GROUP_MS, () => {
      this.isLookDue = false;
      if (this.isOpen) this.sayProgress();
    });
  }

  private sayProgress(): void {
    const { queue, words } = this.parts;
    const { processingCount, isVolatile } = queue.getSnapshot();
    const { confirmed } = this.counts;
    const isOnItsWay = processingCount > 0;
    const hasBegun = isOnItsWay || confirmed + this.failed.size > 0;
    const text = hasBegun
      ? words.group.underWay(confirmed, this.total)
      : words.group[isVolatile ? 'inTab' : 'stored'](this.total);
    const detail = isVolatile ? words.keepTabOpen : this.asides().join(' · ') || null;
    // What waits has been said; what would be lost stays.
    const stays = isOnItsWay || isVolatile;
    this.say({ tone: isOnItsWay ? 'loading' : 'info', text, detail, ...(stays ? { durationMs: null } : {}) });
  }

  private sayEnd(): void {
    const { words, retry, dismiss } = this.parts;
    const { confirmed } = this.counts;
    const ids = [...this.failed.keys()];
    const [why] = this.failed.values();
    const isFailed = why !== undefined;
    const [text, ...details] = [
      ...(isFailed ? [words.group.failed(ids.length, this.total), why] : []),
      ...(!isFailed && confirmed > 0 ? [words.group.confirmed(confirmed)] : []),
      ...this.asides(),
    ];
    if (text === undefined) {
      dismiss(this.toastId);
      return;
    }
    const tone = isFailed ? 'error' : confirmed > 0 ? 'success' : 'info';
    const action = isFailed ? { label: words.retry, onSelect: () => retry(this.toastId, text, ids) } : null;
    this.say({ tone, text, detail: details.join(' · ') || null, action });
  }

  /** What was taken back is none of them any more. */
  private get total(): number {
    return this.open.size + this.failed.size + this.counts.confirmed;
  }

  private asides(): readonly string[] {
    return ASIDES.filter((each) => this.counts[each] > 0).map((each) =>
      this.parts.words.group[each](this.counts[each]),
    );
  }

  private say(change: ToastChange): void {
    const words = [change.tone, change.text, change.detail].join('\n');
    if (words === this.shown) return;
    this.shown = words;
    this.parts.show(this.toastId, change);
  }
}
