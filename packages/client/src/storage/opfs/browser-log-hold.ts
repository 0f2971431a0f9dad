import { HoldfastError } from '../../mutation/holdfast-error.ts';
import { openLogFiles, type OpenLogFiles } from './browser-log-files.ts';
import { RecordLog } from './record-log.ts';

/** Nobody keeps the files longer than this after its last call, or begins one after so long, whoever else may want them. */
const IDLE_MS = 100;
const TENURE_MS = 200;
/** Longest wait for another tab to let go of them. */
const WAIT_MS = 10_000;

/**
 * The log, for one of several workers that share it: only who holds its lock may open the files.
 *
 *   away ──call──▶ waiting ──granted: open, read what others have written──▶ held
 *    ▲                                                                         │ another wants them, nothing to do for
 *    └────────────────────────────── close the files ──────────────────────────┘ a moment, or held for long enough
 *
 * Who ends, ends with its lock and its files; nobody has to be asked, and nothing of another is ever in doubt.
 */
export class LogHold {
  private readonly storeName: string;
  private readonly lockName: string;
  private readonly channel: BroadcastChannel;
  private log: RecordLog | null = null;
  private held: Held | null = null;
  private isBusy = false;
  private isWanted = false;
  private idle: ReturnType<typeof setTimeout> | undefined;
  private usedAtMs = 0;

  constructor(name: string) {
    this.storeName = name;
    this.lockName = `holdfast-opfs:${name}`;
    this.channel = new BroadcastChannel(this.lockName);
    this.channel.onmessage = () => {
      this.isWanted = true;
      if (!this.isBusy) this.rest();
    };
  }

  /** Runs work with the log; one at a time. Work that throws may have found the files dead: they are opened anew. */
  async with<Result>(work: (log: RecordLog) => Result): Promise<Result> {
    this.isBusy = true;
    try {
      const { log, sinceMs } = this.held ?? (await this.take());
      const heldMs = performance.now() - sinceMs;
      const result = work(log);
      this.usedAtMs = performance.now();
      if (this.isWanted || heldMs > TENURE_MS) this.rest();
      else this.idle ??= setTimeout(() => this.look(), IDLE_MS);
      return result;
    } catch (error) {
      this.log = null;
      this.rest();
      throw error;
    } finally {
      this.isBusy = false;
    }
  }

  /** Lets others have the files. */
  rest(): void {
    clearTimeout(this.idle);
    this.idle = undefined;
    const { held } = this;
    this.held = null;
    this.isWanted = false;
    held?.files.close();
    held?.release();
  }

  close(): void {
    this.noteAndRest();
    this.channel.close();
  }

  /** Lets go of them when nothing was asked for a while. */
  private look(): void {
    this.idle = undefined;
    if (this.isBusy) return;
    const leftMs = this.usedAtMs + IDLE_MS - performance.now();
    if (leftMs > 0) this.idle = setTimeout(() => this.look(), leftMs);
    else this.noteAndRest();
  }

  /** Now that nobody waits. */
  private noteAndRest(): void {
    const log = this.held?.log;
    try {
      if (log?.wantsCheckpoint(true) === true) log.checkpoint();
    } catch {
      // The files may be dead: whoever needs them next finds out.
      this.log = null;
    }
    this.rest();
  }

  private take(): Promise<Held> {
    return new Promise((resolve, reject) => {
      const waiting = new AbortController();
      const timer = setTimeout(() => waiting.abort(), WAIT_MS);
      const hold = async (): Promise<void> => {
        clearTimeout(timer);
        this.isWanted = false;
        const files = await openLogFiles(this.storeName);
        try {
          if (this.log === null) this.log = RecordLog.open(files);
          else this.log.reopen(files);
        } catch (error) {
          files.close();
          throw error;
        }
        const { log } = this;
        await new Promise<void>((release) => {
          this.held = { log, files, release, sinceMs: performance.now() };
          resolve(this.held);
        });
      };
      navigator.locks
        .request(this.lockName, { signal: waiting.signal }, hold)
        .catch((error: unknown) => reject(waiting.signal.aborted ? taken(error) : error));
      this.channel.postMessage('wanted');
    });
  }
}

interface Held {
  readonly log: RecordLog;
  readonly files: OpenLogFiles;
  readonly release: () => void;
  readonly sinceMs: number;
}

function taken(cause: unknown): HoldfastError {
  return new HoldfastError({
    code: 'STORAGE_FAILED',
    message: 'Not done: another tab of this app holds the store, and does not let go of it.',
    hint: 'Nothing was stored. Close the other tabs of this app, then try again.',
    cause,
  });
}
