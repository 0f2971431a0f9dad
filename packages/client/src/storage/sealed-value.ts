import type { SealingKey } from '../ports/keys.ts';
import { fromBase64, toBase64 } from './base64.ts';
import { readDeflated, writeDeflated } from './compressed-text.ts';

/** A sealed value begins with this: then the id of its key, a dot, and what the key made of it. */
const SEALED = '~s';
const FORMAT = 1;
const ID_PATTERN = /^[\w-]{1,64}$/;

/** How the text stands before it is sealed: its first byte. */
const AS_UTF8 = 0;
const AS_UTF16 = 1;
/** Four bytes of its length, low byte first, and its bytes, compressed. */
const AS_DEFLATED = 2;

/** Where a value stands. It opens nowhere else. */
export interface ValuePlace {
  readonly storeName: string;
  readonly key: string;
}

/** The id of the key it is sealed with; null for a value that is not sealed. */
export function keyIdOf(stored: string): string | null {
  if (!stored.startsWith(SEALED)) return null;
  const id = stored.slice(SEALED.length, stored.indexOf('.'));
  return ID_PATTERN.test(id) ? id : null;
}

export function isKeyId(id: unknown): boolean {
  return typeof id === 'string' && ID_PATTERN.test(id);
}

export async function sealValue(key: SealingKey, place: ValuePlace, text: string): Promise<string> {
  return `${SEALED}${key.id}.${toBase64(await key.seal(bytesOf(text), boundBytes(key.id, place)))}`;
}

/** Null for what this key has not sealed at this place, or what was changed since. */
export async function openValue(key: SealingKey, place: ValuePlace, stored: string): Promise<string | null> {
  const sealed = fromBase64(stored.slice(SEALED.length + key.id.length + 1));
  const bytes = sealed === null ? null : await key.open(sealed, boundBytes(key.id, place));
  return bytes === null ? null : textOf(bytes);
}

function boundBytes(keyId: string, { storeName, key }: ValuePlace): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(['holdfast', FORMAT, keyId, storeName, key]));
}

function bytesOf(text: string): Uint8Array {
  const deflated = readDeflated(text);
  if (deflated !== null) {
    const bytes = new Uint8Array(5 + deflated.bytes.length);
    bytes[0] = AS_DEFLATED;
    new DataView(bytes.buffer).setUint32(1, deflated.textBytes, true);
    bytes.set(deflated.bytes, 5);
    return bytes;
  }
  if (/\p{Surrogate}/u.test(text)) {
    const bytes = new Uint8Array(1 + 2 * text.length);
    bytes[0] = AS_UTF16;
    const view = new DataView(bytes.buffer);
    for (let index = 0; index < text.length; index += 1) view.setUint16(1 + 2 * index, text.charCodeAt(index), true);
    return bytes;
  }
  const utf8 = new TextEncoder().encode(text);
  const bytes = new Uint8Array(1 + utf8.length);
  bytes[0] = AS_UTF8;
  bytes.set(utf8, 1);
  return bytes;
}

function textOf(bytes: Uint8Array): string | null {
  const content = bytes.subarray(1);
  const view = new DataView(content.buffer, content.byteOffset, content.byteLength);
  switch (bytes[0]) {
    case AS_UTF8:
      return new TextDecoder('utf-8', { ignoreBOM: true }).decode(content);
    case AS_UTF16: {
      let text = '';
      for (let at = 0; at < content.length; at += 2) text += String.fromCharCode(view.getUint16(at, true));
      return text;
    }
    case AS_DEFLATED:
      return writeDeflated({ textBytes: view.getUint32(0, true), bytes: content.subarray(4) });
    default:
      return null;
  }
}
