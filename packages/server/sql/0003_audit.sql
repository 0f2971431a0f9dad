-- The audit log: who changed which row, from what to what, and on behalf of which mutation.
-- Needs 0001. Running it twice changes nothing.

set role holdfast_owner;

create table if not exists holdfast.audit_log (
    id             bigint      generated always as identity primary key,
    workspace_id   text,
    occurred_at    timestamptz not null default now(),
    -- claim "sub"; null when the change did not come from a signed-in user (a script, a scheduler)
    actor          text,
    action         text        not null,
    entity_type    text        not null,
    entity_id      text,
    -- create: null; update: the changed fields before; delete: the whole row
    old_values     jsonb,
    -- create: the whole row; update: the changed fields after; delete: null
    new_values     jsonb,
    -- sorted by name; null unless the action is an update
    changed_fields text[],
    -- null when the change was made outside holdfast.apply
    mutation_id    uuid,
    client_id      uuid,
    transaction_id xid8        not null default pg_current_xact_id(),
    constraint audit_log_action_known check (action in ('create', 'update', 'delete')),
    constraint audit_log_old_values_unless_create check ((old_values is null) = (action = 'create')),
    constraint audit_log_new_values_unless_delete check ((new_values is null) = (action = 'delete')),
    constraint audit_log_changed_fields_iff_update check ((changed_fields is null) = (action <> 'update'))
);

-- serves the history of one row, newest first
create index if not exists audit_log_by_entity on holdfast.audit_log (workspace_id, entity_type, entity_id, id);
-- serves the latest changes of a workspace
create index if not exists audit_log_by_workspace on holdfast.audit_log (workspace_id, id);

alter table holdfast.audit_log enable row level security;
revoke all on holdfast.audit_log from public;
grant select on holdfast.audit_log to authenticated;

drop policy if exists audit_log_members_read on holdfast.audit_log;
create policy audit_log_members_read on holdfast.audit_log
    for select to authenticated
    using (workspace_id = (select holdfast.workspace()));

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
    audit_actor constant text := holdfast.actor();
    audit_mutation constant uuid := nullif(current_setting('holdfast.mutation_id', true), '')::uuid;
    audit_client constant uuid := nullif(current_setting('holdfast.client_id', true), '')::uuid;
begin
    if tg_op = 'INSERT' then
        insert into holdfast.audit_log
            (workspace_id, actor, action, entity_type, entity_id, new_values, mutation_id, client_id)
        select after_image.image ->> audit_workspace_column, audit_actor, 'create', audit_entity_type,
               after_image.image ->> audit_id_column, after_image.image, audit_mutation, audit_client
        from (select to_jsonb(holdfast_new_rows.*) as image from holdfast_new_rows offset 0) as after_image;
    elsif tg_op = 'DELETE' then
        insert into holdfast.audit_log
            (workspace_id, actor, action, entity_type, entity_id, old_values, mutation_id, client_id)
        select before_image.image ->> audit_workspace_column, audit_actor, 'delete', audit_entity_type,
               before_image.image ->> audit_id_column, before_image.image, audit_mutation, audit_client
        from (select to_jsonb(holdfast_old_rows.*) as image from holdfast_old_rows offset 0) as before_image;
    else
        -- both lists are in the order the rows were updated, so numbering pairs them even where the key itself changed
        insert into holdfast.audit_log
            (workspace_id, actor, action, entity_type, entity_id, old_values, new_values, changed_fields,
             mutation_id, client_id)
        select after_image.image ->> audit_workspace_column, audit_actor, 'update', audit_entity_type,
               after_image.image ->> audit_id_column, difference.old_values, difference.new_values,
               difference.changed_fields, audit_mutation, audit_client
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
begin
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
    holdfast.write_audit(), holdfast.disable_audit(regclass), holdfast.enable_audit(regclass, text, name, name)
from public;

reset role;
