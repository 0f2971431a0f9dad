import { toHoldfastError } from '../../mutation/holdfast-error.ts';
import { isLocked } from '../store/storage-errors.ts';
import type { PartPorts } from '../part-ports.ts';

/** Keys that are away are asked for again after this time, in milliseconds, and when the app comes to the foreground. */
export const UNLOCK_CHECK_MS = 5_000;

export interface LockWatchPorts extends Pick<PartPorts, 'store' | 'alarms' | 'dispatch'> {
  /** What was not looked at meanwhile is looked at now. */
  readonly unlocked: () => void;
}

/** Closes the gate when the keys of the store turn out to be away, and opens it when they are back. */
export class LockWatch {
  private readonly ports: LockWatchPorts;
  private isLocked = false;
  private callOff: () => void = () => {};

  constructor(ports: LockWatchPorts) {
    this.ports = ports;
  }

  /** Something has failed; true when that was because the keys are away. */
  noticed(error: unknown): boolean {
    if (!isLocked(error)) return false;
    if (!this.isLocked) {
      this.isLocked = true;
      this.ports.dispatch({ kind: 'locked', error: toHoldfastError(error).toWire() });
      this.checkLater();
    }
    return true;
  }

  /** Asks for the keys, if they were away. */
  check(): void {
    if (!this.isLocked) return;
    this.callOff();
    this.ports.store.checkKeys().then(
      () => {
        this.isLocked = false;
        this.ports.dispatch({ kind: 'unlocked' });
        this.ports.unlocked();
      },
      () => this.checkLater(),
    );
  }

  private checkLater(): void {
    this.callOff = this.ports.alarms.after(UNLOCK_CHECK_MS, () => this.check());
  }
}
