import { checksumText } from '../../mutation/checksum.ts';
import { HoldfastError } from '../../mutation/holdfast-error.ts';
import {
  type DeadLetter,
  type MutationHeader,
  parseAct,
  parseCompleted,
  parseDeadLetter,
  parseDisposed,
  parseHeader,
  type Parsed,
  placeOf,
} from '../../mutation/record.ts';
import { scanAll } from '../../ports/scan-all.ts';
import type { Entry, Storage } from '../../ports/storage.ts';
import type { Identity } from '../options.ts';
import { type Salvage, salvageScan } from './salvage-scan.ts';
import { isBroken } from './storage-errors.ts';
import {
  ACTS,
  BODY,
  COMPLETED,
  DISCARDED,
  FAILED,
  OWN_ID,
  PENDING,
  QUARANTINE,
  seqKey,
  seqOfKey,
} from './record-keys.ts';

/**
 * Version of the file. One of a higher version is refused, and left untouched.
 * 2: the checksum is over all that the file says. In files of version 1 it is over the entries alone.
 */
const BACKUP_FORMAT = 2;

/** A mutation with its payload's text, whether that reads or not; null where none stands. */
interface WithBody<Record> {
  readonly record: Record;
  readonly body: string | null;
}

/** What a backup holds, read and checked. */
export interface BackupContent {
  /** In the order that they are in. */
  readonly pending: readonly WithBody<MutationHeader>[];
  readonly deadLetters: readonly WithBody<DeadLetter>[];
  /** History, acts, marks of ids, and quarantine, as they stood. */
  readonly rest: readonly Entry[];
}

/** The queue as one file, and who it belongs to. */
interface BackupFile {
  readonly holdfast: 'queue';
  readonly format: number;
  readonly userId: string;
  readonly workspaceId: string;
  readonly clientId: string;
  readonly exportedAtMs: number;
  readonly pendingCount: number;
  readonly deadLetterCount: number;
  /** CRC-32 over the JSON text of all before and `entries`, as a list in this order, in hexadecimal. */
  readonly checksum: string;
  readonly entries: readonly (readonly [key: string, value: string])[];
}

/** Sorts of records in the order that they are read in: what moves on meanwhile is found again further on. */
const SORTS = [PENDING, BODY, FAILED, BODY, COMPLETED, DISCARDED, OWN_ID, QUARANTINE, ACTS] as const;

/**
 * All of a queue as it stands, as one text. Read while others write: a mutation that is settled meanwhile may be in it as
 * pending, never not at all. `lastSeq` says how far numbers have come: what was retried meanwhile is read again. `salvage`: what
 * cannot be read is left out.
 */
export async function writeBackup(
  storage: Storage,
  about: Pick<BackupFile, 'userId' | 'workspaceId' | 'clientId' | 'exportedAtMs'>,
  lastSeq: () => Promise<number>,
  salvage: Salvage | null = null,
): Promise<string> {
  const entries = new Map<string, string>();
  for (let before = -1, now = 0; before !== now; ) {
    before = await lastSeq();
    for (const prefix of SORTS)
      for await (const { key, value } of scanSort(storage, prefix, before, salvage)) entries.set(key, value);
    now = await lastSeq();
  }
  const isToCome = ([key]: readonly [string, string]): boolean =>
    (key.startsWith(PENDING) || key.startsWith(FAILED)) && !entries.has(seqKey(BODY, seqOfKey(key)));
  const isPart = salvage !== null && !salvage.isWhole && !salvage.isLast;
  const list = isPart ? [...entries].filter((entry) => !isToCome(entry)) : [...entries];
  const count = (prefix: string): number => list.filter(([key]) => key.startsWith(prefix)).length;
  const file = {
    holdfast: 'queue',
    format: BACKUP_FORMAT,
    ...about,
    pendingCount: count(PENDING),
    deadLetterCount: count(FAILED),
    entries: list,
  } as const;
  return JSON.stringify({ ...file, checksum: sumOf(file), entries: list } satisfies BackupFile);
}

async function* scanSort(
  storage: Storage,
  prefix: string,
  lastSeq: number,
  salvage: Salvage | null,
): AsyncIterable<Entry> {
  if (salvage === null) {
    yield* scanAll(storage, prefix);
    return;
  }
  if (prefix === PENDING || prefix === BODY || prefix === FAILED) {
    yield* salvageScan(storage, prefix, lastSeq, salvage);
    return;
  }
  try {
    yield* scanAll(storage, prefix);
  } catch (error) {
    // Of history and acts nothing is still to be done.
    if (!isBroken(error)) throw error;
    salvage.isWhole = false;
  }
}

function sumOf(file: Partial<BackupFile>): string {
  const { format, userId, workspaceId, clientId, exportedAtMs, pendingCount, deadLetterCount, entries } = file;
  const all = [format, userId, workspaceId, clientId, exportedAtMs, pendingCount, deadLetterCount, entries];
  return checksumText(JSON.stringify(format === 1 ? entries : all));
}

/** Throws, with a reason, for what is no whole file of this login; nothing of it may be used then. */
export function readBackup(text: string, { userId, workspaceId }: Identity): BackupContent {
  let file: Partial<BackupFile> | null;
  try {
    file = JSON.parse(text) as Partial<BackupFile> | null;
  } catch (cause) {
    throw damaged('it is not JSON, or was cut off', cause);
  }
  if (typeof file !== 'object' || file?.holdfast !== 'queue') throw damaged('it is no backup of a queue');
  if (typeof file.format !== 'number') throw damaged('it does not say its version');
  if (file.format > BACKUP_FORMAT) throw tooNew(`is of version ${file.format}, beyond ${BACKUP_FORMAT}`);
  const { entries } = file;
  if (!Array.isArray(entries) || !entries.every(isEntry)) throw damaged('its entries are not whole');
  if (file.checksum !== sumOf(file)) throw damaged('its checksum is another');
  if (file.userId !== userId || file.workspaceId !== workspaceId) throw foreign(file.userId, file.workspaceId);
  return contentOf(entries);
}

function isEntry(entry: unknown): entry is readonly [string, string] {
  return Array.isArray(entry) && entry.length === 2 && entry.every((part) => typeof part === 'string');
}

/** What did not read when it was exported goes into quarantine as it is. */
function contentOf(entries: BackupFile['entries']): BackupContent {
  const byKey = new Map(entries);
  const pending: WithBody<MutationHeader>[] = [];
  const deadLetters: WithBody<DeadLetter>[] = [];
  const rest: Entry[] = [];
  const deadIds = new Set<string>();
  const take = <Record>(key: string, parsed: Parsed<Record>, into: WithBody<Record>[]): Record | null => {
    if (parsed.kind === 'newer') throw tooNew('holds records of a later format');
    if (parsed.kind !== 'record') {
      rest.push({ key: `${QUARANTINE}${key}`, value: parsed.text });
      return null;
    }
    into.push({ record: parsed.record, body: byKey.get(seqKey(BODY, seqOfKey(key))) ?? null });
    return parsed.record;
  };
  for (const [key, value] of entries) {
    if (key.startsWith(FAILED)) {
      const record = take(key, parseDeadLetter(value), deadLetters);
      if (record !== null) deadIds.add(record.header.id);
    } else if (!key.startsWith(PENDING) && !key.startsWith(BODY)) {
      rest.push({ key, value });
    }
  }
  for (const [key, value] of entries) if (key.startsWith(PENDING)) take(key, parseHeader(value), pending);
  pending.sort((left, right) => placeOf(left.record) - placeOf(right.record));
  // Failed or confirmed while it was exported.
  return { pending: pending.filter(({ record }) => !deadIds.has(record.id)), deadLetters, rest };
}

/** Whether such a record of the rest may be taken over as it is; one that does not read is of no use to anybody. */
export function isHistory({ key, value }: Entry): boolean {
  if (key.startsWith(COMPLETED)) return parseCompleted(value).kind === 'record';
  if (key.startsWith(DISCARDED)) return parseDisposed(value).kind === 'record';
  if (key.startsWith(ACTS)) return parseAct(value).kind === 'record';
  return key.startsWith(OWN_ID) || key.startsWith(QUARANTINE);
}

function damaged(reason: string, cause?: unknown): HoldfastError {
  return new HoldfastError({
    code: 'BACKUP_DAMAGED',
    message: `Nothing was imported: ${reason}.`,
    hint: 'Use another copy of the file; this one was changed, cut off, or is of something else.',
    cause,
  });
}

function foreign(userId: unknown, workspaceId: unknown): HoldfastError {
  return new HoldfastError({
    code: 'BACKUP_FOREIGN',
    message: `Nothing was imported: the file belongs to the user ${String(userId)} in the workspace ${String(workspaceId)}.`,
    hint: 'Sign in as this user, in this workspace, and import it there.',
  });
}

function tooNew(reason: string): HoldfastError {
  return new HoldfastError({
    code: 'STORAGE_TOO_NEW',
    message: `Nothing was imported: a newer version of the app has made the file, which ${reason}.`,
    hint: 'Update the app, and import it again.',
  });
}
