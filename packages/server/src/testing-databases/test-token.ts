import { SignJWT } from 'jose';

export const TEST_SECRET = 'a development secret of 32 bytes.';

/** A login as the tests' doors believe it. */
export function testToken(workspaceId: string, user = 'ada', expiresInSeconds = 600): Promise<string> {
  return new SignJWT({ role: 'authenticated', workspace_id: workspaceId })
    .setProtectedHeader({ alg: 'HS256' })
    .setSubject(user)
    .setExpirationTime(Math.floor(Date.now() / 1_000) + expiresInSeconds)
    .sign(new TextEncoder().encode(TEST_SECRET));
}
