-- A creation that stands for an earlier one ("replaces"), which may have taken effect: where the row is there it changes it.
-- Needs 0001 to 0007. Running it twice changes nothing.

set role holdfast_owner;

-- As in 0005, but for creations made again.
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
        return holdfast.perform_mutation(holdfast.as_change_of_row(mutation));
    end if;
    if mutation ? 'unstorable' then
        perform holdfast.perform_mutation(mutation); -- which says why not
    end if;
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
        performed := holdfast.perform_mutation(mutation || member);
        if performed ? 'conflict' then
            perform holdfast.refuse('ROW_CHANGED', 'A row of these changes was changed by someone else since they were made.',
                'Make them again on the rows as they are now.');
        end if;
        results := results || (performed -> 'result');
    end loop;
    return jsonb_build_object('result', to_jsonb(results), 'rowVersion', null);
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

revoke all on function holdfast.as_change_of_row(jsonb) from public;
grant execute on function holdfast.as_change_of_row(jsonb) to authenticated;

reset role;
