import { type Act, parseSignOut, type SignOutRecord, sealRecord } from '../mutation/record.ts';
import type { Storage } from '../ports/storage.ts';
import { changesOfAct } from './act-log.ts';
import { META } from './record-keys.ts';
import { lastSeqOf } from './stored-meta.ts';

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
    const [text = null] = await this.storage.read([META.signedOut]);
    if (text === null) return null;
    const parsed = parseSignOut(text);
    return { text, record: parsed.kind === 'record' ? parsed.record : null };
  }

  /** Together with who did it. What another tab has begun to discard is still to be discarded. */
  async put(act: Act, isDiscarding: boolean): Promise<StoredSignOut> {
    for (;;) {
      const [seq = null, former = null] = await this.storage.read([META.seq, META.signedOut]);
      const parsed = former === null ? null : parseSignOut(former);
      const begun = parsed?.kind === 'record' ? parsed.record.discardUpToSeq : null;
      const record = { act, discardUpToSeq: isDiscarding ? await lastSeqOf(this.storage, seq) : begun };
      const text = sealRecord(record);
      const result = await this.storage.commit({
        expect: [{ key: META.signedOut, value: former }],
        changes: [{ kind: 'put', key: META.signedOut, value: text }, ...changesOfAct(act, [])],
      });
      if (result.kind === 'committed') return { text, record };
    }
  }

  /** All that was to be discarded is gone. Does nothing when the mark is another one by now. */
  async discarded({ text, record }: StoredSignOut): Promise<void> {
    if (record === null) return;
    const value = sealRecord({ ...record, discardUpToSeq: null });
    await this.storage.commit({
      expect: [{ key: META.signedOut, value: text }],
      changes: [{ kind: 'put', key: META.signedOut, value }],
    });
  }

  /** The login is there again. False when the mark is another one by now. */
  async remove({ text }: StoredSignOut): Promise<boolean> {
    const result = await this.storage.commit({
      expect: [{ key: META.signedOut, value: text }],
      changes: [{ kind: 'delete', key: META.signedOut }],
    });
    return result.kind === 'committed';
  }
}
