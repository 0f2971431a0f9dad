import * as v from 'valibot';
import { type GetToken, NotOurServerError } from '../session/token-source.ts';
import { CONTACT_COLUMNS } from '../contacts/contact.ts';
import { DEAL_COLUMNS } from '../deals/deal.ts';
import { ACCOUNT_COLUMNS } from './account.ts';
import type { AccountChanges, TableChanges } from './crm-state.ts';

/** The list can be a megabyte on a slow line. */
const FETCH_TIMEOUT_MS = 60_000;

const listSchema = v.object({
  columns: v.array(v.string()),
  rows: v.array(v.array(v.unknown())),
  deletedIds: v.array(v.string()),
});
const answerSchema = v.object({
  cursor: v.string(),
  isWhole: v.boolean(),
  ...listSchema.entries,
  contacts: listSchema,
  deals: listSchema,
});

/** Why the accounts could not be fetched; `kind` says what a person can do about it. */
export class FetchAccountsError extends Error {
  readonly kind: 'unreachable' | 'notOurServer' | 'signedOut' | 'serverFailed';

  constructor(kind: FetchAccountsError['kind'], message: string, cause?: unknown) {
    super(message, { cause });
    this.kind = kind;
  }
}

/** All accounts without a cursor, else what changed since it. Rejects with a `FetchAccountsError`. */
export async function fetchAccounts(
  cursor: string | null,
  getToken: GetToken,
  fetch: typeof globalThis.fetch,
): Promise<AccountChanges> {
  const url = cursor === null ? '/api/accounts' : `/api/accounts?since=${encodeURIComponent(cursor)}`;
  let response = await fetchAs(url, await tokenFor(getToken, false), fetch);
  if (response.status === 401) response = await fetchAs(url, await tokenFor(getToken, true), fetch);
  if (response.status === 401) throw new FetchAccountsError('signedOut', 'The sign-in is not valid any more.');
  if (response.status === 429) throw new FetchAccountsError('serverFailed', 'The server asks for a pause.');
  if (response.status >= 500) throw new FetchAccountsError('serverFailed', 'The server could not answer.');
  const answer = v.safeParse(answerSchema, response.ok ? await readJson(response) : null);
  if (!answer.success) throw new FetchAccountsError('notOurServer', 'Something else than our server answered.');
  return toChanges(answer.output);
}

function toChanges(answer: v.InferOutput<typeof answerSchema>): AccountChanges {
  const { cursor, isWhole, contacts, deals } = answer;
  return {
    cursor,
    isWhole,
    accounts: toRows(answer, ACCOUNT_COLUMNS),
    contacts: toRows(contacts, CONTACT_COLUMNS),
    deals: toRows(deals, DEAL_COLUMNS),
  };
}

/** Takes the rows of an answer apart, whatever order its columns have. */
function toRows<Row>(
  { columns, rows, deletedIds }: v.InferOutput<typeof listSchema>,
  wanted: readonly (keyof Row & string)[],
): TableChanges<Row> {
  const places = wanted.map((column) => [column, columns.indexOf(column)] as const);
  return {
    // the rows come from our own server, whose database holds each column to its type
    rows: rows.map(
      (row) => Object.fromEntries(places.map(([column, place]) => [column, row[place]])) as unknown as Row,
    ),
    deletedIds,
  };
}

async function tokenFor(getToken: GetToken, refresh: boolean): Promise<string> {
  const token = await getToken({ refresh }).catch((cause: unknown) => {
    if (cause instanceof NotOurServerError) throw new FetchAccountsError('notOurServer', cause.message, cause);
    throw new FetchAccountsError('unreachable', 'The server could not be reached.', cause);
  });
  if (token === null) throw new FetchAccountsError('signedOut', 'The server does not know this user.');
  return token;
}

async function fetchAs(url: string, token: string, fetch: typeof globalThis.fetch): Promise<Response> {
  try {
    return await fetch(url, {
      headers: { authorization: `Bearer ${token}` },
      cache: 'no-store',
      redirect: 'error',
      signal: AbortSignal.timeout(FETCH_TIMEOUT_MS),
    });
  } catch (cause) {
    throw new FetchAccountsError('unreachable', 'The server could not be reached.', cause);
  }
}

async function readJson(response: Response): Promise<unknown> {
  try {
    return JSON.parse(await response.text());
  } catch {
    return null;
  }
}
