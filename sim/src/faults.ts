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

  /** Whether the fault happens now, at its rate per opportunity; `dice` are those of what it would happen to. */
  strikes(name: FaultClass, dice: Dice = this.dice.of(name)): boolean {
    if (!this.isActive || !dice.chance(this.rates[name], name)) return false;
    this.happened(name);
    return true;
  }

  /** A fault that came by itself and not at an opportunity. */
  happened(name: FaultClass): void {
    this.countByClass.set(name, (this.countByClass.get(name) ?? 0) + 1);
    if (this.isWorkUnsettled()) this.count += 1;
  }

  /** When the fault comes next, for those that are drawn by the minute; null for never. */
  nextAtMs(name: FaultClass, dice: Dice, nowMs: number): number | null {
    return dice.momentAfter(nowMs, this.rates[name]);
  }

  get classes(): readonly FaultClass[] {
    return FAULT_CLASSES.filter((name) => this.rates[name] > 0);
  }
}
