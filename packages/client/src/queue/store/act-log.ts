import { type Act, type ActRecord, parseAct, recordIn, sealRecord, sealText } from '../../mutation/record.ts';
import { scanAll } from '../../ports/scan-all.ts';
import { type Change, drop, put, type Storage } from '../../ports/storage.ts';
import type { ActTelemetry } from '../../protocol/wire.ts';
import { ACTS, META } from './record-keys.ts';

/** So many commits' worth of acts are kept, the newest: one of a bulk act holds up to a hundred mutations. */
export const ACT_RECORDS_MAX = 1_000;

/** So many go to the server with one batch, with so much text each: no act may be in the way of a mutation. */
const TOLD_COUNT_MAX = 20;
const TEXT_LENGTH_MAX = 500;
const IDS_MAX = 100;

/** What goes to the server's log of acts with the next batch. */
export interface UntoldActs {
  readonly told: readonly ActTelemetry[];
  /** That marks them in the store as told. */
  readonly commit: () => Promise<unknown>;
}

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
      const record = recordIn(parseAct, value);
      if (record === null) continue;
      const earlier = byId.get(record.id);
      const ids = [...(earlier?.ids ?? []), ...record.ids];
      byId.set(record.id, { ...record, ids, touchedCount: (earlier?.touchedCount ?? 0) + record.touchedCount });
    }
    return [...byId.values()].sort((left, right) => right.atMs - left.atMs).slice(0, limit);
  }

  /** The oldest that the server was not told of; `mark` is what the store says of the last of them. */
  async untold(mark: string): Promise<UntoldActs> {
    const told: ActTelemetry[] = [];
    const changes: Change[] = [];
    for await (const { key, value } of scanAll(this.storage, ACTS)) {
      const record = recordIn(parseAct, value);
      if (record === null || record.isTold === true || isOrdinary(record)) continue;
      // the mark stays for the others
      if (told.length === TOLD_COUNT_MAX) return { told, commit: () => this.storage.commit({ expect: [], changes }) };
      told.push(toWire(key, record));
      changes.push(put(key, sealRecord({ ...record, isTold: true })));
    }
    // another act meanwhile has left its own mark, and these are told once more: the server knows them by their keys
    const expect = [{ key: META.untoldAct, value: mark }];
    changes.push(drop(META.untoldAct));
    return { told, commit: () => this.storage.commit({ expect, changes }) };
  }

  /** Forgets the oldest beyond those that are kept. */
  async sweep(): Promise<void> {
    const keys: string[] = [];
    for await (const { key } of scanAll(this.storage, ACTS)) keys.push(key);
    const surplus = keys.slice(0, Math.max(0, keys.length - ACT_RECORDS_MAX));
    if (surplus.length > 0) await this.storage.commit({ expect: [], changes: surplus.map(drop) });
  }
}

/** What goes into the commit of what was done to these. */
export function changesOfAct(act: Act, ids: readonly string[], touchedCount: number = ids.length): readonly Change[] {
  const [first = ''] = ids;
  // Ids of acts are in the order of time; the commits of one act each touch others.
  const key = `${ACTS}${act.id}/${first}`;
  const change = put(key, sealRecord({ ...act, ids, touchedCount }));
  return isOrdinary(act) ? [change] : [change, put(META.untoldAct, sealText(key))];
}

/** Of an undo no server needs to know, unless someone gave a reason for it. */
function isOrdinary({ kind, reason }: Act): boolean {
  return kind === 'cancel' && reason === null;
}

function toWire(key: string, { kind, actor, reason, atMs, ids, touchedCount }: ActRecord): ActTelemetry {
  return {
    key: key.slice(ACTS.length),
    kind,
    actor: storable(actor),
    reason: reason === null ? null : storable(reason),
    at: new Date(atMs).toISOString(),
    ids: ids.slice(0, IDS_MAX),
    touchedCount,
  };
}

/** As a database can hold it. */
function storable(text: string): string {
  return text.slice(0, TEXT_LENGTH_MAX).replaceAll(/[\0\ud800-\udfff]/gu, '\ufffd');
}
