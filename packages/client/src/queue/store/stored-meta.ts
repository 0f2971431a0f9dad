import { HoldfastError } from '../../mutation/holdfast-error.ts';
import { parseCompleted, RECORD_FORMAT, recordIn, sealText, unsealText } from '../../mutation/record.ts';
import { scanAll } from '../../ports/scan-all.ts';
import { type Change, drop, put, readOne, type Storage } from '../../ports/storage.ts';
import { BODY, COMPLETED, FAILED, META, PENDING, QUARANTINE, seqKey, seqOfKey } from './record-keys.ts';
import { isBroken } from './storage-errors.ts';

type Name = 'format' | 'client' | 'forked' | 'seq' | 'retried' | 'epoch' | 'time' | 'serverEpoch' | 'completedCount';

/** What a queue keeps of itself, each sealed with its checksum; null where nothing stands. */
export type MetaTexts = Readonly<Record<Name, string | null>>;

const NAMES: readonly Name[] = [
  'format',
  'client',
  'forked',
  'seq',
  'retried',
  'epoch',
  'time',
  'serverEpoch',
  'completedCount',
];

/** A checksum and what stands behind it, or what is left of these: what was written before is an id or a number. */
const SEALED = /^(?:[\da-f]{8}[^\d-]|.{8} )/;

/** Where records stand by their number. */
const NUMBERED: readonly string[] = [PENDING, BODY, FAILED, QUARANTINE + PENDING, QUARANTINE + FAILED];

/** An epoch that stands in for one that does not read: more leaders than these, and the time after that, were never counted. */
const EPOCH_ANEW = 2 ** 41;

const SEQ_ANEW_MAX = 2 ** 52;

/** No server calls its epoch so. */
const UNKNOWN_EPOCH = 'unreadable';

export function countText(count: number): string {
  return sealText(String(count));
}

/** A count as it stands in the store: 0 where there is none, null for what does not read. */
export function readCount(text: string | null | undefined): number | null {
  if (text == null) return 0;
  const count = Number(unsealText(text) ?? Number.NaN);
  return Number.isSafeInteger(count) ? count : null;
}

/** How the last number given out stands in the store. */
export function textOfSeq(lastSeq: number): string | null {
  return lastSeq === 0 ? null : countText(lastSeq);
}

export function changeOfSeq(lastSeq: number): Change {
  const value = textOfSeq(lastSeq);
  return value === null ? drop(META.seq) : put(META.seq, value);
}

/** Higher than all that may be known of to a tab: than any that was counted, and than one made so before. */
export function epochAnew(wallMs: number, knownEpoch: number): number {
  return Math.max(knownEpoch, EPOCH_ANEW + Math.max(0, wallMs)) + 1;
}

/**
 * The last number given out, where nobody knows it any more: above all that there ever were. What had a number may be gone without a trace, and
 * a number that is given out again passes for settled, here and on the server. Nobody gives out one a microsecond. Whatever the clock
 * says, there is room for as many more.
 */
export function seqAnew(wallMs: number, highestSeq: number): number {
  return Math.max(highestSeq, Math.min(Math.max(0, Math.floor(wallMs)) * 1_000, SEQ_ANEW_MAX));
}

/** The last number given out, by what stands there, or else by all that has a number. */
export async function lastSeqOf(storage: Storage, text: string | null | undefined): Promise<number> {
  return readCount(text) ?? (await highestSeq(storage));
}

/** How many were confirmed, by what stands there, or else as many as are in the history. */
export async function completedCountOf(storage: Storage, text: string | null | undefined): Promise<number> {
  const count = readCount(text);
  if (count !== null) return count;
  let found = 0;
  for await (const _ of scanAll(storage, COMPLETED)) found += 1;
  return found;
}

/** `isRewound`: whoever has put the store back from a copy, which may be a little older, says so. */
export async function readMeta(storage: Storage): Promise<{ readonly texts: MetaTexts; readonly isRewound: boolean }> {
  const [rewound = null, ...texts] = await storage.read([META.rewound, ...NAMES.map((name) => META[name])]);
  const named = Object.fromEntries(NAMES.map((name, index) => [name, texts[index] ?? null])) as MetaTexts;
  return { texts: named, isRewound: rewound !== null };
}

/** By the keys that they stand under. */
export function standingTexts(texts: MetaTexts): ReadonlyMap<string, string | null> {
  return new Map(NAMES.map((name) => [META[name], texts[name]]));
}

export interface Mendings {
  readonly changes: readonly Change[];
  /** Of what was damaged; what an earlier version wrote is not. */
  readonly damagedKeys: readonly string[];
  /** The last number given out. */
  readonly lastSeq: number;
}

/**
 * Changes that make what a queue keeps of itself whole again: sealed, where an earlier version wrote it; made anew from what
 * stands in the store, where it was damaged. None for a store in which all is well. Throws for a newer version's store.
 */
export async function mendings(storage: Storage, texts: MetaTexts, wallMs: number): Promise<Mendings> {
  if (isOlder(texts)) return { changes: sealedChanges(texts), damagedKeys: [], lastSeq: 0 };
  const changes: Change[] = [];
  const write = (name: Name, value: string): unknown => changes.push(put(META[name], value));
  const isDamaged = (name: Name): boolean => {
    const text = texts[name];
    return text !== null && unsealText(text) === null;
  };
  // A new store gets it with its client.
  const isNew = texts.format === null && texts.client === null;
  if (formatOf(texts) === null && !isNew) write('format', countText(RECORD_FORMAT));
  const seq = readCount(texts.seq);
  const isLost = seq === null || (await isBehind(storage, seq));
  const lastSeq = isLost ? seqAnew(wallMs, await highestSeq(storage)) : seq;
  if (lastSeq !== seq) changes.push(changeOfSeq(lastSeq));
  // Any of them may have been retried.
  if (isDamaged('retried')) write('retried', countText(lastSeq));
  if (isDamaged('epoch')) write('epoch', countText(epochAnew(wallMs, 0)));
  // What was confirmed last is sent once more: this is not the server's.
  if (isDamaged('serverEpoch')) write('serverEpoch', sealText(UNKNOWN_EPOCH));
  if (isDamaged('completedCount'))
    write('completedCount', countText(await completedCountOf(storage, texts.completedCount)));
  // Made anew by whoever needs them.
  for (const name of ['client', 'forked', 'time'] as const) if (isDamaged(name)) changes.push(drop(META[name]));
  return { changes, damagedKeys: changes.map(({ key }) => key), lastSeq };
}

/** Null for what has to be written anew. Throws for the format of a newer version. */
function formatOf(texts: MetaTexts): number | null {
  const { format } = texts;
  const number = format === null ? null : readCount(format);
  if (number !== null && number > RECORD_FORMAT) throw tooNew(String(number));
  // Nothing else is sealed either: another layer of the store, which this version does not have.
  if (format !== null && number === null && !isOurs(texts)) throw tooNew(format);
  return number === RECORD_FORMAT ? number : null;
}

/** Sealed by this version, as far as can be seen of what may be damaged. */
function isOurs({ format, client, seq, epoch }: MetaTexts): boolean {
  return [format, client, seq, epoch].some((text) => text !== null && SEALED.test(text));
}

/** Written before what a queue keeps of itself was sealed. */
function isOlder(texts: MetaTexts): boolean {
  const { format } = texts;
  return format !== null && /^\d{1,3}$/.test(format) && Number(format) <= RECORD_FORMAT && !isOurs(texts);
}

function sealedChanges(texts: MetaTexts): readonly Change[] {
  return NAMES.flatMap((name) => {
    const text = name === 'format' ? String(RECORD_FORMAT) : texts[name];
    return text === null ? [] : [put(META[name], sealText(text))];
  });
}

/** What the newest number is of, or its payload, stands above the last one that is said to be given out. */
async function isBehind(storage: Storage, lastSeq: number): Promise<boolean> {
  const found = await Promise.all(
    NUMBERED.map((prefix) =>
      seqAfter(storage, prefix, lastSeq).catch((error: unknown) => {
        // What cannot be read there tells nothing; the queue opens without.
        if (!isBroken(error)) throw error;
        return null;
      }),
    ),
  );
  const foundSeq = Math.max(...found.map((seq) => seq ?? 0));
  if (foundSeq === 0) return false;
  // Another tab may have given it out since: then it has said so in the same commit.
  return (readCount(await readOne(storage, META.seq)) ?? 0) < foundSeq;
}

/** The highest number that anything here has. Not found by reading through it all: a long queue is full of them. */
async function highestSeq(storage: Storage): Promise<number> {
  let highest = readCount(await readOne(storage, META.retried)) ?? 0;
  for (const prefix of NUMBERED) highest = await highestUnder(storage, prefix, highest);
  for await (const { value } of scanAll(storage, COMPLETED)) {
    highest = Math.max(highest, recordIn(parseCompleted, value)?.seq ?? 0);
  }
  return highest;
}

/** By halves. */
async function highestUnder(storage: Storage, prefix: string, fromSeq: number): Promise<number> {
  let low = (await seqAfter(storage, prefix, fromSeq)) ?? fromSeq;
  for (let high = low === fromSeq ? low : Number.MAX_SAFE_INTEGER; low < high; ) {
    const middle = low + Math.floor((high - low) / 2);
    const found = await seqAfter(storage, prefix, middle);
    if (found === null) high = middle;
    else low = found;
  }
  return low;
}

async function seqAfter(storage: Storage, prefix: string, seq: number): Promise<number | null> {
  const [entry] = await storage.scan({ prefix, after: seqKey(prefix, seq), limit: 1 });
  const found = entry === undefined ? null : seqOfKey(entry.key);
  return found !== null && Number.isSafeInteger(found) ? found : null;
}

function tooNew(format: string): HoldfastError {
  return new HoldfastError({
    code: 'STORAGE_TOO_NEW',
    message: `The mutations on this device were stored in format ${format}; this version of the app reads up to ${RECORD_FORMAT}.`,
    hint: 'Update the app. Nothing was changed, and nothing is lost.',
  });
}

/** What a queue keeps of itself was damaged. */
export function mendedError(keys: readonly string[]): HoldfastError {
  return new HoldfastError({
    code: 'UNREADABLE_RECORD',
    message: `What the queue keeps of itself could not be read any more (${keys.join(', ')}), and was made anew from what is stored.`,
    hint: 'Nothing to do: no change is lost by it. Should it happen again, look at the storage of this device.',
  });
}
