import { HoldfastError, toHoldfastError } from '../mutation/holdfast-error.ts';
import type { Clock } from '../ports/clock.ts';
import type { WireError } from '../protocol/wire.ts';
import { UNLOCK_CHECK_MS } from './tabs/lock-watch.ts';
import { isFull, isLocked } from './store/storage-errors.ts';

export interface OpeningPorts {
  readonly clock: Clock;
  /** Opens the store, then calls `hasOpened`, and reads it. */
  readonly open: (hasOpened: () => void) => Promise<void>;
  readonly onForeground: (listener: () => void) => () => void;
  /** It waits for something; told once for each reason. */
  readonly blocked: (error: HoldfastError) => void;
}

/** A store that has not opened after this time is told of, in milliseconds. */
const OPEN_SLOW_MS = 10_000;
/** Calls wait so long for it: by then a store of the browser that does not open has made way for another, or for memory. */
const OPEN_MS_MAX = 30_000;

/** Opens a queue, again and again while the keys of its store are away or there is no room for what opening has to store. */
export class Opening {
  /** Resolves when the queue is open; what can be waited for is waited for. */
  readonly done: Promise<void>;
  /** What it waits for, while it is not open; null for nothing that is known. */
  blockedBy: WireError | null = null;
  private readonly ports: OpeningPorts;
  private attempt: Promise<void>;
  /** Rejects when the store takes too long; null when it has opened. */
  private tooLong: Promise<never> | null = null;
  private isGivenUp = false;
  private wake: () => void = () => {};
  private endSlow: () => void = () => {};

  constructor(ports: OpeningPorts) {
    this.ports = ports;
    this.attempt = this.begin();
    const ended = new Promise<never>((_, reject) => {
      this.endSlow = () => reject(notOpened());
    });
    this.done = Promise.race([this.tryOn(), ended]);
    // Whoever awaits `done` or `now` is told; nobody has to.
    this.done.catch(() => {});
  }

  /** Resolves when it is open, and rejects when it cannot be opened, or not now. */
  async now(): Promise<void> {
    await (this.tooLong === null ? this.attempt : Promise.race([this.attempt, this.tooLong]));
  }

  /** Waits for nothing any more. */
  giveUp(): void {
    this.isGivenUp = true;
    this.wake();
    if (this.blockedBy?.code === SLOW) this.endSlow();
  }

  private begin(): Promise<void> {
    let isTooLong: (error: HoldfastError) => void = () => {};
    this.tooLong = new Promise((_, reject) => {
      isTooLong = reject;
    });
    this.tooLong.catch(() => {});
    const { clock } = this.ports;
    const stops = [
      clock.schedule(OPEN_SLOW_MS, () => {
        this.block(notOpened());
        if (this.isGivenUp) this.endSlow();
      }),
      clock.schedule(OPEN_MS_MAX, () => isTooLong(notOpened())),
    ];
    const hasOpened = (): void => {
      for (const stop of stops) stop();
      this.tooLong = null;
    };
    const attempt = this.ports.open(hasOpened);
    attempt.then(hasOpened, hasOpened);
    return attempt;
  }

  private async tryOn(): Promise<void> {
    for (;;) {
      try {
        await this.attempt;
        this.blockedBy = null;
        return;
      } catch (error) {
        if (!(isLocked(error) || isFull(error)) || this.isGivenUp) throw error;
        this.block(toHoldfastError(error));
        await this.moment();
        if (this.isGivenUp) throw error;
      }
      this.attempt = this.begin();
      this.attempt.catch(() => {});
    }
  }

  private block(error: HoldfastError): void {
    const isNews = this.blockedBy?.code !== error.code;
    this.blockedBy = error.toWire();
    if (isNews) this.ports.blocked(error);
  }

  /** Until it is worth another try. */
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

const SLOW = 'STORAGE_UNAVAILABLE';

function notOpened(): HoldfastError {
  return new HoldfastError({
    code: SLOW,
    message: `Not opened: the store of this device, or the keys that it is sealed with, have not answered for ${OPEN_SLOW_MS / 1_000} s.`,
    hint: 'Nothing to do: the queue opens by itself when they do. Should they never, look at `storage` and `encryption`.',
  });
}
