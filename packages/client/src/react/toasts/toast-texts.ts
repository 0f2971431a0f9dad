import type { StandardSchemaV1 } from '@standard-schema/spec';
import type { AnyMutationDefinition, DefinitionOf } from '../../mutation/definition.ts';
import type { JsonObject, Operation } from '../../protocol/wire.ts';

/** What is said about one change at each of its stages; `item` is what it is about, as people call it. */
export interface ToastWords {
  /** It is being stored on this device. */
  readonly storing: (item: string) => string;
  /** It is stored on this device, and not confirmed. */
  readonly stored: (item: string) => string;
  readonly confirmed: (item: string) => string;
  readonly failed: (item: string) => string;
  readonly takenBack: (item: string) => string;
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
  readonly tooLate: string;
  readonly group: {
    readonly stored: (count: number) => string;
    readonly underWay: (confirmedCount: number, count: number) => string;
    readonly confirmed: (count: number) => string;
    readonly failed: (failedCount: number, count: number) => string;
  };
}

export const COMMON_WORDS: CommonWords = {
  undo: 'Undo',
  retry: 'Try again',
  tooLate: 'It is too late to take this back.',
  group: {
    stored: (count) => `${count} changes saved on this device`,
    underWay: (confirmedCount, count) => `${confirmedCount} of ${count} changes confirmed`,
    confirmed: (count) => `${count} changes confirmed`,
    failed: (failedCount, count) => `${failedCount} of ${count} changes could not be saved`,
  },
};

const wordsOf = (doing: string, done: string, noun: string): ToastWords => ({
  storing: (item) => `${doing} ${item}…`,
  stored: (item) => `${item}: ${noun} saved on this device`,
  confirmed: (item) => `${item} ${done}`,
  failed: (item) => `${item} could not be ${done}`,
  takenBack: (item) => `${item}: taken back`,
});

const WORDS: Readonly<Record<Operation, ToastWords>> = {
  create: { ...wordsOf('Creating', 'created', ''), stored: (item) => `${item} saved on this device` },
  update: { ...wordsOf('Saving', 'saved', 'change') },
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
