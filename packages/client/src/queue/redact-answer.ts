import type { TransportAnswer } from '../engine/transport-answer.ts';
import type { AnyMutationDefinition } from '../mutation/definition.ts';
import { HoldfastError, toHoldfastError } from '../mutation/holdfast-error.ts';
import { redactTexts, sensitiveFieldsOf, sensitiveTexts } from '../mutation/sensitive.ts';
import type { Json, WireError, WireMutation, WireOutcome } from '../protocol/wire.ts';

type Definitions = ReadonlyMap<string, AnyMutationDefinition>;

/** What must not be repeated of what was sent, the longest first; most often nothing. */
export function textsOf(definitions: Definitions, mutations: readonly WireMutation[]): readonly string[] {
  return mutations
    .flatMap(({ type, payload, original }) => [
      ...sensitiveTexts(definitions, type, payload),
      ...(original === undefined ? [] : sensitiveTexts(definitions, type, original.payload)),
    ])
    .sort((left, right) => right.length - left.length);
}

/** An answer as it may be stored and told: servers repeat what they were sent, in their words and in the rows they return. */
export function redactAnswer(
  answer: TransportAnswer,
  mutations: readonly WireMutation[],
  definitions: Definitions,
): TransportAnswer {
  const texts = textsOf(definitions, mutations);
  const types = new Map(mutations.map(({ id, type }) => [id, type]));
  const hasFields = mutations.some(({ type }) => sensitiveFieldsOf(definitions.get(type)).length > 0);
  if (texts.length === 0 && !hasFields) return answer;
  if (answer.kind !== 'answered') return { ...answer, error: redactError(answer.error, texts) };
  const { rest } = answer;
  return {
    ...answer,
    outcomes: answer.outcomes.map((outcome) =>
      redactOutcome(outcome, texts, sensitiveFieldsOf(definitions.get(types.get(outcome.id) ?? ''))),
    ),
    ...(rest === undefined ? {} : { rest: { ...rest, error: redactError(rest.error, texts) } }),
  };
}

/** What a transport threw, as it may be told. */
export function redactThrown(error: unknown, texts: readonly string[]): unknown {
  const known = toHoldfastError(error);
  const { code, category, message, hint } = known;
  const told = redactTexts(message, texts);
  return told === message ? error : new HoldfastError({ code, category, message: told, hint });
}

function redactOutcome(outcome: WireOutcome, texts: readonly string[], fields: readonly string[]): WireOutcome {
  if ('error' in outcome) return { ...outcome, error: redactError(outcome.error, texts) };
  return 'result' in outcome ? { ...outcome, result: withoutFields(outcome.result, fields) } : outcome;
}

function redactError(error: WireError, texts: readonly string[]): WireError {
  const { message, hint } = error;
  return {
    ...error,
    message: redactTexts(message, texts),
    ...(hint === undefined ? {} : { hint: redactTexts(hint, texts) }),
  };
}

function withoutFields(result: Json, fields: readonly string[]): Json {
  if (typeof result !== 'object' || result === null || Array.isArray(result)) return result;
  return Object.fromEntries(Object.entries(result).filter(([field]) => !fields.includes(field)));
}
