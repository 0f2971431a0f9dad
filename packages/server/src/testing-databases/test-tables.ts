/** Tables an app might have, each there to show one thing. */
export const TEST_TABLES: string = `
  create table public.accounts (
      id           uuid  primary key,
      workspace_id text  not null,
      name         text  not null,
      beds         integer constraint accounts_beds_sane check (beds between 0 and 1000),
      code         text,
      tags         jsonb,
      -- one that payloads may not set
      owner        text  not null default 'nobody',
      parent_id    uuid  constraint accounts_parent references public.accounts deferrable initially deferred,
      constraint accounts_code_unique unique (workspace_id, code)
  );

  -- keeps every value it was ever set to, in order
  create table public.lists (
      id           uuid    primary key,
      workspace_id text    not null,
      value        integer not null,
      history      integer[] not null default '{}'
  );
  create function public.remember_value() returns trigger language plpgsql set search_path = '' as $$
  begin
      new.history := new.history || new.value;
      return new;
  end $$;
  create trigger remember_value before insert or update on public.lists
      for each row execute function public.remember_value();

  -- raises the SQLSTATE it is given, for as long as that is in fault_states
  create table public.fault_states (state text primary key);
  create table public.faults (id uuid primary key, workspace_id text not null, state text);
  create function public.raise_state() returns trigger language plpgsql security definer set search_path = '' as $$
  begin
      if exists (select from public.fault_states where fault_states.state = new.state) then
          raise exception using errcode = new.state, message = 'planted ' || new.state, hint = 'a hint';
      end if;
      return new;
  end $$;
  create trigger raise_state before insert on public.faults for each row execute function public.raise_state();

  -- columns called like the things our own statements use, and names that break out of quotes
  create table public."we""ird; drop table accounts; --" (
      "select"      integer generated always as identity,
      "row id"      bigint primary key,
      "ten'ant"     text not null,
      "a""b'); --"  text,
      holdfast_row  text,
      holdfast_value text,
      image         text,
      "$1"          text
  );

  -- counts its changes, and knows when the last one was made
  create table public.notes (
      id           uuid   primary key,
      workspace_id text   not null,
      title        text,
      body         text,
      meta         jsonb,
      version      bigint not null default 0,
      changed_at   text
  );
  -- counts its changes, and has no clock
  create table public.plans (
      id           uuid    primary key,
      workspace_id text    not null,
      title        text,
      version      integer
  );
  -- two rows about the same call are one
  create table public.calls (
      id           uuid        primary key,
      workspace_id text        not null,
      line_id      text        not null,
      started_at   timestamptz not null,
      number       text        not null,
      remark       text,
      constraint calls_once unique (workspace_id, line_id, started_at, number)
  );
  -- two rows about the same call are one, though two phones have measured it
  create table public.talks (
      id           uuid        primary key,
      workspace_id text        not null,
      line_id      text        not null,
      number       text        not null,
      direction    text        not null,
      started_at   timestamptz not null,
      duration_s   integer
  );
  create index talks_of_line on public.talks (workspace_id, line_id, number, direction, started_at);

  alter table public.accounts enable row level security;
  alter table public.lists enable row level security;
  alter table public.faults enable row level security;
  alter table public."we""ird; drop table accounts; --" enable row level security;
  create policy by_workspace on public.accounts to authenticated
      using (workspace_id = (select holdfast.workspace())) with check (workspace_id = (select holdfast.workspace()));
  create policy by_workspace on public.lists to authenticated
      using (workspace_id = (select holdfast.workspace())) with check (workspace_id = (select holdfast.workspace()));
  create policy by_workspace on public.faults to authenticated
      using (workspace_id = (select holdfast.workspace())) with check (workspace_id = (select holdfast.workspace()));
  create policy by_workspace on public."we""ird; drop table accounts; --" to authenticated
      using ("ten'ant" = (select holdfast.workspace())) with check ("ten'ant" = (select holdfast.workspace()));
  do $each$
  declare
      named text;
  begin
      foreach named in array array['notes', 'plans', 'calls', 'talks'] loop
          execute format('alter table public.%I enable row level security', named);
          execute format('create policy by_workspace on public.%I to authenticated '
              'using (workspace_id = (select holdfast.workspace()))', named);
          execute format('grant select, insert, update, delete on public.%I to authenticated', named);
      end loop;
  end $each$;
  grant select, insert, update, delete
      on public.accounts, public.lists, public.faults, public."we""ird; drop table accounts; --" to authenticated;

  select holdfast.register_table('public.accounts', array['name', 'beds', 'code', 'tags', 'parent_id']);
  select holdfast.register_table('public.notes', array['title', 'body', 'meta'],
      version_column => 'version', clock_column => 'changed_at');
  select holdfast.register_table('public.plans', array['title'], version_column => 'version');
  select holdfast.register_table('public.calls', array['line_id', 'started_at', 'number', 'remark'],
      event_key => array['line_id', 'started_at', 'number']);
  select holdfast.register_table('public.talks', array['line_id', 'number', 'direction', 'started_at', 'duration_s']);
  select holdfast.register_near_events('public.talks', array['line_id', 'number', 'direction'],
      '{"started_at": "1 second", "duration_s": 1}');
  select holdfast.register_table('public.lists', array['value']);
  select holdfast.register_table('public.faults', array['state'], entity_type => 'fault');
  select holdfast.register_table('public."we""ird; drop table accounts; --"',
      array['a"b''); --', 'holdfast_row', 'holdfast_value', 'image', '$1'],
      entity_type => 'weird', id_column => 'row id', workspace_column => 'ten''ant');
`;
