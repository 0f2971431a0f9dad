-- A foreign key that finds no row is not for good while the row may still be on its way, and an atomic mutation that creates a
-- row which is there says so in words of its own. Needs 0001 to 0006. Running it twice changes nothing.

set role holdfast_owner;

-- Whether what failed is remembered as rejected. While a creation of the same device from before it is not settled, a row
-- that is missing may be the one which that makes: the device waits, and asks again without "awaitsCreation" when it knows.
create or replace function holdfast.is_for_good(mutation jsonb, state text)
returns boolean
language sql
immutable
set search_path = ''
return holdfast.is_permanent(state)
    and not (state = '23503' and coalesce(mutation -> 'awaitsCreation' = 'true', false));

-- As in 0004, and for the members of an atomic mutation too.
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
      and member.value ->> 'operation' = 'create'
      and id_index.name = describe_failure.constraint_name
    limit 1
), holdfast.wire_error(state, message, hint));

-- As in 0005, but that is_for_good decides whether a failure is remembered.
create or replace function holdfast.apply(batch jsonb)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
    -- more than 64 writing subtransactions in one transaction slow the whole server down
    block_count_max constant integer := 50;
    batch_client constant text := batch #>> '{client,id}';
    mutations jsonb[];
    seqs bigint[];
    ids uuid[];
    generations integer[];
    afters bigint[];
    hashes bytea[];
    standings text[];
    outcomes jsonb[];
    after_settled boolean[];
    mutation_count integer;
    results jsonb[];
    row_versions bigint[];
    rebases integer[];
    errors jsonb[];
    performed jsonb;
    -- what the present block found changed by others; such a mutation has no effect and is not settled
    conflicts jsonb[];
    -- of which part of it they are told
    told_from integer;
    told_to integer;
    settled bigint[];
    settled_before bigint[];
    rejected integer[] := '{}';
    -- what the present block has carried out
    members integer[];
    block_count integer := 0;
    -- the block tried is first_place to last_place; nothing beyond bound is tried in this call
    first_place integer := 1;
    last_place integer;
    bound integer;
    -- where the present block failed; null when it failed in the checks at its end
    failing_place integer;
    -- a failure already seen, whose verdict falls once those before it stand
    failed_place integer;
    verdict_place integer;
    is_block_done boolean;
    is_for_good boolean;
    failure jsonb;
    failure_state text;
    failed_state text;
    failure_message text;
    failure_hint text;
    failure_constraint text;
begin
    select coalesce(array_agg(begun.mutation order by begun.place), '{}'), array_agg(begun.seq order by begun.place),
           array_agg(begun.mutation_id order by begun.place), array_agg(begun.generation order by begun.place),
           array_agg(begun.after_seq order by begun.place), array_agg(begun.payload_hash order by begun.place),
           array_agg(begun.standing order by begun.place), array_agg(begun.outcome order by begun.place),
           array_agg(begun.after_settled order by begun.place),
           coalesce(array_agg(begun.seq order by begun.place) filter (where begun.standing = 'known'), '{}')
    into mutations, seqs, ids, generations, afters, hashes, standings, outcomes, after_settled, settled
    from holdfast.begin_batch(batch) as begun;
    mutation_count := cardinality(mutations);
    results := array_fill(null::jsonb, array[mutation_count]);
    errors := results;
    row_versions := array_fill(null::bigint, array[mutation_count]);
    rebases := array(
        select coalesce((each_mutation ->> 'rebases')::numeric::integer, 0) from unnest(mutations) as each_mutation
    );
    bound := mutation_count;
    last_place := bound;
    perform set_config('holdfast.client_id', batch_client, true);

    -- The whole batch in one block. If something fails, those before it in a block of their own, which then stand; then
    -- the verdict about what failed; then the rest in one block again. A failure in the checks at the end of a block
    -- does not say whose it is: half of the block is tried, until one is left.
    while first_place <= bound and block_count < block_count_max loop
        block_count := block_count + 1;
        settled_before := settled;
        members := '{}';
        conflicts := array_fill(null::jsonb, array[mutation_count]);
        verdict_place := null;
        begin
            for place in first_place..last_place loop
                continue when standings[place] <> 'new';
                if not (after_settled[place] or coalesce(afters[place] = any (settled), false)) then
                    continue; -- no outcome is "deferred"
                end if;
                failing_place := place;
                perform set_config('holdfast.mutation_id', ids[place]::text, true);
                performed := holdfast.perform(mutations[place]);
                if performed ? 'conflict' then
                    conflicts[place] := performed -> 'conflict';
                    continue;
                end if;
                results[place] := nullif(performed -> 'result', 'null');
                row_versions[place] := (performed ->> 'rowVersion')::bigint;
                settled := settled || seqs[place];
                members := members || place;
            end loop;
            failing_place := null;
            if cardinality(members) > 0 then
                -- deferred constraints would otherwise fire at commit, where nothing can be answered any more
                set constraints all immediate;
                perform holdfast.record_verdicts(
                    batch_client::uuid, members, seqs, ids, generations, hashes, 'applied', results, null,
                    row_versions, rebases);
            end if;
            is_block_done := true;
        exception
            -- "others" leaves out the first two
            when query_canceled or assert_failure or others then
                get stacked diagnostics
                    failure_state = returned_sqlstate,
                    failure_message = message_text,
                    failure_hint = pg_exception_hint,
                    failure_constraint = constraint_name;
                is_block_done := false;
        end;

        told_from := first_place;
        told_to := 0;
        if is_block_done then
            for place in 1..cardinality(members) loop
                outcomes[members[place]] := jsonb_build_object(
                    'seq', seqs[members[place]], 'id', mutations[members[place]] -> 'id',
                    'kind', 'applied', 'result', results[members[place]])
                    || holdfast.row_version_field(row_versions[members[place]]);
            end loop;
            told_to := last_place;
            first_place := last_place + 1;
            last_place := bound;
            if failed_place is not null then
                verdict_place := failed_place;
            end if;
        else
            settled := settled_before;
            failed_state := failure_state;
            if failing_place is null and cardinality(members) > 1 then
                last_place := members[cardinality(members) / 2];
                failed_place := null;
                -- cancelled while checking: no one's fault, but there is no time for more than this half
                if failure_state = '57014' then
                    bound := last_place;
                end if;
            else
                failed_place := coalesce(failing_place, members[1]);
                failure := holdfast.describe_failure(
                    mutations[failed_place], failure_state, failure_message, failure_hint, failure_constraint);
                if not holdfast.is_permanent(failure_state) then
                    -- class 42 speaks of names; the other messages may quote values, which are never logged
                    raise log 'holdfast: mutation % was refused with % %', ids[failed_place], failure_state,
                        case when left(failure_state, 2) = '42' then failure_message else '' end;
                end if;
                -- the time is up: what stood before it is done once more, what comes after it waits for the next call
                if failure_state = '57014' then
                    bound := failed_place;
                end if;
                if failing_place is not null and cardinality(members) > 0 then
                    last_place := failed_place - 1;
                else
                    verdict_place := failed_place;
                    told_to := failed_place - 1;
                end if;
            end if;
        end if;
        for place in told_from..told_to loop
            continue when conflicts[place] is null;
            outcomes[place] := jsonb_build_object(
                'seq', seqs[place], 'id', mutations[place] -> 'id', 'kind', 'conflict',
                'baseRowVersion', mutations[place] #> '{base,rowVersion}',
                'error', holdfast.wire_error('HF038',
                    case when conflicts[place] -> 'current' = 'null' then 'It was deleted since this edit was made.'
                        else 'It was changed by someone else since this edit was made.' end,
                    'Decide which of the two versions is to stand, or merge them.')) || conflicts[place];
        end loop;

        if verdict_place is not null then
            is_for_good := holdfast.is_for_good(mutations[verdict_place], failed_state);
            if is_for_good then
                errors[verdict_place] := failure;
                rejected := rejected || verdict_place;
                settled := settled || seqs[verdict_place];
            end if;
            outcomes[verdict_place] := jsonb_build_object(
                'seq', seqs[verdict_place], 'id', mutations[verdict_place] -> 'id',
                'kind', case when is_for_good then 'rejected' else 'refused' end,
                'error', failure);
            first_place := verdict_place + 1;
            last_place := bound;
            failed_place := null;
        end if;
    end loop;

    if cardinality(rejected) > 0 then
        perform holdfast.record_verdicts(
            batch_client::uuid, rejected, seqs, ids, generations, hashes, 'rejected', null, errors, row_versions, rebases);
    end if;
    -- what else happens in this transaction is not part of a mutation
    perform set_config('holdfast.mutation_id', '', true), set_config('holdfast.client_id', '', true),
        set_config('holdfast.hybrid_time', '', true);

    return jsonb_build_object(
        'protocol', 1,
        'outcomes', to_jsonb(array(
            select coalesce(
                outcomes[place],
                jsonb_build_object('seq', seqs[place], 'id', mutations[place] -> 'id', 'kind', 'deferred'))
            from generate_series(1, mutation_count) as place
            order by place
        )),
        'serverTime', to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
    );
end
$$;

revoke all on function holdfast.is_for_good(jsonb, text) from public;
grant execute on function holdfast.is_for_good(jsonb, text) to authenticated;

reset role;
