import type { EngineInput } from '../engine/engine-io.ts';
import type { TransportAnswer } from '../engine/transport-answer.ts';
import { toHoldfastError } from '../mutation/holdfast-error.ts';
import type { Clock } from '../ports/clock.ts';
import { repairIn, type Storage } from '../ports/storage.ts';
import type { Tabs } from '../ports/tabs.ts';
import type { Transport } from '../ports/transport.ts';
import type { Json } from '../protocol/wire.ts';
import { ERROR_CODES } from '../protocol/error-codes.ts';
import { type DebugLog, errorData, type LogCategory, type LogData, safeCode } from '../telemetry/debug-log.ts';
import { readAnswer } from './delivering/read-answer.ts';

/** A list in the log names this many at most. */
const LISTED_COUNT = 20;

/**
 * Tells the log what goes through the transport: counts, numbers and codes, never what is carried. Rejects with
 * `UNREADABLE_ANSWER` when the app's transport gave none of the answers that there are.
 */
export function loggedTransport(transport: Transport, log: DebugLog, clock: Clock): Transport {
  return {
    async send(request, options) {
      const { mutations, acknowledgedFloor } = request;
      const startedAtMs = clock.nowMs();
      const seqs = mutations.slice(0, LISTED_COUNT).map(({ seq }) => seq);
      const hasToken = options.token !== null;
      log.note('delivery', 'send', { count: mutations.length, seqs, acknowledgedFloor, hasToken });
      try {
        const answer = readAnswer(await transport.send(request, options));
        log.note('delivery', 'answer', { ...answerData(answer), durationMs: clock.nowMs() - startedAtMs });
        return answer;
      } catch (error) {
        log.note('delivery', 'threw', errorData(error));
        throw error;
      }
    },
  };
}

/** Tells the log of commits and of every failure, which is a typed one from here on; keys and values stay where they are. */
export function loggedStorage(storage: Storage, log: DebugLog, clock: Clock): Storage {
  const watched = async <Result>(event: string, work: () => Promise<Result>): Promise<Result> => {
    try {
      return await work();
    } catch (error) {
      log.note('storage', `${event}Failed`, errorData(error));
      throw toHoldfastError(error);
    }
  };
  return {
    durability: storage.durability,
    apart: storage.apart,
    commit: async (batch) => {
      const startedAtMs = clock.nowMs();
      const result = await watched('commit', () => storage.commit(batch));
      const durationMs = clock.nowMs() - startedAtMs;
      log.note('storage', 'commit', { changeCount: batch.changes.length, result: result.kind, durationMs });
      return result;
    },
    read: (keys) => watched('read', () => storage.read(keys)),
    scan: (query) => watched('scan', () => storage.scan(query)),
    estimate: () => watched('estimate', () => storage.estimate()),
    close: () => watched('close', () => storage.close()),
    repair: (keys) => watched('repair', () => repairIn(storage, keys)),
  };
}

/** Tells the log who leads, and which kinds of messages come and go. */
export function loggedTabs(tabs: Tabs, log: DebugLog): Tabs {
  return {
    hasLock: tabs.hasLock,
    lead(lead, options = {}) {
      log.note('tabs', 'leadAsked', { isForced: options.isForced === true });
      const told = {
        onGranted: () => {
          log.note('tabs', 'leadGranted');
          lead.onGranted();
        },
        onLost: () => {
          log.note('tabs', 'leadLost');
          lead.onLost();
        },
      };
      return tabs.lead(told, options);
    },
    post(message) {
      log.note('tabs', 'post', kindOf(message));
      tabs.post(message);
    },
    onMessage: (listener) =>
      tabs.onMessage((message) => {
        log.note('tabs', 'message', kindOf(message));
        listener(message);
      }),
    close: () => tabs.close(),
  };
}

/** Inputs of the engine that are of another category than its own. */
const INPUT_CATEGORIES: Partial<Record<EngineInput['kind'], LogCategory>> = {
  hint: 'network',
  probed: 'network',
  leadership: 'tabs',
  tokenRefreshed: 'auth',
  loginChanged: 'auth',
};

/** Tells the log what the engine is told. Of each input only numbers, truths and ids, whatever else it may carry. */
export function logInput(log: DebugLog, input: EngineInput): void {
  // An answer is told of by the transport; a tick only says that time has passed.
  if (input.kind === 'tick' || input.kind === 'answer') return;
  log.note(INPUT_CATEGORIES[input.kind] ?? 'engine', input.kind, inputData(input));
}

function inputData(input: EngineInput): LogData {
  switch (input.kind) {
    case 'added':
    case 'found':
    case 'amended':
      return { count: input.headers.length, seqs: listed(input.headers.map(({ seq }) => seq)) };
    case 'hint':
      return { hint: input.hint };
    case 'probed':
      return input.result.kind === 'reached'
        ? { result: 'reached', latencyMs: input.result.latencyMs }
        : { result: 'notReached' };
    case 'leadership':
      return { isLeader: input.isLeader };
    case 'tokenRefreshed':
      return { isThere: input.isThere };
    default:
      return {
        ...('seqs' in input ? { seqs: listed(input.seqs) } : {}),
        ...('ids' in input ? { ids: listed(input.ids) } : {}),
      };
  }
}

/** A code of ours, a word or a SQLSTATE: what else a server makes of what it was sent may hold any part of it. */
function wordOf(code: string): string {
  return Object.hasOwn(ERROR_CODES, code) || /^([A-Za-z_]{1,40}|[0-9A-Z]{5})$/.test(code) ? code : 'OTHER';
}

function answerData(answer: TransportAnswer): LogData {
  if (answer.kind !== 'answered') return { answer: answer.kind, ...errorData(answer.error) };
  const counts: Record<string, number> = {};
  const codes: string[] = [];
  for (const outcome of answer.outcomes) {
    counts[`${outcome.kind}Count`] = (counts[`${outcome.kind}Count`] ?? 0) + 1;
    if ('error' in outcome) codes.push(`${outcome.seq}:${wordOf(outcome.error.code)}`);
  }
  return { answer: answer.kind, ...counts, ...(codes.length > 0 ? { codes: listed(codes) } : {}) };
}

function kindOf(message: Json): LogData {
  const kind = typeof message === 'object' && message !== null && 'kind' in message ? message.kind : null;
  return { kind: typeof kind === 'string' ? safeCode(kind) : null };
}

function listed<Item extends string | number>(items: readonly Item[]): readonly Item[] {
  return items.slice(0, LISTED_COUNT);
}
