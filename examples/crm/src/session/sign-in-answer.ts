/** Answer of `POST /api/sign-in`. */
export interface SignInAnswer {
  readonly token: string;
  /** Counted from the answer, so that a wrong clock on the device does no harm. */
  readonly expiresInMs: number;
}
