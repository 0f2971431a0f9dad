import { createHmac } from 'node:crypto';

/** What the doors of the tests check a token with, and what `token` signs with. */
export const SECRET = 'a development secret of 32 bytes.';

/** HS256, as RFC 7515 has it. A negative `expiresInSeconds` makes a token that has expired. */
export function token(workspaceId: string, expiresInSeconds = 3_600): string {
  const text = (part: object): string => Buffer.from(JSON.stringify(part)).toString('base64url');
  const exp = Math.floor(Date.now() / 1_000) + expiresInSeconds;
  const claims = text({ sub: 'ada', role: 'authenticated', workspace_id: workspaceId, exp });
  const signed = `${text({ alg: 'HS256', typ: 'JWT' })}.${claims}`;
  return `${signed}.${createHmac('sha256', SECRET).update(signed).digest('base64url')}`;
}
