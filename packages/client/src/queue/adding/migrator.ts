import { outdated } from '../../engine/versions.ts';
import type { AnyMutationDefinition } from '../../mutation/definition.ts';
import {
  headerOfBody,
  lanesOf,
  type MutationBody,
  type MutationHeader,
  type VersionedType,
  writeBody,
} from '../../mutation/record.ts';
import { isSensitive } from '../../mutation/sensitive.ts';
import { membersOf, migratePayload, type Standing, versionsOfMembers } from '../../mutation/versions.ts';
import { ATOMIC_TYPE, type WireError } from '../../protocol/wire.ts';
import { type CheckedPayload, checkGiven, payloadText } from './check-payload.ts';
import { describeAtomic } from './prepare-mutation.ts';
import type { Amendment } from '../store/queue-store.ts';
import { Rewriting, type RewritingPorts } from './rewriting.ts';
import { messageOf } from '../../mutation/holdfast-error.ts';

export interface MigratorPorts extends RewritingPorts {
  readonly standingOf: (header: MutationHeader) => Standing;
}

/**
 * Rewrites what an earlier version of the app has stored as this one would have stored it, some in one commit. Its number, id
 * and place in order stay, and its first form is kept beside: it may have been sent so.
 */
export function migrator(ports: MigratorPorts): Rewriting {
  const { definitions, dispatch, standingOf } = ports;
  return new Rewriting({
    ...ports,
    isDone: (header) => standingOf(header) !== 'older',
    amendmentsOf: async (open, bodies) => {
      const amendments: Amendment[] = [];
      const failures: { readonly seq: number; readonly error: WireError }[] = [];
      for (const stored of open) {
        const { header } = stored;
        const body = bodies.get(header.seq);
        if (body === undefined) continue;
        try {
          amendments.push({ stored, ...(await migrated(header, body, definitions)) });
        } catch (cause) {
          const words = messageOf(cause);
          // It stays with the dead letter, and may tell what came instead of what was asked for.
          const isSecret = body.isSensitive === true || isSensitive(definitions, header.type, body.payload);
          const reason = isSecret ? 'a step of `migrate` or the schema refused it' : words;
          failures.push({ seq: header.seq, error: outdated(header.type, header.version, reason) });
        }
      }
      if (failures.length > 0) dispatch({ kind: 'cannotMigrate', failures });
      return amendments;
    },
  });
}

type Definitions = MigratorPorts['definitions'];

/** Throws when no way leads to this version. */
async function migrated(
  header: MutationHeader,
  body: MutationBody,
  definitions: Definitions,
): Promise<Omit<Amendment, 'stored'>> {
  const { type, version } = header;
  if (type === ATOMIC_TYPE) return migratedAtomic(header, body, definitions);
  // Only declared ones are older than this version of the app.
  const definition = definitions.get(type) as AnyMutationDefinition;
  return asCurrent(header, body, await checkGiven(definition, migratePayload(definition, version, body.payload)));
}

/** Members whose types are not declared (any more) stay as they are, and so do the lanes that they may stand in. */
async function migratedAtomic(
  header: MutationHeader,
  body: MutationBody,
  definitions: Definitions,
): Promise<Omit<Amendment, 'stored'>> {
  const members = membersOf(body.payload);
  const isCurrent = ({ type, version }: VersionedType): boolean =>
    !definitions.has(type) || (definitions.get(type)?.version ?? 1) === version;
  if (members.every(isCurrent)) return { header: { ...header, members: versionsOfMembers(members) }, body: null };
  const lanes = members.every(({ type }) => definitions.has(type)) ? [] : lanesOf(header);
  const described = await Promise.all(
    members.map(async (member) => {
      if (!definitions.has(member.type)) return { ...member, lane: header.lane, alsoLanes: NO_LANES };
      const definition = definitions.get(member.type) as AnyMutationDefinition;
      return (await checkGiven(definition, migratePayload(definition, member.version, member.payload))).described;
    }),
  );
  const whole = describeAtomic(described);
  const alsoLanes = [...new Set([...whole.alsoLanes, ...lanes])].filter((lane) => lane !== whole.lane);
  const { text, bytes } = payloadText(ATOMIC_TYPE, whole.payload);
  const { dedupeKey, dedupeNear } = header;
  return asCurrent(header, body, {
    described: { ...whole, alsoLanes },
    text,
    bytes,
    dedupe: { dedupeKey, dedupeNear },
    isOneWay: false,
    isSensitive: isSensitive(definitions, ATOMIC_TYPE, whole.payload),
  });
}

const NO_LANES: readonly string[] = [];

function asCurrent(
  header: MutationHeader,
  { payload, original, ...more }: MutationBody,
  { described, text, bytes, dedupe, isOneWay, isSensitive: isNowSensitive }: Omit<CheckedPayload, 'slots'>,
): Omit<Amendment, 'stored'> {
  const { version, operation, entity, lane, alsoLanes, members } = described;
  const first = { version: header.version, operation: header.operation, entity: header.entity, payload };
  const body = writeBody(text, {
    ...more,
    isOneWay: isOneWay || undefined,
    isSensitive: isNowSensitive || more.isSensitive,
    original: original ?? first,
  });
  const size = { payloadBytes: bytes, ...headerOfBody(body) };
  const migrated = { ...header, ...dedupe, version, operation, entity, lane, alsoLanes, ...size };
  return { header: members === undefined ? migrated : { ...migrated, members }, body };
}
