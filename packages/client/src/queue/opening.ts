import { type HoldfastError, toHoldfastError } from '../mutation/holdfast-error.ts';
import type { Clock } from '../ports/clock.ts';
import type { WireError } from '../protocol/wire.ts';
import { isLocked, UNLOCK_CHECK_MS } from './lock-watch.ts';

export interface OpeningPorts {
  readonly clock: Clock;
  /** Opens the store and reads it; rejects with `STORAGE_LOCKED` while the keys are away. */
  readonly open: () => Promise<void>;
  readonly onForeground: (listener: () => void) => () => void;
  /** The keys were found to be away. */
  readonly locked: (error: HoldfastError) => void;
}

/** Opens a queue, again and again while the keys of its store are away. */
export class Opening {
  /** Resolves when the queue is open; keys that are away are waited for. */
  readonly done: Promise<void>;
  /** Why it is not open yet, where that is because the keys are away. */
  lockedBy: WireError | null = null;
  private readonly ports: OpeningPorts;
  private attempt: Promise<void>;
  private isGivenUp = false;
  private wake: () => void = () => {};

  constructor(ports: OpeningPorts) {
    this.ports = ports;
    this.attempt = ports.open();
    this.done = this.tryOn();
    // Whoever awaits `done` or `now` is told; nobody has to.
    this.done.catch(() => {});
  }

  /** Resolves when it is open, and rejects when it cannot be opened, or not now. */
  async now(): Promise<void> {
    await this.attempt;
  }

  /** Waits for nothing any more. */
  giveUp(): void {
    this.isGivenUp = true;
    this.wake();
  }

  private async tryOn(): Promise<void> {
    for (;;) {
      try {
        await this.attempt;
        this.lockedBy = null;
        return;
      } catch (error) {
        if (!isLocked(error) || this.isGivenUp) throw error;
        if (this.lockedBy === null) {
          const known = toHoldfastError(error);
          this.lockedBy = known.toWire();
          this.ports.locked(known);
        }
        await this.moment();
        if (this.isGivenUp) throw error;
      }
      this.attempt = this.ports.open();
      this.attempt.catch(() => {});
    }
  }

  /** Until the keys are worth another try. */
  private async moment(): Promise<void> {
    const { clock, onForeground } = this.ports;
    await new Promise<void>((resolve) => {
      const stops = [clock.schedule(UNLOCK_CHECK_MS, () => this.wake()), onForeground(() => this.wake())];
      this.wake = () => {
        for (const stop of stops) stop();
        resolve();
      };
      if (this.isGivenUp) this.wake();
    });
  }
}
