-- holdfast.apply(batch): ledger row, effect and audit row of each mutation in one transaction.
-- Needs 0001 to 0004. Running it twice changes nothing.
--
--   apply ── runs as the caller, so that effects stay under the app's own policies
--     ├─ begin_batch       (as owner) locks the client, raises its floor, says what is already known of each mutation
--     ├─ perform           (as the caller) the effect, or those of an atomic mutation; triggers write the audit rows
--     └─ record_verdicts   (as owner) ledger rows, only for the client that this very transaction has locked
--
-- A caller may call the two helpers directly: all that can be forged with them are promises about its own mutations.

set role holdfast_owner;

create or replace function holdfast.payload_hash(mutation jsonb)
returns bytea
language sql
immutable
set search_path = ''
-- the text of a jsonb value is canonical: one spelling whatever the order of keys or the blanks were
return sha256(convert_to((jsonb_build_array(
    mutation -> 'type', mutation -> 'operation',
    mutation #> '{entity,table}', mutation #> '{entity,id}',
    mutation -> 'payload'
) || case when mutation ? 'encoding' then jsonb_build_array(mutation -> 'encoding') else '[]' end)::text, 'UTF8'));

create or replace function holdfast.is_counter(value jsonb, least_value bigint)
returns boolean
language sql
immutable
set search_path = ''
-- whole, and exact in JavaScript
return case when jsonb_typeof(value) = 'number'
    then value::numeric between least_value and 9007199254740991 and value::numeric = trunc(value::numeric)
    else false
end;

create or replace function holdfast.is_uuid(value jsonb)
returns boolean
language sql
immutable
set search_path = ''
return coalesce(
    value #>> '{}' ~* '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$' and jsonb_typeof(value) = 'string',
    false
);

-- Why a mutation cannot even be looked at; null when it can.
create or replace function holdfast.malformed_reason(mutation jsonb)
returns text
language sql
immutable
set search_path = ''
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
    when coalesce(mutation ->> 'operation', '') not in ('create', 'update', 'delete', 'custom')
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

-- How an outcome tells the version of the row; rows that have none say nothing.
create or replace function holdfast.row_version_field(row_version bigint)
returns jsonb
language sql
immutable
set search_path = ''
return case when row_version is null then '{}' else jsonb_build_object('rowVersion', row_version) end;

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
    where holdfast.malformed_reason(item.value) is not null
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
    ), compared as (
        select incoming.*,
               row_number() over (partition by incoming.seq order by incoming.place) > 1
                   or row_number() over (partition by incoming.mutation_id order by incoming.place) > 1 as is_twin,
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
        left join holdfast.ledger as same_seq
            on same_seq.client_id = batch_client and same_seq.seq = incoming.seq
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
           compared.after_seq is null or compared.after_seq <= known_floor or exists (
               select from holdfast.ledger as before
               where before.client_id = batch_client and before.seq = compared.after_seq
           )
    from compared
    order by compared.place;
end
$$;

-- Security definer: nobody writes the ledger but the owner. Rows are accepted for the client that this transaction has
-- begun a batch for, as the caller who owns it; one whose id was taken meanwhile by another client is refused.
-- "members" are the places in the arrays to record.
create or replace function holdfast.record_verdicts(
    batch_client uuid,
    members integer[],
    seqs bigint[],
    mutation_ids uuid[],
    generations integer[],
    payload_hashes bytea[],
    batch_verdict text,
    results jsonb[],
    errors jsonb[],
    row_versions bigint[] default null,
    rebases integer[] default null
)
returns void
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
    batch_workspace text;
    recorded_count bigint;
begin
    select own.workspace_id into batch_workspace
    from holdfast.clients as own
    where own.client_id = batch_client
      and own.workspace_id = holdfast.workspace()
      and own.actor = holdfast.actor()
      and own.transaction_id = pg_current_xact_id();
    if not found then
        perform holdfast.refuse('FOREIGN_CLIENT', 'No batch of this client was begun in this transaction.',
            'Call holdfast.apply, which begins the batch and records its verdicts.');
    end if;
    insert into holdfast.ledger
        (client_id, seq, workspace_id, mutation_id, generation, payload_hash, verdict, result, error, applied_at,
         row_version, rebases)
    select batch_client, seqs[member], batch_workspace, mutation_ids[member], generations[member],
           payload_hashes[member], batch_verdict,
           case when batch_verdict = 'applied' then results[member] end,
           case when batch_verdict = 'rejected' then errors[member] end,
           case when batch_verdict = 'applied' then now() end,
           case when batch_verdict = 'applied' then row_versions[member] end,
           coalesce(rebases[member], 0)
    from unnest(members) as member
    on conflict do nothing;
    get diagnostics recorded_count = row_count;
    -- an effect without its row must not stand; a refusal without one is only told again
    if batch_verdict = 'applied' and recorded_count < cardinality(members) then
        perform holdfast.refuse('ID_REUSED', 'This id was used by another change.', 'Make the change again under a new id.');
    end if;
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
        return holdfast.perform_mutation(mutation);
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
            if holdfast.is_permanent(failed_state) then
                errors[verdict_place] := failure;
                rejected := rejected || verdict_place;
                settled := settled || seqs[verdict_place];
            end if;
            outcomes[verdict_place] := jsonb_build_object(
                'seq', seqs[verdict_place], 'id', mutations[verdict_place] -> 'id',
                'kind', case when holdfast.is_permanent(failed_state) then 'rejected' else 'refused' end,
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

comment on function holdfast.apply(jsonb) is
    'Applies a batch (an ApplyRequest of the protocol) and answers an ApplyResponse: an outcome for each mutation, in '
    'the order sent. Each mutation takes effect at most once whatever is repeated, cut or reordered on the way.';

revoke all on function
    holdfast.payload_hash(jsonb), holdfast.is_counter(jsonb, bigint), holdfast.is_uuid(jsonb),
    holdfast.malformed_reason(jsonb), holdfast.begin_batch(jsonb), holdfast.perform(jsonb),
    holdfast.record_verdicts(
        uuid, integer[], bigint[], uuid[], integer[], bytea[], text, jsonb[], jsonb[], bigint[], integer[]),
    holdfast.row_version_field(bigint),
    holdfast.apply(jsonb)
from public;
grant execute on function
    holdfast.begin_batch(jsonb), holdfast.perform(jsonb),
    holdfast.is_counter(jsonb, bigint), holdfast.is_uuid(jsonb), holdfast.malformed_reason(jsonb),
    holdfast.record_verdicts(
        uuid, integer[], bigint[], uuid[], integer[], bytea[], text, jsonb[], jsonb[], bigint[], integer[]),
    holdfast.row_version_field(bigint),
    holdfast.apply(jsonb)
to authenticated;

reset role;
