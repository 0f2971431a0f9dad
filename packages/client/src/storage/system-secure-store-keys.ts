import type { KeyProvider, OpenKeys, SealingKey } from '../ports/keys.ts';
import { KEY_BYTES } from './aes-gcm-format.ts';
import { fromBase64, toBase64 } from './base64.ts';
import { aesGcmKey } from './system-aes-gcm.ts';

/**
 * A secure store of texts, as `expo-secure-store` has it (`import * as SecureStore from 'expo-secure-store'`). Names are letters,
 * digits, `.`, `-` and `_`. While the device is locked it must reject, and not answer null.
 */
export interface SecureStore<Options = unknown> {
  getItemAsync(name: string, options?: Options): Promise<string | null>;
  setItemAsync(name: string, value: string, options?: Options): Promise<void>;
  deleteItemAsync(name: string, options?: Options): Promise<void>;
}

export interface SecureStoreKeysOptions<Options = unknown> {
  /**
   * Given along with each call. For a queue that sends in the background the keys must be there after the first unlock
   * (`{ keychainAccessible: SecureStore.AFTER_FIRST_UNLOCK_THIS_DEVICE_ONLY }`).
   */
  readonly storeOptions?: Options;
  /**
   * Makes a key of its 32 bytes, for a platform without Web Crypto or with faster ciphers (`aesGcmCipherKey`).
   * @default AES-256-GCM of Web Crypto, not extractable
   */
  readonly toSealingKey?: (id: string, bytes: Uint8Array<ArrayBuffer>) => SealingKey | Promise<SealingKey>;
}

/** Opens keys that a secure store keeps, and renews them. */
export interface SecureStoreKeys extends OpenKeys {
  /**
   * Makes new keys for the stores that are open. What is stored is sealed with them by and by, while all goes on; the old ones are
   * destroyed when nothing is sealed with them any more.
   */
  rotate(): Promise<void>;
}

/**
 * Keys for AES-256-GCM whose bytes a secure store keeps (Keychain, Keystore), one set for each store of the queue. A key stands there
 * before anything is sealed with it, and what points to the current one is written last, so that a kill at any step leaves the earlier one
 * current. A key that is gone is never replaced by itself: the queue is locked, and its records are kept.
 */
export function secureStoreKeys<Options>(
  store: SecureStore<Options>,
  options: SecureStoreKeysOptions<Options> = {},
): SecureStoreKeys {
  const rings = new Map<string, SecureRing<Options>>();
  const open = async (name: string): Promise<KeyProvider> => {
    const ring = rings.get(name) ?? new SecureRing(name, store, options);
    rings.set(name, ring);
    return ring;
  };
  const rotate = async (): Promise<void> => {
    for (const ring of rings.values()) await ring.renew();
  };
  return Object.assign(open, { rotate });
}

class SecureRing<Options> implements KeyProvider {
  private readonly name: string;
  private readonly store: SecureStore<Options>;
  private readonly options: SecureStoreKeysOptions<Options>;
  private readonly keys = new Map<string, SealingKey>();
  private currentKey: SealingKey | null = null;
  /** Calls that may make a key come one after the other. */
  private last: Promise<unknown> = Promise.resolve();

  constructor(name: string, store: SecureStore<Options>, options: SecureStoreKeysOptions<Options>) {
    this.name = Array.from(name, inName).join('');
    this.store = store;
    this.options = options;
  }

  async current(): Promise<SealingKey> {
    if (this.currentKey !== null) return this.currentKey;
    return this.inTurn(async () => {
      this.currentKey ??= (await this.stored()) ?? (await this.make());
      return this.currentKey;
    });
  }

  async find(id: string): Promise<SealingKey | null> {
    const known = this.keys.get(id);
    if (known !== undefined) return known;
    const text = await this.store.getItemAsync(this.at(id), this.options.storeOptions);
    if (text === null) return null;
    const bytes = fromBase64(text);
    if (bytes?.length !== KEY_BYTES) throw new Error(`the secure store holds something else than the key ${id}`);
    return this.keep(id, bytes);
  }

  async release(ids: readonly string[]): Promise<void> {
    const { id: currentId } = await this.current();
    for (const id of ids) {
      if (id === currentId) continue;
      await this.store.deleteItemAsync(this.at(id), this.options.storeOptions);
      this.keys.delete(id);
    }
  }

  async renew(keyId?: string): Promise<void> {
    await this.current();
    await this.inTurn(async () => {
      if (keyId === undefined || this.currentKey?.id === keyId) this.currentKey = await this.make();
    });
  }

  /** Null only for a store that never had one. */
  private async stored(): Promise<SealingKey | null> {
    const id = await this.store.getItemAsync(this.at('current'), this.options.storeOptions);
    if (id === null) return null;
    const key = await this.find(id);
    if (key === null) throw new Error(`the secure store no longer has the key ${id}`);
    return key;
  }

  private async make(): Promise<SealingKey> {
    const id = toBase64(crypto.getRandomValues(new Uint8Array(12)))
      .replaceAll('+', '-')
      .replaceAll('/', '_');
    const bytes = crypto.getRandomValues(new Uint8Array(KEY_BYTES));
    await this.store.setItemAsync(this.at(id), toBase64(bytes), this.options.storeOptions);
    await this.store.setItemAsync(this.at('current'), id, this.options.storeOptions);
    return this.keep(id, bytes);
  }

  private async keep(id: string, bytes: Uint8Array<ArrayBuffer>): Promise<SealingKey> {
    const key = await (this.options.toSealingKey ?? webKey)(id, bytes);
    this.keys.set(id, key);
    return key;
  }

  private at(id: string): string {
    return `holdfast.${this.name}.${id}`;
  }

  private inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = this.last.then(work);
    this.last = result.catch(() => {});
    return result;
  }
}

async function webKey(id: string, bytes: Uint8Array<ArrayBuffer>): Promise<SealingKey> {
  if (globalThis.crypto?.subtle === undefined)
    throw new Error('there is no Web Crypto here: give `toSealingKey` of secureStoreKeys');
  return aesGcmKey(id, await crypto.subtle.importKey('raw', bytes, 'AES-GCM', false, ['encrypt', 'decrypt']));
}

/** Different names stay different. */
function inName(character: string): string {
  return /[A-Za-z0-9-]/.test(character) ? character : `_${character.codePointAt(0)?.toString(16)}_`;
}
