import type { AnyMutationDefinition, QueueOptions } from 'holdfast';
import type { PerformEffect } from '../../packages/client/src/testing/ledger.ts';
import type { Crasher } from './crasher.ts';
import type { Device } from './device.ts';
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
  /** What a story has besides the simulated app; null where there is none. */
  readonly story: Story | null;
}

/** An app of a story's own, whose changes it judges itself. */
export interface Story {
  readonly mutations: readonly AnyMutationDefinition[];
  readonly options: Pick<QueueOptions<readonly AnyMutationDefinition[]>, 'evict' | 'queueCapCount'>;
  /** Carries out on the server what is of these types. */
  readonly perform: PerformEffect;
  /** Looks at the end whether all promises were kept, beside what the simulation itself checks. */
  readonly judge: (world: World, device: Device) => Promise<void>;
}

/** Wall time at the start of every world, before the devices' clocks go wrong. */
export const EPOCH_MS = Date.UTC(2026, 0, 1);
