import type { Settlement } from '../../engine/engine-io.ts';
import { type Act, type DisposedRecord, type MutationHeader, sealRecord } from '../../mutation/record.ts';
import { type Change, drop, put } from '../../ports/storage.ts';
import type { WireError } from '../../protocol/wire.ts';
import { changesOfAct } from '../store/act-log.ts';
import { BODY, COMPLETED, DISCARDED, FAILED, PENDING, seqKey } from '../store/record-keys.ts';

/** `kept`: numbers of those whose payload stays where it is. */
export function changesOfSettlement(settlement: Settlement, kept: ReadonlySet<number>): Change[] {
  switch (settlement.kind) {
    case 'completed': {
      const { record } = settlement;
      return [
        drop(seqKey(PENDING, record.seq)),
        ...(kept.has(record.seq) ? [] : [drop(seqKey(BODY, record.seq))]),
        put(COMPLETED + record.id, sealRecord(record)),
      ];
    }
    case 'failed': {
      const { deadLetter } = settlement;
      return [
        drop(seqKey(PENDING, deadLetter.header.seq)),
        put(seqKey(FAILED, deadLetter.header.seq), sealRecord(deadLetter)),
      ];
    }
    case 'cancelled': {
      const { header, act, cancelledAtMs, reason, payload = null } = settlement;
      const error = reason === 'unconfirmed' ? UNCONFIRMED : null;
      return [
        drop(seqKey(PENDING, header.seq)),
        drop(seqKey(BODY, header.seq)),
        disposal(header, { act, atMs: cancelledAtMs, error, payload }),
      ];
    }
    case 'refused':
      return [put(seqKey(PENDING, settlement.header.seq), sealRecord(settlement.header))];
    case 'rebased': {
      const { header, body } = settlement;
      const changes: Change[] = [put(seqKey(PENDING, header.seq), sealRecord(header))];
      if (body !== null) changes.push(put(seqKey(BODY, header.seq), body));
      return changes;
    }
  }
}

/** One record for each act among them. */
export function actsOf(settlements: readonly Settlement[]): readonly Change[] {
  const idsOfAct = new Map<string, { readonly act: Act; readonly ids: string[] }>();
  for (const settlement of settlements) {
    if (settlement.kind !== 'cancelled' || settlement.act === null) continue;
    const { act, header } = settlement;
    const taken = idsOfAct.get(act.id) ?? { act, ids: [] };
    taken.ids.push(header.id);
    idsOfAct.set(act.id, taken);
  }
  return [...idsOfAct.values()].flatMap(({ act, ids }) => changesOfAct(act, ids));
}

export function disposal(
  { id, type, entity }: MutationHeader,
  how: Pick<DisposedRecord, 'act' | 'atMs'> & Partial<Pick<DisposedRecord, 'error' | 'replacedBy' | 'payload'>>,
): Change {
  const record = { id, type, entity, error: null, replacedBy: null, payload: null, ...how };
  return put(DISCARDED + id, sealRecord(record));
}

export const UNCONFIRMED: WireError = {
  category: 'UNKNOWN_ERROR',
  code: 'UNCONFIRMED',
  message: 'Discarded at a sign-out before the server had confirmed it: it may have taken effect.',
  hint: 'Look at the data of the server.',
};

/** What is neither pending nor on its way any more; null for one that is. */
export function endedBy(settlement: Settlement): Pick<MutationHeader, 'id' | 'seq'> | null {
  switch (settlement.kind) {
    case 'completed':
      return settlement.record;
    case 'failed':
      return settlement.deadLetter.header;
    case 'cancelled':
      return settlement.header;
    case 'refused':
    case 'rebased':
      return null;
  }
}

/** Of one that was refused, for now or for good; numbers begin with 1. */
export function failedSeq(settlement: Settlement): number | null {
  if (settlement.kind === 'refused') return settlement.header.seq;
  return settlement.kind === 'failed' ? settlement.deadLetter.header.seq : null;
}
