import { AuthApiError, AuthRetryableFetchError, AuthSessionMissingError, createClient } from '@supabase/supabase-js';
import { expect, test } from 'vitest';
import { isHoldfastError } from '../mutation/holdfast-error.ts';
import { supabaseAuth, type SupabaseAuthClient, type SupabaseSessionAnswer } from './supabase-auth.ts';

const session = { access_token: 'ada’s token', user: { id: 'ada' } };

test('R5 · a Supabase session gives its token, and a fresh one when asked', async () => {
  const client = clientOf({ data: { session }, error: null });
  const { getToken } = supabaseAuth({ client, userId: 'ada' });

  expect(await getToken({ refresh: false })).toBe('ada’s token');
  expect(await getToken({ refresh: true })).toBe('ada’s token');
  expect(client.calls).toEqual(['getSession', 'refreshSession']);
});

test('R5 · the session of another user gives no token', async () => {
  const client = clientOf({ data: { session }, error: null });

  expect(await supabaseAuth({ client, userId: 'bob' }).getToken({ refresh: false })).toBeNull();
});

test.each([
  ['nobody is signed in', null],
  ['the session is gone', new AuthSessionMissingError()],
  ['the refresh token was refused', new AuthApiError('Invalid Refresh Token', 400, 'refresh_token_not_found')],
])('R5 · when %s there is no token', async (_, error) => {
  const client = clientOf({ data: { session: null }, error });

  expect(await supabaseAuth({ client, userId: 'ada' }).getToken({ refresh: false })).toBeNull();
});

test.each([
  ['the network is away', new AuthRetryableFetchError('Failed to fetch', 0)],
  ['a gateway answers', new AuthRetryableFetchError('Bad gateway', 502)],
  ['the auth server is limited', new AuthApiError('Too many requests', 429, 'over_request_rate_limit')],
])('R5 · when %s, no session is not a sign-out', async (_, error) => {
  const client = clientOf({ data: { session: null }, error });

  const asked = await supabaseAuth({ client, userId: 'ada' })
    .getToken({ refresh: true })
    .catch((cause: unknown) => cause);

  expect(isHoldfastError(asked) && asked.code).toBe('UNREACHABLE');
});

test('R5 · the real client is one that it takes, and nobody is signed in to it', async () => {
  const client = createClient('https://project.supabase.test', 'key', {
    auth: { persistSession: false, autoRefreshToken: false },
  });

  expect(await supabaseAuth({ client, userId: 'ada' }).getToken({ refresh: false })).toBeNull();
  expect(await supabaseAuth({ client, userId: 'ada' }).getToken({ refresh: true })).toBeNull();
});

function clientOf(answer: SupabaseSessionAnswer): SupabaseAuthClient & { readonly calls: readonly string[] } {
  const calls: string[] = [];
  const ask = (name: string) => async (): Promise<SupabaseSessionAnswer> => {
    calls.push(name);
    return answer;
  };
  return { calls, auth: { getSession: ask('getSession'), refreshSession: ask('refreshSession') } };
}
