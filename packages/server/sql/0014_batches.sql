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
    out payload_hashes bytea[],
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
    caller constant text := holdfast.actor();
    caller_workspace constant text := holdfast.workspace();
    given constant jsonb := batch -> 'mutations';
    given_count integer;
    claimed_floor constant jsonb := coalesce(batch -> 'acknowledgedFloor', '0');
    batch_client uuid;
    known_floor bigint;
    known_high bigint;
    goes_alone boolean;
    claimed_high constant bigint := case when holdfast.is_counter(batch #> '{client,lastSeq}', 0)
        then (batch #>> '{client,lastSeq}')::numeric::bigint end;
    claimed_unsent constant integer := case when holdfast.is_counter(batch #> '{client,unsentCount}', 0)
        then least((batch #>> '{client,unsentCount}')::numeric, 2147483647)::integer end;
    behind_reason text;
    malformed text;
    -- written as our own clients write them: then most of what has to be known is found in one pass
    are_plain boolean;
    -- what the first of them sets, and its shape: hardly ever is another one different
    first_fields text[];
    first_shape text;
    first_type text;
    first_operation text;
    first_table text;
    first_encoding jsonb;
    first_has_base boolean;
    first_has_time boolean;
    are_alike boolean;
    entity_ids text[];
    listed_ids text;
    listed_seqs text;
    listed_afters text;
    listed_bases text;
    listed_times text;
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
    if jsonb_typeof(given) is distinct from 'array' or not holdfast.is_uuid(batch #> '{client,id}')
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
    if caller_workspace is null or batch #>> '{client,workspaceId}' is distinct from caller_workspace then
        perform holdfast.refuse('FOREIGN_WORKSPACE', 'This login does not belong to the workspace of the batch.',
            'Sign in to the workspace in which the changes were made.');
    end if;
    -- earlier clients do not say whose they are
    if batch #>> '{client,userId}' <> caller then
        perform holdfast.refuse('WRONG_LOGIN', 'This login is another user''s than the one who made the changes.',
            'Sign in as that user. The queue''s identity.userId must be the "sub" of its token.');
    end if;
    are_plain := given_count > 0 and coalesce(jsonb_typeof(given #> '{0,payload}') = 'object', false);
    if are_plain then
        first_fields := array(select jsonb_object_keys(given #> '{0,payload}'));
        select holdfast.run_shape(first.mutation), first.mutation ->> 'type', first.mutation ->> 'operation',
               first.mutation #>> '{entity,table}', first.mutation -> 'encoding', first.mutation ? 'base', first.mutation ? 'hlc'
        into first_shape, first_type, first_operation, first_table, first_encoding, first_has_base, first_has_time
        from (select given -> 0 as mutation) as first;
        -- (nothing here may sort, or the lists come in another order)
        select array_agg(item.mutation),
               -- joined, so that one pattern looks at all of them
               string_agg(item.id::text, ','), string_agg(item.seq::text, ','), string_agg(coalesce(item.after::text, 'null'), ','),
               string_agg((item.base -> 'rowVersion')::text, ','), string_agg(item.hlc::text, ','),
               -- as holdfast.payload_hash does it
               array_agg(sha256(convert_to(
                   length(item.type) || ' ' || item.type || item.operation || length(item.entity_table) || ' ' || item.entity_table
                   || length(item.entity_id) || ' ' || item.entity_id || item.payload::text
                   || coalesce(item.encoding::text, ''), 'UTF8'))),
               -- as holdfast.run_shape does it
               bool_and(item.type = first_type and item.operation = first_operation
                   and item.entity_table = first_table
                   and item.encoding is not distinct from first_encoding
                   and (item.encoding is null or not item.payload @? 'strict $.* ? (@.type() == "object")')
                   and (item.base is not null) = first_has_base and (item.hlc is not null) = first_has_time
                   and (item.operation = 'delete' or (item.payload ?& first_fields and item.payload - first_fields = '{}'))
                   and pg_column_size(item.payload) < 40000
                   and item.replaces is null and item.unstorable is null and item.outdated is null),
               array_agg(item.entity_id),
               -- what is not there at all, or of another type, makes the whole unknown
               bool_and(coalesce(
                   item.generation = '0' and length(item.type) between 1 and 200
                   and item.operation in ('create', 'update', 'delete', 'custom')
                   and item.id is not null and item.seq is not null and item.payload is not null and item.entity_table is not null
                   and length(item.entity_id) between 1 and 200 and (item.base is null or item.base -> 'rowVersion' is not null)
                   and (item.encoding is null or (
                       item.encoding in ('"mergePatch"', '"jsonPatch"') and item.base is not null and item.operation = 'update'))
                   and item.rebases is null and item.original is null, false))
        into mutations, listed_ids, listed_seqs, listed_afters, listed_bases, listed_times, payload_hashes, are_alike,
            entity_ids, are_plain
        from (
            select each.mutation, each.mutation -> 'id' as id, each.mutation -> 'seq' as seq, each.mutation -> 'after' as after,
                   each.mutation -> 'generation' as generation,
                   case when jsonb_typeof(each.mutation -> 'type') = 'string' then each.mutation ->> 'type' end as type,
                   each.mutation ->> 'operation' as operation,
                   case when jsonb_typeof(each.mutation -> 'entity' -> 'table') = 'string'
                       then each.mutation -> 'entity' ->> 'table' end as entity_table,
                   case when jsonb_typeof(each.mutation -> 'entity' -> 'id') = 'string'
                       then each.mutation -> 'entity' ->> 'id' end as entity_id,
                   case when jsonb_typeof(each.mutation -> 'payload') = 'object' then each.mutation -> 'payload' end as payload,
                   each.mutation -> 'base' as base, each.mutation -> 'hlc' as hlc, each.mutation -> 'rebases' as rebases,
                   each.mutation -> 'encoding' as encoding, each.mutation -> 'original' as original,
                   each.mutation -> 'replaces' as replaces, each.mutation -> 'unstorable' as unstorable,
                   each.mutation -> 'outdated' as outdated
            from jsonb_array_elements(given) as each (mutation)
            offset 0 -- taken out once, however often it is asked for
        ) as item;
        are_plain := are_plain
            and listed_ids ~ '^("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"(,|$))*$'
            and listed_seqs ~ '^([1-9][0-9]{0,14}(,|$))*$'
            and listed_afters ~ '^((null|[1-9][0-9]{0,14})(,|$))*$'
            and coalesce(listed_bases ~ '^([0-9]{1,15}(,|$))*$', true)
            and coalesce(listed_times ~ '^("[0-9a-f]{12}-[0-9a-f]{4}-[0-9a-z-]{1,36}"(,|$))*$', true);
    end if;
    if are_plain then
        mutation_ids := string_to_array(replace(listed_ids, '"', ''), ',')::uuid[];
        seqs := string_to_array(listed_seqs, ',')::bigint[];
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
               array_agg((item.value ->> 'seq')::numeric::bigint order by item.place)
        into mutations, mutation_ids, seqs
        from jsonb_array_elements(given) with ordinality as item (value, place);
    end if;

    -- the lock on the client's row is what makes racing senders take turns; it is never taken on a foreign row
    batch_client := (batch #>> '{client,id}')::uuid;
    select own.floor, own.high_seq, own.goes_alone into known_floor, known_high, goes_alone from holdfast.clients as own
    where own.client_id = batch_client and own.workspace_id = caller_workspace and own.actor = caller
    for update;
    if not found then
        insert into holdfast.workspaces (workspace_id) values (caller_workspace) on conflict do nothing;
        insert into holdfast.clients (client_id, workspace_id, actor, transaction_id)
        values (batch_client, caller_workspace, caller, pg_current_xact_id())
        on conflict do nothing;
        select own.floor, own.high_seq, own.goes_alone into known_floor, known_high, goes_alone from holdfast.clients as own
        where own.client_id = batch_client and own.workspace_id = caller_workspace and own.actor = caller
        for update;
        if not found then
            perform holdfast.refuse('FOREIGN_CLIENT', 'This client id belongs to another login.',
                'A client keeps to one user and one workspace; make a new client id for this login.');
        end if;
    end if;

    -- Hardly ever is any of them known, or twice in the batch; then nothing has to be asked of each.
    select min(listed.seq), max(listed.seq),
           count(distinct listed.seq) < count(*) or count(distinct listed.mutation_id) < count(*),
           are_alike and first_shape is not null and count(distinct listed.entity_id collate "C") = count(*)
    into first_seq, last_seq, are_twins_there, is_one_run
    from unnest(seqs, mutation_ids, entity_ids) as listed (seq, mutation_id, entity_id);
    is_any_known := (
        select max(settled.seq) from holdfast.ledger as settled
        where settled.client_id = batch_client and settled.seq between first_seq and last_seq
    ) is not null or exists (
        select from holdfast.ledger as former where former.mutation_id = any (mutation_ids)
    );

    -- Numbers only go up: a client that has given out fewer than it once said was put back to an earlier state, and may give
    -- them out again. Nothing of it is looked at until it has another id.
    behind_reason := case
        when claimed_high < known_high then 'behind'
        when claimed_high is not null and is_any_known and exists (
            select from unnest(seqs, mutation_ids) as item (seq, mutation_id)
            join holdfast.ledger as same_seq on same_seq.client_id = batch_client and same_seq.seq = item.seq
            where same_seq.mutation_id <> item.mutation_id
        ) then 'reused'
    end;
    if behind_reason is not null then
        perform set_config('holdfast.client_notice', jsonb_build_object('behind',
            jsonb_build_object('reason', behind_reason, 'highSeq', known_high))::text, true);
        standings := array_fill('deferred'::text, array[given_count]);
        outcomes := array_fill(null::jsonb, array[given_count]);
        after_settled := array_fill(false, array[given_count]);
        return;
    end if;
    perform set_config('holdfast.client_notice', case when batch #> '{client,forkedFrom}' is null then ''
        else coalesce(holdfast.note_fork(batch_client, batch #> '{client,forkedFrom}')::text, '') end, true);
    if batch #> '{client,forkedFrom}' is not null then
        -- it may have inherited one
        select own.floor into known_floor from holdfast.clients as own where own.client_id = batch_client;
    end if;
    if claimed_floor::bigint > known_floor then
        known_floor := claimed_floor::bigint;
        insert into holdfast.floor_marks as mark (client_id, day, floor)
        values (batch_client, (now() at time zone 'UTC')::date, known_floor)
        on conflict on constraint floor_marks_pkey do update set floor = excluded.floor;
    end if;
    -- for all calls of this transaction, which may be several of one request
    if goes_alone then
        perform set_config('holdfast.goes_alone', batch_client::text, true);
    end if;
    goes_alone := coalesce(current_setting('holdfast.goes_alone', true) = batch_client::text, false);
    update holdfast.clients as own
    set floor = known_floor, last_seen_at = now(), transaction_id = pg_current_xact_id(),
        high_seq = greatest(own.high_seq, claimed_high), unsent_count = coalesce(claimed_unsent, own.unsent_count),
        -- asked for in this transaction, or before it and there was nothing to carry out yet
        goes_alone = own.goes_alone and (own.transaction_id = pg_current_xact_id() or given_count = 0)
    where own.client_id = batch_client;

    are_alike := are_alike and not goes_alone;
    is_one_run := is_one_run and not goes_alone;
    if are_plain and first_seq > known_floor and not are_twins_there and not is_any_known then
        generations := array_fill(0, array[given_count]);
        rebases := generations;
        standings := array_fill('new'::text, array[given_count]);
        outcomes := array_fill(null::jsonb, array[given_count]);
        shapes := case when are_alike then array_fill(first_shape, array[given_count])
            when goes_alone then array_fill(null::text, array[given_count])
            else array(select holdfast.run_shape(each.mutation) from unnest(mutations) with ordinality as each (mutation, place)
                order by each.place) end;
        if listed_afters ~ '[0-9]' then
            select array_agg(nullif(item.after_seq, 'null')::bigint order by item.place),
                   array_agg(item.after_seq = 'null' or item.after_seq::bigint <= known_floor or (
                       item.after_seq::bigint not between first_seq and last_seq and coalesce((
                           select true from holdfast.ledger as before
                           where before.client_id = batch_client and before.seq = item.after_seq::bigint
                       ), false)) order by item.place)
            into after_seqs, after_settled
            from unnest(string_to_array(listed_afters, ',')) with ordinality as item (after_seq, place);
        else
            after_seqs := array_fill(null::bigint, array[given_count]);
            after_settled := array_fill(true, array[given_count]);
        end if;
        return;
    end if;

    with incoming as materialized (
        select item.place, item.value as mutation, item.seq, item.mutation_id,
               coalesce((item.value ->> 'generation')::numeric::integer, 0) as generation,
               (item.value ->> 'after')::numeric::bigint as after_seq,
               holdfast.payload_hash(item.value) as payload_hash,
               coalesce((item.value ->> 'rebases')::numeric::integer, 0) as rebases
        from unnest(mutations, seqs, mutation_ids) with ordinality as item (value, seq, mutation_id, place)
    ), compared as (
        select incoming.*,
               are_twins_there and exists (
                   select from incoming as earlier
                   where earlier.place < incoming.place
                     and (earlier.seq = incoming.seq or earlier.mutation_id = incoming.mutation_id)
               ) as is_twin,
               case
                   when same_seq.client_id is null and incoming.seq <= known_floor then 'trimmed'
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
        select compared.place, compared.generation, compared.after_seq, compared.payload_hash, compared.rebases, compared.mutation,
               case when compared.is_twin then 'deferred' when compared.finding = 'new' then 'new' else 'known' end as standing,
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
                                   || case when compared.mutation ->> 'type' <> 'holdfast.atomic' or compared.seen_result is null
                                       then '{}'
                                       else jsonb_build_object('memberRows',
                                           holdfast.member_rows(compared.mutation, compared.seen_result)) end
                               else jsonb_build_object('error', compared.seen_error)
                           end
                   end
               end as outcome,
               compared.after_seq is null or compared.after_seq <= known_floor or coalesce((
                   select true from holdfast.ledger as before
                   where before.client_id = batch_client and before.seq = compared.after_seq
               ), false) as after_settled
        from compared
    )
    select array_agg(answered.generation order by answered.place), array_agg(answered.after_seq order by answered.place),
           array_agg(answered.payload_hash order by answered.place), array_agg(answered.rebases order by answered.place),
           array_agg(answered.standing order by answered.place), array_agg(answered.outcome order by answered.place),
           array_agg(answered.after_settled order by answered.place),
           array_agg(case when answered.standing = 'new' and not goes_alone
               then holdfast.run_shape(answered.mutation) end order by answered.place),
           false
    into generations, after_seqs, payload_hashes, rebases, standings, outcomes, after_settled, shapes, is_one_run
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
    payload_hash  bytea,
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

-- Security definer: nobody writes the ledger but the owner. Rows are accepted for the client that this transaction has
-- begun a batch for, as the caller who owns it. "members" are the places in the arrays to record.
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
    are_all constant boolean := cardinality(members) = cardinality(seqs);
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
            (client_id, seq, workspace_id, mutation_id, generation, payload_hash, verdict, result, applied_at, row_version, rebases)
        select batch_client, told.seq, batch_workspace, told.mutation_id, told.generation, told.payload_hash, 'applied',
               told.result, now(), told.row_version, coalesce(told.rebases, 0)
        from unnest(seqs, mutation_ids, generations, payload_hashes, results, row_versions, record_verdicts.rebases)
            with ordinality as told (seq, mutation_id, generation, payload_hash, result, row_version, rebases, place)
        where are_all or told.place = any (members);
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
    holdfast.begin_batch(jsonb), holdfast.go_alone(uuid),
    holdfast.record_verdicts(uuid, integer[], bigint[], uuid[], integer[], bytea[], text, jsonb[], jsonb[], bigint[], integer[])
from public;
grant execute on function
    holdfast.take_batch(jsonb), holdfast.begin_batch(jsonb), holdfast.go_alone(uuid),
    holdfast.record_verdicts(uuid, integer[], bigint[], uuid[], integer[], bytea[], text, jsonb[], jsonb[], bigint[], integer[])
to authenticated;

reset role;
