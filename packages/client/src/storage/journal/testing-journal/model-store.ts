import type { KeyValueStore } from '../key-value-store.ts';

export type Fault = 'kill' | 'tear' | 'failBefore' | 'failAfter';

/** A store of one value at a time, that can fail at any operation, or end in the middle of it. */
export class ModelStore implements KeyValueStore {
  readonly values: Map<string, string>;
  /** Operations that change something, so far. */
  operationCount = 0;
  private isDead = false;
  private readonly faults = new Map<number, Fault>();

  constructor(values: ReadonlyMap<string, string> = new Map()) {
    this.values = new Map(values);
  }

  faultAt(operation: number, fault: Fault): void {
    this.faults.set(operation, fault);
  }

  async getMany(keys: readonly string[]): Promise<readonly (string | null)[]> {
    if (this.isDead) throw new Error('killed');
    return keys.map((key) => this.values.get(key) ?? null);
  }

  async setMany(entries: readonly (readonly [string, string])[]): Promise<void> {
    for (const [key, value] of entries) this.step(() => this.values.set(key, value), { key, value });
  }

  async removeMany(keys: readonly string[]): Promise<void> {
    for (const key of keys) this.step(() => this.values.delete(key), null);
  }

  async keys(): Promise<readonly string[]> {
    return [...this.values.keys()];
  }

  private step(change: () => void, written: { readonly key: string; readonly value: string } | null): void {
    if (this.isDead) throw new Error('killed');
    this.operationCount += 1;
    const fault = this.faults.get(this.operationCount);
    if (fault === 'failBefore') throw new Error('refused');
    if (fault === 'kill' || fault === 'tear') {
      this.isDead = true;
      if (fault === 'tear' && written !== null) {
        // A beginning of the new value over the old one.
        const { key, value } = written;
        const half = value.length >> 1;
        this.values.set(key, value.slice(0, half) + (this.values.get(key) ?? '').slice(half));
      }
      throw new Error('killed');
    }
    change();
    if (fault === 'failAfter') throw new Error('answer lost');
  }
}
