const TABLE: Uint32Array = makeTable();

/** CRC-32 (IEEE 802.3, as in gzip) of the text's UTF-16 code units, low byte first: tells a torn or flipped record from a whole one. */
export function checksum(text: string): number {
  let crc = 0xffffffff;
  for (let index = 0; index < text.length; index += 1) {
    const unit = text.charCodeAt(index);
    crc = (crc >>> 8) ^ (TABLE[(crc ^ unit) & 0xff] ?? 0);
    crc = (crc >>> 8) ^ (TABLE[(crc ^ (unit >>> 8)) & 0xff] ?? 0);
  }
  return (crc ^ 0xffffffff) >>> 0;
}

function makeTable(): Uint32Array {
  const table = new Uint32Array(256);
  for (let byte = 0; byte < 256; byte += 1) {
    let entry = byte;
    for (let bit = 0; bit < 8; bit += 1) entry = entry & 1 ? (entry >>> 1) ^ 0xedb88320 : entry >>> 1;
    table[byte] = entry >>> 0;
  }
  return table;
}
