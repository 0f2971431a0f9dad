import type { StandardSchemaV1 } from '@standard-schema/spec';
import type { AnyMutationDefinition, DefinitionOf } from '../../mutation/definition.ts';
import { describeRefusal } from '../../mutation/refusal-words.ts';
import type { JsonObject, Operation, WireError } from '../../protocol/wire.ts';

/** What is said about one change at each of its stages; `item` is what it is about, as people call it. */
export interface ToastWords {
  /** It is being stored on this device. */
  readonly storing: (item: string) => string;
  /** It is stored on this device, and not confirmed. */
  readonly stored: (item: string) => string;
  /** This device cannot store it: it is kept in this tab only, and not confirmed. */
  readonly inTab: (item: string) => string;
  readonly confirmed: (item: string) => string;
  readonly failed: (item: string) => string;
  /** It is being undone, and the server has not confirmed that. */
  readonly undoing: (item: string) => string;
  /** It never was sent, or the server has undone it. */
  readonly takenBack: (item: string) => string;
  readonly notTakenBack: (item: string) => string;
  /** It gave way to what somebody else had changed: it took no effect. */
  readonly superseded: (item: string) => string;
  /** It is not in the queue any more, and nobody here has heard how it ended. */
  readonly unheard: (item: string) => string;
}

/** What is said about mutations of one type. */
export interface TypeTexts<PayloadType> {
  /** What people call the thing. @default the id of the row, or the type */
  readonly item?: (payload: PayloadType) => string;
  /** @default by its operation */
  readonly words?: Partial<ToastWords>;
}

/** By type; `false` for one that no toast is shown for. */
export type ToastTexts<Definitions extends readonly AnyMutationDefinition[]> = {
  readonly [Type in Definitions[number]['type']]?:
    | TypeTexts<StandardSchemaV1.InferOutput<DefinitionOf<Definitions[number], Type>['payload']>>
    | false;
};

/** Words about the toasts themselves, for another language. */
export interface CommonWords {
  readonly undo: string;
  readonly retry: string;
  /** Asked before a refused change is tried again, where its row was changed again since. */
  readonly overtaken: string;
  readonly overwrite: string;
  /** There is nothing to undo a change with. */
  readonly notPossible: string;
  /** Said beside what is kept in this tab only. */
  readonly keepTabOpen: string;
  /** Said beside what gave way to what somebody else had changed. */
  readonly superseded: string;
  /** Said beside what has ended without a word of how. */
  readonly unheard: string;
  /** Why something was not accepted, or could not be stored. @default `describeRefusal` */
  readonly refused: (error: Pick<WireError, 'code' | 'message' | 'hint'>) => string;
  readonly group: {
    readonly stored: (count: number) => string;
    readonly inTab: (count: number) => string;
    readonly underWay: (confirmedCount: number, count: number) => string;
    readonly confirmed: (count: number) => string;
    readonly failed: (failedCount: number, count: number) => string;
    readonly takenBack: (count: number) => string;
    readonly superseded: (count: number) => string;
    readonly unheard: (count: number) => string;
  };
}

const changes = (count: number): string => (count === 1 ? '1 change' : `${count} changes`);

export const COMMON_WORDS: CommonWords = {
  undo: 'Undo',
  retry: 'Try again',
  overtaken: 'This would overwrite a later change.',
  overwrite: 'Overwrite',
  notPossible: 'This cannot be taken back.',
  keepTabOpen: 'Keep it open, or it is lost.',
  superseded: 'Someone else has changed the same.',
  unheard: 'How it ended was not heard in this tab: look whether it is there.',
  refused: describeRefusal,
  group: {
    stored: (count) => `${changes(count)} saved on this device`,
    inTab: (count) => `${changes(count)} in this tab only`,
    underWay: (confirmedCount, count) => `${confirmedCount} of ${changes(count)} confirmed`,
    confirmed: (count) => `${changes(count)} confirmed`,
    failed: (failedCount, count) => `${failedCount} of ${changes(count)} could not be saved`,
    takenBack: (count) => `${changes(count)} taken back`,
    superseded: (count) => `${changes(count)} gave way to others`,
    unheard: (count) => `${changes(count)} no longer in the queue`,
  },
};

const wordsOf = (doing: string, done: string, noun = ''): ToastWords => {
  const of = (item: string): string => (noun === '' ? item : `${item}: ${noun}`);
  return {
    storing: (item) => `${doing} ${item}…`,
    stored: (item) => `${of(item)} saved on this device`,
    inTab: (item) => `${of(item)} in this tab only`,
    confirmed: (item) => `${item} ${done}`,
    failed: (item) => `${item} could not be ${done}`,
    undoing: (item) => `${item}: being taken back`,
    takenBack: (item) => `${item}: taken back`,
    notTakenBack: (item) => `${item}: not taken back`,
    superseded: (item) => `${item} was not ${done}`,
    unheard: (item) => `${of(item)} no longer in the queue`,
  };
};

const WORDS: Readonly<Record<Operation, ToastWords>> = {
  create: wordsOf('Creating', 'created'),
  update: wordsOf('Saving', 'saved', 'change'),
  delete: wordsOf('Deleting', 'deleted', 'deletion'),
  restore: wordsOf('Restoring', 'restored', 'restoration'),
  custom: wordsOf('Saving', 'saved', 'change'),
};

/** What is said about one mutation. */
export interface Said {
  readonly item: string;
  readonly words: ToastWords;
}

/** Null for a type that no toast is shown for. */
export function saidAbout(
  definition: AnyMutationDefinition,
  texts: TypeTexts<never> | false | undefined,
  payload: JsonObject | null,
): Said | null {
  if (texts === false) return null;
  const words = { ...WORDS[definition.operation], ...texts?.words };
  const item = texts?.item as ((payload: JsonObject) => string) | undefined;
  const named = payload === null || item === undefined ? undefined : item(payload);
  return { item: named ?? entityIdOf(definition, payload) ?? definition.type, words };
}

function entityIdOf(definition: AnyMutationDefinition, payload: JsonObject | null): string | undefined {
  return payload === null ? undefined : definition.entity?.(payload).id;
}
