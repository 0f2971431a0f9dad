import { type Act, type MutationHeader, parseCompleted, recordIn, sealRecord } from '../../mutation/record.ts';
import { type Change, put, type Storage } from '../../ports/storage.ts';
import { changesOfAct } from './act-log.ts';
import { type BackupContent, isHistory } from './backup.ts';
import { BODY, COMPLETED, DISCARDED, FAILED, PENDING, seqKey } from './record-keys.ts';

/** What an import came to. */
export interface ImportResult {
  readonly pendingCount: number;
  readonly deadLetterCount: number;
  /** Those that this device knows already: pending, failed, confirmed or disposed of. */
  readonly skippedCount: number;
}

/** What of a backup this device does not know, and what is to be written for it once its numbers are known. */
export interface ImportPlan {
  readonly result: ImportResult;
  /** Of new numbers. */
  readonly count: number;
  readonly write: (firstSeq: number) => readonly Change[];
}

/**
 * Decides what of a backup comes in. Ids stay, and so does the order; numbers are this store's own. `isKnown` says of an id
 * whether it is pending or a dead letter here. Whatever comes in counts as possibly sent: elsewhere it may have been.
 */
export async function planImport(
  storage: Storage,
  content: BackupContent,
  act: Act,
  isKnown: (id: string) => boolean,
): Promise<ImportPlan> {
  const all = [
    ...content.pending.map(({ record, body }) => ({ header: record, dead: null, body })),
    ...content.deadLetters.map(({ record, body }) => ({ header: record.header, dead: record, body })),
  ];
  const isSettled = await settledHere(
    storage,
    all.map(({ header }) => header.id),
  );
  // Confirmed while it was exported, it stands in the file twice.
  const inFile = new Set(content.rest.map(({ key }) => key));
  const taken = new Set<string>();
  const news = all.filter(({ header: { id } }) => {
    const isNews = !isKnown(id) && !isSettled(id) && !taken.has(id);
    taken.add(id);
    return isNews && !inFile.has(COMPLETED + id) && !inFile.has(DISCARDED + id);
  });
  const rest = content.rest.filter(isHistory);
  const there = rest.length === 0 ? [] : await storage.read(rest.map(({ key }) => key));
  const history = rest.filter((_, index) => there[index] === null);
  const deadLetterCount = news.filter(({ dead }) => dead !== null).length;
  const pendingCount = news.length - deadLetterCount;
  return {
    result: { pendingCount, deadLetterCount, skippedCount: all.length - news.length },
    count: news.length,
    write: (firstSeq) => {
      const seqs = news.map(({ header }, index) => [header.seq, firstSeq + index] as const);
      const changes: Change[] = history.map(({ key, value }) => put(key, value));
      news.forEach(({ header, dead, body }, index) => {
        const seq = firstSeq + index;
        const renumbered = numberedHeader(header, seq, seqs);
        changes.push(
          dead === null
            ? put(seqKey(PENDING, seq), sealRecord(renumbered))
            : put(seqKey(FAILED, seq), sealRecord({ ...dead, header: renumbered })),
        );
        // A payload that is not whole is found out when it is sent, as here.
        if (body !== null) changes.push(put(seqKey(BODY, seq), body));
      });
      const ids = news.map(({ header }) => header.id);
      return ids.length === 0 ? changes : [...changes, ...changesOfAct(act, ids)];
    },
  };
}

/**
 * What the store that this comes from knows of a mutation that another store of the device holds as pending, or as dead since a
 * time: that it has ended by now, or that it was retried. Null where it knows nothing newer.
 */
export function newsIn({
  pending,
  rest,
}: BackupContent): (header: MutationHeader, failedAtMs?: number) => 'ended' | 'retried' | null {
  const disposed = new Set<string>();
  const confirmedAtMs = new Map<string, number>();
  for (const { key, value } of rest) {
    if (key.startsWith(DISCARDED)) disposed.add(key.slice(DISCARDED.length));
    const record = key.startsWith(COMPLETED) ? recordIn(parseCompleted, value) : null;
    if (record !== null) confirmedAtMs.set(record.id, record.confirmedAtMs);
  }
  const generations = new Map(pending.map(({ record: { id, generation } }) => [id, generation]));
  return ({ id, generation }, failedAtMs) => {
    // One that the server has forgotten since is a dead letter again, and may have been retried.
    const sinceMs = failedAtMs ?? (generation === 0 ? 0 : Number.POSITIVE_INFINITY);
    if (disposed.has(id) || (confirmedAtMs.get(id) ?? Number.NEGATIVE_INFINITY) >= sinceMs) return 'ended';
    return failedAtMs !== undefined && (generations.get(id) ?? 0) > generation ? 'retried' : null;
  };
}

/** A higher generation says that it may have been sent before, to this device and to the server. */
function numberedHeader(
  header: MutationHeader,
  seq: number,
  seqs: readonly (readonly [before: number, now: number])[],
): MutationHeader {
  const { edit, generation } = header;
  const again = { ...header, seq, place: null, generation: generation + 1 };
  if (edit?.afterSeq === undefined) return again;
  const { afterSeq } = edit;
  const seen = seqs.filter(([before]) => before <= afterSeq).map(([, now]) => now);
  const first = seqs[0]?.[1] ?? 1;
  return { ...again, edit: { ...edit, afterSeq: Math.max(first - 1, ...seen) } };
}

async function settledHere(storage: Storage, ids: readonly string[]): Promise<(id: string) => boolean> {
  const keys = ids.flatMap((id) => [COMPLETED + id, DISCARDED + id]);
  const texts = keys.length === 0 ? [] : await storage.read(keys);
  const settled = new Set(keys.filter((_, index) => texts[index] !== null).map((key) => key.slice(2)));
  return (id) => settled.has(id);
}
