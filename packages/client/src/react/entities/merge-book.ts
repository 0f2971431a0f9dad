import type { AnyMutationDefinition } from '../../mutation/definition.ts';
import type { JsonObject } from '../../protocol/wire.ts';
import type { AnyQueue } from '../queue-context.ts';

/** What one call has made of a mutation that several may be merged into. */
export interface Made {
  readonly payload: JsonObject;
  /** What the call before it had made of it; null for the first, `unknown` where that was none of ours. */
  readonly older: Made | null | 'unknown';
  /** Nothing was merged into it since. */
  isLast: boolean;
}

/** Remembers what each call has made of a mutation while that may be merged, so that undoing one leaves the ones before it. */
export class MergeBook {
  private readonly last = new Map<string, Made>();

  /** Adds one; `made` is null for a type that is never merged. */
  async add<Handle extends { readonly id: string; readonly coalesced: boolean; readonly settled: Promise<unknown> }>(
    queue: AnyQueue,
    definition: AnyMutationDefinition,
    call: () => Promise<Handle>,
  ): Promise<{ readonly handle: Handle; readonly made: Made | null }> {
    if (definition.coalesce === undefined) return { handle: await call(), made: null };
    const payloads = new Map<string, JsonObject>();
    const stop = queue.onPayload(({ id, payload }) => payloads.set(id, payload));
    try {
      const handle = await call();
      const { id, coalesced, settled } = handle;
      const payload = payloads.get(id);
      if (payload === undefined) return { handle, made: null };
      const before = this.last.get(id);
      const made: Made = { payload, older: coalesced ? (before ?? 'unknown') : null, isLast: true };
      if (before === undefined) void settled.then(() => this.last.delete(id));
      else before.isLast = false;
      this.last.set(id, made);
      return { handle, made };
    } finally {
      stop();
    }
  }

  /** It is again what the call before had made of it. */
  undone(id: string, { older }: Made): void {
    if (older === null || older === 'unknown') return;
    older.isLast = true;
    this.last.set(id, older);
  }
}
