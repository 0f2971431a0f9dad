import { describe, expect, test } from 'vitest';
import type { Change } from '../../ports/storage.ts';
import { QUARANTINED_LOG } from '../quarantined-log.ts';
import { RecordLog } from './record-log.ts';
import { FakeDisk } from './testing-log/fake-disk.ts';

const put = (key: string, value: string): Change => ({ kind: 'put', key, value });
const remove = (key: string): Change => ({ kind: 'delete', key });
const commit = (log: RecordLog, ...changes: readonly Change[]): unknown => log.commit([{ expect: [], changes }]);
const all = (log: RecordLog): Record<string, string> =>
  Object.fromEntries(log.scan({ prefix: '', limit: 100_000 }).map(({ key, value }) => [key, value]));
const keyOf = (index: number): string => `p/${String(index).padStart(6, '0')}`;
const valueOf = (index: number): string => `value ${index} of more than thirty-two characters`;
/** So that a checkpoint is wanted after a few commits. */
const SMALL = { slackBytes: 1_024, chunkBytes: 4_096 };

/** A log of so many records, some in each frame, with a checkpoint of them all. */
function withCheckpoint(count: number): { readonly disk: FakeDisk; readonly model: Record<string, string> } {
  const disk = new FakeDisk();
  const log = RecordLog.open(disk.files, SMALL);
  const model: Record<string, string> = { seq: String(count) };
  for (let index = 0; index < count; index += 1) model[keyOf(index)] = valueOf(index);
  const entries = Object.entries(model).map(([key, value]) => put(key, value));
  const step = count < 100 ? 3 : 100;
  for (let first = 0; first < entries.length; first += step) commit(log, ...entries.slice(first, first + step));
  log.checkpoint();
  return { disk, model };
}

/** The same files, one of them changed. */
function changed(disk: FakeDisk, slot: 0 | 1, change: (bytes: Uint8Array) => Uint8Array): FakeDisk {
  return new FakeDisk(disk.contents().map((bytes, index) => (index === slot ? change(bytes.slice()) : bytes.slice())));
}

const flipped =
  (at: number) =>
  (bytes: Uint8Array): Uint8Array => {
    bytes[at] = (bytes[at] ?? 0) ^ 0x10;
    return bytes;
  };

describe('a checkpoint of a log', () => {
  test('S2 · opening reads it, and of the log only what was written since and what is asked for', () => {
    const { disk, model } = withCheckpoint(20_000);
    const [logBytes = new Uint8Array(), checkpoint = new Uint8Array()] = disk.contents();
    const before = disk.readBytes;

    const log = RecordLog.open(disk.files, SMALL);
    commit(log, put('added', 'since'));
    const again = RecordLog.open(disk.files, SMALL);
    const page = again.scan({ prefix: 'p/', after: keyOf(9_999), limit: 100 });

    expect(page.map(({ key, value }) => [key, value])).toEqual(
      Array.from({ length: 100 }, (_, index) => [keyOf(10_000 + index), valueOf(10_000 + index)]),
    );
    expect(checkpoint.length).toBeLessThan(logBytes.length);
    expect(disk.readBytes - before).toBeLessThan(2 * checkpoint.length + 40_000);
    expect(all(again)).toEqual({ ...model, added: 'since' });
  });

  test('S2 · what comes and goes behind it is told as if it were not there', () => {
    // given: enough that it has several blocks, and chance that is the same each time
    let state = 7;
    const random = (): number => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return state / 2 ** 32;
    };
    const { disk, model } = withCheckpoint(1_500);
    let log = RecordLog.open(disk.files, SMALL);
    let checkpointCount = 0;
    for (let round = 0; round < 1_500; round += 1) {
      // Now and then the front goes, as what was sent does; names that stand before, between and behind are added.
      const index = random() < 0.5 ? round : Math.floor(random() * 3_000);
      const key = random() < 0.2 ? `${keyOf(index)}\ud800ä` : keyOf(index);
      if (random() < 0.6) {
        commit(log, remove(key));
        delete model[key];
      } else {
        commit(log, put(key, valueOf(round)), put('seq', String(round)));
        model[key] = valueOf(round);
        model['seq'] = String(round);
      }
      if (random() < 0.02) {
        log.checkpoint();
        checkpointCount += 1;
      }
      if (random() < 0.01) log.compact();
      if (random() < 0.02) log = RecordLog.open(disk.files, SMALL);
      if (random() < 0.02) log.reopen(disk.files);
      if (round % 20 !== 0) continue;
      const found = log.scan({ prefix: 'p/', after: keyOf(700), limit: 300 }).map(({ key: name }) => name);
      const names = Object.keys(model).filter((name) => name.startsWith('p/') && name > keyOf(700));
      expect(found, `round ${round}`).toEqual(names.sort().slice(0, 300));
    }

    expect(checkpointCount).toBeGreaterThan(10);
    expect(all(log)).toEqual(model);
    expect(all(RecordLog.open(disk.files))).toEqual(model);
  }, 60_000);

  test('S2, S12 · all that it speaks of gone, it is in nobody’s way', () => {
    const { disk } = withCheckpoint(1_000);
    const log = RecordLog.open(disk.files, SMALL);
    for (let index = 0; index < 1_000; index += 1) {
      commit(log, remove(keyOf(index)));
      if (index % 100 === 0) expect(log.scan({ prefix: 'p/', limit: 1 })[0]?.key, String(index)).toBe(keyOf(index + 1));
    }
    commit(log, put(keyOf(5), 'again'));

    expect(all(log)).toEqual({ seq: '1000', [keyOf(5)]: 'again' });
    log.checkpoint();
    expect(all(RecordLog.open(disk.files))).toEqual({ seq: '1000', [keyOf(5)]: 'again' });
  });
});

describe('a checkpoint that is not what it should be', () => {
  test('S2, S10 · whichever byte of it is another, and wherever it ends: the log itself tells all', () => {
    const { disk, model } = withCheckpoint(20);
    const length = disk.contents()[1]?.length ?? 0;
    for (let at = 0; at < length; at += 1) {
      const damaged = changed(disk, 1, flipped(at));
      expect(all(RecordLog.open(damaged.files)), `byte ${at}`).toEqual(model);
      const short = changed(disk, 1, (bytes) => bytes.slice(0, at));
      expect(all(RecordLog.open(short.files)), `${at} bytes`).toEqual(model);
    }
    expect(length).toBeGreaterThan(500);
  });

  test('S2, S10 · a block that does not read is found out when a record of it is asked for, and nothing is stored twice', () => {
    const { disk, model } = withCheckpoint(1_000);
    const length = disk.contents()[1]?.length ?? 0;
    const damaged = changed(disk, 1, flipped(length - 100));
    const log = RecordLog.open(damaged.files, SMALL);
    const expected = { key: 'seq', value: '1000' };

    // when: with one that reads before it in the same commit, and some of the damaged block written and gone
    const changes = [put(keyOf(1), 'one'), put(keyOf(998), 'written'), remove(keyOf(997)), put('seq', '1001')];
    const results = log.commit([
      { expect: [expected], changes },
      { expect: [expected], changes },
    ]);

    const { [keyOf(997)]: _, ...rest } = model;
    const now = { ...rest, [keyOf(1)]: 'one', [keyOf(998)]: 'written', seq: '1001' };
    expect(results).toEqual([{ kind: 'committed' }, { kind: 'mismatch', key: 'seq', actual: '1001' }]);
    expect(all(log)).toEqual(now);
    expect(all(RecordLog.open(damaged.files))).toEqual(now);
  });

  test('S2, S12 · one that came back although the log was cut and went on otherwise is not believed', () => {
    const { disk } = withCheckpoint(30);
    const [, checkpoint = new Uint8Array()] = disk.contents();
    // given: a version that knows no checkpoint has cut off the last frame, written another of the same size, and was cut off itself
    const cut = changed(disk, 0, (bytes) => bytes.slice(0, bytes.length - 1));
    cut.files.slots[1].truncate(0);
    const log = RecordLog.open(cut.files);
    const { [keyOf(29)]: _, ...model } = all(log);
    commit(log, put(keyOf(29), 'another of more than thirty-two characters 1'));
    const [logBytes = new Uint8Array()] = cut.contents();

    const found = all(RecordLog.open(new FakeDisk([logBytes, checkpoint]).files));

    expect(found).toEqual({ ...model, [keyOf(29)]: 'another of more than thirty-two characters 1' });
  });

  test('S2, S12 · it speaks of nothing that a loss of power can take', () => {
    // given: a large frame that was written, and not flushed, when its process was killed
    const disk = new FakeDisk();
    commit(RecordLog.open(disk.files, SMALL), put('a', '1'));
    disk.killBefore(disk.operationCount + 2);
    expect(() => commit(RecordLog.open(disk.files, SMALL), put('b', 'x'.repeat(20_000)))).toThrow();
    const killed = disk.afterKill();
    const log = RecordLog.open(killed.files, SMALL);
    log.checkpoint();

    // when: of what was not flushed, only length, beginning and end reach the disk
    for (const lostCount of [0, 1, 5, 20]) {
      let asked = 0;
      const after = killed.afterPowerLoss(() => {
        asked += 1;
        return asked <= 2 || asked > 2 + lostCount;
      });
      const found = all(RecordLog.open(after.files));
      expect([{ a: '1' }, { a: '1', b: 'x'.repeat(20_000) }], `${lostCount} lost`).toContainEqual(found);
    }
  });

  test('S2, S12 · one of a log that was written anew since, or of another log, is not believed', () => {
    const { disk, model } = withCheckpoint(30);
    const [, checkpoint = new Uint8Array()] = disk.contents();
    const log = RecordLog.open(disk.files);
    log.compact();
    const [, logBytes = new Uint8Array()] = disk.contents();

    expect(all(RecordLog.open(new FakeDisk([checkpoint, logBytes]).files))).toEqual(model);

    const other = new FakeDisk([new Uint8Array(), checkpoint]);
    commit(RecordLog.open(other.files), put('a', '1'));
    expect(all(RecordLog.open(other.files))).toEqual({ a: '1' });
  });

  test('S2, S12 · where the header of the log is damaged too, the checkpoint is not taken for a log', () => {
    const { disk, model } = withCheckpoint(30);
    const damaged = changed(disk, 0, flipped(9));

    expect(all(RecordLog.open(damaged.files))).toEqual(model);
  });
});

describe('a log that was damaged under its checkpoint', () => {
  test('S2, S10 · one flipped byte costs one record at most, and what can be read again is', () => {
    const { disk, model } = withCheckpoint(20);
    const [bytes = new Uint8Array()] = disk.contents();
    let quarantinedCount = 0;
    for (let at = 12; at < bytes.length; at += 1) {
      const damaged = changed(disk, 0, flipped(at));
      const found = all(RecordLog.open(damaged.files));
      const wrong = Object.keys(model).filter((key) => found[key] !== model[key]);
      const isInLast = wrong.includes(keyOf(19)) || wrong.includes(keyOf(18));
      expect(wrong.length, `byte ${at}`).toBeLessThanOrEqual(isInLast ? 3 : 1);
      if (Object.keys(found).some((key) => key.startsWith(QUARANTINED_LOG))) quarantinedCount += 1;
    }
    expect(quarantinedCount).toBeGreaterThan(100);
  });

  test('S2, S10 · an entry that does not read is not copied into a new log as if it did', () => {
    // given: the head of an entry in the middle of the log, that is, of its first frame but for headers
    const { disk, model } = withCheckpoint(60);
    const damaged = changed(disk, 0, flipped(12 + 20 + 4));
    const log = RecordLog.open(damaged.files, SMALL);

    log.compact();

    const found = all(RecordLog.open(damaged.files));
    const told = Object.keys(found).filter((key) => key.startsWith(QUARANTINED_LOG));
    expect(Object.keys(model).filter((key) => found[key] !== model[key]).length).toBeLessThanOrEqual(1);
    expect(told).toHaveLength(1);
  });
});

describe('a checkpoint and what it costs', () => {
  test('S3 · it is written when much of the log has none, and less readily while there is other work', () => {
    const disk = new FakeDisk();
    const log = RecordLog.open(disk.files, SMALL);
    const wanted: string[] = [];
    for (let index = 0; index < 200 && wanted.length < 2; index += 1) {
      commit(log, put(keyOf(index), valueOf(index)));
      if (wanted.length === 0 && log.wantsCheckpoint(true)) wanted.push(`idle at ${log.sizeBytes >> 10} KiB`);
      if (log.wantsCheckpoint(false)) wanted.push(`busy at ${log.sizeBytes >> 10} KiB`);
    }
    log.checkpoint();

    expect(wanted).toEqual(['idle at 1 KiB', 'busy at 8 KiB']);
    expect(log.wantsCheckpoint(true)).toBe(false);
    // Another tab, which has read the log before, does not write it again.
    const other = RecordLog.open(disk.files, SMALL);
    for (let index = 0; index < 100; index += 1) commit(log, put(keyOf(index), valueOf(index)));
    other.reopen(disk.files);
    log.checkpoint();
    const before = disk.operationCount;
    expect(other.wantsCheckpoint(true)).toBe(true);
    other.checkpoint();
    expect([disk.operationCount - before, other.wantsCheckpoint(true)]).toEqual([0, false]);
  });

  test('S3, S12 · a disk without room for it is no error, and one that is full takes its room before it refuses', () => {
    const { disk, model } = withCheckpoint(200);
    const checkpointBytes = disk.contents()[1]?.length ?? 0;
    const log = RecordLog.open(disk.files, SMALL);
    disk.roomBytes = disk.usedBytes;

    // when: a commit needs room
    commit(log, put('added', 'x'.repeat(600)));

    expect(disk.contents()[1]?.length).toBe(0);
    // Not at once again.
    expect(log.wantsCheckpoint(true)).toBe(false);
    // And where not even that is enough, it is refused.
    expect(() => commit(log, put('too large', 'x'.repeat(checkpointBytes)))).toThrow(
      expect.objectContaining({ code: 'STORAGE_FULL' }),
    );
    disk.roomBytes = disk.usedBytes + checkpointBytes / 2;
    log.checkpoint();
    expect(disk.contents()[1]?.length).toBe(0);
    expect(all(RecordLog.open(disk.files))).toEqual({ ...model, added: 'x'.repeat(600) });
  });

  test('S2, S12 · a tab that knows no checkpoint goes on with the log beside it', () => {
    // given: one that has read the log before there was a checkpoint
    const disk = new FakeDisk();
    const other = RecordLog.open(disk.files, SMALL);
    const log = RecordLog.open(disk.files, SMALL);
    for (let index = 0; index < 50; index += 1) commit(log, put(keyOf(index), valueOf(index)));
    log.checkpoint();

    other.reopen(disk.files);
    commit(other, put(keyOf(3), 'by the other'), remove(keyOf(4)));
    const { [keyOf(3)]: third, [keyOf(4)]: fourth } = all(RecordLog.open(disk.files));
    other.compact();
    commit(other, put(keyOf(5), 'in the new log'));

    log.reopen(disk.files);
    expect([third, fourth]).toEqual(['by the other', undefined]);
    expect(all(log)).toEqual(all(other));
    expect(all(RecordLog.open(disk.files))).toEqual(all(other));
    expect(all(log)[keyOf(5)]).toBe('in the new log');
  });
});
