import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import {
  createDoor,
  createTokenVerifier,
  type Database,
  type LiveChannel,
  Refusal,
  refusalOf,
  withCaller,
} from '@holdfast/server';
import { Hono } from 'hono';
import * as v from 'valibot';
import { findDemoUser } from '../src/session/demo-users.ts';
import type { SignInAnswer } from '../src/session/sign-in-answer.ts';
import { type PageFiles, servePage } from './page-files.ts';
import { readAccounts } from './read-accounts.ts';
import { signToken, TOKEN_LIFETIME_MS } from './tokens.ts';

const gzipAsync = promisify(gzip);
const GZIP_OVER_BYTES = 1_024;
/** Fast rather than small: the whole list goes from 4 MB to 1 MB in some 50 ms. */
const GZIP_LEVEL = 4;

export interface AppOptions {
  readonly database: Database;
  readonly databaseId: string;
  /** Signs and checks the tokens of this demonstration. */
  readonly secret: Uint8Array;
  readonly pageFiles: PageFiles;
  /** Without it nobody is told of changes at once, and pages ask now and then. */
  readonly live?: LiveChannel;
}

const signInSchema = v.object({ userId: v.string() });

/** The whole server of the example: Holdfast's door under `/v1`, the app's own two routes, and the page. */
export function createApp(options: AppOptions): Hono {
  const { database, databaseId, secret, pageFiles } = options;
  const verifyToken = createTokenVerifier({ secret });
  const app = new Hono();

  app.route(
    '/',
    createDoor({ database, auth: { secret }, ...(options.live === undefined ? {} : { live: options.live }) }),
  );

  app.post('/api/sign-in', async (context) => {
    const body = v.safeParse(signInSchema, await context.req.json().catch(() => null));
    const user = body.success ? findDemoUser(body.output.userId) : null;
    if (user === null) {
      throw new Refusal('INVALID_REQUEST', 'There is no such demo user.', 'Choose one from the list on the page.');
    }
    const answer: SignInAnswer = { token: await signToken(user, secret), expiresInMs: TOKEN_LIFETIME_MS };
    return context.json(answer, 200, { 'cache-control': 'no-store' });
  });

  app.get('/api/accounts', async (context) => {
    const claims = await verifyToken(context.req.header('authorization'));
    const since = context.req.query('since') ?? null;
    const text = await withCaller(database, claims, (session) => readAccounts(session, databaseId, since));
    const headers = { 'cache-control': 'no-store', 'content-type': 'application/json; charset=utf-8' };
    const isGzipWelcome = context.req.header('accept-encoding')?.includes('gzip') === true;
    if (!isGzipWelcome || text.length < GZIP_OVER_BYTES) return context.body(text, 200, headers);
    const gzipped = Uint8Array.from(await gzipAsync(text, { level: GZIP_LEVEL }));
    return context.body(gzipped, 200, { ...headers, 'content-encoding': 'gzip' });
  });

  app.all('/api/*', () => {
    throw new Refusal('NOT_FOUND', 'There is nothing at this address.', 'Use /api/sign-in or /api/accounts.');
  });
  app.get('*', (context) => servePage(context, pageFiles));

  app.onError((error, context) => {
    const refusal = refusalOf(error);
    if (refusal.status >= 500)
      console.error(`${context.req.method} ${context.req.path}: ${refusal.code}`, refusal.cause);
    return refusal.toResponse();
  });
  return app;
}
