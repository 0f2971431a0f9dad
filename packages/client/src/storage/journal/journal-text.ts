import { checksumText } from '../../mutation/checksum.ts';

/** What one commit changed; null for a key that is gone. */
export type Changed = ReadonlyMap<string, string | null>;

/*
 * One commit is one text: a line for each change with a checksum of its own, and before them how many lines there are and a
 * checksum of all. So a torn one is told from a whole one, and of one that was damaged later the other lines still read.
 */
export function writeRecord(changed: Changed): string {
  const lines = [...changed].map((change) => signed(JSON.stringify(change)));
  return signed([String(lines.length), ...lines].join('\n'));
}

export interface ReadRecord {
  readonly isWhole: boolean;
  /** Of one that is not whole, what still reads. */
  readonly changed: Changed;
}

export function readRecord(text: string): ReadRecord {
  const body = verified(text);
  const [count, ...lines] = (body ?? text.slice(SIGNATURE_UNITS)).split('\n');
  const changed = new Map<string, string | null>();
  for (const line of lines) {
    const change = verified(line);
    if (change !== null) changed.set(...(JSON.parse(change) as [string, string | null]));
  }
  return { isWhole: body !== null && Number(count) === lines.length, changed };
}

const SIGNATURE_UNITS = 9;

/** The text behind its checksum. */
export function signed(text: string): string {
  return `${checksumText(text)} ${text}`;
}

export function verified(text: string): string | null {
  const body = text.slice(SIGNATURE_UNITS);
  return signed(body) === text ? body : null;
}

/** Stores differ in what they make of a character that stands alone, and of NUL: such text is written by JSON's escapes. */
const ODD_CHARACTER = /[\0\p{Surrogate}]/u;
const PLAIN = '=';
const ESCAPED = '"';
const PIECES = '+';

export interface StoredValue {
  readonly head: string;
  /** None where the value stands in the head. */
  readonly pieces: readonly string[];
}

export function writeValue(value: string, unitsMax: number): StoredValue {
  const text = ODD_CHARACTER.test(value) ? `${ESCAPED}${JSON.stringify(value)}` : `${PLAIN}${value}`;
  if (text.length <= unitsMax) return { head: text, pieces: [] };
  const pieces = piecesOf(text, unitsMax);
  return { head: `${PIECES}${pieces.length}`, pieces };
}

export function readValue(text: string): string {
  if (!text.startsWith(ESCAPED)) return text.slice(PLAIN.length);
  try {
    return JSON.parse(text.slice(ESCAPED.length)) as string;
  } catch {
    return text;
  }
}

/** How many pieces a head speaks of; 0 where the value stands in it. */
export function pieceCountOf(head: string): number {
  return head.startsWith(PIECES) ? Number(head.slice(PIECES.length)) : 0;
}

/** Pieces of at most so many units, none of which ends inside a character. */
export function piecesOf(text: string, unitsMax: number): readonly string[] {
  const pieces: string[] = [];
  for (let from = 0; from < text.length; ) {
    let to = Math.min(text.length, from + unitsMax);
    const last = text.charCodeAt(to - 1);
    if (to < text.length && last >= 0xd800 && last <= 0xdbff) to -= 1;
    pieces.push(text.slice(from, to));
    from = to;
  }
  return pieces;
}

/** Names and keys in ASCII without `/`, `\` and `%`: each of these stores has characters of its own that it takes amiss. */
export function escapeKey(key: string): string {
  return key.replace(
    /[^ !#$&'()*+,\-.0-9:;<=>?@A-Z[\]^_`a-z{|}~]/g,
    (character) => `%${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

export function unescapeKey(text: string): string {
  return text.replace(/%([0-9a-f]{4})/g, (_, code: string) => String.fromCharCode(Number.parseInt(code, 16)));
}
