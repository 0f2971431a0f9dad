import type { Transport } from '../ports/transport.ts';
import type { ApplyRequest, WireMutation } from '../protocol/wire.ts';
import { combineAnswers, type PartAnswer } from './combine-answers.ts';

export interface RouteTransportOptions {
  /** The way of each type that does not go with the others. */
  readonly byType: Readonly<Record<string, Transport>>;
  /** The way of all other types. */
  readonly otherwise: Transport;
}

/** Numbers of earlier mutations that are remembered for each way; `after` names recent ones. */
const REMEMBERED_COUNT = 10_000;

/**
 * Sends each mutation the way of its type, those of one batch at the same time. All share one queue and one line: a backend
 * that is away costs the others pauses, so backends that fail independently are better given a queue each.
 */
export function routeTransport({ byType, otherwise }: RouteTransportOptions): Transport {
  const carried = new Map<Transport, Set<number>>();
  const wayOf = (type: string): Transport => (Object.hasOwn(byType, type) ? (byType[type] as Transport) : otherwise);
  return {
    async send(request, options) {
      const { mutations } = request;
      // An empty batch is a heartbeat for the server that the rest goes to.
      if (mutations.length === 0) return otherwise.send(request, options);
      const ways = new Map<Transport, WireMutation[]>();
      for (const mutation of mutations) {
        const way = wayOf(mutation.type);
        ways.set(way, [...(ways.get(way) ?? []), mutation]);
      }
      const parts = await Promise.all(
        [...ways].map(async ([way, part]): Promise<PartAnswer> => {
          const seen = carried.get(way) ?? new Set();
          carried.set(way, seen);
          const answer = await way.send(partOf(request, part, seen), options);
          for (const { seq } of part) remember(seen, seq);
          return { mutations: part, answer };
        }),
      );
      return combineAnswers(parts);
    },
  };
}

/**
 * A server cannot wait for a mutation that went another way. The queue sends one only when the one before it has settled, so
 * saying that nothing is waited for is right.
 */
function partOf(request: ApplyRequest, mutations: readonly WireMutation[], seen: ReadonlySet<number>): ApplyRequest {
  return {
    ...request,
    mutations: mutations.map((mutation) =>
      mutation.after === null || seen.has(mutation.after) ? mutation : { ...mutation, after: null },
    ),
  };
}

function remember(seen: Set<number>, seq: number): void {
  seen.add(seq);
  // A set keeps the order of adding, and this one is not empty.
  if (seen.size > REMEMBERED_COUNT) seen.delete(seen.values().next().value as number);
}
