import { type PortCall, SAFE_CALL } from './crasher.ts';
import type { World } from './world.ts';

/** What a page hears of being put away (last) and of coming back (first). */
interface LifeListener {
  readonly away: () => void;
  readonly back: () => void;
}

/**
 * One run of the app in a tab. What is killed is not told: none of its timers fire, none of its open calls settle.
 * What is frozen gets everything later, in a burst.
 */
export class TabProcess {
  readonly name: string;
  readonly startedAtMs: number;
  isAlive = true;
  /** How often a queue has been opened in it. */
  openCount = 0;
  /** Its queue has opened. */
  isReady = false;
  /** Of the app that runs in it. */
  appVersion: 1 | 2 = 1;
  /** Timers that it has set, and that have neither come nor been called off. */
  timerCount = 0;
  /** Requests that have not come back to it. */
  sendingCount = 0;
  /** Step of the history at which its last read of the store took effect. */
  lastReadStep = 0;
  /** The same of its last look at who delivers. */
  lastEpochReadStep = 0;
  private readonly world: World;
  private isFrozen = false;
  private freezeNumber = 0;
  /** What came while it was frozen. */
  private parked: { readonly what: string; readonly run: () => void }[] = [];
  private readonly onDeath: (() => void)[] = [];
  private readonly lifeListeners = new Set<LifeListener>();
  /** Frozen, and nobody will ever look at it again. */
  isForsaken = false;
  private wasTold = false;

  constructor(world: World, name: string) {
    this.world = world;
    this.name = name;
    this.startedAtMs = world.scheduler.nowMs;
  }

  /** Lets something from outside reach the tab, `delayMs` from now; returns what calls it off. */
  later(delayMs: number, what: string, run: () => void): () => void {
    let isOff = false;
    const cancel = this.world.scheduler.at(delayMs, () => {
      if (!isOff) this.enter(what, run);
    });
    return () => {
      isOff = true;
      cancel();
    };
  }

  timer(delayMs: number, run: () => void): () => void {
    this.timerCount += 1;
    let isOpen = true;
    const end = (): void => {
      if (isOpen) this.timerCount -= 1;
      isOpen = false;
    };
    const cancel = this.later(delayMs, 'timer', () => {
      end();
      run();
    });
    return () => {
      end();
      cancel();
    };
  }

  enter(what: string, run: () => void): void {
    const { scheduler, trace } = this.world;
    if (!this.isAlive) {
      if (what.startsWith('answer')) this.world.facts.reached('an answer comes to a tab that has died');
      return;
    }
    if (this.isFrozen) {
      if (what.startsWith('answer')) this.world.facts.reached('an answer comes to a frozen tab');
      this.parked.push({ what, run });
      return;
    }
    trace.event(scheduler.nowMs, this.name, `« ${what}`);
    run();
  }

  /** Told of it, as by `freeze` and `pagehide`, or not, as when the whole browser is stopped. */
  freeze(durationMs: number, isTold: boolean): void {
    if (isTold && !this.isFrozen) {
      this.enter('page put away', () => {
        for (const { away } of [...this.lifeListeners]) away();
      });
      this.wasTold = true;
    }
    this.isFrozen = true;
    this.freezeNumber += 1;
    const number = this.freezeNumber;
    this.world.scheduler.at(durationMs, () => {
      if (number === this.freezeNumber) this.thaw();
    });
  }

  /** Frozen for ever, without a word. */
  forsake(): void {
    this.isForsaken = true;
    this.isFrozen = true;
    this.freezeNumber += 1;
  }

  /** Neither dead nor frozen: whatever should have happened in it has. */
  get isAwake(): boolean {
    return this.isAlive && !this.isFrozen;
  }

  onLife(listener: LifeListener): () => void {
    this.lifeListeners.add(listener);
    return () => this.lifeListeners.delete(listener);
  }

  thaw(): void {
    if (!this.isFrozen || this.isForsaken) return;
    this.isFrozen = false;
    if (this.wasTold) {
      this.wasTold = false;
      this.enter('page back', () => {
        for (const { back } of [...this.lifeListeners]) back();
      });
    }
    const { parked } = this;
    this.parked = [];
    const dice = this.world.dice.of(`thaw of ${this.name}`);
    for (const { what, run } of parked) this.later(dice.between(0, 50), what, run);
  }

  /** A call on one of its ports begins. Null when the process is dead by then: the dead do nothing. */
  begin(what: string): PortCall | null {
    if (!this.isAlive) return null;
    this.calls(what);
    return this.world.crasher === null ? SAFE_CALL : this.world.crasher.begin(this, what);
  }

  /** A call that has its effect, and returns, at once. */
  does(what: string, effect: () => void): void {
    const call = this.begin(what);
    if (call === null) return;
    effect();
    if (call.hasHappened()) call.hasReturned();
  }

  /** Something that the tab does. */
  calls(what: string): void {
    this.world.trace.event(this.world.scheduler.nowMs, this.name, `» ${what}`);
  }

  onKilled(run: () => void): void {
    this.onDeath.push(run);
  }

  /** Ends the process: by a kill, or because it was closed properly and has nothing left to do. */
  kill(why: string): void {
    if (!this.isAlive) return;
    this.isAlive = false;
    if (why !== 'closed' && !this.isReady) this.world.facts.reached('a tab dies while it opens');
    if (why === 'could not open') this.world.facts.reached('a tab cannot open');
    if (why !== 'closed' && this.sendingCount > 0)
      this.world.facts.reached('a tab dies while something of its own is on its way');
    this.world.trace.note(this.world.scheduler.nowMs, this.name, `ended: ${why}`);
    for (const run of this.onDeath) run();
  }
}
