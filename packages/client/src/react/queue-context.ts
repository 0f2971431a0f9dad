import { type Context, createContext, useContext } from 'react';
import type { AnyMutationDefinition } from '../mutation/definition.ts';
import { HoldfastError } from '../mutation/holdfast-error.ts';
import type { MutationQueue } from '../queue/mutation-queue.ts';

/** A queue of whichever mutations. */
export type AnyQueue = MutationQueue<readonly AnyMutationDefinition[]>;

export const QueueContext: Context<AnyQueue | null> = createContext<AnyQueue | null>(null);

/** The queue that was handed in, or else the provider's. */
export function useQueue(queue?: AnyQueue): AnyQueue {
  const provided = useContext(QueueContext);
  const found = queue ?? provided;
  if (found === null) {
    throw new HoldfastError({
      code: 'INVALID_OPTION',
      message: 'A Holdfast hook was used outside of a `<HoldfastProvider queue={queue}>`.',
      hint: 'Put the provider around the component, or hand the queue to the hook.',
    });
  }
  return found;
}
