/**
 * Text as bytes: UTF-8, in which a surrogate that stands alone has a form too (WTF-8), so that any text comes back as it was.
 * No byte of it is above 0xf4.
 */
const ENCODER = new TextEncoder();
const DECODER = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const LENIENT = new TextDecoder('utf-8', { ignoreBOM: true });
const LONE_SURROGATE = /\p{Surrogate}/u;
/** Most bytes for one code unit. */
export const BYTES_PER_UNIT_MAX = 3;

/** Writes the text at the beginning of the target, which has room for it; how many bytes. */
export function writeText(text: string, target: Uint8Array): number {
  const { written } = ENCODER.encodeInto(text, target);
  // Only text beyond ASCII can hold one.
  return written === text.length || !LONE_SURROGATE.test(text) ? written : writeWithLoneSurrogates(text, target);
}

export function readText(bytes: Uint8Array): string {
  try {
    return DECODER.decode(bytes);
  } catch {
    return readWithLoneSurrogates(bytes);
  }
}

function writeWithLoneSurrogates(text: string, target: Uint8Array): number {
  let length = 0;
  for (const character of text) {
    const unit = character.charCodeAt(0);
    if (character.length === 1 && unit >= 0xd800 && unit <= 0xdfff) {
      target.set([0xed, 0x80 | ((unit >> 6) & 0x3f), 0x80 | (unit & 0x3f)], length);
      length += 3;
    } else {
      length += ENCODER.encodeInto(character, target.subarray(length)).written;
    }
  }
  return length;
}

/** Bytes that are damaged become replacement characters. */
function readWithLoneSurrogates(bytes: Uint8Array): string {
  let text = '';
  let first = 0;
  for (let index = 0; index + 2 < bytes.length; index += 1) {
    const [second = 0, third = 0] = [bytes[index + 1], bytes[index + 2]];
    if (bytes[index] !== 0xed || second < 0xa0 || second > 0xbf || (third & 0xc0) !== 0x80) continue;
    text += LENIENT.decode(bytes.subarray(first, index));
    text += String.fromCharCode(0xd000 | ((second & 0x3f) << 6) | (third & 0x3f));
    first = index + 3;
    index += 2;
  }
  return text + LENIENT.decode(bytes.subarray(first));
}
