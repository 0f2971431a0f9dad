/** A file under a synchronous handle: `FileSystemSyncAccessHandle` of the browser, or a stand-in. */
export interface LogFile {
  /** Fills the buffer from there on, as far as the file goes; how many bytes. */
  read(buffer: Uint8Array, options: { readonly at: number }): number;
  /** How many bytes were written: fewer than asked for when there is no room. */
  write(bytes: Uint8Array, options: { readonly at: number }): number;
  truncate(sizeBytes: number): void;
  getSize(): number;
  /** Returns when all that was written stands on the disk. */
  flush(): void;
}

/** What one log lives in. Whoever holds these is the only one who writes. */
export interface LogFiles {
  /** One holds the log; the other takes the next copy of it, without what is dead. */
  readonly slots: readonly [LogFile, LogFile];
  /** Takes bytes that no longer read, so that someone may look into them. */
  readonly aside: LogFile;
  /** A number of 31 bits for a log that begins: not that of one that stood there before, and was deleted under us. */
  readonly newGeneration: () => number;
}
