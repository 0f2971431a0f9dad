import { deflateSync, inflateSync } from 'fflate';
import { checksumText } from '../mutation/checksum.ts';
import { fromBase64, toBase64 } from './base64.ts';

/** A compressed text begins with this: then the checksum of what follows it, the length of the text in bytes, and its bytes. */
const COMPRESSED = '~d';
/** A text that is not compressed and begins like one that is something else. */
const ESCAPED = '~0';
const SPECIAL = '~';
const CHECKSUM_LENGTH = 8;
/** Nothing larger is compressed, so nothing that says it were larger is taken for whole: opening it must not fill the memory. */
const TEXT_BYTES_MAX = 8 * 2 ** 20;
/** Compressing pays from this share of the length on, since reading it costs time as well. */
const SHARE_MAX = 0.9;

/** The bytes of a compressed text, and how long it was. */
export interface Deflated {
  readonly bytes: Uint8Array;
  readonly textBytes: number;
}

/** The text as it is stored: compressed where it is longer than `overLength` and that pays. */
export function compressText(text: string, overLength: number): string {
  const asItIs = text.startsWith(SPECIAL) ? ESCAPED + text : text;
  // Half a character has no bytes.
  if (text.length <= overLength || /\p{Surrogate}/u.test(text)) return asItIs;
  const bytes = new TextEncoder().encode(text);
  if (bytes.length > TEXT_BYTES_MAX) return asItIs;
  const compressed = writeDeflated({ bytes: deflateSync(bytes), textBytes: bytes.length });
  return compressed.length <= SHARE_MAX * bytes.length ? compressed : asItIs;
}

/** The text that was stored so. What is not whole comes as it stands, so that it can be kept. */
export function decompressText(stored: string): string {
  if (!stored.startsWith(SPECIAL)) return stored;
  if (stored.startsWith(ESCAPED)) return stored.slice(ESCAPED.length);
  const deflated = readDeflated(stored);
  return (deflated === null ? null : inflate(deflated)) ?? stored;
}

/** Whether it says so of itself. */
export function isCompressed(stored: string): boolean {
  return stored.startsWith(COMPRESSED);
}

/** Null for a text that is not compressed, or not whole. */
export function readDeflated(stored: string): Deflated | null {
  if (!isCompressed(stored)) return null;
  const content = stored.slice(COMPRESSED.length + CHECKSUM_LENGTH);
  if (stored.slice(COMPRESSED.length, COMPRESSED.length + CHECKSUM_LENGTH) !== checksumText(content)) return null;
  const dot = content.indexOf('.');
  const bytes = fromBase64(content.slice(dot + 1));
  const textBytes = Number.parseInt(content.slice(0, dot), 36);
  return bytes === null || !(textBytes <= TEXT_BYTES_MAX) ? null : { bytes, textBytes };
}

export function writeDeflated({ bytes, textBytes }: Deflated): string {
  const content = `${textBytes.toString(36)}.${toBase64(bytes)}`;
  return COMPRESSED + checksumText(content) + content;
}

function inflate({ bytes, textBytes }: Deflated): string | null {
  try {
    // What is more than it says has no room, and what is less is not whole.
    const text = inflateSync(bytes, { out: new Uint8Array(textBytes) });
    return text.length === textBytes ? new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(text) : null;
  } catch {
    return null;
  }
}
