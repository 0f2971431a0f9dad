import type { AppTab, ChangeOptions } from '../app-tab.ts';
import type { Device } from '../device.ts';
import type { Made } from '../history.ts';
import { MOODS } from '../workload.ts';
import type { World } from '../world.ts';

/** What a change says; all may be left out. */
export interface ChangeDetails extends Partial<Omit<ChangeOptions, 'parents'>> {
  /** Number of the row it changes; each has a lane of its own. @default 0 */
  readonly row?: number;
  /** @default 'create' for the first change of a row, else 'update' */
  readonly type?: 'create' | 'update' | 'delete';
  /** Tags of what it depends on. */
  readonly parents?: readonly string[];
  /** The server rejects it. */
  readonly isBad?: boolean;
  /** The server refuses it while it is tired (`tire`). */
  readonly isMoody?: boolean;
  /** Number of the tab, of those that are open. @default 0 */
  readonly tab?: number;
}

/** One small story: what people do and what goes wrong, at given moments, in whatever tab is open then. */
export class Stage {
  private readonly world: World;
  private readonly device: Device;
  private readonly tokens: Map<string, number>;

  constructor(world: World, device: Device) {
    this.world = world;
    this.device = device;
    this.tokens = world.server.validTokenNumbers;
  }

  /** `atMs` from the start of the world. */
  at(atMs: number, run: () => void): void {
    this.world.scheduler.at(atMs - this.world.scheduler.nowMs, run);
  }

  change(
    tag: string,
    { row = 0, type, parents = [], isBad, isMoody, tab: number = 0, ...more }: ChangeDetails = {},
  ): void {
    const entityId = `00000000-0000-4000-8000-${row.toString(16).padStart(12, '0')}`;
    const isThere = this.world.history.made.some((made) => made.entityId === entityId);
    const payload = { mood: isMoody === true ? (MOODS[0] ?? null) : null, level: isBad === true ? -1 : 1 };
    const options = {
      priority: 'normal' as const,
      delayMs: 0,
      parents: parents.flatMap((parent) => this.find(parent) ?? []),
      slotOf: null,
      expiresInMs: null,
      ...more,
    };
    this.in(number, `makes ${tag}`, (tab) =>
      tab.add(`item.${type ?? (isThere ? 'update' : 'create')}`, entityId, tag, payload, options),
    );
  }

  retry(tag: string): void {
    const made = this.find(tag);
    if (made !== undefined && made.toldFailedStep !== null) this.in(0, `retries ${tag}`, (tab) => tab.retry(made));
  }

  discard(tag: string): void {
    const made = this.find(tag);
    if (made !== undefined && made.toldFailedStep !== null) this.in(0, `discards ${tag}`, (tab) => tab.discard(made));
  }

  cancel(tag: string, tabNumber = 0): void {
    const made = this.find(tag);
    if (made !== undefined) this.in(tabNumber, `cancels ${tag}`, (tab) => tab.cancel(made));
  }

  inspect(tag: string): void {
    const made = this.find(tag);
    if (made !== undefined) this.in(0, `looks at ${tag}`, (tab) => tab.inspect(made));
  }

  pause(tabNumber = 0): void {
    this.in(tabNumber, 'pauses', (tab) => this.device.pauseIn(tab));
  }

  resume(tabNumber = 0): void {
    this.in(tabNumber, 'resumes', (tab) => void this.device.resumeIn(tab).catch(() => {}));
  }

  drain(): void {
    this.in(0, 'drains', ({ queue }) => void queue.process().catch(() => {}));
  }

  restart(): void {
    this.in(0, 'restarts the queue', ({ queue }) => void queue.restart().catch(() => {}));
  }

  refresh(): void {
    this.in(0, 'refreshes', (tab) => void tab.refresh().catch(() => {}));
  }

  openTab(): void {
    this.device.openTab();
  }

  closeTab(number = 0): void {
    const tab = this.device.liveTabs[number];
    tab?.process.enter('user closes the tab', () => tab.close());
  }

  /** The user leaves. */
  signOut(choice: 'keep' | 'discard', tabNumber = 0): void {
    this.in(tabNumber, `signs out: ${choice}`, (tab) => tab.signOut(choice));
  }

  killTab(number = 0): void {
    this.device.liveTabs[number]?.process.kill('killed');
  }

  freezeTab(number: number, durationMs: number, isTold: boolean): void {
    this.device.liveTabs[number]?.process.freeze(durationMs, isTold);
  }

  /** What is moody is refused for so long. */
  tire(durationMs: number): void {
    const { failingMoods } = this.world.server.model;
    const mood = MOODS[0] ?? '';
    failingMoods.add(mood);
    this.world.scheduler.at(durationMs, () => failingMoods.delete(mood));
  }

  cutLine(durationMs: number, isSilent = false): void {
    this.device.line.cut(durationMs, isSilent);
    this.world.scheduler.at(durationMs, () => this.device.line.hint('online'));
  }

  captivePortal(durationMs: number): void {
    this.device.line.enterPortal(durationMs);
  }

  expireToken(): void {
    this.tokens.set(this.device.userId, (this.tokens.get(this.device.userId) ?? 0) + 1);
  }

  loseLogin(durationMs: number): void {
    this.expireToken();
    this.device.isLoginGone = true;
    this.world.scheduler.at(durationMs, () => {
      this.device.isLoginGone = false;
      for (const { process, queue } of this.device.liveTabs) process.enter('user signs in', () => queue.loginChanged());
    });
  }

  fillDisk(durationMs: number): void {
    this.device.disk.isFull = true;
    this.world.scheduler.at(durationMs, () => {
      this.device.disk.isFull = false;
    });
  }

  setClock(offsetMs: number): void {
    this.device.hasClockJumped = true;
    this.device.wallOffsetMs = offsetMs;
  }

  private find(tag: string): Made | undefined {
    return this.world.history.made.find((made) => made.tag === tag);
  }

  private in(number: number, what: string, run: (tab: AppTab) => void): void {
    const tab = this.device.liveTabs[number] ?? this.device.anyTab(this.world.dice.of('stage'));
    tab.process.thaw();
    tab.process.enter(`user ${what}`, () => run(tab));
  }
}
