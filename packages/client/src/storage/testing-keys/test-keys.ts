import * as nodeCrypto from 'node:crypto';
import type { KeyProvider, OpenKeys, SealingKey } from '../../ports/keys.ts';
import { aesGcmCipherKey } from '../cipher-aes-gcm.ts';
import { aesGcmKey } from '../system-aes-gcm.ts';

/** Keys in memory that outlive the app, and that can be away, lost or another one. */
export class TestKeys {
  private readonly makeKey: (id: string) => Promise<SealingKey>;
  /** By id. */
  readonly keys = new Map<string, SealingKey>();
  readonly released: string[] = [];
  isAway = false;
  currentId: string | null = null;

  /** With `isInstant` a key answers in the same turn, for tests whose clock is not real. */
  constructor({ isInstant = false }: { readonly isInstant?: boolean } = {}) {
    this.makeKey = isInstant ? async (id) => aesGcmCipherKey(id, nodeCrypto.randomBytes(32), nodeCrypto) : webKey;
  }

  readonly open: OpenKeys = async () => this.provider();

  /** What one tab has; with `isStale` it does not hear of keys that come later. */
  provider({ isStale = false }: { readonly isStale?: boolean } = {}): KeyProvider {
    const { currentId } = this;
    return {
      current: async () => {
        this.ask();
        const id = isStale ? currentId : this.currentId;
        if (id === null) return this.renew();
        const key = this.keys.get(id);
        if (key === undefined) throw new Error(`key ${id} is gone`);
        return key;
      },
      find: async (id) => {
        this.ask();
        return this.keys.get(id) ?? null;
      },
      release: async (ids) => {
        this.ask();
        this.released.push(...ids);
        for (const id of ids) this.keys.delete(id);
      },
    };
  }

  /** Makes a new key and makes it the current one. */
  async renew(): Promise<SealingKey> {
    const id = `k${this.keys.size + this.released.length + 1}`;
    const key = await this.makeKey(id);
    this.keys.set(id, key);
    this.currentId = id;
    return key;
  }

  /** Another key under an id that is there. */
  async exchange(id: string): Promise<void> {
    this.keys.set(id, await this.makeKey(id));
  }

  private ask(): void {
    if (this.isAway) throw new Error('the device is locked');
  }
}

async function webKey(id: string): Promise<SealingKey> {
  const key = await crypto.subtle.generateKey({ name: 'AES-GCM', length: 256 }, false, ['encrypt', 'decrypt']);
  return aesGcmKey(id, key);
}
