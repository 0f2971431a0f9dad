/**
 * Four tables of 256: what a byte does to the remainder when 0, 1, 2 or 3 more come after it. With a sign, as V8 holds numbers above 2^31 in
 * places of their own.
 */
const TABLES: Int32Array = makeTables();

/** CRC-32 (IEEE 802.3, as in gzip) of the text's UTF-16 code units, low byte first: tells a torn or flipped record from a whole one. */
export function checksum(text: string): number {
  const tables = TABLES;
  const paired = text.length & ~1;
  let crc = -1;
  // Two units, which are four bytes, at a time: opening a long queue is mostly this.
  for (let index = 0; index < paired; index += 2) {
    crc ^= text.charCodeAt(index) | (text.charCodeAt(index + 1) << 16);
    crc =
      (tables[768 + (crc & 0xff)] as number) ^
      (tables[512 + ((crc >>> 8) & 0xff)] as number) ^
      (tables[256 + ((crc >>> 16) & 0xff)] as number) ^
      (tables[crc >>> 24] as number);
  }
  if (paired < text.length) {
    const unit = text.charCodeAt(paired);
    crc = (crc >>> 8) ^ (tables[(crc ^ unit) & 0xff] as number);
    crc = (crc >>> 8) ^ (tables[(crc ^ (unit >>> 8)) & 0xff] as number);
  }
  return ~crc >>> 0;
}

/** The same as text, in hexadecimal. */
export function checksumText(text: string): string {
  const sum = checksum(text);
  // In two parts: a number that is no small integer is written ten times slower.
  return hexOf(sum >>> 16) + hexOf(sum & 0xffff);
}

function hexOf(bits: number): string {
  return bits.toString(16).padStart(4, '0');
}

/** CRC-32 of bytes; `before` is that of the bytes before them. */
export function checksumOfBytes(bytes: Uint8Array, before: number = 0): number {
  const tables = TABLES;
  const whole = bytes.length & ~3;
  let crc = ~before;
  // Four at a time, as above: opening a long log is mostly this.
  for (let index = 0; index < whole; index += 4) {
    crc ^=
      (bytes[index] as number) |
      ((bytes[index + 1] as number) << 8) |
      ((bytes[index + 2] as number) << 16) |
      ((bytes[index + 3] as number) << 24);
    crc =
      (tables[768 + (crc & 0xff)] as number) ^
      (tables[512 + ((crc >>> 8) & 0xff)] as number) ^
      (tables[256 + ((crc >>> 16) & 0xff)] as number) ^
      (tables[crc >>> 24] as number);
  }
  for (let index = whole; index < bytes.length; index += 1)
    crc = (crc >>> 8) ^ (tables[(crc ^ (bytes[index] as number)) & 0xff] as number);
  return ~crc >>> 0;
}

function makeTables(): Int32Array {
  const tables = new Int32Array(4 * 256);
  for (let byte = 0; byte < 256; byte += 1) {
    let entry = byte;
    for (let bit = 0; bit < 8; bit += 1) entry = entry & 1 ? (entry >>> 1) ^ 0xedb88320 : entry >>> 1;
    tables[byte] = entry;
  }
  for (let index = 256; index < tables.length; index += 1) {
    const before = tables[index - 256] as number;
    tables[index] = (before >>> 8) ^ (tables[before & 0xff] as number);
  }
  return tables;
}
