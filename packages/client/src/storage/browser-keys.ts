import type { KeyProvider, OpenKeys, SealingKey } from '../ports/keys.ts';
import { aesGcmKey } from './system-aes-gcm.ts';

/** Opens the browser's keys, and renews them. */
export interface BrowserKeys extends OpenKeys {
  /**
   * Makes new keys for all stores that have some. What is stored is sealed with them by and by, while all goes on; the old ones
   * are destroyed when nothing is sealed with them any more. Other tabs, and stores that are not open, follow by themselves.
   */
  rotate(): Promise<void>;
}

export interface BrowserKeysOptions {
  /** Name of the IndexedDB database that the keys are in. @default 'holdfast-keys' */
  readonly databaseName?: string;
}

const KEYS = 'keys';
/** The id of the current key, by the name of the store. */
const CURRENT = 'current';
const VERSION = 1;

/**
 * Keys for AES-256-GCM that the browser makes and keeps in IndexedDB, one set for each store. They are not extractable: no code,
 * not even the page's own, can read their bytes. Code that runs in the page can use them, though: what they guard against is
 * someone who reads the disk or a backup of it.
 */
export function browserKeys({ databaseName = 'holdfast-keys' }: BrowserKeysOptions = {}): BrowserKeys {
  const open = openDatabase(databaseName);
  const rings = new Map<string, KeyRing>();
  const openKeys = async (name: string): Promise<KeyProvider> => {
    let ring = rings.get(name);
    if (ring === undefined) {
      ring = new KeyRing(name, open);
      rings.set(name, ring);
    }
    return ring;
  };
  const rotate = async (): Promise<void> => {
    const names = await within(await open(), 'readonly', (transaction) =>
      transaction.objectStore(CURRENT).getAllKeys(),
    );
    for (const name of names.map(String)) await (rings.get(name) ?? new KeyRing(name, open)).renew();
  };
  return Object.assign(openKeys, { rotate });
}

/** The keys of one store; those it has had in hand stay in memory. */
class KeyRing implements KeyProvider {
  private readonly name: string;
  private readonly open: () => Promise<IDBDatabase>;
  private readonly keys = new Map<string, SealingKey>();
  private currentKey: SealingKey | null = null;

  constructor(name: string, open: () => Promise<IDBDatabase>) {
    this.name = name;
    this.open = open;
  }

  async current(): Promise<SealingKey> {
    this.currentKey ??= (await this.stored()) ?? (await this.make(null));
    return this.currentKey;
  }

  async find(id: string): Promise<SealingKey | null> {
    const known = this.keys.get(id);
    if (known !== undefined) return known;
    const key = await within<unknown>(await this.open(), 'readonly', (transaction) =>
      transaction.objectStore(KEYS).get([this.name, id]),
    );
    return key instanceof CryptoKey ? this.keep(id, key) : null;
  }

  async release(ids: readonly string[]): Promise<void> {
    const current = await this.current();
    const idle = ids.filter((id) => id !== current.id);
    if (idle.length === 0) return;
    await within(await this.open(), 'readwrite', (transaction) => {
      for (const id of idle) transaction.objectStore(KEYS).delete([this.name, id]);
      return transaction.objectStore(CURRENT).get(this.name);
    });
    for (const id of idle) this.keys.delete(id);
  }

  async renew(keyId?: string): Promise<void> {
    const current = await this.stored();
    const isStill = current !== null && (keyId === undefined || current.id === keyId);
    this.currentKey = isStill ? await this.make(current.id) : current;
  }

  private async stored(): Promise<SealingKey | null> {
    const id = await within<unknown>(await this.open(), 'readonly', (transaction) =>
      transaction.objectStore(CURRENT).get(this.name),
    );
    if (typeof id !== 'string') return null;
    const key = await this.find(id);
    if (key === null) throw new Error('the browser no longer has it');
    return key;
  }

  /** A new key in the place of this one, or the one that another tab has put there meanwhile. */
  private async make(insteadOf: string | null): Promise<SealingKey> {
    const id = crypto.randomUUID();
    const key = await crypto.subtle.generateKey({ name: 'AES-GCM', length: 256 }, false, ['encrypt', 'decrypt']);
    // On the disk before anything is sealed with it.
    await within(await this.open(), 'readwrite', (transaction) => {
      const current = transaction.objectStore(CURRENT);
      const before: IDBRequest<unknown> = current.get(this.name);
      before.onsuccess = () => {
        if ((before.result ?? null) !== insteadOf) return;
        transaction.objectStore(KEYS).put(key, [this.name, id]);
        current.put(id, this.name);
      };
      return before;
    });
    const stored = await this.stored();
    if (stored === null) throw new Error('the browser did not keep it');
    return stored;
  }

  private keep(id: string, key: CryptoKey): SealingKey {
    const sealingKey = aesGcmKey(id, key);
    this.keys.set(id, sealingKey);
    return sealingKey;
  }
}

function openDatabase(name: string): () => Promise<IDBDatabase> {
  let opening: Promise<IDBDatabase> | null = null;
  return () => {
    opening ??= new Promise<IDBDatabase>((resolve, reject) => {
      if (globalThis.crypto?.subtle === undefined) throw new Error('this page has no Web Crypto: it needs https');
      const request = indexedDB.open(name, VERSION);
      request.onupgradeneeded = () => {
        request.result.createObjectStore(KEYS);
        request.result.createObjectStore(CURRENT);
      };
      request.onsuccess = () => {
        const forget = (): void => {
          opening = null;
        };
        request.result.onclose = forget;
        request.result.onversionchange = () => {
          request.result.close();
          forget();
        };
        resolve(request.result);
      };
      request.onerror = () => reject(request.error ?? new Error('the browser did not open its key store'));
    }).catch((error: unknown) => {
      opening = null;
      throw error;
    });
    return opening;
  };
}

/** Resolves to what was asked for once the transaction is complete, and on the disk. */
function within<Result>(
  database: IDBDatabase,
  mode: IDBTransactionMode,
  ask: (transaction: IDBTransaction) => IDBRequest<Result>,
): Promise<Result> {
  return new Promise((resolve, reject) => {
    const transaction = database.transaction([KEYS, CURRENT], mode, { durability: 'strict' });
    const request = ask(transaction);
    transaction.oncomplete = () => resolve(request.result);
    transaction.onabort = () => reject(transaction.error ?? new Error('the browser did not keep it'));
  });
}
