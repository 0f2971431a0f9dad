import type { Engine } from '../../engine/engine.ts';
import type { Moment } from '../../engine/engine-io.ts';
import type { Amender } from '../adding/amender.ts';
import type { Answers, Questions, StopReason } from './ask-leader.ts';
import type { Recovery } from '../store/recovery.ts';
import type { SettlementWriter } from '../delivering/settlement-writer.ts';
import type { StoreWatch } from '../store/store-watch.ts';
import type { PartPorts } from '../part-ports.ts';

export interface LeaderAnswersPorts
  extends Pick<PartPorts, 'store' | 'engine' | 'attemptTimeoutMs' | 'dispatch' | 'standDown'> {
  readonly watch: StoreWatch;
  readonly writer: SettlementWriter;
  readonly amender: () => Amender;
  readonly recovery: () => Recovery;
  readonly moment: () => Moment;
  /** Nothing is sent any more, and nothing is on its way from this tab. */
  readonly stop: (reason: StopReason) => Promise<void>;
}

/** How the tab that delivers answers. What it says is so stands in the store. */
export function leaderAnswers(ports: LeaderAnswersPorts): Answers {
  const { store, engine, watch, writer, dispatch, moment } = ports;
  return {
    cancel: (asked) => cancel(asked, ports),
    stop: async ({ reason }) => {
      await ports.stop(reason);
      return 'stopped';
    },
    hurry: async ({ ids }) => {
      await watch.whenRead();
      const waiting = ids.filter((id) => engine.mutations.get(id)?.phase.kind === 'waiting');
      dispatch({ kind: 'hurry', ids: waiting });
      return waiting;
    },
    unstick: async () => {
      await watch.whenRead();
      const ids = engine.stuckIds(moment().nowMs, ports.attemptTimeoutMs);
      if (ids.length > 0) dispatch({ kind: 'unstick', ids });
      return ids;
    },
    evict: async ({ count, bytes }) => {
      await watch.whenRead();
      const seqs = engine.evictable(count, bytes).map(({ seq }) => seq);
      if (seqs.length === 0) return false;
      dispatch({ kind: 'evict', count, bytes });
      await writer.whenWritten;
      // Another tab may have taken over, or the write may have failed: only what stands in the store holds.
      return (await store.arePending(seqs)).every((isPending) => !isPending);
    },
    keepBack: async ({ ids }) => {
      await watch.whenRead();
      return ports.amender().answer(ids);
    },
    recover: () => ports.recovery().answer(),
    isDraining: async () => isDraining(engine, moment().nowMs),
    nextAttempt: async () => {
      const { nowMs } = moment();
      const atMs = engine.nextAttemptAtMs(nowMs);
      return atMs === null ? null : Math.max(0, atMs - nowMs);
    },
  };
}

async function cancel(
  { ids, act, evenIfSent }: Questions['cancel']['asked'],
  { store, engine, watch, writer, dispatch, standDown }: LeaderAnswersPorts,
): Promise<Questions['cancel']['answer']> {
  await watch.whenRead();
  // Asked before this tab has heard of them: it looks first.
  if (ids.some((id) => !engine.mutations.has(id))) await watch.catchUp();
  const known = ids.filter((id) => engine.mutations.has(id));
  const isWaiting = (id: string): boolean => engine.mutations.get(id)?.phase.kind === 'waiting';
  const free = known.filter(evenIfSent === true ? isWaiting : (id) => engine.canCancel(id));
  // Said only by the one that really delivers: another may have taken over, and may still take it back.
  if (free.length < known.length && !(await store.claim([])).isLeader) {
    standDown();
    return ids.map(() => 'unknown');
  }
  dispatch({ kind: 'cancel', ids: free, act, ...(evenIfSent === true ? { evenIfSent } : {}) });
  await writer.whenWritten;
  // Another tab may have taken over, or the write may have failed: only what stands in the store holds.
  // So does who it says took it back: one that believes it still delivers may be asked for the same in the same moment.
  const disposals = await store.history.disposals(free);
  const cancelled = new Set(free.filter((_, index) => disposals[index]?.actId === act.id));
  const tooLate = new Set(known.filter((id) => !free.includes(id)));
  return ids.map((id) => (cancelled.has(id) ? 'cancelled' : tooLate.has(id) ? 'tooLate' : 'unknown'));
}

/** Whether this tab, which delivers, goes on without something else happening. */
export function isDraining(engine: Engine, nowMs: number): boolean {
  const { line, isRefreshing } = engine.gates;
  const isChecking = (line.state.kind === 'down' && line.state.isChecking) || isRefreshing;
  return engine.isBusy(nowMs) || isChecking;
}
