-- The audit log by month, with the address and browser of who made a change, and restored rows told from new ones.
-- Needs 0001, 0003, 0009 and 0010. Running it twice changes nothing. Copies the audit log: plan for its size.

set role holdfast_owner;

-- What this installation is set to; one row.
create table if not exists holdfast.settings (
    only_row     boolean primary key default true,
    -- how many proxies of one's own stand between the world and this database's caller
    trusted_hops integer not null default 0,
    constraint settings_has_one_row check (only_row),
    constraint settings_trusted_hops_sane check (trusted_hops between 0 and 20)
);
insert into holdfast.settings default values on conflict do nothing;
alter table holdfast.settings enable row level security;
revoke all on holdfast.settings from public;

create sequence if not exists holdfast.audit_log_ids as bigint;

do $$
begin
    if (select relkind from pg_catalog.pg_class where oid = 'holdfast.audit_log'::regclass) = 'p' then
        return;
    end if;
    alter table holdfast.audit_log rename to audit_log_unsplit;
    alter index holdfast.audit_log_pkey rename to audit_log_unsplit_pkey;
    alter index holdfast.audit_log_by_entity rename to audit_log_unsplit_by_entity;
    alter index holdfast.audit_log_by_workspace rename to audit_log_unsplit_by_workspace;
    create table holdfast.audit_log (
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
        transaction_id xid8        not null default pg_current_xact_id(),
        primary key (id, occurred_at),
        constraint audit_log_action_known check (action in ('create', 'update', 'delete', 'restore')),
        constraint audit_log_old_values_unless_new check ((old_values is null) = (action in ('create', 'restore'))),
        constraint audit_log_new_values_unless_delete check ((new_values is null) = (action = 'delete')),
        constraint audit_log_changed_fields_iff_update check ((changed_fields is null) = (action <> 'update'))
    ) partition by range (occurred_at);
    alter sequence holdfast.audit_log_ids owned by holdfast.audit_log.id;
end
$$;

-- serves the history of one row, newest first
create index if not exists audit_log_by_entity on holdfast.audit_log (workspace_id, entity_type, entity_id, id);
-- serves the latest changes of a workspace, and its change feed
create index if not exists audit_log_by_workspace on holdfast.audit_log (workspace_id, id);

insert into holdfast.partitioned_tables (table_name, time_column, keep)
values ('audit_log', 'occurred_at', interval '90 days')
on conflict do nothing;

do $$
declare
    month timestamptz;
begin
    if to_regclass('holdfast.audit_log_unsplit') is not null then
        -- old rows go to the months they are of
        for month in
            select distinct date_trunc('month', occurred_at at time zone 'UTC') at time zone 'UTC'
            from holdfast.audit_log_unsplit
        loop
            perform holdfast.ensure_partitions(0, month);
        end loop;
        perform holdfast.ensure_partitions();
        insert into holdfast.audit_log
            (id, workspace_id, occurred_at, actor, action, entity_type, entity_id, old_values, new_values, changed_fields,
             mutation_id, client_id, transaction_id)
        select id, workspace_id, occurred_at, actor, action, entity_type, entity_id, old_values, new_values, changed_fields,
               mutation_id, client_id, transaction_id
        from holdfast.audit_log_unsplit;
        perform setval('holdfast.audit_log_ids', greatest((select max(id) from holdfast.audit_log), 1),
            exists (select from holdfast.audit_log));
        drop table holdfast.audit_log_unsplit;
    end if;
end
$$;

alter table holdfast.audit_log enable row level security;
revoke all on holdfast.audit_log from public;
grant select on holdfast.audit_log to authenticated;

drop policy if exists audit_log_members_read on holdfast.audit_log;
create policy audit_log_members_read on holdfast.audit_log
    for select to authenticated
    using (workspace_id = (select holdfast.workspace()));

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
-- "holdfast.peer_address" (the door sets it) or not known at all (PostgREST); what is further left anybody may have written.
create or replace function holdfast.address_of(forwarded_for text, peer text, hops integer)
returns text
language sql
immutable
set search_path = ''
return (
    select case when told.address ~ '^[0-9a-fA-F:.]{2,45}$' then told.address end
    from (
        select array_append(string_to_array(left(forwarded_for, 2000), ','), peer) as addresses
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
    audit_claims constant jsonb := nullif(current_setting('request.jwt.claims', true), '')::jsonb;
    audit_actor constant text := nullif(audit_claims ->> 'sub', '');
    audit_mutation constant uuid := nullif(current_setting('holdfast.mutation_id', true), '')::uuid;
    -- of a statement that carries out several mutations: which of them each row belongs to
    audit_mutations constant jsonb := nullif(current_setting('holdfast.mutation_ids', true), '')::jsonb;
    audit_client constant uuid := nullif(current_setting('holdfast.client_id', true), '')::uuid;
    -- PostgREST and the door set it: the headers, by names in lower case
    audit_headers constant jsonb := nullif(current_setting('request.headers', true), '')::jsonb;
    audit_peer constant text := nullif(current_setting('holdfast.peer_address', true), '');
    audit_ip text;
    audit_agent text;
begin
    if audit_headers is not null or audit_peer is not null then
        audit_ip := holdfast.address_of(audit_headers ->> 'x-forwarded-for', audit_peer,
            (select known.trusted_hops from holdfast.settings as known));
        audit_agent := left(audit_headers ->> 'user-agent', 300);
    end if;
    if tg_op = 'INSERT' then
        insert into holdfast.audit_log
            (workspace_id, actor, action, entity_type, entity_id, new_values, mutation_id, client_id, ip, user_agent)
        select after_image.image ->> audit_workspace_column, audit_actor,
               case when current_setting('holdfast.is_restoring', true) = 'on' then 'restore' else 'create' end,
               audit_entity_type, after_image.image ->> audit_id_column, after_image.image,
               case when audit_mutations is null then audit_mutation else coalesce(
                   (audit_mutations ->> (after_image.image ->> audit_id_column))::uuid, holdfast.refuse_stray_row()) end,
               audit_client, audit_ip, audit_agent
        from (select to_jsonb(holdfast_new_rows.*) as image from holdfast_new_rows offset 0) as after_image;
    elsif tg_op = 'DELETE' then
        insert into holdfast.audit_log
            (workspace_id, actor, action, entity_type, entity_id, old_values, mutation_id, client_id, ip, user_agent)
        select before_image.image ->> audit_workspace_column, audit_actor, 'delete', audit_entity_type,
               before_image.image ->> audit_id_column, before_image.image,
               case when audit_mutations is null then audit_mutation else coalesce(
                   (audit_mutations ->> (before_image.image ->> audit_id_column))::uuid, holdfast.refuse_stray_row()) end,
               audit_client, audit_ip, audit_agent
        from (select to_jsonb(holdfast_old_rows.*) as image from holdfast_old_rows offset 0) as before_image;
    else
        -- both lists are in the order the rows were updated, so numbering pairs them even where the key itself changed
        insert into holdfast.audit_log
            (workspace_id, actor, action, entity_type, entity_id, old_values, new_values, changed_fields,
             mutation_id, client_id, ip, user_agent)
        select after_image.image ->> audit_workspace_column, audit_actor, 'update', audit_entity_type,
               after_image.image ->> audit_id_column, difference.old_values, difference.new_values,
               difference.changed_fields,
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
            select coalesce(jsonb_object_agg(before_field.key, before_field.value), '{}') as old_values,
                   coalesce(jsonb_object_agg(after_field.key, after_field.value), '{}') as new_values,
                   coalesce(array_agg(after_field.key order by after_field.key), '{}') as changed_fields
            from jsonb_each(before_image.image) as before_field
            join jsonb_each(after_image.image) as after_field using (key)
            where before_field.value is distinct from after_field.value
        ) as difference;
    end if;
    return null;
end
$$;

revoke all on function
    holdfast.set_trusted_hops(integer), holdfast.address_of(text, text, integer), holdfast.refuse_stray_row(),
    holdfast.write_audit()
from public;

reset role;
