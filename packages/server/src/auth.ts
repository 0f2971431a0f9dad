import type { Json } from 'holdfast/protocol';
import { errors, type JWTPayload, jwtVerify } from 'jose';
import { CALLER_ROLES, type CallerClaims, type CallerRole } from './caller.ts';
import { Refusal } from './refusal.ts';

export interface AuthOptions {
  /** The secret that tokens are signed with (HS256): at least 32 bytes. */
  readonly secret: string | Uint8Array;
  /** When given, tokens must name it as `iss`. */
  readonly issuer?: string;
  /** When given, tokens must name it as `aud`. Supabase's say `authenticated`. */
  readonly audience?: string;
}

/** Takes an `Authorization` header and gives the claims, or throws a `Refusal` that says why not. */
export type TokenVerifier = (authorization: string | null | undefined) => Promise<CallerClaims>;

const SECRET_BYTES_MIN = 32;
/** Clocks of two servers differ; a token counts as valid for this long after its end. */
const CLOCK_TOLERANCE_SECONDS = 5;
const SIGN_IN_AGAIN = 'Sign in again; what waits on the device is kept.';

/**
 * A token must be signed with the secret, have an end (`exp`), a user (`sub`) and a role that callers may act as.
 *
 * @throws Error when the secret is shorter than 32 bytes.
 */
export function createTokenVerifier(options: AuthOptions): TokenVerifier {
  const key = typeof options.secret === 'string' ? new TextEncoder().encode(options.secret) : options.secret;
  if (key.byteLength < SECRET_BYTES_MIN) {
    throw new Error(`auth.secret must be at least ${SECRET_BYTES_MIN} bytes long, not ${key.byteLength}.`);
  }
  const rules = {
    algorithms: ['HS256'],
    requiredClaims: ['sub', 'exp', 'role'],
    clockTolerance: CLOCK_TOLERANCE_SECONDS,
    ...(options.issuer === undefined ? {} : { issuer: options.issuer }),
    ...(options.audience === undefined ? {} : { audience: options.audience }),
  };
  return async (authorization) => {
    const token = /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1];
    if (token === undefined) {
      throw new Refusal('TOKEN_MISSING', 'The request carries no login.', 'Sign in and try again.');
    }
    try {
      return parseClaims((await jwtVerify(token, key, rules)).payload);
    } catch (error) {
      if (error instanceof Refusal) throw error;
      if (error instanceof errors.JWTExpired) {
        throw new Refusal('TOKEN_EXPIRED', 'The login has expired.', SIGN_IN_AGAIN, error);
      }
      throw new Refusal('TOKEN_INVALID', 'The login could not be verified.', SIGN_IN_AGAIN, error);
    }
  };
}

function parseClaims(payload: JWTPayload): CallerClaims {
  const { sub, role } = payload;
  if (typeof sub !== 'string' || sub === '' || !isCallerRole(role)) {
    throw new Refusal('TOKEN_INVALID', 'The login names no user, or a role that may not call.', SIGN_IN_AGAIN);
  }
  // a token is JSON, so its claims are
  return { ...(payload as Record<string, Json>), sub, role };
}

function isCallerRole(role: unknown): role is CallerRole {
  return CALLER_ROLES.some((allowed) => allowed === role);
}
