import type { Lead, Tabs } from '../../packages/client/src/ports/tabs.ts';
import type { Json } from '../../packages/client/src/protocol/wire.ts';
import type { TabProcess } from './tab-process.ts';
import type { World } from './world.ts';

interface Request {
  readonly process: TabProcess;
  readonly lead: Lead;
  isHeld: boolean;
  /** Given up; what is still on its way to it means nothing. */
  isOver: boolean;
}

interface Member {
  readonly process: TabProcess;
  readonly purpose: string;
  messageCount: number;
  readonly listeners: Set<(message: Json) => void>;
}

/** The lock manager and the channel between the tabs of one device. */
export class TabCircle {
  /** A broken one grants the lock to everyone who asks: safety must not depend on it. */
  isLockBroken = false;
  /** Some platforms have none. */
  hasLock = true;
  private readonly world: World;
  private readonly members: Member[] = [];
  private requests: Request[] = [];
  private lastLeader: TabProcess | null = null;

  constructor(world: World) {
    this.world = world;
  }

  join(process: TabProcess): Tabs {
    const member: Member = { process, purpose: `message to ${process.name}`, messageCount: 0, listeners: new Set() };
    this.members.push(member);
    process.onKilled(() => this.leave(process));
    const { hasLock } = this;
    return {
      hasLock,
      lead: (lead, { isForced = false } = {}) => {
        let stop = (): void => {};
        process.does(isForced ? 'lead by force' : 'lead', () => {
          if (hasLock) stop = this.ask(process, lead, isForced);
        });
        return () => stop();
      },
      post: (message) => {
        const text = JSON.stringify(message);
        process.does(`post ${text.slice(0, 120)}`, () => {
          for (const other of this.members) if (other.process !== process) this.deliver(other, text);
        });
      },
      onMessage: (listener) => {
        member.listeners.add(listener);
        return () => member.listeners.delete(listener);
      },
      close: () => {
        process.does('tabs close', () => member.listeners.clear());
      },
    };
  }

  private ask(process: TabProcess, lead: Lead, isForced: boolean): () => void {
    let request: Request = { process, lead, isHeld: false, isOver: false };
    if (isForced) this.takeFromHolders();
    this.requests = isForced ? [request, ...this.requests] : [...this.requests, request];
    this.grantNext();
    const stopWatching = process.onLife({
      away: () => {
        const { isHeld } = request;
        this.release(request);
        if (isHeld) this.world.facts.reached('a tab is put away while it leads');
        if (isHeld) lead.onLost();
      },
      back: () => {
        request = { process, lead, isHeld: false, isOver: false };
        this.requests.push(request);
        this.grantNext();
      },
    });
    return () => {
      process.does('stop leading', () => {
        stopWatching();
        this.release(request);
      });
    };
  }

  /** Who had it is told, and stands in line again; its code runs on meanwhile. */
  private takeFromHolders(): void {
    this.world.facts.reached('the lead is taken by force');
    for (const request of this.requests.filter(({ isHeld }) => isHeld)) {
      this.requests = this.requests.filter((each) => each !== request);
      request.isHeld = false;
      const delayMs = this.world.dice.of(`lock of ${request.process.name}`).between(0.1, 10);
      request.process.later(delayMs, 'lock taken by force', () => {
        if (request.isOver) return;
        this.requests.push(request);
        request.lead.onLost();
        this.grantNext();
      });
    }
  }

  private deliver(to: Member, text: string): void {
    const { faults } = this.world;
    to.messageCount += 1;
    const dice = this.world.dice.of(to.purpose, to.messageCount);
    if (faults.strikes('messageLost', dice)) return;
    for (let copies = faults.strikes('messageDoubled', dice) ? 2 : 1; copies > 0; copies -= 1) {
      const delayMs = faults.strikes('messageLate', dice) ? dice.logBetween(20, 20_000) : dice.between(0.1, 10);
      to.process.later(delayMs, `message ${text.slice(0, 120)}`, () => {
        for (const listener of [...to.listeners]) listener(JSON.parse(text) as Json);
      });
    }
  }

  private leave(process: TabProcess): void {
    const { faults, scheduler } = this.world;
    const dice = this.world.dice.of(`lock of ${process.name}`);
    const index = this.members.findIndex((member) => member.process === process);
    if (index >= 0) this.members.splice(index, 1);
    const delayMs = faults.strikes('lockReleasedLate', dice) ? dice.logBetween(50, 30_000) : dice.between(0, 20);
    scheduler.at(delayMs, () => {
      for (const request of this.requests.filter((each) => each.process === process)) this.release(request);
    });
  }

  private release(request: Request): void {
    request.isOver = true;
    if (!this.requests.includes(request)) return;
    this.requests = this.requests.filter((each) => each !== request);
    this.grantNext();
  }

  private noteGrant(request: Request): void {
    const { facts, history } = this.world;
    if (this.requests.some((other) => other !== request && other.isHeld && other.process.isAlive))
      facts.reached('two tabs hold the lead at once');
    if (this.lastLeader !== null && this.lastLeader !== request.process && history.hasUnsettled)
      facts.reached('the lead passes on while work is unsettled');
    this.lastLeader = request.process;
  }

  private grantNext(): void {
    for (const request of this.requests) {
      if (!this.isLockBroken && this.requests.some(({ isHeld }) => isHeld)) return;
      if (request.isHeld) continue;
      request.isHeld = true;
      request.process.later(
        this.world.dice.of(`lock of ${request.process.name}`).between(0.1, 10),
        'lock granted',
        () => {
          if (!request.isHeld || !this.requests.includes(request)) return;
          this.noteGrant(request);
          request.lead.onGranted();
        },
      );
    }
  }
}
