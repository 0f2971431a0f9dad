import { v5 } from 'uuid';
import { canonicalJson } from '../../mutation/canonical-json.ts';
import type { AnyMutationDefinition } from '../../mutation/definition.ts';
import { HoldfastError, messageOf, toHoldfastError } from '../../mutation/holdfast-error.ts';
import { migratePayload } from '../../mutation/versions.ts';
import { type JsonObject, LIMITS, type MutationMetadata } from '../../protocol/wire.ts';
import type { MutationQueue } from '../mutation-queue.ts';
import { MADE_AT_MS } from './prepare-mutation.ts';

/** A record of an older queue, with what its fields are taken for. */
export interface LegacyRecord {
  readonly id: string;
  readonly type: string;
  readonly payload: JsonObject;
  /** When it was made, by the device's clock (epoch milliseconds). */
  readonly timestampMs: number;
  readonly format: '1.0' | '2.0';
  readonly metadata: MutationMetadata;
}

export interface LegacyImportOptions {
  /**
   * What a record is today: another name of its type, another shape of its payload; null to leave it out. Should be the same
   * each time it is asked.
   * @default its type and payload as they are
   */
  readonly read?: (record: LegacyRecord) => { readonly type: string; readonly payload: object } | null;
  /** The version of its type that its payload has; what is older is migrated. @default 1 */
  readonly payloadVersion?: (type: string) => number;
}

/** One that was not taken over, as it was given. */
export interface LegacyRefusal {
  /** Where it stood, from 0. */
  readonly index: number;
  readonly record: unknown;
  readonly error: HoldfastError;
}

export interface LegacyImport {
  /** Stored by this call. */
  readonly importedCount: number;
  /** Stored by an earlier one, whatever has become of them since. */
  readonly knownCount: number;
  /** Left out by `read`. */
  readonly leftOutCount: number;
  /** Not stored. Keep the old storage, or at least these, until nothing is refused any more. */
  readonly refused: readonly LegacyRefusal[];
}

/** Of ids made here (RFC 9562, 5.5). */
const NAMESPACE = 'a4f5a9a0-6d0e-5f0e-9d6c-2f6b1f0f6c11';
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/**
 * Takes over what an older queue has left: arrays of `{ id, type, payload, timestamp }`, and the same with `version: '2.0'` and
 * `metadata`; or the JSON text of one. Ids and order stay: an id that is no UUID becomes one, always the same, and is kept as
 * `legacyId` in the metadata, where `recordedAt` says when the change was made. Calling it again, after a crash in the middle or with
 * what was refused, stores nothing twice. A bad record costs no other: it is among `refused`, with the reason. The caps do not hold here.
 *
 * Rejects with `INVALID_OPTION` for what is no array, and then nothing is stored.
 */
export async function importLegacy<const Definitions extends readonly AnyMutationDefinition[]>(
  queue: MutationQueue<Definitions>,
  records: unknown,
  options: LegacyImportOptions = {},
): Promise<LegacyImport> {
  const list = listOf(records);
  let leftOutCount = 0;
  const refused: LegacyRefusal[] = [];
  // Called one after the other without waiting, so that they share commits; their order is that of the calls.
  const added = list.map(async (given, index): Promise<boolean | null> => {
    try {
      const record = readRecord(given);
      const read = options.read === undefined ? record : options.read(record);
      if (read === null) {
        leftOutCount += 1;
        return null;
      }
      const version = options.payloadVersion?.(read.type) ?? 1;
      const payload = inCurrentVersion(queue, read.type, version, read.payload as JsonObject);
      const id = idOf(queue, record);
      const metadata = metadataOf(queue, record, id);
      // What its type is, and whether the payload fits, `add` finds out.
      const input = {
        type: read.type,
        payload,
        id,
        metadata,
        [MADE_AT_MS]: Math.max(0, Math.floor(record.timestampMs)),
      };
      const { deduplicated } = await queue.add(input as never);
      return deduplicated;
    } catch (error) {
      refused.push({ index, record: given, error: toHoldfastError(error) });
      return null;
    }
  });
  const ends = await Promise.all(added);
  return {
    importedCount: ends.filter((deduplicated) => deduplicated === false).length,
    knownCount: ends.filter((deduplicated) => deduplicated === true).length,
    leftOutCount,
    refused: refused.sort((left, right) => left.index - right.index),
  };
}

function listOf(records: unknown): readonly unknown[] {
  let list: unknown = records;
  if (typeof records === 'string') {
    try {
      list = JSON.parse(records);
    } catch (cause) {
      throw noList('a text that is not JSON', cause);
    }
  }
  if (Array.isArray(list)) return list as readonly unknown[];
  throw noList(list === null ? 'null' : typeof list);
}

function readRecord(given: unknown): LegacyRecord {
  if (!isObject(given)) throw unreadable('it is not an object');
  const { id, type, payload, timestamp, version, metadata } = given;
  if ((typeof id !== 'string' || id === '') && typeof id !== 'number') throw unreadable('it has no `id`');
  if (typeof type !== 'string' || type === '') throw unreadable('it has no `type`');
  if (!isObject(payload)) throw unreadable('its `payload` is not an object');
  const timestampMs = typeof timestamp === 'string' ? Date.parse(timestamp) : Number(timestamp ?? Number.NaN);
  // Beyond what a date can be.
  if (!(Math.abs(timestampMs) <= 8.64e15)) throw unreadable('its `timestamp` is no time');
  if (version !== undefined && version !== '2.0' && version !== '1.0')
    throw unreadable(`its \`version\` is ${JSON.stringify(version)}, and not '2.0'`);
  if (metadata !== undefined && metadata !== null && !isObject(metadata))
    throw unreadable('its `metadata` is not an object');
  return {
    id: String(id),
    type,
    payload: payload as JsonObject,
    timestampMs,
    format: version === '2.0' ? '2.0' : '1.0',
    metadata: (metadata ?? {}) as MutationMetadata,
  };
}

function inCurrentVersion(
  { definitions }: Pick<MutationQueue, 'definitions'>,
  type: string,
  version: number,
  payload: JsonObject,
): object {
  const definition = definitions.has(type) ? definitions.get(type) : undefined;
  if (definition === undefined || (definition.version ?? 1) <= version) return payload;
  try {
    return migratePayload(definition, version, payload);
  } catch (cause) {
    throw new HoldfastError({
      code: 'OUTDATED',
      message: `Not stored: a payload of version ${version} of ${type} cannot be migrated: ${messageOf(cause)}.`,
      hint: 'Give its type the step in `migrate`, or tell its version with `payloadVersion`, and import again.',
      cause,
    });
  }
}

/** The same for the same record, whichever device has it; another for another record, though an old id may have been a counter. */
function idOf({ identity }: Pick<MutationQueue, 'identity'>, record: LegacyRecord): string {
  const { id, type, payload, timestampMs } = record;
  if (UUID.test(id)) return id.toLowerCase();
  const json = canonicalJson(payload, LIMITS.jsonDepth);
  const text = json.kind === 'json' ? json.text : '';
  return v5(JSON.stringify([identity.workspaceId, identity.userId, id, type, timestampMs, text]), NAMESPACE);
}

/** What the older format did not say, as far as it is known. */
function metadataOf(
  { identity }: Pick<MutationQueue, 'identity'>,
  { id, timestampMs, format, metadata }: LegacyRecord,
  newId: string,
): MutationMetadata {
  return {
    userId: identity.userId,
    ...metadata,
    recordedAt: new Date(timestampMs).toISOString(),
    legacyFormat: format,
    ...(id.toLowerCase() === newId ? {} : { legacyId: id }),
  };
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function unreadable(reason: string): HoldfastError {
  return new HoldfastError({
    code: 'UNREADABLE_RECORD',
    message: `Not imported: ${reason}.`,
    hint: 'Mend the record and import it again, or keep it for a person to look at.',
  });
}

function noList(came: string, cause?: unknown): HoldfastError {
  return new HoldfastError({
    code: 'INVALID_OPTION',
    message: `importLegacy: the records must be an array, or its JSON text; they are ${came}.`,
    hint: 'Give what the older queue has stored.',
    cause,
  });
}
