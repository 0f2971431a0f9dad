/**
 * A few letters beside the stores, which outlive a database that breaks: which database of a queue is the one in use. Every
 * tab reads it often, so it must be fast, and it must not throw: what cannot be read is null, what cannot be written is lost.
 */
export interface StoragePointer {
  read(name: string): string | null;
  write(name: string, value: string): void;
}
