import { describe, expect, test } from 'vitest';
import type { MutationHeader } from '../mutation/record.ts';
import type { WireError } from '../protocol/wire.ts';
import { deadLetterOf } from './entry.ts';
import { EngineRig } from './testing-engine/engine-rig.ts';

/** An app of version 3, which can migrate from 2 on. */
function rigOfVersion3(): EngineRig {
  const rig = new EngineRig();
  rig.standingOf = ({ version }) =>
    version === 3 ? 'current' : version > 3 ? 'newer' : version === 2 ? 'older' : 'outdated';
  return rig;
}

/** Found in the store by a tab that delivers. `earlierSeq`: up to which number somebody may have sent them. */
function lead(rig: EngineRig, headers: readonly MutationHeader[], earlierSeq = 0): void {
  rig.input({ kind: 'found', headers, deadLetters: [] });
  rig.input({ kind: 'leadership', isLeader: true, earlierSeq });
}

const asNow = (header: MutationHeader): MutationHeader => ({ ...header, version: 3, revision: header.revision + 1 });
const sentIds = (rig: EngineRig) => rig.batches.map(({ items }) => items.map(({ header }) => header.id));
const ERROR: WireError = { category: 'OUTDATED', code: 'OUTDATED', message: 'A step threw.', hint: 'Correct it.' };

describe('what another version of the app has stored', () => {
  test('Q17 · what is older is migrated before anything is sent, and then goes in its order', () => {
    const rig = rigOfVersion3();
    const [old, current] = [rig.header({ version: 2, lane: 'a' }), rig.header({ version: 3, lane: 'b' })];
    lead(rig, [old, current]);
    expect(rig.batches).toEqual([]);
    expect(rig.waiting(old)).toMatchObject({ waitingFor: 'storage' });
    const migrate = rig.effect('migrate');
    expect(migrate?.headers).toEqual([old]);

    rig.input({ kind: 'amended', headers: [asNow(old)] });

    expect(sentIds(rig)).toEqual([['m1', 'm2']]);
    expect(rig.batches[0]?.items.some(({ isOutdated }) => isOutdated === true)).toBe(false);
  });

  test('Q17 · a hundred are migrated at a time, and should it take too long, the rest goes on', () => {
    const rig = rigOfVersion3();
    const old = Array.from({ length: 150 }, () => rig.header({ version: 2 }));
    const current = rig.header({ version: 3 });
    lead(rig, [...old, current]);
    expect(rig.effect('migrate')?.headers).toHaveLength(100);

    rig.wake();

    expect(sentIds(rig)).toEqual([[current.id]]);
    expect(rig.waiting(old[0] as MutationHeader)).toMatchObject({ waitingFor: 'storage' });
  });

  test('Q17 · what a newer tab has rewritten, and was refused, is left alone, though nobody told of the rewriting', () => {
    const rig = rigOfVersion3();
    const own = rig.header({ version: 3 });
    rig.input({ kind: 'found', headers: [own], deadLetters: [] });
    const header = { ...own, version: 4, revision: 1 };
    rig.input({ kind: 'settledElsewhere', settlements: [{ kind: 'refused', header }] });

    rig.input({ kind: 'leadership', isLeader: true, earlierSeq: own.seq });

    expect(rig.batches).toEqual([]);
    expect(rig.waiting(own)).toMatchObject({ waitingFor: 'upgrade' });
  });

  test('Q21 · word of a refusal that comes late takes nothing back of what was rewritten since', () => {
    const rig = rigOfVersion3();
    const own = rig.header({ version: 3 });
    const amended = { ...own, revision: 1, payloadBytes: 7 };
    rig.input({ kind: 'found', headers: [amended], deadLetters: [] });

    rig.input({ kind: 'settledElsewhere', settlements: [{ kind: 'refused', header: own }] });

    expect(rig.entry(own).header).toEqual(amended);
  });

  test('Q17 · one that cannot be migrated, and was never sent, is a dead letter with the reason', () => {
    const rig = rigOfVersion3();
    const [old, other] = [rig.header({ version: 2 }), rig.header({ version: 3 })];
    lead(rig, [old, other]);
    const amendId = rig.effect('migrate')?.amendId ?? '';

    rig.input({
      kind: 'cannotMigrate',
      failures: [
        { seq: old.seq, error: ERROR },
        { seq: 99, error: ERROR },
      ],
    });
    rig.input({ kind: 'letGo', amendId });

    expect(deadLetterOf(rig.entry(old))).toMatchObject([{ error: ERROR, holdsLane: false }]);
    expect(sentIds(rig)).toEqual([[other.id]]);
    expect(deadLetterOf(rig.entry(other))).toEqual([]);
  });

  test('Q17 · word that it cannot be migrated comes too late when it has been', () => {
    const rig = rigOfVersion3();
    const old = rig.header({ version: 2 });
    lead(rig, [old]);
    rig.input({ kind: 'amended', headers: [asNow(old)] });
    rig.input({ kind: 'cannotMigrate', failures: [{ seq: old.seq, error: ERROR }] });
    expect(rig.entry(old).phase.kind).toBe('sending');
  });

  test('Q17 · what no step leads from is a dead letter, or where it may have been sent, the server is asked what it knows', () => {
    const never = rigOfVersion3();
    const lost = never.header({ version: 1 });
    lead(never, [lost]);
    expect(deadLetterOf(never.entry(lost))).toMatchObject([{ error: { code: 'OUTDATED' } }]);
    expect(never.batches).toEqual([]);

    const perhaps = rigOfVersion3();
    const sent = perhaps.header({ version: 1 });
    lead(perhaps, [sent], sent.seq);
    expect(perhaps.lastBatch.items).toMatchObject([{ header: { id: sent.id }, isOutdated: true }]);
  });

  test('Q17 · what a newer app has stored waits until this one is as new, and nothing else does', () => {
    const rig = rigOfVersion3();
    const [newer, current] = [rig.header({ version: 4 }), rig.header({ version: 3 })];
    lead(rig, [newer, current]);
    expect(sentIds(rig)).toEqual([[current.id]]);
    expect(rig.engine.mutations.versions.hasNewer).toBe(true);
    expect(rig.waiting(newer)).toMatchObject({ waitingFor: 'upgrade', error: { code: 'UPGRADE_REQUIRED' } });
  });

  test('Q17 · while a newer app uses the store nothing is sent from here', () => {
    const rig = rigOfVersion3();
    const header = rig.header({ version: 3 });
    rig.input({ kind: 'upgradeRequired', error: { ...ERROR, code: 'UPGRADE_REQUIRED' } });
    lead(rig, [header]);
    expect(rig.batches).toEqual([]);
    expect(rig.waiting(header)).toMatchObject({ waitingFor: 'upgrade' });
  });

  test('Q17, R7 · one that becomes a creation when it is migrated is one that others may wait for', () => {
    const rig = rigOfVersion3();
    const old = rig.header({ version: 2, operation: 'custom', lane: 'a' });
    const child = rig.header({ version: 3, lane: 'b' });
    lead(rig, [old, child]);
    rig.input({ kind: 'amended', headers: [{ ...asNow(old), operation: 'create', entity: { table: 't', id: '1' } }] });
    const items = rig.batches.flatMap((batch) => batch.items);
    expect(items.find(({ header }) => header.id === child.id)).toMatchObject({ awaitsCreation: true });
  });
});
