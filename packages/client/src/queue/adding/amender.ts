import type { MutationHeader } from '../../mutation/record.ts';
import type { AskLeader, KeptBack } from '../tabs/ask-leader.ts';
import type { Amendment, StoredHeader } from '../store/queue-store.ts';
import type { StoreWatch } from '../store/store-watch.ts';
import type { TabMessage } from '../tabs/tab-message.ts';
import type { PartPorts } from '../part-ports.ts';

export interface AmenderPorts
  extends Pick<PartPorts, 'store' | 'engine' | 'alarms' | 'dispatch' | 'post' | 'newId' | 'standDown' | 'report'> {
  readonly watch: StoreWatch;
  readonly askLeader: () => AskLeader;
}

/** What a stored mutation becomes; null when it is better left as it is. */
export type Rewrite = (stored: StoredHeader) => Promise<Omit<Amendment, 'stored'> | null>;

/** How long the tab that delivers keeps something back for whoever rewrites it, in milliseconds. */
const KEEP_BACK_MS = 2_000;
/** Longest wait for another one's rewriting to end, in milliseconds; shorter than anyone waits for the answer. */
const BUSY_MS = 200;

/**
 * Rewriting mutations that surely were never sent; what may have been is never changed.
 *
 *   any tab            the tab that delivers
 *   keepBack? ───────▶ never sent: not sent from now on
 *            ◀─────── under this id and epoch
 *   one commit, if the epoch and the header are still those
 *   amended  ───────▶ takes the new header, sends
 *   (nothing in time)  writes the header's next revision, so that a late commit fails; then sends what stands there
 *
 * A new leader has a new epoch, so a commit that was meant for the one before it fails as well.
 */
export class Amender {
  private readonly ports: AmenderPorts;
  /** Those who wait for someone else's rewriting to end. */
  private waiting: (() => void)[] = [];

  constructor(ports: AmenderPorts) {
    this.ports = ports;
  }

  /**
   * Rewrites one mutation, and resolves to its new header. Null where nothing was written: it may have been sent, or changed
   * meanwhile; the tab that delivers did not answer in time; or `rewrite` left it as it is.
   */
  async amend(id: string, rewrite: Rewrite): Promise<MutationHeader | null> {
    const kept = await this.keepBack([id]);
    const [known] = kept?.headers ?? [];
    if (kept === null || known === undefined) return null;
    let amendment: Amendment | null;
    try {
      // Read too late, it is what the one who kept it back has written to let it go.
      const [stored = null] = await this.ports.store.unchanged([known]);
      const rewritten = stored === null ? null : await rewrite(stored);
      amendment = stored === null || rewritten === null ? null : { ...rewritten, stored };
    } catch (error) {
      this.letGo(kept);
      throw error;
    }
    if (amendment === null) {
      this.letGo(kept);
      return null;
    }
    // Should this reject, nobody knows whether it is written: the one who keeps it back looks when its time is over.
    const amended = await this.ports.store.amend([amendment], kept.epoch);
    if (amended === null) this.letGo(kept);
    else this.tell(amended);
    return amended?.[0] ?? null;
  }

  /** Asks for these not to be sent; of those that may have been, the answer says nothing. */
  keepBack(ids: readonly string[], timeoutMs?: number): Promise<KeptBack | null> {
    return this.ports.askLeader().ask({ kind: 'keepBack', ids }, timeoutMs, (late) => this.letGo(late));
  }

  /** Nothing is rewritten under this id, now or later. */
  letGo({ amendId }: Pick<KeptBack, 'amendId'>): void {
    this.hear({ kind: 'letGo', amendId });
    this.ports.post({ kind: 'letGo', amendId });
  }

  /**
   * These stand rewritten in the store, and nothing else of what was kept back under this id. One message says both: if it
   * is lost, the one who keeps them back looks into the store, and must not have been told before to let go.
   */
  tell(headers: readonly MutationHeader[], amendId: string | null = null): void {
    this.hear({ kind: 'amended', headers, amendId });
    this.ports.post({ kind: 'amended', headers, amendId });
  }

  /** What became of something that was kept back, from whichever tab. */
  hear(message: Extract<TabMessage, { kind: 'amended' | 'letGo' }>): void {
    if (message.kind === 'amended') this.ports.dispatch({ kind: 'amended', headers: message.headers });
    if (message.amendId !== null) this.ports.dispatch({ kind: 'letGo', amendId: message.amendId });
    for (const look of this.waiting.splice(0)) look();
  }

  /** As the one who delivers. */
  async answer(ids: readonly string[]): Promise<KeptBack> {
    const { engine, watch, store, alarms, dispatch } = this.ports;
    // Asked before this tab has heard of them: it looks first.
    if (ids.some((id) => engine.mutations.get(id) === undefined)) await watch.catchUp();
    await this.whenFree(ids);
    const amendId = this.ports.newId();
    const { epoch } = store;
    dispatch({ kind: 'keepBack', ids, amendId });
    const headers = this.keptUnder(amendId);
    if (headers.length > 0)
      alarms.after(KEEP_BACK_MS, () => alarms.insist(() => this.endKeeping(amendId), this.ports.report));
    return { amendId, epoch, headers };
  }

  /** Only one may rewrite at a time; whoever comes second waits for a moment. */
  private async whenFree(ids: readonly string[]): Promise<void> {
    const { engine, alarms } = this.ports;
    let isOver = false;
    const isBusy = (): boolean => !isOver && ids.some((id) => (engine.mutations.get(id)?.amendId ?? null) !== null);
    if (!isBusy()) return;
    const stop = alarms.after(BUSY_MS, () => {
      isOver = true;
      for (const look of this.waiting.splice(0)) look();
    });
    while (isBusy()) await new Promise<void>((resolve) => this.waiting.push(resolve));
    stop();
  }

  /** Whoever asked for it did not come back in time. */
  private async endKeeping(amendId: string): Promise<void> {
    const { store } = this.ports;
    for (let kept = this.keptUnder(amendId); kept.length > 0; kept = this.keptUnder(amendId)) {
      const stored = await store.pendingAt(kept.map(({ seq }) => seq));
      const amended: MutationHeader[] = [];
      const unchanged: Amendment[] = [];
      kept.forEach(({ revision }, index) => {
        const each = stored[index] ?? null;
        if (each === null) return;
        // Rewritten, and the message was lost.
        if (each.header.revision > revision) amended.push(each.header);
        else unchanged.push({ stored: each, header: each.header, body: null });
      });
      const fenced = unchanged.length === 0 ? [] : await store.amend(unchanged, store.epoch);
      if (fenced !== null) {
        this.tell([...amended, ...fenced]);
        this.hear({ kind: 'letGo', amendId });
      } else if (!(await store.claim([])).isLeader) {
        this.ports.standDown();
      }
      // Else it was rewritten, or taken back, just now: looked at once more.
    }
  }

  private keptUnder(amendId: string): readonly MutationHeader[] {
    return [...this.ports.engine.mutations.kept]
      .filter((entry) => entry.amendId === amendId)
      .map(({ header }) => header);
  }
}
