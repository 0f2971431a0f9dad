-- Who carries out a mutation: a function of the app's own for its type, or the table handlers; and several that stand or fall
-- together. Needs 0003, 0008 and 0009. Running it twice changes nothing.

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

create or replace function holdfast.handler_of(handled_type text)
returns regprocedure
language sql
stable
set search_path = ''
return (select registered.handler from holdfast.handlers as registered where registered.type = handled_type);

-- One mutation, by whoever handles it. What is only asked about ("outdated") has had no effect where it is not known, and will have none.
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
    if mutation -> 'outdated' = 'true' then
        perform holdfast.refuse('OUTDATED', 'An earlier version of the app has stored it, and this one cannot migrate it.',
            'Let a version of the app that can retry it, or edit it, or discard it.');
    end if;
    if handler is not null then
        perform holdfast.refuse_unfit_payload(mutation);
        -- it was not when it was registered, but its owner may have changed it since
        if (select proc.prosecdef from pg_catalog.pg_proc as proc where proc.oid = handler) then
            perform holdfast.refuse('NO_HANDLER',
                format('What handles the type "%s" runs with the rights of its owner.', left(mutation ->> 'type', 100)),
                'Declare it security invoker again.');
        end if;
        execute format('select %s($1)', handler::oid::regproc) using mutation into result;
        return jsonb_build_object('result', result, 'rowVersion', null);
    end if;
    if mutation ->> 'operation' = 'restore' then
        return holdfast.restore_row(mutation);
    end if;
    return holdfast.perform_mutation(holdfast.as_change_of_row(mutation));
end
$$;

-- Carries out one mutation as the caller, or the members of an atomic one: a member that fails takes the others with it,
-- since all of them stand or fall in the block that apply has begun; and one in conflict fails, since nobody could decide
-- about it alone. Answers as perform_mutation does.
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

-- What the members of an atomic mutation left of their rows, by its result, which has one for each: [{table, id, rowVersion}], null for
-- a member that is not about a row.
create or replace function holdfast.member_rows(mutation jsonb, result jsonb)
returns jsonb
language sql
stable
set search_path = ''
return (
    select jsonb_agg(case
        when jsonb_typeof(member.value -> 'entity') = 'object' and holdfast.handler_of(member.value ->> 'type') is null then
            jsonb_build_object(
                'table', member.value #> '{entity,table}', 'id', member.value #> '{entity,id}',
                'rowVersion', left_behind.value -> registered.version_column::text)
        end order by member.place)
    from jsonb_array_elements(mutation #> '{payload,members}') with ordinality as member (value, place)
    left join jsonb_array_elements(result) with ordinality as left_behind (value, place) on left_behind.place = member.place
    left join holdfast.registered_tables as registered on registered.entity_type = member.value #>> '{entity,table}'
);

revoke all on function
    holdfast.register_handler(text, regprocedure), holdfast.remove_handler(text), holdfast.handler_of(text),
    holdfast.perform_one(jsonb), holdfast.perform(jsonb), holdfast.member_rows(jsonb, jsonb)
from public;
grant execute on function
    holdfast.handler_of(text), holdfast.perform_one(jsonb), holdfast.perform(jsonb), holdfast.member_rows(jsonb, jsonb)
to authenticated;

reset role;
