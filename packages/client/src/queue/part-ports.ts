import type { Engine } from '../engine/engine.ts';
import type { EngineInput, Settlement } from '../engine/engine-io.ts';
import type { Alarms } from './delivering/alarms.ts';
import type { RunnerPorts } from './runner.ts';
import type { TabMessage } from './tabs/tab-message.ts';

/** What the parts of a runner share; each takes of it what it needs. */
export interface PartPorts extends RunnerPorts {
  readonly engine: Engine;
  readonly alarms: Alarms;
  readonly dispatch: (input: EngineInput) => void;
  /** To the other tabs. */
  readonly post: (message: TabMessage) => void;
  /** Tells the app, whichever tab it happened in. */
  readonly settled: (settlement: Settlement) => void;
  /** Another tab delivers now. */
  readonly standDown: () => void;
  readonly report: (error: unknown) => void;
}
