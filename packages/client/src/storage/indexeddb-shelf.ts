import type { Change, Entry, ScanQuery, StorageBatch } from '../ports/storage.ts';

/** Each record by itself, under its key. */
export const RECORDS = 'records';
/** Records that were stored together, each text under the last key in it. */
export const SEGMENTS = 'segments';

/**
 * Fewer than this are stored by themselves: a segment must be written anew when something in it goes. Values that are longer than
 * a tenth of a segment are too.
 */
const SEGMENT_COUNT_MIN = 8;
const SEGMENT_COUNT_MAX = 64;
const SEGMENT_UNITS_MAX = 32 * 1024;
const VALUE_UNITS_MAX = SEGMENT_UNITS_MAX / 10;

/** Some records whose keys follow each other. The ranges of two segments never overlap. */
interface Segment {
  /** The last key that was ever in it, under which it stands. */
  readonly id: string;
  readonly first: string;
  readonly entries: ReadonlyMap<string, string>;
}

/**
 * What stands in a database, seen by one transaction. A put costs ten times what its text costs to write, so records that are
 * stored together share a segment of at most 64 records or 32 Ki characters. One that is put again stands by itself, and counts
 * before what the segment says; so a commit of a few records needs no look at the segments.
 */
export class Shelf {
  private readonly transaction: IDBTransaction;
  private readonly records: IDBObjectStore;

  /** `transaction`: of both stores; of the records' only for `readAlone`, and for `putAtOnce` of a few. */
  constructor(transaction: IDBTransaction) {
    this.transaction = transaction;
    this.records = transaction.objectStore(RECORDS);
  }

  private get segments(): IDBObjectStore {
    return this.transaction.objectStore(SEGMENTS);
  }

  async read(keys: readonly string[]): Promise<readonly (string | null)[]> {
    const found = new Map<string, string | null>();
    // Many are likely to share segments, a few are not.
    const isMany = keys.length >= SEGMENT_COUNT_MIN;
    if (isMany) await this.readSegments(keys, found, (inside) => this.readAgain(inside, found));
    const alone = keys.filter((key) => !found.has(key));
    const values = await this.readAlone(alone);
    for (const [index, key] of alone.entries()) found.set(key, values[index] ?? null);
    const missing = alone.filter((key) => found.get(key) === null);
    if (!isMany) await this.readSegments(missing, found, null);
    return keys.map((key) => found.get(key) ?? null);
  }

  /** What stands by itself; null also for what may stand in a segment. */
  async readAlone(keys: readonly string[]): Promise<readonly (string | null)[]> {
    const values = await Promise.all(keys.map((key) => once<unknown>(this.records.get(key))));
    return values.map(textOf);
  }

  /** What segments say, or surely lack. */
  private async readSegments(
    keys: readonly string[],
    found: Map<string, string | null>,
    andThen: ((inside: readonly string[]) => Promise<void>) | null,
  ): Promise<void> {
    const rest: Promise<void>[] = [];
    await this.visit(keys, ({ entries }, inside) => {
      for (const key of inside) found.set(key, entries.get(key) ?? null);
      if (andThen !== null) rest.push(andThen(inside));
    });
    await Promise.all(rest);
  }

  /** What has been put again since stands by itself, and counts. */
  private async readAgain(keys: readonly string[], found: Map<string, string | null>): Promise<void> {
    const range = rangeOfKeys(keys);
    const [standing, values] = await Promise.all([
      once(this.records.getAllKeys(range)),
      once<unknown[]>(this.records.getAll(range)),
    ]);
    const wanted = new Set<IDBValidKey>(keys);
    for (const [index, key] of standing.entries()) if (wanted.has(key)) found.set(String(key), textOf(values[index]));
  }

  async scan({ prefix, after, limit }: ScanQuery): Promise<readonly Entry[]> {
    const range = rangeOf(prefix, after);
    if (range === 'nothing') return [];
    const [keys, values, shared] = await Promise.all([
      once(this.records.getAllKeys(range, limit)),
      once<unknown[]>(this.records.getAll(range, limit)),
      this.sharedIn(range, limit),
    ]);
    if (shared.length === 0)
      return keys.map((key, index) => ({ key: String(key), value: textOf(values[index]) ?? '' }));
    const found = new Map(shared);
    for (const [index, key] of keys.entries()) found.set(String(key), textOf(values[index]) ?? '');
    return [...found.keys()]
      .sort()
      .slice(0, limit)
      .map((key) => ({ key, value: found.get(key) ?? '' }));
  }

  /**
   * Puts records without waiting for anything; what is being read alone by then has been asked for before, and a few leave the segments
   * as they are. False, and it has to be undone, where something stands in the way of new segments.
   */
  async putAtOnce(changes: readonly Change[]): Promise<boolean> {
    const put = new Map<string, string>();
    for (const change of changes) if (change.kind === 'put') put.set(change.key, change.value);
    const { folders, alone } = groupsOf(put);
    const looks = folders.map((groups) => this.isFree(groups));
    for (const group of folders.flat()) this.store(group.at(-1)?.[0] ?? '', group);
    this.putAlone(alone);
    return (await Promise.all(looks)).every(Boolean);
  }

  /** Looks where the changes may go, and writes nothing: so it need not wait for what else is being read. */
  async plan(changes: readonly Change[]): Promise<WritePlan> {
    const put = new Map<string, string>();
    const gone = new Set<string>();
    for (const change of changes) {
      if (change.kind === 'put') put.set(change.key, change.value);
      else put.delete(change.key);
      if (change.kind === 'put') gone.delete(change.key);
      else gone.add(change.key);
    }
    const { folders, alone } = groupsOf(put);
    // What goes may make room.
    return { gone, folders, alone, free: gone.size > 0 ? null : await this.freeOf(folders) };
  }

  async write({ gone, folders, alone, free }: WritePlan): Promise<void> {
    if (gone.size > 0) await this.remove([...gone]);
    const isFree = free ?? (await this.freeOf(folders));
    for (const group of folders.flat()) {
      if (isFree.has(group)) this.store(group.at(-1)?.[0] ?? '', group);
      else this.putAlone(group);
    }
    this.putAlone(alone);
  }

  private putAlone(entries: Group): void {
    for (const [key, value] of entries) this.records.put(value, key);
  }

  private async remove(keys: readonly string[]): Promise<void> {
    const alone = new Set(keys);
    const checks: Promise<void>[] = [];
    await this.visit(keys, ({ id, entries }, inside) => {
      const left = new Map(entries);
      for (const key of inside) if (left.delete(key)) alone.delete(key);
      if (left.size === entries.size) return;
      if (left.size === 0) this.segments.delete(id);
      else this.store(id, [...left]);
      // One that was put again stands by itself too.
      checks.push(
        once(this.records.getAllKeys(rangeOfKeys(inside))).then((standing) => {
          const wanted = new Set<IDBValidKey>(inside);
          for (const key of standing) if (wanted.has(key)) this.records.delete(key);
        }),
      );
    });
    for (const key of alone) this.records.delete(key);
    await Promise.all(checks);
  }

  /** Those that may be stored as segments. All of one folder follow each other, and nearly always behind all that stands there. */
  private async freeOf(folders: readonly (readonly Group[])[]): Promise<ReadonlySet<Group>> {
    const free = await Promise.all(
      folders.map(async (groups) => {
        if (await this.isFree(groups)) return groups;
        const isFree = await Promise.all(groups.map((group) => this.isFree([group])));
        return groups.filter((_, index) => isFree[index]);
      }),
    );
    return new Set(free.flat());
  }

  /** Whether nothing stands between the first and the last of these, neither by itself nor in a segment. */
  private async isFree(groups: readonly Group[]): Promise<boolean> {
    const [first, last] = [groups[0]?.[0]?.[0] ?? '', groups.at(-1)?.at(-1)?.[0] ?? ''];
    const [count, next] = await Promise.all([
      once(this.records.count(IDBKeyRange.bound(first, last))),
      once(this.segments.getKey(IDBKeyRange.lowerBound(first))),
    ]);
    if (count > 0) return false;
    // A segment lies in one folder: that of another one need not be read.
    if (next === undefined || folderOf(String(next)) !== folderOf(first)) return true;
    const segment = segmentOf(await once<unknown>(this.segments.get(next)));
    return segment === null || segment.first > last;
  }

  private store(id: string, entries: readonly (readonly [string, string])[]): void {
    this.segments.put(segmentText(id, entries), id);
  }

  /** Tells each segment in whose range some of the keys are, and which. */
  private async visit(
    keys: readonly string[],
    tell: (segment: Segment, inside: readonly string[]) => void,
  ): Promise<void> {
    const sorted = [...new Set(keys)].sort();
    for (let index = 0; index < sorted.length; ) {
      const [text] = await once<unknown[]>(this.segments.getAll(IDBKeyRange.lowerBound(sorted[index]), 1));
      const segment = segmentOf(text);
      if (segment === null) return;
      let from = index;
      while (from < sorted.length && (sorted[from] as string) < segment.first) from += 1;
      let to = from;
      while (to < sorted.length && (sorted[to] as string) <= segment.id) to += 1;
      if (to > from) tell(segment, sorted.slice(from, to));
      index = Math.max(to, index + 1);
    }
  }

  /** The first ones of the range that stand in segments. */
  private async sharedIn(range: IDBKeyRange | null, limit: number): Promise<readonly (readonly [string, string])[]> {
    const found: (readonly [string, string])[] = [];
    const isIn = (key: string): boolean => range === null || range.includes(key);
    const take = (texts: readonly unknown[]): string | null => {
      let last: string | null = null;
      for (const text of texts) {
        const segment = segmentOf(text);
        for (const entry of segment?.entries ?? []) if (isIn(entry[0])) found.push(entry);
        last = segment?.id ?? last;
      }
      return last;
    };
    const pageCount = Math.ceil(limit / SEGMENT_COUNT_MAX) + 1;
    for (let page = range; ; ) {
      const texts = await once<unknown[]>(this.segments.getAll(page, pageCount));
      const last = take(texts);
      if (found.length >= limit) return found;
      if (texts.length < pageCount || last === null) break;
      const upper = range?.upper as string | undefined;
      if (upper !== undefined && last >= upper) break;
      page =
        upper === undefined
          ? IDBKeyRange.lowerBound(last, true)
          : IDBKeyRange.bound(last, upper, true, range?.upperOpen);
    }
    // One may begin in the range and end behind it.
    const upper = range?.upper as string | undefined;
    if (upper !== undefined) take(await once<unknown[]>(this.segments.getAll(IDBKeyRange.lowerBound(upper), 1)));
    return found;
  }
}

/** Puts only: they are asked for while what is expected is being read. */
export function arePuts({ changes }: StorageBatch): boolean {
  return changes.every(({ kind }) => kind === 'put');
}

/** So few puts that they stand by themselves. */
export function areFew(batch: StorageBatch): boolean {
  return Math.max(batch.changes.length, batch.expect.length) < SEGMENT_COUNT_MIN && arePuts(batch);
}

/** Whether all that is expected may be found without a look at the segments. */
export function mayStandAlone({ expect }: StorageBatch): boolean {
  return expect.every(({ value }) => value !== null);
}

/** Records whose keys follow each other, to be stored as one segment. */
type Group = readonly (readonly [string, string])[];

/** What is put together, put in order. */
interface Grouped {
  /** What shall share segments: keys that differ only behind their last `/`, in order. */
  readonly folders: readonly (readonly Group[])[];
  /** All others. */
  readonly alone: Group;
}

/** What a batch comes to. `free`: the groups that may be stored as segments; null where that is known only when others are gone. */
interface WritePlan extends Grouped {
  readonly gone: ReadonlySet<string>;
  readonly free: ReadonlySet<Group> | null;
}

function folderOf(key: string): string {
  return key.slice(0, key.lastIndexOf('/') + 1);
}

function groupsOf(put: ReadonlyMap<string, string>): Grouped {
  if (put.size < SEGMENT_COUNT_MIN) return { folders: [], alone: [...put] };
  const alone: (readonly [string, string])[] = [];
  const folders = new Map<string, (readonly [string, string])[]>();
  for (const entry of put) {
    const folder = entry[1].length > VALUE_UNITS_MAX ? null : folderOf(entry[0]);
    const inside = folder === null ? alone : folders.get(folder);
    if (inside === undefined) folders.set(folder ?? '', [entry]);
    else inside.push(entry);
  }
  const grouped = [...folders.values()].map((entries) => {
    const groups = inGroups(entries.sort(byKey));
    for (const group of groups) if (group.length < SEGMENT_COUNT_MIN) alone.push(...group);
    return groups.filter(({ length }) => length >= SEGMENT_COUNT_MIN);
  });
  return { folders: grouped.filter(({ length }) => length > 0), alone };
}

/** As many in each as a segment has room for. */
function inGroups(entries: Group): readonly Group[] {
  const groups: (readonly [string, string])[][] = [];
  let group: (readonly [string, string])[] = [];
  let units = 0;
  for (const entry of entries) {
    const [key, value] = entry;
    if (group.length === 0 || group.length === SEGMENT_COUNT_MAX || units + value.length > SEGMENT_UNITS_MAX) {
      group = [];
      groups.push(group);
      units = 0;
    }
    group.push(entry);
    units += key.length + value.length;
  }
  return groups;
}

function byKey([left]: readonly [string, string], [right]: readonly [string, string]): number {
  return left < right ? -1 : 1;
}

/** One JSON text, with a line for each record: where it no longer reads as a whole, the other lines still do. */
function segmentText(id: string, entries: readonly (readonly [string, string])[]): string {
  const lines = entries.map(([key, value]) => `${JSON.stringify(key)},${JSON.stringify(value)}`);
  return `[${[JSON.stringify(id), ...lines].join(BETWEEN)}]`;
}

const BETWEEN = ',\n';

/** Null where there is none. */
function segmentOf(text: unknown): Segment | null {
  if (typeof text !== 'string') return null;
  const whole = parsed(text);
  const [id = '', ...flat] = whole ?? damaged(text);
  const entries = new Map<string, string>();
  for (let index = 0; index < flat.length; index += 2) entries.set(flat[index] ?? '', flat[index + 1] ?? '');
  return { id, first: flat[0] ?? id, entries };
}

function parsed(text: string): readonly string[] | null {
  try {
    const value = JSON.parse(text) as unknown;
    return Array.isArray(value) && value.every((each) => typeof each === 'string') ? value : null;
  } catch {
    return null;
  }
}

/** What still reads of a segment. A value that does not is given as it stands: that it is damaged is for its record to tell. */
function damaged(text: string): readonly string[] {
  const [id = '', ...lines] = text.slice(1, -1).split(BETWEEN);
  const flat = lines.flatMap((line): readonly string[] => {
    const entry = parsed(`[${line}]`);
    if (entry?.length === 2) return entry;
    const [, key = '', value = ''] = /^("(?:[^"\\]|\\.)*"),(.*)$/s.exec(line) ?? [];
    const [known] = parsed(`[${key}]`) ?? [];
    return known === undefined ? [] : [known, value];
  });
  return [parsed(`[${id}]`)?.[0] ?? flat.at(-2) ?? '', ...flat];
}

/** From the first to the last of them, which are in order. */
function rangeOfKeys(keys: readonly string[]): IDBKeyRange {
  return IDBKeyRange.bound(keys[0] ?? '', keys.at(-1) ?? '');
}

function once<Result>(request: IDBRequest<Result>): Promise<Result> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error('The request failed.'));
  });
}

/** Keys with the prefix and behind `after`; null for all keys. The browser compares them by code unit, as we do. */
function rangeOf(prefix: string, after: string | undefined): IDBKeyRange | null | 'nothing' {
  const end = endOf(prefix);
  if (after === undefined || after < prefix)
    return end === null ? lowerBound(prefix) : IDBKeyRange.bound(prefix, end, false, true);
  if (end === null) return IDBKeyRange.lowerBound(after, true);
  return after < end ? IDBKeyRange.bound(after, end, true, true) : 'nothing';
}

function lowerBound(prefix: string): IDBKeyRange | null {
  return prefix === '' ? null : IDBKeyRange.lowerBound(prefix);
}

/** The first text behind all that begin with the prefix; null when there is none. */
function endOf(prefix: string): string | null {
  for (let length = prefix.length; length > 0; length -= 1) {
    const unit = prefix.charCodeAt(length - 1);
    if (unit < 0xffff) return prefix.slice(0, length - 1) + String.fromCharCode(unit + 1);
  }
  return null;
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}
