import { readFileSync } from 'node:fs';
import * as v from 'valibot';
import { describe, expect, test, vi } from 'vitest';
import { defineMutation, RETRY_DEFAULTS } from '../mutation/definition.ts';
import { HoldfastError } from '../mutation/holdfast-error.ts';
import { RECORD_FORMAT } from '../mutation/record.ts';
import { LIMITS } from '../protocol/wire.ts';
import { DebugLog, LOG_ENTRY_COUNT, type LogEntry } from '../telemetry/debug-log.ts';
import { FakeClock } from '../testing/fake-clock.ts';
import { createTestApp, type TestApp } from '../testing/test-app.ts';
import { defaults } from './defaults.ts';

const saveNote = defineMutation({
  type: 'note.save',
  payload: v.object({ id: v.string(), text: v.string() }),
  operation: 'create',
  entity: ({ id }) => ({ table: 'notes', id }),
});
const MUTATIONS = [saveNote] as const;
const note = (id: string, text = 'x') => ({ type: 'note.save', payload: { id, text } }) as const;

describe('the log', () => {
  test('K2 · what happened is there for a bug report, although nobody asked for it before', async () => {
    const app = await createTestApp({ mutations: MUTATIONS });
    app.server.setErrorMode('unavailable', { count: 1 });
    const { id } = await app.queue.add(note('1'));
    await app.drain();

    const { versions, options, state, network, entries, droppedCount } = app.queue.exportLog();

    expect(versions).toMatchObject({ protocol: 1, recordFormat: RECORD_FORMAT });
    expect(options).toMatchObject({ hasAuth: true, queueCapCount: 1_000 });
    expect(options.types).toContainEqual({ type: 'note.save', version: 1 });
    expect(state).toMatchObject({ isLeader: true, pendingCount: 0, errorCode: null });
    expect(network.isOnline).toBe(true);
    expect(droppedCount).toBe(0);
    const said = entries.map(({ category, event, data }) => `${category} ${event} ${JSON.stringify(data)}`);
    expect(said).toContain(`queue stored {"id":"${id}","seq":1,"type":"note.save"}`);
    expect(said).toContain('delivery send {"count":1,"seqs":[1],"acknowledgedFloor":0,"hasToken":true}');
    expect(said).toContain(
      'delivery answer {"answer":"unavailable","code":"SERVER_UNAVAILABLE","category":"SERVER_ERROR","durationMs":0}',
    );
    expect(said).toContain('delivery answer {"answer":"answered","appliedCount":1,"durationMs":0}');
    expect(said).toContain(`queue settled {"id":"${id}","status":"completed"}`);
    expect(new Set(entries.map(({ category }) => category))).toEqual(
      new Set(['queue', 'engine', 'delivery', 'storage', 'network', 'tabs']),
    );
    expect(JSON.parse(JSON.stringify(app.queue.exportLog()))).toEqual(app.queue.exportLog());
  });

  test('K2 · no payload, token, address, name or message of anybody is in it, whatever goes wrong', async () => {
    const shown: LogEntry[] = [];
    const app = await createTestApp({
      mutations: [
        ...MUTATIONS,
        defineMutation({
          type: 'custom',
          payload: v.object({ note: v.string() }),
          operation: 'custom',
          lane: ({ note: text }) => text,
        }),
      ],
      identity: { userId: 'CANARY-user', workspaceId: 'CANARY-workspace' },
      tables: {
        notes: { check: ({ text }) => (String(text).startsWith('CANARY-bad') ? `Not ${String(text)}` : null) },
      },
      handlers: {
        custom: () => {
          throw new HoldfastError({
            code: 'CANARY is a message',
            category: 'VALIDATION_ERROR',
            message: 'CANARY-words',
          });
        },
      },
      queue: {
        probeUrl: 'https://example.com/health?key=CANARY',
        debug: { log: (entry) => shown.push(entry) },
      },
    });
    const other = await app.openTab();
    await app.queue.add(note('CANARY-entity', 'CANARY-text'));
    await other.add(note('CANARY-second', 'CANARY-bad words'));
    await app.queue.add({ type: 'custom', payload: { note: 'CANARY-lane' } });
    await app.queue.addAtomic([note('CANARY-whole', 'CANARY-member'), note('7')]);
    await app.drain();
    app.network.setOffline();
    const { id } = await app.queue.add({
      ...note('8', 'CANARY-first'),
      metadata: { userId: 'CANARY-metadata', anything: 'CANARY-own' },
      source: { screen: 'CANARY-screen' },
    });
    await app.queue.edit(id, { id: '8', text: 'CANARY-edited' });
    app.network.setOnline();
    await app.drain();
    app.server.setErrorMode({ status: 500, body: { error: { code: 'X', message: 'CANARY-door' } } }, { count: 2 });
    await app.queue.add(note('3', 'CANARY-late'));
    await app.drain();
    app.expireToken();
    await app.queue.add(note('4'));
    await app.drain();
    app.network.setLoss({ requests: 1 });
    await app.queue.add(note('5'));
    await app.clock.advance(10_000);
    app.network.setLoss({});
    await app.drain();
    app.storage.failWrites();
    await expect(app.queue.add(note('6', 'CANARY-full'))).rejects.toThrow();
    await expect(app.queue.add({ type: 'note.save', payload: { id: 'CANARY', text: 7 } } as never)).rejects.toThrow();
    await app.queue.discard(app.queue.listUnconfirmed()[0]?.id ?? '', 'CANARY-reason');
    await app.storage.rewrite((text, key) => (key.startsWith('p/') || key.startsWith('f/') ? `CANARY${text}` : text));
    await app.queue.restart();
    await app.settle();

    const said = JSON.stringify([app.queue.exportLog(), other.exportLog(), shown]);

    expect(app.queue.exportLog().entries.length).toBeGreaterThan(50);
    expect(said).not.toContain('CANARY');
    for (const { token } of app.server.requests) expect(said).not.toContain(token);
  });

  test('K2 · it keeps the last entries and no more, and says how many are gone', () => {
    const log = new DebugLog(new FakeClock());
    for (let number = 1; number <= LOG_ENTRY_COUNT + 7; number += 1) log.note('queue', 'n', { number });

    expect(log.entries).toHaveLength(LOG_ENTRY_COUNT);
    expect(log.entries[0]?.data).toEqual({ number: 8 });
    expect(log.entries.at(-1)?.data).toEqual({ number: LOG_ENTRY_COUNT + 7 });
    expect(log.droppedCount).toBe(7);
  });
});

describe('debug', () => {
  const watched = async (
    debug: (
      entries: LogEntry[],
    ) => NonNullable<Parameters<TestApp<typeof MUTATIONS>['queue']['enableDebugLogging']>[0]>,
  ): Promise<{ readonly app: TestApp<typeof MUTATIONS>; readonly entries: LogEntry[] }> => {
    const entries: LogEntry[] = [];
    const app = await createTestApp({ mutations: MUTATIONS, queue: { debug: debug(entries) } });
    return { app, entries };
  };

  test('K2 · entries go to a function as they come, of the categories asked for', async () => {
    const { app, entries } = await watched((list) => ({
      categories: ['delivery'],
      log: (entry) => list.push(entry),
    }));
    await app.queue.add(note('1'));
    await app.drain();

    expect(entries.map(({ event }) => event)).toEqual(['send', 'answer']);
  });

  test('K2 · it can be switched on later, and off again; a function that throws disturbs nothing', async () => {
    const { app } = await watched(() => false);
    let count = 0;
    const stop = app.queue.enableDebugLogging({
      log: () => {
        count += 1;
        throw new Error('mine');
      },
    });
    await app.queue.add(note('1'));
    await app.drain();
    expect(count).toBeGreaterThan(5);
    expect(app.server.effects).toHaveLength(1);

    stop();
    const before = count;
    await app.queue.add(note('2'));
    await app.drain();
    expect(count).toBe(before);
  });

  test('K2 · with true, everything goes to the console', async () => {
    const shown = vi.spyOn(console, 'debug').mockImplementation(() => {});
    const { app } = await watched(() => true);
    await app.queue.add(note('1'));
    await app.drain();

    expect(shown).toHaveBeenCalledWith('[holdfast:queue] stored', expect.objectContaining({ seq: 1 }));
    shown.mockRestore();
  });

  test('K2 · a category that there is not is refused', async () => {
    await expect(watched(() => ['deliveries' as 'delivery'])).rejects.toMatchObject({
      code: 'INVALID_OPTION',
      message: '`debug` names the category "deliveries", which there is not.',
    });
  });
});

test('K2 · every default is in one frozen object, and it is what the queue does', async () => {
  expect(defaults).toMatchObject({
    retry: { maxRetries: 5, backoffMsBase: 1_000, backoffMultiplier: 2, backoffMsMax: 30_000, jitter: 'full' },
    line: { delayMsBase: 1_000, delayMsMax: 300_000, jitter: 0.2 },
    attemptTimeoutMs: 30_000,
    queueCapCount: 1_000,
    queueCapBytes: 10_000_000,
    pauseGraceMs: 5_000,
    priorityLevelMs: 60_000,
    historyMs: 604_800_000,
  });
  expect(defaults.retry).toBe(RETRY_DEFAULTS);
  expect(defaults.limits).toBe(LIMITS);
  for (const part of [defaults, defaults.retry, defaults.line, defaults.limits])
    expect(Object.isFrozen(part)).toBe(true);
  const app = await createTestApp({ mutations: MUTATIONS });
  expect(app.queue.exportLog().options).toMatchObject({
    attemptTimeoutMs: defaults.attemptTimeoutMs,
    queueCapCount: defaults.queueCapCount,
  });
});

test('K2 · the version in a bug report is that of the package', async () => {
  const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    readonly version: string;
  };
  const app = await createTestApp({ mutations: MUTATIONS });
  expect(app.queue.exportLog().versions.holdfast).toBe(manifest.version);
});
