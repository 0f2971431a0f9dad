import { HoldfastError, toHoldfastError } from '../../mutation/holdfast-error.ts';
import type { CommitResult, StorageBatch } from '../../ports/storage.ts';
import { hasLogFiles } from './browser-log-files.ts';
import { LogHold } from './browser-log-hold.ts';
import type { FromWorker, LogAnswer, LogCall, ToWorker } from './log-message.ts';
import type { RecordLog } from './record-log.ts';

interface WorkerScope {
  onmessage: ((event: MessageEvent<ToWorker>) => void) | null;
  postMessage(message: FromWorker): void;
}

/**
 * Serves `opfsStorage` in a worker of its own; the worker's file needs nothing else:
 *
 * ```ts
 * import { serveOpfsStorage } from 'holdfast/opfs-worker';
 * serveOpfsStorage();
 * ```
 */
export function serveOpfsStorage(): void {
  const scope = globalThis as unknown as WorkerScope;
  let hold: LogHold | null = null;
  scope.onmessage = ({ data }) => {
    switch (data.kind) {
      case 'open':
        hold = new LogHold(data.name);
        void open(hold).then((answer) => scope.postMessage(answer));
        break;
      case 'run':
        if (hold !== null)
          void run(hold, data.calls).then((answers) => scope.postMessage({ kind: 'answers', answers }));
        break;
      case 'rest':
        hold?.rest();
        break;
      case 'close':
        hold?.close();
        scope.postMessage({ kind: 'closed' });
        break;
    }
  };
}

async function open(hold: LogHold): Promise<FromWorker> {
  try {
    if (!hasLogFiles()) throw unavailable(null);
    await hold.with(() => {});
    return { kind: 'opened' };
  } catch (error) {
    const known = error instanceof HoldfastError ? error : unavailable(error);
    return { kind: 'notOpened', error: known.toWire() };
  }
}

/** What is written is written first, all of it at once; what is read sees it. */
async function run(hold: LogHold, calls: readonly LogCall[]): Promise<readonly LogAnswer[]> {
  try {
    return await hold.with((log) => {
      const batches = calls.flatMap((call) => (call.kind === 'commit' ? [call.batch] : []));
      const results = commitAll(log, batches).values();
      const answers = calls.map((call): LogAnswer => {
        switch (call.kind) {
          case 'commit':
            return results.next().value as LogAnswer;
          case 'read':
            return { kind: 'done', value: log.values(call.keys) };
          case 'scan':
            return { kind: 'done', value: log.scan(call.query) };
        }
      });
      tidy(log);
      return answers;
    });
  } catch (error) {
    return calls.map(() => failed(error));
  }
}

function commitAll(log: RecordLog, batches: readonly StorageBatch[]): readonly LogAnswer[] {
  try {
    return log.commit(batches).map(done);
  } catch (error) {
    if (toHoldfastError(error).code !== 'STORAGE_FULL') throw error;
    // What frees room, or is small, shall not wait for what is large.
    return batches.map((batch) => {
      try {
        return done(log.commit([batch])[0] ?? { kind: 'committed' });
      } catch (cause) {
        return failed(cause);
      }
    });
  }
}

function tidy(log: RecordLog): void {
  if (!log.wantsCompaction) return;
  try {
    log.compact();
  } catch {
    // The log goes on as it is, and tries again when it has grown.
  }
}

const done = (value: CommitResult): LogAnswer => ({ kind: 'done', value });
const failed = (error: unknown): LogAnswer => ({ kind: 'failed', error: toHoldfastError(error).toWire() });

function unavailable(cause: unknown): HoldfastError {
  return new HoldfastError({
    code: 'STORAGE_UNAVAILABLE',
    message:
      cause === null
        ? 'This platform has no files for a worker to keep records in.'
        : `The browser could not open its files (${cause instanceof Error ? cause.message : 'unknown'}).`,
    hint: 'Use `indexedDbStorage()` where there is no OPFS. Else reload; if it lasts, check that the browser may store data for this site.',
    cause: cause ?? undefined,
  });
}
