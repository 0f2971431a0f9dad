import { smallestPayload } from '../../delivery/conflicts/wire-payload.ts';
import type { BatchItem } from '../../engine/engine-io.ts';
import type { EditBody, EditHeader, MutationBody, OriginalForm } from '../../mutation/record.ts';
import type { JsonObject, Operation, WireMutation } from '../../protocol/wire.ts';

/** A mutation as it travels. */
export function toWire({ header, after, awaitsCreation, isOutdated }: BatchItem, body: MutationBody): WireMutation {
  const { id, seq, generation, type, version, operation, entity, createdAtMs, edit, replaces } = header;
  const { payload, edit: editBody, original, isOneWay: _, isSensitive: __, ...more } = body;
  return {
    id,
    seq,
    after,
    generation,
    type,
    version,
    operation,
    entity,
    createdAt: new Date(createdAtMs).toISOString(),
    ...(awaitsCreation === undefined ? {} : { awaitsCreation }),
    ...(replaces === null || operation !== 'create' ? {} : { replaces }),
    ...(header.attempts.length === 0 ? {} : { attempt: header.attempts.length + 1 }),
    ...more,
    ...(edit === undefined ? { payload } : editOnWire(edit, operation, payload, editBody)),
    ...(original === undefined ? {} : { original: originalOnWire(original, edit, editBody) }),
    ...(isOutdated === undefined ? {} : { outdated: true }),
  };
}

/** As it was sent before it was migrated. */
function originalOnWire(
  { version, operation, entity, payload }: OriginalForm,
  edit: EditHeader | undefined,
  body: EditBody | undefined,
): NonNullable<WireMutation['original']> {
  if (edit === undefined) return { version, operation, entity, payload };
  const { payload: sent, encoding } = editOnWire(edit, operation, payload, body);
  return { version, operation, entity, payload: sent, ...(encoding === undefined ? {} : { encoding }) };
}

function editOnWire(
  { baseRowVersion, rebases, hlc, isPatch }: EditHeader,
  operation: Operation,
  payload: JsonObject,
  body: EditBody | undefined,
): Pick<WireMutation, 'payload' | 'base' | 'rebases' | 'hlc' | 'encoding'> {
  // What it was made on is known to be the row at the base only where no edit of this device came before.
  const row = isPatch && operation === 'update' && baseRowVersion !== null && body?.before === null ? body.base : null;
  return {
    ...(row === null ? { payload } : smallestPayload(row, payload)),
    ...(baseRowVersion === null ? {} : { base: { rowVersion: baseRowVersion } }),
    ...(rebases === 0 ? {} : { rebases }),
    ...(hlc === null ? {} : { hlc }),
  };
}
