-- Mutations that come together and are alike (a run) are carried out in one statement: creations, edits, patches and deletions.
-- Needs 0005 to 0010. Running it twice changes nothing.

set role holdfast_owner;

-- The last place of the run of each mutation; its own place where it goes alone. In a run each row is named once.
create or replace function holdfast.run_ends(shapes text[], mutations jsonb[])
returns integer[]
language sql
stable
set search_path = ''
begin atomic
    with listed as (
        select each.place, each.shape, each.mutation #>> '{entity,table}' as entity_table,
               each.mutation #>> '{entity,id}' as entity_id
        from unnest(shapes, mutations) with ordinality as each (shape, mutation, place)
    ), bounded as (
        select listed.place,
               listed.shape is null or listed.shape is distinct from lag(listed.shape) over by_place
                   or row_number() over (partition by listed.entity_table, listed.entity_id order by listed.place) > 1
                   as is_first
        from listed
        window by_place as (order by listed.place)
    ), numbered as (
        select bounded.place, count(*) filter (where bounded.is_first) over (order by bounded.place) as run from bounded
    ), ended as (
        select numbered.place, max(numbered.place) over (partition by numbered.run) as run_end from numbered
    )
    select array_agg(ended.run_end::integer order by ended.place) from ended;
end;

-- An expression that tells triggers what they may ask for before it answers the value.
create or replace function holdfast.noting(notices text[], value text)
returns text
language sql
stable
return case when cardinality(notices) = 0 then value
    else format('case when %s is not null then %s end', array_to_string(notices, ' || '), value) end;

-- Carries out several mutations of one shape in one statement, as the caller, or answers null where they have to go one by one.
-- All take effect or it raises; whose fault that was is not known then.
--
-- Names in the statement come from the registry only; every value is bound. What triggers may ask for is set while each row is
-- computed, which is just before its "before" triggers run; "after" triggers run when all are done, and find the map from row to
-- mutation instead.
create or replace function holdfast.perform_run(
    mutations jsonb[], mutation_ids uuid[], out results json[], out row_versions bigint[]
)
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
    -- a clock that runs ahead wins by no more than this
    clock_ahead_max constant interval := interval '1 minute';
    first constant jsonb := mutations[1];
    operation constant text := first ->> 'operation';
    payload constant jsonb := first -> 'payload';
    -- of plain values only (see run_shape), so it sets them; made for one version, and for no other whatever the time
    is_patch constant boolean := first ? 'encoding';
    has_base constant boolean := first ? 'base';
    has_stamp constant boolean := first ? 'hlc';
    entity_ids constant text[] := array(
        select each_one.mutation -> 'entity' ->> 'id' from unnest(mutations) as each_one (mutation));
    registered record;
    assigned text[];
    assigned_names text;
    assigned_values text;
    stamp constant text := 'least((holdfast_given.holdfast_mutation ->> ''hlc'') collate "C", $5 collate "C")';
    -- what is told to triggers, as expressions
    notices text[];
    given text;
    given_id text;
    given_workspace text;
    finds text;
    made text;
    statement text;
begin
    select known.*, form.id_type, form.workspace_type, form.has_json, app.has_triggers, app.has_late_triggers
    into registered
    from holdfast.registered_tables as known
    cross join lateral (
        -- to be cast to as it is written into it: what is too long for it is refused and not cut
        select max(format_type(a_column.atttypid, -1)) filter (where a_column.attname = known.id_column) as id_type,
               max(format_type(a_column.atttypid, -1)) filter (where a_column.attname = known.workspace_column) as workspace_type,
               -- may hold what jsonb cannot, also in a type of the app's own; then that is found here and not when the answer is read
               bool_or(a_column.atttypid in ('json'::regtype, 'json[]'::regtype) or a_column.atttypid >= 16384) as has_json
        from pg_catalog.pg_attribute as a_column
        where a_column.attrelid = known.target and a_column.attnum > 0
    ) as form
    -- 1: for each row, 2: before, 4: insert, 8: delete, 16: update
    cross join lateral (
        select count(*) > 0 as has_triggers, coalesce(bool_or(app.tgtype::integer & 3 <> 3), false) as has_late_triggers
        from pg_catalog.pg_trigger as app
        where app.tgrelid = known.target and not app.tgisinternal and app.tgenabled <> 'D'
          and app.tgtype::integer & case operation when 'create' then 4 when 'delete' then 8 else 16 end <> 0
          and not starts_with(app.tgname, 'holdfast_')
    ) as app
    where known.entity_type = first #>> '{entity,table}'
      and (not has_base or known.version_column is not null)
      and (not has_stamp or known.clock_column is not null)
      -- where an event is there already, the row that stands for it has to be looked up
      and (operation <> 'create' or (known.event_key is null and not exists (
          select from holdfast.near_events as tolerant where tolerant.target = known.target)))
      and not exists (select from holdfast.handlers as handled where handled.type = first ->> 'type');
    if not found then
        return;
    end if;
    if operation <> 'delete' then
        select array_agg(field.key), string_agg(format(', %I', field.key), ''),
               string_agg(format(', (holdfast_given.holdfast_value).%I', field.key), '')
        into assigned, assigned_names, assigned_values
        from jsonb_object_keys(payload) as field (key)
        where field.key <> registered.id_column;
        if not assigned <@ registered.columns or (operation = 'update' and assigned is null) then
            return;
        end if;
    end if;
    -- they find the mutation only when it goes alone
    if (registered.has_late_triggers and operation = 'update') or (registered.has_triggers and operation = 'delete') then
        return;
    end if;
    if operation <> 'delete' and payload ? registered.id_column and (is_patch or exists (
        select from unnest(mutations) as each_one (mutation)
        where each_one.mutation -> 'payload' ->> registered.id_column is distinct from each_one.mutation #>> '{entity,id}'
    )) then
        return;
    end if;
    notices := array_remove(array[
        case when has_stamp then 'set_config(''holdfast.hybrid_time'', ' || stamp || ', true)' end,
        case when registered.has_triggers and not registered.has_late_triggers
            then 'set_config(''holdfast.mutation_id'', ($2)[holdfast_given.holdfast_place]::text, true)' end], null);
    perform set_config('holdfast.mutation_ids', json_object(entity_ids, mutation_ids::text[])::text, true),
        set_config('holdfast.run_rows', entity_ids::text, true),
        set_config('holdfast.mutation_id', '', true), set_config('holdfast.hybrid_time', '', true);
    -- the values are read as a whole, once, and not as a set of one row each, which would take a third longer
    given := format('(select holdfast_item.holdfast_mutation, holdfast_item.holdfast_id, holdfast_item.holdfast_place, '
        'jsonb_populate_record(null::%s, holdfast_item.holdfast_mutation -> ''payload'') as holdfast_value '
        'from unnest($1, $4) with ordinality as holdfast_item (holdfast_mutation, holdfast_id, holdfast_place) offset 0) '
        'as holdfast_given', registered.target);
    given_id := 'holdfast_given.holdfast_id::' || registered.id_type;
    given_workspace := '$3::' || registered.workspace_type;
    made := format('%s as image, %s as row_version',
        case when operation = 'delete' then 'null::json'
            when registered.has_json then 'to_jsonb(holdfast_row.*)::text::json' else 'row_to_json(holdfast_row.*)' end,
        case when operation = 'delete' or registered.version_column is null then 'null::bigint'
            else format('holdfast_row.%I::bigint', registered.version_column) end);
    if operation <> 'create' then
        finds := format('holdfast_row.%I = %s and holdfast_row.%I = %s',
            registered.id_column, given_id, registered.workspace_column, given_workspace);
    end if;
    -- of two edits made apart the later one wins; one that was made on the very row is later than it
    if has_base or has_stamp then
        finds := finds || format(' and (%s or %s)',
            case when has_base then format('holdfast_row.%I = '
                '(holdfast_given.holdfast_mutation -> ''base'' ->> ''rowVersion'')::numeric::bigint', registered.version_column)
                else 'false' end,
            case when has_stamp and not is_patch then format('coalesce(holdfast_row.%I, '''') < %s collate "C"',
                registered.clock_column, stamp) else 'false' end);
    end if;
    if operation = 'create' then
        statement := format(
            'insert into %1$s as holdfast_row (%2$I, %3$I%4$s) select %5$s, %6$s%7$s from %8$s '
            'returning %9$s',
            registered.target, registered.id_column, registered.workspace_column,
            assigned_names, holdfast.noting(notices, given_id), given_workspace, assigned_values, given, made);
    elsif operation = 'update' then
        statement := format(
            'update %1$s as holdfast_row set %2$s from %3$s where %4$s '
            'returning holdfast_given.holdfast_place as place, %5$s',
            registered.target,
            (select string_agg(format('%I = %s', each.name, case each.place when 1
                 then holdfast.noting(notices, format('(holdfast_given.holdfast_value).%I', each.name))
                 else format('(holdfast_given.holdfast_value).%I', each.name) end), ', ')
             from unnest(assigned) with ordinality as each (name, place)),
            given, finds, made);
    else
        statement := format(
            'delete from %1$s as holdfast_row using %2$s where %3$s '
            'returning holdfast_given.holdfast_place as place, %4$s',
            registered.target, given, finds, made);
    end if;
    -- what is inserted is told in the order in which it came
    execute format('with made as (%1$s) select array_agg(made.image%2$s), array_agg(made.row_version%2$s) from made',
        statement, case when operation <> 'create' then ' order by made.place' end)
    using mutations, mutation_ids, holdfast.workspace(), entity_ids,
        case when has_stamp then holdfast.hybrid_time(clock_timestamp() + clock_ahead_max) end
    into results, row_versions;
    -- a row is not there, or is another than the edit was made on, or a trigger of the app's left it out
    if cardinality(results) is distinct from cardinality(mutations) then
        perform holdfast.refuse_stray_row();
    end if;
end
$$;

revoke all on function
    holdfast.run_ends(text[], jsonb[]), holdfast.noting(text[], text),
    holdfast.perform_run(jsonb[], uuid[])
from public;
grant execute on function
    holdfast.run_ends(text[], jsonb[]), holdfast.noting(text[], text),
    holdfast.perform_run(jsonb[], uuid[])
to authenticated;

reset role;
