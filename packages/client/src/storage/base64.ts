/** Bytes at a time that are handed over as arguments. */
const CHUNK_BYTES = 8_192;
const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
const PAD = 61;
/** The letter of the digit 0. */
const ZERO = 65;
/** No digit of 6 bits has this one. */
const NO_DIGIT = 64;
/** The digit of each letter, by its byte. */
const DIGITS = new Uint8Array(256).fill(NO_DIGIT);
for (let digit = 0; digit < NO_DIGIT; digit += 1) DIGITS[LETTERS.charCodeAt(digit)] = digit;

/** As in RFC 4648, with padding. A spread in place of `apply` would take six times as long. */
export function toBase64(bytes: Uint8Array): string {
  let binary = '';
  for (let first = 0; first < bytes.length; first += CHUNK_BYTES)
    binary += Reflect.apply(String.fromCharCode, null, bytes.subarray(first, first + CHUNK_BYTES));
  return btoa(binary);
}

/**
 * Null for what `toBase64` would not have written so: one text stands for one value. Going through the text that `atob` gives, character by
 * character, would take three times as long.
 */
export function fromBase64(text: string): Uint8Array<ArrayBuffer> | null {
  const letters = new TextEncoder().encode(text);
  const { length } = letters;
  if (length % 4 !== 0) return null;
  const padCount = letters[length - 1] !== PAD ? 0 : letters[length - 2] !== PAD ? 1 : 2;
  const bytes = new Uint8Array((3 * length) / 4 - padCount);
  letters.fill(ZERO, length - padCount);
  let [bits, seen] = [0, 0];
  for (let at = 0, to = 0; at < length; to += 3) {
    for (const end = at + 4; at < end; at += 1) {
      const digit = DIGITS[letters[at] as number] as number;
      seen |= digit;
      // Of four digits nothing is left of those before.
      bits = (bits << 6) | digit;
    }
    // What is beyond the end is not kept.
    bytes[to] = bits >>> 16;
    bytes[to + 1] = bits >>> 8;
    bytes[to + 2] = bits;
  }
  // The last letters may hold bits that belong to no byte, and must not.
  return seen < NO_DIGIT && (bits & ((1 << (8 * padCount)) - 1)) === 0 ? bytes : null;
}
