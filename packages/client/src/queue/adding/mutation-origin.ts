import { canonicalJson } from '../../mutation/canonical-json.ts';
import type { MutationOptions } from '../../mutation/definition.ts';
import { type HoldfastError, invalidOption } from '../../mutation/holdfast-error.ts';
import type { MutationBody } from '../../mutation/record.ts';
import { type JsonObject, LIMITS, type MutationSource } from '../../protocol/wire.ts';

/** Where a mutation comes from, as its body keeps it; checked, and without what was left open. */
export type MutationOrigin = Omit<MutationBody, 'payload' | 'original'>;

const SOURCE_FIELDS = [
  'screen',
  'action',
  'component',
  'userFlow',
] as const satisfies readonly (keyof MutationSource)[];
const WHO_FIELDS = ['userId', 'deviceId', 'appVersion'] as const;
/** Nesting of metadata. */
const METADATA_DEPTH = 8;

export function originOf({ metadata, source }: Pick<MutationOptions, 'metadata' | 'source'>): MutationOrigin {
  if (metadata === undefined && source === undefined) return NOWHERE;
  return {
    ...(metadata === undefined ? {} : { metadata: checkMetadata(metadata) }),
    ...(source === undefined ? {} : { source: checkSource(source) }),
  };
}

const NOWHERE: MutationOrigin = {};

function checkMetadata(metadata: object): JsonObject {
  if (!isPlain(metadata)) throw invalid('metadata', 'an object');
  for (const field of WHO_FIELDS) expectText('metadata', field, (metadata as Record<string, unknown>)[field]);
  const json = canonicalJson(metadata, METADATA_DEPTH);
  if (json.kind === 'notJson') throw invalid('metadata', `JSON; its \`${json.path.join('.')}\` is ${json.reason}`);
  if (json.bytes > LIMITS.metadataBytes)
    throw invalid('metadata', `at most ${LIMITS.metadataBytes} bytes as JSON; it is ${json.bytes}`);
  // A copy: what the app changes later is no part of it.
  return JSON.parse(json.text) as JsonObject;
}

function checkSource(source: object): MutationSource {
  if (!isPlain(source)) throw invalid('source', 'an object');
  const given = source as Record<string, unknown>;
  const checked: Record<string, string> = {};
  for (const field of SOURCE_FIELDS) {
    const text = expectText('source', field, given[field]);
    if (text !== undefined) checked[field] = text;
  }
  return checked;
}

function expectText(option: string, field: string, value: unknown): string | undefined {
  if (value === undefined) return undefined;
  if (typeof value === 'string' && value.length <= LIMITS.sourceChars && canonicalJson(value, 1).kind === 'json')
    return value;
  throw invalid(`${option}.${field}`, `a text of at most ${LIMITS.sourceChars} characters`);
}

function isPlain(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function invalid(option: string, expected: string): HoldfastError {
  return invalidOption(option, `Not stored: \`${option}\` must be ${expected}.`);
}
