import { type Act, type ActRecord, parseAct, sealRecord } from '../mutation/record.ts';
import { scanAll } from '../ports/scan-all.ts';
import type { Change, Storage } from '../ports/storage.ts';
import { ACTS } from './record-keys.ts';

/** So many commits' worth of acts are kept, the newest: one of a bulk act holds up to a hundred mutations. */
export const ACT_RECORDS_MAX = 1_000;

/**
 * What people and the app did to mutations: who, when and why. Written in the same commit as what was done, so that
 * neither stands without the other.
 */
export class ActLog {
  private readonly storage: Storage;

  constructor(storage: Storage) {
    this.storage = storage;
  }

  /** The newest first; commits of one act count as one. Those that no longer read are left out. */
  async list(limit: number): Promise<readonly ActRecord[]> {
    const byId = new Map<string, ActRecord>();
    for await (const { value } of scanAll(this.storage, ACTS)) {
      const parsed = parseAct(value);
      if (parsed.kind !== 'record') continue;
      const { record } = parsed;
      const earlier = byId.get(record.id);
      const ids = [...(earlier?.ids ?? []), ...record.ids];
      byId.set(record.id, { ...record, ids, touchedCount: (earlier?.touchedCount ?? 0) + record.touchedCount });
    }
    return [...byId.values()].sort((left, right) => right.atMs - left.atMs).slice(0, limit);
  }

  /** Forgets the oldest beyond those that are kept. */
  async sweep(): Promise<void> {
    const keys: string[] = [];
    for await (const { key } of scanAll(this.storage, ACTS)) keys.push(key);
    const surplus = keys.slice(0, Math.max(0, keys.length - ACT_RECORDS_MAX));
    if (surplus.length > 0)
      await this.storage.commit({ expect: [], changes: surplus.map((key) => ({ kind: 'delete', key })) });
  }
}

/** What goes into the commit of what was done to these. */
export function changeOfAct(act: Act, ids: readonly string[], touchedCount: number = ids.length): Change {
  const [first = ''] = ids;
  // Ids of acts are in the order of time; the commits of one act each touch others.
  return { kind: 'put', key: `${ACTS}${act.id}/${first}`, value: sealRecord({ ...act, ids, touchedCount }) };
}
