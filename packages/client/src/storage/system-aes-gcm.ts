import { HoldfastError } from '../mutation/holdfast-error.ts';
import type { SealingKey } from '../ports/keys.ts';
import { NONCE_BYTES, TAG_BYTES } from './aes-gcm-format.ts';

/**
 * A key of 256 bits for AES-GCM (NIST SP 800-38D) as Web Crypto has it, which need not be extractable. Throws `INVALID_OPTION`
 * for another kind of key, or one that may not both encrypt and decrypt.
 */
export function aesGcmKey(id: string, key: CryptoKey): SealingKey {
  const { name, length }: KeyAlgorithm & { readonly length?: number } = key.algorithm;
  if (name !== 'AES-GCM' || length !== 256 || !key.usages.includes('encrypt') || !key.usages.includes('decrypt')) {
    throw new HoldfastError({
      code: 'INVALID_OPTION',
      message: `aesGcmKey: the key must be one of 256 bits for AES-GCM that encrypts and decrypts; it is ${name} of ${length} bits for ${key.usages.join()}.`,
      hint: "Make it with `crypto.subtle.generateKey({ name: 'AES-GCM', length: 256 }, false, ['encrypt', 'decrypt'])`.",
    });
  }
  const algorithm = (nonce: Uint8Array<ArrayBuffer>, bound: Uint8Array): AesGcmParams => ({
    name: 'AES-GCM',
    iv: nonce,
    additionalData: new Uint8Array(bound),
    tagLength: 8 * TAG_BYTES,
  });
  return {
    id,
    async seal(bytes, bound) {
      const nonce = crypto.getRandomValues(new Uint8Array(NONCE_BYTES));
      const sealed = await crypto.subtle.encrypt(algorithm(nonce, bound), key, new Uint8Array(bytes));
      const value = new Uint8Array(NONCE_BYTES + sealed.byteLength);
      value.set(nonce);
      value.set(new Uint8Array(sealed), NONCE_BYTES);
      return value;
    },
    async open(value, bound) {
      if (value.length < NONCE_BYTES + TAG_BYTES) return null;
      const bytes = new Uint8Array(value);
      try {
        const opened = await crypto.subtle.decrypt(
          algorithm(bytes.subarray(0, NONCE_BYTES), bound),
          key,
          bytes.subarray(NONCE_BYTES),
        );
        return new Uint8Array(opened);
      } catch (error) {
        // By the specification the only sign of a value that was not sealed so.
        if (error instanceof DOMException && error.name === 'OperationError') return null;
        throw error;
      }
    },
  };
}
