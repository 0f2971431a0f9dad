import type { OpenStorage } from '../../ports/storage.ts';

/** The commit that writes `key` is on its way until `goOn`, and whoever asked for it never hears that it was stored. */
export function unheardCommit(openStorage: OpenStorage, key: string): { storage: OpenStorage; goOn: () => void } {
  let goOn = (): void => {};
  const released = new Promise<void>((resolve) => (goOn = resolve));
  const storage: OpenStorage = async (name) => {
    const inner = await openStorage(name);
    return {
      ...inner,
      commit: async (batch) => {
        if (!batch.changes.some((change) => change.key === key)) return inner.commit(batch);
        await released;
        await inner.commit(batch);
        return new Promise(() => {});
      },
    };
  };
  return { storage, goOn };
}
