import { useCallback, useContext, useMemo, useRef, useState } from 'react';
import type { AnyMutationDefinition, MutationOptions } from '../../mutation/definition.ts';
import { HoldfastError, toHoldfastError } from '../../mutation/holdfast-error.ts';
import type { Json, JsonObject } from '../../protocol/wire.ts';
import type { MutationHandle } from '../../queue/mutation-handle.ts';
import type { Settled } from '../../queue/queue-events.ts';
import { AuditContext } from '../audit-context.ts';
import { type AnyQueue, useQueue } from '../queue-context.ts';
import type { MutationToasts } from '../toasts/mutation-toasts.ts';
import { useToasts } from '../toasts/toast-context.ts';
import type { EntityDefaults } from './create-entity-hooks.ts';
import type { MergeBook } from './merge-book.ts';
import { canUndo, type EntityDefinitions, type UndoAnswer, undoMutation, type UndoOptions } from './undo-mutation.ts';

export interface MutateOptions extends MutationOptions {
  /** No "undo" is offered, and nothing waits for it. @default false */
  readonly skipUndo?: boolean;
}

/** How far the last one is that this component has made. */
export type EntityMutationState =
  | { readonly status: 'idle'; readonly id: null; readonly error: null }
  | { readonly status: 'storing'; readonly id: null; readonly error: null }
  | { readonly status: 'stored' | 'confirmed' | 'cancelled'; readonly id: string; readonly error: null }
  /** It was refused, and is a dead letter. */
  | { readonly status: 'failed'; readonly id: string; readonly error: HoldfastError }
  /** It was not stored: nothing has happened. */
  | { readonly status: 'notStored'; readonly id: null; readonly error: HoldfastError };

interface EntityMutationActs<Payload, Result> {
  /** Adds the mutation. Never throws: what goes wrong is in `error`, on the toast, and an event of the queue. */
  readonly mutate: (payload: Payload, options?: MutateOptions) => void;
  /** The same; resolves when it is safe on this device (its `settled` is the server's verdict), rejects when it was not stored. */
  readonly mutateAsync: (payload: Payload, options?: MutateOptions) => Promise<MutationHandle<Result>>;
  /**
   * Takes the last one back: cancelled if it was never sent, else undone by another mutation. Rejects when the audit log cannot be
   * read, or nothing stored; it may be called again then.
   */
  readonly undo: () => Promise<UndoAnswer>;
  /** Forgets the last one; it goes its way all the same. */
  readonly reset: () => void;
}

export type EntityMutation<Payload, Result = never> = EntityMutationState & EntityMutationActs<Payload, Result>;

const IDLE: EntityMutationState = { status: 'idle', id: null, error: null };
/** Before the first retry; doubling from there. */
const RETRY_DELAY_MS = 1_000;

interface EntityMutationOptions extends EntityDefaults {
  readonly definition: AnyMutationDefinition;
  readonly definitions: EntityDefinitions;
  readonly merges: MergeBook;
}

export function useEntityMutation<Payload, Result>({
  definition,
  definitions,
  merges,
  maxRetries,
  delayMs,
}: EntityMutationOptions): EntityMutation<Payload, Result> {
  const queue = useQueue();
  const toasts = useToasts();
  const audit = useContext(AuditContext);
  const [state, setState] = useState(IDLE);
  /** The last one: what comes of the ones before it is not shown here any more. */
  const last = useRef<{ undo: () => Promise<UndoAnswer> } | null>(null);

  const mutateAsync = useCallback(
    async function add(
      payload: Payload,
      { skipUndo = false, ...options }: MutateOptions = {},
    ): Promise<MutationHandle<Result>> {
      const about = { type: definition.type, payload: payload as object };
      const toastId = options.toast === false ? null : (toasts?.begin(about.type, about.payload) ?? null);
      const one = { undo: (): Promise<UndoAnswer> => Promise.resolve('notPossible') };
      last.current = one;
      const show = (next: EntityMutationState): void => {
        if (last.current === one) setState(next);
      };
      show({ status: 'storing', id: null, error: null });
      try {
        const retries = definition.retry === undefined ? { maxRetries, retryDelayMs: RETRY_DELAY_MS } : {};
        const { handle, made } = await merges.add(queue, definition, () =>
          queue.add({
            ...retries,
            ...(skipUndo || delayMs === 0 ? {} : { delayMs }),
            ...options,
            type: definition.type,
            payload: payload as never,
          }),
        );
        let result: Json = null;
        const mutation = {
          ...about,
          id: handle.id,
          payload: about.payload as JsonObject,
          base: options.base,
          result: () => result,
          made,
        };
        let undoing: Promise<UndoAnswer> | null = null;
        // Asked for again, it is the same undoing; one that failed is tried anew.
        one.undo = () => {
          undoing ??= undoOnToast({ queue, definitions, audit, mutation, merges }, toasts, undo).catch(
            (error: unknown) => {
              undoing = null;
              throw error;
            },
          );
          return undoing;
        };
        const undo = (): void => {
          one.undo().catch((error: unknown) => {
            queue.report(error);
            whenOnline(queue, undo);
          });
        };
        const mayUndo = delayMs > 0 || canUndo({ definitions, audit, type: definition.type });
        const isOffered = !skipUndo && mayUndo && made?.older !== 'unknown';
        if (isOffered) toasts?.follow(toastId, mutation, undo);
        else toasts?.follow(toastId, mutation);
        show({ status: 'stored', id: handle.id, error: null });
        void handle.settled.then((settled) => {
          if (settled.status === 'completed') result = settled.result;
          show(stateOf(settled));
        });
        return handle as unknown as MutationHandle<Result>;
      } catch (cause) {
        const error = toHoldfastError(cause);
        const again = (): void => {
          add(payload, { skipUndo, ...options }).catch(() => {});
        };
        toasts?.notStored(toastId, about, error, again);
        show({ status: 'notStored', id: null, error });
        throw error;
      }
    },
    [queue, toasts, audit, definition, definitions, merges, maxRetries, delayMs],
  );

  const acts = useMemo(
    (): EntityMutationActs<Payload, Result> => ({
      mutate: (payload, options) => {
        mutateAsync(payload, options).catch((error: unknown) => queue.report(error));
      },
      mutateAsync,
      undo: () => last.current?.undo() ?? Promise.resolve('notPossible'),
      reset: () => {
        last.current = null;
        setState(IDLE);
      },
    }),
    [mutateAsync, queue],
  );
  return useMemo(() => ({ ...state, ...acts }), [state, acts]);
}

/** Undoes it, and tells on its toast how far that is. */
async function undoOnToast(
  options: Omit<UndoOptions, 'store'>,
  toasts: MutationToasts | null,
  again: () => void,
): Promise<UndoAnswer> {
  const { id } = options.mutation;
  toasts?.undoing(id);
  try {
    const answer = await undoMutation({
      ...options,
      store: (type, call) => toasts?.addUndoing(id, type, call) ?? call(),
    });
    if (answer === 'cancelled') toasts?.undone(id);
    if (answer === 'notPossible') toasts?.notUndone(id, null);
    return answer;
  } catch (error) {
    toasts?.notUndone(id, { error: toHoldfastError(error), again });
    throw error;
  }
}

/** What could not be undone for want of a connection is tried once more when there is one. */
function whenOnline(queue: AnyQueue, call: () => void): void {
  if (queue.network.isOnline()) return;
  const stop = queue.network.onChange(({ isOnline }) => {
    if (!isOnline) return;
    stop();
    call();
  });
}

function stateOf(settled: Settled): EntityMutationState {
  const { id, status } = settled;
  if (status === 'failed') return { status, id, error: new HoldfastError(settled.error) };
  return { status: status === 'completed' ? 'confirmed' : 'cancelled', id, error: null };
}
