import { AppTab } from './app-tab.ts';
import type { Dice } from './dice.ts';
import type { ItemRow } from './server-model.ts';
import { Line } from './sim-line.ts';
import type { Disk, StoredValues } from './sim-storage.ts';
import { TabCircle } from './sim-tabs.ts';
import { TabProcess } from './tab-process.ts';
import type { World } from './world.ts';

/** A tab was told that the queue is paused, and nobody has asked to resume since. */
interface Pause {
  readonly process: TabProcess;
  readonly step: number;
}

/** A row as its user has it before them. */
export interface SeenRow {
  readonly row: ItemRow;
  /** Read just now. */
  readonly isFresh: boolean;
}

/** One browser of one user: its disk, its tabs, its line, its login and its clock. */
export class Device {
  readonly index: number;
  readonly userId: string;
  readonly workspaceId: string;
  readonly disk: Disk;
  readonly circle: TabCircle;
  readonly line: Line;
  readonly closedProcesses = new Set<TabProcess>();
  pause: Pause | null = null;
  tabs: AppTab[] = [];
  /** How far the device's wall clock is off, in milliseconds. */
  wallOffsetMs = 0;
  hasClockJumped = false;
  isLoginGone = false;
  /** Its user has left; nobody opens the app as this one before they are back. */
  isSignedOut = false;
  /** How often a tab has reported a record that does not read. */
  unreadableCount = 0;
  /** What was damaged, by its key. */
  readonly damagedTexts = new Map<string, string>();
  /** Someone has asked to pause, ever. */
  isPauseLikely = false;
  private readonly seenRows = new Map<string, ItemRow>();
  private tokenNumber = 0;
  private tabNumber = 0;
  private openResumes = 0;
  private lastResumeStep = 0;
  private readonly world: World;

  constructor(world: World, index: number, stores: Disk['stores'] = new Map()) {
    this.world = world;
    this.disk = { isFull: false, isLocked: false, powerLossCount: 0, lead: null, stores };
    this.index = index;
    this.userId = `user-${index}`;
    this.workspaceId = world.plan.isWorkspaceShared ? 'workspace' : `workspace-${index}`;
    this.circle = new TabCircle(world);
    this.line = new Line(world, this);
  }

  get liveTabs(): readonly AppTab[] {
    return this.tabs.filter(({ process, isClosing }) => process.isAlive && !process.isForsaken && !isClosing);
  }

  /** What is stored for this user; another one of the same browser has stores of their own. */
  get ownStores(): readonly StoredValues[] {
    return [...this.disk.stores].filter(([name]) => name.endsWith(`/${this.userId}`)).map(([, stored]) => stored);
  }

  openTab(): AppTab {
    this.tabNumber += 1;
    const tab = new AppTab(this.world, this, new TabProcess(this.world, `d${this.index}t${this.tabNumber}`));
    this.tabs.push(tab);
    return tab;
  }

  /** A tab to work in: one that is open, or a new one. Whoever works in a tab has it before them, so it is not frozen. */
  anyTab(dice: Dice): AppTab {
    const { liveTabs } = this;
    const tab = liveTabs.length === 0 ? this.openTab() : dice.pick(liveTabs);
    tab.process.thaw();
    return tab;
  }

  /** A row as this device's user sees it: as it is now, or as it was when they last looked. Null when there is none. */
  look(entityId: string, dice: Dice): SeenRow | null {
    const known = this.seenRows.get(entityId);
    if (known !== undefined && dice.chance(0.5)) return { row: known, isFresh: false };
    const row = this.world.server.model.rows.get(entityId);
    if (row === undefined || row.workspaceId !== this.workspaceId) return null;
    this.seenRows.set(entityId, row);
    return { row, isFresh: true };
  }

  /** Asks the app for a token, as `auth.getToken` does. */
  token(process: TabProcess, refresh: boolean): Promise<string | null> {
    const { server } = this.world;
    const dice = this.world.dice.of(`token of ${process.name}`);
    const call = process.begin(`token ${refresh ? 'fresh' : ''}`);
    return new Promise((resolve, reject) => {
      if (call === null) return;
      process.later(refresh ? dice.between(10, 300) : dice.between(0, 1), 'token', () => {
        if (!call.hasHappened()) return;
        call.hasReturned();
        if (this.isLoginGone && dice.chance(0.3)) reject(new Error('the app cannot reach its login'));
        else if (this.isLoginGone && (refresh || dice.chance(0.3))) resolve(null);
        else {
          if (refresh) this.tokenNumber = server.validTokenNumbers.get(this.userId) ?? 0;
          resolve(`${this.userId}|${this.workspaceId}|${this.tokenNumber}`);
        }
      });
    });
  }

  pauseIn({ queue, process }: AppTab): void {
    const { history } = this.world;
    this.isPauseLikely = true;
    const step = history.nextStep();
    const hadOpenResume = this.openResumes > 0;
    const { facts } = this.world;
    if (this.tabs.some((tab) => tab.process.isAlive && tab.process.sendingCount > 0))
      facts.reached('paused while something is on its way');
    if (hadOpenResume) facts.reached('paused and resumed at once');
    queue.pause().then(
      () => {
        if (process.isAlive && !hadOpenResume && this.lastResumeStep < step)
          this.pause = { process, step: history.nextStep() };
      },
      () => {},
    );
  }

  async resumeIn({ queue }: AppTab): Promise<void> {
    const { history } = this.world;
    this.pause = null;
    this.lastResumeStep = history.nextStep();
    // One whose tab is killed stays open for ever, since it may still take effect: pauses after it promise nothing.
    this.openResumes += 1;
    await queue.resume().finally(() => {
      this.openResumes -= 1;
    });
  }
}
