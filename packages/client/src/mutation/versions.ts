import { ATOMIC_TYPE, type JsonObject } from '../protocol/wire.ts';
import type { AtomicPayload } from './atomic.ts';
import type { AnyMutationDefinition } from './definition.ts';
import type { HeaderFields, VersionedType } from './record.ts';

/** What the app knows of a type: its version, and the earliest one that can be taken to it step by step. */
export interface KnownVersions {
  readonly version: number;
  readonly earliest: number;
}

/**
 * A stored mutation beside what this version of the app knows of its type.
 * `current`: it can be sent as it is. `older`: it is migrated first. `outdated`: older, and no steps lead here. `newer`: a newer
 * version of the app has stored it, and this one knows nothing of what it says.
 */
export type Standing = 'current' | 'older' | 'outdated' | 'newer';

/** Null for a type that is not declared. */
export function knownVersionsOf(definition: AnyMutationDefinition | undefined): KnownVersions | null {
  if (definition === undefined) return null;
  const { version = 1, migrate = {} } = definition;
  let earliest = version;
  while (typeof migrate[earliest - 1] === 'function') earliest -= 1;
  return { version, earliest };
}

/** What becomes of it is told by the worst of its members. One whose type is not declared is sent as it is: the server may know it. */
export function standingOf(
  header: Pick<HeaderFields, 'type' | 'version' | 'members'>,
  versionsOf: (type: string) => KnownVersions | null,
): Standing {
  // Written before members were noted: somebody has to look.
  if (header.type === ATOMIC_TYPE && header.members === undefined) return 'older';
  if (header.members === undefined) return standingOfOne(header, versionsOf);
  const standings = header.members.map((each) => standingOfOne(each, versionsOf));
  return WORST_FIRST.find((standing) => standings.includes(standing)) ?? 'current';
}

const WORST_FIRST = ['newer', 'outdated', 'older'] as const;

function standingOfOne({ type, version }: VersionedType, versionsOf: (type: string) => KnownVersions | null): Standing {
  const known = versionsOf(type);
  if (known === null || version === known.version) return 'current';
  if (version > known.version) return 'newer';
  return version >= known.earliest ? 'older' : 'outdated';
}

/** Each once. */
export function versionsOfMembers(members: readonly VersionedType[]): readonly VersionedType[] {
  const versions = new Map(members.map(({ type, version }) => [`${version} ${type}`, { type, version }]));
  return [...versions.values()];
}

/** Written by `addAtomic`, and nothing else is stored under its type. */
export function membersOf(payload: JsonObject): AtomicPayload['members'] {
  return (payload as unknown as AtomicPayload).members;
}

/** A payload of an earlier version, as the steps of its type make it. Throws what a step throws, and where one is missing. */
export function migratePayload(definition: AnyMutationDefinition, version: number, payload: JsonObject): object {
  const { version: target = 1, migrate = {} } = definition;
  let migrated: object = payload;
  for (let from = version; from < target; from += 1) {
    const step = migrate[from];
    if (step === undefined) throw new Error(`there is no \`migrate[${from}]\``);
    // What a step changes is its own copy, also where it changes what it was given.
    const next: unknown = step(structuredCopy(migrated));
    if (typeof next !== 'object' || next === null || Array.isArray(next))
      throw new Error(`\`migrate[${from}]\` did not return an object`);
    migrated = next;
  }
  return migrated;
}

/**
 * The payload as this version of the app would have stored it, for views, until the tab that delivers has migrated it.
 * Undefined where it cannot be shown: a newer version has stored it, or no way leads here.
 */
export function payloadToShow(
  definitions: ReadonlyMap<string, AnyMutationDefinition>,
  { type, version }: VersionedType,
  payload: JsonObject,
): JsonObject | undefined {
  if (type === ATOMIC_TYPE) {
    const members = membersOf(payload).map((member) => {
      const shown = payloadToShow(definitions, member, member.payload);
      return shown === undefined ? undefined : { ...member, payload: shown };
    });
    return members.includes(undefined) ? undefined : ({ ...payload, members } as unknown as JsonObject);
  }
  const definition = definitions.has(type) ? definitions.get(type) : undefined;
  if (definition === undefined) return payload;
  const { version: target = 1 } = definition;
  if (target < version) return undefined;
  try {
    // JSON like what the schema makes of it in the end.
    return migratePayload(definition, version, payload) as JsonObject;
  } catch {
    return undefined;
  }
}

function structuredCopy(value: object): object {
  return JSON.parse(JSON.stringify(value)) as object;
}
