-- Handlers of an app's own: a function in SQL for a type, or code of the server inside the same transaction; and "restore",
-- which brings a deleted row back from the audit log. Needs 0001 to 0012. Running it twice changes nothing.

set role holdfast_owner;

create table if not exists holdfast.handlers (
    type       text         primary key,
    -- (mutation jsonb) returns jsonb, run as the caller
    handler    regprocedure not null,
    created_at timestamptz  not null default now(),
    constraint handlers_type_length check (length(type) between 1 and 200)
);
alter table holdfast.handlers enable row level security;
revoke all on holdfast.handlers from public;
-- effects run as the caller, who must see what handles them; the list holds no one's data
grant select on holdfast.handlers to authenticated;
drop policy if exists handlers_readable on holdfast.handlers;
create policy handlers_readable on holdfast.handlers for select to authenticated using (true);

create or replace function holdfast.register_handler(handled_type text, handler regprocedure)
returns void
language plpgsql
volatile
set search_path = ''
as $$
declare
    declared record;
begin
    select proc.prosecdef as is_definer, proc.prorettype = 'jsonb'::regtype as answers_jsonb,
           proc.prokind = 'f' and not proc.proretset
               and proc.pronargs = 1 and proc.proargtypes[0] = 'jsonb'::regtype as takes_jsonb
    into declared
    from pg_catalog.pg_proc as proc
    where proc.oid = handler;
    if not coalesce(declared.answers_jsonb and declared.takes_jsonb, false) then
        raise exception using errcode = 'HF020', message = format('%s does not take one jsonb and answer one jsonb.', handler),
            hint = 'Declare it as: create function your_schema.your_handler(mutation jsonb) returns jsonb.';
    end if;
    if declared.is_definer then
        raise exception using errcode = 'HF020', message = format('%s runs with the rights of its owner.', handler),
            hint = 'A handler acts as the caller, under row-level security: declare it security invoker. What needs more '
                'rights goes into a function of its own, which the handler calls.';
    end if;
    if handled_type like 'holdfast.%' then
        raise exception using errcode = 'HF020', message = 'Types that begin with "holdfast." belong to Holdfast.',
            hint = 'Use another name for the type.';
    end if;
    insert into holdfast.handlers (type, handler) values (handled_type, register_handler.handler)
    on conflict on constraint handlers_pkey do update set handler = excluded.handler;
end
$$;

comment on function holdfast.register_handler(text, regprocedure) is
    'Lets a function of your own carry out mutations of a type, whatever their operation: it is called with the mutation as the '
    'protocol has it, as the caller and inside the transaction of the batch; what it answers is the result. It refuses with '
    'raise exception, and finding nothing to change is for it to refuse, too. Callers need "execute" on it. Calling this again '
    'changes the registration. For the owner of the function, who must also be a member of holdfast_owner.';

create or replace function holdfast.remove_handler(handled_type text)
returns void
language sql
volatile
set search_path = ''
begin atomic
    delete from holdfast.handlers as registered where registered.type = handled_type;
end;

comment on function holdfast.remove_handler(text) is 'From now on, mutations of this type go to the table handlers again.';

-- As in 0005, but for "restore".
create or replace function holdfast.malformed_reason(mutation jsonb)
returns text
language sql
immutable
return case
    when jsonb_typeof(mutation) is distinct from 'object' then 'is not an object'
    when not holdfast.is_uuid(mutation -> 'id') then 'has no UUID as "id"'
    when not holdfast.is_counter(mutation -> 'seq', 1) then 'has no positive whole number as "seq"'
    when coalesce(jsonb_typeof(mutation -> 'after'), 'null') <> 'null'
        and not holdfast.is_counter(mutation -> 'after', 1) then 'has an "after" that is no sequence number'
    when mutation ? 'generation' and not (
        holdfast.is_counter(mutation -> 'generation', 0) and (mutation -> 'generation')::numeric <= 2147483647
    ) then 'has a "generation" that is no whole number'
    when jsonb_typeof(mutation -> 'type') is distinct from 'string'
        or length(mutation ->> 'type') not between 1 and 200 then 'has no "type"'
    when coalesce(mutation ->> 'operation', '') not in ('create', 'update', 'delete', 'restore', 'custom')
        then 'has no known "operation"'
    when jsonb_typeof(mutation -> 'payload') is distinct from 'object' then 'has no object as "payload"'
    when coalesce(jsonb_typeof(mutation -> 'entity'), 'null') <> 'null' and (
        jsonb_typeof(mutation #> '{entity,table}') is distinct from 'string'
        or jsonb_typeof(mutation #> '{entity,id}') is distinct from 'string'
        or length(mutation #>> '{entity,id}') not between 1 and 200
    ) then 'has an "entity" without "table" and "id"'
    when mutation ? 'base' and not holdfast.is_counter(mutation #> '{base,rowVersion}', 0)
        then 'has a "base" without a whole number as "rowVersion"'
    when mutation ? 'rebases' and not (
        holdfast.is_counter(mutation -> 'rebases', 0) and (mutation -> 'rebases')::numeric <= 2147483647
    ) then 'has "rebases" that are no whole number'
    when mutation ? 'hlc' and (
        jsonb_typeof(mutation -> 'hlc') <> 'string'
        or mutation ->> 'hlc' !~ '^[0-9a-f]{12}-[0-9a-f]{4}-[0-9a-z-]{1,36}$'
    ) then 'has an "hlc" that is no hybrid time'
    when mutation ? 'encoding' and mutation -> 'encoding' not in ('"mergePatch"', '"jsonPatch"')
        then 'has no known "encoding"'
    when mutation ? 'encoding' and not (mutation ? 'base' and mutation ->> 'operation' = 'update')
        then 'has a patch without a "base", or to something else than an update'
end;

create or replace function holdfast.handler_of(handled_type text)
returns regprocedure
language sql
stable
set search_path = ''
return (select registered.handler from holdfast.handlers as registered where registered.type = handled_type);

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
    if mutation ? 'unstorable' then
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

-- One mutation, by whoever handles it.
create or replace function holdfast.perform_one(mutation jsonb)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
    handler constant regprocedure := holdfast.handler_of(mutation ->> 'type');
    result jsonb;
begin
    if handler is not null then
        perform holdfast.refuse_unfit_payload(mutation);
        execute format('select %s($1)', handler::oid::regproc) using mutation into result;
        return jsonb_build_object('result', result, 'rowVersion', null);
    end if;
    if mutation ->> 'operation' = 'restore' then
        return holdfast.restore_row(mutation);
    end if;
    return holdfast.perform_mutation(holdfast.as_change_of_row(mutation));
end
$$;

-- As in 0008, but that perform_one decides who handles it.
create or replace function holdfast.perform(mutation jsonb)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
    member_count_max constant integer := 100;
    members constant jsonb := mutation #> '{payload,members}';
    malformed text;
    member jsonb;
    performed jsonb;
    results jsonb[] := '{}';
begin
    if mutation ->> 'type' <> 'holdfast.atomic' then
        return holdfast.perform_one(mutation);
    end if;
    perform holdfast.refuse_unfit_payload(mutation);
    if jsonb_typeof(members) is distinct from 'array' or jsonb_array_length(members) not between 1 and member_count_max then
        perform holdfast.refuse('INVALID_PAYLOAD',
            format('An atomic mutation has 1 to %s members.', member_count_max), 'Use addAtomic of the client.');
    end if;
    -- id and number are those of the whole
    select format('Member %s %s.', item.place, holdfast.malformed_reason(mutation || item.value)) into malformed
    from jsonb_array_elements(members) with ordinality as item (value, place)
    where jsonb_typeof(item.value) <> 'object' or item.value ->> 'type' = 'holdfast.atomic'
       or holdfast.malformed_reason(mutation || item.value) is not null
    limit 1;
    if malformed is not null then
        perform holdfast.refuse('INVALID_PAYLOAD', malformed, 'Use addAtomic of the client.');
    end if;
    for member in select item.value from jsonb_array_elements(members) with ordinality as item (value, place) order by item.place
    loop
        performed := holdfast.perform_one(mutation || member);
        if performed ? 'conflict' then
            perform holdfast.refuse('ROW_CHANGED', 'A row of these changes was changed by someone else since they were made.',
                'Make them again on the rows as they are now.');
        end if;
        results := results || (performed -> 'result');
    end loop;
    return jsonb_build_object('result', to_jsonb(results), 'rowVersion', null);
end
$$;

-- As in 0007, and for a row that is brought back while it is there.
create or replace function holdfast.describe_failure(
    mutation jsonb, state text, message text, hint text, constraint_name text
)
returns jsonb
language sql
stable
set search_path = ''
return coalesce((
    select holdfast.wire_error('HF035',
        format('A "%s" with this id is already there.', left(known.entity_type, 100)),
        'Update the existing one, or create it under a new id.')
    from jsonb_array_elements(case
        when mutation ->> 'type' <> 'holdfast.atomic' then jsonb_build_array(mutation)
        when jsonb_typeof(mutation #> '{payload,members}') = 'array' then mutation #> '{payload,members}'
        else '[]'
    end) as member (value)
    join holdfast.registered_tables as known on known.entity_type = member.value #>> '{entity,table}'
    cross join lateral holdfast.id_indexes(known.target, known.id_column, known.workspace_column) as id_index (name)
    where state = '23505'
      and member.value ->> 'operation' in ('create', 'restore')
      and id_index.name = describe_failure.constraint_name
    limit 1
), holdfast.wire_error(state, message, hint));

-- For code of the server that handles a mutation between two statements of one transaction. Each takes a batch of that one
-- mutation, as the caller:
--
--   begin_handler ──null──▶ savepoint, the effect ──▶ finish_handler          ──▶ outcome, recorded
--     └─outcome (settled before, or not its turn)     └─error, rolled back ──▶ fail_handler ──▶ outcome
create or replace function holdfast.begin_handler(batch jsonb)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
    begun record;
begin
    if jsonb_array_length(batch -> 'mutations') <> 1 then
        perform holdfast.refuse('INVALID_REQUEST', 'A handler is begun for one mutation.', 'Begin it for each alone.');
    end if;
    select * into begun from holdfast.begin_batch(batch);
    if begun.standing = 'known' then
        return begun.outcome;
    end if;
    if begun.standing <> 'new' or not begun.after_settled then
        return jsonb_build_object('seq', begun.seq, 'id', begun.mutation -> 'id', 'kind', 'deferred');
    end if;
    perform set_config('holdfast.client_id', batch #>> '{client,id}', true),
        set_config('holdfast.mutation_id', begun.mutation_id::text, true);
    return null;
end
$$;

comment on function holdfast.begin_handler(jsonb) is
    'Whether a mutation is to be carried out now, by code of the server in this transaction: null when it is, else its outcome. '
    'What is written from here on belongs to it, until finish_handler or fail_handler.';

create or replace function holdfast.record_handled(
    batch jsonb, verdict text, result jsonb, error jsonb, row_version bigint
)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
    mutation constant jsonb := batch #> '{mutations,0}';
begin
    perform holdfast.record_verdicts(
        (batch #>> '{client,id}')::uuid, array[1], array[(mutation ->> 'seq')::numeric::bigint],
        array[(mutation ->> 'id')::uuid], array[coalesce((mutation ->> 'generation')::numeric::integer, 0)],
        array[holdfast.payload_hash(mutation)], verdict, array[result], array[error], array[row_version],
        array[coalesce((mutation ->> 'rebases')::numeric::integer, 0)]);
end
$$;

create or replace function holdfast.finish_handler(batch jsonb, result jsonb default null, row_version bigint default null)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
    mutation constant jsonb := batch #> '{mutations,0}';
begin
    set constraints all immediate;
    perform holdfast.record_handled(batch, 'applied', nullif(result, 'null'), null, row_version);
    perform set_config('holdfast.mutation_id', '', true), set_config('holdfast.client_id', '', true);
    return jsonb_build_object('seq', mutation -> 'seq', 'id', mutation -> 'id', 'kind', 'applied', 'result', result)
        || holdfast.row_version_field(row_version);
end
$$;

comment on function holdfast.finish_handler(jsonb, jsonb, bigint) is
    'Records that the mutation was carried out, in the transaction of its effect, and answers its outcome. Deferred constraints '
    'are checked first, so what they say can still be answered.';

create or replace function holdfast.fail_handler(
    batch jsonb, state text, message text, hint text default null, constraint_name text default null
)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
    mutation constant jsonb := batch #> '{mutations,0}';
    failure constant jsonb := holdfast.describe_failure(
        mutation, state, message, coalesce(hint, ''), coalesce(constraint_name, ''));
    is_for_good constant boolean := holdfast.is_for_good(mutation, state);
begin
    if is_for_good then
        perform holdfast.record_handled(batch, 'rejected', null, failure, null);
    end if;
    perform set_config('holdfast.mutation_id', '', true), set_config('holdfast.client_id', '', true);
    return jsonb_build_object('seq', mutation -> 'seq', 'id', mutation -> 'id',
        'kind', case when is_for_good then 'rejected' else 'refused' end, 'error', failure);
end
$$;

comment on function holdfast.fail_handler(jsonb, text, text, text, text) is
    'After the effect was rolled back: records the refusal if the SQLSTATE says that it can never succeed, and answers the '
    'outcome. Every other failure is one that may pass.';

revoke all on function
    holdfast.register_handler(text, regprocedure), holdfast.remove_handler(text), holdfast.handler_of(text),
    holdfast.refuse_unfit_payload(jsonb), holdfast.restore_row(jsonb), holdfast.perform_one(jsonb),
    holdfast.begin_handler(jsonb), holdfast.record_handled(jsonb, text, jsonb, jsonb, bigint),
    holdfast.finish_handler(jsonb, jsonb, bigint), holdfast.fail_handler(jsonb, text, text, text, text)
from public;
grant execute on function
    holdfast.payload_hash(jsonb), holdfast.handler_of(text), holdfast.refuse_unfit_payload(jsonb),
    holdfast.restore_row(jsonb), holdfast.perform_one(jsonb), holdfast.begin_handler(jsonb),
    holdfast.record_handled(jsonb, text, jsonb, jsonb, bigint), holdfast.finish_handler(jsonb, jsonb, bigint),
    holdfast.fail_handler(jsonb, text, text, text, text)
to authenticated;

reset role;
