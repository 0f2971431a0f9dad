/**
 * The wire: one request carries a batch of mutations, one answer carries an outcome for each. The same JSON travels
 * over HTTP and through the database function `holdfast.apply(batch jsonb)`. Unknown fields are ignored on both sides.
 */

/** Version of everything in this folder. A server answers a version it does not know with `UPGRADE_REQUIRED`. */
export const PROTOCOL_VERSION = 1 as const;

/** Limits both sides enforce; a batch within them is never refused for its size. */
export const LIMITS = {
  /** Largest payload of one mutation, in bytes of its JSON text (UTF-8). */
  payloadBytes: 262_144,
  /** Most mutations in one batch. */
  batchCount: 100,
  /** Most payload bytes in one batch, unless a single mutation is larger. */
  batchBytes: 262_144,
  /** Largest HTTP body, in bytes. */
  bodyBytes: 1_048_576,
  /** Deepest nesting of arrays and objects in a payload; a plain object is depth 1. */
  jsonDepth: 32,
  /** Largest metadata of one mutation, in bytes of its JSON text (UTF-8). */
  metadataBytes: 4_096,
  /** Longest text in a mutation's source, in characters. */
  sourceChars: 200,
} as const;

/** A value that JSON can carry without loss. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** A JSON object: what a payload is. */
export type JsonObject = { readonly [key: string]: Json };

/**
 * Type of a mutation whose payload is `{ members: [{ type, version, operation, entity, payload }, …] }`: all of them take
 * effect in one transaction, or none. Its result is the array of theirs.
 */
export const ATOMIC_TYPE = 'holdfast.atomic' as const;

/**
 * What a mutation does to its entity. The server's table handlers know all but `custom`. `restore` puts a row that was deleted
 * back as it was, from the audit log; its payload is empty.
 */
export type Operation = 'create' | 'update' | 'delete' | 'restore' | 'custom';

/** The row a mutation is about. */
export interface EntityRef {
  readonly table: string;
  readonly id: string;
}

/** Who made a mutation, on what and with which app; and whatever else the app wants to find again in logs. */
export interface MutationMetadata {
  readonly userId?: string | undefined;
  readonly deviceId?: string | undefined;
  readonly appVersion?: string | undefined;
  readonly [key: string]: Json | undefined;
}

/** Where in the app a mutation was made. */
export interface MutationSource {
  readonly screen?: string | undefined;
  readonly action?: string | undefined;
  readonly component?: string | undefined;
  readonly userFlow?: string | undefined;
}

export interface WireMutation {
  /** UUIDv7, made on the device before the first send and equal for every attempt. */
  readonly id: string;
  /** Counts up on the client; never reused, whatever happens there. */
  readonly seq: number;
  /** `seq` of the mutation before this one in its lane; null when that one is known to be settled. */
  readonly after: number | null;
  /** 0 at first; one higher each time a person retries it after a refusal, so that the stored refusal is superseded. */
  readonly generation: number;
  readonly type: string;
  /** Version of the type's payload. */
  readonly version: number;
  readonly operation: Operation;
  readonly entity: EntityRef | null;
  readonly payload: JsonObject;
  /** When the user made the change, by the device's clock (ISO 8601). Information only: nothing is ordered by it. */
  readonly createdAt: string;
  /** Left out where the app gave none. No part of what makes two mutations the same. */
  readonly metadata?: JsonObject;
  /** Left out where the app gave none. */
  readonly source?: MutationSource;
  /**
   * The version of the row that the edit was made on. When the row is another version by now, the answer is `conflict` and
   * nothing has changed. Left out for an edit that stands whatever became of the row.
   */
  readonly base?: { readonly rowVersion: number } | undefined;
  /** How often the payload was made anew after a conflict; left out for 0. The higher one is the later form of the mutation. */
  readonly rebases?: number | undefined;
  /** Hybrid time of the edit. It takes effect on a row last changed before it, whatever the base. Left out otherwise. */
  readonly hlc?: string | undefined;
  /**
   * How the payload of an update speaks of the row at its base. Left out when it holds the fields as they are to be;
   * `mergePatch` for a merge patch (RFC 7396) of the row; `jsonPatch` for `{patch}`, a JSON Patch (RFC 6902) of it.
   */
  readonly encoding?: PatchEncoding | undefined;
  /**
   * A creation that this device added before is not settled. Where a foreign key finds no row (SQLSTATE 23503), the answer is
   * then `refused` and nothing is kept of it, so that the device may wait; else it is `rejected` for good. Left out otherwise.
   */
  readonly awaitsCreation?: true | undefined;
  /**
   * Id of the creation of the same row that this one stands for, which may have taken effect: where the row is there, it is
   * changed and not created. Left out for all others.
   */
  readonly replaces?: string | undefined;
  /**
   * What it was before a newer version of the app migrated it. It may have been sent so: the server knows a mutation by its
   * first form (whether this payload is the one it has seen), and carries out the later one. Left out for all others.
   */
  readonly original?: OriginalMutation | undefined;
  /**
   * An earlier version of the app may have sent it, and this one cannot migrate it. Where the server has a verdict on it, that is
   * the answer; else it is `rejected` (`OUTDATED`), and that is remembered. Left out for all others.
   */
  readonly outdated?: true | undefined;
  /** Which attempt this is, counted by answers about the mutation itself; left out for the first. For the server's retry log. */
  readonly attempt?: number | undefined;
}

/** The first form of a mutation that was migrated. */
export type OriginalMutation = Pick<WireMutation, 'version' | 'operation' | 'entity' | 'payload' | 'encoding'>;

export type PatchEncoding = 'mergePatch' | 'jsonPatch';

export interface ApplyRequest {
  readonly protocol: number;
  readonly client: {
    /** UUID of this browser profile or installation, per user and workspace. */
    readonly id: string;
    /** The workspace the mutations were made in; refused when the login's is another. */
    readonly workspaceId: string;
    /** Whose they are; refused (`WRONG_LOGIN`) when the login is another user's. Earlier clients leave it out. */
    readonly userId?: string | undefined;
    /** The last number it has given out. One that is lower than the server once heard was put back to an earlier state. */
    readonly lastSeq?: number | undefined;
    /** How many changes stay on the device besides those of this request. */
    readonly unsentCount?: number | undefined;
    /** Which of an app's queues it is: two on one device are no reason to think that one was lost. */
    readonly queue?: string | undefined;
    /** The client that it has taken the place of, until the server has answered. */
    readonly forkedFrom?: ForkedFrom | undefined;
  };
  /** Every `seq` up to and including this one is settled, and the client has stored that durably. */
  readonly acknowledgedFloor: number;
  readonly mutations: readonly WireMutation[];
  /**
   * The epoch of the server that this client has heard last. A server of another epoch was restored or failed over, and may have
   * forgotten what it confirmed: it carries out nothing of the batch, believes no floor, and answers with its own epoch.
   */
  readonly epoch?: string | undefined;
  /** What happened on the device since the last report, for the server's logs. It decides nothing. */
  readonly telemetry?: Telemetry | undefined;
}

/** Sent again under the same id until it was taken; the server counts it once. */
export interface Telemetry {
  /** UUID of this report. */
  readonly id: string;
  readonly queue: {
    readonly pending: number;
    readonly failed: number;
    /** When the oldest that waits was added, by the device's clock (ISO 8601); null when nothing waits. */
    readonly oldestAt: string | null;
    /** Some of those that wait and do not go with this batch: the first that the device knows of. */
    readonly waiting?: readonly WaitingTelemetry[] | undefined;
  };
  /** Verdicts heard since the report before, by type. */
  readonly types: readonly TypeTelemetry[];
  /** What people did on the device that the server was not told of yet, the oldest first. Told twice, they count once. */
  readonly acts?: readonly ActTelemetry[] | undefined;
}

/** A mutation that waits on a device. Its payload stays there. */
export interface WaitingTelemetry {
  readonly id: string;
  readonly seq: number;
  readonly type: string;
  /** By the device's clock (ISO 8601). */
  readonly createdAt: string;
}

/** Something that a person or the app did to mutations on a device. */
export interface ActTelemetry {
  /** Under which the device keeps it. */
  readonly key: string;
  readonly kind: string;
  /** Who did it, as the device says; whose login it was, the server knows. */
  readonly actor: string;
  readonly reason: string | null;
  /** By the device's clock (ISO 8601). */
  readonly at: string;
  /** Of the mutations, as many as fit. */
  readonly ids: readonly string[];
  readonly touchedCount: number;
}

export interface TypeTelemetry {
  readonly type: string;
  readonly completed: number;
  readonly failed: number;
  readonly cancelled: number;
  /** Attempts after the first, of those that came to a verdict. */
  readonly retries: number;
  /** From adding to the confirmation, by the device's clock, in milliseconds. */
  readonly processingMsTotal: number;
  readonly processingMsMax: number;
}

/** Why a client has another id than before: its store came back empty, or as it was earlier. */
export interface ForkedFrom {
  readonly id: string;
  readonly reason: 'wiped' | 'behind';
  /** How far its numbers had come in the state that it was put back to, or as an anchor beside the store says. */
  readonly lastSeq?: number | undefined;
  /** How many changes were unsent, as far as the anchor says. */
  readonly unsentCount?: number | undefined;
}

/** What the server says of the client, beside the outcomes. */
export interface ClientNotice {
  /**
   * Its numbers are lower than they once were, or one of them was used by another change: nothing was looked at. It must take
   * another id, or a new change would pass for an old one.
   */
  readonly behind?: { readonly reason: 'behind' | 'reused'; readonly highSeq: number } | undefined;
  /** What was lost with the store of the client that it has taken the place of. */
  readonly lost?: LostChanges | undefined;
}

export interface LostChanges {
  readonly clientId: string;
  readonly reason: 'wiped' | 'behind';
  /** As far as can be known. */
  readonly unsentCount: number;
}

export interface WireError {
  readonly category: ErrorCategory;
  /** From the open list in `docs/errors.md`, or a SQLSTATE. For programs. */
  readonly code: string;
  /** For people. */
  readonly message: string;
  /** What to do about it. */
  readonly hint?: string | undefined;
}

/** The row of a member of an atomic mutation, as that left it; `rowVersion` is null for a delete, and for rows that do not count their changes. */
export interface MemberRow extends EntityRef {
  readonly rowVersion: number | null;
}

/** What became of one mutation. `refused` may succeed later and uses an attempt; `rejected` never will. */
export type WireOutcome =
  | {
      readonly seq: number;
      readonly id: string;
      readonly kind: 'applied';
      readonly result: Json;
      /** Of the row as it was left; not there for a delete, and for rows that do not count their changes. */
      readonly rowVersion?: number | undefined;
      /** Of an atomic mutation: one for each of its members, null for one that is not about a row. */
      readonly memberRows?: readonly (MemberRow | null)[] | undefined;
    }
  /** Seen before. `verdict` is the stored one; `result` is null once the ledger row has been trimmed. */
  | {
      readonly seq: number;
      readonly id: string;
      readonly kind: 'duplicate';
      readonly verdict: 'applied';
      readonly result: Json;
      readonly rowVersion?: number | undefined;
      readonly memberRows?: readonly (MemberRow | null)[] | undefined;
    }
  | {
      readonly seq: number;
      readonly id: string;
      readonly kind: 'duplicate';
      readonly verdict: 'rejected';
      readonly error: WireError;
    }
  | { readonly seq: number; readonly id: string; readonly kind: 'rejected'; readonly error: WireError }
  | { readonly seq: number; readonly id: string; readonly kind: 'refused'; readonly error: WireError }
  /** It had no effect, and no record is kept of it: the row is another version than the edit was made on. */
  | WireConflict
  /** Not looked at this time: the one before it in its lane is not settled, or the batch ran out of room. */
  | { readonly seq: number; readonly id: string; readonly kind: 'deferred' };

export interface WireConflict {
  readonly seq: number;
  readonly id: string;
  readonly kind: 'conflict';
  /** The base that this answers: one that is late answers an earlier form of the mutation. Null when none was sent. */
  readonly baseRowVersion: number | null;
  /** The row as it is now, as far as the caller may see it; null when it is not there any more. */
  readonly current: JsonObject | null;
  readonly rowVersion: number | null;
  readonly error: WireError;
}

export interface ApplyResponse {
  readonly protocol: number;
  /** One for each mutation sent, matched by `seq` and `id`, never by position. */
  readonly outcomes: readonly WireOutcome[];
  /** The server's clock (ISO 8601). */
  readonly serverTime: string;
  /** Another one than before says that the server was restored or failed over. A server of before 0.1 says none. */
  readonly epoch?: string | undefined;
  /** Left out where there is nothing to say. */
  readonly client?: ClientNotice | undefined;
}

/** Body of every answer that is not 2xx. */
export interface ErrorBody {
  readonly error: WireError;
}

/** Answer of `GET …/health`. `service` tells our server from a captive portal that answers everything with 200. */
export interface HealthResponse {
  readonly service: 'holdfast';
  readonly protocol: number;
  readonly status: 'ok' | 'unavailable';
  readonly serverTime: string;
}

/** The closed list of what can go wrong, for programs to branch on. */
export const ERROR_CATEGORIES = [
  'NETWORK_ERROR',
  'TIMEOUT_ERROR',
  'RATE_LIMITED',
  'AUTH_ERROR',
  'FORBIDDEN',
  'VALIDATION_ERROR',
  'CONFLICT',
  'NOT_FOUND',
  'SERVER_ERROR',
  'STORAGE_ERROR',
  'CORRUPTED',
  'OUTDATED',
  'UNKNOWN_ERROR',
] as const;

export type ErrorCategory = (typeof ERROR_CATEGORIES)[number];
