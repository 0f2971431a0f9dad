import { type Act, parseSignOut, recordIn, type SignOutRecord, sealRecord } from '../mutation/record.ts';
import { type Change, commitWhere, drop, put, readOne, type Storage } from '../ports/storage.ts';
import { changesOfAct } from './store/act-log.ts';
import { META } from './store/record-keys.ts';
import { lastSeqOf } from './store/stored-meta.ts';

/** A mark as it stands in the store; without a record where that no longer reads. */
export interface StoredSignOut {
  readonly text: string;
  readonly record: SignOutRecord | null;
}

/**
 * That the login of this store is over. It stands from the moment of a sign-out until someone signs in again, so that no
 * tab delivers that has not heard of it; and what the user has wished to discard is discarded, whoever dies meanwhile.
 */
export class SignOutMark {
  private readonly storage: Storage;

  constructor(storage: Storage) {
    this.storage = storage;
  }

  async read(): Promise<StoredSignOut | null> {
    const text = await readOne(this.storage, META.signedOut);
    return text === null ? null : { text, record: recordIn(parseSignOut, text) };
  }

  /** Together with who did it. What another tab has begun to discard is still to be discarded. */
  async put(act: Act, isDiscarding: boolean): Promise<StoredSignOut> {
    for (;;) {
      const [seq = null, former = null] = await this.storage.read([META.seq, META.signedOut]);
      const begun = recordIn(parseSignOut, former)?.discardUpToSeq ?? null;
      const record = { act, discardUpToSeq: isDiscarding ? await lastSeqOf(this.storage, seq) : begun };
      const text = sealRecord(record);
      const changes = [put(META.signedOut, text), ...changesOfAct(act, [])];
      if (await this.change(former, changes)) return { text, record };
    }
  }

  /** All that was to be discarded is gone. Does nothing when the mark is another one by now. */
  async discarded({ text, record }: StoredSignOut): Promise<void> {
    if (record === null) return;
    const value = sealRecord({ ...record, discardUpToSeq: null });
    await this.change(text, [put(META.signedOut, value)]);
  }

  /** The login is there again. False when the mark is another one by now. */
  async remove({ text }: StoredSignOut): Promise<boolean> {
    return this.change(text, [drop(META.signedOut)]);
  }

  private change(from: string | null, changes: readonly Change[]): Promise<boolean> {
    return commitWhere(this.storage, [{ key: META.signedOut, value: from }], changes);
  }
}
