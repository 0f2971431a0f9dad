/** Beside the name of a database, for the one that holds its room. */
export const ROOM_SUFFIX = '/room';
const STORE = 'room';
/** More than 64 KiB, which stand in a file of their own. */
const ROOM_BYTES = 96 * 1024;

/**
 * Room that is kept for what frees room, and for who says that it delivers. Once all that an origin may take is used up, Chromium refuses
 * whatever puts a single byte, and never what only removes. A value in a file of its own is room as soon as it is removed, while what stands in
 * the log of its databases goes on counting. Other engines have another store.
 */
export class KeptRoom {
  /** Nothing may grow until it is there again. */
  isMissing = false;
  private readonly name: string;

  constructor(name: string) {
    this.name = name + ROOM_SUFFIX;
  }

  /** Puts it there again where it is not. */
  async keep(): Promise<void> {
    const isFull = await this.change((store) => {
      const asked = store.getKey(0);
      asked.onsuccess = () => {
        if (asked.result === undefined) store.put(randomBytes(), 0);
      };
    });
    this.isMissing = isFull;
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
      opening.onerror = (event) => {
        event.preventDefault();
        end(opening.error);
      };
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

/** That no compression makes fewer. */
function randomBytes(): Uint8Array {
  const bytes = new Uint8Array(ROOM_BYTES);
  // A call fills 64 KiB at most.
  for (const from of [0, ROOM_BYTES / 2]) crypto.getRandomValues(bytes.subarray(from, from + ROOM_BYTES / 2));
  return bytes;
}
