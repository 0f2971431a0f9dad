import type { RawStore } from './measure-store.ts';

/** Each call one message to a worker, which appends the texts to a file, waits for the disk, and says so. */
export async function openBareOpfs(name: string): Promise<Pick<RawStore, 'add' | 'close'>> {
  const worker = new Worker('/bare-opfs-worker.js', { type: 'module' });
  const answered = (): Promise<void> =>
    new Promise((resolve, reject) => {
      worker.onmessage = () => resolve();
      worker.onerror = ({ message }) => reject(new Error(message));
    });
  const opened = answered();
  worker.postMessage(name);
  await opened;
  return {
    add: (texts) => {
      const done = answered();
      worker.postMessage(texts);
      return done;
    },
    close: async () => worker.terminate(),
  };
}
