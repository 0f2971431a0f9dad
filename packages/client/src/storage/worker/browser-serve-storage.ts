import { HoldfastError, isHoldfastError, toHoldfastError } from '../../mutation/holdfast-error.ts';
import type { OpenStorage, Storage } from '../../ports/storage.ts';
import type { FromWorker, StorageAnswer, StorageCall, ToWorker } from './worker-message.ts';

interface WorkerScope {
  onmessage: ((event: MessageEvent<ToWorker>) => void) | null;
  postMessage(message: FromWorker): void;
}

/**
 * Serves a store to the page that started this worker, whose end of it is `workerStorage`. The worker's file needs nothing else:
 *
 * ```ts
 * import { opfsStorage, serveStorage } from 'holdfast';
 * serveStorage(opfsStorage());
 * ```
 */
export function serveStorage(open: OpenStorage): void {
  const scope = globalThis as unknown as WorkerScope;
  let storage: Storage | null = null;
  const serve = async (message: ToWorker): Promise<FromWorker> => {
    switch (message.kind) {
      case 'open':
        try {
          storage = await open(message.name);
          return { kind: 'opened', durability: storage.durability };
        } catch (error) {
          return { kind: 'notOpened', error: (isHoldfastError(error) ? error : unavailable(error)).toWire() };
        }
      case 'run':
        return { kind: 'answers', answers: await Promise.all(message.calls.map((call) => answer(storage, call))) };
      case 'close':
        await storage?.close().catch(() => {});
        return { kind: 'closed' };
    }
  };
  scope.onmessage = ({ data }) => {
    void serve(data).then((message) => scope.postMessage(message));
  };
}

async function answer(storage: Storage | null, call: StorageCall): Promise<StorageAnswer> {
  try {
    if (storage === null) throw unavailable(null);
    return { kind: 'done', value: await run(storage, call) };
  } catch (error) {
    return { kind: 'failed', error: toHoldfastError(error).toWire() };
  }
}

function run(storage: Storage, call: StorageCall): ReturnType<Storage[StorageCall['kind']]> {
  switch (call.kind) {
    case 'commit':
      return storage.commit(call.batch);
    case 'read':
      return storage.read(call.keys);
    case 'scan':
      return storage.scan(call.query);
    case 'estimate':
      return storage.estimate();
  }
}

function unavailable(cause: unknown): HoldfastError {
  return new HoldfastError({
    code: 'STORAGE_UNAVAILABLE',
    message: `The worker could not open the store (${cause instanceof Error ? cause.message : 'unknown'}).`,
    hint: 'Look at how the worker opens it; reload, and if it lasts, check that the browser may store data for this site.',
    cause: cause ?? undefined,
  });
}
