import { act, cleanup, render, screen } from '@testing-library/react';
import * as v from 'valibot';
import { afterEach, expect, test } from 'vitest';
import { defineMutation } from '../mutation/definition.ts';
import { HoldfastProvider } from '../react/holdfast-provider.tsx';
import { PendingList } from '../react/pending-list.tsx';
import { StatusPill } from '../react/status-pill.tsx';
import { createTestApp } from './test-app.ts';

const saveNote = defineMutation({
  type: 'note.save',
  payload: v.object({ id: v.string(), text: v.string() }),
  operation: 'create',
  entity: ({ id }) => ({ table: 'notes', id }),
});

afterEach(cleanup);

const pillText = (): string | null | undefined => document.querySelector('.holdfast-pill')?.textContent;

test('K1 · components are tested with it too: time moves inside act', async () => {
  const app = await createTestApp({ mutations: [saveNote] });
  render(
    <HoldfastProvider queue={app.queue}>
      <StatusPill />
      <PendingList />
    </HoldfastProvider>,
  );
  app.network.setOffline();
  await act(async () => {
    await app.queue.add({ type: 'note.save', payload: { id: '1', text: 'Buy milk' } });
    await app.settle();
  });
  expect(pillText()).toBe('Offline · 1 change saved on this device');

  app.network.setOnline();
  await act(() => app.drain());
  expect(pillText()).toBe('All changes confirmed');
  expect(app.server.row('notes', '1')).toEqual({ id: '1', text: 'Buy milk' });
});

test('K1 · without act, what is looked for appears by itself as long as only latency is in the way', async () => {
  const app = await createTestApp({ mutations: [saveNote] });
  app.network.setLatency(300);
  render(
    <HoldfastProvider queue={app.queue}>
      <StatusPill />
      <PendingList />
    </HoldfastProvider>,
  );
  await act(() => app.queue.add({ type: 'note.save', payload: { id: '1', text: 'Buy milk' } }));

  expect(await screen.findByText('Confirmed')).toBeDefined();
});
