import { sealText, unsealText } from '../../mutation/record.ts';
import { type Change, commitWhere, type Expectation, put, type Storage } from '../../ports/storage.ts';
import { META } from '../store/record-keys.ts';

/** Under which epoch of the server all was confirmed of which something is kept. */
export class ServerEpoch {
  private readonly storage: Storage;
  /** That this tab delivers. */
  private readonly isOwn: () => Expectation;
  private heard: string | null = null;
  /** The first that was heard, while it is not known to be stored: it goes with the verdicts that came under it. */
  private unstored: string | null = null;

  constructor(storage: Storage, isOwn: () => Expectation) {
    this.storage = storage;
    this.isOwn = isOwn;
  }

  /** The one that was heard last; null for none. */
  get current(): string | null {
    return this.heard;
  }

  /** What stands in the store. */
  read(text: string | null | undefined): void {
    if (text != null) this.unstored = null;
    this.heard = (text == null ? null : unsealText(text)) ?? this.unstored;
  }

  /** What has to be stored with a verdict. */
  get changes(): readonly Change[] {
    return this.unstored === null ? [] : [put(META.serverEpoch, sealText(this.unstored))];
  }

  /** These are stored, or it is for another tab to store them. */
  settled(): void {
    this.unstored = null;
  }

  /**
   * From now on this is the server's epoch, under which all that is kept of what was confirmed stands. False when another tab
   * delivers now, or has said so before. The first one holds at once, also where this rejects: what is confirmed under it is kept.
   */
  async note(epoch: string, before: string | null): Promise<boolean> {
    const stored = before === this.unstored ? null : before;
    if (before === null) {
      this.unstored = epoch;
      this.heard = epoch;
    }
    const expect = [this.isOwn(), { key: META.serverEpoch, value: stored === null ? null : sealText(stored) }];
    const isStored = await commitWhere(this.storage, expect, [put(META.serverEpoch, sealText(epoch))]);
    this.unstored = null;
    if (isStored) this.heard = epoch;
    return isStored;
  }
}
