import { expect, test } from 'vitest';
import { openAccounts } from '../react/testing-accounts/accounts.ts';

/** An account whose edit the server has refused. */
async function withRefused() {
  const app = await openAccounts();
  app.server.insert('accounts', { id: '1', name: 'old' });
  const edit = async (name: string, id = '1') =>
    (await app.queue.add({ type: 'account.update', payload: { id, name } })).id;
  const id = await edit('bad');
  await app.drain();
  return { app, id, edit };
}

test('E2 · a dead letter is overtaken by a later change of its row, waiting or confirmed, alone or with others', async () => {
  const { app, id, edit } = await withRefused();
  app.server.insert('accounts', { id: '2', name: 'old' });
  await edit('fine', '2');
  await app.drain();
  expect([...app.queue.listOvertaken()]).toEqual([]);

  app.network.setOffline();
  const waiting = await edit('newer');
  expect([...app.queue.listOvertaken()]).toEqual([id]);
  await app.queue.cancel(waiting);
  expect([...app.queue.listOvertaken()]).toEqual([]);

  app.network.setOnline();
  await app.queue.addAtomic([
    { type: 'account.update', payload: { id: '1', name: 'together' } },
    { type: 'account.update', payload: { id: '2', name: 'together' } },
  ]);
  await app.drain();
  expect([...app.queue.listOvertaken()]).toEqual([id]);
});

test('E2 · a dead letter is not overtaken by what was refused as well, nor by what came before it', async () => {
  const { app, id, edit } = await withRefused();
  await edit('bad too');
  await app.drain();
  expect([...app.queue.listOvertaken()]).toEqual([]);

  await edit('newer');
  await app.drain();
  expect(app.queue.listOvertaken().has(id)).toBe(true);
  // Told to overwrite it, and refused once more, it is the last word.
  await app.queue.retry(id);
  await app.drain();
  expect(app.queue.listOvertaken().has(id)).toBe(false);
});
