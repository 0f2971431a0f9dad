import type { MutationBody, MutationHeader } from '../../mutation/record.ts';
import type { WireError } from '../../protocol/wire.ts';
import { AGAIN_MS } from '../delivering/alarms.ts';
import type { Amender } from './amender.ts';
import type { Amendment, StoredHeader } from '../store/queue-store.ts';
import { NOT_READ } from '../store/store-watch.ts';
import { Unreads } from '../store/unreads.ts';
import type { PartPorts } from '../part-ports.ts';

export interface RewritingPorts
  extends Pick<PartPorts, 'store' | 'alarms' | 'dispatch' | 'clock' | 'definitions' | 'standDown' | 'report'> {
  readonly amender: Amender;
  /** Makes dead letters of those that stand in the store and do not read. */
  readonly giveUpUnreadable: (seqs: readonly number[], error?: WireError) => Promise<void>;
}

interface Rules {
  /** Whether it stands as it is to be. */
  readonly isDone: (header: MutationHeader) => boolean;
  /** What those that are not done become; what it leaves out stays as it is, and is looked at once more. */
  readonly amendmentsOf: (
    open: readonly StoredHeader[],
    bodies: ReadonlyMap<number, MutationBody>,
  ) => Promise<readonly Amendment[]>;
}

/**
 * The tab that delivers rewrites what it keeps back before it is sent: all of one effect in one commit, from what stands in
 * the store alone, as long as nobody else delivers. After whichever crash whoever delivers then does the rest.
 */
export class Rewriting {
  private readonly ports: RewritingPorts & Rules;
  private readonly unreads = new Unreads();

  constructor(ports: RewritingPorts & Rules) {
    this.ports = ports;
  }

  /** Ends with an input about each of them, or lets them go to be tried again. */
  begin({ amendId, headers }: { readonly amendId: string; readonly headers: readonly MutationHeader[] }): void {
    this.rewrite(headers).then(
      (isDone) => {
        if (isDone) this.ports.dispatch({ kind: 'letGo', amendId });
        else this.again(amendId);
      },
      (error: unknown) => {
        this.ports.report(error);
        this.again(amendId);
      },
    );
  }

  private again(amendId: string): void {
    this.ports.alarms.after(AGAIN_MS, () => this.ports.dispatch({ kind: 'letGo', amendId }));
  }

  /** False when it must be looked at once more. */
  private async rewrite(known: readonly MutationHeader[]): Promise<boolean> {
    const { store, amender, isDone, clock } = this.ports;
    const { epoch } = store;
    const found = await store.pendingAt(known.map(({ seq }) => seq));
    const stored = found.filter((each) => each !== null);
    // Done by another tab that delivered before this one.
    const amended = stored.map(({ header }) => header).filter(isDone);
    const open = stored.filter(({ header }) => !isDone(header));
    const { bodies, unread } = await store.bodies.readable(open.map(({ header }) => header));
    const amendments = await this.ports.amendmentsOf(open, bodies);
    const written = amendments.length === 0 ? [] : await store.amend(amendments, epoch);
    if (written === null && !(await store.claim([])).isLeader) this.ports.standDown();
    if (written !== null && amended.length + written.length > 0) amender.tell([...amended, ...written]);
    const readable = new Set([...amended.map(({ seq }) => seq), ...bodies.keys(), ...unread]);
    const unreadable = known.map(({ seq }) => seq).filter((seq) => !readable.has(seq));
    if (unreadable.length > 0) await this.ports.giveUpUnreadable(unreadable);
    const lost = this.unreads.noted([...unread], clock.nowMs());
    if (lost.length > 0) await this.ports.giveUpUnreadable(lost, NOT_READ);
    return unreadable.length === 0 && written?.length === open.length;
  }
}
