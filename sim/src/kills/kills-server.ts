import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { getRequestListener, type HttpBindings } from '@hono/node-server';
import { createDoor, type Database, migrate, openPglite } from '@holdfast/server';
import { SignJWT } from 'jose';
import type { Dice } from '../dice.ts';
import type { Effect } from './journal.ts';
import { firstRowIds, type VictimMessage } from './victim.ts';

/** Every change that takes effect on a line leaves a row here, also one that is done twice. */
const TABLES = `
  create table public.lines (id uuid primary key, workspace_id text not null, tag text not null);
  create table public.effects (
      number bigint generated always as identity primary key,
      workspace_id text not null, mutation_id uuid, row_id uuid not null, tag text not null
  );
  create function public.note_effect() returns trigger language plpgsql security definer set search_path = '' as $$
  begin
      insert into public.effects (workspace_id, mutation_id, row_id, tag)
      values (
          new.workspace_id,
          -- creations that came together are one statement, and stand in a map by row
          coalesce(
              nullif(current_setting('holdfast.mutation_id', true), '')::uuid,
              (nullif(current_setting('holdfast.mutation_ids', true), '')::jsonb ->> new.id::text)::uuid
          ),
          new.id, new.tag
      );
      return null;
  end $$;
  create trigger note_effect after insert or update on public.lines for each row execute function public.note_effect();
  alter table public.lines enable row level security;
  create policy by_workspace on public.lines to authenticated
      using (workspace_id = (select holdfast.workspace())) with check (workspace_id = (select holdfast.workspace()));
  grant select, insert, update, delete on public.lines to authenticated;
  select holdfast.register_table('public.lines', array['tag']);
`;

/** How often a call is cut off before it is acted on, and as often after. */
const LOSS = 0.05;

/** The server of the victims: Holdfast's own door on an embedded Postgres, on a line that loses calls and answers. */
export class KillsServer {
  readonly url: string;
  /** Told by pages, which have no other way. */
  onPageMessage: (message: VictimMessage) => void = () => {};
  /** What a page is, and its script. */
  pageScript = '';
  /** Of the worker that a page may start. */
  workerScript = '';
  private readonly database: Database;
  private readonly secret: Uint8Array;
  private readonly closeHttp: () => Promise<void>;

  private constructor(url: string, database: Database, secret: Uint8Array, closeHttp: () => Promise<void>) {
    this.url = url;
    this.database = database;
    this.secret = secret;
    this.closeHttp = closeHttp;
  }

  static async start(dice: Dice): Promise<KillsServer> {
    const database = await openPglite();
    await migrate(database);
    await database.transaction((session) => session.runScript(TABLES));
    const secret = crypto.getRandomValues(new Uint8Array(32));
    const door = createDoor({ database, auth: { secret } });
    let served: KillsServer | null = null;
    const listener = getRequestListener(async (request, { incoming }) => {
      const { pathname } = new URL(request.url);
      if (pathname === '/page.js' || pathname === '/worker.js') {
        const script = pathname === '/page.js' ? served?.pageScript : served?.workerScript;
        return new Response(script, { headers: { 'content-type': 'text/javascript' } });
      }
      if (pathname === '/told') {
        served?.onPageMessage((await request.json()) as VictimMessage);
        return new Response(null, { status: 204 });
      }
      if (!pathname.startsWith('/v1/'))
        return new Response('<!doctype html><title>victim</title><script type="module" src="/page.js"></script>', {
          headers: { 'content-type': 'text/html' },
        });
      if (dice.chance(LOSS)) return cutOff(incoming);
      const answer = await door.fetch(request);
      return dice.chance(LOSS) ? cutOff(incoming) : answer;
    });
    const http = createServer((request, response) => void listener(request, response));
    await new Promise<void>((done) => http.listen(0, 'localhost', done));
    const { port } = http.address() as AddressInfo;
    served = new KillsServer(`http://localhost:${port}`, database, secret, async () => {
      http.closeAllConnections();
      await new Promise<void>((done) => http.close(() => done()));
    });
    return served;
  }

  /** Makes the rows of a device, some for each of its processes, and a token for it. */
  async addDevice(
    deviceNumber: number,
    rowNumbers: readonly number[],
  ): Promise<{ readonly workspaceId: string; readonly token: string }> {
    const workspaceId = `workspace-${deviceNumber}`;
    await this.database.query(
      `insert into public.lines (id, workspace_id, tag) select unnest($1::uuid[]), $2, 'first'`,
      [rowNumbers.flatMap(firstRowIds), workspaceId],
    );
    const token = await new SignJWT({ role: 'authenticated', workspace_id: workspaceId })
      .setProtectedHeader({ alg: 'HS256' })
      .setSubject('victim')
      .setExpirationTime('24h')
      .sign(this.secret);
    return { workspaceId, token };
  }

  /** All that mutations of this workspace have done, in the order they did it. */
  effectsOf(workspaceId: string): Promise<readonly Effect[]> {
    return this.database.query(
      `select mutation_id as "mutationId", row_id as "rowId", tag from public.effects
       where workspace_id = $1 and mutation_id is not null order by number`,
      [workspaceId],
    );
  }

  async close(): Promise<void> {
    await this.closeHttp();
    await this.database.close();
  }
}

function cutOff({ socket }: Pick<HttpBindings['incoming'], 'socket'>): Response {
  socket.destroy();
  return new Response();
}
