import { type HeaderFields, type MutationHeader, wholeHeader } from '../mutation/record.ts';

/** What nearly every mutation says differently. */
type Own = Pick<HeaderFields, 'seq' | 'id' | 'lane' | 'createdAtMs' | 'payloadBytes' | 'bodyChecksum' | 'dedupeKey'>;

/** A header in which what it shares has been found already. */
export interface PackedHeader extends Own {
  readonly rest: Rest;
}

/** What a mutation mostly says like others of its type; or, made from that, the same and what it says otherwise. */
export type Rest = Omit<HeaderFields, keyof Own | 'entity'> & {
  /** Of its row; null where it is about none. */
  readonly table: string | null;
  /** Of its row, where the lane does not name that: the usual lane (`table:id`) does. */
  readonly rowId: string | null;
  /** When the first of them was made: the others keep how much later they were, a number without a place of its own. */
  readonly createdFromMs: number;
};

/** What most mutations say, of whatever type. */
const USUAL = {
  generation: 0,
  alsoLanes: [],
  place: null,
  rowId: null,
  dependsOn: [],
  slots: [],
  expiresAtMs: null,
  attempts: [],
  revision: 0,
  replaces: null,
  dedupeNear: null,
  edit: undefined,
  members: undefined,
  mark: undefined,
} as const satisfies Partial<Rest>;
const USUAL_FIELDS = Object.keys(USUAL) as readonly (keyof typeof USUAL)[];

/**
 * The header of a mutation in the room that a long queue has for it: its own are only the fields that differ from one mutation
 * to the next, and all others are shared with those of its type that say the same. It has all fields of a header, for whoever looks
 * at them; `header` makes a whole one of them, for whoever passes it on.
 */
export class KeptHeader implements HeaderFields {
  declare id: string;
  declare seq: number;
  declare lane: string;
  declare payloadBytes: number;
  declare dedupeKey: string | null;
  declare private rest: Rest;
  declare private createdAfterMs: number;
  /** The checksum's 32 bits as a signed number, which needs no place of its own where a pointer takes 8 bytes. */
  declare private signedChecksum: number;

  constructor(header: MutationHeader | PackedHeader) {
    this.take(header, 'rest' in header ? header.rest : restOf(header));
  }

  /** Made whole at every call. Setting it takes over all that the new one says. */
  get header(): MutationHeader {
    return wholeHeader(this);
  }
  set header(header: MutationHeader) {
    this.take(header, restOf(header));
  }

  private take(header: Own, rest: Rest): void {
    this.id = header.id;
    this.seq = header.seq;
    this.lane = header.lane;
    this.payloadBytes = header.payloadBytes;
    this.dedupeKey = header.dedupeKey;
    this.rest = rest;
    const afterMs = header.createdAtMs - rest.createdFromMs;
    // V8 gives every number that was computed with fractions a place of its own, until it is told that it has none.
    this.createdAfterMs = afterMs === (afterMs | 0) ? afterMs | 0 : afterMs;
    this.signedChecksum = header.bodyChecksum | 0;
  }

  /** What it has in common with others of its type; null where it says something else there. */
  get shared(): Rest | null {
    return Object.getPrototypeOf(this.rest) === Object.prototype ? this.rest : null;
  }

  get createdAtMs(): number {
    return this.rest.createdFromMs + this.createdAfterMs;
  }
  get bodyChecksum(): number {
    return this.signedChecksum >>> 0;
  }
  get entity(): HeaderFields['entity'] {
    const { table, rowId } = this.rest;
    return table === null ? null : { table, id: rowId ?? this.lane.slice(table.length + 1) };
  }

  get generation(): number {
    return this.rest.generation;
  }
  get type(): string {
    return this.rest.type;
  }
  get version(): number {
    return this.rest.version;
  }
  get alsoLanes(): HeaderFields['alsoLanes'] {
    return this.rest.alsoLanes;
  }
  get place(): number | null {
    return this.rest.place;
  }
  get operation(): HeaderFields['operation'] {
    return this.rest.operation;
  }
  get priority(): HeaderFields['priority'] {
    return this.rest.priority;
  }
  get maxRetries(): number | null {
    return this.rest.maxRetries;
  }
  get retryDelayMs(): number | null {
    return this.rest.retryDelayMs;
  }
  get delayMs(): number {
    return this.rest.delayMs;
  }
  get dependsOn(): HeaderFields['dependsOn'] {
    return this.rest.dependsOn;
  }
  get slots(): HeaderFields['slots'] {
    return this.rest.slots;
  }
  get expiresAtMs(): number | null {
    return this.rest.expiresAtMs;
  }
  get attempts(): HeaderFields['attempts'] {
    return this.rest.attempts;
  }
  get revision(): number {
    return this.rest.revision;
  }
  get replaces(): string | null {
    return this.rest.replaces;
  }
  get dedupeNear(): HeaderFields['dedupeNear'] {
    return this.rest.dedupeNear;
  }
  get edit(): HeaderFields['edit'] {
    return this.rest.edit;
  }
  get members(): HeaderFields['members'] {
    return this.rest.members;
  }
  get mark(): HeaderFields['mark'] {
    return this.rest.mark;
  }
}

/** What is usual for the header's type; where it says something else, an object that has only that, and the usual behind it. */
function restOf(header: MutationHeader): Rest {
  const usual = usualOf(header);
  let own: Partial<Record<keyof typeof USUAL, unknown>> | null = null;
  for (const field of USUAL_FIELDS) {
    const value = field === 'rowId' ? rowIdBesideLane(header) : header[field];
    if (value === USUAL[field] || (Array.isArray(USUAL[field]) && (value as readonly unknown[]).length === 0)) continue;
    own ??= Object.create(usual) as Partial<Record<keyof typeof USUAL, unknown>>;
    own[field] = value;
  }
  return (own as Rest | null) ?? usual;
}

/** By type: an app has few, and of each only some that differ in what can be chosen for a single mutation. */
const USUALS = new Map<string, readonly Rest[]>();
const TYPE_COUNT_MAX = 1_000;
const USUAL_COUNT_MAX = 16;

function usualOf(header: MutationHeader): Rest {
  const { type, version, operation, priority, maxRetries, retryDelayMs, delayMs, createdAtMs } = header;
  const table = header.entity?.table ?? null;
  const known = USUALS.get(type) ?? [];
  const same = known.find(
    (each) =>
      each.version === version &&
      each.operation === operation &&
      each.table === table &&
      each.priority === priority &&
      each.maxRetries === maxRetries &&
      each.retryDelayMs === retryDelayMs &&
      each.delayMs === delayMs,
  );
  if (same !== undefined) return same;
  const made: Rest = {
    ...USUAL,
    type,
    version,
    operation,
    priority,
    maxRetries,
    retryDelayMs,
    delayMs,
    table,
    createdFromMs: createdAtMs,
  };
  if (known.length < USUAL_COUNT_MAX && (known.length > 0 || USUALS.size < TYPE_COUNT_MAX))
    USUALS.set(type, [...known, made]);
  return made;
}

/** Nothing where the lane ends with it behind the table and a sign, so that it can be cut out of there. */
function rowIdBesideLane({ lane, entity }: MutationHeader): string | null {
  if (entity === null) return null;
  const { table, id } = entity;
  return lane.length === table.length + 1 + id.length && lane.endsWith(id) ? null : id;
}
