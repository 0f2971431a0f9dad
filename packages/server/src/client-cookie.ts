import { createHash } from 'node:crypto';
import type { ApplyRequest } from 'holdfast/protocol';
import { z } from 'zod';

/** Browsers keep no cookie for longer. */
const MAX_AGE_S = 400 * 24 * 3_600;

/**
 * An anchor that outlives the eviction of a page's storage: the id of the client, in a cookie that only the server sets and
 * reads, one for each user, workspace and queue. It opens nothing: what it names is looked at only where it is the caller's own.
 */
export function clientCookieName(actor: string, { workspaceId, queue = '' }: ApplyRequest['client']): string {
  const key = JSON.stringify([actor, workspaceId, queue]);
  return `holdfast-client-${createHash('sha256').update(key).digest('hex').slice(0, 24)}`;
}

/** The id in it; null where there is none, or something else. */
export function clientInCookie(header: string | undefined, name: string): string | null {
  const found = header
    ?.split(';')
    .map((part) => part.trim())
    .find((part) => part.startsWith(`${name}=`));
  const parsed = z.guid().safeParse(found?.slice(name.length + 1));
  return parsed.success ? parsed.data : null;
}

export function clientCookie(name: string, clientId: string, isSecure: boolean): string {
  return `${name}=${clientId}; Path=/; Max-Age=${MAX_AGE_S}; HttpOnly; SameSite=Lax${isSecure ? '; Secure' : ''}`;
}
