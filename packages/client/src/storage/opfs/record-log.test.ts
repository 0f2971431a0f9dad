import { describe, expect, test } from 'vitest';
import type { Change, Storage } from '../../ports/storage.ts';
import { HoldfastError } from '../../mutation/holdfast-error.ts';
import { storageContract } from '../storage-contract.ts';
import { fromBase64 } from '../base64.ts';
import { QUARANTINED_LOG } from '../quarantined-log.ts';
import { Checkpoint } from './log-checkpoint.ts';
import type { LogFile } from './log-file.ts';
import { bytesOf, readHead } from './log-replay.ts';
import { RecordLog } from './record-log.ts';
import { FakeDisk } from './testing-log/fake-disk.ts';

const put = (key: string, value: string): Change => ({ kind: 'put', key, value });
const remove = (key: string): Change => ({ kind: 'delete', key });
const commit = (log: RecordLog, ...changes: readonly Change[]): unknown => log.commit([{ expect: [], changes }]);
const all = (log: RecordLog): Record<string, string> =>
  Object.fromEntries(log.scan({ prefix: '', limit: 10_000 }).map(({ key, value }) => [key, value]));

/** A small generator of chance, the same for the same seed. */
function chance(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

describe('a log on files that do what they should', () => {
  const disks = new Map<string, FakeDisk>();
  const cases = storageContract({
    open: async (name): Promise<Storage> => {
      const disk = disks.get(name) ?? new FakeDisk();
      disks.set(name, disk);
      let log: RecordLog | null = RecordLog.open(disk.files);
      const opened = (): RecordLog => {
        if (log === null)
          throw new HoldfastError({ code: 'STORAGE_FAILED', message: 'Closed.', hint: 'Open it again.' });
        // As if another had held the files meanwhile.
        log.reopen(disk.files);
        return log;
      };
      return {
        durability: 'strict',
        commit: async (batch) => opened().commit([batch])[0] ?? { kind: 'committed' },
        read: async (keys) => opened().values(keys),
        scan: async (query) => opened().scan(query),
        estimate: async () => ({ usedBytes: opened().sizeBytes, quotaBytes: null }),
        close: async () => {
          log = null;
        },
      };
    },
    capabilities: { durability: 'strict', keepsAfterClose: true, hasSeveralWriters: true },
  });
  for (const { name, skip, run } of cases) test.skipIf(skip !== null)(name, run);
});

/** So that a short life writes it anew several times, in several frames. */
const SMALL = { slackBytes: 4_096, chunkBytes: 2_048 };

/** What a queue does in a short life: adds, counts, settles; with enough of it that the log is written anew. */
function* life(): Generator<readonly Change[]> {
  for (let index = 0; index < 12; index += 1) {
    yield [put('seq', String(index)), put(`p/${index}`, `header ${index}`), put(`b/${index}`, 'x'.repeat(1_500))];
    if (index >= 2) yield [remove(`p/${index - 2}`), remove(`b/${index - 2}`), put(`c/${index - 2}`, 'confirmed')];
  }
}

/** Lives on the disk until it fails; the states before and after each commit, and how many were confirmed. */
function liveOn(disk: FakeDisk): { readonly states: readonly Record<string, string>[]; readonly confirmed: number } {
  const model: Record<string, string> = {};
  const states: Record<string, string>[] = [{}];
  for (const changes of life()) {
    for (const change of changes) {
      if (change.kind === 'put') model[change.key] = change.value;
      else delete model[change.key];
    }
    states.push({ ...model });
  }
  let confirmed = 0;
  try {
    const log = RecordLog.open(disk.files, SMALL);
    for (const changes of life()) {
      log.commit([{ expect: [], changes }]);
      confirmed += 1;
      if (log.wantsCompaction) log.compact();
      if (log.wantsCheckpoint(true)) log.checkpoint();
    }
  } catch {
    // The end of this life.
  }
  return { states, confirmed };
}

describe('a log that ends in the middle', () => {
  const whole = new FakeDisk();
  const { confirmed: commitCount } = liveOn(whole);
  const operations = Array.from({ length: whole.operationCount }, (_, index) => index + 1);

  test('control: this life writes the log anew several times', () => {
    expect(commitCount).toBe(22);
    expect(RecordLog.open(whole.files).sizeBytes).toBeLessThan(12_000);
    expect(operations.length).toBeGreaterThan(2 * commitCount + 4);
  });

  test('control: of these crashes, many leave a checkpoint that is used, and many one that is torn', () => {
    let [usedCount, tornCount] = [0, 0];
    for (const seed of operations.flatMap((operation) => [operation, operation + 0.5, operation + 0.75])) {
      const random = chance(4 * seed);
      const disk = new FakeDisk();
      disk.killBefore(Math.floor(seed));
      liveOn(disk);
      const after = disk.afterPowerLoss(() => random() < 0.5);
      const { slots } = after.files;
      const { slot, generation } = readHead(after.files);
      const other = slots[1 - slot] as LogFile;
      if (Checkpoint.read(other, { file: slots[slot], generation }) !== null) usedCount += 1;
      else if (bytesOf(other, 0, 3).join() === '255,72,67') tornCount += 1;
    }
    expect(usedCount).toBeGreaterThan(10);
    expect(tornCount).toBeGreaterThan(2);
  });

  test('S2, S12 · killed before any operation, it holds all that was confirmed, and no half of anything', () => {
    for (const operation of operations) {
      const disk = new FakeDisk();
      disk.killBefore(operation);
      const { states, confirmed } = liveOn(disk);
      const found = all(RecordLog.open(disk.afterKill().files));
      expect([states[confirmed], states[confirmed + 1]], `killed before ${operation}`).toContainEqual(found);
    }
  });

  test('S2, S12 · after a loss of power it holds all that was confirmed, whatever became of the rest', () => {
    for (const operation of operations) {
      for (let seed = 1; seed <= 8; seed += 1) {
        const random = chance(1_000 * operation + seed);
        const share = seed / 8;
        const disk = new FakeDisk();
        disk.killBefore(operation);
        const { states, confirmed } = liveOn(disk);
        const after = disk.afterPowerLoss(() => random() < share);
        const log = RecordLog.open(after.files);
        expect([states[confirmed], states[confirmed + 1]], `${operation}, ${seed}`).toContainEqual(all(log));
        // And goes on from there.
        commit(log, put('again', 'yes'));
        const again = all(RecordLog.open(after.afterPowerLoss(() => false).files));
        expect(again, `${operation}, ${seed}, again`).toEqual({ ...all(log), again: 'yes' });
      }
    }
  }, 120_000);

  test('S2, S12 · killed a second time while it opens, it loses nothing either', () => {
    for (const operation of operations) {
      for (const second of [1, 2, 3]) {
        const disk = new FakeDisk();
        disk.killBefore(operation);
        const { states, confirmed } = liveOn(disk);
        const random = chance(operation);
        const again = disk.afterPowerLoss(() => random() < 0.5);
        again.killBefore(second);
        try {
          RecordLog.open(again.files);
        } catch {
          // Killed, or open.
        }
        const found = all(RecordLog.open(again.afterPowerLoss(() => random() < 0.5).files));
        expect([states[confirmed], states[confirmed + 1]], `${operation}, ${second}`).toContainEqual(found);
      }
    }
  });

  test('S2, S12 · what was refused does not come back, also when it could not be taken away at once', () => {
    const disk = new FakeDisk();
    const log = RecordLog.open(disk.files);
    commit(log, put('a', '1'));
    // The flush fails, and then the truncation too.
    disk.failAt(disk.operationCount + 2, 'throws');
    disk.failAt(disk.operationCount + 3, 'throws');
    expect(() => commit(log, put('a', '2'))).toThrow(expect.objectContaining({ code: 'STORAGE_FAILED' }));

    commit(log, put('b', '1'));

    expect(all(RecordLog.open(disk.afterKill().files))).toEqual({ a: '1', b: '1' });
  });

  test.each(['throws', 'short'] as const)(
    'S2, S12 · a disk that fails at any one operation (%s) refuses one commit at most, which leaves nothing behind',
    (how) => {
      for (const operation of operations) {
        const disk = new FakeDisk();
        disk.failAt(operation, how);
        const model: Record<string, string> = {};
        let refusedCount = 0;
        let log: RecordLog;
        try {
          log = RecordLog.open(disk.files, SMALL);
        } catch {
          log = RecordLog.open(disk.files, SMALL);
          refusedCount += 1;
        }
        for (const changes of life()) {
          try {
            log.commit([{ expect: [], changes }]);
            for (const change of changes) {
              if (change.kind === 'put') model[change.key] = change.value;
              else delete model[change.key];
            }
          } catch {
            refusedCount += 1;
          }
          if (log.wantsCompaction) {
            try {
              log.compact();
            } catch {
              refusedCount += 1;
            }
          }
          if (log.wantsCheckpoint(true)) log.checkpoint();
          expect(all(log), `failed at ${operation}`).toEqual(model);
        }
        expect(refusedCount).toBeLessThanOrEqual(1);
        expect(all(RecordLog.open(disk.afterKill().files)), `failed at ${operation}`).toEqual(model);
      }
    },
    60_000,
  );
});

describe('a log that was damaged', () => {
  test('S2, S10 · one flipped byte costs one record at most, and never one that was written later', () => {
    // given: four frames of three records each
    const disk = new FakeDisk();
    const log = RecordLog.open(disk.files);
    const model: Record<string, string> = {};
    for (let index = 0; index < 4; index += 1) {
      const changes = [0, 1, 2].map((part) => put(`key ${index}${part}`, `value ${index}${part}`));
      commit(log, ...changes);
      for (const { key, value } of changes as { key: string; value: string }[]) model[key] = value;
    }
    const lastFrame = 9;
    const [bytes = new Uint8Array()] = disk.contents();
    const keys = Object.keys(model);

    for (let at = 12; at < bytes.length; at += 1) {
      const damaged = bytes.slice();
      damaged[at] = (damaged[at] ?? 0) ^ 0x10;
      const found = all(RecordLog.open(new FakeDisk([damaged]).files));

      const wrong = keys.filter((key) => found[key] !== model[key]);
      const isInLast = wrong.some((key) => keys.indexOf(key) >= lastFrame);
      // The last frame cannot be told from one that was torn: it goes as a whole, as if it had never been confirmed.
      expect(wrong.length, `byte ${at}`).toBeLessThanOrEqual(isInLast ? 3 : 1);
      expect(
        Object.keys(found).filter((key) => !keys.includes(key) && !key.startsWith(QUARANTINED_LOG)),
        `byte ${at}`,
      ).toEqual([]);
    }
  });

  test('S2, S10 · a damaged header of the log costs nothing', () => {
    const disk = new FakeDisk();
    commit(RecordLog.open(disk.files), put('a', '1'));
    const [bytes = new Uint8Array()] = disk.contents();
    for (let at = 0; at < 12; at += 1) {
      if (at === 3) continue;
      const damaged = bytes.slice();
      damaged[at] = (damaged[at] ?? 0) ^ 0x10;
      expect(all(RecordLog.open(new FakeDisk([damaged]).files)), `byte ${at}`).toEqual({ a: '1' });
    }
  });

  test('S2, S10 · what no longer reads is shown with its bytes, until someone discards it', () => {
    const disk = new FakeDisk();
    const log = RecordLog.open(disk.files);
    commit(log, put('key of the first', 'value'));
    commit(log, put('key of the second', 'value'));
    const [bytes = new Uint8Array()] = disk.contents();
    const damaged = bytes.slice();
    damaged[45] = 0;

    const again = new FakeDisk([damaged]);
    const { 'key of the second': second, ...quarantined } = all(RecordLog.open(again.files));

    const [[key, value] = ['', '']] = Object.entries(quarantined);
    expect([second, key.startsWith(QUARANTINED_LOG)]).toEqual(['value', true]);
    expect(new TextDecoder().decode(fromBase64(value) ?? undefined)).toContain('of the first');
    // until a person has discarded it, for good
    const third = RecordLog.open(again.files);
    expect(all(third)).toEqual({ 'key of the second': 'value', [key]: value });
    commit(third, remove(key));
    expect(all(RecordLog.open(again.files))).toEqual({ 'key of the second': 'value' });
  });

  test('S2, S12 · a log of a newer version of the app is refused, and left as it is', () => {
    const newer = new Uint8Array([0xff, 0x48, 0x4c, 0x49, ...new Uint8Array(60).fill(7)]);
    const disk = new FakeDisk([newer]);

    expect(() => RecordLog.open(disk.files)).toThrow(expect.objectContaining({ code: 'STORAGE_TOO_NEW' }));

    expect(disk.contents()[0]).toEqual(newer);
    expect(disk.operationCount).toBe(0);
  });
});

describe('a log and what it costs', () => {
  test('S3 · calls of one group are one write and one flush', () => {
    const disk = new FakeDisk();
    const log = RecordLog.open(disk.files);
    commit(log, put('a', '0'));
    const before = disk.operationCount;

    const results = log.commit([
      { expect: [{ key: 'a', value: '0' }], changes: [put('a', '1')] },
      { expect: [{ key: 'a', value: '0' }], changes: [put('b', '1')] },
      { expect: [{ key: 'a', value: '1' }], changes: [put('c', '1')] },
    ]);

    expect(results).toEqual([
      { kind: 'committed' },
      { kind: 'mismatch', key: 'a', actual: '1' },
      { kind: 'committed' },
    ]);
    expect(disk.operationCount - before).toBe(2);
    expect(all(RecordLog.open(disk.afterPowerLoss(() => false).files))).toEqual({ a: '1', c: '1' });
  });

  test('S3 · text beyond Unicode comes back as it was', () => {
    const disk = new FakeDisk();
    const texts = ['\ud800', 'a\udc00b', '\ud83d\ude00', '\ufeffa', 'ä\ud800\ud800ö', '\ud800\ud7ff\udfff'];
    const log = RecordLog.open(disk.files);
    commit(log, ...texts.map((text, index) => put(`${text}${index}`, text.repeat(40))));

    const found = all(RecordLog.open(disk.files));

    expect(found).toEqual(Object.fromEntries(texts.map((text, index) => [`${text}${index}`, text.repeat(40)])));
  });

  test('S3 · however much comes and goes, the files stay small', () => {
    const disk = new FakeDisk();
    const log = RecordLog.open(disk.files);
    for (let index = 0; index < 2_000; index += 1) {
      commit(log, put(`p/${index}`, 'x'.repeat(2_000)), put('seq', String(index)));
      commit(log, remove(`p/${index}`));
      if (log.wantsCompaction) log.compact();
    }

    expect(disk.contents().reduce((sum, { length }) => sum + length, 0)).toBeLessThan(1_200_000);
    expect(all(log)).toEqual({ seq: '1999' });
  });
});
