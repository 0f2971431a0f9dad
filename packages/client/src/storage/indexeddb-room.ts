/** Beside the name of a database, for the one that holds its room. */
export const ROOM_SUFFIX = '/room';
const STORE = 'room';
/** With what is written around them they stand in a file of their own. */
const ROOM_BYTES = 64 * 1024;

/**
 * Room that is kept for what frees room, and for who says that it delivers. Once all that an origin may take is used up, Chromium refuses
 * whatever puts a single byte, and never what only removes. A value in a file of its own is room as soon as it is removed, while what
 * stands in the log of its databases goes on counting. Other engines have another store.
 */
export class KeptRoom {
  /** Nothing may grow until it is there again. */
  isMissing = false;
  private readonly name: string;

  constructor(name: string) {
    this.name = name + ROOM_SUFFIX;
  }

  /** Puts it there where it is not; whether it is missing still. */
  async keep(): Promise<boolean> {
    this.isMissing = await this.change((store) => {
      const asked = store.getKey(0);
      asked.onsuccess = () => {
        // Bytes that no compression makes fewer.
        if (asked.result === undefined) store.put(crypto.getRandomValues(new Uint8Array(ROOM_BYTES)), 0);
      };
    });
    return this.isMissing;
  }

  async giveUp(): Promise<void> {
    this.isMissing = true;
    await this.change((store) => store.delete(0));
  }

  /** True where there is no room for it; what fails otherwise is let be. */
  private change(work: (store: IDBObjectStore) => void): Promise<boolean> {
    return new Promise((resolve) => {
      const end = (error: DOMException | null): void => resolve(error?.name === 'QuotaExceededError');
      const opening = indexedDB.open(this.name, 1);
      opening.onupgradeneeded = () => opening.result.createObjectStore(STORE);
      opening.onerror = () => end(opening.error);
      opening.onsuccess = () => {
        try {
          const transaction = opening.result.transaction(STORE, 'readwrite');
          transaction.oncomplete = () => end(null);
          transaction.onabort = () => end(transaction.error);
          work(transaction.objectStore(STORE));
        } catch {
          end(null);
        }
        opening.result.close();
      };
    });
  }
}
