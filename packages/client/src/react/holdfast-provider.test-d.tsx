import * as v from 'valibot';
import { expectTypeOf, test } from 'vitest';
import { defineMutation } from '../mutation/definition.ts';
import { createQueue } from '../queue/create-queue.ts';
import { HoldfastProvider } from './holdfast-provider.tsx';
import { StatusPill } from './status-pill.tsx';
import { useMutationQueue } from './use-mutation-queue.ts';

interface State {
  readonly names: Record<string, string>;
}

const rename = defineMutation({
  type: 'account.rename',
  payload: v.object({ id: v.string(), name: v.string() }),
  operation: 'update',
  optimistic: (draft: State, { id, name }) => {
    draft.names[id] = name;
  },
});
const queue = createQueue({
  name: 'types',
  identity: { userId: 'ann', workspaceId: 'home' },
  mutations: [rename],
  transport: { send: async () => ({ kind: 'answered', outcomes: [] }) },
});

test('E1 · a queue of the app’s definitions fits the provider and the components, without a type argument', () => {
  const page = (
    <HoldfastProvider queue={queue}>
      <StatusPill queue={queue} />
    </HoldfastProvider>
  );
  expectTypeOf(page).not.toBeNever();
});

test('E1 · a hook that is handed the queue knows its mutations', () => {
  const { addMutation } = useMutationQueue(queue);
  void addMutation({ type: 'account.rename', payload: { id: '1', name: 'Acme' } });
  // @ts-expect-error a name is a text
  void addMutation({ type: 'account.rename', payload: { id: '1', name: 1 } });
});
