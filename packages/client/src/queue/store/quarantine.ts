import { REDACTED } from '../../mutation/sensitive.ts';
import {
  type Act,
  isMarkedSensitive,
  type MutationHeader,
  parseBody,
  parseDeadLetter,
  parseHeader,
  parseQuarantined,
  type QuarantinedRecord,
  recordIn,
  sealRecord,
} from '../../mutation/record.ts';
import { QUARANTINED_LOG } from '../../storage/quarantined-log.ts';
import { scanAll } from '../../ports/scan-all.ts';
import { type Change, commitWhere, drop, put, type Storage } from '../../ports/storage.ts';
import { changesOfAct } from './act-log.ts';
import { BODY, FAILED, QUARANTINE, seqKey, seqOfKey } from './record-keys.ts';

/** What stands in a store and does not read: under which key, of which number, and its text as it was found. */
export interface Unreadable {
  readonly key: string;
  readonly seq: number;
  readonly text: string;
  /** A newer version of the app has written it, in a format that this one does not know: it is left where it is. */
  readonly isNewer: boolean;
}

/** A mutation that is whole again: what stands in quarantine, and what it is to be stored as. */
export interface Mended {
  readonly key: string;
  readonly text: string;
  readonly header: MutationHeader;
  readonly body: string;
}

/** One that was moved, with the text that it stands as in quarantine. */
export interface InQuarantine {
  readonly key: string;
  readonly text: string;
  readonly record: QuarantinedRecord;
}

/** Records of one commit. */
const MOVE_COUNT = 100;
/**
 * What no longer reads as a record, set aside with its bytes: it costs no look at the queue any more, and stays until a
 * person has decided. Moved in one commit, so that a kill leaves it here or there.
 */
export class Quarantine {
  private readonly storage: Storage;

  constructor(storage: Storage) {
    this.storage = storage;
  }

  /** Moves these, unless they have changed meanwhile, and says which. `epoch`: under which this tab delivers; null for none. */
  async take(
    found: readonly Unreadable[],
    foundAtMs: number,
    epoch: { readonly key: string; readonly value: string } | null,
  ): Promise<readonly Unreadable[]> {
    const moved: Unreadable[] = [];
    for (let first = 0; first < found.length; first += MOVE_COUNT) {
      let left = found.slice(first, first + MOVE_COUNT);
      while (left.length > 0) {
        const bodies = await this.storage.read(left.map(({ seq }) => seqKey(BODY, seq)));
        const result = await this.storage.commit({
          expect: [...(epoch === null ? [] : [epoch]), ...left.map(({ key, text }) => ({ key, value: text }))],
          changes: left.flatMap(({ key, seq, text }, index): Change[] => {
            const record = { key, text, bodyText: bodies[index] ?? null, foundAtMs };
            return [drop(key), drop(seqKey(BODY, seq)), put(QUARANTINE + key, sealRecord(record))];
          }),
        });
        if (result.kind === 'committed') {
          moved.push(...left);
          break;
        }
        if (result.key === epoch?.key) return moved;
        left = left.filter(({ key }) => key !== result.key);
      }
    }
    return moved;
  }

  /** All that stands here, page by page. What does not read even here is shown as it stands. */
  async *all(): AsyncIterable<InQuarantine> {
    for await (const { key, value } of scanAll(this.storage, QUARANTINE)) yield inQuarantine(key, value);
  }

  /** Those of these keys that stand here. */
  async find(keys: readonly string[]): Promise<readonly InQuarantine[]> {
    const own = keys.filter((key) => key.startsWith(QUARANTINE));
    const texts = own.length === 0 ? [] : await this.storage.read(own);
    return own.flatMap((key, index) => {
      const text = texts[index] ?? null;
      return text === null ? [] : [inQuarantine(key, text)];
    });
  }

  /** Deletes these for good, keeping who decided it and why; says which: those that were still there. */
  async discard(keys: readonly string[], act: Act): Promise<readonly string[]> {
    for (let wanted = keys; ; ) {
      const found = await this.find(wanted);
      const own = found.map(({ key }) => key);
      if (own.length === 0) return [];
      const expect = found.map(({ key, text }) => ({ key, value: text }));
      if (await commitWhere(this.storage, expect, [...own.map(drop), ...changesOfAct(act, own)])) return own;
      wanted = own;
    }
  }
}

/** Its mutation, where header and body read by now (another version of the app may read what this one could not); else null. */
export function mended({ key, text, record }: InQuarantine): Mended | null {
  const header = record.key.startsWith(FAILED)
    ? (recordIn(parseDeadLetter, record.text)?.header ?? null)
    : recordIn(parseHeader, record.text);
  const body = record.bodyText;
  if (header === null || body === null || parseBody(body, header).kind !== 'record') return null;
  return { key, text, header, body };
}

function inQuarantine(key: string, text: string): InQuarantine {
  const shown = { key: key.slice(QUARANTINE.length), text, bodyText: null, foundAtMs: 0 };
  return { key, text, record: recordIn(parseQuarantined, text) ?? shown };
}

/** Something that does not read, or that its schema refuses, for a person to decide on. */
export interface QuarantinedMutation {
  /** For `discardQuarantined` and `retryQuarantined`. */
  readonly key: string;
  /** 0 for part of a log. */
  readonly seq: number;
  /**
   * What does not read. `header`: nobody knows which mutation it was. `deadLetter`: the same, of one that had failed.
   * `payload`: the mutation is known, and a dead letter as well, so that what depends on it is told. `log`: part of the log that
   * the store itself keeps; nobody knows what was in it.
   */
  readonly part: 'header' | 'deadLetter' | 'payload' | 'log';
  /** Null where its header does not read. */
  readonly id: string | null;
  readonly type: string | null;
  /** By the device's clock. */
  readonly foundAtMs: number;
  /** Its bytes, as they were found: the part that does not read, and its payload. */
  readonly text: string;
  readonly bodyText: string | null;
}

export function viewOf({ key, record }: InQuarantine): QuarantinedMutation {
  const { text, bodyText, foundAtMs } = record;
  const isLog = key.startsWith(QUARANTINED_LOG);
  const part = isLog ? 'log' : record.key.startsWith(FAILED) ? 'deadLetter' : 'header';
  const about = { key, seq: isLog ? 0 : seqOfKey(record.key), part, id: null, type: null, foundAtMs } as const;
  return { ...about, text: shownText(text) ?? '', bodyText: shownText(bodyText) };
}

/** The bytes of what never is shown stay where they are. */
export function shownText(text: string | null): string | null {
  return text !== null && isMarkedSensitive(text) ? REDACTED : text;
}
