-- The audit log, by month: who changed which row, from what to what, from where, and on behalf of which mutation.
-- Needs 0001 and 0004. Running it twice changes nothing.

set role holdfast_owner;

-- What this installation is set to; one row.
create table if not exists holdfast.settings (
    only_row      boolean     primary key default true,
    -- how many proxies of one's own stand between the world and this database's caller
    trusted_hops  integer     not null default 0,
    -- when maintain() ended last; null for never
    maintained_at timestamptz,
    -- what the clock said when maintain() looked last at which months are due, and when it had looked a day before that
    looked_at     timestamptz,
    believed_at   timestamptz,
    constraint settings_has_one_row check (only_row),
    constraint settings_trusted_hops_sane check (trusted_hops between 0 and 20)
);
insert into holdfast.settings default values on conflict do nothing;
alter table holdfast.settings enable row level security;
revoke all on holdfast.settings from public;

create sequence if not exists holdfast.audit_log_ids as bigint;
-- No check says which values go with which action: Postgres reads the text of a check anew for each statement, and nobody but
-- write_audit puts rows in.
create table if not exists holdfast.audit_log (
    -- drawn while the row that it tells of is locked, so of two changes of one row the later has the higher
    id             bigint      not null default nextval('holdfast.audit_log_ids'),
    workspace_id   text,
    occurred_at    timestamptz not null default now(),
    -- claim "sub"; null when the change did not come from a signed-in user (a script, a scheduler)
    actor          text,
    action         text        not null,
    entity_type    text        not null,
    entity_id      text,
    -- create and restore: null; update: the changed fields before; delete: the whole row
    old_values     jsonb,
    -- create and restore: the whole row; update: the changed fields after; delete: null
    new_values     jsonb,
    -- sorted by name; null unless the action is an update
    changed_fields text[],
    -- null when the change was made outside holdfast.apply
    mutation_id    uuid,
    client_id      uuid,
    -- by the number of trusted hops; null when nobody trustworthy told it
    ip             text,
    user_agent     text,
    transaction_id xid8        not null default pg_current_xact_id()
) partition by range (occurred_at);
alter sequence holdfast.audit_log_ids owned by holdfast.audit_log.id;

-- Serves whoever brings a row back, and costs nothing where nothing is deleted.
create index if not exists audit_log_deletions on holdfast.audit_log using hash (entity_id) where action = 'delete';
-- serves the latest changes of a workspace, and its change feed
create index if not exists audit_log_by_workspace on holdfast.audit_log (workspace_id, id);
-- Serves the seals, which read stretches of ids whosever they are, and the history of one row. It knows of each half megabyte from where
-- to where its ids go, and by a filter which rows it may tell of (one in a thousand says so and does not): that is found out when
-- the half megabyte is full, and costs next to nothing, where a place for each entry in an index cost a third of what writing it does.
-- A filter holds 1,400 of them: some 22 entries a page, as small ones are.
create index if not exists audit_log_by_stretch on holdfast.audit_log
    using brin (id, entity_id text_bloom_ops (n_distinct_per_range = 1400, false_positive_rate = 0.001))
    with (pages_per_range = 64, autosummarize = on);

insert into holdfast.partitioned_tables (table_name, time_column, keep)
values ('audit_log', 'occurred_at', interval '90 days')
on conflict do nothing;
do $$ begin perform holdfast.ensure_partitions(); end $$;

alter table holdfast.audit_log enable row level security;
revoke all on holdfast.audit_log from public;
-- who may read which rows, 0011 says
grant select on holdfast.audit_log to authenticated;

create or replace function holdfast.set_trusted_hops(hops integer)
returns void
language sql
volatile
security definer
set search_path = ''
begin atomic
    update holdfast.settings set trusted_hops = hops;
end;

comment on function holdfast.set_trusted_hops(integer) is
    'How many proxies of your own stand before the server or PostgREST: the address of a caller is the one that the '
    'outermost of them saw. With 0 (the default) no header is believed, since anybody can send one. For operators.';

-- The address that the outermost trusted proxy saw. Each proxy appends the one it saw, and who stands nearest is in
-- "holdfast.peer_address" (the door sets it) or not known at all (PostgREST); what is further left anybody may have written, at
-- whatever length, so that is what is cut off.
create or replace function holdfast.address_of(forwarded_for text, peer text, hops integer)
returns text
language sql
immutable
set search_path = ''
return (
    select case when told.address ~ '^[0-9a-fA-F:.]{2,45}$' then told.address end
    from (
        select array_append(string_to_array(right(forwarded_for, 2000), ','), peer) as addresses
    ) as chain
    cross join lateral (
        select regexp_replace(
            btrim(chain.addresses[cardinality(chain.addresses) - hops], ' []'),
            '^([0-9]+(?:\.[0-9]+){3}):[0-9]+$', '\1') as address
    ) as told
);

-- Not an answer to anyone: apply hears it, and goes one by one.
create or replace function holdfast.refuse_stray_row()
returns uuid
language plpgsql
stable
set search_path = ''
as $$
begin
    raise exception 'One statement for several mutations changed another row than theirs, or not all of theirs.';
end
$$;

-- Once per statement, not once per row: bulk writes stay cheap. Arguments: entity type, id column, workspace column.
-- What an edit or a deletion of several rows has changed, Postgres takes in the order that suits it, and is told here in which it
-- was asked for: numbers are drawn in that order while all of the rows are locked.
-- Security definer because nobody but the owner may write the log; it reads only the rows its trigger hands it.
-- Relations are named as no column ever is: to_jsonb(n) would record a column called n.
create or replace function holdfast.write_audit()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
declare
    audit_entity_type constant text := tg_argv[0];
    audit_id_column constant text := tg_argv[1];
    audit_workspace_column constant text := tg_argv[2];
    audit_actor constant text := nullif(nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub', '');
    audit_mutation constant uuid := nullif(current_setting('holdfast.mutation_id', true), '')::uuid;
    -- of a statement that carries out several mutations: which of them each row belongs to
    audit_mutations constant jsonb := nullif(current_setting('holdfast.mutation_ids', true), '')::jsonb;
    audit_creation constant text :=
        case when current_setting('holdfast.is_restoring', true) = 'on' then 'restore' else 'create' end;
    audit_client constant uuid := nullif(current_setting('holdfast.client_id', true), '')::uuid;
    -- PostgREST and the door set it: the headers, by names in lower case
    audit_headers constant jsonb := nullif(current_setting('request.headers', true), '')::jsonb;
    audit_peer constant text := nullif(current_setting('holdfast.peer_address', true), '');
    -- the rows of such a statement, in the order of their mutations, and a number for each
    audit_order text[];
    audit_ids bigint[];
    audit_ip text;
    audit_agent text;
begin
    if audit_headers is not null or audit_peer is not null then
        audit_ip := holdfast.address_of(audit_headers ->> 'x-forwarded-for', audit_peer,
            (select known.trusted_hops from holdfast.settings as known));
        audit_agent := left(audit_headers ->> 'user-agent', 300);
    end if;
    if audit_mutations is not null and tg_op <> 'INSERT' then
        audit_order := current_setting('holdfast.run_rows');
        audit_ids := array(select nextval('holdfast.audit_log_ids') from generate_series(1, cardinality(audit_order)));
    end if;
    if tg_op = 'INSERT' then
        insert into holdfast.audit_log
            (workspace_id, actor, action, entity_type, entity_id, new_values, mutation_id, client_id, ip, user_agent)
        select after_image.image ->> audit_workspace_column, audit_actor,
               audit_creation,
               audit_entity_type, after_image.image ->> audit_id_column, after_image.image,
               case when audit_mutations is null then audit_mutation else coalesce(
                   (audit_mutations ->> (after_image.image ->> audit_id_column))::uuid, holdfast.refuse_stray_row()) end,
               audit_client, audit_ip, audit_agent
        from (select to_jsonb(holdfast_new_rows.*) as image from holdfast_new_rows offset 0) as after_image;
    elsif tg_op = 'DELETE' then
        insert into holdfast.audit_log
            (id, workspace_id, actor, action, entity_type, entity_id, old_values, mutation_id, client_id, ip, user_agent)
        select case when audit_order is null then nextval('holdfast.audit_log_ids')
                   else audit_ids[array_position(audit_order, before_image.image ->> audit_id_column)] end,
               before_image.image ->> audit_workspace_column, audit_actor, 'delete', audit_entity_type,
               before_image.image ->> audit_id_column, before_image.image,
               case when audit_mutations is null then audit_mutation else coalesce(
                   (audit_mutations ->> (before_image.image ->> audit_id_column))::uuid, holdfast.refuse_stray_row()) end,
               audit_client, audit_ip, audit_agent
        from (select to_jsonb(holdfast_old_rows.*) as image from holdfast_old_rows offset 0) as before_image;
    else
        -- Both lists are in the order the rows were updated, so numbering pairs them even where the key itself changed. A row that
        -- goes over to another workspace is deleted in the one and created in the other: neither is told what it was or is elsewhere.
        insert into holdfast.audit_log
            (id, workspace_id, actor, action, entity_type, entity_id, old_values, new_values, changed_fields,
             mutation_id, client_id, ip, user_agent)
        select case when audit_order is null or told.action = 'create' then nextval('holdfast.audit_log_ids')
                   else audit_ids[array_position(audit_order, after_image.image ->> audit_id_column)] end,
               told.image ->> audit_workspace_column, audit_actor, told.action, audit_entity_type,
               told.image ->> audit_id_column,
               case told.action when 'update' then difference.old_values when 'delete' then told.image end,
               case told.action when 'update' then difference.new_values when 'create' then told.image end,
               case told.action when 'update' then difference.changed_fields end,
               case when audit_mutations is null then audit_mutation else coalesce(
                   (audit_mutations ->> (after_image.image ->> audit_id_column))::uuid, holdfast.refuse_stray_row()) end,
               audit_client, audit_ip, audit_agent
        from (
            select to_jsonb(holdfast_old_rows.*) as image, row_number() over () as place from holdfast_old_rows
        ) as before_image
        join (
            select to_jsonb(holdfast_new_rows.*) as image, row_number() over () as place from holdfast_new_rows
        ) as after_image using (place)
        cross join lateral (
            select coalesce(jsonb_object_agg(field.key, before_image.image -> field.key), '{}') as old_values,
                   coalesce(jsonb_object_agg(field.key, field.value), '{}') as new_values,
                   coalesce(array_agg(field.key order by field.key), '{}') as changed_fields
            from jsonb_each(after_image.image) as field
            where before_image.image -> field.key is distinct from field.value
        ) as difference
        cross join lateral (
            select 'delete' as action, before_image.image
            where audit_workspace_column = any (difference.changed_fields)
            union all
            select case when audit_workspace_column = any (difference.changed_fields) then 'create' else 'update' end,
                   after_image.image
        ) as told;
    end if;
    return null;
end
$$;

create or replace function holdfast.disable_audit(target regclass)
returns void
language plpgsql
volatile
set search_path = ''
as $$
begin
    execute format('drop trigger if exists holdfast_audit_insert on %s', target);
    execute format('drop trigger if exists holdfast_audit_update on %s', target);
    execute format('drop trigger if exists holdfast_audit_delete on %s', target);
end
$$;

comment on function holdfast.disable_audit(regclass) is
    'Stops recording changes of a table. What is recorded stays. For the owner of the table.';

create or replace function holdfast.enable_audit(
    target regclass,
    entity_type text default null,
    id_column name default 'id',
    workspace_column name default 'workspace_id'
)
returns void
language plpgsql
volatile
set search_path = ''
as $$
declare
    named text := coalesce(entity_type, (select relname from pg_catalog.pg_class where oid = target));
    arguments constant text := format('%L, %L, %L', named, id_column, workspace_column);
    missing text;
begin
    select wanted.name into missing
    from (values (id_column), (workspace_column)) as wanted (name)
    where not exists (
        select from pg_catalog.pg_attribute as attribute
        where attribute.attrelid = target and attribute.attname = wanted.name and attribute.attnum > 0
          and not attribute.attisdropped
    )
    limit 1;
    if found then
        raise exception using errcode = 'HF033',
            message = format('%s has no column %s.', target, coalesce(quote_ident(missing), 'null')),
            hint = 'Say which column has the id of a row, and which its workspace: '
                   'enable_audit(…, id_column => ''…'', workspace_column => ''…'').';
    end if;
    perform holdfast.disable_audit(target);
    execute format(
        'create trigger holdfast_audit_insert after insert on %s referencing new table as holdfast_new_rows '
        'for each statement execute function holdfast.write_audit(%s)', target, arguments);
    execute format(
        'create trigger holdfast_audit_update after update on %s '
        'referencing old table as holdfast_old_rows new table as holdfast_new_rows '
        'for each statement execute function holdfast.write_audit(%s)', target, arguments);
    execute format(
        'create trigger holdfast_audit_delete after delete on %s referencing old table as holdfast_old_rows '
        'for each statement execute function holdfast.write_audit(%s)', target, arguments);
end
$$;

comment on function holdfast.enable_audit(regclass, text, name, name) is
    'Records every insert, update and delete of a table in holdfast.audit_log, whoever makes it; truncate is not '
    'recorded. The entity type defaults to the name of the table. For the owner of the table.';

revoke all on function
    holdfast.set_trusted_hops(integer), holdfast.address_of(text, text, integer), holdfast.refuse_stray_row(),
    holdfast.write_audit(), holdfast.disable_audit(regclass), holdfast.enable_audit(regclass, text, name, name)
from public;
grant execute on function holdfast.refuse_stray_row() to authenticated;

reset role;
