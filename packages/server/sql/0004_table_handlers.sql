-- Which tables and columns mutations may change, and how they change them: as the caller, under the app's own policies.
-- Needs 0001 and 0003. Running it twice changes nothing.

set role holdfast_owner;

create table if not exists holdfast.registered_tables (
    -- the name mutations use in entity.table
    entity_type      text        primary key,
    target           regclass    not null unique,
    id_column        name        not null,
    workspace_column name        not null,
    -- the columns a payload may set; never the id or the workspace
    columns          text[]      not null,
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

create or replace function holdfast.register_table(
    target regclass,
    columns text[],
    entity_type text default null,
    id_column name default 'id',
    workspace_column name default 'workspace_id',
    audit boolean default true
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
    from unnest(columns || array[id_column::text, workspace_column::text]) as wanted (name)
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

    delete from holdfast.registered_tables as former
    where former.target = register_table.target and former.entity_type <> named;
    insert into holdfast.registered_tables as registered
        (entity_type, target, id_column, workspace_column, columns)
    values (named, target, id_column, workspace_column, columns)
    on conflict on constraint registered_tables_pkey do update
        set target = excluded.target, id_column = excluded.id_column,
            workspace_column = excluded.workspace_column, columns = excluded.columns;
    if audit then
        perform holdfast.enable_audit(target, named, id_column, workspace_column);
    else
        perform holdfast.disable_audit(target);
    end if;
end
$$;

comment on function holdfast.register_table(regclass, text[], text, name, name, boolean) is
    'Lets mutations create, update and delete rows of a table, setting the listed columns only; calling it again '
    'changes the registration. What a caller may really do is decided by the grants and policies of the table. '
    'For the owner of the table, who must also be a member of holdfast_owner.';

-- Bytes of a payload as the device counts them: JSON without the blanks that jsonb prints after each comma and colon.
create or replace function holdfast.payload_bytes(payload jsonb)
returns integer
language sql
immutable
set search_path = ''
return octet_length(payload::text) - (
    select coalesce(sum(case jsonb_typeof(node.value)
        when 'object' then greatest(2 * (select count(*) from jsonb_object_keys(node.value)) - 1, 0)
        when 'array' then greatest(jsonb_array_length(node.value) - 1, 0)
        else 0
    end), 0)::integer
    from jsonb_path_query(payload, 'strict $.**') as node (value)
);

-- Carries out one mutation as the caller and returns the row it left, or null after a delete. Names in the statement
-- come from the registry only; every value is bound.
create or replace function holdfast.perform_mutation(mutation jsonb)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
    payload_bytes_max constant integer := 262144;
    payload constant jsonb := mutation -> 'payload';
    operation constant text := mutation ->> 'operation';
    entity_table constant text := mutation #>> '{entity,table}';
    entity_id constant text := mutation #>> '{entity,id}';
    registered holdfast.registered_tables%rowtype;
    assigned text[];
    unknown_column text;
    row_values jsonb;
    row_result jsonb;
    row_count bigint;
begin
    if mutation ? 'unstorable' then
        perform holdfast.refuse('INVALID_PAYLOAD',
            'The payload holds something a database cannot: a NUL character, half a surrogate pair, or nesting beyond 32.',
            'Remove it and make the change again.');
    end if;
    if octet_length(payload::text) > payload_bytes_max and holdfast.payload_bytes(payload) > payload_bytes_max then
        perform holdfast.refuse('PAYLOAD_TOO_LARGE',
            format('The payload is larger than %s bytes.', payload_bytes_max), 'Split it, or store the large part elsewhere.');
    end if;
    if entity_table is not null and operation <> 'custom' then
        select * into registered from holdfast.registered_tables as known where known.entity_type = entity_table;
    end if;
    if registered.target is null then
        perform holdfast.refuse('NO_HANDLER',
            case when operation = 'custom' or entity_table is null
                then format('Nothing on the server handles the type "%s".', left(mutation ->> 'type', 100))
                else format('No table is registered as "%s".', left(entity_table, 100)) end,
            'Register it on the server: select holdfast.register_table(''your_table'', array[''column'', …]).');
    end if;

    row_values := jsonb_build_object(
        registered.id_column, entity_id, registered.workspace_column, holdfast.workspace());
    if operation = 'delete' then
        execute format(
            'delete from %1$s as holdfast_row using jsonb_populate_record(null::%1$s, $1) as holdfast_value '
            'where holdfast_row.%2$I = holdfast_value.%2$I and holdfast_row.%3$I = holdfast_value.%3$I',
            registered.target, registered.id_column, registered.workspace_column)
        using row_values;
        get diagnostics row_count = row_count;
        if row_count = 0 then
            perform holdfast.refuse_missing_row(entity_table, entity_id);
        end if;
        return null;
    end if;

    -- a payload may repeat the id, as long as it is the same
    if coalesce(payload ->> registered.id_column, entity_id) <> entity_id then
        perform holdfast.refuse('INVALID_PAYLOAD',
            format('The payload names another %s than the mutation.', registered.id_column),
            'The id of a row cannot be changed: delete it and create another.');
    end if;
    select array_agg(field.key order by field.key),
           min(field.key) filter (where field.key <> all (registered.columns))
    into assigned, unknown_column
    from jsonb_object_keys(payload) as field (key)
    where field.key <> registered.id_column;
    if unknown_column is not null then
        perform holdfast.refuse('UNKNOWN_COLUMN',
            format('"%s" has no field "%s" that may be set.', entity_table, left(unknown_column, 100)),
            'Send registered columns only, or register this one on the server.');
    end if;
    row_values := payload || row_values;

    if operation = 'create' then
        execute format(
            'insert into %1$s as holdfast_row (%2$I, %3$I%4$s) '
            'select holdfast_value.%2$I, holdfast_value.%3$I%5$s '
            'from jsonb_populate_record(null::%1$s, $1) as holdfast_value returning to_jsonb(holdfast_row.*)',
            registered.target, registered.id_column, registered.workspace_column,
            (select string_agg(format(', %I', name), '') from unnest(assigned) as name),
            (select string_agg(format(', holdfast_value.%I', name), '') from unnest(assigned) as name))
        using row_values into row_result;
    elsif assigned is null then
        -- nothing to set: the row is read, so that the answer is the same as for any other update
        execute format(
            'select to_jsonb(holdfast_row.*) from %1$s as holdfast_row, '
            'jsonb_populate_record(null::%1$s, $1) as holdfast_value '
            'where holdfast_row.%2$I = holdfast_value.%2$I and holdfast_row.%3$I = holdfast_value.%3$I',
            registered.target, registered.id_column, registered.workspace_column)
        using row_values into row_result;
    else
        execute format(
            'update %1$s as holdfast_row set %4$s from jsonb_populate_record(null::%1$s, $1) as holdfast_value '
            'where holdfast_row.%2$I = holdfast_value.%2$I and holdfast_row.%3$I = holdfast_value.%3$I '
            'returning to_jsonb(holdfast_row.*)',
            registered.target, registered.id_column, registered.workspace_column,
            (select string_agg(format('%1$I = holdfast_value.%1$I', name), ', ') from unnest(assigned) as name))
        using row_values into row_result;
    end if;
    if row_result is null then
        perform holdfast.refuse_missing_row(entity_table, entity_id);
    end if;
    return row_result;
end
$$;

create or replace function holdfast.refuse_missing_row(entity_table text, entity_id text)
returns void
language sql
stable
set search_path = ''
return holdfast.refuse('ROW_NOT_FOUND',
    format('There is no "%s" with the id "%s" that you may change.', left(entity_table, 100), left(entity_id, 100)),
    'It may have been deleted, or it belongs to someone else.');

-- What to answer about a mutation whose effect failed. A create that met its own id says so in words of its own.
create or replace function holdfast.describe_failure(
    mutation jsonb, state text, message text, hint text, constraint_name text
)
returns jsonb
language sql
stable
set search_path = ''
return case when state = '23505' and mutation ->> 'operation' = 'create' and exists (
    select
    from holdfast.registered_tables as known
    cross join lateral holdfast.id_indexes(known.target, known.id_column, known.workspace_column) as id_index (name)
    where known.entity_type = mutation #>> '{entity,table}'
      and id_index.name = describe_failure.constraint_name
)
then holdfast.wire_error('HF035',
    format('A "%s" with this id is already there.', left(mutation #>> '{entity,table}', 100)),
    'Update the existing one, or create it under a new id.')
else holdfast.wire_error(state, message, hint) end;

revoke all on function
    holdfast.id_indexes(regclass, name, name),
    holdfast.register_table(regclass, text[], text, name, name, boolean),
    holdfast.payload_bytes(jsonb), holdfast.perform_mutation(jsonb),
    holdfast.refuse_missing_row(text, text), holdfast.describe_failure(jsonb, text, text, text, text)
from public;
grant execute on function
    holdfast.id_indexes(regclass, name, name), holdfast.payload_bytes(jsonb), holdfast.perform_mutation(jsonb),
    holdfast.refuse_missing_row(text, text), holdfast.describe_failure(jsonb, text, text, text, text)
to authenticated;

reset role;
