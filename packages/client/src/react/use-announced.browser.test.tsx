import { act, cleanup, render, renderHook, screen } from '@testing-library/react';
import { StrictMode } from 'react';
import { afterEach, expect, it, onTestFinished, vi } from 'vitest';
import { HoldfastProvider } from './holdfast-provider.tsx';
import { StatusPill } from './status-pill.tsx';
import { openAccounts } from './testing-accounts/accounts.ts';
import { useAnnounced } from './use-announced.ts';

afterEach(cleanup);

it('E8 · words that stay are announced, and figures when they have come to rest; not every count of a long queue', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  onTestFinished(() => void vi.useRealTimers());
  const said: string[] = [];
  const { rerender } = renderHook(
    ({ text }) => {
      const announced = useAnnounced(text);
      if (said.at(-1) !== announced) said.push(announced);
    },
    { initialProps: { text: 'All changes confirmed' }, wrapper: StrictMode },
  );
  const pass = async (ms: number) => act(async () => void vi.advanceTimersByTime(ms));

  for (let count = 50; count > 0; count -= 1) {
    rerender({ text: `Sending ${count} changes` });
    await pass(100);
  }
  rerender({ text: 'All changes confirmed' });
  await pass(10_000);
  expect(said).toEqual(['All changes confirmed', 'Sending 41 changes', 'All changes confirmed']);

  rerender({ text: 'Offline · 2 changes saved' });
  await pass(1_500);
  rerender({ text: 'Offline · 3 changes saved' });
  await pass(1_000);
  rerender({ text: 'Offline · 4 changes saved' });
  await pass(10_000);
  expect(said.slice(3)).toEqual(['Offline · 2 changes saved', 'Offline · 4 changes saved']);

  // What is over at once is said by whoever has done it.
  rerender({ text: 'Sending 1 change' });
  await pass(500);
  rerender({ text: 'Offline · 4 changes saved' });
  await pass(10_000);
  expect(said.length).toBe(5);
});

it('E8 · a pill that is a button announces beside it: what stands within a button is part of its name', async () => {
  const app = await openAccounts();
  render(
    <HoldfastProvider queue={app.queue}>
      <StatusPill onClick={() => {}} />
    </HoldfastProvider>,
  );

  const button = screen.getByRole('button', { name: 'All changes confirmed' });
  expect(button.contains(screen.getByRole('status'))).toBe(false);
});
