import type { Json } from 'holdfast/protocol';
import { type ParsedApplyRequest, toBatchText } from './apply-request.ts';
import { type CallerClaims, queryAsCaller, withCaller, type WithCallerOptions } from './caller.ts';
import { type Database, DatabaseUnavailableError, fieldOf, type Session, sqlStateOf } from './database.ts';

export type HandledMutation = ParsedApplyRequest['mutations'][number];

export interface HandlerContext {
  /** In the transaction of the batch, as the caller, under row-level security. What is written here is undone when it throws. */
  readonly session: Session;
  readonly claims: CallerClaims;
  /** Aborted when the time of the handler is up; from then on `session` refuses. */
  readonly signal: AbortSignal;
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

const APPLY = 'select holdfast.apply_as_text($1::jsonb) as text';
/** How long a handler may take, in milliseconds, unless the door says otherwise. */
export const HANDLER_MS_MAX = 10_000;
/** Longest words of a handler that are kept, in characters. */
const WORDS_LENGTH_MAX = 2_000;

/** Of savepoints in a call, those of the database among them: more than 64 in one transaction slow the whole server down. */
const BLOCK_COUNT_MAX = 50;

export interface ApplyOptions extends WithCallerOptions, Handling {}

interface Handling {
  readonly handlers: MutationHandlers;
  /** How long each of them may take, in milliseconds. */
  readonly handlerTimeoutMs: number;
}

/**
 * Applies a batch in one transaction, as its caller: in the database as far as the database handles it, and by
 * `handlers` where they name the type. Order holds across both.
 *
 * @returns the ApplyResponse as text, so that results reach the device digit for digit.
 */
export async function applyRequest(
  database: Database,
  claims: CallerClaims,
  request: ParsedApplyRequest,
  { handlers, handlerTimeoutMs, ...options }: ApplyOptions,
): Promise<string> {
  if (request.mutations.some(({ type }) => Object.hasOwn(handlers, type))) {
    return withCaller(
      database,
      claims,
      (session) => applyInTurns(session, claims, request, { handlers, handlerTimeoutMs }),
      options,
    );
  }
  return textOf(await queryAsCaller(database, claims, { sql: APPLY, parameters: [toBatchText(request)] }, options));
}

async function applyInTurns(
  session: Session,
  claims: CallerClaims,
  request: ParsedApplyRequest,
  { handlers, handlerTimeoutMs }: Handling,
): Promise<string> {
  const isHandled = ({ type }: HandledMutation): boolean => Object.hasOwn(handlers, type);
  // A client of before a rewind is told so: of what it sends nothing is carried out, and its floor is not believed.
  const epoch = await read(session, 'select holdfast.current_epoch()::text as text', []);
  if (request.epoch !== undefined && request.epoch !== epoch) return read(session, APPLY, [toBatchText(request)]);
  // Nor of one that has used a number twice, which is found by looking at all of them together.
  const looked = await read(
    session,
    `select current_setting('holdfast.client_notice', true) as text from holdfast.take_batch($1::jsonb)`,
    [toBatchText(request)],
  );
  if (looked.startsWith('{"behind"')) return read(session, APPLY, [toBatchText(request)]);
  // all that is not about a mutation is asked for once, with none
  const rest = await read(session, `select (holdfast.apply($1::jsonb) - 'outcomes')::text as text`, [
    toBatchText({ ...request, mutations: [] }),
  ]);
  const outcomes: string[] = [];
  let blocksLeft = BLOCK_COUNT_MAX;
  let isTimeUp = false;
  for (let at = 0; at < request.mutations.length; ) {
    const mutation = request.mutations[at];
    if (mutation === undefined) break;
    // the client's row and a connection are held meanwhile, so one that was too slow is the last of its call
    if (isTimeUp) {
      outcomes.push(JSON.stringify({ seq: mutation.seq, id: mutation.id, kind: 'deferred' }));
      at += 1;
      continue;
    }
    if (isHandled(mutation)) {
      if (blocksLeft > 0) {
        const goesOn = at + 1 < request.mutations.length || (request.client.unsentCount ?? 0) > 0;
        const handled = await applyHandled(
          session,
          claims,
          { ...request, mutations: [mutation] },
          {
            handler: handlers[mutation.type],
            handlerTimeoutMs,
            goesOn,
          },
        );
        outcomes.push(handled.outcome);
        isTimeUp = handled.isTimeUp;
      } else outcomes.push(JSON.stringify({ seq: mutation.seq, id: mutation.id, kind: 'deferred' }));
      blocksLeft -= 1;
      at += 1;
      continue;
    }
    const next = request.mutations.findIndex((other, index) => index > at && isHandled(other));
    const end = next === -1 ? request.mutations.length : next;
    const [part] = await session.query<{ readonly text: string; readonly blockCount: number }>(
      'select applied.told as text, applied.block_count as "blockCount" from holdfast.apply_mutations($1::jsonb) as applied',
      [
        toBatchText({
          ...request,
          mutations: request.mutations.slice(at, end),
          goesOn: end < request.mutations.length,
          blocksLeft: Math.max(0, blocksLeft),
        }),
      ],
    );
    if (part === undefined) throw new Error('The database gave no answer.');
    outcomes.push(part.text.slice(1, -1));
    blocksLeft -= part.blockCount;
    at = end;
  }
  const told = `[${outcomes.join(', ')}]`;
  if (request.mutations.some(isNoteworthy) || FAILURES.test(told)) {
    await session.query(`select holdfast.try_notes($1::jsonb - 'telemetry', $2::jsonb)`, [toBatchText(request), told]);
  }
  return `${rest.slice(0, -1)}, "outcomes": ${told}}`;
}

/** What went well at the first attempt leaves no note, as `apply_as_text` has it. */
function isNoteworthy({ source, attempt = 1, generation }: HandledMutation): boolean {
  return source !== undefined || attempt > 1 || generation > 0;
}

/** More than that may look like one in what a handler answers; then there is nothing to note. */
const FAILURES = /"kind": ?"(rejected|refused|conflict)"/;

interface HandlingOptions {
  readonly handler: MutationHandler | undefined;
  readonly handlerTimeoutMs: number;
  /** More of the device follows in another call. */
  readonly goesOn: boolean;
}

async function applyHandled(
  session: Session,
  claims: CallerClaims,
  batch: ParsedApplyRequest,
  { handler, handlerTimeoutMs, goesOn }: HandlingOptions,
): Promise<{ readonly outcome: string; readonly isTimeUp: boolean }> {
  const [mutation] = batch.mutations;
  if (mutation === undefined || handler === undefined)
    throw new Error('A handled batch is one mutation with its handler.');
  const text = toBatchText(batch);
  const [begun] = await session.query<{ text: string | null }>(
    'select holdfast.begin_handler($1::jsonb)::text as text',
    [text],
  );
  if (begun?.text != null) return { outcome: begun.text, isTimeUp: false };
  await session.query('savepoint holdfast_handler');
  let isDone = false;
  try {
    await session.query(`select holdfast.refuse_unfit_payload($1::jsonb #> '{mutations,0}')`, [text]);
    const done =
      (await inTime(session, handlerTimeoutMs, (own, signal) => handler(mutation, { session: own, claims, signal }))) ??
      {};
    isDone = true;
    const outcome = await read(session, 'select holdfast.finish_handler($1::jsonb, $2::jsonb, $3)::text as text', [
      text,
      done.result === undefined ? null : JSON.stringify(done.result),
      done.rowVersion ?? null,
    ]);
    await session.query('release savepoint holdfast_handler');
    return { outcome, isTimeUp: false };
  } catch (error) {
    if (error instanceof DatabaseUnavailableError) throw error;
    await session.query('rollback to savepoint holdfast_handler');
    await session.query('release savepoint holdfast_handler');
    const isRejection = error instanceof Rejection;
    const isTimeUp = error instanceof TimeUp;
    const outcome = await read(session, 'select holdfast.fail_handler($1::jsonb, $2, $3, $4, $5)::text as text', [
      // what the checks at its end found missing may come with what follows
      isDone && goesOn ? toBatchText({ ...batch, goesOn }) : text,
      // P0001 is for good, XX000 and 57014 may pass
      isRejection ? 'P0001' : isTimeUp ? '57014' : (sqlStateOf(error) ?? 'XX000'),
      storable(error instanceof Error ? error.message : String(error)),
      storable(fieldOf(error, 'hint')),
      fieldOf(error, 'constraint'),
    ]);
    return { outcome, isTimeUp };
  }
}

class TimeUp extends Error {
  override readonly name: string = 'TimeUp';
}

/**
 * Gives the handler a session that ends with it: what it does later would be part of whatever the connection serves then. A
 * statement that is under way ends by the limit of statements, and what comes next waits for it.
 */
async function inTime<Result>(
  session: Session,
  timeoutMs: number,
  run: (own: Session, signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const ended = new AbortController();
  const refuseLate = (): void => {
    if (ended.signal.aborted) throw new Error('The handler has ended: its session takes no more statements.');
  };
  const own: Session = {
    copiesWhole: session.copiesWhole,
    query: async (sql, parameters) => {
      refuseLate();
      return session.query(sql, parameters);
    },
    runScript: async (sql) => {
      refuseLate();
      return session.runScript(sql);
    },
    copyOut: (sql) => {
      refuseLate();
      return session.copyOut(sql);
    },
  };
  let timer: NodeJS.Timeout | undefined;
  const timeUp = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new TimeUp('The handler took too long.')), timeoutMs);
  });
  try {
    return await Promise.race([run(own, ended.signal), timeUp]);
  } finally {
    clearTimeout(timer);
    ended.abort();
  }
}

/** Words of a handler as a database can hold them. */
function storable<Text extends string | null>(text: Text): Text {
  return text?.replaceAll('\u0000', '').toWellFormed().slice(0, WORDS_LENGTH_MAX) as Text;
}

async function read(session: Session, sql: string, parameters: readonly unknown[]): Promise<string> {
  return textOf(await session.query(sql, parameters));
}

function textOf([row]: readonly { readonly text: string }[]): string {
  if (row === undefined) throw new Error('The database gave no answer.');
  return row.text;
}
