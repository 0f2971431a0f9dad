import type { Settlement } from '../../engine/engine-io.ts';
import { type DeadLetter, parseHeader, recordIn, sealRecord } from '../../mutation/record.ts';
import { type Change, commitWhere, drop, type Expectation, put, type Storage } from '../../ports/storage.ts';
import type { ConfirmedTail, ConfirmedText } from '../store/confirmed-tail.ts';
import { COMPLETED, FAILED, META, PENDING, QUARANTINE, seqKey } from '../store/record-keys.ts';
import type { ServerEpoch } from './server-epoch.ts';
import { actsOf, changesOfSettlement, failedSeq } from './settlement-changes.ts';
import { completedCountOf, countText } from '../store/stored-meta.ts';

export interface SettlementStorePorts {
  readonly storage: Storage;
  readonly tail: ConfirmedTail;
  readonly serverEpoch: ServerEpoch;
  /** That this tab delivers. */
  readonly isOwn: () => Expectation;
}

/** Writes verdicts, as long as this tab delivers. */
export class SettlementStore {
  private readonly ports: SettlementStorePorts;

  constructor(ports: SettlementStorePorts) {
    this.ports = ports;
  }

  /**
   * Writes the verdicts of one answer; false when another tab has taken over, and then nothing is written. `isRepeat`: an
   * earlier try has failed, though perhaps only for us.
   */
  async settle(settlements: readonly Settlement[], isRepeat: boolean): Promise<boolean> {
    const { storage, serverEpoch } = this.ports;
    const isOwn = this.ports.isOwn();
    for (;;) {
      const { left, expect } = isRepeat
        ? await this.withoutOvertaken(await this.withoutStoredFailures(settlements))
        : { left: settlements, expect: [] };
      const counter = await this.countCompleted(left, isRepeat);
      const tail = await this.tailOf(left, isRepeat);
      const result = await storage.commit({
        expect: [isOwn, ...expect],
        changes: [
          ...left.flatMap((each) => changesOfSettlement(each, tail.seqs)),
          ...tail.changes,
          ...actsOf(left),
          ...counter,
          ...serverEpoch.changes,
        ],
      });
      if (result.kind === 'committed') {
        tail.committed();
        serverEpoch.settled();
        return true;
      }
      if (result.key === META.epoch) return false;
      // Someone has chosen between two versions just now.
    }
  }

  /**
   * Leaves out what a person has overtaken: a commit may have been stored although it failed for us, someone has seen the
   * conflict that it told of and has chosen, and written again it would take that choice back.
   */
  private async withoutOvertaken(
    settlements: readonly Settlement[],
  ): Promise<{ readonly left: readonly Settlement[]; readonly expect: readonly Expectation[] }> {
    const seqs = settlements.flatMap((settlement) => (settlement.kind === 'rebased' ? [settlement.header.seq] : []));
    if (seqs.length === 0) return { left: settlements, expect: [] };
    const keys = [...new Set(seqs)].map((seq) => seqKey(PENDING, seq));
    const texts = await this.ports.storage.read(keys);
    const revisions = new Map(keys.map((key, index) => [key, revisionOf(texts[index] ?? null)]));
    const left = settlements.filter(
      (settlement) =>
        settlement.kind !== 'rebased' ||
        (revisions.get(seqKey(PENDING, settlement.header.seq)) ?? Number.POSITIVE_INFINITY) <
          settlement.header.revision,
    );
    return { left, expect: keys.map((key, index) => ({ key, value: texts[index] ?? null })) };
  }

  /**
   * Leaves out what is pending no longer: a dead letter that is stored already may have been disposed of since, and must not
   * come back, nor may a refusal before it make it pending again.
   */
  private async withoutStoredFailures(settlements: readonly Settlement[]): Promise<readonly Settlement[]> {
    const seqs = settlements.flatMap((each) => failedSeq(each) ?? []);
    const texts = await this.ports.storage.read(seqs.map((seq) => seqKey(PENDING, seq)));
    const stored = new Set(seqs.filter((_, index) => texts[index] === null));
    return settlements.filter((each) => !stored.has(failedSeq(each) ?? 0));
  }

  /** What of these stays with its payload, for a server that may forget it; nothing where the server has no epochs. */
  private async tailOf(
    settlements: readonly Settlement[],
    isRepeat: boolean,
  ): Promise<{
    readonly seqs: ReadonlySet<number>;
    readonly changes: readonly Change[];
    readonly committed: () => void;
  }> {
    const { storage, tail, serverEpoch } = this.ports;
    const completed = settlements.flatMap((settlement) => (settlement.kind === 'completed' ? [settlement.record] : []));
    if (completed.length === 0 || serverEpoch.current === null || !tail.isKept)
      return { seqs: new Set(), changes: [], committed: () => {} };
    if (isRepeat) tail.forget();
    // Rewritten in this very commit, it was sent so.
    const rewritten = new Map(
      settlements.flatMap((each) => (each.kind === 'rebased' ? [[each.header.seq, sealRecord(each.header)]] : [])),
    );
    const texts = await storage.read(completed.map(({ seq }) => seqKey(PENDING, seq)));
    const confirmed = completed.flatMap(({ seq }, index): readonly ConfirmedText[] => {
      const text = texts[index] ?? null;
      return text === null ? [] : [{ seq, text: rewritten.get(seq) ?? text }];
    });
    const atMs = Math.max(...completed.map(({ confirmedAtMs }) => confirmedAtMs));
    const { changes, committed } = await tail.append(confirmed, atMs);
    // One that is pending no more was stored by a commit that failed only for us, and belongs to the tail already.
    return { seqs: new Set(completed.map(({ seq }) => seq)), changes, committed };
  }

  /**
   * A server that has forgotten a confirmed one does not take it any more: it is a dead letter now. False when another tab
   * delivers, or it is not confirmed (any more).
   */
  async forgottenFailed(deadLetter: DeadLetter): Promise<boolean> {
    const { storage, tail, isOwn } = this.ports;
    const { id, seq } = deadLetter.header;
    const [countNow, text = null] = await storage.read([META.completedCount, COMPLETED + id]);
    if (text === null) return false;
    const count = await completedCountOf(storage, countNow);
    const expect = [isOwn(), { key: COMPLETED + id, value: text }];
    const changes = [
      drop(COMPLETED + id),
      put(seqKey(FAILED, seq), sealRecord(deadLetter)),
      put(META.completedCount, countText(Math.max(0, count - 1))),
      ...(await tail.without(seq)),
    ];
    return commitWhere(storage, expect, changes);
  }

  /** The counter as it will stand; one whose verdict is stored already (a commit that failed only for us) counts once. */
  private async countCompleted(settlements: readonly Settlement[], isRepeat: boolean): Promise<readonly Change[]> {
    const { storage } = this.ports;
    const seqs = new Map(
      settlements.flatMap((settlement) =>
        settlement.kind === 'completed' ? [[settlement.record.id, settlement.record.seq] as const] : [],
      ),
    );
    if (seqs.size === 0) return [];
    const ids = [...seqs.keys()];
    const [text, ...stored] = await storage.read([META.completedCount, ...ids.map((id) => COMPLETED + id)]);
    const count = await completedCountOf(storage, text);
    // One that is pending no more, and not damaged, was counted by a commit that failed only for us; its history may have been swept since.
    const isOpen = isRepeat ? await this.arePendingOrSetAside([...seqs.values()]) : null;
    const newCount = stored.filter((record, index) => record === null && isOpen?.[index] !== false).length;
    return [put(META.completedCount, countText(count + newCount))];
  }

  private async arePendingOrSetAside(seqs: readonly number[]): Promise<readonly boolean[]> {
    const keys = seqs.map((seq) => seqKey(PENDING, seq));
    // Read together: it may be moved from one to the other.
    const texts = await this.ports.storage.read([...keys, ...keys.map((key) => QUARANTINE + key)]);
    return keys.map((_, index) => (texts[index] ?? texts[index + keys.length] ?? null) !== null);
  }
}

/** Of a pending header; one that does not read is as if never rewritten, and one that is gone cannot be written again. */
function revisionOf(text: string | null): number {
  return text === null ? Number.POSITIVE_INFINITY : (recordIn(parseHeader, text)?.revision ?? -1);
}
