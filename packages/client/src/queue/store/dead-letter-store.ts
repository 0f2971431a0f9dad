import {
  type Act,
  type DeadLetter,
  isMarkedSensitive,
  lanesOf,
  type MutationHeader,
  type Parsed,
  parseDeadLetter,
  placeOf,
  recordIn,
  sealRecord,
  SENSITIVE_MARK,
} from '../../mutation/record.ts';
import { type Change, commitWhere, drop, put, readOne, type Storage } from '../../ports/storage.ts';
import { changesOfAct } from './act-log.ts';
import { readWhatReads } from './read-what-reads.ts';
import { type NewMutation, type NumberGiver, retriedMark } from './number-giver.ts';
import type { Quarantine, Unreadable } from './quarantine.ts';
import { BODY, FAILED, PENDING, QUARANTINE, seqKey } from './record-keys.ts';
import { type Found, readPage } from './record-pages.ts';
import { disposal } from '../delivering/settlement-changes.ts';

/** What decides whether a retry keeps its place. */
export interface PlaceRule {
  readonly mayHoldLane: (type: string) => boolean;
  /** Of one that is pending. */
  readonly pendingHeader: (id: string) => MutationHeader | undefined;
}

/** A dead letter and the text it stands as, letter by letter: sealed anew it need not be the same. */
interface StoredDeadLetter {
  readonly key: string;
  readonly text: string;
  readonly record: DeadLetter;
}

const PAGE = 1_000;

/** The dead letters of a queue: what people do to them is done in any tab, whoever delivers. */
export class DeadLetterStore {
  private readonly storage: Storage;
  private readonly numbers: NumberGiver;
  private readonly quarantine: Quarantine;
  /** The page that was read last, by texts. */
  private lastPage: Map<string, Parsed<DeadLetter>> = new Map();

  constructor(storage: Storage, numbers: NumberGiver, quarantine: Quarantine) {
    this.storage = storage;
    this.numbers = numbers;
    this.quarantine = quarantine;
  }

  /** Looked at again and again, and mostly as they were: what reads as it did is not parsed anew. */
  async after(seq: number): Promise<Found<DeadLetter>> {
    const { lastPage } = this;
    this.lastPage = new Map();
    return readPage(this.storage, FAILED, seq, PAGE, (text) => {
      const parsed = lastPage.get(text) ?? parseDeadLetter(text);
      this.lastPage.set(text, parsed);
      return parsed;
    });
  }

  async at(seq: number): Promise<DeadLetter | null> {
    return recordIn(parseDeadLetter, await readOne(this.storage, seqKey(FAILED, seq)));
  }

  /**
   * Makes dead letters pending again, in the order given, and says which: those that were still there. One that holds its
   * lane keeps its place there; the others go last.
   */
  async retry(deadLetters: readonly DeadLetter[], act: Act, rule: PlaceRule): Promise<readonly MutationHeader[]> {
    for (;;) {
      const found = await this.findDead(deadLetters);
      // One whose payload cannot be read now stays what it is.
      const keys = found.map(({ record }) => seqKey(BODY, record.header.seq));
      const bodies = await readWhatReads(this.storage, keys);
      const there = found.flatMap((each, index) => {
        const body = bodies[index] ?? null;
        return body === null ? [] : [{ ...each, body }];
      });
      if (there.length === 0) return [];
      const retried = await this.numbers.commit(
        there.length,
        there.map(({ key, text }) => ({ key, value: text })),
        (firstSeq) => {
          const result: MutationHeader[] = [];
          const changes: Change[] = [];
          there.forEach(({ key, record, body }, index) => {
            const { header } = record;
            const seq = firstSeq + index;
            const parents = header.dependsOn.flatMap(
              (id) => result.find((each) => each.id === id) ?? rule.pendingHeader(id) ?? [],
            );
            const place = placeOfRetry(record, parents, rule);
            const { generation } = header;
            // Whoever asks for it now wants it sent, whenever it was to be sent before.
            const again: MutationHeader = {
              ...header,
              seq,
              place,
              generation: generation + 1,
              attempts: [],
              delayMs: 0,
              expiresAtMs: null,
              // A conflict that nobody has decided is looked at anew.
              ...(header.edit === undefined ? {} : { edit: { ...header.edit, conflict: null } }),
              ...(header.mark === undefined && isMarkedSensitive(body) ? { mark: SENSITIVE_MARK } : {}),
            };
            result.push(again);
            changes.push(
              drop(key),
              drop(seqKey(BODY, header.seq)),
              put(seqKey(PENDING, seq), sealRecord(again)),
              put(seqKey(BODY, seq), body),
            );
          });
          const ids = result.map(({ id }) => id);
          const mark = retriedMark(firstSeq + there.length - 1);
          return { result, changes: [...changes, mark, ...changesOfAct(act, ids)] };
        },
      );
      // Else another tab has disposed of one of them meanwhile.
      if (retried !== null) return retried;
    }
  }

  /** Disposes of dead letters for good, keeping who did it and why; says of which: those that were still there. */
  async discard(deadLetters: readonly DeadLetter[], act: Act): Promise<readonly string[]> {
    return this.changeDead(deadLetters, act, ({ key, record: { header, error } }) => [
      drop(key),
      drop(seqKey(BODY, header.seq)),
      disposal(header, { act, atMs: act.atMs, error }),
    ]);
  }

  /** Lets their lanes go on without them; says of which: those that were still there, and held their lane. */
  async release(deadLetters: readonly DeadLetter[], act: Act): Promise<readonly string[]> {
    return this.changeDead(deadLetters, act, ({ key, record }) =>
      record.holdsLane ? [put(key, sealRecord({ ...record, holdsLane: false }))] : [],
    );
  }

  private async changeDead(
    deadLetters: readonly DeadLetter[],
    act: Act,
    changesOf: (dead: StoredDeadLetter) => readonly Change[],
  ): Promise<readonly string[]> {
    for (;;) {
      const found = await this.findDead(deadLetters);
      const touched = found.filter((dead) => changesOf(dead).length > 0);
      if (touched.length === 0) return [];
      const ids = touched.map(({ record }) => record.header.id);
      const expect = touched.map(({ key, text }) => ({ key, value: text }));
      const changes = [...touched.flatMap(changesOf), ...changesOfAct(act, ids)];
      if (await commitWhere(this.storage, expect, changes)) return ids;
    }
  }

  /** What stands under the keys of these, where it is still a dead letter. */
  private async findDead(deadLetters: readonly DeadLetter[]): Promise<readonly StoredDeadLetter[]> {
    const keys = deadLetters.map(({ header }) => seqKey(FAILED, header.seq));
    const texts = await this.storage.read(keys);
    return deadLetters.flatMap((believed, index) => {
      const [key, text] = [keys[index] ?? '', texts[index] ?? null];
      if (text === null) return [];
      // What another tab has made of it since counts; one that no longer reads is what this tab has read before.
      return [{ key, text, record: recordIn(parseDeadLetter, text) ?? believed }];
    });
  }

  /**
   * Stores a new mutation in a dead letter's stead, keeping which it was; null when that is not there any more. Where the
   * dead letter holds its lane, the new one has its place.
   */
  async replace(
    deadLetter: DeadLetter,
    mutation: NewMutation,
    act: Act,
    rule: PlaceRule,
  ): Promise<MutationHeader | null> {
    const [found] = await this.findDead([deadLetter]);
    if (found === undefined) return null;
    const { key, text, record } = found;
    const { header, error } = record;
    return this.numbers.commit(1, [{ key, value: text }], (seq) => {
      const parents = mutation.header.dependsOn.flatMap((id) => rule.pendingHeader(id) ?? []);
      const added: MutationHeader = { ...mutation.header, seq, place: placeOfRetry(record, parents, rule) };
      const changes: Change[] = [
        drop(key),
        drop(seqKey(BODY, header.seq)),
        disposal(header, { act, atMs: act.atMs, error, replacedBy: added.id }),
        put(seqKey(PENDING, seq), sealRecord(added)),
        put(seqKey(BODY, seq), mutation.body),
        retriedMark(seq),
        ...changesOfAct(act, [header.id]),
      ];
      return { result: added, changes };
    });
  }

  /** Writes a dead letter that this tab knows in place of its text that no longer reads; false when that has changed. */
  async rewrite({ key, text }: Unreadable, deadLetter: DeadLetter): Promise<boolean> {
    return commitWhere(this.storage, [{ key, value: text }], [put(key, sealRecord(deadLetter))]);
  }

  /**
   * Writes what a tab knows of one that another tab, which knew nothing of it, has set aside; false when it is not there (any more).
   * Its payload stands there, and may be well.
   */
  async reclaim(deadLetter: DeadLetter): Promise<boolean> {
    const { seq } = deadLetter.header;
    const [found] = await this.quarantine.find([QUARANTINE + seqKey(PENDING, seq)]);
    if (found === undefined) return false;
    const { key, text, record } = found;
    const body = record.bodyText === null ? [] : [put(seqKey(BODY, seq), record.bodyText)];
    const changes = [drop(key), put(seqKey(FAILED, seq), sealRecord(deadLetter)), ...body];
    return commitWhere(this.storage, [{ key, value: text }], changes);
  }
}

/**
 * One that holds its lane goes before those it held up; another goes last. So does one with a parent that goes last in the
 * same lane: before it, it would wait for it for ever.
 */
function placeOfRetry(
  { header, holdsLane }: DeadLetter,
  parents: readonly MutationHeader[],
  rule: PlaceRule,
): number | null {
  if (!holdsLane || !rule.mayHoldLane(header.type)) return null;
  const lanes = lanesOf(header);
  const isBehindParent = parents.some(
    (parent) => placeOf(parent) > placeOf(header) && lanesOf(parent).some((lane) => lanes.includes(lane)),
  );
  return isBehindParent ? null : placeOf(header);
}
