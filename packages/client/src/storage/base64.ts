/** Bytes at a time that are handed over as arguments. */
const CHUNK_BYTES = 8_192;
const PATTERN = /^[A-Za-z0-9+/]*={0,2}$/;

/** As in RFC 4648, with padding. A spread in place of `apply` would take six times as long. */
export function toBase64(bytes: Uint8Array): string {
  let binary = '';
  for (let first = 0; first < bytes.length; first += CHUNK_BYTES)
    binary += Reflect.apply(String.fromCharCode, null, bytes.subarray(first, first + CHUNK_BYTES));
  return btoa(binary);
}

/** Null for what `toBase64` would not have written so: one text stands for one value. */
export function fromBase64(text: string): Uint8Array<ArrayBuffer> | null {
  if (text.length % 4 !== 0 || !PATTERN.test(text)) return null;
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let index = 0; index < binary.length; index += 1) bytes[index] = binary.charCodeAt(index);
  // The last characters may hold bits that belong to no byte, and must not.
  const restBytes = bytes.length % 3;
  return restBytes === 0 || toBase64(bytes.subarray(bytes.length - restBytes)) === text.slice(-4) ? bytes : null;
}
