/** Takes what was asked for together in turns: one group after the other, and what comes meanwhile is the next. */
export class Turns<Item> {
  private readonly run: (group: readonly Item[]) => Promise<void>;
  private waiting: Item[] = [];
  private turn: Promise<void> | null = null;

  /** `run` deals with its own failures. */
  constructor(run: (group: readonly Item[]) => Promise<void>) {
    this.run = run;
  }

  add(item: Item): void {
    this.waiting.push(item);
    this.turn ??= this.take();
  }

  /** Resolves when all that was asked for has been dealt with. */
  async rest(): Promise<void> {
    await this.turn;
  }

  private async take(): Promise<void> {
    // Calls made together go together.
    await Promise.resolve();
    while (this.waiting.length > 0) {
      const group = this.waiting;
      this.waiting = [];
      await this.run(group);
    }
    // At once: who has just been answered may ask again before anything else happens.
    this.turn = null;
  }
}
