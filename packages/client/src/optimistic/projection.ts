import { create } from 'mutative';
import type { AnyMutationDefinition, OwnEffect } from '../mutation/definition.ts';
import type { EntityRef, JsonObject, Operation } from '../protocol/wire.ts';

/** A mutation whose effect is shown before fresh data contains it. */
export interface ShownMutation {
  readonly id: string;
  readonly type: string;
  readonly operation: Operation;
  /** The row it is about; null where its type names none. */
  readonly entity: EntityRef | null;
  readonly payload: JsonObject;
  readonly definition: AnyMutationDefinition;
  /** What this run of the app gave for this mutation alone. */
  readonly own: OwnEffect;
  /** It failed, or was taken back: what its rollback does is shown instead, until fresh data has come. */
  readonly isRolledBack: boolean;
}

/** How mutations are shown on top of a state of some shape. */
export interface Projection<State> {
  /** Whether the state shows anything of it. */
  readonly concerns: (mutation: ShownMutation) => boolean;
  /** Whether something is shown in the place of one that has failed. */
  readonly hasRollback: (mutation: ShownMutation) => boolean;
  /**
   * The state with the mutations on top of it, which are in the order they were added. Changes nothing that it is given,
   * and returns the state itself where there is nothing to show. A mutation whose effect throws is left out, and told.
   */
  readonly project: (state: State, mutations: readonly ShownMutation[], threw: EffectThrew) => State;
  /** Whether one added later may be projected onto the view that is there, instead of all of them onto the base. */
  readonly isIncremental: boolean;
}

/** Told of a mutation whose effect cannot be shown. */
export type EffectThrew = (mutation: ShownMutation, error: unknown) => void;

/** By what the types say themselves (`optimistic`, `rollback`), on a draft of the state. */
export function projectionByTypes<State extends object>(): Projection<State> {
  return {
    concerns: (mutation) => effectOf(mutation) !== undefined,
    hasRollback: ({ own, definition }) => (own.rollback ?? definition.rollback) !== undefined,
    project: (state, mutations, threw) => (mutations.length === 0 ? state : perform(state, mutations, threw)),
    isIncremental: true,
  };
}

/**
 * Performs them on one draft; if one of them throws, again one by one, without those that throw: an effect that does not fit
 * the state (its row is gone, say) is not shown, and delivery is none of its business.
 */
function perform<State extends object>(state: State, mutations: readonly ShownMutation[], threw: EffectThrew): State {
  try {
    return create(state, (draft) => {
      for (const mutation of mutations) effectOf(mutation)?.(draft, mutation.payload);
    });
  } catch (error) {
    const [only] = mutations;
    if (only !== undefined && mutations.length === 1) {
      threw(only, error);
      return state;
    }
    return mutations.reduce((before, mutation) => perform(before, [mutation], threw), state);
  }
}

/** What was given for this mutation alone goes before what its type says. */
function effectOf({ own, definition, isRolledBack }: ShownMutation): OwnEffect['optimisticUpdate'] {
  return isRolledBack ? (own.rollback ?? definition.rollback) : (own.optimisticUpdate ?? definition.optimistic);
}
