import type { OwnEffect } from '../../mutation/definition.ts';
import type { MutationHeader } from '../../mutation/record.ts';
import type { JsonObject } from '../../protocol/wire.ts';
import type { Load } from './capacity.ts';

/**
 * What a view may show before it is stored, and nobody may call saved.
 *   begun ──stored──▶ told as `stored`
 *     └─refused, or merged into another──▶ ended: as if it had never been called
 */
export type StoringEvent =
  | {
      readonly kind: 'begun';
      readonly id: string;
      /** Of the calls of this tab: it stands behind all that is stored, in this order, until it has a number of its own. */
      readonly callNumber: number;
      readonly type: string;
      readonly payload: JsonObject;
      readonly own?: OwnEffect;
    }
  | { readonly kind: 'ended'; readonly id: string };

/** A call that has been checked. */
export interface CheckedCall {
  readonly header: Pick<MutationHeader, 'id' | 'type' | 'lane' | 'dedupeKey' | 'payloadBytes'>;
  readonly payload: JsonObject;
  readonly own: OwnEffect | null;
  /** It may be one that is there already, as far as this tab can tell without looking. */
  readonly mayBeThere: boolean;
}

export interface StoringPorts {
  readonly tell: (event: StoringEvent) => void;
  readonly hasRoom: (more: Load) => boolean;
}

/** The calls of this tab that are being stored. What may well come to nothing is not told of before it is stored. */
export class StoringCalls {
  private readonly ports: StoringPorts;
  private callCount = 0;
  /** The last one of each lane, told of or not, where that may have duplicates. */
  private readonly newest = new Map<string, CheckedCall['header']>();
  private readonly load = { count: 0, bytes: 0 };

  constructor(ports: StoringPorts) {
    this.ports = ports;
  }

  /** Takes its place in the order of calls. */
  begin(): StoringCall {
    this.callCount += 1;
    return new StoringCall(this, this.callCount);
  }

  /** Returns whether it was told of. */
  took({ header, payload, own, mayBeThere }: CheckedCall, callNumber: number): boolean {
    const { id, type, payloadBytes } = header;
    this.load.count += 1;
    this.load.bytes += payloadBytes;
    const isDuplicate = this.isLikeNewest(header);
    if (mayBeThere || isDuplicate || !this.ports.hasRoom(this.load)) return false;
    this.ports.tell({ kind: 'begun', id, callNumber, type, payload, ...(own === null ? {} : { own }) });
    return true;
  }

  over(header: CheckedCall['header'], isTakenBack: boolean): void {
    if (header.dedupeKey !== null && this.newest.get(header.lane) === header) this.newest.delete(header.lane);
    this.load.count -= 1;
    this.load.bytes -= header.payloadBytes;
    if (isTakenBack) this.ports.tell({ kind: 'ended', id: header.id });
  }

  /** Whether it is a duplicate of the newest of its lane; it is the newest itself from now on. */
  private isLikeNewest(header: CheckedCall['header']): boolean {
    const { lane, type, dedupeKey } = header;
    if (dedupeKey === null) {
      this.newest.delete(lane);
      return false;
    }
    const before = this.newest.get(lane);
    this.newest.set(lane, header);
    return before?.type === type && before.dedupeKey === dedupeKey;
  }
}

/** One call of `add`, until it is stored or refused. */
export class StoringCall {
  private readonly calls: StoringCalls;
  private readonly callNumber: number;
  private header: CheckedCall['header'] | null = null;
  private isTold = false;

  constructor(calls: StoringCalls, callNumber: number) {
    this.calls = calls;
    this.callNumber = callNumber;
  }

  /** It is about to be stored; once more, under another id, where the store has been replaced meanwhile. */
  checked(call: CheckedCall): void {
    this.ended();
    this.header = call.header;
    this.isTold = this.calls.took(call, this.callNumber);
  }

  /** It stands in the store now, as one of its own. */
  stored(): void {
    this.over(false);
  }

  /** It was refused, or stands in another one. */
  ended(): void {
    this.over(this.isTold);
  }

  private over(isTakenBack: boolean): void {
    const { header } = this;
    this.header = null;
    this.isTold = false;
    if (header !== null) this.calls.over(header, isTakenBack);
  }
}
