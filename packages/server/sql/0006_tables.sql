-- Which tables and columns mutations may change. Needs 0001, and at work 0005 and 0007. Running it twice changes nothing.

set role holdfast_owner;

create table if not exists holdfast.registered_tables (
    -- the name mutations use in entity.table
    entity_type      text        primary key,
    target           regclass    not null unique,
    id_column        name        not null,
    workspace_column name        not null,
    -- the columns a payload may set; never the id or the workspace
    columns          text[]      not null,
    -- counts the changes of a row, whoever makes them; null when the table does not tell
    version_column   name,
    -- the hybrid time of the last change, for latest-wins
    clock_column     name,
    -- columns that, together with the workspace, say that two events are the same one
    event_key        text[],
    created_at       timestamptz not null default now(),
    constraint registered_tables_id_not_assignable check (id_column::text <> all (columns)),
    constraint registered_tables_workspace_not_assignable check (workspace_column::text <> all (columns))
);

alter table holdfast.registered_tables enable row level security;
revoke all on holdfast.registered_tables from public;
-- effects run as the caller, who must see what may be changed; the list holds no one's data
grant select on holdfast.registered_tables to authenticated;
drop policy if exists registered_tables_readable on holdfast.registered_tables;
create policy registered_tables_readable on holdfast.registered_tables for select to authenticated using (true);

-- The unique indexes that make the id find at most one row: on the id alone, or on workspace and id.
create or replace function holdfast.id_indexes(target regclass, id_column name, workspace_column name)
returns setof name
language sql
stable
set search_path = ''
begin atomic
    select index_name.relname
    from pg_catalog.pg_index as candidate
    join pg_catalog.pg_class as index_name on index_name.oid = candidate.indexrelid
    cross join lateral (
        select array_agg(attribute.attname order by attribute.attname) as names
        from pg_catalog.pg_attribute as attribute
        where attribute.attrelid = candidate.indrelid
          and attribute.attnum = any (candidate.indkey::int2[])
    ) as covered
    where candidate.indrelid = target
      and candidate.indisunique
      and candidate.indpred is null
      and candidate.indexprs is null
      and (
          covered.names = array[id_column]
          or covered.names = array[least(id_column, workspace_column), greatest(id_column, workspace_column)]
      );
end;

create or replace function holdfast.is_column_of(target regclass, column_name name, type_names text[])
returns boolean
language sql
stable
set search_path = ''
return exists (
    select
    from pg_catalog.pg_attribute as attribute
    join pg_catalog.pg_type as type on type.oid = attribute.atttypid
    where attribute.attrelid = target and attribute.attname = column_name and attribute.attnum > 0
      and not attribute.attisdropped and attribute.attgenerated = '' and type.typname = any (type_names)
);

create or replace function holdfast.register_table(
    target regclass,
    columns text[],
    entity_type text default null,
    id_column name default 'id',
    workspace_column name default 'workspace_id',
    audit boolean default true,
    version_column name default null,
    clock_column name default null,
    event_key text[] default null
)
returns void
language plpgsql
volatile
set search_path = ''
as $$
declare
    named text := coalesce(entity_type, (select relname from pg_catalog.pg_class where oid = target));
    missing text;
begin
    if not exists (select from pg_catalog.pg_class where oid = target and relkind in ('r', 'p')) then
        raise exception using errcode = 'HF020', message = format('%s is not a table.', target),
            hint = 'Register tables only; a view has no row to lock and nothing to audit.';
    end if;
    if not exists (select from pg_catalog.pg_class where oid = target and relrowsecurity) then
        raise exception using errcode = 'HF020', message = format('%s has no row-level security.', target),
            hint = format('Run: alter table %s enable row level security; and write policies for the role '
                          'authenticated, for instance using (%I = (select holdfast.workspace())).',
                          target, workspace_column);
    end if;
    select wanted.name into missing
    from unnest(columns || event_key || array[id_column::text, workspace_column::text]) as wanted (name)
    where not exists (
        select from pg_catalog.pg_attribute
        where attrelid = target and attname = wanted.name and attnum > 0 and not attisdropped
          and attgenerated = '' and attidentity <> 'a'
    )
    limit 1;
    if missing is not null then
        raise exception using errcode = 'HF033', message = format('%s has no column %I that can be set.', target, missing),
            hint = 'List ordinary columns by the names they have in the table; generated ones set themselves.';
    end if;
    if not exists (select from holdfast.id_indexes(target, id_column, workspace_column)) then
        raise exception using errcode = 'HF020',
            message = format('Nothing keeps %I unique in %s.', id_column, target),
            hint = format('Add a primary key or a unique constraint on (%I) or (%I, %I).',
                          id_column, workspace_column, id_column);
    end if;
    if version_column is not null and not holdfast.is_column_of(target, version_column, array['int4', 'int8']) then
        raise exception using errcode = 'HF020',
            message = format('%s has no column %I of type integer or bigint.', target, version_column),
            hint = format('Run: alter table %s add column %I bigint not null default 0;', target, version_column);
    end if;
    if clock_column is not null and (
        version_column is null or not holdfast.is_column_of(target, clock_column, array['text'])
    ) then
        raise exception using errcode = 'HF020',
            message = format('The clock of %s needs a column %I of type text, and a version column.', target, clock_column),
            hint = format('Run: alter table %s add column %I text; and name the version column too.', target, clock_column);
    end if;
    if columns && array[version_column::text, clock_column::text] then
        raise exception using errcode = 'HF020',
            message = format('%s counts its changes by itself: no payload may set that.', target),
            hint = 'Leave the version column and the clock column out of the columns that a payload may set.';
    end if;
    if event_key is not null and not exists (
        select
        from pg_catalog.pg_index as candidate
        where candidate.indrelid = target and candidate.indisunique and candidate.indimmediate
          and candidate.indpred is null and candidate.indexprs is null
          and (
              select array_agg(attribute.attname::text order by attribute.attname::text)
              from pg_catalog.pg_attribute as attribute
              where attribute.attrelid = target and attribute.attnum = any (candidate.indkey::int2[])
          ) = (
              select array_agg(distinct part.name order by part.name)
              from unnest(event_key || workspace_column::text) as part (name)
          )
    ) then
        raise exception using errcode = 'HF020',
            message = format('Nothing keeps the key of an event unique in %s.', target),
            hint = format('Add a unique constraint on (%I, %s), not deferrable.', workspace_column,
                          array_to_string(array(select format('%I', name) from unnest(event_key) as name), ', '));
    end if;

    delete from holdfast.registered_tables as former
    where former.target = register_table.target and former.entity_type <> named;
    insert into holdfast.registered_tables as registered
        (entity_type, target, id_column, workspace_column, columns, version_column, clock_column, event_key)
    values (named, target, id_column, workspace_column, columns, version_column, clock_column, event_key)
    on conflict on constraint registered_tables_pkey do update
        set target = excluded.target, id_column = excluded.id_column,
            workspace_column = excluded.workspace_column, columns = excluded.columns,
            version_column = excluded.version_column, clock_column = excluded.clock_column,
            event_key = excluded.event_key;
    execute format('drop trigger if exists holdfast_row_version on %s', target);
    if version_column is not null then
        execute format(
            'create trigger holdfast_row_version before insert or update on %s '
            'for each row execute function holdfast.raise_row_version(%L, %L)',
            target, version_column, coalesce(clock_column, ''));
    end if;
    if audit then
        perform holdfast.enable_audit(target, named, id_column, workspace_column);
    else
        perform holdfast.disable_audit(target);
    end if;
end
$$;

comment on function
    holdfast.register_table(regclass, text[], text, name, name, boolean, name, name, text[]) is
    'Lets mutations create, update and delete rows of a table, setting the listed columns only; calling it again '
    'changes the registration. What a caller may really do is decided by the grants and policies of the table. '
    'The version column makes conflicts known, the clock column lets the latest edit win, and the columns of event_key '
    'say which events are the same. For the owner of the table, who must also be a member of holdfast_owner.';

revoke all on function
    holdfast.id_indexes(regclass, name, name), holdfast.is_column_of(regclass, name, text[]),
    holdfast.register_table(regclass, text[], text, name, name, boolean, name, name, text[])
from public;
grant execute on function holdfast.id_indexes(regclass, name, name) to authenticated;

reset role;
