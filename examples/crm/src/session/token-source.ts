import * as v from 'valibot';
import type { SignInAnswer } from './sign-in-answer.ts';

/** A new token is fetched this long before the old one ends, in milliseconds. */
const MARGIN_MS = 60_000;
const SIGN_IN_TIMEOUT_MS = 10_000;

const answerSchema: v.GenericSchema<SignInAnswer> = v.object({ token: v.string(), expiresInMs: v.number() });

/**
 * Gives the token to call the server with. Null when the server refuses this user; rejects when the server cannot be
 * asked, which says nothing about the sign-in.
 */
export type GetToken = (options: { readonly refresh: boolean }) => Promise<string | null>;

/** A captive portal, or a proxy's error page. */
export class NotOurServerError extends Error {
  override readonly message = 'Something else than our server answered.';
}

/** Signs in when a token is needed, keeps the token in memory only, and asks once for callers at the same time. */
export function createTokenSource(userId: string, fetch: typeof globalThis.fetch): GetToken {
  let token: { readonly text: string; readonly endsAtMs: number } | null = null;
  let asking: Promise<string | null> | null = null;

  const ask = async (): Promise<string | null> => {
    const startedAtMs = performance.now();
    const response = await fetch('/api/sign-in', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ userId }),
      redirect: 'error',
      signal: AbortSignal.timeout(SIGN_IN_TIMEOUT_MS),
    });
    if (response.status === 400) return null;
    const answer = v.safeParse(answerSchema, response.ok ? await response.json().catch(() => null) : null);
    if (!answer.success) throw new NotOurServerError();
    token = { text: answer.output.token, endsAtMs: startedAtMs + answer.output.expiresInMs - MARGIN_MS };
    return token.text;
  };

  return async ({ refresh }) => {
    if (!refresh && token !== null && performance.now() < token.endsAtMs) return token.text;
    asking ??= ask().finally(() => {
      asking = null;
    });
    return await asking;
  };
}
