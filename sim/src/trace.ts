/** So many lines are kept for telling what happened last. */
export const KEPT_COUNT = 400;
/** Who a choice comes from, in the trace. */
const CHOICE = '·';

/** What happened: the last of it to read, all of it as a number, so that two runs of a seed can be compared. */
export class Trace {
  /** Inputs that reached a tab, and calls a tab made on its ports. */
  eventCount = 0;
  hash = 0x811c9dc5;
  private readonly lines: string[] = [];
  private nowMs = 0;
  private observer: (nowMs: number, who: string, what: string) => void = () => {};
  private readonly keptCount: number;

  constructor(keptCount: number = KEPT_COUNT) {
    this.keptCount = keptCount;
  }

  /** Is told of each event as it happens. */
  observe(observer: (nowMs: number, who: string, what: string) => void): void {
    this.observer = observer;
  }

  event(nowMs: number, who: string, what: string): void {
    this.eventCount += 1;
    this.observer(nowMs, who, what);
    this.note(nowMs, who, what);
  }

  /** What a tape says; told at the time of what came before. */
  choice(purpose: string, number: number, value: number): void {
    this.note(this.nowMs, CHOICE, `${purpose} [${number}] = ${value}`);
  }

  note(nowMs: number, who: string, what: string): void {
    this.nowMs = nowMs;
    const line = `${(nowMs / 1000).toFixed(3)} ${who} ${what}`;
    let { hash } = this;
    for (let index = 0; index < line.length; index += 1) hash = Math.imul(hash ^ line.charCodeAt(index), 0x01000193);
    this.hash = hash >>> 0;
    if (this.lines.length === 2 * this.keptCount) this.lines.splice(0, this.keptCount);
    this.lines.push(line);
  }

  last(count: number): readonly string[] {
    return this.lines.slice(-count);
  }
}
