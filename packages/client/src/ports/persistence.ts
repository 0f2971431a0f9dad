/** Whether the platform may clear what is stored to make room, and how to ask it not to. Null where it cannot be said. */
export interface Persistence {
  isPersisted(): Promise<boolean | null>;
  /** May ask the person at the device. */
  request(): Promise<boolean | null>;
}
