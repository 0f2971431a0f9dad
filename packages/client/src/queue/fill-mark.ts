/** How full something is, in the steps that are told. */
type FillPercent = 80 | 100;

/** Tells once when a step is passed, and again only after it was left. */
export class FillMark {
  private told: FillPercent | 0 = 0;

  /** The step that is to be told now; null for none. `share`: 1 for full. */
  passed(share: number): FillPercent | null {
    const percent = share >= 1 ? 100 : share >= 0.8 ? 80 : 0;
    const isNews = percent > this.told;
    this.told = percent;
    return isNews && percent !== 0 ? percent : null;
  }

  /** The next step is news, whichever it is. */
  forget(): void {
    this.told = 0;
  }
}
