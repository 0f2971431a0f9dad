-- Which tables and columns mutations may change, and how they change them: as the caller, under the app's own policies.
-- Needs 0001 and 0003, and at work the row versions and patches of 0006. Running it twice changes nothing.

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

create or replace function holdfast.refuse_unregistered(entity_table text, what text)
returns void
language sql
stable
set search_path = ''
return holdfast.refuse('NO_HANDLER',
    format('No %s is registered for "%s".', what, left(entity_table, 100)),
    'Register it on the server: select holdfast.register_table(…, version_column => ''version'', clock_column => ''changed_at'').');

-- Carries out one mutation as the caller. Names in the statements come from the registry only; every value is bound.
-- Answers {result, rowVersion}: the row it left, or null after a delete; or {conflict: {current, rowVersion}}, and then it
-- has changed nothing: the row is not the version that the edit was made on, and current is what the caller may see of it.
create or replace function holdfast.perform_mutation(mutation jsonb)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
    payload_bytes_max constant integer := 262144;
    -- a clock that runs ahead wins by no more than this
    clock_ahead_max constant interval := interval '1 minute';
    operation constant text := mutation ->> 'operation';
    encoding constant text := coalesce(mutation ->> 'encoding', 'whole');
    entity_table constant text := mutation #>> '{entity,table}';
    entity_id constant text := mutation #>> '{entity,id}';
    base_version constant bigint := (mutation #>> '{base,rowVersion}')::numeric::bigint;
    payload jsonb := mutation -> 'payload';
    stamp text;
    registered holdfast.registered_tables%rowtype;
    assigned text[];
    unknown_column text;
    row_values jsonb;
    row_result jsonb;
    row_count bigint;
    finds text;
    guard text := '';
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
    -- an edit that asks for protection must not take effect without
    if base_version is not null and registered.version_column is null then
        perform holdfast.refuse_unregistered(entity_table, 'version column');
    end if;
    if mutation ? 'hlc' then
        if registered.clock_column is null then
            perform holdfast.refuse_unregistered(entity_table, 'clock column');
        end if;
        stamp := least((mutation ->> 'hlc') collate "C",
            holdfast.hybrid_time(clock_timestamp() + clock_ahead_max) collate "C");
    end if;
    perform set_config('holdfast.hybrid_time', coalesce(stamp, ''), true);

    row_values := jsonb_build_object(
        registered.id_column, entity_id, registered.workspace_column, holdfast.workspace());
    finds := format('holdfast_row.%1$I = holdfast_value.%1$I and holdfast_row.%2$I = holdfast_value.%2$I',
        registered.id_column, registered.workspace_column);
    -- of two edits made apart the later one wins; one that was made on the very row is later than it
    if base_version is not null or stamp is not null then
        guard := format(' and (%s or %s)',
            case when base_version is null then 'false' else format('holdfast_row.%I = $2', registered.version_column) end,
            case when stamp is null then 'false'
                else format('coalesce(holdfast_row.%I, '''') < $3 collate "C"', registered.clock_column) end);
    end if;

    if operation = 'delete' then
        execute format(
            'delete from %1$s as holdfast_row using jsonb_populate_record(null::%1$s, $1) as holdfast_value where %2$s%3$s',
            registered.target, finds, guard)
        using row_values, base_version, stamp;
        get diagnostics row_count = row_count;
        if row_count = 0 then
            return holdfast.describe_missing_row(registered, row_values, entity_id, base_version, stamp);
        end if;
        return jsonb_build_object('result', null, 'rowVersion', null);
    end if;

    -- a payload may repeat the id, as long as it is the same
    if encoding = 'whole' and coalesce(payload ->> registered.id_column, entity_id) <> entity_id then
        perform holdfast.refuse('INVALID_PAYLOAD',
            format('The payload names another %s than the mutation.', registered.id_column),
            'The id of a row cannot be changed: delete it and create another.');
    end if;
    select array_agg(field.key order by field.key),
           min(coalesce(field.key, '')) filter (where coalesce(field.key, '') <> all (registered.columns))
    into assigned, unknown_column
    from (
        select key from jsonb_object_keys(payload) as whole (key) where encoding = 'whole' and key <> registered.id_column
        union all
        select key from holdfast.patched_fields(encoding, payload) as patched (key)
    ) as field;
    if unknown_column is not null then
        perform holdfast.refuse('UNKNOWN_COLUMN',
            format('"%s" has no field "%s" that may be set.', entity_table, left(unknown_column, 100)),
            'Send registered columns only, or register this one on the server.');
    end if;
    if encoding <> 'whole' then
        -- the patch is made for one version: what it makes of that one is set only while the row still is that one
        row_result := holdfast.read_row(registered, row_values);
        if (row_result ->> registered.version_column)::bigint is distinct from base_version then
            return holdfast.describe_missing_row(registered, row_values, entity_id, base_version, null);
        end if;
        row_result := (
            select coalesce(jsonb_object_agg(field.key, field.value), '{}')
            from jsonb_each(row_result) as field
            where field.key = any (registered.columns)
        );
        payload := case encoding
            when 'mergePatch' then holdfast.merge_patch(row_result, payload)
            else holdfast.json_patch(row_result, payload -> 'patch')
        end;
        row_result := null;
    end if;
    row_values := payload || row_values;

    if operation = 'create' then
        execute format(
            'insert into %1$s as holdfast_row (%2$I, %3$I%4$s) '
            'select holdfast_value.%2$I, holdfast_value.%3$I%5$s '
            'from jsonb_populate_record(null::%1$s, $1) as holdfast_value%6$s returning to_jsonb(holdfast_row.*)',
            registered.target, registered.id_column, registered.workspace_column,
            (select string_agg(format(', %I', name), '') from unnest(assigned) as name),
            (select string_agg(format(', holdfast_value.%I', name), '') from unnest(assigned) as name),
            case when registered.event_key is not null then format(' on conflict (%I, %s) do nothing',
                registered.workspace_column,
                (select string_agg(format('%I', name), ', ') from unnest(registered.event_key) as name)) end)
        using row_values into row_result;
        if row_result is null and registered.event_key is not null then
            -- the same event, told by another device or under another id: the first one stands for both
            execute format(
                'select to_jsonb(holdfast_row.*) from %1$s as holdfast_row, '
                'jsonb_populate_record(null::%1$s, $1) as holdfast_value where holdfast_row.%2$I = holdfast_value.%2$I and %3$s',
                registered.target, registered.workspace_column,
                (select string_agg(format('holdfast_row.%1$I = holdfast_value.%1$I', name), ' and ')
                 from unnest(registered.event_key) as name))
            using row_values into row_result;
            if row_result is null then
                perform holdfast.refuse('ROW_EXISTS', 'The same event is there already, and you may not see it.',
                    'Nothing to do: someone else has recorded it.');
            end if;
        end if;
    elsif assigned is null then
        -- nothing to set: the row is read, so that the answer is the same as for any other update
        execute format(
            'select to_jsonb(holdfast_row.*) from %1$s as holdfast_row, '
            'jsonb_populate_record(null::%1$s, $1) as holdfast_value where %2$s%3$s',
            registered.target, finds, guard)
        using row_values, base_version, stamp into row_result;
    else
        execute format(
            'update %1$s as holdfast_row set %4$s from jsonb_populate_record(null::%1$s, $1) as holdfast_value '
            'where %2$s%3$s returning to_jsonb(holdfast_row.*)',
            registered.target, finds, guard,
            (select string_agg(format('%1$I = holdfast_value.%1$I', name), ', ') from unnest(assigned) as name))
        using row_values, base_version, stamp into row_result;
    end if;
    if row_result is null then
        return holdfast.describe_missing_row(registered, row_values, entity_id, base_version, stamp);
    end if;
    return jsonb_build_object('result', row_result, 'rowVersion', row_result -> registered.version_column);
end
$$;

-- The row as the caller may see it; null when there is none.
create or replace function holdfast.read_row(registered holdfast.registered_tables, row_values jsonb)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
    row_result jsonb;
begin
    execute format(
        'select to_jsonb(holdfast_row.*) from %1$s as holdfast_row, '
        'jsonb_populate_record(null::%1$s, $1) as holdfast_value '
        'where holdfast_row.%2$I = holdfast_value.%2$I and holdfast_row.%3$I = holdfast_value.%3$I',
        registered.target, registered.id_column, registered.workspace_column)
    using row_values into row_result;
    return row_result;
end
$$;

-- Why nothing was found to change: the row is another version than the edit was made on, or later than the edit (a
-- conflict), or it is not there, or not theirs to change.
create or replace function holdfast.describe_missing_row(
    registered holdfast.registered_tables, row_values jsonb, entity_id text, base_version bigint, stamp text
)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
    -- a new statement, so it sees what was committed while the change waited
    current_row constant jsonb := holdfast.read_row(registered, row_values);
    current_version constant bigint := (current_row ->> registered.version_column)::bigint;
begin
    if (base_version is null and stamp is null)
        or (base_version is not null and current_version = base_version)
        or (stamp is not null and current_row is not null
            and coalesce(current_row ->> registered.clock_column, '') collate "C" < stamp collate "C") then
        perform holdfast.refuse_missing_row(registered.entity_type, entity_id);
    end if;
    return jsonb_build_object('conflict', jsonb_build_object('current', current_row, 'rowVersion', current_version));
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
    holdfast.id_indexes(regclass, name, name), holdfast.is_column_of(regclass, name, text[]),
    holdfast.register_table(regclass, text[], text, name, name, boolean, name, name, text[]),
    holdfast.payload_bytes(jsonb), holdfast.perform_mutation(jsonb),
    holdfast.read_row(holdfast.registered_tables, jsonb),
    holdfast.describe_missing_row(holdfast.registered_tables, jsonb, text, bigint, text),
    holdfast.refuse_unregistered(text, text), holdfast.refuse_missing_row(text, text),
    holdfast.describe_failure(jsonb, text, text, text, text)
from public;
grant execute on function
    holdfast.id_indexes(regclass, name, name), holdfast.payload_bytes(jsonb), holdfast.perform_mutation(jsonb),
    holdfast.read_row(holdfast.registered_tables, jsonb),
    holdfast.describe_missing_row(holdfast.registered_tables, jsonb, text, bigint, text),
    holdfast.refuse_unregistered(text, text), holdfast.refuse_missing_row(text, text),
    holdfast.describe_failure(jsonb, text, text, text, text)
to authenticated;

reset role;
