import { randomUUID } from 'node:crypto';
import type { ApplyResponse, EntityRef, JsonObject, Operation, WireMutation, WireOutcome } from 'holdfast/protocol';
import { type CallerClaims, withCaller } from '../caller.ts';
import type { Database } from '../database.ts';

export interface DeviceOptions {
  readonly workspaceId?: string;
  readonly user?: string;
  readonly clientId?: string;
}

/** One client of one signed-in user, calling `holdfast.apply` as PostgREST or the door would. */
export interface TestDevice {
  readonly database: Database;
  readonly workspaceId: string;
  readonly clientId: string;
  readonly claims: CallerClaims;
  /** A mutation with the next sequence number, creating an account unless told otherwise. */
  next(over?: Partial<WireMutation>): WireMutation;
  send(mutations: readonly unknown[], acknowledgedFloor?: number): Promise<readonly WireOutcome[]>;
  /** The same, in short: `['applied', 'rejected ROW_EXISTS', 'duplicate applied']`. */
  sendForKinds(mutations: readonly unknown[], acknowledgedFloor?: number): Promise<readonly string[]>;
}

export function createDevice(database: Database, options: DeviceOptions = {}): TestDevice {
  const workspaceId = options.workspaceId ?? `workspace-${randomUUID()}`;
  const clientId = options.clientId ?? randomUUID();
  const claims: CallerClaims = {
    sub: options.user ?? `user-${randomUUID()}`,
    role: 'authenticated',
    workspace_id: workspaceId,
  };
  let seq = 0;
  const send = async (mutations: readonly unknown[], acknowledgedFloor = 0): Promise<readonly WireOutcome[]> => {
    const answer = await applyBatch(database, claims, {
      protocol: 1,
      client: { id: clientId, workspaceId },
      acknowledgedFloor,
      mutations,
    });
    return answer.outcomes;
  };
  return {
    database,
    workspaceId,
    clientId,
    claims,
    next(over = {}) {
      seq += 1;
      return {
        id: randomUUID(),
        seq,
        after: null,
        generation: 0,
        type: 'account.change',
        version: 1,
        operation: 'create',
        entity: { table: 'accounts', id: randomUUID() },
        payload: { name: `account ${seq}` },
        createdAt: '2026-01-01T00:00:00.000Z',
        ...over,
      };
    },
    send,
    sendForKinds: async (mutations, acknowledgedFloor) => (await send(mutations, acknowledgedFloor)).map(kindOf),
  };
}

export async function applyBatch(database: Database, claims: CallerClaims, batch: unknown): Promise<ApplyResponse> {
  const rows = await withCaller(database, claims, (session) =>
    session.query<{ answer: ApplyResponse }>('select holdfast.apply($1::jsonb) as answer', [JSON.stringify(batch)]),
  );
  const [row] = rows;
  if (row === undefined) throw new Error('apply gave no answer');
  return row.answer;
}

export function kindOf(outcome: WireOutcome): string {
  switch (outcome.kind) {
    case 'applied':
    case 'conflict':
    case 'deferred':
      return outcome.kind;
    case 'duplicate':
      return outcome.verdict === 'applied' ? 'duplicate applied' : `duplicate rejected ${outcome.error.code}`;
    case 'rejected':
    case 'refused':
      return `${outcome.kind} ${outcome.error.code}`;
    default:
      throw new Error('an outcome of no known kind');
  }
}

/** What a mutation does to an existing row, in the terms of `next`. */
export function change(
  operation: Operation,
  entity: EntityRef | null,
  payload: JsonObject = {},
): Pick<WireMutation, 'operation' | 'entity' | 'payload'> {
  return { operation, entity, payload };
}

/** How many effects, ledger rows and audit rows a workspace has. */
export async function countTraces(
  database: Database,
  workspaceId: string,
): Promise<{ readonly accounts: number; readonly ledger: number; readonly audit: number }> {
  const rows = await database.query<{ accounts: number; ledger: number; audit: number }>(
    `select (select count(*)::int from public.accounts where workspace_id = $1) as accounts,
            (select count(*)::int from holdfast.ledger where workspace_id = $1) as ledger,
            (select count(*)::int from holdfast.audit_log where workspace_id = $1) as audit`,
    [workspaceId],
  );
  const [row] = rows;
  if (row === undefined) throw new Error('no counts');
  return row;
}
