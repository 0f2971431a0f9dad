import {
  type ApplyRequest,
  LIMITS,
  type MutationSource,
  type OriginalMutation,
  PROTOCOL_VERSION,
  type Telemetry,
  type WireMutation,
} from 'holdfast/protocol';
import { z } from 'zod';
import { Refusal } from './refusal.ts';
import { isStorable, isStorableText } from './storable.ts';

/** An `ApplyRequest` as far as the server reads it; the payload is the app's and passes through untouched. */
export interface ParsedApplyRequest {
  readonly protocol: number;
  readonly client: ApplyRequest['client'];
  readonly acknowledgedFloor: number;
  readonly mutations: readonly (Omit<WireMutation, 'payload' | 'createdAt' | 'source' | 'original'> & {
    readonly payload: object;
    readonly createdAt?: string | undefined;
    readonly source?: MutationSource | undefined;
    readonly original?: (Omit<OriginalMutation, 'payload'> & { readonly payload: object }) | undefined;
  })[];
  readonly epoch?: string | undefined;
  readonly telemetry?: Telemetry | undefined;
  /** Set by the door alone: what follows these mutations in the same request comes in another call. */
  readonly goesOn?: boolean | undefined;
  /** Set by the door alone: how many savepoints other calls for the same request have left to this one. */
  readonly blocksLeft?: number | undefined;
}

const textSchema: z.ZodType<string> = z
  .string()
  .min(1)
  .max(200)
  .refine(isStorableText, 'holds characters that a database cannot');

const operationSchema: z.ZodType<WireMutation['operation']> = z.enum([
  'create',
  'update',
  'delete',
  'restore',
  'custom',
]);
const entitySchema: z.ZodType<WireMutation['entity']> = z.object({ table: textSchema, id: textSchema }).nullable();
const encodingSchema: z.ZodType<WireMutation['encoding']> = z.enum(['mergePatch', 'jsonPatch']).optional();

const payloadSchema: z.ZodType<object> = z.custom<object>(
  (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
  'must be an object',
);

// where in the app it was made: for logs, so what is odd about it is left out and refuses nothing
const sourceSchema: z.ZodType<MutationSource> = z.object({
  screen: textSchema.optional().catch(undefined),
  action: textSchema.optional().catch(undefined),
  component: textSchema.optional().catch(undefined),
  userFlow: textSchema.optional().catch(undefined),
});

// unknown fields are ignored: a newer client may send more
const applyRequestSchema: z.ZodType<ParsedApplyRequest> = z.object({
  protocol: z.literal(PROTOCOL_VERSION),
  client: z.object({
    id: z.guid(),
    workspaceId: textSchema,
    userId: textSchema.optional(),
    // what is none of these is not said
    lastSeq: z.int().nonnegative().optional().catch(undefined),
    unsentCount: z.int().nonnegative().optional().catch(undefined),
    queue: textSchema.optional().catch(undefined),
    forkedFrom: z
      .object({
        id: z.guid(),
        reason: z.enum(['wiped', 'behind']),
        lastSeq: z.int().nonnegative().optional().catch(undefined),
        unsentCount: z.int().nonnegative().optional().catch(undefined),
      })
      .optional()
      .catch(undefined),
  }),
  acknowledgedFloor: z.int().nonnegative(),
  mutations: z.array(
    z.object({
      id: z.guid(),
      seq: z.int().positive(),
      after: z.int().positive().nullable(),
      generation: z.int().nonnegative().max(2_147_483_647),
      type: textSchema,
      version: z.int(),
      operation: operationSchema,
      entity: entitySchema,
      payload: payloadSchema,
      base: z.object({ rowVersion: z.int().nonnegative() }).optional(),
      rebases: z.int().nonnegative().max(2_147_483_647).optional(),
      hlc: z
        .string()
        .regex(/^[0-9a-f]{12}-[0-9a-f]{4}-[0-9a-z-]{1,36}$/)
        .optional(),
      encoding: encodingSchema,
      original: z
        .object({
          version: z.int(),
          operation: operationSchema,
          entity: entitySchema,
          payload: payloadSchema,
          encoding: encodingSchema,
        })
        .optional(),
      outdated: z.literal(true).optional().catch(undefined),
      // what else it may say is nothing
      awaitsCreation: z.literal(true).optional().catch(undefined),
      replaces: z.guid().optional().catch(undefined),
      attempt: z.int().positive().optional().catch(undefined),
      createdAt: textSchema.optional().catch(undefined),
      source: sourceSchema.optional().catch(undefined),
    }),
  ),
  epoch: z.guid().optional().catch(undefined),
  // the database looks at it closely; what it cannot even hold is left out
  telemetry: z
    .custom<Telemetry>((value) => typeof value === 'object' && value !== null && isStorable(value))
    .optional()
    .catch(undefined),
});

/** @throws Refusal `UPGRADE_REQUIRED`, `BATCH_TOO_LARGE` or `INVALID_REQUEST`. */
export function parseApplyRequest(body: unknown): ParsedApplyRequest {
  const envelope = z.object({ protocol: z.int(), mutations: z.array(z.unknown()) }).safeParse(body);
  if (envelope.success && envelope.data.protocol !== PROTOCOL_VERSION) {
    throw new Refusal(
      'UPGRADE_REQUIRED',
      `This server speaks version ${PROTOCOL_VERSION} of the protocol, not ${envelope.data.protocol}.`,
      'Update whichever of app and server is older; what waits on the device is kept.',
    );
  }
  if (envelope.success && envelope.data.mutations.length > LIMITS.batchCount) {
    throw new Refusal(
      'BATCH_TOO_LARGE',
      `The batch holds ${envelope.data.mutations.length} mutations, the limit is ${LIMITS.batchCount}.`,
      'Send fewer at a time.',
    );
  }
  const parsed = applyRequestSchema.safeParse(body);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new Refusal(
    'INVALID_REQUEST',
    `The request is not a batch: ${issue?.path.join('.') || 'the body'}: ${issue?.message ?? 'malformed'}.`,
    'Send an ApplyRequest as the protocol describes it.',
  );
}

/**
 * The text that `holdfast.apply` takes. A payload that a database cannot hold is left out and said so, which rejects
 * that one mutation; the JSON of the whole batch would otherwise be unreadable, and the queue stuck behind it.
 */
export function toBatchText(request: ParsedApplyRequest): string {
  return JSON.stringify({
    ...request,
    mutations: request.mutations.map((mutation) => {
      const isKnowable = isStorable(mutation.original?.payload ?? {});
      if (isKnowable && isStorable(mutation.payload)) return mutation;
      const { original } = mutation;
      return { ...mutation, payload: {}, original: isKnowable ? original : undefined, unstorable: true };
    }),
  });
}
