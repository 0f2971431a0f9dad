import type { WaitingFor } from '../engine/engine-io.ts';
import { HoldfastError } from '../mutation/holdfast-error.ts';
import type { Act, SignOutRecord } from '../mutation/record.ts';
import type { Clock } from '../ports/clock.ts';
import { type ActOptions, parentsFirst, partsOf } from './acts.ts';
import type { DrainResult } from './delivering/drain.ts';
import type { Ending } from './store/history.ts';
import type { QueueSnapshot } from './queue-snapshot.ts';
import type { QueueStore } from './store/queue-store.ts';
import type { Runner } from './runner.ts';
import type { StoredSignOut } from './sign-out-mark.ts';

/**
 * What becomes of what is pending at a sign-out. `sendFirst`: it is sent, and only then the login ends. `keep`: it stays on
 * this device for when the same user signs in again, and is neither sent nor seen under any other login. `discard`: it is
 * given up.
 */
export type SignOutChoice = 'sendFirst' | 'keep' | 'discard';

export type SignOutResult =
  /** Nothing was changed: someone must choose what is to become of what is pending. */
  | ({ readonly kind: 'undecided' } & Left)
  /** Not signed out: some could not be sent, and are still pending. */
  | ({ readonly kind: 'unsent'; readonly sentCount: number } & Left)
  /** The login is over in every tab, and this queue is closed. */
  | {
      readonly kind: 'signedOut';
      /** Confirmed by the server on this occasion. */
      readonly sentCount: number;
      /** Discarded, and surely never sent: they have had no effect. */
      readonly takenBackCount: number;
      /** Discarded, but they may have been sent before, and may have taken effect. */
      readonly mayHaveTakenEffectCount: number;
      /**
       * Still on this device, for the same user. With `discard` most often 0; should the device not get that far, what is left
       * of them is discarded when the user signs in again, before anything is sent.
       */
      readonly keptCount: number;
    };

interface Left {
  readonly pendingCount: number;
  /** Dead letters; they stay in any case. */
  readonly failedCount: number;
  /** What stops everything, if anything does: `network` where sending first is of no use. */
  readonly waitingFor: WaitingFor;
}

interface Discarding {
  readonly isOver: () => boolean;
  readonly begun: (ids: readonly string[]) => void;
}

interface Opened {
  readonly runner: Runner;
  readonly store: QueueStore;
}

export interface SignOutPorts {
  readonly opened: () => Promise<Opened>;
  readonly snapshot: () => QueueSnapshot;
  readonly act: (options: ActOptions) => Act;
  readonly drain: () => Promise<DrainResult>;
  readonly close: () => Promise<void>;
  readonly clock: Clock;
  readonly report: (error: unknown) => void;
}

const CHOICES: readonly unknown[] = ['sendFirst', 'keep', 'discard', undefined];
/** Longest that a sign-out waits for what it discards: long enough to replace a tab that delivers and does not answer. */
const DISCARD_MS_MAX = 20_000;
/** What could not be discarded is tried again after this, in milliseconds. */
const AGAIN_MS = 1_000;

/**
 * The end of a login, and its return. First it is stored that it is over, from which moment on no tab sends; then what is on
 * its way is let finish; then, if so chosen, what is pending is discarded. Whoever dies in between leaves the mark behind,
 * and the next one to sign in discards the rest before anything is sent.
 */
export class SignOut {
  private readonly ports: SignOutPorts;

  constructor(ports: SignOutPorts) {
    this.ports = ports;
  }

  async run(choice: SignOutChoice | undefined, options: ActOptions): Promise<SignOutResult> {
    if (!CHOICES.includes(choice)) throw unknownChoice(choice);
    const act = this.ports.act(options);
    const { runner, store } = await this.ports.opened();
    // What other tabs have stored or settled counts too, also where this one has missed it.
    await runner.watch.reconcile();
    let sentCount = 0;
    if (choice === 'sendFirst' && this.left.pendingCount > 0) {
      sentCount = (await this.ports.drain()).succeeded;
      if (this.left.pendingCount > 0) return { kind: 'unsent', sentCount, ...this.left };
    }
    // Where another tab has signed out, that was decided there.
    const isDecided = choice !== undefined || runner.engine.gates.isSignedOut;
    if (!isDecided && this.left.pendingCount > 0) return { kind: 'undecided', ...this.left };
    const mark = await store.signOut.put(act, choice === 'discard');
    await runner.stop('signedOut');
    const begun = new Set<string>();
    const isDone = await this.discard({ runner, store }, mark, {
      isOver: this.isPast(DISCARD_MS_MAX),
      begun: (ids) => ids.forEach((id) => begun.add(id)),
    });
    if (isDone) await store.signOut.discarded(mark);
    if (choice === 'discard') await store.tail.clear();
    // What stands in the store counts: an answer may have been lost, or have come before it was stored.
    const disposals = await store.history.disposals([...begun]);
    const count = (ending: Ending): number => disposals.filter((each) => each?.ending === ending).length;
    const { pendingCount: keptCount } = this.left;
    await this.ports.close();
    return {
      kind: 'signedOut',
      sentCount,
      takenBackCount: count('discarded'),
      mayHaveTakenEffectCount: count('unconfirmed'),
      keptCount,
    };
  }

  /**
   * Whoever opens the queue of a login says that it is there again. What was to be discarded is, before anything is sent.
   * Resolves to true when the login is there; to false when this run of the queue ended first.
   */
  async signIn(opened: Opened): Promise<boolean> {
    const { runner, store } = opened;
    while (!runner.isEnded) {
      try {
        const mark = await store.signOut.read();
        if (mark !== null && !(await this.lift(mark, opened))) continue;
        if (runner.engine.gates.isSignedOut) runner.signedIn();
        return true;
      } catch (error) {
        if (runner.isEnded) return false;
        this.ports.report(error);
        await this.wait(AGAIN_MS);
      }
    }
    return false;
  }

  private async lift(mark: StoredSignOut, opened: Opened): Promise<boolean> {
    const { runner, store } = opened;
    // Whoever has signed out may still be waiting for what is on its way.
    if (mark.record?.discardUpToSeq != null) await runner.stop('signedOut');
    const isDone = await this.discard(opened, mark, { isOver: () => runner.isEnded, begun: () => {} });
    return isDone && (await store.signOut.remove(mark));
  }

  /** True when none is left of what was to be discarded. */
  private async discard({ runner, store }: Opened, { record }: StoredSignOut, ports: Discarding): Promise<boolean> {
    if (record === null || record.discardUpToSeq === null) return true;
    runner.discardingBegun();
    while (!ports.isOver()) {
      await runner.watch.reconcile();
      const ids = idsToDiscard(runner, record);
      // What is settled in memory may not be stored yet: only what stands in the store is gone.
      if (ids.length === 0 && !(await hasPendingUpTo(record.discardUpToSeq, store))) return true;
      ports.begun(ids);
      let goneCount = 0;
      for (const part of partsOf(ids)) {
        const takenBack = await runner.cancel(part, record.act);
        const sent = part.filter((_, index) => takenBack[index] === 'tooLate');
        const unconfirmed = sent.length === 0 ? [] : await runner.cancel(sent, record.act, true);
        goneCount += [...takenBack, ...unconfirmed].filter((answer) => answer === 'cancelled').length;
        if (ports.isOver()) break;
      }
      // Nobody delivers yet, or the device has no room for saying that they are gone.
      if (goneCount === 0) await this.wait(AGAIN_MS);
    }
    return false;
  }

  private get left(): Left {
    const { pendingCount, failedCount, waitingFor } = this.ports.snapshot();
    return { pendingCount, failedCount, waitingFor };
  }

  private isPast(ms: number): () => boolean {
    const { clock } = this.ports;
    const untilMs = clock.nowMs() + ms;
    return () => clock.nowMs() >= untilMs;
  }

  private wait(ms: number): Promise<void> {
    return new Promise((resolve) => void this.ports.clock.schedule(ms, resolve));
  }
}

async function hasPendingUpTo(seq: number, store: QueueStore): Promise<boolean> {
  const [first] = (await store.pendingAfter(0)).records;
  return first !== undefined && first.seq <= seq;
}

/** Those that depend on others go first: after their parent they would be dead letters. */
function idsToDiscard({ engine }: Runner, { discardUpToSeq }: SignOutRecord): readonly string[] {
  const upToSeq = discardUpToSeq ?? 0;
  const pending = [...engine.mutations.all()].filter(({ phase, seq }) => phase.kind !== 'failed' && seq <= upToSeq);
  return parentsFirst(pending)
    .map(({ id }) => id)
    .reverse();
}

function unknownChoice(choice: unknown): HoldfastError {
  return new HoldfastError({
    code: 'INVALID_OPTION',
    message: `Not signed out: the choice must be 'sendFirst', 'keep' or 'discard', or left out; it is ${JSON.stringify(choice)}.`,
    hint: 'Ask the user which of the three they want.',
  });
}
