export interface PageState {
  readonly isLeader: boolean;
  readonly pendingCount: number;
  readonly isPaused: boolean;
  readonly waitingFor: string;
}

/** What the page offers to the test, as `globalThis.page`. */
export interface PageApi {
  ready(): Promise<void>;
  /** Resolves to the id, once it is durable. */
  add(text: string): Promise<string>;
  state(): PageState;
  /** Resolves when all of this is so. */
  until(part: Partial<PageState>): Promise<void>;
  /** Resolves when so many are stored as confirmed, whichever tab has delivered them. */
  untilConfirmed(count: number): Promise<void>;
  pause(): Promise<void>;
  /** What a browser tells a page before it freezes it, and after. */
  tell(event: 'freeze' | 'resume'): Promise<void>;
}
