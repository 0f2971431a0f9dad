/** Beside the name of a database, for the one that is made and removed at once. */
export const SCRATCH_SUFFIX = '/fresh-log';

/**
 * Makes Chromium begin a new log for the databases of this origin. LevelDB, in which it keeps them, writes a record in two pieces.
 * A browser that is killed in between leaves the first one, and the next goes on writing to the same log behind it. Read once more,
 * after one more kill, such a log counts as damaged, and Chromium removes all databases of the origin. Removing a database
 * compacts the store, and with that all that the log holds moves to a table, and the log goes. Other engines have another store.
 */
export function beginFreshLog(name: string): void {
  if (!isChromium()) return;
  const scratch = name + SCRATCH_SUFFIX;
  const request = indexedDB.open(scratch, 1);
  request.onsuccess = () => {
    request.result.close();
    indexedDB.deleteDatabase(scratch);
  };
  // Without room for an empty database nothing can be written behind what is torn either.
  request.onerror = (event) => event.preventDefault();
}

export function isChromium(): boolean {
  return /Chrom(?:e|ium)\//.test(globalThis.navigator?.userAgent ?? '');
}
