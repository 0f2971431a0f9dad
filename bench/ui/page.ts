// Runs in the page: from a change to the frame in which a list of many rows shows it, through the queue and, beside that, through React
// state alone.
import {
  createOptimisticStore,
  createQueue,
  defineMutation,
  indexedDbStorage,
  type NetworkSource,
  type PayloadSchema,
} from 'holdfast';
import { createElement, memo, type ReactNode, useEffect, useState, useSyncExternalStore } from 'react';
import { createToasts, sonnerToasts } from 'holdfast/react';
import { flushSync } from 'react-dom';
import { createRoot } from 'react-dom/client';
import { Toaster, toast } from 'sonner';

interface Row {
  readonly id: string;
  readonly name: string;
}
interface State {
  rows: Record<string, Row>;
}

/** How long it took. */
export interface Painted {
  readonly ms: number;
  /** Frames that were begun until then; 1 is the very next one. */
  readonly frames: number;
}

declare global {
  var measurePaint:
    | ((subject: 'holdfast' | 'react', rowCount: number, times: number) => Promise<readonly Painted[]>)
    | undefined;
  /** What a word on a toast takes, in ms: of ours, or of sonner alone, which renders it in a task of its own. */
  var measureToasts: ((subject: 'holdfast' | 'sonner', times: number) => Promise<readonly number[]>) | undefined;
}

const ROW_PX = 32;
const SHOWN_COUNT = 30;

/** A schema that takes whatever comes: checking is not what is measured. */
const anything = {
  '~standard': {
    version: 1,
    vendor: 'bench',
    validate: (value: unknown) => ({ value: value as Row }),
    types: undefined as { readonly input: Row; readonly output: Row } | undefined,
  },
} satisfies PayloadSchema;

const rename = defineMutation({
  type: 'row.rename',
  payload: anything,
  operation: 'update',
  entity: ({ id }) => ({ table: 'rows', id }),
  optimistic: (draft: State, { id, name }) => {
    draft.rows[id] = { id, name };
  },
});
/** Nothing is sent, so that only the way to the screen is measured. */
const OFFLINE: NetworkSource = {
  isOnline: () => false,
  onHint: () => () => {},
  probe: async () => ({ kind: 'notReached', reason: 'offline' }),
};

const Line = memo(function Line({ row, topPx }: { readonly row: Row; readonly topPx: number }): ReactNode {
  return createElement(
    'li',
    { style: { position: 'absolute', top: topPx, height: ROW_PX }, 'data-id': row.id },
    row.name,
  );
});

/** As lists of many rows do it: sorted, and of those only what is in sight exists. */
function List({ rows }: { readonly rows: Readonly<Record<string, Row>> }): ReactNode {
  const shown = Object.values(rows).slice(0, SHOWN_COUNT);
  return createElement(
    'ul',
    { style: { position: 'relative', height: Object.keys(rows).length * ROW_PX } },
    shown.map((row, index) => createElement(Line, { key: row.id, row, topPx: index * ROW_PX })),
  );
}

function rowsOf(count: number): Record<string, Row> {
  const pairs = Array.from({ length: count }, (_, index) => {
    const id = `row-${String(index).padStart(6, '0')}`;
    return [id, { id, name: `Row ${index}` }] as const;
  });
  return Object.fromEntries(pairs);
}

/** Shows a list and gives what changes a row of it. */
async function openReact(rows: Record<string, Row>): Promise<(row: Row) => void> {
  let set: (change: (before: Record<string, Row>) => Record<string, Row>) => void = () => {};
  function Root(): ReactNode {
    const [shown, setShown] = useState(rows);
    useEffect(() => {
      set = setShown;
    }, []);
    return createElement(List, { rows: shown });
  }
  mount(createElement(Root));
  return (row) => set((before) => ({ ...before, [row.id]: row }));
}

async function openQueue() {
  const queue = createQueue({
    name: `bench-${Math.random()}`,
    identity: { userId: 'ann', workspaceId: 'north' },
    mutations: [rename],
    transport: { send: () => new Promise(() => {}) },
    storage: indexedDbStorage(),
    network: OFFLINE,
  });
  await queue.ready;
  return queue;
}

async function openHoldfast(rows: Record<string, Row>): Promise<(row: Row) => void> {
  const queue = await openQueue();
  const store = createOptimisticStore<State>({ queue, base: { rows } });
  const subscribe = (listener: () => void): (() => void) => store.subscribe(listener);
  function Root(): ReactNode {
    return createElement(List, { rows: useSyncExternalStore(subscribe, () => store.getSnapshot()).rows });
  }
  mount(createElement(Root));
  return (row) => void queue.add({ type: 'row.rename', payload: row });
}

function mount(element: ReactNode): void {
  document.body.replaceChildren();
  const root = document.createElement('div');
  document.body.append(root);
  flushSync(() => createRoot(root).render(element));
}

/** Resolves behind the frame in which the row has this name. */
function painted(id: string, name: string, startMs: number): Promise<Painted> {
  return new Promise((resolve) => {
    let frames = 0;
    const look = (): void => {
      frames += 1;
      const isThere = document.querySelector(`[data-id="${id}"]`)?.textContent === name;
      if (!isThere) {
        requestAnimationFrame(look);
        return;
      }
      // a task that is asked for in a frame comes behind its painting
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = () => resolve({ ms: performance.now() - startMs, frames });
      port2.postMessage(null);
    };
    requestAnimationFrame(look);
  });
}

globalThis.measurePaint = async (subject, rowCount, times) => {
  const rows = rowsOf(rowCount);
  const change = await (subject === 'react' ? openReact(rows) : openHoldfast(rows));
  const results: Painted[] = [];
  for (let time = 0; time < times; time += 1) {
    // anywhere within a frame, as people press
    await new Promise((resolve) => setTimeout(resolve, 20 + 17 * Math.random()));
    const id = `row-${String(time % SHOWN_COUNT).padStart(6, '0')}`;
    const name = `Changed ${time}`;
    const startMs = performance.now();
    change({ id, name });
    results.push(await painted(id, name, startMs));
  }
  return results;
};

globalThis.measureToasts = async (subject, times) => {
  mount(createElement(Toaster));
  const queue = await openQueue();
  const toasts = createToasts({ queue, port: sonnerToasts(toast) });
  const tell = (id: string, text: string): void => {
    if (subject === 'holdfast') toasts.updateToast(id, { tone: 'info', text });
    else toast.info(text, { id });
  };
  const tookMs: number[] = [];
  for (let sample = 0; sample < times; sample += 1) {
    // Each is told of twice: new, and with other words.
    const id = `toast-${sample >> 1}`;
    const startMs = performance.now();
    tell(id, `Row ${sample} saved on this device`);
    tookMs.push(performance.now() - startMs);
    if (sample % 2 === 1) toast.dismiss(id);
    await new Promise((next) => requestAnimationFrame(next));
  }
  await queue.close();
  return tookMs;
};
