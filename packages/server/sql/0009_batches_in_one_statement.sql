-- Creations of one table that come together in a batch are carried out in one statement, which is several times faster than
-- one by one. Needs 0001 to 0008. Running it twice changes nothing.

set role holdfast_owner;

-- Their bodies name everything in full and were read when they were made, so a search path changes nothing in them; without one
-- of their own the planner writes them into the statements that call them, and 100 mutations are looked at in a third of the time.
alter function holdfast.is_counter(jsonb, bigint) reset search_path;
alter function holdfast.is_uuid(jsonb) reset search_path;
alter function holdfast.malformed_reason(jsonb) reset search_path;
-- (what they call is stable by its own account, so they have to say the same of themselves)
alter function holdfast.payload_hash(jsonb) reset search_path;
alter function holdfast.payload_hash(jsonb) stable;
alter function holdfast.row_version_field(bigint) reset search_path;
alter function holdfast.row_version_field(bigint) stable;

-- Every ledger row is written for the client whose row that very transaction holds and has changed; a second look at it for each
-- row costs as much as writing the row.
alter table holdfast.ledger drop constraint if exists ledger_client_id_fkey;

-- Whether a mutation is written as our own clients write it, which is well formed and told in a third of the time; what is not
-- may be well formed all the same.
create or replace function holdfast.is_plainly_formed(mutation jsonb)
returns boolean
language sql
immutable
return coalesce(
    jsonb_typeof(mutation) = 'object'
    and jsonb_typeof(mutation -> 'id') = 'string'
    and mutation ->> 'id' ~ '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$'
    and jsonb_typeof(mutation -> 'seq') = 'number' and mutation ->> 'seq' ~ '^[1-9][0-9]{0,14}$'
    and (mutation -> 'after' = 'null' or (jsonb_typeof(mutation -> 'after') = 'number' and mutation ->> 'after' ~ '^[1-9][0-9]{0,14}$'))
    and mutation -> 'generation' = '0'
    and jsonb_typeof(mutation -> 'type') = 'string' and length(mutation ->> 'type') between 1 and 200
    and mutation ->> 'operation' in ('create', 'update', 'delete', 'custom')
    and jsonb_typeof(mutation -> 'payload') = 'object'
    and jsonb_typeof(mutation #> '{entity,table}') = 'string' and jsonb_typeof(mutation #> '{entity,id}') = 'string'
    and length(mutation #>> '{entity,id}') between 1 and 200
    and not mutation ?| array['base', 'rebases', 'hlc', 'encoding'],
    false);

-- As in 0005, but that each look into the ledger is by its index, however many rows a client has there.
-- Security definer: clients and ledger belong to the owner alone. It acts for the caller named by the claims, on that
-- caller's own client row, and tells of other clients' mutations only that an id is taken.
create or replace function holdfast.begin_batch(batch jsonb)
returns table (
    place         integer,
    mutation      jsonb,
    seq           bigint,
    mutation_id   uuid,
    generation    integer,
    after_seq     bigint,
    payload_hash  bytea,
    -- new: to be carried out · known: "outcome" is the answer · deferred: a twin of an earlier one in this batch
    standing      text,
    outcome       jsonb,
    -- whether the one before it in its lane was settled when the batch began
    after_settled boolean
)
language plpgsql
volatile
security definer
set search_path = ''
as $$
#variable_conflict use_column
declare
    batch_count_max constant integer := 100;
    caller constant text := holdfast.actor();
    caller_workspace constant text := holdfast.workspace();
    mutations constant jsonb := batch -> 'mutations';
    claimed_floor constant jsonb := coalesce(batch -> 'acknowledgedFloor', '0');
    batch_client uuid;
    known_floor bigint;
    malformed text;
begin
    if caller is null then
        perform holdfast.refuse('TOKEN_MISSING', 'Nobody is signed in.', 'Sign in and try again.');
    end if;
    if coalesce(batch ->> 'protocol', '') <> '1' then
        perform holdfast.refuse('UPGRADE_REQUIRED', 'This server speaks version 1 of the protocol.',
            'Update whichever of app and server is older.');
    end if;
    if jsonb_typeof(mutations) is distinct from 'array' or not holdfast.is_uuid(batch #> '{client,id}')
        or not holdfast.is_counter(claimed_floor, 0) then
        perform holdfast.refuse('INVALID_REQUEST',
            'A batch has "client.id" (a UUID), "acknowledgedFloor" (a whole number) and "mutations" (an array).',
            'Send an ApplyRequest as the protocol describes it.');
    end if;
    if jsonb_array_length(mutations) > batch_count_max then
        perform holdfast.refuse('BATCH_TOO_LARGE',
            format('A batch holds at most %s mutations.', batch_count_max), 'Send fewer at a time.');
    end if;
    if caller_workspace is null or batch #>> '{client,workspaceId}' is distinct from caller_workspace then
        perform holdfast.refuse('FOREIGN_WORKSPACE', 'This login does not belong to the workspace of the batch.',
            'Sign in to the workspace in which the changes were made.');
    end if;
    select format('Mutation %s %s.', item.place, holdfast.malformed_reason(item.value)) into malformed
    from jsonb_array_elements(mutations) with ordinality as item (value, place)
    where not holdfast.is_plainly_formed(item.value) and holdfast.malformed_reason(item.value) is not null
    limit 1;
    if malformed is not null then
        perform holdfast.refuse('INVALID_REQUEST', malformed, 'Send mutations as the protocol describes them.');
    end if;

    -- the lock on the client's row is what makes racing senders take turns; it is never taken on a foreign row
    batch_client := (batch #>> '{client,id}')::uuid;
    select own.floor into known_floor from holdfast.clients as own
    where own.client_id = batch_client and own.workspace_id = caller_workspace and own.actor = caller
    for update;
    if not found then
        insert into holdfast.workspaces (workspace_id) values (caller_workspace) on conflict do nothing;
        insert into holdfast.clients (client_id, workspace_id, actor, transaction_id)
        values (batch_client, caller_workspace, caller, pg_current_xact_id())
        on conflict do nothing;
        select own.floor into known_floor from holdfast.clients as own
        where own.client_id = batch_client and own.workspace_id = caller_workspace and own.actor = caller
        for update;
        if not found then
            perform holdfast.refuse('FOREIGN_CLIENT', 'This client id belongs to another login.',
                'A client keeps to one user and one workspace; make a new client id for this login.');
        end if;
    end if;
    if claimed_floor::bigint > known_floor then
        update holdfast.ledger as settled set acknowledged_at = now()
        where settled.client_id = batch_client
          and settled.seq > known_floor
          and settled.seq <= claimed_floor::bigint;
        known_floor := claimed_floor::bigint;
    end if;
    update holdfast.clients as own
    set floor = known_floor, last_seen_at = now(), transaction_id = pg_current_xact_id()
    where own.client_id = batch_client;

    return query
    with incoming as materialized (
        select item.place::integer as place,
               item.value as mutation,
               (item.value ->> 'seq')::numeric::bigint as seq,
               (item.value ->> 'id')::uuid as mutation_id,
               coalesce((item.value ->> 'generation')::numeric::integer, 0) as generation,
               (item.value ->> 'after')::numeric::bigint as after_seq,
               holdfast.payload_hash(item.value) as payload_hash,
               coalesce((item.value ->> 'rebases')::numeric::integer, 0) as rebases
        from jsonb_array_elements(mutations) with ordinality as item (value, place)
    ), twins as materialized (
        -- hardly ever any: looked for one by one only then
        select count(distinct incoming.seq) < count(*) or count(distinct incoming.mutation_id) < count(*) as are_there
        from incoming
    ), compared as (
        select incoming.*,
               twins.are_there and exists (
                   select from incoming as earlier
                   where earlier.place < incoming.place
                     and (earlier.seq = incoming.seq or earlier.mutation_id = incoming.mutation_id)
               ) as is_twin,
               case
                   when same_seq.client_id is null and incoming.seq <= known_floor then 'trimmed'
                   when same_seq.mutation_id <> incoming.mutation_id then 'seq reused'
                   when seen.client_id <> batch_client then 'id reused'
                   -- Made anew after a conflict, a mutation has another payload under the same id. A late copy of a form
                   -- before the one that was settled is told of that one; a form after one that was refused for good is
                   -- its retry. Whatever else comes with another payload is another mutation.
                   when seen.payload_hash <> incoming.payload_hash
                       and not (seen.verdict = 'rejected' and seen.generation < incoming.generation
                                and seen.rebases < incoming.rebases) then
                       case when incoming.rebases < seen.rebases then 'seen' else 'id reused' end
                   when same_seq.client_id is null and seen.verdict = 'rejected'
                       and seen.generation < incoming.generation then 'new'
                   when seen.client_id is null then 'new'
                   else 'seen'
               end as finding,
               seen.verdict as seen_verdict,
               seen.result as seen_result,
               seen.error as seen_error,
               seen.row_version as seen_row_version
        from incoming
        cross join twins
        left join lateral (
            select former.client_id, former.mutation_id
            from holdfast.ledger as former
            where former.client_id = batch_client and former.seq = incoming.seq
            offset 0
        ) as same_seq on true
        left join lateral (
            select former.*
            from holdfast.ledger as former
            where former.mutation_id = incoming.mutation_id
            -- someone else's above all, then the row of this very number, then an effect, then the latest refusal
            order by former.client_id <> batch_client desc, former.seq = incoming.seq desc,
                     former.verdict = 'applied' desc, former.generation desc
            limit 1
        ) as seen on true
    )
    select compared.place, compared.mutation, compared.seq, compared.mutation_id, compared.generation,
           compared.after_seq, compared.payload_hash,
           case when compared.is_twin then 'deferred' when compared.finding = 'new' then 'new' else 'known' end,
           case when not compared.is_twin and compared.finding <> 'new' then
               jsonb_build_object('seq', compared.seq, 'id', compared.mutation -> 'id') || case compared.finding
                   when 'trimmed' then jsonb_build_object('kind', 'duplicate', 'verdict', 'applied', 'result', null)
                   when 'seq reused' then jsonb_build_object('kind', 'rejected', 'error', holdfast.wire_error('HF037',
                       'This sequence number was used by another change of this device.',
                       'The device was restored from a backup or copied: it must register as a new client.'))
                   when 'id reused' then jsonb_build_object('kind', 'rejected', 'error', holdfast.wire_error('HF036',
                       'This id was used by another change.', 'Make the change again under a new id.'))
                   else jsonb_build_object('kind', 'duplicate', 'verdict', compared.seen_verdict)
                       || case compared.seen_verdict
                           when 'applied' then jsonb_build_object('result', compared.seen_result)
                               || holdfast.row_version_field(compared.seen_row_version)
                           else jsonb_build_object('error', compared.seen_error)
                       end
               end
           end,
           compared.after_seq is null or compared.after_seq <= known_floor or coalesce((
               select true from holdfast.ledger as before
               where before.client_id = batch_client and before.seq = compared.after_seq
           ), false)
    from compared
    order by compared.place;
end
$$;

-- What is not like this goes alone: what it says about the row has to be compared with it, or it is large.
create or replace function holdfast.may_go_together(mutation jsonb)
returns boolean
language sql
stable
return mutation ->> 'operation' = 'create'
    and mutation ->> 'type' <> 'holdfast.atomic'
    and jsonb_typeof(mutation -> 'entity') = 'object'
    and not mutation ?| array['base', 'hlc', 'encoding', 'replaces', 'unstorable']
    -- text is at most six times as long as what it is kept as, so this is below the limit of a payload
    and pg_column_size(mutation) < 40000;

create or replace function holdfast.is_alike(mutation jsonb, other jsonb)
returns boolean
language sql
stable
return holdfast.may_go_together(other)
    and mutation #> '{entity,table}' = other #> '{entity,table}';

-- Whether something else than the table handlers carries out one of them; later files know of such.
create or replace function holdfast.is_handled_apart(mutations jsonb[])
returns boolean
language sql
stable
set search_path = ''
return false;

-- Carries out several mutations that are alike in one statement, as the caller, or answers null where they have to go one by one.
-- All take effect or it raises; whose fault that was is not known then.
create or replace function holdfast.perform_together(mutations jsonb[], out results jsonb[], out row_versions bigint[])
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
    registered holdfast.registered_tables%rowtype;
    assigned text[];
    is_alike boolean;
    row_values jsonb;
    mutation_ids jsonb;
    workspace constant text := holdfast.workspace();
begin
    if holdfast.is_handled_apart(mutations) then
        return;
    end if;
    select * into registered from holdfast.registered_tables as known
    where known.entity_type = mutations[1] #>> '{entity,table}';
    -- where an event is there already, the row that stands for it has to be looked up
    if registered.target is null or registered.event_key is not null then
        return;
    end if;
    select coalesce(array_agg(field.key), '{}') into assigned
    from jsonb_object_keys(mutations[1] -> 'payload') as field (key)
    where field.key <> registered.id_column;
    if not assigned <@ registered.columns then
        return;
    end if;
    select bool_and(
               (each_one.mutation -> 'payload') ?& assigned
               and (each_one.mutation -> 'payload') - assigned - registered.id_column::text = '{}'
               and coalesce(each_one.mutation -> 'payload' ->> registered.id_column = each_one.mutation #>> '{entity,id}', true)
           ),
           jsonb_agg((each_one.mutation -> 'payload') || jsonb_build_object(
               registered.id_column, each_one.mutation #> '{entity,id}',
               registered.workspace_column, workspace) order by each_one.place),
           jsonb_object_agg(each_one.mutation #>> '{entity,id}', each_one.mutation -> 'id')
    into is_alike, row_values, mutation_ids
    from unnest(mutations) with ordinality as each_one (mutation, place);
    if not is_alike then
        return;
    end if;
    perform set_config('holdfast.mutation_ids', mutation_ids::text, true), set_config('holdfast.mutation_id', '', true),
        set_config('holdfast.hybrid_time', '', true);
    execute format(
        'with made as (insert into %1$s as holdfast_row (%2$I, %3$I%4$s) '
        'select holdfast_value.%2$I, holdfast_value.%3$I%5$s '
        'from jsonb_populate_recordset(null::%1$s, $1) as holdfast_value returning to_jsonb(holdfast_row.*) as image) '
        'select array_agg(made.image), array_agg((made.image ->> $2)::bigint) from made',
        registered.target, registered.id_column, registered.workspace_column,
        (select string_agg(format(', %I', name), '') from unnest(assigned) as name),
        (select string_agg(format(', holdfast_value.%I', name), '') from unnest(assigned) as name))
    using row_values, registered.version_column into results, row_versions;
    -- a trigger of the app's left some out
    if cardinality(results) is distinct from cardinality(mutations) then
        perform holdfast.refuse_stray_row();
    end if;
end
$$;

-- Not an answer to anyone: apply hears it, and goes one by one.
create or replace function holdfast.refuse_stray_row()
returns uuid
language plpgsql
stable
set search_path = ''
as $$
begin
    raise exception 'One statement for several mutations changed another row than theirs, or not all of theirs.';
end
$$;

-- As in 0007, but that creations which are alike go in one statement. Where that fails, all go one by one in what is left of this
-- call, which tells whose failure it was.
create or replace function holdfast.apply_batch(batch jsonb)
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
    applied integer[] := '{}';
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
    is_together boolean := true;
    -- the end of the present group; null between groups
    group_end integer;
    done_together integer;
    performed_together record;
    -- a group was cut off: what is tried after it has no other limit
    gives_up_at timestamptz;
begin
    -- begin_batch answers in the order of the places
    select coalesce(array_agg(begun.mutation), '{}'), array_agg(begun.seq), array_agg(begun.mutation_id),
           array_agg(begun.generation), array_agg(begun.after_seq), array_agg(begun.payload_hash),
           array_agg(begun.standing), array_agg(begun.outcome), array_agg(begun.after_settled),
           coalesce(array_agg(begun.seq) filter (where begun.standing = 'known'), '{}')
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
        done_together := 0;
        begin
            for place in first_place..last_place loop
                continue when standings[place] <> 'new' or place <= done_together;
                if not (after_settled[place] or coalesce(afters[place] = any (settled), false)) then
                    continue; -- no outcome is "deferred"
                end if;
                if gives_up_at < clock_timestamp() and cardinality(members) > 0 then
                    exit;
                end if;
                failing_place := place;
                if is_together and place < last_place and holdfast.may_go_together(mutations[place]) then
                    select coalesce(min(other.other_place) - 1, last_place) into group_end
                    from generate_series(place + 1, last_place) as other (other_place)
                    where not (standings[other.other_place] = 'new'
                        and (after_settled[other.other_place]
                            or coalesce(afters[other.other_place] = any (settled || seqs[place:other.other_place - 1]), false))
                        and holdfast.is_alike(mutations[place], mutations[other.other_place]));
                    if group_end > place then
                        select * into performed_together
                        from holdfast.perform_together(mutations[place:group_end]) as performing;
                        if performed_together.results is not null then
                            results[place:group_end] := performed_together.results;
                            row_versions[place:group_end] := performed_together.row_versions;
                            settled := settled || seqs[place:group_end];
                            members := members || array(select generate_series(place, group_end));
                            done_together := group_end;
                        end if;
                    end if;
                    group_end := null;
                    continue when place <= done_together;
                end if;
                perform set_config('holdfast.mutation_id', ids[place]::text, true),
                    set_config('holdfast.mutation_ids', '', true);
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
            applied := applied || members;
            told_to := last_place;
            first_place := last_place + 1;
            last_place := bound;
            if failed_place is not null then
                verdict_place := failed_place;
            end if;
        else
            settled := settled_before;
            failed_state := failure_state;
            if group_end is not null then
                group_end := null;
                is_together := false;
                -- rolled back, so it is none of those that the server has to keep in mind; and it happens once in a call
                block_count := block_count - 1;
                if failure_state = '57014' then
                    gives_up_at := clock_timestamp() + (clock_timestamp() - statement_timestamp()) / 2;
                    perform set_config('lock_timeout', '100ms', true);
                end if;
            elsif failing_place is null and cardinality(members) > 1 then
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
        set_config('holdfast.hybrid_time', '', true), set_config('holdfast.mutation_ids', '', true);

    return jsonb_build_object(
        'protocol', 1,
        'outcomes', to_jsonb(array(
            select case
                when done.place is not null then jsonb_build_object(
                    'seq', seqs[each_one.place], 'id', mutations[each_one.place] -> 'id', 'kind', 'applied',
                    'result', results[each_one.place]) || holdfast.row_version_field(row_versions[each_one.place])
                else coalesce(outcomes[each_one.place], jsonb_build_object(
                    'seq', seqs[each_one.place], 'id', mutations[each_one.place] -> 'id', 'kind', 'deferred'))
            end
            from generate_series(1, mutation_count) as each_one (place)
            left join unnest(applied) as done (place) on done.place = each_one.place
            order by each_one.place
        )),
        'serverTime', to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
    );
end
$$;

create or replace function holdfast.apply(batch jsonb)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
    return holdfast.apply_batch(batch);
end
$$;

revoke all on function
    holdfast.is_plainly_formed(jsonb),
    holdfast.may_go_together(jsonb), holdfast.is_alike(jsonb, jsonb), holdfast.perform_together(jsonb[]),
    holdfast.is_handled_apart(jsonb[]), holdfast.refuse_stray_row(), holdfast.apply_batch(jsonb)
from public;
grant execute on function
    holdfast.may_go_together(jsonb), holdfast.is_alike(jsonb, jsonb), holdfast.perform_together(jsonb[]),
    holdfast.is_handled_apart(jsonb[]), holdfast.refuse_stray_row(), holdfast.apply_batch(jsonb)
to authenticated;

reset role;
