import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { withCaller } from './caller.ts';
import type { Change } from 'holdfast/protocol';
import { readChanges } from './change-feed.ts';
import type { Session } from './database.ts';
import { randomFrom } from './testing-databases/random-from.ts';
import { describeOnPostgres } from './testing-databases/test-databases.ts';
import { createDevice } from './testing-databases/test-device.ts';

const WRITER_COUNT = 10;
const TRANSACTIONS_PER_WRITER = 30;
const READER_COUNT = 3;
/** Few, so that writers meet on the same rows. */
const SHARED_ROW_COUNT = 4;

describeOnPostgres((world) => {
  test('P8 · many writers that commit out of order: no reader misses a change, hears one twice, or hears a row out of order', async () => {
    const device = createDevice(world.database);
    const { claims, workspaceId } = device;
    const shared = Array.from({ length: SHARED_ROW_COUNT }, () => randomUUID()).toSorted();
    await world.database.query(
      `insert into public.notes (id, workspace_id, title) select id, $2, '' from unnest($1::uuid[]) as id`,
      [shared, workspaceId],
    );
    const begun = await read(null);
    let isWriting = true;
    let overtakenCount = 0;
    let committedHighest = 0;

    const readers = Array.from({ length: READER_COUNT }, async (_, reader) => {
      const heard: Change[] = [];
      let { cursor } = begun;
      const limit = [7, 50, 500][reader];
      for (let isLast = false; ; isLast = !isWriting) {
        for (let hasMore = true; hasMore; ) {
          const page = await read(cursor, limit);
          expect(page.resync).toBe(false);
          heard.push(...page.changes);
          ({ cursor, hasMore } = page);
        }
        if (isLast) return heard;
      }
    });

    const draw = randomFrom(5);
    const writers = Array.from({ length: WRITER_COUNT }, async (_, writer) => {
      for (let count = 0; count < TRANSACTIONS_PER_WRITER; count += 1) {
        const roundCount = Math.floor(draw() * 30);
        const highest = await world.database.transaction(async (session) => {
          // an own row first, so that the number of this transaction and its first id are drawn early
          await session.query(`insert into public.notes (id, workspace_id, title) values ($1, $2, $3)`, [
            randomUUID(),
            workspaceId,
            `${writer}/${count}`,
          ]);
          for (let round = 0; round < roundCount; round += 1) await session.query('select 1');
          // then rows that others write too, in one order so that nobody waits in a circle
          for (const id of shared.filter(() => draw() < 0.4)) {
            await session.query(`update public.notes set title = $2 where id = $1`, [id, `${writer}/${count}`]);
          }
          return highestIdOf(session);
        });
        if (highest < committedHighest) overtakenCount += 1;
        committedHighest = Math.max(committedHighest, highest);
      }
    });
    await Promise.all(writers);
    isWriting = false;
    const stories = await Promise.all(readers);

    const logged = await world.database.query<{ id: string }>(
      `select id::text from holdfast.audit_log where workspace_id = $1 and id > $2::bigint order by audit_log.id`,
      [workspaceId, await lastOfSetUp()],
    );
    for (const heard of stories) {
      expect(heard.map(({ id }) => id).toSorted(byNumber)).toEqual(logged.map(({ id }) => id));
      for (const id of shared) {
        const versions = heard.filter(({ entityId }) => entityId === id).map(({ newValues }) => newValues?.['version']);
        expect(versions).toEqual(Array.from({ length: versions.length }, (_, index) => index + 2));
      }
    }
    // control: transactions did commit after others with higher ids, and a reader of "above the last id" would have lost them
    expect(overtakenCount).toBeGreaterThan(20);
    expect(stories[0]?.map(({ id }) => id)).not.toEqual(stories[0]?.map(({ id }) => id).toSorted(byNumber));

    function read(cursor: string | null, limit?: number) {
      return withCaller(world.database, claims, (session) => readChanges(session, { cursor, limit }));
    }
    async function lastOfSetUp(): Promise<string> {
      const rows = await world.database.query<{ id: string }>(
        `select max(id)::text as id from holdfast.audit_log
         where entity_id = any ($1::text[]) and action = 'create'`,
        [shared],
      );
      return rows[0]?.id ?? '0';
    }
  });

  test('P8 · what is committed before another begins is heard before it, also past one that stays open', async () => {
    const device = createDevice(world.database);
    const read = (cursor: string | null) =>
      withCaller(world.database, device.claims, (session) => readChanges(session, { cursor }));
    const { cursor: begun } = await read(null);
    const insert = (session: Pick<Session, 'query'>, title: string) =>
      session.query(`insert into public.notes (id, workspace_id, title) values ($1, $2, $3)`, [
        randomUUID(),
        device.workspaceId,
        title,
      ]);
    const titlesOf = (changes: readonly Change[]) => changes.map(({ newValues }) => newValues?.['title']);

    const [whileOpen, cursor] = await world.database.transaction(async (open) => {
      await insert(open, 'open');
      await insert(world.database, 'first');
      const one = await read(begun);
      await insert(world.database, 'second');
      const two = await read(one.cursor);
      await insert(open, 'open again');
      return [[...titlesOf(one.changes), ...titlesOf(two.changes)], two.cursor] as const;
    });

    // the open one keeps nobody waiting
    expect(whileOpen).toEqual(['first', 'second']);
    expect(titlesOf((await read(cursor)).changes)).toEqual(['open', 'open again']);
  });

  async function highestIdOf(session: Session): Promise<number> {
    const rows = await session.query<{ id: string }>(
      'select max(id)::text as id from holdfast.audit_log where transaction_id = pg_current_xact_id()',
    );
    return Number(rows[0]?.id);
  }
});

function byNumber(left: string, right: string): number {
  return Number(left) - Number(right);
}
