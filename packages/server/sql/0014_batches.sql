-- What of a batch is new, and what has become of it: the ledger's two doors.
-- Needs 0001 to 0003 and 0013. Running it twice changes nothing.

set role holdfast_owner;

-- What two mutations must have in common to go in one statement: what they do to which table, by which guards, and the fields that
-- they set. Null for what goes alone: it stands for another one, is only asked about, is large, or is a patch that merges: a patch of
-- plain values sets them, as an edit on a base does.
create or replace function holdfast.run_shape(mutation jsonb)
returns text
language sql
stable
return case
    when mutation ->> 'operation' in ('create', 'update', 'delete') and jsonb_typeof(mutation -> 'entity') = 'object'
        and not mutation ?| array['replaces', 'unstorable', 'outdated']
        and (not mutation ? 'encoding' or (mutation -> 'encoding' = '"mergePatch"'
            and not mutation -> 'payload' @? 'strict $.* ? (@.type() == "object")'))
        and not (mutation ->> 'operation' = 'create' and mutation ? 'base')
        and mutation ->> 'type' <> 'holdfast.atomic'
        -- text is at most six times as long as what it is kept as, so this is below the limit of a payload
        and pg_column_size(mutation -> 'payload') < 40000
        and not holdfast.is_too_deep(mutation -> 'payload')
    then concat_ws(' ', mutation ->> 'operation', mutation ? 'encoding', mutation ? 'base', mutation ? 'hlc', mutation #> '{entity,table}', mutation -> 'type',
        case when mutation ->> 'operation' <> 'delete' then array(select jsonb_object_keys(mutation -> 'payload')) end)
end;

-- What is to be done with each mutation of a batch, and which of them may go together.
-- Security definer: clients and ledger belong to the owner alone. It acts for the caller named by the claims, on that
-- caller's own client row, and tells of other clients' mutations only that an id is taken.
create or replace function holdfast.take_batch(
    batch jsonb,
    -- by their place in the batch
    out mutations jsonb[],
    out seqs bigint[],
    out mutation_ids uuid[],
    out generations integer[],
    out after_seqs bigint[],
    out payload_hashes bigint[],
    out rebases integer[],
    -- new: to be carried out · known: its outcome is the answer · deferred: a twin of an earlier one in this batch
    out standings text[],
    out outcomes jsonb[],
    -- whether the one before it in its lane was settled when the batch began
    out after_settled boolean[],
    -- of run_shape; null for what is not new
    out shapes text[],
    -- known where it costs nothing: all are new, of one shape, and each is about another row
    out is_one_run boolean
)
language plpgsql
volatile
security definer
set search_path = ''
-- each look at the ledger is by an index, whatever the planner believes of the table
set enable_seqscan = off
set enable_bitmapscan = off
as $$
#variable_conflict use_column
declare
    batch_count_max constant integer := 100;
    batch_bytes_max constant integer := 1048576;
    -- of one user in a workspace, in 24 hours
    new_client_count_max constant integer := 1000;
    caller constant text := holdfast.actor();
    caller_workspace constant text := holdfast.workspace();
    given constant jsonb := batch -> 'mutations';
    given_count integer;
    asking constant jsonb := batch -> 'client';
    claimed_floor constant jsonb := coalesce(batch -> 'acknowledgedFloor', '0');
    batch_client uuid;
    known_floor bigint;
    known_high bigint;
    goes_alone boolean;
    seen_at timestamptz;
    -- of the client that this one took the place of
    inherited_floor bigint;
    inherited_before timestamptz;
    claimed_high constant bigint := case when holdfast.is_counter(asking -> 'lastSeq', 0)
        then (asking ->> 'lastSeq')::numeric::bigint end;
    claimed_unsent constant integer := case when holdfast.is_counter(asking -> 'unsentCount', 0)
        then least((asking ->> 'unsentCount')::numeric, 2147483647)::integer end;
    behind_reason text;
    malformed text;
    -- Hardly ever is one of them different from the first in more than these: then most of what has to be known is found in one pass.
    own_keys constant text[] := '{id,seq,after,entity,payload,base,hlc,createdAt}';
    first constant jsonb := given -> 0;
    first_form jsonb;
    first_shape text;
    first_table jsonb;
    -- of the hash of each: what all have in common
    hash_seed bigint;
    first_fields text[];
    has_base boolean;
    has_time boolean;
    is_deletion boolean;
    is_patch boolean;
    are_alike boolean := false;
    entity_ids text[];
    listed_ids text;
    listed_seqs text;
    listed_afters text;
    base_versions jsonb;
    first_seq bigint;
    last_seq bigint;
    are_twins_there boolean;
    is_any_known boolean;
begin
    if caller is null then
        perform holdfast.refuse('TOKEN_MISSING', 'Nobody is signed in.', 'Sign in and try again.');
    end if;
    if coalesce(batch ->> 'protocol', '') <> '1' then
        perform holdfast.refuse('UPGRADE_REQUIRED', 'This server speaks version 1 of the protocol.',
            'Update whichever of app and server is older.');
    end if;
    if jsonb_typeof(given) is distinct from 'array' or not holdfast.is_uuid(asking -> 'id')
        or not holdfast.is_counter(claimed_floor, 0) then
        perform holdfast.refuse('INVALID_REQUEST',
            'A batch has "client.id" (a UUID), "acknowledgedFloor" (a whole number) and "mutations" (an array).',
            'Send an ApplyRequest as the protocol describes it.');
    end if;
    given_count := jsonb_array_length(given);
    if given_count > batch_count_max then
        perform holdfast.refuse('BATCH_TOO_LARGE',
            format('A batch holds at most %s mutations.', batch_count_max), 'Send fewer at a time.');
    end if;
    -- by ever dearer questions, of which hardly a batch is asked the second
    if pg_column_size(batch) > batch_bytes_max and octet_length(batch::text) > batch_bytes_max
        and (octet_length(batch::text) > 2 * batch_bytes_max or holdfast.payload_bytes(batch) > batch_bytes_max) then
        perform holdfast.refuse('BATCH_TOO_LARGE',
            format('A batch is at most %s bytes of JSON.', batch_bytes_max), 'Send fewer at a time.');
    end if;
    if length(caller) > 200 or length(caller_workspace) > 200 then
        perform holdfast.refuse('INVALID_REQUEST', 'The names of user and workspace have at most 200 characters.',
            'Let tokens name them by shorter ids.');
    end if;
    if caller_workspace is null or asking ->> 'workspaceId' is distinct from caller_workspace then
        perform holdfast.refuse('FOREIGN_WORKSPACE', 'This login does not belong to the workspace of the batch.',
            'Sign in to the workspace in which the changes were made.');
    end if;
    -- earlier clients do not say whose they are
    if asking ->> 'userId' <> caller then
        perform holdfast.refuse('WRONG_LOGIN', 'This login is another user''s than the one who made the changes.',
            'Sign in as that user. The queue''s identity.userId must be the "sub" of its token.');
    end if;
    -- what is made anew or again is looked at one by one
    if first -> 'generation' = '0' and jsonb_typeof(first -> 'type') = 'string' and length(first ->> 'type') between 1 and 200
        and jsonb_typeof(first #> '{entity,table}') = 'string' and jsonb_typeof(first -> 'payload') = 'object'
        and not first ?| '{original,rebases}'
        and (not first ? 'encoding' or (first ->> 'operation' = 'update' and first ? 'base'))
    then
        first_shape := holdfast.run_shape(first);
    end if;
    if first_shape is not null then
        first_form := first - own_keys;
        first_table := first #> '{entity,table}';
        -- as holdfast.payload_hash does it
        hash_seed := hashtextextended(first_table #>> '{}', hashtextextended(
            concat(first ->> 'operation', first -> 'encoding'), hashtextextended(first ->> 'type', 0)));
        first_fields := array(select jsonb_object_keys(first -> 'payload'));
        has_base := first ? 'base';
        has_time := first ? 'hlc';
        is_deletion := first ->> 'operation' = 'delete';
        is_patch := first ? 'encoding';
        -- (nothing here may sort, or the lists come in another order)
        select array_agg(item.mutation), array_agg(item.entity_id),
               array_agg(hashtextextended(item.payload::text, hashtextextended(item.entity_id, hash_seed))),
               -- as holdfast.run_shape and holdfast.malformed_reason do it
               bool_and(case
                   when jsonb_typeof(item.mutation) <> 'object' or jsonb_typeof(item.payload) is distinct from 'object' then false
                   else coalesce(item.mutation - own_keys = first_form
                       and item.entity -> 'table' = first_table
                       and jsonb_typeof(item.entity -> 'id') = 'string' and length(item.entity_id) between 1 and 200
                       and (is_deletion or (item.payload ?& first_fields and item.payload - first_fields = '{}'))
                       and not (is_patch and item.payload @? 'strict $.* ? (@.type() == "object")')
                       and item.mutation ? 'base' = has_base and item.mutation ? 'hlc' = has_time
                       and pg_column_size(item.payload) < 40000, false)
               end)
        into mutations, entity_ids, payload_hashes, are_alike
        from (
            select each.mutation, each.mutation -> 'payload' as payload, each.mutation -> 'entity' as entity,
                   each.mutation -> 'entity' ->> 'id' as entity_id
            from jsonb_array_elements(given) as each (mutation)
            offset 0 -- taken out once, however often it is asked for
        ) as item;
        -- all of them in one text, so that one pattern looks at all; where one is not there, the list ends
        listed_ids := jsonb_path_query_array(given, 'strict $[*].id', silent => true);
        listed_seqs := jsonb_path_query_array(given, 'strict $[*].seq', silent => true);
        listed_afters := jsonb_path_query_array(given, 'strict $[*].after', silent => true);
        if has_base then
            base_versions := jsonb_path_query_array(given, 'strict $[*].base.rowVersion', silent => true);
        end if;
        are_alike := are_alike
            and listed_ids ~ '^\[("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"(, |\]$))+$'
            and listed_seqs ~ '^\[([1-9][0-9]{0,14}(, |\]$))+$'
            and listed_afters ~ '^\[((null|[1-9][0-9]{0,14})(, |\]$))+$'
            and (not has_base or base_versions::text ~ '^\[([0-9]{1,15}(, |\]$))+$')
            and (not has_time
                or jsonb_path_query_array(given, '$[*].hlc')::text ~ '^\[("[0-9a-f]{12}-[0-9a-f]{4}-[0-9a-z-]{1,36}"(, |\]$))+$')
            -- as holdfast.is_too_deep does it
            and not given @? 'strict $[*].payload.**{32} ? (@.type() == "object" || @.type() == "array")';
        if are_alike then
            mutation_ids := replace(replace(listed_ids, '[', '{'), ']', '}');
            seqs := replace(replace(listed_seqs, '[', '{'), ']', '}');
            after_seqs := replace(replace(listed_afters, '[', '{'), ']', '}');
            are_alike := cardinality(mutation_ids) = given_count and cardinality(seqs) = given_count
                and cardinality(after_seqs) = given_count and (not has_base or jsonb_array_length(base_versions) = given_count);
        end if;
    end if;
    if are_alike then
        generations := array_fill(0, array[given_count]);
        rebases := generations;
        shapes := array_fill(first_shape, array[given_count]);
    else
        select format('Mutation %s %s.', item.place, holdfast.malformed_reason(item.value)) into malformed
        from jsonb_array_elements(given) with ordinality as item (value, place)
        where holdfast.malformed_reason(item.value) is not null
        limit 1;
        if malformed is not null then
            perform holdfast.refuse('INVALID_REQUEST', malformed, 'Send mutations as the protocol describes them.');
        end if;
        select coalesce(array_agg(item.value order by item.place), '{}'),
               array_agg((item.value ->> 'id')::uuid order by item.place),
               array_agg((item.value ->> 'seq')::numeric::bigint order by item.place),
               array_agg((item.value ->> 'after')::numeric::bigint order by item.place),
               array_agg(coalesce((item.value ->> 'generation')::numeric::integer, 0) order by item.place),
               array_agg(coalesce((item.value ->> 'rebases')::numeric::integer, 0) order by item.place),
               array_agg(holdfast.payload_hash(item.value) order by item.place),
               array_agg(holdfast.run_shape(item.value) order by item.place)
        into mutations, mutation_ids, seqs, after_seqs, generations, rebases, payload_hashes, shapes
        from jsonb_array_elements(given) with ordinality as item (value, place);
    end if;

    -- the lock on the client's row is what makes racing senders take turns; it is never taken on a foreign row
    batch_client := (asking ->> 'id')::uuid;
    select own.floor, own.high_seq, own.goes_alone, own.last_seen_at, own.inherited_floor, own.inherited_before
    into known_floor, known_high, goes_alone, seen_at, inherited_floor, inherited_before
    from holdfast.clients as own
    where own.client_id = batch_client and own.workspace_id = caller_workspace and own.actor = caller
    for update;
    if not found then
        -- What a client is known by stays for as long as it may send something again, so they must not be had for nothing.
        if (select count(*) from (
                select from holdfast.clients as own
                where own.workspace_id = caller_workspace and own.actor = caller and own.created_at > now() - interval '24 hours'
                limit new_client_count_max
            ) as recent) = new_client_count_max then
            perform holdfast.refuse('TOO_MANY_REQUESTS',
                format('This user has brought %s new devices within a day.', new_client_count_max),
                'What waits on the device is kept, and sent once there is room: at the latest after a day.');
        end if;
        insert into holdfast.workspaces (workspace_id) values (caller_workspace) on conflict do nothing;
        insert into holdfast.clients (client_id, workspace_id, actor, transaction_id)
        values (batch_client, caller_workspace, caller, pg_current_xact_id())
        on conflict do nothing;
        select own.floor, own.high_seq, own.goes_alone, own.last_seen_at, own.inherited_floor, own.inherited_before
        into known_floor, known_high, goes_alone, seen_at, inherited_floor, inherited_before
        from holdfast.clients as own
        where own.client_id = batch_client and own.workspace_id = caller_workspace and own.actor = caller
        for update;
        if not found then
            perform holdfast.refuse('FOREIGN_CLIENT', 'This client id belongs to another login.',
                'A client keeps to one user and one workspace; make a new client id for this login.');
        end if;
    end if;

    -- Hardly ever is any of them known, or twice in the batch; then nothing has to be asked of each.
    select whole.first_seq, whole.last_seq, whole.are_twins_there, whole.is_one_run, (
               select max(settled.seq) from holdfast.ledger as settled
               where settled.client_id = batch_client and settled.seq between whole.first_seq and whole.last_seq
           ) is not null or exists (
               select from holdfast.ledger as former where former.mutation_id = any (mutation_ids)
           )
    into first_seq, last_seq, are_twins_there, is_one_run, is_any_known
    from (
        select min(listed.seq) as first_seq, max(listed.seq) as last_seq,
               count(distinct listed.seq) < count(*) or count(distinct listed.mutation_id) < count(*) as are_twins_there,
               are_alike and count(distinct listed.entity_id collate "C") = count(*) as is_one_run
        from unnest(seqs, mutation_ids, entity_ids) as listed (seq, mutation_id, entity_id)
    ) as whole;

    -- Numbers only go up: a client that has given out fewer than it once said was put back to an earlier state, and may give
    -- them out again. Nothing of it is looked at until it has another id.
    if claimed_high < known_high then
        behind_reason := 'behind';
    elsif claimed_high is not null and is_any_known then
        behind_reason := (
            select 'reused' from unnest(seqs, mutation_ids) as item (seq, mutation_id)
            join holdfast.ledger as same_seq on same_seq.client_id = batch_client and same_seq.seq = item.seq
            where same_seq.mutation_id <> item.mutation_id
            limit 1);
    end if;
    if behind_reason is null and claimed_high is not null and first_seq <= known_floor
        and holdfast.is_number_reused(batch_client, mutations, seqs, mutation_ids, known_floor)
    then
        behind_reason := 'reused';
    end if;
    if behind_reason is not null then
        perform set_config('holdfast.client_notice', jsonb_build_object('behind',
            jsonb_build_object('reason', behind_reason, 'highSeq', known_high))::text, true);
        standings := array_fill('deferred'::text, array[given_count]);
        outcomes := array_fill(null::jsonb, array[given_count]);
        after_settled := array_fill(false, array[given_count]);
        return;
    end if;
    if seen_at < date_trunc('day', now(), 'UTC') and known_floor > 0 then
        insert into holdfast.floor_marks as mark (client_id, day, floor)
        values (batch_client, (seen_at at time zone 'UTC')::date, known_floor)
        on conflict on constraint floor_marks_pkey do update set floor = excluded.floor;
    end if;
    perform set_config('holdfast.client_notice', case when asking -> 'forkedFrom' is null then ''
        else coalesce(holdfast.note_fork(batch_client, asking -> 'forkedFrom')::text, '') end, true);
    if asking -> 'forkedFrom' is not null then
        -- it may have inherited one
        select own.inherited_floor, own.inherited_before into inherited_floor, inherited_before
        from holdfast.clients as own where own.client_id = batch_client;
    end if;
    -- for all calls of this transaction, which may be several of one request
    if goes_alone then
        perform set_config('holdfast.goes_alone', batch_client::text, true);
    end if;
    goes_alone := coalesce(current_setting('holdfast.goes_alone', true) = batch_client::text, false);
    update holdfast.clients as own
    -- beyond the numbers that it has given out, a client that says them has nothing to acknowledge
    set floor = greatest(known_floor, least(claimed_floor::bigint, case when claimed_high is not null
            then greatest(claimed_high, known_high) end)), last_seen_at = now(), transaction_id = pg_current_xact_id(),
        high_seq = greatest(own.high_seq, claimed_high), unsent_count = coalesce(claimed_unsent, own.unsent_count),
        -- asked for in this transaction, or before it and there was nothing to carry out yet
        goes_alone = own.goes_alone and (own.transaction_id = pg_current_xact_id() or given_count = 0)
    where own.client_id = batch_client
    returning own.floor into known_floor;

    if goes_alone then
        is_one_run := false;
        shapes := array_fill(null::text, array[given_count]);
    end if;
    if first_seq > greatest(known_floor, inherited_floor) and not are_twins_there and not is_any_known then
        standings := array_fill('new'::text, array[given_count]);
        outcomes := array_fill(null::jsonb, array[given_count]);
        if listed_afters ~ '[0-9]' or not are_alike then
            after_settled := array(
                select item.after_seq is null or item.after_seq <= known_floor or (
                    item.after_seq not between first_seq and last_seq and holdfast.is_settled(batch_client, item.after_seq))
                from unnest(after_seqs) with ordinality as item (after_seq, place)
                order by item.place);
        else
            after_settled := array_fill(true, array[given_count]);
        end if;
        return;
    end if;

    with incoming as materialized (
        select item.place, item.mutation, item.seq, item.mutation_id, item.generation, item.after_seq, item.payload_hash,
               item.rebases, item.shape
        from unnest(mutations, seqs, mutation_ids, generations, after_seqs, payload_hashes, rebases, shapes) with ordinality
            as item (mutation, seq, mutation_id, generation, after_seq, payload_hash, rebases, shape, place)
    ), compared as (
        select incoming.*,
               are_twins_there and exists (
                   select from incoming as earlier
                   where earlier.place < incoming.place
                     and (earlier.seq = incoming.seq or earlier.mutation_id = incoming.mutation_id)
               ) as is_twin,
               case
                   when same_seq.client_id is null and incoming.seq <= known_floor then 'trimmed'
                   when seen.client_id is null and holdfast.is_trimmed(incoming.mutation, inherited_floor, inherited_before) then 'trimmed'
                   when same_seq.mutation_id <> incoming.mutation_id then 'seq reused'
                   when not seen.is_own then 'id reused'
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
               same_seq.client_id is not null as has_row,
               seen.verdict as seen_verdict,
               seen.result as seen_result,
               seen.error as seen_error,
               seen.row_version as seen_row_version
        from incoming
        left join lateral (
            select former.client_id, former.mutation_id
            from holdfast.ledger as former
            where former.client_id = batch_client and former.seq = incoming.seq
            offset 0
        ) as same_seq on true
        left join lateral (
            select former.*, of_own.is_own
            from holdfast.ledger as former
            -- a user's other devices count as this one: a queue may move from one to another
            cross join lateral (select former.client_id = batch_client or exists (
                select from holdfast.clients as mine
                where mine.client_id = former.client_id and mine.workspace_id = caller_workspace and mine.actor = caller
            ) as is_own) as of_own
            where former.mutation_id = incoming.mutation_id
            -- someone else's above all, then the row of this very number, then an effect, then the latest refusal
            order by of_own.is_own, former.seq = incoming.seq desc,
                     former.verdict = 'applied' desc, former.generation desc
            limit 1
        ) as seen on true
    ), answered as (
        select compared.place, compared.shape,
               case when compared.is_twin then 'deferred' when compared.finding = 'new' then 'new' else 'known' end as standing,
               case when not compared.is_twin and compared.finding <> 'new' then
                   jsonb_build_object('seq', compared.seq, 'id', compared.mutation -> 'id') || case compared.finding
                       when 'trimmed' then case
                           when refused.code is null then
                               jsonb_build_object('kind', 'duplicate', 'verdict', 'applied', 'result', null)
                           else jsonb_build_object('kind', 'duplicate', 'verdict', 'rejected', 'error', jsonb_build_object(
                               'category', refused.category, 'code', refused.code,
                               'message', 'The server refused this change; its words are not kept that long.',
                               'hint', 'Retry it to hear them again, or make the change anew.'))
                       end
                       when 'seq reused' then jsonb_build_object('kind', 'rejected', 'error', holdfast.wire_error('HF037',
                           'This sequence number was used by another change of this device.',
                           'The device was restored from a backup or copied: it must register as a new client.'))
                       when 'id reused' then jsonb_build_object('kind', 'rejected', 'error', holdfast.wire_error('HF036',
                           'This id was used by another change.', 'Make the change again under a new id.'))
                       else jsonb_build_object('kind', 'duplicate', 'verdict', compared.seen_verdict)
                           || case compared.seen_verdict
                               when 'applied' then jsonb_build_object('result', compared.seen_result)
                                   || holdfast.row_version_field(compared.seen_row_version)
                                   || case when compared.mutation ->> 'type' <> 'holdfast.atomic' or compared.seen_result is null
                                       then '{}'
                                       else jsonb_build_object('memberRows',
                                           holdfast.member_rows(compared.mutation, compared.seen_result::jsonb)) end
                               else jsonb_build_object('error', compared.seen_error)
                           end
                   end
               end as outcome,
               compared.after_seq is null or compared.after_seq <= known_floor
                   or holdfast.is_settled(batch_client, compared.after_seq) as after_settled,
               compared.seq, compared.has_row
        from compared
        left join lateral (
            select refusal.category, refusal.code
            from holdfast.old_refusals as refusal
            join holdfast.clients as mine on mine.client_id = refusal.client_id
            where compared.finding = 'trimmed' and compared.seen_verdict is distinct from 'applied'
              and refusal.mutation_id = compared.mutation_id
              and mine.workspace_id = caller_workspace and mine.actor = caller
        ) as refused on true
    ), noted as (
        insert into holdfast.told_numbers (client_id, seq)
        select batch_client, answered.seq
        from answered
        where answered.standing = 'known' and not answered.has_row and answered.seq > known_floor
        on conflict do nothing
    )
    select array_agg(answered.standing order by answered.place), array_agg(answered.outcome order by answered.place),
           array_agg(answered.after_settled order by answered.place),
           array_agg(case when answered.standing = 'new' then answered.shape end order by answered.place),
           false
    into standings, outcomes, after_settled, shapes, is_one_run
    from answered;
end
$$;

-- Security definer: clients belong to the owner alone. Only of the client that this transaction has begun a batch for.
create or replace function holdfast.go_alone(batch_client uuid)
returns void
language sql
volatile
security definer
set search_path = ''
begin atomic
    update holdfast.clients as own set goes_alone = true
    where own.client_id = batch_client and own.transaction_id = pg_current_xact_id()
      and own.workspace_id = holdfast.workspace() and own.actor = holdfast.actor();
end;

-- For who takes mutations one at a time (begin_handler).
create or replace function holdfast.begin_batch(batch jsonb)
returns table (
    place         integer,
    mutation      jsonb,
    seq           bigint,
    mutation_id   uuid,
    generation    integer,
    after_seq     bigint,
    payload_hash  bigint,
    standing      text,
    outcome       jsonb,
    after_settled boolean
)
language sql
volatile
security invoker
set search_path = ''
begin atomic
    select each.place::integer, each.mutation, each.seq, each.mutation_id, each.generation, each.after_seq, each.payload_hash,
           each.standing, each.outcome, each.after_settled
    from holdfast.take_batch(batch) as taken
    cross join lateral unnest(taken.mutations, taken.seqs, taken.mutation_ids, taken.generations, taken.after_seqs,
        taken.payload_hashes, taken.standings, taken.outcomes, taken.after_settled) with ordinality
        as each (mutation, seq, mutation_id, generation, after_seq, payload_hash, standing, outcome, after_settled, place);
end;

-- Whether a change that failed has been settled since take_batch looked, by another client of the caller's: then it failed because it had
-- taken effect, or was about to, and the ledger tells the next time. Security definer: the ledger belongs to the owner.
create or replace function holdfast.is_settled_meanwhile(of_mutation uuid)
returns boolean
language sql
volatile
security definer
set search_path = ''
return exists (
    select from holdfast.ledger as settled
    join holdfast.clients as mine on mine.client_id = settled.client_id
    where settled.mutation_id = of_mutation and settled.verdict = 'applied'
      and mine.workspace_id = holdfast.workspace() and mine.actor = holdfast.actor()
);

-- Security definer: nobody writes the ledger but the owner. Rows are accepted for the client that this transaction has
-- begun a batch for, as the caller who owns it. "members" are the places in the arrays to record; null for all. Without
-- generations or rebases there are none.
create or replace function holdfast.record_verdicts(
    batch_client uuid,
    members integer[],
    seqs bigint[],
    mutation_ids uuid[],
    generations integer[],
    payload_hashes bigint[],
    batch_verdict text,
    results json[],
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
    if batch_verdict = 'applied' then
        -- an effect without its row must not stand: if the id was taken meanwhile, this fails, and with it the effect
        insert into holdfast.ledger
            (client_id, seq, workspace_id, mutation_id, generation, payload_hash, verdict, result, row_version, rebases)
        select batch_client, told.seq, batch_workspace, told.mutation_id, coalesce(told.generation, 0), told.payload_hash, 'applied',
               told.result, told.row_version, coalesce(told.rebases, 0)
        from unnest(seqs, mutation_ids, generations, payload_hashes, results, row_versions, record_verdicts.rebases)
            with ordinality as told (seq, mutation_id, generation, payload_hash, result, row_version, rebases, place)
        where members is null or told.place = any (members);
    else
        -- a refusal without one is only told again
        insert into holdfast.ledger
            (client_id, seq, workspace_id, mutation_id, generation, payload_hash, verdict, error, rebases)
        select batch_client, told.seq, batch_workspace, told.mutation_id, told.generation, told.payload_hash, 'rejected',
               told.error, coalesce(told.rebases, 0)
        from unnest(seqs, mutation_ids, generations, payload_hashes, errors, record_verdicts.rebases)
            with ordinality as told (seq, mutation_id, generation, payload_hash, error, rebases, place)
        where told.place = any (members)
        on conflict do nothing;
    end if;
end
$$;

revoke all on function
    holdfast.run_shape(jsonb), holdfast.take_batch(jsonb),
    holdfast.begin_batch(jsonb), holdfast.go_alone(uuid), holdfast.is_settled_meanwhile(uuid),
    holdfast.record_verdicts(uuid, integer[], bigint[], uuid[], integer[], bigint[], text, json[], jsonb[], bigint[], integer[])
from public;
grant execute on function
    holdfast.take_batch(jsonb), holdfast.begin_batch(jsonb), holdfast.go_alone(uuid), holdfast.is_settled_meanwhile(uuid),
    holdfast.record_verdicts(uuid, integer[], bigint[], uuid[], integer[], bigint[], text, json[], jsonb[], bigint[], integer[])
to authenticated;

reset role;
