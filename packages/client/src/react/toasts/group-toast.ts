import type { ToastChange } from './mutation-toasts.ts';
import type { CommonWords } from './toast-texts.ts';

interface GroupToastParts {
  readonly words: CommonWords;
  readonly show: (toastId: string, change: ToastChange) => void;
  readonly newId: () => string;
  readonly retry: (ids: readonly string[]) => void;
}

/** One toast for many changes: from the first that shares it until all of them are settled. */
export class GroupToast {
  private readonly parts: GroupToastParts;
  private toastId = '';
  private readonly open = new Set<string>();
  private readonly failed = new Map<string, string>();
  private count = 0;
  private shown = '';

  constructor(parts: GroupToastParts) {
    this.parts = parts;
  }

  get isOpen(): boolean {
    return this.open.size > 0;
  }

  has(id: string): boolean {
    return this.open.has(id);
  }

  add(id: string): void {
    if (!this.isOpen) {
      this.toastId = this.parts.newId();
      this.count = 0;
      this.failed.clear();
    }
    if (this.open.has(id)) return;
    this.open.add(id);
    this.count += 1;
  }

  /** False for one that is not among them. */
  settled(id: string, failure: string | null): boolean {
    if (!this.open.delete(id)) return false;
    if (failure !== null) this.failed.set(id, failure);
    if (!this.isOpen) this.end();
    return true;
  }

  /** Says how far they are. */
  look(isOnItsWay: boolean): void {
    if (!this.isOpen) return;
    const { stored, underWay } = this.parts.words.group;
    const doneCount = this.count - this.open.size;
    const text = isOnItsWay || doneCount > 0 ? underWay(doneCount - this.failed.size, this.count) : stored(this.count);
    this.say({ tone: isOnItsWay ? 'loading' : 'info', text, durationMs: null });
  }

  private end(): void {
    const { words, retry } = this.parts;
    const [detail] = this.failed.values();
    if (detail === undefined) {
      this.say({ tone: 'success', text: words.group.confirmed(this.count) });
      return;
    }
    const ids = [...this.failed.keys()];
    const action = { label: words.retry, onSelect: () => retry(ids) };
    this.say({ tone: 'error', text: words.group.failed(ids.length, this.count), detail, action });
  }

  private say(change: ToastChange): void {
    const words = `${this.toastId} ${change.tone} ${change.text}`;
    if (words === this.shown) return;
    this.shown = words;
    this.parts.show(this.toastId, change);
  }
}
