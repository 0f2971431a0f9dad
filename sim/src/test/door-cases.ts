import { LIMITS, PROTOCOL_VERSION } from 'holdfast/protocol';
import { SignJWT } from 'jose';
import { SECRET } from './token.ts';

/** Also what no client would send. */
export type Loose = Readonly<Record<string, unknown>>;

/** One batch, and the login that it travels under. */
export interface Call {
  readonly request: Loose;
  readonly token: string | null;
}

/** A workspace of its own with one client, whose ids are the same wherever it is sent. */
export interface Tenant {
  readonly workspaceId: string;
  readonly clientId: string;
  readonly token: string;
  id(): string;
  /** A creation of an item with the next number, unless told otherwise. */
  next(over?: Loose): Loose;
  batch(mutations: unknown, over?: Loose, client?: Loose): Loose;
  call(mutations: unknown, over?: Loose, client?: Loose): Call;
  tokenOf(over: {
    readonly sub?: string;
    readonly workspaceId?: unknown;
    readonly role?: string;
    readonly secret?: string;
    readonly seconds?: number;
    readonly metadata?: Loose;
  }): Promise<string>;
}

/** What the cases change: items that are counted and checked, events that are one when they are the same, and handlers in SQL. */
export const DOOR_TABLES = `
  create table public.items (
      id           text    primary key,
      workspace_id text    not null,
      name         text    not null,
      beds         integer constraint items_beds_sane check (beds between 0 and 1000),
      code         text,
      meta         jsonb,
      parent_id    text    constraint items_parent references public.items deferrable initially deferred,
      version      bigint  not null default 0,
      changed_at   text,
      constraint items_code_once unique (workspace_id, code)
  );
  create table public.events (
      id           text        primary key,
      workspace_id text        not null,
      line         text        not null,
      at           timestamptz not null,
      constraint events_once unique (workspace_id, line, at)
  );
  -- for as long as the name says so
  create function public.fail_for_now() returns trigger language plpgsql as $$
  begin
      if new.name like 'state %' then
          raise exception using errcode = split_part(new.name, ' ', 2), message = 'planted', hint = 'a hint';
      end if;
      return new;
  end $$;
  create trigger fail_for_now before insert or update on public.items for each row execute function public.fail_for_now();
  create function public.make_coffee(mutation jsonb) returns jsonb language plpgsql as $$
  begin
      if mutation #>> '{payload,kind}' = 'tea' then
          raise exception 'There is no tea.' using hint = 'Take coffee.';
      elsif mutation #>> '{payload,kind}' = 'water' then
          perform holdfast.refuse('ROW_NOT_FOUND', 'No well.', 'Dig one.');
      elsif mutation #>> '{payload,kind}' = 'soup' then
          raise exception using errcode = 'PT409', message = 'A pot is on the fire.';
      end if;
      return jsonb_build_object('made', mutation -> 'payload', 'by', holdfast.actor());
  end $$;
  grant execute on function public.make_coffee(jsonb) to authenticated;
  do $each$
  declare
      named text;
  begin
      foreach named in array array['items', 'events'] loop
          execute format('alter table public.%I enable row level security', named);
          execute format('create policy by_workspace on public.%I to authenticated '
              'using (workspace_id = (select holdfast.workspace()))', named);
          execute format('grant select, insert, update, delete on public.%I to authenticated', named);
      end loop;
  end $each$;
  select holdfast.register_table('public.items', array['name', 'beds', 'code', 'meta', 'parent_id'],
      version_column => 'version', clock_column => 'changed_at');
  select holdfast.register_table('public.events', array['line', 'at'], event_key => array['line', 'at']);
  select holdfast.register_handler('coffee.make', 'public.make_coffee(jsonb)');
`;

let tenantCount = 0;

export async function newTenant(): Promise<Tenant> {
  tenantCount += 1;
  const number = tenantCount;
  const workspaceId = `w-${number}`;
  let idCount = 0;
  let seq = 0;
  const id = (): string => {
    idCount += 1;
    return `00000000-0000-4000-8000-${number.toString(16).padStart(6, '0')}${idCount.toString(16).padStart(6, '0')}`;
  };
  const clientId = id();
  const tokenOf: Tenant['tokenOf'] = ({
    sub = 'ada',
    workspaceId: of = workspaceId,
    role = 'authenticated',
    secret = SECRET,
    seconds = 3_600,
    metadata,
  }) =>
    new SignJWT({ role, workspace_id: of, ...(metadata === undefined ? {} : { app_metadata: metadata }) })
      .setProtectedHeader({ alg: 'HS256' })
      .setSubject(sub)
      .setExpirationTime(Math.floor(Date.now() / 1_000) + seconds)
      .sign(new TextEncoder().encode(secret));
  const token = await tokenOf({});
  const tenant: Tenant = {
    workspaceId,
    clientId,
    token,
    id,
    next(over = {}) {
      seq += 1;
      return {
        id: id(),
        seq,
        after: null,
        generation: 0,
        type: 'item.change',
        version: 1,
        operation: 'create',
        entity: { table: 'items', id: id() },
        payload: { name: `item ${seq}` },
        createdAt: '2026-01-01T00:00:00.000Z',
        ...over,
      };
    },
    batch: (mutations, over = {}, client = {}) => ({
      protocol: PROTOCOL_VERSION,
      client: { id: clientId, workspaceId, ...client },
      acknowledgedFloor: 0,
      mutations,
      ...over,
    }),
    call: (mutations, over, client) => ({ request: tenant.batch(mutations, over, client), token }),
    tokenOf,
  };
  return tenant;
}

export interface DoorCase {
  readonly name: string;
  readonly calls: (tenant: Tenant) => readonly Call[] | Promise<readonly Call[]>;
  /** What is answered to each call: the outcomes in short, or what the whole call is refused for. */
  readonly said: readonly (readonly string[] | string)[];
}

export const doorCases: readonly DoorCase[] = [
  {
    name: 'applied once, and then a duplicate with its result',
    calls: (t) => {
      const batch = t.call([t.next(), t.next({ payload: { name: 'b', beds: 3, meta: { deep: [1, null, 'x'] } } })]);
      return [batch, batch];
    },
    said: [
      ['applied', 'applied'],
      ['duplicate applied', 'duplicate applied'],
    ],
  },
  {
    name: 'an id with another payload, a number with another id, a retry of a refusal',
    calls: (t) => {
      const [good, bad] = [t.next(), t.next({ payload: { name: 'x', beds: 5_000 } })];
      return [
        t.call([good, bad]),
        t.call([{ ...good, payload: { name: 'other' } }, bad]),
        t.call([t.next({ seq: 1 })]),
        t.call([{ ...bad, seq: 9, generation: 1 }]),
        t.call([{ ...bad, seq: 10, generation: 1, payload: { name: 'other' } }]),
        t.call([bad, { ...good, seq: 11 }]),
      ];
    },
    said: [
      ['applied', 'rejected 23514'],
      ['rejected ID_REUSED', 'duplicate rejected 23514'],
      ['rejected SEQ_REUSED'],
      ['rejected 23514'],
      ['rejected ID_REUSED'],
      ['duplicate rejected 23514', 'duplicate applied'],
    ],
  },
  {
    name: 'the order of a lane, within a batch and across batches, and below the floor',
    calls: (t) => {
      const [first, second, third] = [t.next(), t.next({ after: 1 }), t.next({ after: 2 })];
      return [
        t.call([third, second]),
        t.call([third, first, second]),
        t.call([first, second, third]),
        t.call([third], { acknowledgedFloor: 2 }),
      ];
    },
    said: [
      ['deferred', 'deferred'],
      ['deferred', 'applied', 'applied'],
      ['duplicate applied', 'duplicate applied', 'applied'],
      ['duplicate applied'],
    ],
  },
  {
    name: 'an edit on the row as it is, on an older version, of a row that is gone, and a patch',
    calls: (t) => {
      const create = t.next({ payload: { name: 'a', meta: { kept: 1, gone: 2 } } });
      const edit = (over: Loose): Loose => t.next({ operation: 'update', entity: create['entity'], ...over });
      return [
        t.call([create]),
        t.call([
          edit({ payload: { name: 'b' }, base: { rowVersion: 1 } }),
          edit({ payload: { name: 'c' }, base: { rowVersion: 1 } }),
        ]),
        t.call([
          edit({ payload: { meta: { gone: null, added: [1] } }, base: { rowVersion: 2 }, encoding: 'mergePatch' }),
          edit({
            payload: { patch: [{ op: 'replace', path: '/name', value: 'd' }] },
            base: { rowVersion: 3 },
            encoding: 'jsonPatch',
          }),
          edit({
            payload: { patch: [{ op: 'remove', path: '/nothing' }] },
            base: { rowVersion: 4 },
            encoding: 'jsonPatch',
          }),
          edit({ payload: { name: 'e' }, base: { rowVersion: 1 }, rebases: 1 }),
        ]),
        t.call([
          edit({ operation: 'delete', payload: {}, base: { rowVersion: 9 } }),
          edit({ operation: 'delete', payload: {} }),
          edit({ payload: { name: 'f' }, base: { rowVersion: 4 } }),
          edit({ payload: { name: 'g' } }),
          edit({ operation: 'restore', payload: {} }),
        ]),
      ];
    },
    said: [
      ['applied'],
      ['applied', 'conflict'],
      ['applied', 'applied', 'rejected UNKNOWN_COLUMN', 'conflict'],
      ['conflict', 'applied', 'conflict', 'rejected ROW_NOT_FOUND', 'applied'],
    ],
  },
  {
    name: 'the later of two edits made apart',
    calls: (t) => {
      const create = t.next({ hlc: '000000000001-0000-a' });
      const edit = (name: string, hlc: string): Loose =>
        t.next({ operation: 'update', entity: create['entity'], payload: { name }, hlc });
      return [
        t.call([create]),
        t.call([
          edit('later', '000000000009-0000-a'),
          edit('earlier', '000000000005-0000-b'),
          edit('latest', '00000000000a-0000-b'),
        ]),
      ];
    },
    said: [['applied'], ['applied', 'conflict', 'applied']],
  },
  {
    name: 'what breaks a rule of the database, and what others are not held up by',
    calls: (t) => {
      const code = (value: string): Loose => t.next({ payload: { name: 'c', code: value } });
      const [parentId, one] = [t.id(), code('1')];
      return [
        t.call([one, code('2'), code('1'), code('3')]),
        t.call([
          t.next({ payload: {} }),
          t.next({ payload: { name: null } }),
          t.next({ payload: { name: 'x', beds: 'many' } }),
          t.next(),
        ]),
        t.call([t.next({ payload: { name: 'child', parent_id: parentId } }), t.next()]),
        t.call([t.next({ payload: { name: 'child', parent_id: parentId }, awaitsCreation: true })]),
        t.call([t.next({ payload: { name: 'child', parent_id: parentId } })], {}, { unsentCount: 1 }),
        t.call([t.next({ entity: one['entity'] })]),
      ];
    },
    said: [
      ['applied', 'applied', 'rejected 23505', 'applied'],
      ['rejected 23502', 'rejected 23502', 'rejected 22P02', 'applied'],
      ['rejected 23503', 'applied'],
      ['refused 23503'],
      ['refused 23503'],
      ['rejected ROW_EXISTS'],
    ],
  },
  {
    name: 'what may pass, and what may not',
    calls: (t) =>
      ['40001', '40P01', '55P03', '53200', 'XX000', '42P01', '42501', 'P0001', '22000'].map((state) =>
        t.call([t.next(), t.next({ payload: { name: `state ${state}` } }), t.next()]),
      ),
    said: [
      ...['40001', '40P01', '55P03', '53200', 'XX000', '42P01'].map((state) => [
        'applied',
        `refused ${state}`,
        'applied',
      ]),
      ...['42501', 'P0001', '22000'].map((state) => ['applied', `rejected ${state}`, 'applied']),
    ],
  },
  {
    name: 'a statement of several that takes too long, and each alone in the next call',
    calls: (t) => {
      const batch = t.call([t.next(), t.next({ payload: { name: 'state 57014' } }), t.next()]);
      return [batch, batch, batch];
    },
    said: [
      ['deferred', 'deferred', 'deferred'],
      ['applied', 'refused 57014', 'deferred'],
      // several together again
      ['duplicate applied', 'deferred', 'deferred'],
    ],
  },
  {
    name: 'more failures than one call sorts out',
    calls: (t) => [t.call(Array.from({ length: 60 }, () => t.next({ payload: { name: 'x', beds: 5_000 } })))],
    said: [[...Array.from({ length: 50 }, () => 'rejected 23514'), ...Array.from({ length: 10 }, () => 'deferred')]],
  },
  {
    name: 'mutations that stand or fall together',
    calls: (t) => {
      const member = (payload: Loose): Loose => ({
        type: 'item.change',
        version: 1,
        operation: 'create',
        entity: { table: 'items', id: t.id() },
        payload,
      });
      const atomic = (members: unknown): Loose =>
        t.next({ type: 'holdfast.atomic', operation: 'custom', entity: null, payload: { members } });
      const good = atomic([member({ name: 'a' }), member({ name: 'b' })]);
      return [
        t.call([good]),
        t.call([good]),
        t.call([
          atomic([member({ name: 'c' }), member({ name: 'd', beds: 5_000 })]),
          atomic([]),
          atomic([{ ...member({}), operation: 'upsert' }]),
        ]),
      ];
    },
    said: [
      ['applied'],
      ['duplicate applied'],
      ['rejected 23514', 'rejected INVALID_PAYLOAD', 'rejected INVALID_PAYLOAD'],
    ],
  },
  {
    name: 'the same event told twice',
    calls: (t) => {
      const event = (): Loose =>
        t.next({ entity: { table: 'events', id: t.id() }, payload: { line: '7', at: '2026-01-01T00:00:00Z' } });
      return [t.call([event(), event()])];
    },
    said: [['applied', 'applied']],
  },
  {
    name: 'a handler in SQL, and what it raises',
    calls: (t) => {
      const make = (kind: string): Loose =>
        t.next({ type: 'coffee.make', operation: 'custom', entity: null, payload: { kind } });
      return [
        t.call([
          make('espresso'),
          make('tea'),
          make('water'),
          make('soup'),
          t.next({ type: 'milk.make', operation: 'custom', entity: null }),
        ]),
      ];
    },
    said: [['applied', 'rejected P0001', 'rejected ROW_NOT_FOUND', 'refused PT409', 'rejected NO_HANDLER']],
  },
  {
    name: 'what no row, column or table is registered for',
    calls: (t) => [
      t.call([
        t.next({ entity: { table: 'nowhere', id: 'x' } }),
        t.next({ payload: { name: 'x', owner: 'me' } }),
        t.next({ operation: 'update', entity: { table: 'items', id: 'x' } }),
        t.next({ operation: 'delete', entity: { table: 'items', id: 'x' }, payload: {} }),
        t.next({ operation: 'restore', entity: { table: 'items', id: 'x' }, payload: {} }),
        t.next({ entity: null }),
        t.next({
          operation: 'update',
          entity: { table: 'events', id: 'x' },
          payload: { line: 'x' },
          base: { rowVersion: 1 },
        }),
      ]),
    ],
    said: [
      [
        'rejected NO_HANDLER',
        'rejected UNKNOWN_COLUMN',
        ...Array.from({ length: 3 }, () => 'rejected ROW_NOT_FOUND'),
        'rejected NO_HANDLER',
        'rejected NO_HANDLER',
      ],
    ],
  },
  {
    name: 'a payload at the limit, beyond it, and nested too deep',
    calls: (t) => {
      const sized = (bytes: number): Loose => t.next({ payload: { name: 'x'.repeat(bytes - '{"name":""}'.length) } });
      let meta: unknown = 1;
      for (let depth = 1; depth < LIMITS.jsonDepth; depth += 1) meta = [meta];
      return [
        t.call([sized(LIMITS.payloadBytes)]),
        t.call([sized(LIMITS.payloadBytes + 1), t.next()]),
        t.call([t.next({ payload: { name: 'x', meta } }), t.next({ payload: { name: 'x', meta: [meta] } })]),
      ];
    },
    said: [['applied'], ['rejected PAYLOAD_TOO_LARGE', 'applied'], ['applied', 'rejected INVALID_PAYLOAD']],
  },
  {
    name: 'more mutations than a batch has, and a body of more than a megabyte',
    calls: (t) => [
      t.call(Array.from({ length: 101 }, () => t.next())),
      t.call(Array.from({ length: 5 }, () => t.next({ payload: { name: 'x'.repeat(230_000) } }))),
      t.call([t.next()]),
    ],
    said: ['batchRefused VALIDATION_ERROR too large', 'batchRefused VALIDATION_ERROR too large', ['applied']],
  },
  {
    name: 'what an earlier version has stored',
    calls: (t) => {
      const [sent, never, migrated] = [t.next(), t.next(), t.next()];
      const original = { version: 1, operation: 'create', entity: migrated['entity'], payload: { title: 'as it was' } };
      return [
        t.call([sent]),
        t.call([
          { ...sent, outdated: true },
          { ...never, outdated: true },
          { ...migrated, version: 2, original },
        ]),
        t.call([{ ...migrated, ...original }]),
        t.call([{ ...migrated, version: 2, original: { ...original, payload: {} } }]),
        t.call([t.next({ entity: sent['entity'], replaces: sent['id'], payload: { name: 'made again' } })]),
      ];
    },
    said: [
      ['applied'],
      ['duplicate applied', 'rejected OUTDATED', 'applied'],
      ['duplicate applied'],
      ['rejected ID_REUSED'],
      ['applied'],
    ],
  },
  {
    name: 'a client that was put back to an earlier state, and takes another id',
    calls: (t) => {
      const [first, second] = [t.next(), t.next()];
      const anew = t.next({ seq: 2 });
      const fork = t.id();
      return [
        t.call([first, second], {}, { lastSeq: 2, unsentCount: 0 }),
        t.call([anew], {}, { lastSeq: 2, unsentCount: 0 }),
        t.call([first], {}, { lastSeq: 1 }),
        t.call(
          [first, anew],
          {},
          { id: fork, lastSeq: 2, forkedFrom: { id: t.clientId, reason: 'behind', lastSeq: 2 } },
        ),
        t.call([], {}, { id: t.id(), lastSeq: 0, forkedFrom: { id: fork, reason: 'wiped', unsentCount: 4 } }),
      ];
    },
    said: [['applied', 'applied'], ['deferred'], ['deferred'], ['duplicate applied', 'applied'], []],
  },
  {
    name: 'a client of before a rewind of the server',
    calls: (t) => {
      const mutation = t.next();
      return [
        t.call([mutation], { epoch: '00000000-0000-4000-8000-00000000beef', acknowledgedFloor: 7 }),
        t.call([mutation]),
      ];
    },
    said: [['deferred'], ['applied']],
  },
  {
    name: 'a login that has expired, is signed by someone else, of another role, none, and no token',
    calls: async (t) => {
      const request = t.batch([t.next()]);
      return [
        { request, token: await t.tokenOf({ seconds: -60 }) },
        { request, token: await t.tokenOf({ secret: 'another secret that has 32 bytes..' }) },
        { request, token: await t.tokenOf({ role: 'postgres' }) },
        { request, token: null },
        { request, token: 'abc' },
      ];
    },
    said: Array.from({ length: 5 }, () => 'unauthorized AUTH_ERROR not signed in'),
  },
  {
    name: 'the login of another workspace, of another user, and the client of someone else',
    calls: async (t) => {
      const request = t.batch([t.next()]);
      const ofAda = { ...request, client: { id: t.clientId, workspaceId: t.workspaceId, userId: 'ada' } };
      return [
        { request, token: await t.tokenOf({ workspaceId: 'another' }) },
        { request: ofAda, token: await t.tokenOf({ sub: 'bob' }) },
        { request, token: t.token },
        { request: t.batch([t.next()]), token: await t.tokenOf({ sub: 'bob' }) },
        {
          request: t.batch([t.next()], {}, { workspaceId: 'another' }),
          token: await t.tokenOf({ workspaceId: 'another' }),
        },
      ];
    },
    said: [
      'forbidden FORBIDDEN FOREIGN_WORKSPACE',
      'unauthorized AUTH_ERROR WRONG_LOGIN',
      ['applied'],
      'forbidden FORBIDDEN FOREIGN_CLIENT',
      'forbidden FORBIDDEN FOREIGN_CLIENT',
    ],
  },
  {
    name: 'a workspace that the login names by a number, or as Supabase keeps it, and one that names none',
    calls: async (t) => {
      const number = 1_000 + Number(t.workspaceId.slice(2));
      const request = t.batch([t.next()], {}, { workspaceId: `${number}` });
      return [
        { request, token: await t.tokenOf({ workspaceId: number }) },
        { request, token: await t.tokenOf({ workspaceId: null, metadata: { workspace_id: number } }) },
        { request, token: await t.tokenOf({ workspaceId: `${number}`, metadata: { workspace_id: 'another' } }) },
        { request, token: await t.tokenOf({ workspaceId: '', metadata: { workspace_id: `${number}` } }) },
        { request, token: await t.tokenOf({ workspaceId: null }) },
      ];
    },
    said: [
      ['applied'],
      ['duplicate applied'],
      ['duplicate applied'],
      ...Array.from({ length: 2 }, () => 'forbidden FORBIDDEN FOREIGN_WORKSPACE'),
    ],
  },
  {
    name: 'the id of a mutation of someone else',
    calls: async (t) => {
      const mutation = t.next({ payload: { name: 'secret' } });
      const other = { id: t.id(), workspaceId: 'another' };
      return [
        t.call([mutation]),
        { request: t.batch([mutation], {}, { id: t.id() }), token: await t.tokenOf({ sub: 'bob' }) },
        { request: t.batch([mutation], {}, other), token: await t.tokenOf({ workspaceId: 'another' }) },
      ];
    },
    said: [['applied'], ['rejected ID_REUSED'], ['rejected ID_REUSED']],
  },
  {
    name: 'an app that is too new, and batches that are none',
    calls: (t) => [
      t.call([t.next()], { protocol: 99 }),
      ...[null, 'none', [1], [{}], [{ ...t.next(), id: 'x' }], [t.next(), { ...t.next(), seq: 0 }]].map((mutations) =>
        t.call(mutations),
      ),
      t.call([t.next()], {}, { id: 'x' }),
      t.call([t.next()], { acknowledgedFloor: -1 }),
    ],
    said: [
      'upgradeRequired OUTDATED UPGRADE_REQUIRED',
      ...Array.from({ length: 8 }, () => 'batchRefused VALIDATION_ERROR INVALID_REQUEST'),
    ],
  },
];
