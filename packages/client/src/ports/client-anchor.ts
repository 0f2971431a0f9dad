/**
 * A place beside the store that outlives it: what the system clears to make room does not reach it. It keeps which client this is,
 * and how far its numbers have come, so that a store that came back empty, or as it was earlier, is found out.
 */
export interface ClientAnchor {
  /** Null where nothing stands under the name. */
  read(name: string): Promise<string | null>;
  write(name: string, value: string): Promise<void>;
}
