import type { Unconfirmed } from '../../engine/unconfirmed.ts';
import {
  type CompletedRecord,
  parseCompleted,
  parseDisposed,
  recordIn,
  type RowLeft,
  rowsLeftBy,
} from '../../mutation/record.ts';
import { type Change, drop, readOne, type Storage } from '../../ports/storage.ts';
import type { EntityRef } from '../../protocol/wire.ts';
import { COMPLETED, DISCARDED, META, OWN_ID } from './record-keys.ts';
import { UNCONFIRMED } from '../delivering/settlement-changes.ts';
import { completedCountOf } from './stored-meta.ts';

/** `unconfirmed`: discarded at a sign-out although it may have been sent. */
export type Ending = 'discarded' | 'unconfirmed';

/** How one was disposed of. */
export interface Disposal {
  readonly ending: Ending;
  /** Null where nobody decided, but a strategy; and where that does not read. */
  readonly actId: string | null;
}

const PAGE = 1_000;

/** What has become of mutations that are neither pending nor dead letters any more. */
export class History {
  private readonly storage: Storage;

  constructor(storage: Storage) {
    this.storage = storage;
  }

  async completed(id: string): Promise<CompletedRecord | null> {
    return recordIn(parseCompleted, await readOne(this.storage, COMPLETED + id));
  }

  /** Confirmed ones, by id from the one after this; an id is a UUIDv7, so the oldest come first. What does not read is left out. */
  async completedAfter(
    id: string | null,
  ): Promise<{ readonly records: readonly CompletedRecord[]; readonly next: string | null }> {
    const from = id === null ? {} : { after: COMPLETED + id };
    const entries = await this.storage.scan({ prefix: COMPLETED, ...from, limit: PAGE });
    const records = entries.flatMap(({ value }) => recordIn(parseCompleted, value) ?? []);
    const last = entries.at(-1);
    return { records, next: entries.length < PAGE || last === undefined ? null : last.key.slice(COMPLETED.length) };
  }

  async completedCount(): Promise<number> {
    return completedCountOf(this.storage, await readOne(this.storage, META.completedCount));
  }

  /** What those of this row that are confirmed have left, where they were known when one was made that knew all up to `upToSeq`. */
  async leftOfRow({ table, id }: EntityRef, upToSeq: number): Promise<readonly RowLeft[]> {
    const found: RowLeft[] = [];
    for (let from: string | null = null, isMore = true; isMore; ) {
      const { records, next } = await this.completedAfter(from);
      for (const record of records) {
        if (record.seq > upToSeq) continue;
        const of = rowsLeftBy(record).find((row) => row.entity.table === table && row.entity.id === id);
        if (of?.left != null) found.push(of.left);
      }
      from = next;
      isMore = next !== null;
    }
    return found;
  }

  /** How these were disposed of; null for those that were not. */
  async disposals(ids: readonly string[]): Promise<readonly (Disposal | null)[]> {
    const texts = ids.length === 0 ? [] : await this.storage.read(ids.map((id) => DISCARDED + id));
    return texts.map((text) => {
      if (text === null) return null;
      const record = recordIn(parseDisposed, text);
      const ending = record?.error?.code === UNCONFIRMED.code ? 'unconfirmed' : 'discarded';
      return { ending, actId: record?.act?.id ?? null };
    });
  }

  /** Those of these that were disposed of. */
  async disposedAmong(ids: readonly string[]): Promise<readonly string[]> {
    const disposals = await this.disposals(ids);
    return ids.filter((_, index) => disposals[index] !== null);
  }

  /**
   * Forgets history from before the given time, at most a page of each sort, and says how much; but not what became of something that
   * others depend on: a tab that has heard nothing of it for long would take it for disposed of, and the value that it returned may be
   * wanted.
   */
  async sweep(beforeMs: number, isParent: (id: string) => boolean): Promise<number> {
    const changes: Change[] = [];
    const sweep = (key: string, id: string, atMs: number): void => {
      if (atMs < beforeMs && !isParent(id)) changes.push(drop(key), drop(OWN_ID + id));
    };
    for (const { key, value } of await this.storage.scan({ prefix: COMPLETED, limit: PAGE })) {
      const record = recordIn(parseCompleted, value);
      if (record !== null) sweep(key, record.id, record.confirmedAtMs);
    }
    for (const { key, value } of await this.storage.scan({ prefix: DISCARDED, limit: PAGE })) {
      const record = recordIn(parseDisposed, value);
      if (record !== null) sweep(key, record.id, record.atMs);
    }
    if (changes.length > 0) await this.storage.commit({ expect: [], changes });
    return changes.length / 2;
  }
}

/** Whether one of these ids is of something that others depend on; looked through when first asked. */
export function parentsOf(mutations: Unconfirmed): (id: string) => boolean {
  let ids: Set<string> | null = null;
  return (id) => {
    // One that was confirmed while this was being stored is none that it depends on, and yet its value is wanted.
    ids ??= new Set(
      [...mutations.all()].flatMap(({ dependsOn, slots }) => [...dependsOn, ...slots.map(({ parentId }) => parentId)]),
    );
    return ids.has(id);
  };
}
