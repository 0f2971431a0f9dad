import type { TabProcess } from './tab-process.ts';

/** Where around the effect of a call a process dies. */
export type Position = 'before' | 'after' | 'returned';
export const POSITIONS: readonly Position[] = ['before', 'after', 'returned'];

/** The call of that number, of all that tabs make on their ports in a world. */
export interface CrashPoint {
  readonly call: number;
  readonly position: Position;
}

/** One call on a port, as it goes on. */
export interface PortCall {
  /** The effect has happened. False when the process died before it could learn of it. */
  readonly hasHappened: () => boolean;
  /** The process has learnt of it, and goes on; it may die as soon as it waits for something else. */
  readonly hasReturned: () => void;
}

/** A call that nothing happens to. */
export const SAFE_CALL: PortCall = { hasHappened: () => true, hasReturned: () => {} };

/** Kills processes at the points it is given, and counts the calls. */
export class Crasher {
  /** What was called, in order. */
  readonly calls: string[] = [];
  /** How many of the points were reached. */
  crashCount = 0;
  /** No more deaths: someone looks at what is left. */
  isOver = false;
  private readonly points: readonly CrashPoint[];
  private readonly afterThis: (run: () => void) => void;
  private readonly onCrash: (process: TabProcess) => void;

  /** `afterThis` runs something once all that follows from the present event has run. */
  constructor(
    points: readonly CrashPoint[],
    afterThis: (run: () => void) => void,
    onCrash: (process: TabProcess) => void,
  ) {
    this.points = points;
    this.afterThis = afterThis;
    this.onCrash = onCrash;
  }

  /** Null when the process died before the effect. */
  begin(process: TabProcess, what: string): PortCall | null {
    if (this.isOver) return SAFE_CALL;
    this.calls.push(what);
    const call = this.calls.length;
    if (this.strikes(call, 'before', process)) return null;
    return {
      hasHappened: () => !this.strikes(call, 'after', process),
      hasReturned: () => {
        if (this.isPlanned(call, 'returned')) this.afterThis(() => this.strikes(call, 'returned', process));
      },
    };
  }

  private strikes(call: number, position: Position, process: TabProcess): boolean {
    if (this.isOver || !process.isAlive || !this.isPlanned(call, position)) return false;
    this.crashCount += 1;
    process.kill(`crash ${position === 'returned' ? 'after the return' : `${position} the effect`} of call ${call}`);
    this.onCrash(process);
    return true;
  }

  private isPlanned(call: number, position: Position): boolean {
    return this.points.some((point) => point.call === call && point.position === position);
  }
}
