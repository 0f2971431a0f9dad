import { rowKey } from '../../engine/unconfirmed.ts';
import { nextHybridTime } from '../../delivery/conflicts/hybrid-time.ts';
import {
  type Act,
  type MutationBody,
  type MutationHeader,
  type Parsed,
  parseAct,
  parseBody,
  parseDeadLetter,
  parseHeader,
  recordIn,
  RECORD_FORMAT,
  sealRecord,
  sealText,
  unsealText,
} from '../../mutation/record.ts';
import type { Random } from '../../ports/clock.ts';
import { scanAll } from '../../ports/scan-all.ts';
import {
  type Change,
  commitWhere,
  drop,
  type Durability,
  type Expectation,
  put,
  readOne,
  repairIn,
  type Storage,
  type StorageBatch,
} from '../../ports/storage.ts';
import type { ForkedFrom, JsonObject, WireError } from '../../protocol/wire.ts';
import type { ClientMark } from './anchor-keeper.ts';
import { ActLog, changesOfAct } from './act-log.ts';
import { Bodies, bodyKeysOf } from './bodies.ts';
import { History } from './history.ts';
import { ConfirmedTail, type TailLimits } from './confirmed-tail.ts';
import { type BackupContent, writeBackup } from './backup.ts';
import { type ImportResult, newsIn, planImport } from './importer.ts';
import { DeadLetterStore } from './dead-letter-store.ts';
import { type NewMutation, NumberGiver, retriedMark } from './number-giver.ts';
import { Quarantine, type Mended, type Unreadable } from './quarantine.ts';
import type { Identity } from '../options.ts';
import { SignOutMark } from '../sign-out-mark.ts';
import { BODY, FAILED, META, OWN_ID, PENDING, seqKey } from './record-keys.ts';
import { readWhatReads } from './read-what-reads.ts';
import { type Found, readPage } from './record-pages.ts';
import type { Salvage } from './salvage-scan.ts';
import { isBroken, isFull } from './storage-errors.ts';
import { ServerEpoch } from '../delivering/server-epoch.ts';
import { disposal } from '../delivering/settlement-changes.ts';
import { SettlementStore } from '../delivering/settlement-store.ts';
import {
  countText,
  epochAnew,
  lastSeqOf,
  mendings,
  type MetaTexts,
  readCount,
  readMeta,
  standingTexts,
} from './stored-meta.ts';

/** What an id of the app's own was added with. */
export interface ContentMark {
  /** Null where it does not read any more. */
  readonly mark: string | null;
}

const PLAIN_MARK = /^(?:!sensitive!)?[0-9a-z]{22}$/;

/** In place of an edit's hybrid time until it is stored. */
export const TIME_TO_COME = '';

/** A pending mutation's header, and the text it stands as: what a rewriting expects to find. */
export interface StoredHeader {
  readonly header: MutationHeader;
  readonly text: string;
}

/** What a pending mutation becomes; its number, id, lane and priority stay. */
export interface Amendment {
  readonly stored: StoredHeader;
  readonly header: MutationHeader;
  /** Null where it stays as it is. */
  readonly body: string | null;
}

/** Merges into pending ones. */
export interface Merges {
  readonly epoch: string;
  readonly amendments: readonly Amendment[];
  /** Those that stand for a duplicate, and must be pending as they are. */
  readonly unchanged: readonly StoredHeader[];
}

/** What one commit brings into the store. */
export interface Placement {
  readonly additions: readonly NewMutation[];
  /** Ids of the app's own among the additions, which nobody may have used before. */
  readonly ownIds: readonly { readonly id: string; readonly contentMark: string }[];
  readonly merges: Merges | null;
  /** The last number given out when all this was decided, where it holds only as long as none was since; else null. */
  readonly seenSeq: number | null;
}

export interface Placed {
  /** Of the additions, in their order. */
  readonly headers: readonly MutationHeader[];
  readonly amended: readonly MutationHeader[];
}

/** How far numbers have come. */
export interface Marks {
  /** The last one given out. */
  readonly lastSeq: number;
  /** The last one given to one that was retried, or stands in another's stead; 0 for none. */
  readonly retriedSeq: number;
}

/** Under which name the server is asked, and what it is told of an earlier one. */
export interface ClientClaim {
  readonly clientId: string;
  /** What stands there of the client that this one has taken the place of; null for nothing. */
  readonly forked: string | null;
}

/** What stands in the store about the one who delivers, read together with the bodies, so that it holds for the send. */
export interface Claim extends ClientClaim {
  readonly isLeader: boolean;
  readonly isPaused: boolean;
  readonly isSignedOut: boolean;
  /** A newer version of the app has opened the store. */
  readonly isOutdated: boolean;
  /** How far numbers have come. */
  readonly lastSeq: number;
  /** Up to here the server may have settled them for this device under an id that it has lost, and knows of none; 0 for none. */
  readonly lostUpToSeq: number;
  /** The epoch of the server that was heard last; null for none. */
  readonly serverEpoch: string | null;
  /** What stands there of acts that the server was not told of; null for none. */
  readonly untoldAct: string | null;
  readonly bodies: ReadonlyMap<number, Parsed<MutationBody> | Unread>;
}

/** The store cannot read it, while it reads others. */
interface Unread {
  readonly kind: 'unread';
}

const UNREAD: Unread = { kind: 'unread' };
/** What is read with the bodies of a batch. */
const CLAIMED: readonly string[] = [
  META.epoch,
  META.paused,
  META.signedOut,
  META.format,
  META.client,
  META.seq,
  META.forked,
  META.serverEpoch,
  META.untoldAct,
];

export interface OpenOptions {
  readonly newClientId: () => string;
  readonly random: Random;
  readonly wallMs: () => number;
  /** How many pending mutations are read at a time. */
  readonly pageCount: number;
  readonly anchor?: ClientMark | null;
  readonly tail?: TailLimits;
}

const NO_TAIL: TailLimits = { tailMs: 0, tailBytes: 0 };
/**
 * Power loss may take the last commits of a relaxed store, and the server may have seen their mutations. So as not to give
 * out one of their numbers again, each run leaves out more than can have been lost, and never the same amount: the gap
 * itself may be lost too.
 */
const RELAXED_GAP_COUNT = { min: 10_000, max: 2 ** 30 } as const;

/** The queue's records in a store: what is written together, under which keys, and on which condition. */
export class QueueStore {
  private ownClientId: string;
  private lostUpToSeq = 0;
  /** The last number that was given out when this tab opened the store. */
  readonly openedAtSeq: number;
  /** Under which keys the queue keeps something of itself that was damaged, and was made anew by this tab. */
  readonly mended: string[] = [];
  readonly acts: ActLog;
  readonly bodies: Bodies;
  readonly history: History;
  readonly quarantine: Quarantine;
  readonly signOut: SignOutMark;
  readonly tail: ConfirmedTail;
  readonly serverEpoch: ServerEpoch;
  readonly settlements: SettlementStore;
  readonly deadLetters: DeadLetterStore;
  /** How many pending mutations are read at a time. */
  readonly pageCount: number;
  private readonly storage: Storage;
  private readonly numbers: NumberGiver;
  /** Under which this tab delivers, or last did, as it stands in the store. */
  private ownEpoch = '';
  private serverTimeMs = 0;
  /** The last number given out, as it was found behind a text that does not read: nobody gives out another while that stands. */
  private found: { readonly text: string; readonly lastSeq: number } | null = null;
  private readonly wallMs: () => number;

  private constructor(
    storage: Storage,
    { pageCount, tail = NO_TAIL, wallMs }: OpenOptions,
    { clientId, lastSeq, gapCount }: { readonly clientId: string; readonly lastSeq: number; readonly gapCount: number },
  ) {
    this.storage = storage;
    this.pageCount = pageCount;
    this.wallMs = wallMs;
    this.acts = new ActLog(storage);
    this.bodies = new Bodies(storage);
    this.history = new History(storage);
    this.quarantine = new Quarantine(storage);
    this.signOut = new SignOutMark(storage);
    this.tail = new ConfirmedTail(storage, tail);
    const isOwn = (): Expectation => this.isOwn;
    this.serverEpoch = new ServerEpoch(storage, isOwn);
    this.settlements = new SettlementStore({ storage, tail: this.tail, serverEpoch: this.serverEpoch, isOwn });
    this.ownClientId = clientId;
    this.numbers = new NumberGiver(storage, { lastSeq, gapCount }, wallMs, (key) => this.mended.push(key));
    this.deadLetters = new DeadLetterStore(storage, this.numbers, this.quarantine);
    this.openedAtSeq = lastSeq;
  }

  /**
   * Reads who this client is, or makes it one; what the queue keeps of itself and was damaged is made anew. Refuses a store that a
   * newer version wrote, and leaves it as it is.
   */
  static async open(storage: Storage, options: OpenOptions): Promise<QueueStore> {
    const { newClientId, random, wallMs, anchor = null } = options;
    const { min, max } = RELAXED_GAP_COUNT;
    const mended: string[] = [];
    for (let isNew = false; ; ) {
      const { texts, isRewound } = await readMeta(storage);
      const { changes, damagedKeys, lastSeq } = await mendings(storage, texts, wallMs());
      const clientId = texts.client === null ? null : unsealText(texts.client);
      if (changes.length > 0) {
        const result = await commitMendings(storage, texts, changes, clientId !== null);
        if (result === 'committed') mended.push(...damagedKeys);
        if (result !== 'later') continue;
      }
      if (clientId !== null) {
        const hasGap = storage.durability === 'relaxed' && !isNew;
        const gapCount = hasGap ? min + Math.floor(random() * (max - min)) : 0;
        const store = new QueueStore(storage, options, { clientId, lastSeq, gapCount });
        store.mended.push(...mended);
        if (isNew) store.lostUpToSeq = lastSeq;
        const isBehind = anchor?.clientId === clientId && anchor.lastSeq > lastSeq;
        if (isBehind || isRewound) await store.fork(clientId, newClientId);
        return store;
      }
      await makeClient(storage, texts, newClientId(), anchor);
      isNew = true;
    }
  }

  /** Another tab may have given this client another id: known from the next claim on. */
  get clientId(): string {
    return this.ownClientId;
  }

  get durability(): Durability {
    return this.storage.durability;
  }

  get epoch(): string {
    return this.ownEpoch;
  }

  /**
   * Stores all of it or nothing: new mutations, numbered in their order after everything stored before, and merges into
   * pending ones. Null when what was expected does not hold any more: look again, and decide anew.
   */
  async place(placement: Placement): Promise<Placed | null> {
    const { additions, ownIds, merges } = placement;
    const amended = merges === null ? null : batchOfAmendments(merges.amendments, merges.epoch);
    const expect: Expectation[] = ownIds.map(({ id }) => ({ key: OWN_ID + id, value: null }));
    const isTimed = additions.some(({ header }) => header.edit?.hlc === TIME_TO_COME);
    const [timeText = null] = isTimed ? await this.storage.read([META.time]) : [];
    // Another tab may give out a time just now: then it is read again.
    if (isTimed) expect.push({ key: META.time, value: timeText });
    const time = timeText === null ? null : unsealText(timeText);
    if (amended !== null) expect.push(...amended.expect);
    for (const { header, text } of merges?.unchanged ?? [])
      expect.push({ key: seqKey(PENDING, header.seq), value: text });
    const write = (firstSeq: number): { readonly result: Placed; readonly changes: readonly Change[] } => {
      const { headers, lastTime } = this.timed(additions, firstSeq, time);
      const changes: Change[] = [];
      headers.forEach((header, index) => {
        changes.push(put(seqKey(PENDING, header.seq), sealRecord(header)));
        changes.push(put(seqKey(BODY, header.seq), additions[index]?.body ?? ''));
      });
      if (lastTime !== null && isTimed) changes.push(put(META.time, sealText(lastTime)));
      for (const { id, contentMark } of ownIds) changes.push(put(OWN_ID + id, sealText(contentMark)));
      if (amended !== null) changes.push(...amended.changes);
      return { result: { headers, amended: amended?.headers ?? [] }, changes };
    };
    return this.numbers.commit(additions.length, expect, write, placement.seenSeq);
  }

  /** What ids of the app's own were added with; null for those that are not known. */
  async contentMarks(ids: readonly string[]): Promise<readonly (ContentMark | null)[]> {
    const texts = await this.storage.read(ids.map((id) => OWN_ID + id));
    return texts.map((text) => (text === null ? null : { mark: unsealText(text) ?? plainMark(text) }));
  }

  async readMarks(): Promise<Marks> {
    const [seq = null, retried] = await this.storage.read([META.seq, META.retried]);
    const lastSeq = await this.lastSeqBy(seq);
    // Any of them, where that does not read.
    return { lastSeq, retriedSeq: readCount(retried) ?? lastSeq };
  }

  private async lastSeqBy(text: string | null): Promise<number> {
    if (text !== null && this.found?.text === text) return this.found.lastSeq;
    const lastSeq = await lastSeqOf(this.storage, text);
    this.found = text === null || readCount(text) !== null ? null : { text, lastSeq };
    return lastSeq;
  }

  /** Looks whether what the queue keeps of itself is whole, and makes anew what is not; says under which keys that was. */
  async mend(): Promise<readonly string[]> {
    const { texts } = await readMeta(this.storage);
    const { changes, damagedKeys } = await mendings(this.storage, texts, this.wallMs());
    // Who this client is, this tab knows.
    const known = changes.map((change) =>
      change.key === META.client ? put(META.client, sealText(this.clientId)) : change,
    );
    if (known.length === 0 || (await commitMendings(this.storage, texts, known, false)) !== 'committed') return [];
    this.mended.push(...damagedKeys);
    return damagedKeys;
  }

  /** Numbers them, and gives those that wait for it the times of their edits: in the same order, whatever the clock does. */
  private timed(
    mutations: readonly NewMutation[],
    firstSeq: number,
    time: string | null,
  ): { readonly headers: readonly MutationHeader[]; readonly lastTime: string | null } {
    let lastTime = time;
    if (mutations.every(({ header }) => header.edit === undefined))
      return { headers: mutations.map(({ header }, index) => ({ ...header, seq: firstSeq + index })), lastTime };
    const seqOfRow = new Map<string, number>();
    const headers = mutations.map(({ header }, index): MutationHeader => {
      const seq = firstSeq + index;
      const row = rowKey(header);
      const ownSeq = seqOfRow.get(row) ?? 0;
      seqOfRow.set(row, seq);
      if (header.edit === undefined) return { ...header, seq };
      // What is stored together was called in one tab, which knows its own.
      const edit = { ...header.edit, afterSeq: Math.max(header.edit.afterSeq ?? 0, ownSeq) };
      if (edit.hlc !== TIME_TO_COME) return { ...header, seq, edit };
      lastTime = nextHybridTime(lastTime, Math.max(header.createdAtMs, this.serverTimeMs), this.clientId);
      return { ...header, seq, edit: { ...edit, hlc: lastTime } };
    });
    return { headers, lastTime };
  }

  /** What the server's clock says: an edit made after having heard of it is later than all that was made before. */
  heardServerTime(wallMs: number): void {
    this.serverTimeMs = Math.max(this.serverTimeMs, wallMs);
  }

  /** Under which epoch someone delivers now. */
  async currentEpoch(): Promise<string | null> {
    return readOne(this.storage, META.epoch);
  }

  /**
   * Disposes of an edit that waits for a person, who chose the other version; who and why is kept, and what the edit would
   * have set. False when its header is not as it was read.
   */
  async giveWay({ header, text }: StoredHeader, payload: JsonObject, act: Act): Promise<boolean> {
    const key = seqKey(PENDING, header.seq);
    const changes = [
      drop(key),
      drop(seqKey(BODY, header.seq)),
      disposal(header, { act, atMs: act.atMs, payload }),
      ...changesOfAct(act, [header.id]),
    ];
    return commitWhere(this.storage, [{ key, value: text }], changes);
  }

  /** Pending ones numbered above `seq`, in order; a page of them. */
  async pendingAfter(seq: number, count: number = this.pageCount): Promise<Found<MutationHeader>> {
    return readPage(this.storage, PENDING, seq, count, parseHeader);
  }

  async isPaused(): Promise<boolean> {
    return (await readOne(this.storage, META.paused)) !== null;
  }

  /** Who paused, when and why; null when nobody has, or what stands there no longer reads. */
  async pausedBy(): Promise<Act | null> {
    return recordIn(parseAct, await readOne(this.storage, META.paused));
  }

  async setPaused(act: Act | null): Promise<void> {
    const changes =
      act === null
        ? [drop(META.paused)]
        : [put(META.paused, sealRecord({ ...act, ids: [], touchedCount: 0 })), ...changesOfAct(act, [])];
    await this.storage.commit({ expect: [], changes });
  }

  /** Keeps what was done elsewhere than in the store. */
  async record(act: Act, ids: readonly string[]): Promise<void> {
    await this.storage.commit({ expect: [], changes: changesOfAct(act, ids) });
  }

  /** As long as this tab delivers. */
  private get isOwn(): Expectation & { readonly value: string } {
    return { key: META.epoch, value: this.ownEpoch };
  }

  /** Under which this tab's claims and settlements count, as long as no higher one stands in the store. */
  get epochNumber(): number {
    return this.ownEpoch === '' ? 0 : (readCount(this.ownEpoch) ?? 0);
  }

  /**
   * Makes this tab the one whose claims and settlements count. Resolves to the last number that was given out before: up to
   * it, and no further, an earlier one may have sent. Null when `isWanted` says that it has given way meanwhile. `heardEpoch`: the
   * highest that another tab has delivered under, which the store may not tell any more.
   */
  async takeOver(isWanted: () => boolean, heardEpoch: number): Promise<number | null> {
    for (;;) {
      const [epoch = null, seq = null] = await this.storage.read([META.epoch, META.seq]);
      // Who has given way meanwhile would put the one that leads now out of it.
      if (!isWanted()) return null;
      const count = epoch === null ? null : readCount(epoch);
      const known = Math.max(this.epochNumber, heardEpoch);
      const number = count === null ? epochAnew(this.wallMs(), known) : Math.max(count, known) + 1;
      const next = countText(number);
      const expect = [
        { key: META.epoch, value: epoch },
        { key: META.seq, value: seq },
      ];
      if (!(await commitWhere(this.storage, expect, [put(META.epoch, next)]))) continue;
      if (epoch !== null && count === null) this.mended.push(META.epoch);
      this.tail.forget();
      this.serverEpoch.settled();
      // Asked for twice, the answers may come in either order.
      if (number > this.epochNumber) this.ownEpoch = next;
      // Where nobody knows who has delivered before, it may have been anybody.
      return count === 0 ? 0 : await lastSeqOf(this.storage, seq);
    }
  }

  /** Bodies for a batch, and whether it may be sent at all. */
  async claim(headers: readonly MutationHeader[]): Promise<Claim> {
    const { own, texts } = await this.readClaim(bodyKeysOf(headers));
    const [epoch, paused, signedOut, format, client, seq = null, forked, serverEpoch, untoldAct] = own;
    const lastSeq = await this.lastSeqBy(seq);
    // What does not read any more is made anew by the next run, and is here as it was.
    const clientId = unsealed(client) ?? this.ownClientId;
    if (clientId !== this.ownClientId) this.lostUpToSeq = lastSeq;
    this.ownClientId = clientId;
    this.serverEpoch.read(serverEpoch);
    return {
      isLeader: epoch === this.ownEpoch,
      isPaused: paused !== null,
      isSignedOut: signedOut !== null,
      isOutdated: (readCount(format) ?? 0) > RECORD_FORMAT,
      clientId,
      lastSeq,
      lostUpToSeq: this.lostUpToSeq,
      forked: unsealed(forked),
      serverEpoch: this.serverEpoch.current,
      untoldAct: untoldAct ?? null,
      bodies: new Map(
        headers.map((header, index) => {
          const text = texts[index];
          return [header.seq, text === undefined ? UNREAD : parseBody(text ?? '', header)];
        }),
      ),
    };
  }

  /** In one view; where that cannot be had, what the queue keeps of itself, and then the bodies. */
  private async readClaim(keys: readonly string[]): Promise<{
    readonly own: readonly (string | null)[];
    readonly texts: readonly (string | null | undefined)[];
  }> {
    try {
      const all = await this.storage.read([...CLAIMED, ...keys]);
      return { own: all, texts: all.slice(CLAIMED.length) };
    } catch (error) {
      if (keys.length === 0 || !isBroken(error)) throw error;
      const own = await this.storage.read(CLAIMED);
      return { own, texts: await readWhatReads(this.storage, keys) };
    }
  }

  /** The headers of these as they stand among the pending ones; null for one that does not, or does not read. */
  async pendingAt(seqs: readonly number[]): Promise<readonly (StoredHeader | null)[]> {
    if (seqs.length === 0) return [];
    const texts = await this.storage.read(seqs.map((seq) => seqKey(PENDING, seq)));
    return texts.map((text) => {
      const header = recordIn(parseHeader, text);
      return text === null || header === null ? null : { header, text };
    });
  }

  /** Those of these that stand as they are given, and were not rewritten since; null for the others. */
  async unchanged(headers: readonly MutationHeader[]): Promise<readonly (StoredHeader | null)[]> {
    const stored = await this.pendingAt(headers.map(({ seq }) => seq));
    return stored.map((each, index) => (each?.header.revision === headers[index]?.revision ? each : null));
  }

  /**
   * Rewrites pending mutations, all of them or none, each as its next revision. Null, and nothing is written, when the lead
   * has changed hands since `epoch`, or one of the headers is not as it was read. `act`: who asked for it and why.
   */
  async amend(
    amendments: readonly Amendment[],
    epoch: string | null,
    act: Act | null = null,
  ): Promise<readonly MutationHeader[] | null> {
    const { expect, changes, headers } = batchOfAmendments(amendments, epoch);
    const ids = headers.map(({ id }) => id);
    const acts = act === null ? [] : changesOfAct(act, ids);
    return (await commitWhere(this.storage, expect, [...changes, ...acts])) ? headers : null;
  }

  /** Whether each of these stands among the pending ones. */
  async arePending(seqs: readonly number[]): Promise<readonly boolean[]> {
    const texts = await this.storage.read(seqs.map((seq) => seqKey(PENDING, seq)));
    return texts.map((text) => text !== null);
  }

  /** Of these, what stands there and does not read: its header, or a body that is not the one its header tells of. */
  async unreadableAmong(seqs: readonly number[]): Promise<readonly number[]> {
    const damaged = await this.damagedAmong(seqs);
    if (damaged.length === 0) return damaged;
    const keys = damaged.flatMap((seq) => [seqKey(PENDING, seq), seqKey(BODY, seq)]);
    return (await repairIn(this.storage, keys)) ? this.damagedAmong(damaged) : damaged;
  }

  private async damagedAmong(seqs: readonly number[]): Promise<readonly number[]> {
    // Read once: what goes away between two reads is not damaged.
    const texts = await this.storage.read(seqs.map((seq) => seqKey(PENDING, seq)));
    const damaged = new Set<number>();
    const headers: MutationHeader[] = [];
    for (const [index, seq] of seqs.entries()) {
      const text = texts[index] ?? null;
      const header = recordIn(parseHeader, text);
      if (header !== null) headers.push(header);
      else if (text !== null) damaged.add(seq);
    }
    const bodies = await this.bodies.of(headers);
    const suspects = headers.filter(({ seq }) => !bodies.has(seq));
    // Somebody may have rewritten both between the two reads.
    const standing = suspects.length === 0 ? [] : await this.unchanged(suspects);
    for (const [index, { seq }] of suspects.entries()) if (standing[index] !== null) damaged.add(seq);
    return seqs.filter((seq) => damaged.has(seq));
  }

  /** Moves what no longer reads into quarantine, while this tab delivers (`isLeader`) or whoever does; says what was moved. */
  async quarantineAll(
    found: readonly Unreadable[],
    foundAtMs: number,
    isLeader: boolean,
  ): Promise<readonly Unreadable[]> {
    return this.quarantine.take(found, foundAtMs, isLeader ? this.isOwn : null);
  }

  /** Makes one that was in quarantine pending again, as the last of its lane; null when it is not there any more. */
  async putBack({ key, text, header, body }: Mended, act: Act): Promise<MutationHeader | null> {
    return this.numbers.commit(1, [{ key, value: text }], (seq) => {
      const again = { ...header, seq, place: null, generation: header.generation + 1, attempts: [] };
      const changes: Change[] = [
        drop(key),
        put(seqKey(PENDING, seq), sealRecord(again)),
        put(seqKey(BODY, seq), body),
        retriedMark(seq),
        ...changesOfAct(act, [header.id]),
      ];
      return { result: again, changes };
    });
  }

  /** All that stands here, as one file; with a `salvage`, all that can be read. */
  async backup(identity: Identity, exportedAtMs: number, salvage: Salvage | null = null): Promise<string> {
    const { userId, workspaceId } = identity;
    const about = { userId, workspaceId, clientId: this.clientId, exportedAtMs };
    return writeBackup(this.storage, about, async () => (await this.readMarks()).lastSeq, salvage);
  }

  /**
   * Takes in what of a backup is not known here, all of it in one commit. Null when a number was given out after `seenSeq`: who
   * decides what is known has to look again. `over`: what goes with it.
   */
  async importAll(
    content: BackupContent,
    act: Act,
    isKnown: (id: string) => boolean,
    seenSeq: number,
    over: readonly Change[] = [],
  ): Promise<ImportResult | null> {
    const { result, count, write } = await planImport(this.storage, content, act, isKnown);
    if (count === 0 && over.length === 0 && write(1).length === 0) return result;
    return this.numbers.commit(
      count,
      [],
      (firstSeq) => {
        const mark = count === 0 ? [] : [retriedMark(firstSeq + count - 1)];
        return { result, changes: [...over, ...write(firstSeq), ...mark] };
      },
      seenSeq,
    );
  }

  /**
   * `importAll` of another store of this device, into one that no queue in this tab is looking at: what has ended there, or was
   * retried, does not stay here as it was before.
   */
  async moveIn(content: BackupContent, act: Act): Promise<ImportResult> {
    const newsOf = newsIn(content);
    for (;;) {
      const { lastSeq } = await this.readMarks();
      const ids = new Set<string>();
      const over: Change[] = [];
      const look = (prefix: string, header: MutationHeader, failedAtMs?: number): void => {
        const news = newsOf(header, failedAtMs);
        if (news !== 'retried') ids.add(header.id);
        for (const under of news === null ? [] : [prefix, BODY]) over.push(drop(seqKey(under, header.seq)));
      };
      for await (const { value } of scanAll(this.storage, PENDING)) {
        const header = recordIn(parseHeader, value);
        if (header !== null) look(PENDING, header);
      }
      for await (const { value } of scanAll(this.storage, FAILED)) {
        const deadLetter = recordIn(parseDeadLetter, value);
        if (deadLetter !== null) look(FAILED, deadLetter.header, deadLetter.failedAtMs);
      }
      const result = await this.importAll(content, act, (id) => ids.has(id), lastSeq, over);
      if (result !== null) return result;
    }
  }

  /**
   * Gives this client another id, since its store is as it was earlier: under the old one a new mutation would pass for one that was
   * applied. False, and nothing is done, where it has another one by now, or numbers have come as far as `highSeq`: the word was late.
   */
  async fork(
    clientId: string,
    newClientId: () => string,
    highSeq: number = Number.POSITIVE_INFINITY,
  ): Promise<boolean> {
    for (;;) {
      const [client = null, seq = null] = await this.storage.read([META.client, META.seq]);
      const lastSeq = await lastSeqOf(this.storage, seq);
      const standing = unsealed(client) ?? this.ownClientId;
      // Already done, or more was added since than the server had heard of.
      if (standing !== clientId || lastSeq >= highSeq) {
        this.ownClientId = standing;
        return false;
      }
      const next = newClientId();
      const expect = [
        { key: META.client, value: client },
        { key: META.seq, value: seq },
      ];
      const changes = [
        put(META.client, sealText(next)),
        forkedMark({ id: clientId, reason: 'behind', lastSeq }),
        drop(META.rewound),
      ];
      if (!(await commitWhere(this.storage, expect, changes))) continue;
      this.ownClientId = next;
      return true;
    }
  }

  /** The server has answered to what stands there. */
  async forkIsTold(forked: string): Promise<void> {
    await commitWhere(this.storage, [{ key: META.forked, value: sealText(forked) }], [drop(META.forked)]);
  }

  /** Whether the server has yet to hear of the client that this one has taken the place of. */
  async isForkUntold(): Promise<boolean> {
    return unsealed(await readOne(this.storage, META.forked)) !== null;
  }

  /** Of history and acts; says how much of the first it forgot. See `History.sweep`. */
  async sweepHistory(beforeMs: number, isParent: (id: string) => boolean): Promise<number> {
    const count = await this.history.sweep(beforeMs, isParent);
    await this.acts.sweep();
    return count;
  }

  estimate(): ReturnType<Storage['estimate']> {
    return this.storage.estimate();
  }

  /** Rejects with `STORAGE_LOCKED` while the keys are away. */
  async checkKeys(): Promise<void> {
    await this.storage.commit({ expect: [], changes: [] });
  }

  async close(): Promise<void> {
    await this.storage.close();
  }
}

function forkedMark(forkedFrom: ForkedFrom): Change {
  return put(META.forked, sealText(JSON.stringify(forkedFrom)));
}

/** Null also where nothing stands. */
function unsealed(text: string | null | undefined): string | null {
  return text == null ? null : unsealText(text);
}

/** Another tab may do the same just now. `anchor`: what is known of one whose store is gone. */
async function makeClient(
  storage: Storage,
  { client, seq, epoch, forked }: MetaTexts,
  clientId: string,
  anchor: ClientMark | null,
): Promise<void> {
  const changes: Change[] = [put(META.format, countText(RECORD_FORMAT)), put(META.client, sealText(clientId))];
  // Nobody has delivered anything yet, and this says so.
  if (seq === null && epoch === null) changes.push(put(META.epoch, countText(0)));
  if (anchor !== null && forked === null) {
    const { clientId: id, lastSeq, unsentCount } = anchor;
    changes.push(forkedMark({ id, reason: 'wiped', lastSeq, unsentCount }));
  }
  await storage.commit({ expect: [{ key: META.client, value: client }], changes });
}

/** `later`: there is no room for it, and the queue can do without for now (`mayWait`): sending is what makes room. */
async function commitMendings(
  storage: Storage,
  texts: MetaTexts,
  changes: readonly Change[],
  mayWait: boolean,
): Promise<'committed' | 'mismatch' | 'later'> {
  const standing = standingTexts(texts);
  try {
    const expect = changes.map(({ key }) => ({ key, value: standing.get(key) ?? null }));
    return (await storage.commit({ expect, changes })).kind;
  } catch (error) {
    if (mayWait && isFull(error)) return 'later';
    throw error;
  }
}

/** A mark as earlier versions wrote it; null for what is none. */
function plainMark(text: string): string | null {
  return PLAIN_MARK.test(text) ? text : null;
}

function batchOfAmendments(
  amendments: readonly Amendment[],
  epoch: string | null,
): StorageBatch & { readonly headers: readonly MutationHeader[] } {
  const expect: Expectation[] = [{ key: META.epoch, value: epoch }];
  const changes: Change[] = [];
  const headers: MutationHeader[] = [];
  for (const { stored, header, body } of amendments) {
    const { seq, revision } = stored.header;
    const amended = { ...header, seq, revision: revision + 1 };
    expect.push({ key: seqKey(PENDING, seq), value: stored.text });
    changes.push(put(seqKey(PENDING, seq), sealRecord(amended)));
    if (body !== null) changes.push(put(seqKey(BODY, seq), body));
    headers.push(amended);
  }
  return { expect, changes, headers };
}

/** A newer version of the app has opened the store while this one runs. */
export const OPENED_BY_NEWER: WireError = {
  category: 'OUTDATED',
  code: 'UPGRADE_REQUIRED',
  message: 'A newer version of this app has opened the store of this device, in another tab or process.',
  hint: 'Reload the app here. What is added meanwhile is stored, and the newer one sends it.',
};
