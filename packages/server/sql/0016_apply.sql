-- holdfast.apply(batch): ledger row, effect and audit row of each mutation in one transaction.
-- Needs 0001 to 0015, and at work 0018. Running it twice changes nothing.
--
--   apply ── runs as the caller, so that effects stay under the app's own policies
--     ├─ take_batch        (as owner) locks the client, raises its floor, says what is already known of each mutation
--     ├─ perform_run       (as the caller) the effects of mutations that are alike; triggers write the audit rows
--     ├─ perform           (as the caller) the effect of one, or those of an atomic mutation
--     ├─ record_verdicts   (as owner) ledger rows, only for the client that this very transaction has locked
--     └─ take_notes        (as owner) what operators read, where there is something to note
--
-- A caller may call the helpers directly: all that can be forged with them are promises about its own mutations.

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

-- What to answer about a mutation whose effect failed. A creation (also one in an atomic mutation, or one that brings a row back) that
-- met its own id says so in words of its own, and so does an id that was taken between the look at the ledger and the row in it.
create or replace function holdfast.describe_failure(
    mutation jsonb, state text, message text, hint text, constraint_name text
)
returns jsonb
language sql
stable
set search_path = ''
return coalesce((
    select holdfast.wire_error('HF036', 'This id was used by another change.', 'Make the change again under a new id.')
    where state = '23505'
      and describe_failure.constraint_name in ('holdfast_ledger_number_once', 'holdfast_ledger_mutation_once')
), (
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

-- Deferred constraints are checked at the end of each block, by "set constraints all immediate", which holds for the rest of the
-- transaction. What comes after has to find them as they were declared: deferred where initially so, and immediate elsewhere.
create or replace function holdfast.defer_again()
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
    named text;
begin
    set constraints all deferred;
    -- named by schema, which the caller must be able to use; whatever is hidden from it is checked at the end of the block
    select string_agg(format('%I.%I', named_by.nspname, declared.conname), ', ') into named
    from pg_catalog.pg_constraint as declared
    join pg_catalog.pg_namespace as named_by on named_by.oid = declared.connamespace
    where declared.condeferrable and not declared.condeferred
      and pg_catalog.has_schema_privilege(named_by.oid, 'usage');
    if named is not null then
        execute 'set constraints ' || named || ' immediate';
    end if;
    perform set_config('holdfast.constraints', '', true);
end
$$;

-- Deferred checks go by the order in which things were done, so marks among them tell how far a check came before it failed. That is kept
-- by a sequence, which no rollback takes back, and which each session reads for itself.
create unlogged sequence if not exists holdfast.check_place minvalue 0;

create unlogged table if not exists holdfast.check_marks (
    mark_id bigint  generated always as identity primary key,
    place   integer not null
);
alter table holdfast.check_marks enable row level security;
revoke all on holdfast.check_marks, holdfast.check_place from public;

-- Security definer: before Postgres 18 what was deferred runs as whoever has it checked, who has a right on neither.
create or replace function holdfast.pass_mark()
returns trigger
language plpgsql
volatile
security definer
set search_path = ''
as $$
begin
    perform setval('holdfast.check_place', new.place);
    delete from holdfast.check_marks as mark where mark.mark_id = new.mark_id;
    return null;
end
$$;

do $each$
begin
    if not exists (select from pg_catalog.pg_trigger as mine
        where mine.tgrelid = 'holdfast.check_marks'::regclass and mine.tgname = 'pass_mark') then
        create constraint trigger pass_mark after insert on holdfast.check_marks deferrable initially deferred
            for each row execute function holdfast.pass_mark();
    end if;
end
$each$;

-- Security definer: nobody has a right on the table, of which no row stays. What a caller can forge is what they are told themselves.
create or replace function holdfast.mark_check(at_place integer)
returns void
language sql
volatile
security definer
set search_path = ''
begin atomic
    select setval('holdfast.check_place', 0) where at_place = 0;
    insert into holdfast.check_marks (place) select at_place where at_place > 0;
end;

-- Security definer: nobody has a right on the sequence. The last mark that the last check of this session has passed.
create or replace function holdfast.passed_mark()
returns integer
language sql
volatile
security definer
set search_path = ''
return currval('holdfast.check_place')::integer;

-- How many blocks a call may make: fewer where the door makes several calls for one request.
create or replace function holdfast.blocks_left(batch jsonb)
returns integer
language sql
immutable
set search_path = ''
return case when holdfast.is_counter(batch -> 'blocksLeft', 0) then least((batch ->> 'blocksLeft')::numeric, 50)::integer else 50 end;

-- In blocks, runs in one statement each. Where that fails, all go one by one in what is left of this call, which tells whose failure it
-- was. "taken" is what take_batch answered; where "was_tried", it was one run that failed in a block already, and "is_late" says that
-- it ran out of time.
create or replace function holdfast.apply_in_blocks(
    batch jsonb, taken record, was_tried boolean, is_late boolean,
    out told text, out is_noteworthy boolean, out block_count integer
)
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
    -- more than 64 writing subtransactions in one transaction slow the whole server down
    block_count_max constant integer := holdfast.blocks_left(batch);
    batch_client constant text := batch #>> '{client,id}';
    -- the last place of the run that each begins or belongs to
    run_ends integer[];
    outcomes jsonb[];
    mutation_count integer;
    results json[];
    row_versions bigint[];
    errors jsonb[];
    performed jsonb;
    -- what the present block found changed by others; such a mutation has no effect and is not settled
    conflicts jsonb[];
    place integer;
    -- of which part of it they are told
    told_from integer;
    told_to integer;
    settled bigint[];
    settled_before bigint[];
    applied integer[] := '{}';
    rejected integer[] := '{}';
    -- what the present block has carried out
    members integer[];
    -- the block tried is first_place to last_place; nothing beyond bound is tried in this call
    first_place integer := 1;
    last_place integer;
    bound integer;
    -- where the present block failed; null when it failed in the checks at its end
    failing_place integer;
    -- a failure already seen, whose verdict falls once those before it stand
    failed_place integer;
    verdict_place integer;
    verdict_places integer[];
    is_block_done boolean;
    is_for_good boolean;
    failure_state text;
    -- of what failed, by place
    failed_states text[];
    failures jsonb[];
    failure_message text;
    failure_hint text;
    failure_constraint text;
    -- more of the device comes in a later call
    goes_on constant boolean := coalesce(batch -> 'goesOn' = 'true', false)
        or (holdfast.is_counter(batch #> '{client,unsentCount}', 1));
    -- the deferred constraints of the present block are being checked: what it lacks may come later
    is_checking boolean;
    -- and of the batch nothing is left, nor comes in a later call, that could make it good
    is_all_there boolean;
    -- At fault, or failed behind something that cannot stand without what comes later: left out of the block, and told when that stands.
    passed_over integer[] := '{}';
    -- a check has failed: each mutation leaves a mark in the next one, which tells whose fault it was
    is_marking boolean := false;
    culprit integer;
    is_together boolean := not was_tried;
    -- the end of the present group; null between groups
    group_end integer;
    done_together integer;
    performed_together record;
begin
    block_count := 0;
    outcomes := taken.outcomes;
    mutation_count := cardinality(taken.mutations);
    settled := '{}';
    if 'known' = any (taken.standings) then
        settled := array(
            select each_one.seq from unnest(taken.seqs, taken.standings) as each_one (seq, standing)
            where each_one.standing = 'known');
    end if;
    results := array_fill(null::json, array[mutation_count]);
    errors := array_fill(null::jsonb, array[mutation_count]);
    failures := errors;
    failed_states := array_fill(null::text, array[mutation_count]);
    row_versions := array_fill(null::bigint, array[mutation_count]);
    run_ends := case when taken.is_one_run then array_fill(mutation_count, array[mutation_count])
        else holdfast.run_ends(taken.shapes, taken.mutations) end;
    bound := mutation_count;
    last_place := bound;
    -- The time is up, and nothing limits what this call does from now on: it ends, and in the next one each goes alone.
    if is_late then
        perform holdfast.go_alone(batch_client::uuid);
        bound := 0;
    end if;
    perform set_config('holdfast.client_id', batch_client, true);

    -- The whole batch in one block. If something fails, those before it in a block of their own, which then stand; then
    -- the verdict about what failed; then the rest in one block again. A failure in the checks at the end of a block
    -- does not say whose it is: half of the block is tried, until one is left.
    while first_place <= bound and block_count < block_count_max loop
        block_count := block_count + 1;
        settled_before := settled;
        members := '{}';
        conflicts := '{}';
        done_together := 0;
        is_checking := false;
        if is_marking then
            perform holdfast.mark_check(0);
        end if;
        if current_setting('holdfast.constraints', true) = 'immediate' then
            perform holdfast.defer_again();
        end if;
        begin
            place := first_place - 1;
            loop
                place := greatest(place, done_together) + 1;
                exit when place > last_place;
                if place = any (passed_over) then
                    if holdfast.is_for_good(taken.mutations[place], failed_states[place]) then
                        settled := settled || taken.seqs[place];
                    end if;
                    continue;
                end if;
                continue when taken.standings[place] <> 'new';
                if not (taken.after_settled[place] or coalesce(taken.after_seqs[place] = any (settled), false)) then
                    continue; -- no outcome is "deferred"
                end if;
                failing_place := place;
                if is_together and place < last_place and run_ends[place] > place then
                    group_end := least(run_ends[place], last_place);
                    -- as far as what each comes after is settled by now, or by then
                    if false = any (taken.after_settled) then
                        select coalesce(place + min(other.index)::integer - 2, group_end) into group_end
                        from unnest(taken.after_settled[place:group_end], taken.after_seqs[place:group_end]) with ordinality
                            as other (after_settled, after_seq, index)
                        where other.index > 1 and not (other.after_settled or coalesce(
                            other.after_seq = any (settled || taken.seqs[place:place + other.index::integer - 2]), false));
                    end if;
                    if group_end > place then
                        performed_together := holdfast.perform_run(
                            taken.mutations[place:group_end], taken.mutation_ids[place:group_end]);
                        if performed_together.results is not null then
                            results[place:group_end] := performed_together.results;
                            row_versions[place:group_end] := performed_together.row_versions;
                            settled := settled || taken.seqs[place:group_end];
                            members := members || array(select generate_series(place, group_end));
                            done_together := group_end;
                        end if;
                    end if;
                    group_end := null;
                    continue when place <= done_together;
                end if;
                perform set_config('holdfast.mutation_id', taken.mutation_ids[place]::text, true),
                    set_config('holdfast.mutation_ids', '', true);
                performed := holdfast.perform(taken.mutations[place]);
                if performed ? 'conflict' then
                    conflicts[place] := performed -> 'conflict';
                    continue;
                end if;
                results[place] := nullif(performed -> 'result', 'null');
                row_versions[place] := (performed ->> 'rowVersion')::bigint;
                settled := settled || taken.seqs[place];
                members := members || place;
                if is_marking then
                    perform holdfast.mark_check(place);
                end if;
            end loop;
            failing_place := null;
            if cardinality(members) > 0 then
                -- deferred constraints would otherwise fire at commit, where nothing can be answered any more
                is_checking := true;
                set constraints all immediate;
                is_checking := false;
                perform set_config('holdfast.constraints', 'immediate', true);
                perform holdfast.record_verdicts(
                    batch_client::uuid, members, taken.seqs, taken.mutation_ids, taken.generations, taken.payload_hashes,
                    'applied', results, null, row_versions, taken.rebases);
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
        verdict_places := '{}';
        if is_block_done then
            applied := applied || members;
            told_to := last_place;
            -- what was passed over beyond it is tried again
            verdict_places := array(
                select passed.place from unnest(passed_over) as passed (place) where passed.place <= last_place) || failed_place;
            first_place := last_place + 1;
        else
            settled := settled_before;
            is_checking := is_checking and holdfast.is_permanent(failure_state);
            is_all_there := is_checking and last_place = mutation_count and not goes_on and not exists (
                select from unnest(taken.standings) with ordinality as each_one (standing, place)
                where each_one.standing = 'new' and each_one.place <> all (applied || rejected || members)
                  and not (each_one.place = any (passed_over)
                      and holdfast.is_for_good(taken.mutations[each_one.place], failed_states[each_one.place])));
            if group_end is not null then
                group_end := null;
                is_together := false;
                -- rolled back, so it is none of those that the server has to keep in mind; and it happens once in a call
                block_count := block_count - 1;
                -- as above
                if failure_state = '57014' then
                    perform holdfast.go_alone(batch_client::uuid);
                    bound := first_place - 1;
                end if;
            elsif is_checking and failed_place is not null then
                -- what it lacks may come after the one that failed
                passed_over := passed_over || failed_place;
                failed_place := null;
                last_place := bound;
                is_together := false;
            elsif is_checking and not is_marking then
                is_marking := true;
                is_together := false;
                block_count := block_count - 1;
            elsif is_checking and is_marking and holdfast.passed_mark() < members[cardinality(members)] then
                select min(made.place) into culprit from unnest(members) as made (place) where made.place > holdfast.passed_mark();
                failures[culprit] := holdfast.describe_failure(
                    taken.mutations[culprit], failure_state, failure_message, failure_hint, failure_constraint);
                failed_states[culprit] := case when is_all_there then failure_state else '' end; -- what is none is not for good
                if culprit = members[1] then
                    verdict_places := array(
                        select passed.place from unnest(passed_over) as passed (place) where passed.place < culprit) || culprit;
                    told_to := culprit - 1;
                    first_place := culprit + 1;
                else
                    passed_over := passed_over || culprit;
                end if;
            elsif failing_place is null and cardinality(members) > 1 then
                -- also where a trigger did in the check what then failed: that is no one's, so fewer are tried
                last_place := members[cardinality(members) / 2];
                failed_place := null;
                -- cancelled while checking: no one's fault, but there is no time for more than this half
                if failure_state = '57014' then
                    bound := last_place;
                end if;
            else
                failed_place := coalesce(failing_place, members[1]);
                if holdfast.is_permanent(failure_state) and holdfast.is_settled_meanwhile(taken.mutation_ids[failed_place]) then
                    failure_state := '40001';
                end if;
                failures[failed_place] := holdfast.describe_failure(
                    taken.mutations[failed_place], failure_state, failure_message, failure_hint, failure_constraint);
                failed_states[failed_place] := case when is_checking and not is_all_there then '' else failure_state end;
                if not holdfast.is_permanent(failure_state) then
                    -- class 42 speaks of names; the other messages may quote values, which are never logged
                    raise log 'holdfast: mutation % was refused with % %', taken.mutation_ids[failed_place], failure_state,
                        case when left(failure_state, 2) = '42' then failure_message else '' end;
                end if;
                -- the time is up: what stood before it is done once more, what comes after it waits for the next call
                if failure_state = '57014' then
                    bound := failed_place;
                end if;
                if failing_place is not null and cardinality(members) > 0 then
                    last_place := failed_place - 1;
                else
                    verdict_places := array(
                        select passed.place from unnest(passed_over) as passed (place) where passed.place < failed_place)
                        || failed_place;
                    told_to := failed_place - 1;
                    first_place := failed_place + 1;
                end if;
            end if;
        end if;
        for place in told_from..least(told_to, array_upper(conflicts, 1)) loop
            continue when conflicts[place] is null;
            is_noteworthy := true;
            outcomes[place] := jsonb_build_object(
                'seq', taken.seqs[place], 'id', taken.mutations[place] -> 'id', 'kind', 'conflict',
                'baseRowVersion', taken.mutations[place] #> '{base,rowVersion}',
                'error', holdfast.wire_error('HF038',
                    case when conflicts[place] -> 'current' = 'null' then 'It was deleted since this edit was made.'
                        else 'It was changed by someone else since this edit was made.' end,
                    'Decide which of the two versions is to stand, or merge them.')) || conflicts[place];
        end loop;

        foreach verdict_place in array verdict_places loop
            continue when verdict_place is null;
            is_for_good := holdfast.is_for_good(taken.mutations[verdict_place], failed_states[verdict_place]);
            if is_for_good then
                errors[verdict_place] := failures[verdict_place];
                rejected := rejected || verdict_place;
                settled := settled || taken.seqs[verdict_place];
            end if;
            is_noteworthy := true;
            outcomes[verdict_place] := jsonb_build_object(
                'seq', taken.seqs[verdict_place], 'id', taken.mutations[verdict_place] -> 'id',
                'kind', case when is_for_good then 'rejected' else 'refused' end,
                'error', failures[verdict_place]);
        end loop;
        if is_block_done or cardinality(verdict_places) > 0 then
            first_place := greatest(first_place, coalesce(failed_place, 0) + 1);
            last_place := bound;
            failed_place := null;
            passed_over := '{}';
        end if;
    end loop;

    -- more was found at fault than one call can sort out: told, so that it does not stop the others for ever
    foreach culprit in array passed_over loop
        outcomes[culprit] := jsonb_build_object(
            'seq', taken.seqs[culprit], 'id', taken.mutations[culprit] -> 'id', 'kind', 'refused', 'error', failures[culprit]);
    end loop;

    if cardinality(rejected) > 0 then
        perform holdfast.record_verdicts(
            batch_client::uuid, rejected, taken.seqs, taken.mutation_ids, taken.generations, taken.payload_hashes,
            'rejected', null, errors, row_versions, taken.rebases);
    end if;
    is_noteworthy := coalesce(is_noteworthy, false)
        or batch @? '$.mutations[*] ? (exists(@.source) || @.attempt > 1 || @.generation > 0)'
        or ('known' = any (taken.standings) and exists (
            select from unnest(outcomes) as known (outcome) where known.outcome ->> 'kind' = 'rejected'));
    told := concat('[', (
        select string_agg(case
            when each_one.place = any (applied) then concat(
                '{"seq": ', each_one.seq, ', "id": ', each_one.mutation -> 'id', ', "kind": "applied", "result": ',
                coalesce(each_one.result, 'null'), ', "rowVersion": ' || each_one.row_version,
                case when each_one.mutation ->> 'type' = 'holdfast.atomic'
                    then ', "memberRows": ' || holdfast.member_rows(each_one.mutation, each_one.result::jsonb)::text end, '}')
            when each_one.outcome is not null then each_one.outcome::text
            else concat('{"seq": ', each_one.seq, ', "id": ', each_one.mutation -> 'id', ', "kind": "deferred"}')
        end, ', ' order by each_one.place)
        from unnest(taken.mutations, taken.seqs, results, row_versions, outcomes) with ordinality
            as each_one (mutation, seq, result, row_version, outcome, place)
    ), ']');
end
$$;

-- Most batches are one run that takes effect as a whole: in one block, and by as few statements as can be, since each of them costs
-- as much as some rows do. What is not, or fails, goes the careful way. "told" are the outcomes, as text that nobody has to read;
-- noteworthy is a batch in which something was not simply applied at once, or of which it is said where it was made.
create or replace function holdfast.apply_mutations(
    batch jsonb, out told text, out is_noteworthy boolean, out block_count integer
)
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
    batch_client constant text := batch #>> '{client,id}';
    -- assigned whole, as the others: selecting them into variables takes the executor
    taken record;
    made record;
    in_blocks record;
    was_tried boolean := false;
    is_late boolean := false;
begin
    taken := holdfast.take_batch(batch);
    if taken.is_one_run and true = all (taken.after_settled) and (not batch ? 'blocksLeft' or holdfast.blocks_left(batch) > 0) then
        was_tried := true;
        block_count := 1;
        if current_setting('holdfast.constraints', true) = 'immediate' then
            perform holdfast.defer_again();
        end if;
        begin
            perform set_config('holdfast.client_id', batch_client, true);
            made := holdfast.perform_run(taken.mutations, taken.mutation_ids);
            if made.results is not null then
                -- deferred constraints would otherwise fire at commit, where nothing can be answered any more
                set constraints all immediate;
                perform set_config('holdfast.constraints', 'immediate', true), holdfast.record_verdicts(
                    batch_client::uuid, null, taken.seqs, taken.mutation_ids, null, taken.payload_hashes, 'applied',
                    made.results, null, made.row_versions);
                -- (nothing here may sort; the ids of a run are written as Postgres writes them)
                told := (
                    select concat('[', string_agg(concat(
                        '{"seq": ', each_one.seq, ', "id": "', each_one.id, '", "kind": "applied", "result": ',
                        coalesce(each_one.result, 'null'), ', "rowVersion": ' || each_one.row_version, '}'), ', '), ']')
                    from unnest(taken.seqs, taken.mutation_ids, made.results, made.row_versions)
                        as each_one (seq, id, result, row_version));
                -- in a run these are the same for all
                is_noteworthy := taken.mutations[1] @? '$ ? (exists(@.source) || @.attempt > 1)';
            end if;
        exception
            -- "others" leaves out the first two
            when query_canceled or assert_failure or others then
                told := null;
                is_late := sqlstate = '57014';
        end;
    end if;
    if told is null then
        in_blocks := holdfast.apply_in_blocks(batch, taken, was_tried, is_late);
        told := in_blocks.told;
        is_noteworthy := in_blocks.is_noteworthy;
        block_count := in_blocks.block_count;
    end if;
    -- what else happens in this transaction is not part of a mutation
    perform set_config('holdfast.mutation_id', '', true), set_config('holdfast.client_id', '', true),
        set_config('holdfast.hybrid_time', '', true), set_config('holdfast.mutation_ids', '', true);
end
$$;

-- The batch, and what rides on it, answered as text. A server that was rewound carries out nothing for a client that does not know
-- yet: the client first sends again what this server may have forgotten (see 0011).
create or replace function holdfast.apply_as_text(batch jsonb)
returns text
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
    epoch constant text := holdfast.current_epoch();
    applied record;
    -- what of it notes are taken of: of mutations that were not looked at none
    noted jsonb := batch;
    notice text;
begin
    if batch ? 'epoch' and batch ->> 'epoch' is distinct from epoch then
        -- whose it is, and whether it is well formed; but its floor speaks of what may be forgotten here
        perform holdfast.apply_mutations(batch || '{"mutations": [], "acknowledgedFloor": 0}');
        if jsonb_typeof(batch -> 'mutations') is distinct from 'array' or jsonb_array_length(batch -> 'mutations') > 100
            or batch -> 'mutations' @? 'strict $[*] ? (@.type() != "object")'
        then
            perform holdfast.refuse('INVALID_REQUEST', 'A batch has at most 100 mutations, each of them an object.',
                'Send an ApplyRequest as the protocol describes it.');
        end if;
        select jsonb_agg(jsonb_build_object('seq', mutation.value -> 'seq', 'id', mutation.value -> 'id', 'kind', 'deferred')
                   order by mutation.place)::text as told, false as is_noteworthy
        into applied
        from jsonb_array_elements(batch -> 'mutations') with ordinality as mutation (value, place);
        noted := batch || '{"mutations": []}';
    else
        applied := holdfast.apply_mutations(batch);
    end if;
    if applied.is_noteworthy or noted ? 'telemetry' then
        perform holdfast.try_notes(noted, coalesce(applied.told, '[]')::jsonb);
    end if;
    notice := nullif(current_setting('holdfast.client_notice', true), '');
    return concat('{"protocol": 1, "serverTime": "',
        to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
        '", "epoch": ', coalesce(to_json(epoch)::text, 'null'), ', "client": ' || notice,
        ', "outcomes": ', coalesce(applied.told, '[]'), '}');
end
$$;

comment on function holdfast.apply_as_text(jsonb) is 'What holdfast.apply answers, as the text of it: for whoever only passes it on.';

create or replace function holdfast.apply(batch jsonb)
returns jsonb
language sql
volatile
security invoker
set search_path = ''
return holdfast.apply_as_text(batch)::jsonb;

comment on function holdfast.apply(jsonb) is
    'Applies a batch (an ApplyRequest of the protocol) and answers an ApplyResponse: an outcome for each mutation, in '
    'the order sent. Each mutation takes effect at most once whatever is repeated, cut or reordered on the way.';

revoke all on function
    holdfast.blocks_left(jsonb), holdfast.is_for_good(jsonb, text), holdfast.describe_failure(jsonb, text, text, text, text),
    holdfast.defer_again(), holdfast.pass_mark(), holdfast.mark_check(integer), holdfast.passed_mark(),
    holdfast.apply_in_blocks(jsonb, record, boolean, boolean), holdfast.apply_mutations(jsonb), holdfast.apply_as_text(jsonb), holdfast.apply(jsonb)
from public;
grant execute on function
    holdfast.blocks_left(jsonb), holdfast.is_for_good(jsonb, text), holdfast.describe_failure(jsonb, text, text, text, text),
    holdfast.defer_again(), holdfast.mark_check(integer), holdfast.passed_mark(),
    holdfast.apply_in_blocks(jsonb, record, boolean, boolean), holdfast.apply_mutations(jsonb), holdfast.apply_as_text(jsonb), holdfast.apply(jsonb)
to authenticated;

reset role;
