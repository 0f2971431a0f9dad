/** Most bytes that a queue keeps of what it has decrypted and decompressed, unless it is told otherwise. */
export const CACHE_BYTES: number = 2 * 2 ** 20;

/** What an entry takes besides its texts, in bytes, measured roughly. */
const ENTRY_BYTES = 200;
/** A character takes one or two. */
const CHARACTER_BYTES = 2;

interface Known {
  /** As it stands in the store. */
  readonly stored: string;
  readonly text: string;
  readonly sizeBytes: number;
}

/**
 * What stored texts were decoded to (decrypted, decompressed), the last used ones, as many as fit into so many bytes. It is asked with
 * the text that was just read from the store and answers for that very text only, so whatever others write, change, damage or delete
 * there, nothing that it tells is out of date: it saves the decoding and never the look.
 */
export class TextCache {
  private readonly maxBytes: number;
  /** In the order in which they were last used. */
  private readonly known = new Map<string, Known>();
  private usedBytes = 0;

  /** @param maxBytes 0 keeps nothing. */
  constructor(maxBytes: number) {
    this.maxBytes = maxBytes;
  }

  get sizeBytes(): number {
    return this.usedBytes;
  }

  /** What this stored text was decoded to; undefined where that is not known. */
  textOf(key: string, stored: string): string | undefined {
    const known = this.known.get(key);
    if (known?.stored !== stored) return undefined;
    this.known.delete(key);
    this.known.set(key, known);
    return known.text;
  }

  /** As what this text was last seen to stand under this key: where it is expected there, it is worth a try. */
  storedOf(key: string, text: string): string | null {
    const known = this.known.get(key);
    return known?.text === text ? known.stored : null;
  }

  keep(key: string, stored: string, text: string): void {
    this.forget(key);
    const sizeBytes = ENTRY_BYTES + CHARACTER_BYTES * (key.length + stored.length + text.length);
    if (sizeBytes > this.maxBytes) return;
    this.known.set(key, { stored, text, sizeBytes });
    this.usedBytes += sizeBytes;
    for (const eldest of this.known.keys()) {
      if (this.usedBytes <= this.maxBytes) break;
      this.forget(eldest);
    }
  }

  forget(key: string): void {
    const known = this.known.get(key);
    if (known === undefined) return;
    this.known.delete(key);
    this.usedBytes -= known.sizeBytes;
  }

  clear(): void {
    this.known.clear();
    this.usedBytes = 0;
  }
}
