import { HoldfastError } from '../mutation/holdfast-error.ts';
import type { SealingKey } from '../ports/keys.ts';
import { KEY_BYTES, NONCE_BYTES, TAG_BYTES } from './aes-gcm-format.ts';

/** What of `node:crypto` is used; `react-native-quick-crypto` has the same. */
export interface CipherModule {
  randomBytes(count: number): Uint8Array;
  /** A key that is made ready once, for the calls below. */
  createSecretKey?(bytes: Uint8Array): object;
  createCipheriv(algorithm: 'aes-256-gcm', key: Uint8Array, nonce: Uint8Array): GcmCipher;
  createDecipheriv(algorithm: 'aes-256-gcm', key: Uint8Array, nonce: Uint8Array): GcmDecipher;
}

interface GcmUpdate {
  setAAD(bound: Uint8Array): unknown;
  update(bytes: Uint8Array): Uint8Array;
  final(): Uint8Array;
}

export interface GcmCipher extends GcmUpdate {
  getAuthTag(): Uint8Array;
}

export interface GcmDecipher extends GcmUpdate {
  setAuthTag(tag: Uint8Array): unknown;
}

/**
 * A key of 32 bytes for AES-256-GCM (NIST SP 800-38D) with the ciphers of `node:crypto`, for Node, Electron, and React Native with
 * `react-native-quick-crypto`. Seals as `aesGcmKey` does, so either opens what the other has sealed, and takes about half its time: Web
 * Crypto hands each value to another thread. The bytes stay readable for the code of the app, which a `CryptoKey`'s need not be. Throws
 * `INVALID_OPTION` for another number of bytes.
 */
export function aesGcmCipherKey(id: string, bytes: Uint8Array, module: CipherModule): SealingKey {
  if (bytes.length !== KEY_BYTES) {
    throw new HoldfastError({
      code: 'INVALID_OPTION',
      message: `aesGcmCipherKey: the key must have ${KEY_BYTES} bytes; it has ${bytes.length}.`,
      hint: 'Make it with `crypto.getRandomValues(new Uint8Array(32))`, and keep it where secrets are kept.',
    });
  }
  const key = readyKey(new Uint8Array(bytes), module);
  return {
    id,
    async seal(value, bound) {
      const nonce = module.randomBytes(NONCE_BYTES);
      const cipher = module.createCipheriv('aes-256-gcm', key, nonce);
      cipher.setAAD(bound);
      const sealed = new Uint8Array(NONCE_BYTES + value.length + TAG_BYTES);
      sealed.set(nonce);
      sealed.set(cipher.update(value), NONCE_BYTES);
      cipher.final();
      sealed.set(cipher.getAuthTag(), NONCE_BYTES + value.length);
      return sealed;
    },
    async open(sealed, bound) {
      if (sealed.length < NONCE_BYTES + TAG_BYTES) return null;
      const decipher = module.createDecipheriv('aes-256-gcm', key, sealed.subarray(0, NONCE_BYTES));
      decipher.setAAD(bound);
      decipher.setAuthTag(sealed.subarray(-TAG_BYTES));
      const value = decipher.update(sealed.subarray(NONCE_BYTES, -TAG_BYTES));
      try {
        decipher.final();
      } catch {
        // The only thing that it looks for: whether the tag is that of these bytes.
        return null;
      }
      return value;
    },
  };
}

/**
 * Node 24 makes such a key of the bytes at every call, which takes four times as long as all the rest. Some other modules know
 * `createSecretKey` and make something else of it where bytes are asked for: so only one that does the same as the bytes.
 */
function readyKey(bytes: Uint8Array, module: CipherModule): Uint8Array {
  try {
    // As `createCipheriv` of Node takes it in place of the bytes.
    const ready = (module.createSecretKey?.(bytes) ?? bytes) as Uint8Array;
    const nonce = module.randomBytes(NONCE_BYTES);
    const tagOf = (key: Uint8Array): string => {
      const cipher = module.createCipheriv('aes-256-gcm', key, nonce);
      cipher.final();
      return cipher.getAuthTag().join();
    };
    return tagOf(ready) === tagOf(bytes) ? ready : bytes;
  } catch {
    return bytes;
  }
}
