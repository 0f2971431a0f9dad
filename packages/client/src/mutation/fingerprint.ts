/**
 * A short text that stands for a long one: equal texts have equal fingerprints, and different ones differ but for once in
 * 2^106. It tells duplicates; it is no protection against someone who wants two texts to look alike.
 */
export function fingerprint(text: string): string {
  return half(text, 0x9e3779b1) + half(text, 0x85ebca6b);
}

/** 53 bits of hash (cyrb53, public domain) in base 36. */
function half(text: string, seed: number): string {
  let high = 0xdeadbeef ^ seed;
  let low = 0x41c6ce57 ^ seed;
  for (let index = 0; index < text.length; index += 1) {
    const unit = text.charCodeAt(index);
    high = Math.imul(high ^ unit, 2_654_435_761);
    low = Math.imul(low ^ unit, 1_597_334_677);
  }
  high = Math.imul(high ^ (high >>> 16), 2_246_822_507) ^ Math.imul(low ^ (low >>> 13), 3_266_489_909);
  low = Math.imul(low ^ (low >>> 16), 2_246_822_507) ^ Math.imul(high ^ (high >>> 13), 3_266_489_909);
  const hash = 4_294_967_296 * (2_097_151 & low) + (high >>> 0);
  // In two parts: a number that is no small integer is written ten times slower.
  const first = Math.floor(hash / PART);
  return (
    first.toString(36).padStart(PART_DIGITS + 1, '0') + (hash - first * PART).toString(36).padStart(PART_DIGITS, '0')
  );
}

const PART_DIGITS = 5;
const PART = 36 ** PART_DIGITS;
