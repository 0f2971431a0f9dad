interface Account {
  /** When the server last answered this tab, or when it began. */
  sinceMs: number;
  /** Requests and probes since. */
  requestCount: number;
  /** Signs since that it may be worth another try: people at work, hints of the platform, other tabs. */
  signCount: number;
}

/** What a tab may do within one second of virtual time; a burst of 150 changes in three tabs stays far below. */
const EVENTS_A_SECOND_MAX = 10_000;
/**
 * What an outage may cost a tab: the growing waits after each sign (1 s doubling to 5 min), then a check every 5 minutes,
 * which may be a probe and a batch.
 */
const REQUESTS_BASE = 25;
const REQUESTS_A_SIGN = 12;
const SECONDS_A_REQUEST = 125;

const SIGN = /^« (hint|user|lock|page|message .*"(nudge|stored|hello|resumed|settled|discarded|gone)")/;

/** Watches how much tabs ask of the world, knowing only what reaches them and what they call. */
export class Budget {
  private readonly accounts = new Map<string, Account>();
  private readonly violated: (message: string) => void;
  private second = -1;
  private eventCount = 0;

  constructor(violated: (message: string) => void) {
    this.violated = violated;
  }

  note(nowMs: number, who: string, what: string): void {
    this.countEvent(Math.floor(nowMs / 1_000));
    const account = this.accountOf(who, nowMs);
    if (what.startsWith('« answer 200 {"protocol"')) this.accounts.set(who, emptyAccount(nowMs));
    else if (SIGN.test(what)) account.signCount += 1;
    else if (what.startsWith('» fetch') || what.startsWith('» probe')) {
      account.requestCount += 1;
      const seconds = (nowMs - account.sinceMs) / 1_000;
      const allowed = REQUESTS_BASE + account.signCount * REQUESTS_A_SIGN + seconds / SECONDS_A_REQUEST;
      if (account.requestCount > allowed) {
        this.violated(
          `${who} has asked ${account.requestCount} times in ${Math.round(seconds)} s without an answer, after ${account.signCount} signs`,
        );
      }
    }
  }

  private countEvent(second: number): void {
    if (second !== this.second) {
      this.second = second;
      this.eventCount = 0;
    }
    this.eventCount += 1;
    if (this.eventCount === EVENTS_A_SECOND_MAX) this.violated(`${EVENTS_A_SECOND_MAX} events within one second`);
  }

  private accountOf(who: string, nowMs: number): Account {
    let account = this.accounts.get(who);
    if (account === undefined) {
      account = emptyAccount(nowMs);
      this.accounts.set(who, account);
    }
    return account;
  }
}

function emptyAccount(sinceMs: number): Account {
  return { sinceMs, requestCount: 0, signCount: 0 };
}
