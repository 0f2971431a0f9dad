-- How mutations change registered tables, one by one: as the caller, under the app's own policies.
-- Needs 0001 to 0003 and 0005 to 0007. Running it twice changes nothing.

set role holdfast_owner;

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

-- As it counts levels: the payload itself is the first. What is small cannot be nested so deep, and is not looked at.
create or replace function holdfast.is_too_deep(payload jsonb)
returns boolean
language sql
immutable
-- without a search path of its own, as in 0003
return pg_column_size(payload) > 250
    and payload @? 'strict $.**{32} ? (@.type() == "object" || @.type() == "array")';

create or replace function holdfast.refuse_unfit_payload(mutation jsonb)
returns void
language plpgsql
stable
set search_path = ''
as $$
declare
    payload_bytes_max constant integer := 262144;
    payload constant jsonb := mutation -> 'payload';
begin
    if mutation ? 'unstorable' or holdfast.is_too_deep(payload) then
        perform holdfast.refuse('INVALID_PAYLOAD',
            'The payload holds something a database cannot: a NUL character, half a surrogate pair, or nesting beyond 32.',
            'Remove it and make the change again.');
    end if;
    if octet_length(payload::text) > payload_bytes_max and holdfast.payload_bytes(payload) > payload_bytes_max then
        perform holdfast.refuse('PAYLOAD_TOO_LARGE',
            format('The payload is larger than %s bytes.', payload_bytes_max), 'Split it, or store the large part elsewhere.');
    end if;
end
$$;

create or replace function holdfast.refuse_unregistered(entity_table text, what text)
returns void
language sql
stable
set search_path = ''
return holdfast.refuse('NO_HANDLER',
    format('No %s is registered for "%s".', what, left(entity_table, 100)),
    'Register it on the server: select holdfast.register_table(…, version_column => ''version'', clock_column => ''changed_at'').');

create or replace function holdfast.refuse_missing_row(entity_table text, entity_id text)
returns void
language sql
stable
set search_path = ''
return holdfast.refuse('ROW_NOT_FOUND',
    format('There is no "%s" with the id "%s" that you may change.', left(entity_table, 100), left(entity_id, 100)),
    'It may have been deleted, or it belongs to someone else.');

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

-- Carries out one mutation as the caller. Names in the statements come from the registry only; every value is bound.
-- Answers {result, rowVersion}: the row it left, or null after a delete; or {conflict: {current, rowVersion}}, and then it
-- has changed nothing: the row is not the version that the edit was made on, and current is what the caller may see of it.
create or replace function holdfast.perform_change(mutation jsonb)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
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
    perform holdfast.refuse_unfit_payload(mutation);
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

-- An update, where the mutation is a creation made again and the caller sees the row; else the mutation as it is. The one that
-- it stands for is before it in its lane, so it is settled by now and cannot come in between.
create or replace function holdfast.as_change_of_row(mutation jsonb)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
    registered holdfast.registered_tables%rowtype;
begin
    if mutation ->> 'operation' <> 'create' or not holdfast.is_uuid(mutation -> 'replaces') then
        return mutation;
    end if;
    select * into registered from holdfast.registered_tables as known
    where known.entity_type = mutation #>> '{entity,table}';
    if registered.target is null or holdfast.read_row(registered, jsonb_build_object(
        registered.id_column, mutation #>> '{entity,id}', registered.workspace_column, holdfast.workspace())) is null
    then
        return mutation;
    end if;
    return mutation || '{"operation": "update"}';
end
$$;

-- Puts the row back as it was when it was deleted last. Read from the audit log as the caller, and inserted as the caller.
-- Its version goes on from where it was, so nobody takes it for what it was before.
create or replace function holdfast.restore_row(mutation jsonb)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
    entity_table constant text := mutation #>> '{entity,table}';
    wanted_id constant text := mutation #>> '{entity,id}';
    registered holdfast.registered_tables%rowtype;
    deleted jsonb;
    row_result jsonb;
    assigned text[];
begin
    select * into registered from holdfast.registered_tables as known where known.entity_type = entity_table;
    if registered.target is null then
        perform holdfast.refuse('NO_HANDLER', format('No table is registered as "%s".', left(entity_table, 100)),
            'Register it on the server: select holdfast.register_table(''your_table'', array[''column'', …]).');
    end if;
    select log.old_values into deleted
    from holdfast.audit_log as log
    where log.workspace_id = holdfast.workspace()
      and log.entity_type = entity_table
      and log.entity_id = wanted_id
      and log.action = 'delete'
    order by log.id desc
    limit 1;
    if deleted is null then
        perform holdfast.refuse('ROW_NOT_FOUND',
            format('No deletion of a "%s" with the id "%s" is on record.', left(entity_table, 100), left(wanted_id, 100)),
            'What was deleted before the audit log began, or longer ago than it is kept, cannot be brought back.');
    end if;
    select array_agg(attribute.attname::text order by attribute.attnum) into assigned
    from pg_catalog.pg_attribute as attribute
    where attribute.attrelid = registered.target and attribute.attnum > 0 and not attribute.attisdropped
      and attribute.attgenerated = '' and attribute.attidentity <> 'a' and deleted ? attribute.attname::text;
    perform set_config('holdfast.is_restoring', 'on', true);
    execute format(
        'insert into %1$s as holdfast_row (%2$s) select %3$s from jsonb_populate_record(null::%1$s, $1) as holdfast_value '
        'returning to_jsonb(holdfast_row.*)',
        registered.target,
        (select string_agg(format('%I', name), ', ') from unnest(assigned) as name),
        (select string_agg(format('holdfast_value.%I', name), ', ') from unnest(assigned) as name))
    using deleted into row_result;
    perform set_config('holdfast.is_restoring', '', true);
    if row_result is null then
        perform holdfast.refuse_missing_row(entity_table, wanted_id);
    end if;
    return jsonb_build_object('result', row_result, 'rowVersion', row_result -> registered.version_column);
end
$$;

revoke all on function
    holdfast.payload_bytes(jsonb), holdfast.is_too_deep(jsonb), holdfast.refuse_unfit_payload(jsonb), holdfast.refuse_unregistered(text, text),
    holdfast.refuse_missing_row(text, text), holdfast.read_row(holdfast.registered_tables, jsonb),
    holdfast.describe_missing_row(holdfast.registered_tables, jsonb, text, bigint, text), holdfast.perform_change(jsonb),
    holdfast.as_change_of_row(jsonb), holdfast.restore_row(jsonb)
from public;
grant execute on function
    holdfast.payload_bytes(jsonb), holdfast.is_too_deep(jsonb), holdfast.refuse_unfit_payload(jsonb), holdfast.refuse_unregistered(text, text),
    holdfast.refuse_missing_row(text, text), holdfast.read_row(holdfast.registered_tables, jsonb),
    holdfast.describe_missing_row(holdfast.registered_tables, jsonb, text, bigint, text), holdfast.perform_change(jsonb),
    holdfast.as_change_of_row(jsonb), holdfast.restore_row(jsonb)
to authenticated;

reset role;
