import type { MutationHeader } from '../mutation/record.ts';
import type { NewMutation, QueueStore } from './queue-store.ts';

interface Waiter {
  readonly mutation: NewMutation;
  readonly resolve: (header: MutationHeader) => void;
  readonly reject: (error: unknown) => void;
}

/** Most mutations in one commit, so that one burst does not make one huge transaction. */
const COMMIT_COUNT_MAX = 500;

/** Calls made together, or while a commit is under way, share the next commit. Each still learns its own end, and only after it. */
export class GroupCommit {
  private readonly store: QueueStore;
  private readonly onStored: (headers: readonly MutationHeader[]) => void;
  private waiting: Waiter[] = [];
  private flushing: Promise<void> | null = null;

  constructor(store: QueueStore, onStored: (headers: readonly MutationHeader[]) => void) {
    this.store = store;
    this.onStored = onStored;
  }

  add(mutation: NewMutation): Promise<MutationHeader> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ mutation, resolve, reject });
      this.flushing ??= Promise.resolve().then(() => this.flush());
    });
  }

  /** Resolves once everything added so far is stored or refused. */
  async whenFlushed(): Promise<void> {
    await this.flushing;
  }

  private async flush(): Promise<void> {
    while (this.waiting.length > 0) {
      const group = this.waiting.slice(0, COMMIT_COUNT_MAX);
      this.waiting = this.waiting.slice(COMMIT_COUNT_MAX);
      try {
        const headers = await this.store.append(group.map(({ mutation }) => mutation));
        this.onStored(headers);
        headers.forEach((header, index) => group[index]?.resolve(header));
      } catch (error) {
        for (const { reject } of group) reject(error);
      }
    }
    // In the same turn as the last look at `waiting`, so that no call falls between.
    this.flushing = null;
  }
}
