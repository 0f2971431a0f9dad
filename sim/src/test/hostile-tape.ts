import type { WireMutation, WireOutcome } from 'holdfast/protocol';
import { BatchRefusal } from '../../../packages/client/src/testing/ledger.ts';
import { Dice } from '../dice.ts';
import { ServerModel } from '../server-model.ts';
import type { TapeEntry } from '../sim-server.ts';
import { MOODS } from '../workload.ts';

export interface HostileTape {
  readonly entries: readonly TapeEntry[];
  readonly model: ServerModel;
}

/**
 * Requests that no queue of ours would send: numbers and ids used twice, in one batch or across devices, floors raised
 * over what was never sent, gaps, payloads changed, generations that go up and down. The model and the database must
 * still say the same.
 */
export function recordHostileTape(seed: number, callCount: number): HostileTape {
  const dice = new Dice(seed);
  const model = new ServerModel(() => {});
  const entries: TapeEntry[] = [];
  const ids = Array.from({ length: 30 }, () => uuid(dice));
  const entityIds = Array.from({ length: 4 }, () => uuid(dice));
  const clients = [0, 1].map((index) => ({ id: uuid(dice), sub: `hostile-${seed}-${index}` }));
  let floor = 0;
  for (let call = 0; call < callCount; call += 1) {
    for (const mood of MOODS) model.failingMoods[dice.chance(0.3) ? 'add' : 'delete'](mood);
    const client = dice.pick(clients);
    if (dice.chance(0.1)) floor = dice.below(Math.ceil(call / 3) + 1);
    const caller = { sub: client.sub, workspaceId: `hostile-${seed}` };
    const request = {
      protocol: 1,
      client: { id: client.id, workspaceId: caller.workspaceId },
      acknowledgedFloor: floor,
      mutations: Array.from({ length: 1 + dice.below(6) }, () => mutation(dice, call, ids, entityIds)),
    };
    const failingMoods = [...model.failingMoods];
    const outcomes = outcomesOf(() => model.apply(caller, request).outcomes);
    if (outcomes !== null) entries.push({ caller, failingMoods, request, outcomes });
  }
  return { entries, model };
}

function mutation(dice: Dice, call: number, ids: readonly string[], entityIds: readonly string[]): WireMutation {
  const number = dice.below(ids.length);
  const seq = dice.chance(0.8) ? number + 1 : 1 + dice.below(call + 2);
  // Mostly the same mutation under the same number and id, so that repeats are frequent.
  const steady = dice.chance(0.85) ? number : dice.below(1_000);
  const operation = (['create', 'update', 'update', 'delete'] as const)[steady % 4] ?? 'update';
  const fields = { level: (steady % 11) - 1, mood: steady % 2 === 0 ? (MOODS[steady % MOODS.length] ?? null) : null };
  return {
    id: ids[number] ?? '',
    seq,
    after: dice.chance(0.4) ? null : 1 + dice.below(seq + 1),
    generation: dice.chance(0.7) ? 0 : dice.below(4),
    type: `item.${operation}`,
    version: 1,
    operation,
    entity: { table: 'sim_items', id: entityIds[steady % entityIds.length] ?? '' },
    payload: {
      tag: `m${steady}`,
      ...fields,
      ...(dice.chance(0.9) ? {} : { beta: `m${dice.below(9)}` }),
      ...(steady % 13 === 0 ? { colour: 'none' } : {}),
    },
    createdAt: '2026-01-01T00:00:00.000Z',
    ...(dice.chance(0.25) ? { base: { rowVersion: dice.below(6) } } : {}),
    ...(dice.chance(0.2) ? { rebases: dice.below(3) } : {}),
  };
}

function outcomesOf(apply: () => readonly WireOutcome[]): readonly WireOutcome[] | null {
  try {
    return apply();
  } catch (error) {
    if (error instanceof BatchRefusal) return null;
    throw error;
  }
}

function uuid(dice: Dice): string {
  return `${dice.hex(8)}-${dice.hex(4)}-4${dice.hex(3)}-8${dice.hex(3)}-${dice.hex(12)}`;
}
