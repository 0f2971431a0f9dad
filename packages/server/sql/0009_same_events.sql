-- Two devices tell of one event by clocks and stopwatches of their own: within a tolerance it is the same one, and one row.
-- Needs 0006 and 0008. Running it twice changes nothing.

set role holdfast_owner;

create table if not exists holdfast.near_events (
    target    regclass primary key,
    -- columns in which the same event is the same; never empty
    event_key text[]   not null,
    -- by column: how far apart it may be, an interval for times and a number for numbers
    near      jsonb    not null,
    constraint near_events_key_not_empty check (cardinality(event_key) > 0),
    constraint near_events_near_not_empty check (jsonb_typeof(near) = 'object' and near <> '{}')
);

alter table holdfast.near_events enable row level security;
revoke all on holdfast.near_events from public;
-- effects run as the caller, who must see what is compared; the list holds no one's data
grant select on holdfast.near_events to authenticated;
drop policy if exists near_events_readable on holdfast.near_events;
create policy near_events_readable on holdfast.near_events for select to authenticated using (true);

create or replace function holdfast.register_near_events(target regclass, event_key text[], near jsonb)
returns void
language plpgsql
volatile
set search_path = ''
as $$
declare
    registered holdfast.registered_tables%rowtype;
    part record;
    is_fit boolean;
begin
    if near is null then
        delete from holdfast.near_events as known where known.target = register_near_events.target;
        return;
    end if;
    select * into registered from holdfast.registered_tables as known where known.target = register_near_events.target;
    if registered.target is null then
        raise exception using errcode = 'HF020', message = format('%s is not registered.', target),
            hint = 'Call register_table for it first.';
    end if;
    if coalesce(cardinality(event_key), 0) = 0 or jsonb_typeof(near) <> 'object' or near = '{}' then
        raise exception using errcode = 'HF020',
            message = format('What makes two rows of %s the same event is not said.', target),
            hint = 'Name at least one column that is equal, and one that is near: '
                   'event_key => array[''line_id''], near => ''{"started_at": "1 second"}''.';
    end if;
    for part in
        select name, null::jsonb as tolerance from unnest(event_key) as exact (name)
        union all
        select key, value from jsonb_each(near)
    loop
        if part.name <> all (registered.columns) then
            raise exception using errcode = 'HF033',
                message = format('%s has no column %I that a payload may set.', target, part.name),
                hint = 'Compare registered columns only.';
        end if;
        if part.tolerance is null then
            continue;
        end if;
        -- what no tolerance can be made of is not registered either
        begin
            is_fit := case jsonb_typeof(part.tolerance)
                when 'string' then holdfast.is_column_of(target, part.name, array['timestamptz', 'timestamp', 'time', 'interval'])
                    and (part.tolerance #>> '{}')::interval >= interval '0'
                when 'number' then
                    holdfast.is_column_of(target, part.name, array['int2', 'int4', 'int8', 'numeric', 'float4', 'float8'])
                    and (part.tolerance #>> '{}')::numeric >= 0
                else false
            end;
        exception when data_exception then
            is_fit := false;
        end;
        if not is_fit then
            raise exception using errcode = 'HF020',
                message = format('%s is no tolerance for the column %I of %s.', part.tolerance, part.name, target),
                hint = 'Give a text such as "1 second" for a time, and a number for a number; neither below zero.';
        end if;
    end loop;
    insert into holdfast.near_events as known (target, event_key, near)
    values (register_near_events.target, register_near_events.event_key, register_near_events.near)
    on conflict on constraint near_events_pkey do update set event_key = excluded.event_key, near = excluded.near;
end
$$;

comment on function holdfast.register_near_events(regclass, text[], jsonb) is
    'Rows of a registered table that are equal in the columns of event_key, and as near as `near` says in its columns, are the '
    'same event: the first one stands for all. Null as `near` ends that. For the owner of the table, who must also be a member '
    'of holdfast_owner. Wants an index on the workspace, the key and the first of the near columns.';

-- What a creation tells of, as a row that is there already; null when it is news. Of several the earliest; one that was dropped
-- for it is not there, so tolerances do not add up. Who looks is alone until the end of the transaction: another device that
-- tells of the same at the same time waits, and finds it.
create or replace function holdfast.same_event(mutation jsonb)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
    registered holdfast.registered_tables%rowtype;
    known holdfast.near_events%rowtype;
    row_result jsonb;
begin
    if mutation ->> 'operation' <> 'create' or mutation ? 'unstorable' then
        return null;
    end if;
    select tolerant.* into known
    from holdfast.near_events as tolerant
    join holdfast.registered_tables as named on named.target = tolerant.target
    where named.entity_type = mutation #>> '{entity,table}';
    if known.target is null then
        return null;
    end if;
    select * into registered from holdfast.registered_tables as each where each.target = known.target;
    perform pg_catalog.pg_advisory_xact_lock(
        pg_catalog.hashtextextended(format('holdfast event %s %s', registered.entity_type, holdfast.workspace()), 0));
    execute format(
        'select to_jsonb(holdfast_row.*) from %1$s as holdfast_row, '
        'jsonb_populate_record(null::%1$s, $1) as holdfast_value '
        'where holdfast_row.%2$I = holdfast_value.%2$I and holdfast_row.%3$I <> holdfast_value.%3$I%4$s%5$s '
        'order by %6$s, holdfast_row.%3$I limit 1',
        registered.target, registered.workspace_column, registered.id_column,
        (select string_agg(format(' and holdfast_row.%1$I = holdfast_value.%1$I', name), '')
         from unnest(known.event_key) as exact (name)),
        (select string_agg(format(
             ' and holdfast_row.%1$I between holdfast_value.%1$I - %2$L::%3$s and holdfast_value.%1$I + %2$L::%3$s',
             key, value #>> '{}', case jsonb_typeof(value) when 'string' then 'interval' else 'numeric' end), '')
         from jsonb_each(known.near)),
        (select string_agg(format('holdfast_row.%I', key), ', ' order by jsonb_typeof(value) desc, key)
         from jsonb_each(known.near)))
    using (mutation -> 'payload') || jsonb_build_object(
        registered.id_column, mutation #>> '{entity,id}', registered.workspace_column, holdfast.workspace())
    into row_result;
    if row_result is null then
        return null;
    end if;
    return jsonb_build_object('result', row_result, 'rowVersion', row_result -> registered.version_column);
end
$$;

-- One mutation, by the table handlers: an event that is there already, else the change.
create or replace function holdfast.perform_mutation(mutation jsonb)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
    return coalesce(holdfast.same_event(mutation), holdfast.perform_change(mutation));
end
$$;

revoke all on function
    holdfast.register_near_events(regclass, text[], jsonb), holdfast.same_event(jsonb), holdfast.perform_mutation(jsonb)
from public;
grant execute on function
    holdfast.same_event(jsonb), holdfast.perform_mutation(jsonb)
to authenticated;

reset role;
