import type { Parsed } from '../../mutation/record.ts';
import { type Entry, repairIn, type Storage } from '../../ports/storage.ts';
import type { Unreadable } from './quarantine.ts';
import { seqKey, seqOfKey } from './record-keys.ts';

export interface Found<Record> {
  readonly records: readonly Record[];
  /** What no longer reads as a record; left where it is. */
  readonly unreadable: readonly Unreadable[];
  /** Whether more stand behind the last of these. */
  readonly hasMore: boolean;
}

/** Records numbered above `afterSeq`, in order; a page of them. */
export async function readPage<Record>(
  storage: Storage,
  prefix: string,
  afterSeq: number,
  count: number,
  parse: (text: string) => Parsed<Record>,
): Promise<Found<Record>> {
  const records: Record[] = [];
  const unreadable: Unreadable[] = [];
  let after = seqKey(prefix, afterSeq);
  const scanned = async (): Promise<readonly (Entry & { readonly parsed: Parsed<Record> })[]> =>
    (await storage.scan({ prefix, after, limit: count })).map((entry) => ({ ...entry, parsed: parse(entry.value) }));
  for (;;) {
    let entries = await scanned();
    const damaged = entries.flatMap(({ key, parsed }) => (parsed.kind === 'unreadable' ? [key] : []));
    if (damaged.length > 0 && (await repairIn(storage, damaged))) entries = await scanned();
    for (const { key, value, parsed } of entries) {
      if (parsed.kind === 'record') records.push(parsed.record);
      else unreadable.push({ key, seq: seqOfKey(key), text: value, isNewer: parsed.kind === 'newer' });
    }
    const hasMore = entries.length === count;
    // A whole page of unreadable ones must not look like the end.
    if (records.length > 0 || !hasMore) return { records, unreadable, hasMore };
    after = entries.at(-1)?.key ?? after;
  }
}
