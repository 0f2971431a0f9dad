import { SignJWT } from 'jose';
import type { DemoUser } from '../src/session/demo-users.ts';

/** How long a token is good for, in milliseconds; then the page asks for another. */
export const TOKEN_LIFETIME_MS = 15 * 60_000;

/** A token that names the user and the workspace, as the database will see it in `request.jwt.claims`. */
export async function signToken(user: DemoUser, secret: Uint8Array): Promise<string> {
  const nowS = Math.floor(Date.now() / 1_000);
  return await new SignJWT({ role: 'authenticated', workspace_id: user.workspaceId })
    .setProtectedHeader({ alg: 'HS256' })
    .setSubject(user.id)
    .setIssuedAt(nowS)
    .setExpirationTime(nowS + TOKEN_LIFETIME_MS / 1_000)
    .sign(secret);
}
