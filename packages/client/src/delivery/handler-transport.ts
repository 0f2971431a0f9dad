import type { StandardSchemaV1 } from '@standard-schema/spec';
import type { TransportAnswer } from '../engine/transport-answer.ts';
import type { AtomicPayload } from '../mutation/atomic.ts';
import type { AnyMutationDefinition } from '../mutation/definition.ts';
import { HoldfastError } from '../mutation/holdfast-error.ts';
import type { Transport } from '../ports/transport.ts';
import type { ATOMIC_TYPE, Json, WireError, WireMutation } from '../protocol/wire.ts';
import { type ClassifiedFailure, classifyFailure } from './classify-failure.ts';
import { combineAnswers, type PartAnswer } from './combine-answers.ts';

/** What a handler is told beside the payload. */
export interface HandlerContext {
  /** Of the mutation: equal at every attempt, after a restart too. */
  readonly id: string;
  /** The same id, for the header of this name: a server that knows it applies the mutation once, however often it comes. */
  readonly idempotencyKey: string;
  /** Ends the attempt: give it to `fetch`. What is still on its way then is not waited for. */
  readonly signal: AbortSignal;
  /** Fresh from the queue's `auth`; null where there is none. */
  readonly token: string | null;
  /** All that is known of the mutation. */
  readonly mutation: WireMutation;
}

/**
 * Delivers one mutation to a backend. What it returns is the result; a `Response`, a result of supabase-js and an answer
 * of GraphQL are looked into, and are failures if they say so. What it throws is understood by `classifyFailure`, so throw what the backend said.
 */
export type MutationHandler<Payload> = (payload: Payload, context: HandlerContext) => unknown;

/** A handler for each type; with the definitions as its argument, their payloads are known. */
export type MutationHandlers<Definitions extends readonly AnyMutationDefinition[] = readonly AnyMutationDefinition[]> =
  {
    readonly [Type in Definitions[number]['type']]: MutationHandler<
      StandardSchemaV1.InferOutput<Extract<Definitions[number], { readonly type: Type }>['payload']>
    >;
  } & {
    /** For what `addAtomic` makes; without it such a mutation is a dead letter, `NO_HANDLER`. */
    readonly [ATOMIC_TYPE]?: MutationHandler<AtomicPayload>;
  };

export interface HandlerTransportOptions {
  /** Most handlers that run at a time; of each lane only one ever does. @default 6 */
  readonly maxConcurrent?: number;
}

/** As many connections as browsers open to one host over HTTP/1.1. */
const MAX_CONCURRENT = 6;

/**
 * Carries mutations to any backend, each by the handler of its type. Unlike Holdfast's own server it cannot promise exactly
 * once by itself: a handler whose answer is lost runs again, and the backend must know the `idempotencyKey`
 * (docs/guides/any-backend.md).
 */
export function handlerTransport<
  const Definitions extends readonly AnyMutationDefinition[] = readonly AnyMutationDefinition[],
>(handlers: MutationHandlers<Definitions>, options: HandlerTransportOptions = {}): Transport {
  const { maxConcurrent = MAX_CONCURRENT } = options;
  if (!(maxConcurrent >= 1)) throw invalidOption(maxConcurrent);
  // One lookup for all types: that a payload fits its handler is what the type of `handlers` has checked.
  const byType = new Map<string, MutationHandler<never>>(Object.entries(handlers));
  return {
    async send({ mutations }, { token, signal }) {
      // In the order of the batch, whichever ends first.
      const parts: (PartAnswer | undefined)[] = mutations.map(() => undefined);
      let begunCount = 0;
      const work = async (): Promise<void> => {
        while (begunCount < mutations.length && !signal.aborted) {
          const index = begunCount;
          begunCount += 1;
          const mutation = mutations[index] as WireMutation;
          const context = { id: mutation.id, idempotencyKey: mutation.id, signal, token, mutation };
          const answer = await deliver(byType.get(mutation.type), context);
          parts[index] = { mutations: [mutation], answer };
        }
      };
      const workers = Array.from({ length: Math.min(maxConcurrent, mutations.length) }, work);
      await untilAborted(Promise.all(workers), signal);
      // Those that hang, or were never begun, have no outcome: they go again.
      const ended = parts.filter((part) => part !== undefined);
      return ended.length === 0 && mutations.length > 0 ? { kind: 'unknown', error: NO_ANSWER } : combineAnswers(ended);
    },
  };
}

async function deliver(handler: MutationHandler<never> | undefined, context: HandlerContext): Promise<TransportAnswer> {
  const { mutation } = context;
  const { seq, id } = mutation;
  if (handler === undefined)
    return { kind: 'answered', outcomes: [{ seq, id, kind: 'rejected', error: noHandler(mutation.type) }] };
  if (mutation.outdated === true)
    return { kind: 'answered', outcomes: [{ seq, id, kind: 'rejected', error: outdated(mutation) }] };
  try {
    const returned: unknown = await handler(mutation.payload as never, context);
    if (isFailure(returned)) return answerOf(mutation, classifyFailure(returned), context.signal);
    return { kind: 'answered', outcomes: [{ seq, id, kind: 'applied', result: resultOf(returned) }] };
  } catch (cause) {
    return answerOf(mutation, classifyFailure(cause), context.signal);
  }
}

/** What the backend said of one mutation: of the mutation itself, or of the way to it. */
function answerOf({ seq, id }: WireMutation, failure: ClassifiedFailure, signal: AbortSignal): TransportAnswer {
  const { error, verdict, retryAfterMs, wasSent, wasReset } = failure;
  switch (verdict) {
    case 'rejected':
    case 'forbidden':
    case 'conflict':
      return { kind: 'answered', outcomes: [{ seq, id, kind: 'rejected', error }] };
    case 'refused':
      return { kind: 'answered', outcomes: [{ seq, id, kind: 'refused', error }] };
    case 'rateLimit':
      return { kind: 'rateLimited', error, retryAfterMs };
    case 'auth':
      return { kind: 'unauthorized', error };
    case 'outdated':
      return { kind: 'upgradeRequired', error };
    case 'line':
      if (signal.aborted || (wasSent === 'perhaps' && error.category === 'TIMEOUT_ERROR'))
        return { kind: 'unknown', error: NO_ANSWER };
      if (wasSent === 'answered') return { kind: 'unavailable', error, retryAfterMs };
      return wasSent === 'no'
        ? { kind: 'unreachable', error }
        : { kind: 'unknown', error, ...(wasReset ? { wasReset: true } : {}) };
  }
}

/** `fetch` and supabase-js hand failures back where others throw them; taken for results, they would be lost. */
function isFailure(returned: unknown): boolean {
  if (typeof returned !== 'object' || returned === null) return false;
  if (isResponse(returned)) return !returned.ok;
  if (isGraphQlFailure(returned)) return true;
  return isSupabaseResult(returned) && returned.error !== null;
}

function resultOf(returned: unknown): Json {
  if (typeof returned === 'object' && returned !== null) {
    // Its body is the handler's to read.
    if (isResponse(returned)) return null;
    if (isSupabaseResult(returned)) return toJson(returned.data);
  }
  return toJson(returned);
}

/** What JSON makes of it. It was applied in any case, so what JSON cannot carry is no failure. */
function toJson(value: unknown): Json {
  try {
    const text = JSON.stringify(value) as string | undefined;
    return text === undefined ? null : (JSON.parse(text) as Json);
  } catch {
    return null;
  }
}

function isResponse(value: object): value is Response {
  return 'ok' in value && 'status' in value && 'headers' in value && 'bodyUsed' in value;
}

function isSupabaseResult(value: object): value is { readonly data: unknown; readonly error: unknown } {
  return 'data' in value && 'error' in value && 'status' in value && 'statusText' in value;
}

/** Nothing but `errors` in it, beside what every answer of GraphQL may have. */
function isGraphQlFailure(value: object): boolean {
  const { data, errors, ...others } = value as {
    readonly data?: unknown;
    readonly errors?: unknown;
    readonly extensions?: unknown;
  };
  return (
    Array.isArray(errors) &&
    errors.length > 0 &&
    data == null &&
    Object.keys(others).every((key) => key === 'extensions')
  );
}

/** Resolves when the work is done or the signal says stop, whichever is first. */
function untilAborted(work: Promise<unknown>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = (): void => resolve();
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop, { once: true });
    work.then(() => resolve(), reject).finally(() => signal.removeEventListener('abort', stop));
  });
}

const NO_ANSWER: WireError = {
  category: 'TIMEOUT_ERROR',
  code: 'NO_ANSWER',
  message: 'The handler did not come to an end in time.',
  hint: 'Nothing to do: it is sent again under the same id. Give the `signal` to `fetch`, so that it ends with the attempt.',
};

/** Whether an earlier version of the app has sent it, nobody here can find out. */
function outdated({ type, version }: WireMutation): WireError {
  return {
    category: 'OUTDATED',
    code: 'OUTDATED',
    message: `An earlier version of the app has stored it (${type}, version ${version}), and perhaps sent it; this one cannot migrate it.`,
    hint: 'Look whether it has taken effect. Let a version of the app that can (`migrate` of its type) retry it, or discard it.',
  };
}

function noHandler(type: string): WireError {
  return {
    category: 'VALIDATION_ERROR',
    code: 'NO_HANDLER',
    message: `No handler takes mutations of the type ${JSON.stringify(type)}.`,
    hint: 'Give `handlerTransport` a handler for it, then retry.',
  };
}

function invalidOption(value: unknown): HoldfastError {
  return new HoldfastError({
    code: 'INVALID_OPTION',
    message: `handlerTransport: \`maxConcurrent\` must be a number of at least 1; it is ${String(value)}.`,
    hint: 'Correct `maxConcurrent` where the transport is made.',
  });
}
