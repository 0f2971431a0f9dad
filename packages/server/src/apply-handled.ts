import type { Json } from 'holdfast/protocol';
import { type ParsedApplyRequest, toBatchText } from './apply-request.ts';
import type { CallerClaims } from './caller.ts';
import { DatabaseUnavailableError, fieldOf, type Session, sqlStateOf } from './database.ts';

export type HandledMutation = ParsedApplyRequest['mutations'][number];

export interface HandlerContext {
  /** In the transaction of the batch, as the caller, under row-level security. What is written here is undone when it throws. */
  readonly session: Session;
  readonly claims: CallerClaims;
}

/**
 * Carries out one mutation. What it resolves to is the result that the device is given, and given again when it asks again; it
 * is not called again for a mutation that it has carried out. It refuses for good with a `Rejection`, or by an error of Postgres
 * that can never pass; after any other error the device tries again later.
 */
export type MutationHandler = (
  mutation: HandledMutation,
  context: HandlerContext,
) => Promise<{ readonly result?: Json; readonly rowVersion?: number } | void>;

/** By the type of the mutation. A type that is not here goes to the handlers in the database. */
export interface MutationHandlers {
  readonly [type: string]: MutationHandler;
}

/** Thrown by a handler for what can never succeed. The words are for the person at the device. */
export class Rejection extends Error {
  override readonly name: string = 'Rejection';
  /** What to do, in the imperative. */
  readonly hint: string;

  constructor(message: string, hint: string, options?: ErrorOptions) {
    super(message, options);
    this.hint = hint;
  }
}

/** Each takes a savepoint, and more than 64 of them in one transaction slow the whole server down. */
const HANDLED_COUNT_MAX = 50;

/**
 * Applies a batch in the session's transaction, as its caller: in the database as far as the database handles it, and by
 * `handlers` where they name the type. Order holds across both.
 *
 * @returns the ApplyResponse as text, so that results reach the device digit for digit.
 */
export async function applyRequest(
  session: Session,
  claims: CallerClaims,
  request: ParsedApplyRequest,
  handlers: MutationHandlers,
): Promise<string> {
  const isHandled = ({ type }: HandledMutation): boolean => Object.hasOwn(handlers, type);
  if (!request.mutations.some(isHandled)) {
    return read(session, 'select holdfast.apply_as_text($1::jsonb) as text', [toBatchText(request)]);
  }
  // all that is not about a mutation is asked for once, with none
  const rest = await read(session, `select (holdfast.apply($1::jsonb) - 'outcomes')::text as text`, [
    toBatchText({ ...request, mutations: [] }),
  ]);
  const outcomes: string[] = [];
  let handledCount = 0;
  for (let at = 0; at < request.mutations.length; ) {
    const mutation = request.mutations[at];
    if (mutation === undefined) break;
    if (isHandled(mutation)) {
      outcomes.push(
        handledCount < HANDLED_COUNT_MAX
          ? await applyHandled(
              session,
              claims,
              { ...request, mutations: [mutation] },
              handlers[mutation.type],
              at + 1 < request.mutations.length || (request.client.unsentCount ?? 0) > 0,
            )
          : JSON.stringify({ seq: mutation.seq, id: mutation.id, kind: 'deferred' }),
      );
      handledCount += 1;
      at += 1;
      continue;
    }
    const next = request.mutations.findIndex((other, index) => index > at && isHandled(other));
    const end = next === -1 ? request.mutations.length : next;
    const part = await read(
      session,
      `select applied.told as text from holdfast.apply_mutations($1::jsonb) as applied`,
      [toBatchText({ ...request, mutations: request.mutations.slice(at, end), goesOn: end < request.mutations.length })],
    );
    outcomes.push(part.slice(1, -1));
    at = end;
  }
  return `${rest.slice(0, -1)}, "outcomes": [${outcomes.join(', ')}]}`;
}

async function applyHandled(
  session: Session,
  claims: CallerClaims,
  batch: ParsedApplyRequest,
  handler: MutationHandler | undefined,
  goesOn: boolean,
): Promise<string> {
  const [mutation] = batch.mutations;
  if (mutation === undefined || handler === undefined)
    throw new Error('A handled batch is one mutation with its handler.');
  const text = toBatchText(batch);
  const [begun] = await session.query<{ text: string | null }>(
    'select holdfast.begin_handler($1::jsonb)::text as text',
    [text],
  );
  if (begun?.text != null) return begun.text;
  await session.query('savepoint holdfast_handler');
  let isDone = false;
  try {
    await session.query(`select holdfast.refuse_unfit_payload($1::jsonb #> '{mutations,0}')`, [text]);
    const done = (await handler(mutation, { session, claims })) ?? {};
    isDone = true;
    const outcome = await read(session, 'select holdfast.finish_handler($1::jsonb, $2::jsonb, $3)::text as text', [
      text,
      done.result === undefined ? null : JSON.stringify(done.result),
      done.rowVersion ?? null,
    ]);
    await session.query('release savepoint holdfast_handler');
    return outcome;
  } catch (error) {
    if (error instanceof DatabaseUnavailableError) throw error;
    await session.query('rollback to savepoint holdfast_handler');
    await session.query('release savepoint holdfast_handler');
    const isRejection = error instanceof Rejection;
    return read(session, 'select holdfast.fail_handler($1::jsonb, $2, $3, $4, $5)::text as text', [
      // what the checks at its end found missing may come with what follows
      isDone && goesOn ? toBatchText({ ...batch, goesOn }) : text,
      // P0001 is for good, XX000 may pass
      isRejection ? 'P0001' : (sqlStateOf(error) ?? 'XX000'),
      error instanceof Error ? error.message : String(error),
      fieldOf(error, 'hint'),
      fieldOf(error, 'constraint'),
    ]);
  }
}

async function read(session: Session, sql: string, parameters: readonly unknown[]): Promise<string> {
  const [row] = await session.query<{ text: string }>(sql, parameters);
  if (row === undefined) throw new Error('The database gave no answer.');
  return row.text;
}
