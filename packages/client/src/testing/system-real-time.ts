import { systemClock } from '../ports/system-clock.ts';
import type { SimulatedTime } from './simulated-time.ts';

/** The platform's time, for simulators in an app that people use: a demonstration, or a tester's drawer of faults. */
export const realTime: SimulatedTime = {
  nowMs: () => systemClock.nowMs(),
  delay: (ms) =>
    ms <= 0
      ? Promise.resolve()
      : new Promise((resolve) => {
          systemClock.schedule(ms, resolve);
        }),
};
