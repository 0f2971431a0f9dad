import {
  type AnyMutationDefinition,
  type CancelAnswer,
  createQueue,
  defineMutation,
  type EditAnswer,
  HoldfastError,
  httpTransport,
  type Identity,
  type MutationQueue,
  type NetworkSource,
  type OpenStorage,
  type OpenTabs,
  type Operation,
  type PayloadSchema,
  soloTabs,
} from 'holdfast';
import { Dice } from '../dice.ts';

/** What a victim tells whoever kills it; what it had no time to tell, nobody has to keep. */
export type VictimMessage =
  /** It is open, and this is all it holds that is not confirmed. */
  | { readonly kind: 'opened'; readonly open: readonly Held[] }
  | { readonly kind: 'adding'; readonly id: string; readonly tag: string; readonly rowId: string }
  | { readonly kind: 'added'; readonly id: string }
  | { readonly kind: 'editing'; readonly id: string; readonly tag: string }
  | { readonly kind: 'edited'; readonly id: string; readonly tag: string; readonly answer: EditAnswer }
  | { readonly kind: 'cancelling'; readonly id: string }
  | { readonly kind: 'cancelled'; readonly id: string; readonly answer: CancelAnswer }
  /** Refused for want of room. */
  | { readonly kind: 'full' }
  /** Something that a healthy device does not do. */
  | { readonly kind: 'failed'; readonly what: string }
  | { readonly kind: 'drained'; readonly open: readonly Held[] };

interface Held {
  readonly id: string;
  readonly status: string;
}

/** How to live: `work` goes on until it is killed, `drain` delivers what is there and ends. */
export interface VictimLife {
  readonly kind: 'work' | 'drain';
  /** Of its own in the run; goes into ids and tags. */
  readonly number: number;
  /** Goes into the ids of rows: those that only this process of the device changes. */
  readonly rowNumber: number;
  readonly serverUrl: string;
  readonly token: string;
  readonly identity: Identity;
  /** To see that it is found out: a store that calls itself strict, and writes a moment later. */
  readonly isHasty?: boolean;
  /** Version of its app: 2 migrates what 1 has stored, and 1 does not know what 2 has. @default 1 */
  readonly appVersion?: 1 | 2;
  /** Most pages of its database: a small disk, which is soon full. @default none */
  readonly pageCountMax?: number;
}

export interface VictimWorld {
  readonly storage: OpenStorage;
  readonly tabs?: OpenTabs;
  /** Returns when it has been told. */
  readonly tell: (message: VictimMessage) => void;
  readonly pause: (ms: number) => Promise<void>;
}

type Payload = { readonly id: string; readonly tag: string };

const anyPayload: PayloadSchema & {
  readonly '~standard': { readonly types?: { readonly input: Payload; readonly output: Payload } };
} = { '~standard': { version: 1, vendor: 'holdfast-kills', validate: (value) => ({ value: value as Payload }) } };

const define = (type: string, operation: Operation, version: 1 | 2): AnyMutationDefinition =>
  defineMutation({
    type,
    operation,
    version,
    ...(version === 1 ? {} : { migrate: { 1: (payload: Payload) => payload } }),
    payload: anyPayload,
    entity: ({ id }) => ({ table: 'lines', id }),
    dedupe: false,
  });
/** Reached always: what is tried here are kills, and a server that loses answers. */
const network: NetworkSource = {
  isOnline: () => true,
  onHint: () => () => {},
  probe: async () => ({ kind: 'reached', latencyMs: 1 }),
};

/** An app on a device that may lose its life at any moment. */
export async function live(life: VictimLife, { storage, tabs = soloTabs, tell, pause }: VictimWorld): Promise<void> {
  const { appVersion = 1 } = life;
  const queue = createQueue({
    name: 'kills',
    identity: life.identity,
    mutations: [define('line.create', 'create', appVersion), define('line.set', 'update', appVersion)],
    transport: httpTransport({ url: `${life.serverUrl}/v1/apply` }),
    network,
    tabs,
    storage,
    auth: { getToken: async () => life.token },
    queueCapCount: Number.POSITIVE_INFINITY,
    queueCapBytes: Number.POSITIVE_INFINITY,
  });
  await queue.ready;
  const held = (): readonly Held[] =>
    queue.listUnconfirmed(Number.MAX_SAFE_INTEGER).map(({ id, status }) => ({ id, status }));
  tell({ kind: 'opened', open: held() });
  if (life.kind === 'drain') {
    // A lost answer opens the breaker for a moment, and then the rest goes.
    while (queue.getSnapshot().pendingCount > 0) await Promise.race([queue.process(), pause(2_000)]);
    tell({ kind: 'drained', open: held() });
    await queue.close();
    return;
  }
  await work(queue, life, tell, pause);
}

const ROW_COUNT = 6;

async function work(
  queue: MutationQueue<readonly AnyMutationDefinition[]>,
  { number, rowNumber, appVersion, pageCountMax }: VictimLife,
  tell: VictimWorld['tell'],
  pause: VictimWorld['pause'],
): Promise<never> {
  // The same draws for the same number: only the moment of the kill is left to chance.
  const dice = new Dice(number);
  const draw = (): number => dice.next();
  const ids: string[] = [];
  let count = 0;
  // Somebody else was faster, or it is gone: the app is told, and nothing was promised.
  const expected: (string | null)[] = ['UNKNOWN_MUTATION'];
  if (appVersion !== undefined) expected.push('UPGRADE_REQUIRED');
  if (pageCountMax !== undefined) expected.push('STORAGE_FULL');
  const add = async (): Promise<void> => {
    const tag = `${number}.${count}`;
    count += 1;
    // Now and then a new row, which later lives change too.
    const isNew = draw() < 0.15;
    const rowId = rowIdOf(rowNumber, isNew ? number * 1_000 + count : Math.floor(draw() * ROW_COUNT));
    const id = mutationIdOf(number, count);
    tell({ kind: 'adding', id, tag, rowId });
    ids.push(id);
    await queue.add({ type: isNew ? 'line.create' : 'line.set', payload: { id: rowId, tag }, id });
    tell({ kind: 'added', id });
  };
  const edit = async (id: string): Promise<void> => {
    const entry = queue.listUnconfirmed(Number.MAX_SAFE_INTEGER).find((each) => each.id === id);
    if (entry?.entity == null) return;
    const tag = `${number}.${count}`;
    count += 1;
    tell({ kind: 'editing', id, tag });
    tell({ kind: 'edited', id, tag, answer: await queue.edit(id, { id: entry.entity.id, tag }) });
  };
  const cancel = async (id: string): Promise<void> => {
    tell({ kind: 'cancelling', id });
    tell({ kind: 'cancelled', id, answer: await queue.cancel(id) });
  };
  for (;;) {
    const what = draw();
    const any = ids[Math.floor(draw() * ids.length)];
    const acts =
      what < 0.35 || any === undefined
        ? [add()]
        : what < 0.6
          ? Array.from({ length: 2 + Math.floor(draw() * 6) }, add)
          : what < 0.75
            ? [edit(any)]
            : what < 0.85
              ? [cancel(any)]
              : what < 0.95
                ? [add(), cancel(any), edit(any)]
                : [pause(draw() * 20)];
    for (const { reason } of (await Promise.allSettled(acts)).filter((each) => each.status === 'rejected')) {
      const code = reason instanceof HoldfastError ? reason.code : null;
      if (code === 'STORAGE_FULL') tell({ kind: 'full' });
      if (!expected.includes(code)) tell({ kind: 'failed', what: String(reason) });
    }
  }
}

/** Rows that are there from the beginning. */
export function firstRowIds(rowNumber: number): readonly string[] {
  return Array.from({ length: ROW_COUNT }, (_, index) => rowIdOf(rowNumber, index));
}

function rowIdOf(rowNumber: number, index: number): string {
  return `${String(rowNumber).padStart(8, '0')}-0000-4000-8000-${String(index).padStart(12, '0')}`;
}

function mutationIdOf(number: number, count: number): string {
  return `019b0000-0000-7000-8000-${number.toString(16).padStart(8, '0')}${count.toString(16).padStart(4, '0')}`;
}
