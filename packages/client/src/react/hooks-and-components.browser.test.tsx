import { act, cleanup, render, screen } from '@testing-library/react';
import { StrictMode } from 'react';
import * as v from 'valibot';
import { afterEach, describe, expect, it, onTestFinished } from 'vitest';
import type { TransportAnswer } from '../engine/transport-answer.ts';
import { defineMutation } from '../mutation/definition.ts';
import type { ApplyRequest } from '../protocol/wire.ts';
import { createQueue } from '../queue/create-queue.ts';
import { soloTabs } from '../tabs/solo-tabs.ts';
import { FakeClock } from '../testing/fake-clock.ts';
import { StorageSimulator } from '../testing/storage-simulator.ts';
import { HoldfastProvider } from './holdfast-provider.tsx';
import { PendingList } from './pending-list.tsx';
import { StatusPill } from './status-pill.tsx';
import { createQueueHooks } from './use-mutation-queue.ts';
import { useMutationStatus } from './use-mutation-status.ts';
import { useNetworkStatus } from './use-network-status.ts';

const rename = defineMutation({
  type: 'account.rename',
  payload: v.object({ id: v.string(), name: v.string() }),
  operation: 'update',
  entity: ({ id }) => ({ table: 'accounts', id }),
});
const mutations = [rename] as const;
const { useMutationQueue } = createQueueHooks<typeof mutations>();

afterEach(cleanup);

describe('with a server that answers when the test says so', () => {
  it('E1 · a change goes from saved on this device to sending to confirmed on the screen', async () => {
    const { queue, server } = await openQueue();
    show(
      queue,
      <>
        <StatusPill />
        <PendingList />
      </>,
    );
    expect(pill()).toBe('All changes confirmed');

    server.goOffline();
    await act(() => queue.add({ type: 'account.rename', payload: { id: '1', name: 'Acme' } }));
    expect(pill()).toBe('Offline · 1 change saved on this device');
    expect(screen.getByText('account.rename 1')).toBeDefined();
    expect(screen.getByText('Saved on this device')).toBeDefined();

    await act(() => server.comeBack());
    expect(pill()).toBe('Sending 1 change');
    await act(() => server.answer());
    expect(pill()).toBe('All changes confirmed');
    expect(screen.getByText('Confirmed')).toBeDefined();
  });

  it('E1 · a refused change says why, and can be tried again or discarded', async () => {
    const { queue, server } = await openQueue();
    show(
      queue,
      <>
        <StatusPill />
        <PendingList confirmDiscard={() => true} />
      </>,
    );
    await act(() => queue.add({ type: 'account.rename', payload: { id: '1', name: '' } }));
    await act(() => server.answer('rejected'));
    expect(pill()).toBe('1 change not accepted');
    expect(screen.getByText(/A name must not be empty\. Give it a name\./)).toBeDefined();

    await act(async () => screen.getByRole('button', { name: 'Try again' }).click());
    expect(pill()).toBe('Sending 1 change');
    await act(() => server.answer('rejected'));
    await act(async () => screen.getByRole('button', { name: 'Discard' }).click());
    expect(pill()).toBe('All changes confirmed');
  });

  it('E1 · useMutationStatus follows one mutation, and is undefined for an unknown id', async () => {
    const { queue, server } = await openQueue();
    const handle = await queue.add({ type: 'account.rename', payload: { id: '1', name: 'Acme' } });
    show(
      queue,
      <>
        <Status id={handle.id} />
        <Status id="unknown" />
      </>,
    );
    expect(statuses()).toEqual(['processing sent', 'not known']);
    await act(() => server.answer());
    expect(statuses()).toEqual(['completed confirmed', 'not known']);
    await act(async () => queue.markObserved([handle.id]));
    expect(statuses()).toEqual(['completed observed', 'not known']);
  });

  it('E1 · addMutation keeps its identity and rejects what cannot be stored', async () => {
    const { queue } = await openQueue();
    const seen: { addMutation: unknown; problem: string }[] = [];
    function Form(): null {
      const { addMutation, pendingCount } = useMutationQueue();
      seen.push({ addMutation, problem: String(pendingCount) });
      return null;
    }
    show(queue, <Form />);
    await act(() => queue.add({ type: 'account.rename', payload: { id: '1', name: 'Acme' } }));
    expect(new Set(seen.map(({ addMutation }) => addMutation)).size).toBe(1);
    expect(seen.at(-1)?.problem).toBe('1');
    // @ts-expect-error a payload of another shape does not compile, and does not get in at run time either
    await expect(queue.add({ type: 'account.rename', payload: { id: 1 } })).rejects.toMatchObject({
      code: 'INVALID_PAYLOAD',
    });
  });

  it('N3 · useNetworkStatus tells when the server is out of reach', async () => {
    const { queue, server } = await openQueue();
    function Network(): string {
      const { isOnline, quality } = useNetworkStatus();
      return `${isOnline} ${quality}`;
    }
    const { container } = show(queue, <Network />);
    expect(container.textContent).toBe('true unknown');
    await act(async () => server.goOffline());
    expect(container.textContent).toBe('false offline');
  });

  it('E1 · a hook without a provider throws the sentence that fixes it', () => {
    expect(() => render(<StatusPill />, { onCaughtError: () => {} })).toThrow(
      'outside of a `<HoldfastProvider queue={queue}>`',
    );
  });
});

function Status({ id }: { readonly id: string }) {
  const status = useMutationStatus(id);
  return <p data-testid="status">{status === undefined ? 'not known' : `${status.status} ${status.stage}`}</p>;
}

function statuses(): (string | null)[] {
  return screen.getAllByTestId('status').map(({ textContent }) => textContent);
}

function pill(): string | undefined {
  return document.querySelector('.holdfast-pill')?.textContent;
}

function show(queue: Awaited<ReturnType<typeof openQueue>>['queue'], children: React.ReactNode) {
  return render(
    <StrictMode>
      <HoldfastProvider queue={queue}>{children}</HoldfastProvider>
    </StrictMode>,
  );
}

async function openQueue() {
  const server = new ScriptedServer();
  const queue = createQueue({
    name: 'test',
    identity: { userId: 'ada', workspaceId: 'north' },
    mutations,
    transport: { send: (request) => server.receive(request) },
    storage: new StorageSimulator({ clock: new FakeClock() }).open,
    tabs: soloTabs,
    network: server.network,
  });
  await queue.ready;
  onTestFinished(() => {
    server.close();
    return queue.close();
  });
  return { queue, server };
}

/** Answers a batch when the test says so, and is out of reach when the test says so. */
class ScriptedServer {
  private isReachable = true;
  private waiting: { readonly request: ApplyRequest; readonly resolve: (answer: TransportAnswer) => void } | null =
    null;
  private readonly hints = new Set<(hint: 'online' | 'offline' | 'foreground') => void>();
  private arrived: () => void = () => {};

  readonly network = {
    isOnline: () => this.isReachable,
    onHint: (listener: (hint: 'online' | 'offline' | 'foreground') => void) => {
      this.hints.add(listener);
      return () => this.hints.delete(listener);
    },
    probe: async () =>
      this.isReachable
        ? ({ kind: 'reached', latencyMs: 20 } as const)
        : ({ kind: 'notReached', reason: 'offline' } as const),
  };

  receive(request: ApplyRequest): Promise<TransportAnswer> {
    return new Promise((resolve) => {
      this.waiting = { request, resolve };
      this.arrived();
    });
  }

  goOffline(): void {
    this.isReachable = false;
    for (const listener of this.hints) listener('offline');
  }

  /** Resolves once the next batch is here. */
  async comeBack(): Promise<void> {
    this.isReachable = true;
    for (const listener of this.hints) listener('online');
    await this.batch();
  }

  async answer(kind: 'applied' | 'rejected' = 'applied'): Promise<void> {
    const { request, resolve } = await this.batch();
    this.waiting = null;
    const error = {
      category: 'VALIDATION_ERROR',
      code: '23514',
      message: 'A name must not be empty.',
      hint: 'Give it a name.',
    } as const;
    const outcomes = request.mutations.map(({ seq, id }) =>
      kind === 'applied' ? ({ seq, id, kind, result: null } as const) : ({ seq, id, kind, error } as const),
    );
    resolve({ kind: 'answered', outcomes });
    await settleMicrotasks();
  }

  close(): void {
    this.waiting?.resolve({
      kind: 'unreachable',
      error: { category: 'NETWORK_ERROR', code: 'UNREACHABLE', message: 'The test is over.' },
    });
  }

  private async batch(): Promise<NonNullable<typeof this.waiting>> {
    while (this.waiting === null) {
      await new Promise<void>((resolve) => {
        this.arrived = resolve;
      });
    }
    return this.waiting;
  }
}

/** The queue's own steps between an answer and the screen are promises; a task turn lets them all run. */
function settleMicrotasks(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}
