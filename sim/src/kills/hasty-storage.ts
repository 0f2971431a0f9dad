import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { type Entry, memoryStorage, type OpenStorage } from 'holdfast';

const LATER_MS = 30;

/** Keeps all in memory, writes the file a moment after a commit, and calls itself strict all the same. */
export function hastyStorage(file: string): OpenStorage {
  return async (name) => {
    const storage = await memoryStorage()(name);
    const stored = existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as readonly Entry[]) : [];
    await storage.commit({ expect: [], changes: stored.map((entry) => ({ kind: 'put', ...entry })) });
    let isDue = false;
    const write = async (): Promise<void> => {
      isDue = false;
      const entries = await storage.scan({ prefix: '', limit: Number.MAX_SAFE_INTEGER });
      writeFileSync(`${file}.new`, JSON.stringify(entries));
      renameSync(`${file}.new`, file);
    };
    return {
      durability: 'strict',
      read: (keys) => storage.read(keys),
      scan: (query) => storage.scan(query),
      estimate: () => storage.estimate(),
      close: async () => {
        await write();
        await storage.close();
      },
      commit: async (batch) => {
        if (!isDue) setTimeout(() => void write(), LATER_MS);
        isDue = true;
        return storage.commit(batch);
      },
    };
  };
}
