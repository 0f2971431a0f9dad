import type { AppTab, ChangeOptions } from '../app-tab.ts';
import type { Device } from '../device.ts';
import type { Made } from '../history.ts';
import { MOODS } from '../workload.ts';
import type { World } from '../world.ts';
import type { Note, Notebook } from './notebook.ts';

/** What a change says; all may be left out. */
export interface ChangeDetails extends Partial<Omit<ChangeOptions, 'parents' | 'slotOf'>> {
  /** Number of the row it changes; each has a lane of its own. @default 0 */
  readonly row?: number;
  /** @default 'create' for the first change of a row, else 'update' */
  readonly type?: 'create' | 'update' | 'delete';
  /** Tags of what it depends on. */
  readonly parents?: readonly string[];
  /** Tag of the creation whose row's id, as the server returns it, stands in this one. */
  readonly slot?: string;
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
  private readonly notebook: Notebook | null;

  /** `notebook` is the app of a story that has one of its own. */
  constructor(world: World, device: Device, notebook: Notebook | null) {
    this.world = world;
    this.device = device;
    this.notebook = notebook;
    this.tokens = world.server.validTokenNumbers;
  }

  /** `atMs` from the start of the world. */
  at(atMs: number, run: () => void): void {
    this.world.scheduler.at(atMs - this.world.scheduler.nowMs, run);
  }

  change(
    tag: string,
    { row = 0, type, parents = [], slot, isBad, isMoody, tab: number = 0, ...more }: ChangeDetails = {},
  ): void {
    const entityId = entityOf(row);
    const isThere = this.world.history.made.some((made) => made.entityId === entityId);
    const payload = { mood: isMoody === true ? (MOODS[0] ?? null) : null, level: isBad === true ? -1 : 1 };
    const options = {
      priority: 'normal' as const,
      delayMs: 0,
      parents: parents.flatMap((parent) => this.find(parent) ?? []),
      slotOf: slot === undefined ? null : (this.find(slot) ?? null),
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

  /** Another text for it; the level says that it is another payload. */
  edit(tag: string, tabNumber = 0): void {
    const made = this.find(tag);
    if (made !== undefined) this.in(tabNumber, `edits ${tag}`, (tab) => tab.edit(made, { level: 2 }));
  }

  forceRetry(tag: string, tabNumber = 0): void {
    const made = this.find(tag);
    if (made !== undefined) this.in(tabNumber, `forces ${tag}`, (tab) => tab.forceRetry(made));
  }

  retryAll(): void {
    const failed = this.world.history.made.filter(({ toldFailedStep }) => toldFailedStep !== null);
    if (failed.length > 0) this.in(0, 'retries all', (tab) => tab.retryAll(failed));
  }

  /** Everything of the lane that may still be disposed of. */
  clear(row = 0, tabNumber = 0): void {
    const own = this.world.history.made.filter(
      ({ entityId, effectCount }) => entityId === entityOf(row) && effectCount === 0,
    );
    const [first] = own;
    if (first !== undefined) this.in(tabNumber, `clears ${first.lane}`, (tab) => tab.clear(first.lane, own));
  }

  release(row = 0, tabNumber = 0): void {
    const first = this.world.history.made.find(({ entityId }) => entityId === entityOf(row));
    if (first !== undefined) this.in(tabNumber, `releases ${first.lane}`, (tab) => tab.releaseLane(first.lane));
  }

  write(note: Note, { tab = 0, ...more }: WriteDetails = {}): void {
    if (more.id !== undefined) this.world.history.issuedId(more.id, this.device.index);
    this.note(tab, `writes ${note.words.join()}`, (notebook, at) => notebook.write(at, note, more));
  }

  extend(note: Note, { tab = 0 }: Pick<WriteDetails, 'tab'> = {}): void {
    this.note(tab, `adds ${note.words.join()}`, (notebook, at) => notebook.extend(at, note));
  }

  writeTogether(notes: readonly Note[]): void {
    this.note(0, 'writes several at once', (notebook, at) => notebook.writeTogether(at, notes));
  }

  editTitle(type: 'page.merge' | 'page.yield' | 'page.ask', title: string): void {
    this.note(0, `sets the title ${title}`, (notebook, at) => notebook.editTitle(at, type, title));
  }

  othersEdit(title: string | null = null): void {
    this.notebook?.othersEdit(title);
  }

  remove(word: string, tabNumber = 0): void {
    this.note(tabNumber, `removes ${word}`, (notebook, at) => notebook.remove(at, word));
  }

  choose(): void {
    this.note(0, 'looks at conflicts', (notebook, at) => notebook.choose(at));
  }

  private note(number: number, what: string, run: (notebook: Notebook, tab: AppTab) => void): void {
    const { notebook } = this;
    if (notebook === null) throw new TypeError('This story has no app of its own.');
    this.in(number, what, (tab) => run(notebook, tab));
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

export interface WriteDetails {
  /** Number of the tab, of those that are open. @default 0 */
  readonly tab?: number;
  readonly id?: string;
  readonly priority?: 'low';
}

function entityOf(row: number): string {
  return `00000000-0000-4000-8000-${row.toString(16).padStart(12, '0')}`;
}
