import type { Dice } from './dice.ts';
import { FAULT_CLASSES, type FaultClass, type FaultRates } from './plan.ts';

/** Decides when something goes wrong, and counts it. A fault counts when work is unsettled: others test nothing. */
export class Faults {
  isActive = true;
  count = 0;
  readonly countByClass = new Map<FaultClass, number>();
  private readonly dice: Dice;
  private readonly rates: FaultRates;
  private readonly isWorkUnsettled: () => boolean;

  constructor(dice: Dice, rates: FaultRates, isWorkUnsettled: () => boolean) {
    this.dice = dice;
    this.rates = rates;
    this.isWorkUnsettled = isWorkUnsettled;
  }

  /** Whether the fault happens now, at its rate per opportunity. */
  strikes(name: FaultClass): boolean {
    if (!this.isActive || !this.dice.chance(this.rates[name])) return false;
    this.happened(name);
    return true;
  }

  /** A fault that came by itself and not at an opportunity. */
  happened(name: FaultClass): void {
    this.countByClass.set(name, (this.countByClass.get(name) ?? 0) + 1);
    if (this.isWorkUnsettled()) this.count += 1;
  }

  /** Milliseconds until the fault comes next, for those that are drawn by the minute; null for never. */
  nextInMs(name: FaultClass): number | null {
    const perMinute = this.rates[name];
    return perMinute === 0 ? null : (-Math.log(1 - this.dice.next()) * 60_000) / perMinute;
  }

  get classes(): readonly FaultClass[] {
    return FAULT_CLASSES.filter((name) => this.rates[name] > 0);
  }
}
