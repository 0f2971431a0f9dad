import { FakeClock as KitClock } from '../../testing/fake-clock.ts';

/** The clock of `holdfast/testing`, at another date. */
export class FakeClock extends KitClock {
  override wallOffsetMs = 1_700_000_000_000;

  /** The same as `advance`. */
  pass(ms: number): Promise<void> {
    return this.advance(ms);
  }
}
