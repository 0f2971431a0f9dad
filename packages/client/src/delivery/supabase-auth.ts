import { HoldfastError } from '../mutation/holdfast-error.ts';
import { classifyFailure } from './classify-failure.ts';

/** As much of a `supabase-js` client as a login needs. */
export interface SupabaseAuthClient {
  readonly auth: {
    getSession(): Promise<SupabaseSessionAnswer>;
    refreshSession(): Promise<SupabaseSessionAnswer>;
  };
}

export interface SupabaseSessionAnswer {
  readonly data: {
    readonly session: { readonly access_token: string; readonly user: { readonly id: string } } | null;
  };
  readonly error: unknown;
}

export interface SupabaseAuthOptions {
  readonly client: SupabaseAuthClient;
  /** The user whose queue it is: a session of anybody else gives no token. */
  readonly userId: string;
}

/**
 * The login of a Supabase client, for `createQueue({ auth })`. A session that cannot be renewed because the network is
 * away is no sign-out: then it rejects, and the queue waits for the network and not for a sign-in.
 *
 * ```ts
 * const queue = createQueue({ …, auth: supabaseAuth({ client, userId }) });
 * client.auth.onAuthStateChange(() => queue.loginChanged());
 * ```
 */
export function supabaseAuth({ client, userId }: SupabaseAuthOptions): {
  readonly getToken: (ask: { readonly refresh: boolean }) => Promise<string | null>;
} {
  return {
    async getToken({ refresh }) {
      const { data, error } = refresh ? await client.auth.refreshSession() : await client.auth.getSession();
      const { session } = data;
      if (session !== null) return session.user.id === userId ? session.access_token : null;
      if (error !== null && !isAnswerAboutLogin(error)) throw notRenewed(error);
      return null;
    },
  };
}

/** Whether the auth server has spoken about the session, and not the line about itself. */
function isAnswerAboutLogin(error: unknown): boolean {
  const { verdict } = classifyFailure(error);
  return verdict !== 'line' && verdict !== 'rateLimit' && verdict !== 'refused';
}

function notRenewed(cause: unknown): HoldfastError {
  return new HoldfastError({
    code: 'UNREACHABLE',
    message: 'The session could not be renewed, since the auth server did not answer.',
    hint: 'Nothing to do: it is asked again. The session is kept.',
    cause,
  });
}
