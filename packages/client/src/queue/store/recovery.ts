import type { EntryView } from '../../engine/entry.ts';
import type { MutationBody } from '../../mutation/record.ts';
import type { WireError } from '../../protocol/wire.ts';
import type { AskLeader } from '../tabs/ask-leader.ts';
import { refusalOfStored } from '../delivering/check-stored.ts';
import type { SettlementWriter } from '../delivering/settlement-writer.ts';
import { NOT_READ, type StoreWatch, UNREADABLE } from './store-watch.ts';
import type { PartPorts } from '../part-ports.ts';

/**
 * `REMOVE_INVALID`: moved into quarantine with their bytes, and not sent. `RESTORE_KNOWN`: written anew, by a tab that knew
 * what they were. `KEEP_UNREADABLE`: still where they stand, since the tab that delivers has not moved them yet. `REPAIR_COUNTERS`:
 * what the queue keeps of itself (its last number, who delivers, who it is) was damaged, and made anew from what is stored.
 */
export interface RecoveryAction {
  readonly action: 'REMOVE_INVALID' | 'RESTORE_KNOWN' | 'KEEP_UNREADABLE' | 'REPAIR_COUNTERS';
  readonly count: number;
}

/** What `recover` came to. */
export interface RecoveryResult {
  readonly actions: readonly RecoveryAction[];
  /** Of how many mutations the payload was looked at; null when the tab that delivers, which alone may, did not answer. */
  readonly checkedPayloadCount: number | null;
}

/** What the tab that delivers says of a recovery. */
export interface RecoveryCounts {
  readonly removedCount: number;
  readonly restoredCount: number;
  readonly checkedPayloadCount: number;
}

export interface RecoveryPorts extends Pick<PartPorts, 'store' | 'engine' | 'definitions'> {
  readonly watch: StoreWatch;
  readonly writer: SettlementWriter;
  readonly askLeader: () => AskLeader;
  readonly giveUp: (seqs: readonly number[], error: WireError) => Promise<void>;
}

/** Longest wait for the tab that delivers to look through all, in milliseconds. */
const RECOVER_TIMEOUT_MS = 30_000;
/** Payloads that are read at a time. */
const PAGE = 200;

/** Looks through all that is stored, sets aside what is damaged, and lets the rest be. */
export class Recovery {
  private readonly ports: RecoveryPorts;

  constructor(ports: RecoveryPorts) {
    this.ports = ports;
  }

  /** From any tab; the one that delivers does it, since it may know what the store no longer tells. */
  async run(): Promise<RecoveryResult> {
    const { watch, store } = this.ports;
    const repairedCount = (await store.mend()).length;
    const answer = await this.ports.askLeader().ask({ kind: 'recover' }, RECOVER_TIMEOUT_MS);
    if (answer !== null) {
      await watch.reconcile();
      return {
        actions: actionsOf(answer, watch.unreadable.size, repairedCount),
        checkedPayloadCount: answer.checkedPayloadCount,
      };
    }
    const before = { ...watch.recovered };
    await watch.reconcile();
    await watch.setAside(false);
    return {
      actions: actionsOf(since(watch, before), watch.unreadable.size, repairedCount),
      checkedPayloadCount: null,
    };
  }

  /** In the tab that delivers. */
  async answer(): Promise<RecoveryCounts> {
    const { watch } = this.ports;
    const before = { ...watch.recovered };
    try {
      await watch.takeOver();
    } catch (error) {
      watch.takeOverLater(error);
      throw error;
    }
    await watch.whenRead();
    const { checkedCount, givenUpCount } = await this.checkPayloads();
    watch.recovered.removedCount += givenUpCount;
    return { ...since(watch, before), checkedPayloadCount: checkedCount };
  }

  private async checkPayloads(): Promise<{ readonly checkedCount: number; readonly givenUpCount: number }> {
    const { engine, store, writer } = this.ports;
    const waiting = [...engine.mutations.all()].filter(({ phase }) => phase.kind === 'waiting');
    let givenUpCount = 0;
    for (let first = 0; first < waiting.length; first += PAGE) {
      const page = waiting.slice(first, first + PAGE);
      const { bodies, unread } = await store.bodies.readable(page.map(({ header }) => header));
      for (const entry of page) {
        const error = unread.has(entry.seq) ? NOT_READ : this.errorOf(entry, bodies);
        // Rewritten, sent or settled while this was read.
        const phase = engine.mutations.phaseOf(entry.id);
        if (error === null || phase !== 'waiting' || !(await this.isStill(entry))) continue;
        await this.ports.giveUp([entry.seq], error);
        givenUpCount += 1;
      }
    }
    await writer.whenWritten;
    return { checkedCount: waiting.length, givenUpCount };
  }

  private errorOf({ header }: Pick<EntryView, 'header'>, bodies: ReadonlyMap<number, MutationBody>): WireError | null {
    const body = bodies.get(header.seq);
    return body === undefined ? UNREADABLE : refusalOfStored(this.ports.definitions, header, body);
  }

  private async isStill({ header }: Pick<EntryView, 'header'>): Promise<boolean> {
    const [stored = null] = await this.ports.store.unchanged([header]);
    return stored !== null;
  }
}

function since(
  { recovered }: StoreWatch,
  before: { readonly removedCount: number; readonly restoredCount: number },
): { readonly removedCount: number; readonly restoredCount: number } {
  return {
    removedCount: recovered.removedCount - before.removedCount,
    restoredCount: recovered.restoredCount - before.restoredCount,
  };
}

/** Those that were done; none for nothing. */
export function actionsOf(
  { removedCount, restoredCount }: { readonly removedCount: number; readonly restoredCount: number },
  keptCount: number,
  repairedCount: number,
): readonly RecoveryAction[] {
  const actions: readonly RecoveryAction[] = [
    { action: 'REMOVE_INVALID', count: removedCount },
    { action: 'RESTORE_KNOWN', count: restoredCount },
    { action: 'KEEP_UNREADABLE', count: keptCount },
    { action: 'REPAIR_COUNTERS', count: repairedCount },
  ];
  return actions.filter(({ count }) => count > 0);
}
