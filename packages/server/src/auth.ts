import type { Json } from 'holdfast/protocol';
import {
  createLocalJWKSet,
  createRemoteJWKSet,
  errors,
  type JSONWebKeySet,
  type JWTPayload,
  jwtVerify,
  type JWTVerifyGetKey,
} from 'jose';
import { CALLER_ROLES, type CallerClaims, type CallerRole } from './caller.ts';
import { Refusal } from './refusal.ts';

export interface AuthOptions {
  /** The secret that tokens are signed with (HS256): at least 32 bytes. One of `secret`, `jwksUrl` and `jwks` is needed. */
  readonly secret?: string | Uint8Array;
  /**
   * Where the public keys are that tokens are signed with (RS256, ES256, EdDSA), as Supabase publishes them at
   * `https://<project>.supabase.co/auth/v1/.well-known/jwks.json`. Fetched when first needed, kept for ten minutes, and
   * fetched anew when a token names a key that is not among them, every 30 s at most.
   */
  readonly jwksUrl?: string | URL;
  /** The public keys themselves, instead of where they are. */
  readonly jwks?: JSONWebKeySet;
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

/** Never both for one key: with a public key taken for a secret, everybody could sign. */
const SECRET_ALGORITHMS = ['HS256'];
const KEY_SET_ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA'];

/**
 * A token must be signed with the secret or one of the keys, have an end (`exp`), a user (`sub`) and a role that callers may act as.
 *
 * @throws Error when the secret is shorter than 32 bytes, or there is nothing to verify with.
 */
export function createTokenVerifier(options: AuthOptions): TokenVerifier {
  const secret = parseSecret(options.secret);
  const keySet =
    options.jwks !== undefined
      ? createLocalJWKSet(options.jwks)
      : options.jwksUrl !== undefined
        ? createRemoteJWKSet(new URL(options.jwksUrl))
        : null;
  if (secret === null && keySet === null) throw new Error('auth needs one of secret, jwksUrl and jwks.');
  const rules = {
    algorithms: [...(secret === null ? [] : SECRET_ALGORITHMS), ...(keySet === null ? [] : KEY_SET_ALGORITHMS)],
    requiredClaims: ['sub', 'exp', 'role'],
    clockTolerance: CLOCK_TOLERANCE_SECONDS,
    ...(options.issuer === undefined ? {} : { issuer: options.issuer }),
    ...(options.audience === undefined ? {} : { audience: options.audience }),
  };
  const keyOf: JWTVerifyGetKey = async (header, token) => {
    if (SECRET_ALGORITHMS.includes(header.alg)) {
      if (secret !== null) return secret;
    } else if (keySet !== null) return await keySet(header, token);
    throw new errors.JOSEAlgNotAllowed(`No key for ${header.alg}.`);
  };
  return async (authorization) => {
    const token = /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1];
    if (token === undefined) {
      throw new Refusal('TOKEN_MISSING', 'The request carries no login.', 'Sign in and try again.');
    }
    try {
      return parseClaims((await jwtVerify(token, keyOf, rules)).payload);
    } catch (error) {
      if (error instanceof Refusal) throw error;
      if (error instanceof errors.JWTExpired) {
        throw new Refusal('TOKEN_EXPIRED', 'The login has expired.', SIGN_IN_AGAIN, error);
      }
      // the keys could not be fetched, which says nothing about the token
      if (error instanceof errors.JWKSTimeout || (keySet !== null && !(error instanceof errors.JOSEError))) {
        throw new Refusal('SERVER_UNAVAILABLE', 'The login cannot be verified now.', 'Try again in a moment.', error);
      }
      throw new Refusal('TOKEN_INVALID', 'The login could not be verified.', SIGN_IN_AGAIN, error);
    }
  };
}

function parseSecret(secret: string | Uint8Array | undefined): Uint8Array | null {
  if (secret === undefined) return null;
  const key = typeof secret === 'string' ? new TextEncoder().encode(secret) : secret;
  if (key.byteLength < SECRET_BYTES_MIN) {
    throw new Error(
      `auth.secret must be at least ${SECRET_BYTES_MIN} bytes long, not ${key.byteLength}.` +
        (key.byteLength === 0 ? ' Is its environment variable set?' : ''),
    );
  }
  return key;
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
