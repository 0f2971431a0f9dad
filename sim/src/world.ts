import type { Crasher } from './crasher.ts';
import type { Dice } from './dice.ts';
import type { Facts } from './facts.ts';
import type { Faults } from './faults.ts';
import type { History } from './history.ts';
import type { Plan } from './plan.ts';
import type { Scheduler } from './scheduler.ts';
import type { SimServer } from './sim-server.ts';
import type { Trace } from './trace.ts';

/** What everything in one simulated world shares. */
export interface World {
  readonly plan: Plan;
  readonly dice: Dice;
  readonly scheduler: Scheduler;
  readonly faults: Faults;
  readonly trace: Trace;
  readonly history: History;
  readonly server: SimServer;
  readonly facts: Facts;
  /** Kills at chosen calls; null where only chance kills. */
  readonly crasher: Crasher | null;
}

/** Wall time at the start of every world, before the devices' clocks go wrong. */
export const EPOCH_MS = Date.UTC(2026, 0, 1);
