/** Time as the simulators need it. A `FakeClock` is one, and so is `realTime`. */
export interface SimulatedTime {
  nowMs(): number;
  /** Resolves after this many milliseconds; at once for none. */
  delay(ms: number): Promise<void>;
}
