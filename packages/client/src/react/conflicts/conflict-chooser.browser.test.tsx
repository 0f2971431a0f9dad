import { act, cleanup, render, screen, within } from '@testing-library/react';
import { StrictMode } from 'react';
import * as v from 'valibot';
import { afterEach, describe, expect, it } from 'vitest';
import { defineMutation } from '../../mutation/definition.ts';
import { createTestApp } from '../../testing/test-app.ts';
import { HoldfastProvider } from '../holdfast-provider.tsx';
import { PendingList } from '../pending-list.tsx';
import { ConflictChooser } from './conflict-chooser.tsx';

const text = v.exactOptional(v.string());
const payload = v.object({ id: v.string(), name: text, city: text, phone: text });
const entity = ({ id }: { readonly id: string }) => ({ table: 'accounts', id });
const mutations = [
  defineMutation({ type: 'account.edit', payload, operation: 'update', entity, conflict: 'merge' }),
  defineMutation({ type: 'account.set', payload, operation: 'update', entity }),
  defineMutation({ type: 'account.remove', payload, operation: 'delete', entity, conflict: 'merge' }),
] as const;

const BEFORE = { id: 'a', name: 'Harbour', city: 'Oslo', phone: '1', version: 1 };

afterEach(cleanup);

/** `theirs`: what somebody else has made of the record; null where they have deleted it. */
async function open(theirs: Readonly<Record<string, string>> | null) {
  const app = await createTestApp({
    mutations,
    tables: { accounts: { columns: ['name', 'city', 'phone'], versionColumn: 'version' } },
  });
  if (theirs !== null) app.server.insert('accounts', { ...BEFORE, ...theirs, version: 2 });
  render(
    <StrictMode>
      <HoldfastProvider queue={app.queue}>
        <ConflictChooser actor="ada" hiddenFields={['version']} describe={() => 'Harbour & Sons'} />
      </HoldfastProvider>
    </StrictMode>,
  );
  const change = (type: 'account.edit' | 'account.set' | 'account.remove', edit: Readonly<Record<string, string>>) =>
    act(async () => {
      await app.queue.add({ type, payload: { id: 'a', ...edit }, base: { rowVersion: 1, row: BEFORE } });
      await app.settle();
    });
  const press = (name: string) =>
    act(async () => {
      screen.getByRole('button', { name }).click();
      await app.clock.advance(1_000);
    });
  return { app, change, press };
}

describe('two people have changed the same', () => {
  it('C1, E8 · each field in conflict shows what it was and both sides; a choice for each is what is sent', async () => {
    const { app, change, press } = await open({ name: 'Theirs', city: 'Bergen', phone: '2' });
    expect(screen.getByText('Nothing is in conflict.')).toBeDefined();
    await change('account.edit', { name: 'Mine', city: 'Tromsø', phone: '1' });

    const form = screen.getByRole('form', { name: 'Harbour & Sons' });
    const groups = within(form).getAllByRole('group');
    expect(groups.map(({ textContent }) => textContent)).toEqual([
      'cityBefore: OsloYoursTromsøTheirsBergen',
      'nameBefore: HarbourYoursMineTheirsTheirs',
    ]);
    const [city] = groups;
    await act(async () =>
      within(city as HTMLElement)
        .getByRole('radio', { name: /Theirs/ })
        .click(),
    );
    await press('Save this choice');
    expect(app.server.row('accounts', 'a')).toMatchObject({ name: 'Mine', city: 'Bergen', phone: '2' });
    expect(screen.getByText('Nothing is in conflict.')).toBeDefined();
    expect(await app.queue.listActs()).toMatchObject([{ kind: 'resolveConflict', actor: 'ada' }]);
  });

  it('C1, E8 · the pending list leads to the choice, for what waits for one and for nothing else', async () => {
    const { app, change, press } = await open({ name: 'Theirs' });
    const decided: string[] = [];
    render(<PendingList queue={app.queue} onDecide={({ id }) => decided.push(id)} />);
    await change('account.edit', { name: 'Mine' });
    app.network.setOffline();
    await act(async () => {
      await app.queue.add({ type: 'account.set', payload: { id: 'b', name: 'Other' } });
      await app.settle();
    });

    await press('Choose what stands');

    expect(decided).toEqual([app.queue.listUnconfirmed()[0]?.id]);
  });

  it('C1, E8 · all of one side is selected with one press, and saved with another; nothing is sent for theirs', async () => {
    const { app, change, press } = await open({ name: 'Theirs', city: 'Bergen' });
    await change('account.edit', { name: 'Mine', city: 'Tromsø' });
    const checked = () => screen.getAllByRole('radio').map((radio) => (radio as HTMLInputElement).checked);
    await press('Select all theirs');
    expect(checked()).toEqual([false, true, false, true]);
    await press('Select all yours');
    expect(checked()).toEqual([true, false, true, false]);
    await press('Select all theirs');
    await press('Save this choice');
    expect(app.server.row('accounts', 'a')).toMatchObject({ name: 'Theirs', city: 'Bergen', version: 2 });
    expect(app.queue.getSnapshot()).toMatchObject({ pendingCount: 0, failedCount: 0 });
  });

  it('C1, E8 · it is found behind whatever number of dead letters', async () => {
    const { app, change } = await open({ name: 'Theirs' });
    await act(async () => {
      app.network.setOffline();
      for (let at = 0; at < 510; at += 1)
        await app.queue.add({ type: 'account.edit', payload: { id: `gone-${at}`, name: 'Mine' } });
      app.network.setOnline();
      await app.drain();
    });
    expect(app.queue.getSnapshot().failedCount).toBe(510);

    await change('account.edit', { name: 'Mine' });

    expect(screen.getAllByRole('form').length).toBe(1);
  });

  it('C1, E8 · with one field in conflict there is one button, the one that saves', async () => {
    const { change } = await open({ name: 'Theirs' });
    await change('account.edit', { name: 'Mine' });
    expect(screen.getAllByRole('button').map(({ textContent }) => textContent)).toEqual(['Save this choice']);
  });

  it('C1, E8 · a deletion of what was changed is asked about as such, and either answer holds', async () => {
    const leave = await open({ name: 'Theirs' });
    await leave.change('account.remove', {});
    expect(screen.getByText(/Somebody has changed this while you wanted to delete it/)).toBeDefined();
    await leave.press('Leave it as it is');
    expect(leave.app.server.row('accounts', 'a')).toMatchObject({ name: 'Theirs' });
    cleanup();

    const insist = await open({ name: 'Theirs' });
    await insist.change('account.remove', {});
    // What they have made of it, against what it was.
    expect(screen.getByRole('form').textContent).toContain('nameBefore: HarbourTheirs: Theirs');
    expect(screen.getByRole('form').textContent).not.toMatch(/city|version/);
    await insist.press('Delete it all the same');
    expect(insist.app.server.row('accounts', 'a')).toBeUndefined();
  });

  it('C1, E8 · an edit of other fields than theirs, of a type that does not merge, is not called a deletion', async () => {
    const { app, change, press } = await open({ city: 'Bergen' });
    await change('account.set', { name: 'Mine' });
    const text = screen.getByRole('form').textContent;
    expect(text).toContain('Somebody has changed this too, though nothing that you have changed.');
    expect(text).toContain('nameBefore: HarbourYours: Mine');
    expect(text).toContain('cityBefore: OsloTheirs: Bergen');

    await press('Save yours too');

    expect(app.server.row('accounts', 'a')).toMatchObject({ name: 'Mine', city: 'Bergen' });
  });

  it('C1, E8 · an edit of what was deleted shows what it would have set, and can be discarded or kept', async () => {
    const discard = await open(null);
    await discard.change('account.edit', { name: 'Mine' });
    expect(screen.getByRole('form').textContent).toContain('nameBefore: HarbourYours: Mine');
    await discard.press('Discard your change');
    expect(discard.app.queue.getSnapshot()).toMatchObject({ pendingCount: 0, failedCount: 0, conflictCount: 0 });
    cleanup();

    const keep = await open(null);
    await keep.change('account.edit', { name: 'Mine' });
    expect(keep.app.queue.getSnapshot()).toMatchObject({ conflictCount: 1 });
    await keep.press('Keep it as not accepted');
    expect(keep.app.queue.getSnapshot()).toMatchObject({ pendingCount: 0, failedCount: 1, conflictCount: 0 });
  });

  it('C1, E8 · all that come together are shown, however long it takes to store them; the keyboard stays among them', async () => {
    const { app } = await open(null);
    const ids = ['1', '2', '3', '4'];
    app.server.insert('accounts', ...ids.map((id) => ({ ...BEFORE, id, name: 'Theirs', version: 2 })));
    app.network.setOffline();
    app.storage.setSlow(100);
    for (const id of ids)
      await app.queue.add({
        type: 'account.edit',
        payload: { id, name: 'Mine' },
        base: { rowVersion: 1, row: BEFORE },
      });
    await act(async () => {
      app.network.setOnline();
      await app.settle();
      await app.clock.advance(10_000);
    });
    await act(async () => app.clock.advance(10_000));
    expect(screen.getAllByRole('form')).toHaveLength(4);

    const [save] = screen.getAllByRole('button', { name: 'Save this choice' });
    save?.focus();
    await act(async () => {
      save?.click();
      await app.clock.advance(10_000);
    });

    expect(screen.getAllByRole('form')).toHaveLength(3);
    expect(document.activeElement).toBe(screen.getByRole('group', { name: 'Changes for you to decide' }));
  });

  it('C1, E8 · one that was decided in another tab goes from the screen', async () => {
    const { app, change } = await open({ name: 'Theirs' });
    const other = await app.openTab();
    await change('account.edit', { name: 'Mine' });
    const [waiting] = app.queue.listUnconfirmed();
    await act(async () => {
      await other.resolveConflict(waiting?.id ?? '', 'mine', { actor: 'bob' });
      await app.drain();
    });
    expect(screen.getByText('Nothing is in conflict.')).toBeDefined();
    expect(app.server.row('accounts', 'a')).toMatchObject({ name: 'Mine' });
  });
});
