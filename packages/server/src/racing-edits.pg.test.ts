import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { describeOnPostgres } from './testing-databases/test-databases.ts';
import { change, createDevice } from './testing-databases/test-device.ts';

describeOnPostgres((world) => {
  test('C2 · of edits made on the same version and sent at once, one takes effect and the others are conflicts', async () => {
    const devices = Array.from({ length: 8 }, () => createDevice(world.database, { workspaceId: 'race-edits' }));
    const [first] = devices;
    for (let round = 0; round < 5; round += 1) {
      const entity = { table: 'notes', id: randomUUID() };
      await first?.send([first.next(change('create', entity, { title: 'one' }))]);
      const kinds = await Promise.all(
        devices.map((device) =>
          device.sendForKinds([
            device.next({ ...change('update', entity, { title: device.clientId }), base: { rowVersion: 1 } }),
          ]),
        ),
      );
      expect(kinds.flat().toSorted()).toEqual(['applied', ...Array.from({ length: 7 }, () => 'conflict')]);
    }
  });

  test('C2 · the same event told by many devices at once makes one row', async () => {
    const devices = Array.from({ length: 8 }, () => createDevice(world.database, { workspaceId: 'race-events' }));
    const event = { line_id: 'l', started_at: '2026-01-01T10:00:00Z', number: '1' };
    const outcomes = await Promise.all(
      devices.map((device) =>
        device.send([device.next(change('create', { table: 'calls', id: randomUUID() }, event))]),
      ),
    );
    const rows = await world.database.query<{ id: string }>(
      `select id::text from public.calls where workspace_id = 'race-events'`,
    );
    expect(rows).toHaveLength(1);
    expect(outcomes.flat()).toMatchObject(devices.map(() => ({ kind: 'applied', result: { id: rows[0]?.id } })));
  });

  test('C2 · a call that eight phones tell of at once, each by its own clock, makes one row', async () => {
    const devices = Array.from({ length: 8 }, () => createDevice(world.database, { workspaceId: 'race-talks' }));
    const outcomes = await Promise.all(
      devices.map((device, index) => {
        const started = `2026-01-01T10:00:00.${index}00Z`;
        const talk = { line_id: 'l', number: '1', direction: 'in', started_at: started, duration_s: 60 + (index % 2) };
        return device.send([device.next(change('create', { table: 'talks', id: randomUUID() }, talk))]);
      }),
    );
    const rows = await world.database.query<{ id: string }>(
      `select id::text from public.talks where workspace_id = 'race-talks'`,
    );
    expect(rows).toHaveLength(1);
    expect(outcomes.flat()).toMatchObject(devices.map(() => ({ kind: 'applied', result: { id: rows[0]?.id } })));
  });
});
