-- Mutations that come together and are alike (a run) are carried out in one statement: creations, updates and deletions. What the
-- client has acknowledged is told by a mark a day and no longer by a rewrite of every ledger row.
-- Needs 0001 to 0021. Running it twice changes nothing.

set role holdfast_owner;

-- Where a client's floor stood at the end of a day. Ledger rows are written once and never again.
create table if not exists holdfast.floor_marks (
    client_id uuid   not null references holdfast.clients,
    -- in UTC
    day       date   not null,
    floor     bigint not null,
    primary key (client_id, day)
) with (fillfactor = 70);
-- serves trim_ledger
create index if not exists floor_marks_by_day on holdfast.floor_marks using brin (day);
alter table holdfast.floor_marks enable row level security;
revoke all on holdfast.floor_marks from public;
insert into holdfast.floor_marks (client_id, day, floor)
select known.client_id, (known.last_seen_at at time zone 'UTC')::date, known.floor
from holdfast.clients as known
where known.floor > 0
on conflict do nothing;

-- a row that is changed with every batch must not stand in an index by what changes; operators ask for these clients now and then
drop index if exists holdfast.clients_unsent;
-- served trim_ledger, which now finds rows by client and number
drop index if exists holdfast.ledger_by_age;
alter table holdfast.ledger reset (fillfactor);
do $$
begin
    -- a name of our own, so that a failure of theirs is known from that of an app's table
    if exists (select from pg_catalog.pg_constraint where conname = 'ledger_pkey' and conrelid = 'holdfast.ledger'::regclass) then
        alter table holdfast.ledger rename constraint ledger_pkey to holdfast_ledger_number_once;
        alter table holdfast.ledger rename constraint ledger_mutation_once to holdfast_ledger_mutation_once;
    end if;
end
$$;

create or replace function holdfast.trim_ledger(
    keep interval default interval '30 days',
    at timestamptz default now()
)
returns bigint
language sql
volatile
set search_path = ''
begin atomic
    with passed as (
        delete from holdfast.floor_marks as mark
        where mark.day < ((at - keep) at time zone 'UTC')::date
        returning mark.client_id, mark.floor
    ), acknowledged as (
        select passed.client_id, max(passed.floor) as floor from passed group by passed.client_id
    ), trimmed as (
        delete from holdfast.ledger as old
        using acknowledged
        where old.client_id = acknowledged.client_id and old.seq <= acknowledged.floor
        returning 1
    )
    select count(*) from trimmed;
end;

comment on function holdfast.trim_ledger(interval, timestamptz) is
    'Deletes ledger rows whose client acknowledged them longer than "keep" ago (up to a day more), and says how many. '
    'Deduplication does not suffer: the floor of the client is above them. For operators and schedulers only.';

-- As in 0016, written so that nothing is copied before it is hashed: the text is the same.
create or replace function holdfast.payload_hash(mutation jsonb)
returns bytea
language sql
stable
-- the text of a jsonb value is canonical: one spelling whatever the order of keys or the blanks were
return sha256(convert_to(
    '[' || (mutation -> 'type')::text
    || ', ' || coalesce((coalesce(mutation -> 'original', mutation) -> 'operation')::text, 'null')
    || ', ' || coalesce((coalesce(mutation -> 'original', mutation) #> '{entity,table}')::text, 'null')
    || ', ' || coalesce((coalesce(mutation -> 'original', mutation) #> '{entity,id}')::text, 'null')
    || ', ' || coalesce((coalesce(mutation -> 'original', mutation) -> 'payload')::text, 'null')
    || coalesce(', ' || (coalesce(mutation -> 'original', mutation) -> 'encoding')::text, '')
    || ']', 'UTF8'));

-- What two mutations must have in common to go in one statement: what they do to which table, by which guards, and the fields that
-- they set. Null for what goes alone: it stands for another one, is only asked about, is made of a patch, or is large.
create or replace function holdfast.run_shape(
    type text, operation text, entity jsonb, payload jsonb, fields text[], has_base boolean, has_time boolean, is_special boolean
)
returns text
language sql
stable
return case
    when operation in ('create', 'update', 'delete') and not is_special and not (operation = 'create' and has_base)
        and type <> 'holdfast.atomic'
        -- text is at most six times as long as what it is kept as, so this is below the limit of a payload
        and pg_column_size(payload) < 40000
    then operation || has_base::text || has_time::text || (entity -> 'table')::text || type
        || case when operation <> 'delete' then fields::text else '' end
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
    out shapes text[]
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
    given constant jsonb := batch -> 'mutations';
    given_count integer;
    claimed_floor constant jsonb := coalesce(batch -> 'acknowledgedFloor', '0');
    batch_client uuid;
    known_floor bigint;
    known_high bigint;
    claimed_high constant bigint := case when holdfast.is_counter(batch #> '{client,lastSeq}', 0)
        then (batch #>> '{client,lastSeq}')::numeric::bigint end;
    claimed_unsent constant integer := case when holdfast.is_counter(batch #> '{client,unsentCount}', 0)
        then least((batch #>> '{client,unsentCount}')::numeric, 2147483647)::integer end;
    behind_reason text;
    malformed text;
    -- written as our own clients write them: then most of what has to be known is found in one pass
    are_plain boolean;
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
    if caller_workspace is null or batch #>> '{client,workspaceId}' is distinct from caller_workspace then
        perform holdfast.refuse('FOREIGN_WORKSPACE', 'This login does not belong to the workspace of the batch.',
            'Sign in to the workspace in which the changes were made.');
    end if;
    -- what has one of these as null is looked at closely
    are_plain := given_count > 0 and not given @? 'strict $[*] ? (@.type() != "object" || @.base == null || @.hlc == null || @.rebases == null
        || @.encoding == null || @.original == null || @.replaces == null || @.unstorable == null || @.outdated == null)';
    if are_plain then
        mutations := array(select jsonb_array_elements(given));
        select -- joined, so that one pattern looks at all of them
               string_agg(item.id #>> '{}', ','), string_agg(item.seq::text, ','),
               string_agg(coalesce(item.after::text, 'null'), ','),
               string_agg(item.base ->> 'rowVersion', ','), string_agg(item.hlc #>> '{}', ','),
               -- as holdfast.payload_hash does it
               array_agg(sha256(convert_to(
                   '[' || item.type::text || ', "' || item.operation || '", ' || (item.entity -> 'table')::text || ', '
                   || (item.entity -> 'id')::text || ', ' || item.payload::text || ']', 'UTF8'))),
               array_agg(holdfast.run_shape(item.type #>> '{}', item.operation, item.entity, item.payload, item.fields,
                   item.base is not null, item.hlc is not null, num_nonnulls(item.replaces, item.unstorable, item.outdated) > 0)),
               -- what is not there at all makes the whole unknown
               bool_and(coalesce(
                   jsonb_typeof(item.id) = 'string' and length(item.id #>> '{}') = 36
                   and jsonb_typeof(item.seq) = 'number' and coalesce(jsonb_typeof(item.after) = 'number', true)
                   and item.generation = '0'
                   and jsonb_typeof(item.type) = 'string' and length(item.type #>> '{}') between 1 and 200
                   and item.operation in ('create', 'update', 'delete', 'custom')
                   and jsonb_typeof(item.payload) = 'object'
                   and jsonb_typeof(item.entity -> 'table') = 'string' and jsonb_typeof(item.entity -> 'id') = 'string'
                   and length(item.entity ->> 'id') between 1 and 200
                   and coalesce(jsonb_typeof(item.base -> 'rowVersion') = 'number', item.base is null)
                   and coalesce(jsonb_typeof(item.hlc) = 'string' and strpos(item.hlc #>> '{}', ',') = 0, true)
                   and num_nonnulls(item.rebases, item.encoding, item.original) = 0, false))
        into listed_ids, listed_seqs, listed_afters, listed_bases, listed_times, payload_hashes, shapes, are_plain
        from (
            select parts.*, case when jsonb_typeof(parts.payload) = 'object'
                then array(select jsonb_object_keys(parts.payload)) end as fields
            from jsonb_to_recordset(given) as parts (
                id jsonb, seq jsonb, after jsonb, generation jsonb, type jsonb, operation text, entity jsonb, payload jsonb,
                base jsonb, hlc jsonb, rebases jsonb, encoding jsonb, original jsonb, replaces jsonb, unstorable jsonb,
                outdated jsonb)
        ) as item;
        are_plain := are_plain
            and listed_ids ~ '^([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}(,|$))*$'
            and listed_seqs ~ '^([1-9][0-9]{0,14}(,|$))*$'
            and listed_afters ~ '^((null|[1-9][0-9]{0,14})(,|$))*$'
            and coalesce(listed_bases ~ '^([0-9]{1,15}(,|$))*$', true)
            and coalesce(listed_times ~ '^([0-9a-f]{12}-[0-9a-f]{4}-[0-9a-z-]{1,36}(,|$))*$', true);
    end if;
    if are_plain then
        mutation_ids := string_to_array(listed_ids, ',')::uuid[];
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
    select own.floor, own.high_seq into known_floor, known_high from holdfast.clients as own
    where own.client_id = batch_client and own.workspace_id = caller_workspace and own.actor = caller
    for update;
    if not found then
        insert into holdfast.workspaces (workspace_id) values (caller_workspace) on conflict do nothing;
        insert into holdfast.clients (client_id, workspace_id, actor, transaction_id)
        values (batch_client, caller_workspace, caller, pg_current_xact_id())
        on conflict do nothing;
        select own.floor, own.high_seq into known_floor, known_high from holdfast.clients as own
        where own.client_id = batch_client and own.workspace_id = caller_workspace and own.actor = caller
        for update;
        if not found then
            perform holdfast.refuse('FOREIGN_CLIENT', 'This client id belongs to another login.',
                'A client keeps to one user and one workspace; make a new client id for this login.');
        end if;
    end if;

    -- Hardly ever is any of them known, or twice in the batch; then nothing has to be asked of each. Each look is by an index,
    -- whatever the planner believes of the table.
    select min(listed.seq), max(listed.seq),
           count(distinct listed.seq) < count(*) or count(distinct listed.mutation_id) < count(*)
    into first_seq, last_seq, are_twins_there
    from unnest(seqs, mutation_ids) as listed (seq, mutation_id);
    is_any_known := (
        select max(settled.seq) from holdfast.ledger as settled
        where settled.client_id = batch_client and settled.seq between first_seq and last_seq
    ) is not null or exists (
        select from unnest(mutation_ids) as wanted (mutation_id)
        cross join lateral (
            select from holdfast.ledger as former where former.mutation_id = wanted.mutation_id limit 1
        ) as found
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
    if claimed_floor::bigint > known_floor then
        known_floor := claimed_floor::bigint;
        insert into holdfast.floor_marks as mark (client_id, day, floor)
        values (batch_client, (now() at time zone 'UTC')::date, known_floor)
        on conflict on constraint floor_marks_pkey do update set floor = excluded.floor;
    end if;
    update holdfast.clients as own
    set floor = known_floor, last_seen_at = now(), transaction_id = pg_current_xact_id(),
        high_seq = greatest(own.high_seq, claimed_high), unsent_count = coalesce(claimed_unsent, own.unsent_count)
    where own.client_id = batch_client;

    if are_plain and first_seq > known_floor and not are_twins_there and not is_any_known then
        generations := array_fill(0, array[given_count]);
        rebases := generations;
        standings := array_fill('new'::text, array[given_count]);
        outcomes := array_fill(null::jsonb, array[given_count]);
        select array_agg(nullif(item.after_seq, 'null')::bigint order by item.place),
               array_agg(item.after_seq = 'null' or item.after_seq::bigint <= known_floor or (
                   item.after_seq::bigint not between first_seq and last_seq and coalesce((
                       select true from holdfast.ledger as before
                       where before.client_id = batch_client and before.seq = item.after_seq::bigint
                   ), false)) order by item.place)
        into after_seqs, after_settled
        from unnest(string_to_array(listed_afters, ',')) with ordinality as item (after_seq, place);
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
           array_agg(case when answered.standing = 'new' and jsonb_typeof(answered.mutation -> 'entity') = 'object'
               then holdfast.run_shape(
                   answered.mutation ->> 'type', answered.mutation ->> 'operation', answered.mutation -> 'entity',
                   answered.mutation -> 'payload', array(select jsonb_object_keys(answered.mutation -> 'payload')),
                   answered.mutation ? 'base', answered.mutation ? 'hlc',
                   answered.mutation ?| array['encoding', 'replaces', 'unstorable', 'outdated'])
               end order by answered.place)
    into generations, after_seqs, payload_hashes, rebases, standings, outcomes, after_settled, shapes
    from answered;
end
$$;

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

-- As in 0013, but for an id that was taken between the look at the ledger and the row in it.
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

-- As in 0006, from arrays that are read side by side.
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
        where told.place = any (members);
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

-- The last place of the run of each mutation; its own place where it goes alone. In a run each row is named once.
create or replace function holdfast.run_ends(shapes text[], mutations jsonb[])
returns integer[]
language sql
stable
set search_path = ''
begin atomic
    with listed as (
        select each.place, each.shape, each.mutation #>> '{entity,table}' as entity_table,
               each.mutation #>> '{entity,id}' as entity_id
        from unnest(shapes, mutations) with ordinality as each (shape, mutation, place)
    ), bounded as (
        select listed.place,
               listed.shape is null or listed.shape is distinct from lag(listed.shape) over by_place
                   or row_number() over (partition by listed.entity_table, listed.entity_id order by listed.place) > 1
                   as is_first
        from listed
        window by_place as (order by listed.place)
    ), numbered as (
        select bounded.place, count(*) filter (where bounded.is_first) over (order by bounded.place) as run from bounded
    ), ended as (
        select numbered.place, max(numbered.place) over (partition by numbered.run) as run_end from numbered
    )
    select array_agg(ended.run_end::integer order by ended.place) from ended;
end;

-- The type of a column, to be cast to as it is written into it: what is too long for it is refused and not cut.
create or replace function holdfast.type_of(target regclass, column_name name)
returns text
language sql
stable
set search_path = ''
return (
    select pg_catalog.format_type(attribute.atttypid, -1)
    from pg_catalog.pg_attribute as attribute
    where attribute.attrelid = target and attribute.attname = column_name
);

-- An expression that tells triggers what they may ask for before it answers the value.
create or replace function holdfast.noting(notices text[], value text)
returns text
language sql
immutable
set search_path = ''
return case when cardinality(notices) = 0 then value
    else format('case when %s is not null then %s end', array_to_string(notices, ' || '), value) end;

-- Carries out several mutations of one shape in one statement, as the caller, or answers null where they have to go one by one.
-- All take effect or it raises; whose fault that was is not known then.
--
-- Names in the statement come from the registry only; every value is bound. What triggers may ask for is set while each row is
-- computed, which is just before its "before" triggers run; "after" triggers run when all are done, and find the map from row to
-- mutation instead.
create or replace function holdfast.perform_run(
    mutations jsonb[], mutation_ids uuid[], out results jsonb[], out row_versions bigint[]
)
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
    -- a clock that runs ahead wins by no more than this
    clock_ahead_max constant interval := interval '1 minute';
    operation constant text := mutations[1] ->> 'operation';
    payload constant jsonb := mutations[1] -> 'payload';
    has_base constant boolean := mutations[1] ? 'base';
    has_stamp constant boolean := mutations[1] ? 'hlc';
    workspace constant text := holdfast.workspace();
    registered holdfast.registered_tables%rowtype;
    assigned text[];
    has_triggers boolean;
    has_late_triggers boolean;
    stamp constant text := 'least((holdfast_given.holdfast_mutation ->> ''hlc'') collate "C", $5 collate "C")';
    -- what is told to triggers, as expressions
    notices text[];
    given text;
    finds text;
    statement text;
begin
    select known.* into registered
    from holdfast.registered_tables as known
    where known.entity_type = mutations[1] #>> '{entity,table}'
      and (not has_base or known.version_column is not null)
      and (not has_stamp or known.clock_column is not null)
      -- where an event is there already, the row that stands for it has to be looked up
      and (operation <> 'create' or (known.event_key is null and not exists (
          select from holdfast.near_events as tolerant where tolerant.target = known.target)))
      and not exists (select from holdfast.handlers as handled where handled.type = mutations[1] ->> 'type');
    if registered.target is null then
        return;
    end if;
    if operation <> 'delete' then
        assigned := array(
            select field.key from jsonb_object_keys(payload) as field (key) where field.key <> registered.id_column);
        if not assigned <@ registered.columns or (operation = 'update' and assigned = '{}') then
            return;
        end if;
    end if;
    -- 1: for each row, 2: before, 4: insert, 8: delete, 16: update
    select coalesce(bool_or(app.tgtype::integer & 3 <> 3), false), count(*) > 0
    into has_late_triggers, has_triggers
    from pg_catalog.pg_trigger as app
    where app.tgrelid = registered.target and not app.tgisinternal and app.tgenabled <> 'D'
      and app.tgtype::integer & case operation when 'create' then 4 when 'delete' then 8 else 16 end <> 0
      and not starts_with(app.tgname, 'holdfast_');
    -- they find the mutation only when it goes alone
    if (has_late_triggers and operation = 'update') or (has_triggers and operation = 'delete') then
        return;
    end if;
    if operation <> 'delete' and payload ? registered.id_column and exists (
        select from unnest(mutations) as each_one (mutation)
        where each_one.mutation -> 'payload' ->> registered.id_column is distinct from each_one.mutation #>> '{entity,id}'
    ) then
        return;
    end if;
    notices := array_remove(array[
        case when has_stamp then 'set_config(''holdfast.hybrid_time'', ' || stamp || ', true)' end,
        case when has_triggers and not has_late_triggers
            then 'set_config(''holdfast.mutation_id'', holdfast_given.holdfast_mutation_id::text, true)' end], null);
    perform set_config('holdfast.mutation_ids', (
            select json_object_agg(each_one.mutation #>> '{entity,id}', each_one.mutation_id)
            from unnest(mutations, mutation_ids) as each_one (mutation, mutation_id))::text, true),
        set_config('holdfast.mutation_id', '', true), set_config('holdfast.hybrid_time', '', true);
    given := format('unnest($1, $2) with ordinality as holdfast_given (holdfast_mutation, holdfast_mutation_id, holdfast_place) '
        'cross join lateral jsonb_populate_record(null::%s, %s) as holdfast_value',
        registered.target,
        case when operation = 'create' then 'holdfast_given.holdfast_mutation -> ''payload'''
        else format('%s jsonb_build_object(%L, holdfast_given.holdfast_mutation #> ''{entity,id}'', %L, $3)',
            case when operation = 'update' then '(holdfast_given.holdfast_mutation -> ''payload'') ||' end,
            registered.id_column, registered.workspace_column) end);
    finds := format('holdfast_row.%1$I = holdfast_value.%1$I and holdfast_row.%2$I = holdfast_value.%2$I',
        registered.id_column, registered.workspace_column);
    -- of two edits made apart the later one wins; one that was made on the very row is later than it
    if has_base or has_stamp then
        finds := finds || format(' and (%s or %s)',
            case when has_base then format('holdfast_row.%I = '
                '(holdfast_given.holdfast_mutation #>> ''{base,rowVersion}'')::numeric::bigint', registered.version_column)
                else 'false' end,
            case when has_stamp then format('coalesce(holdfast_row.%I, '''') < %s collate "C"',
                registered.clock_column, stamp) else 'false' end);
    end if;
    if operation = 'create' then
        statement := format(
            'insert into %1$s as holdfast_row (%2$I, %3$I%4$s) '
            'select %5$s, $3::%8$s%6$s from %7$s '
            'returning to_jsonb(holdfast_row.*) as image',
            registered.target, registered.id_column, registered.workspace_column,
            (select string_agg(format(', %I', name), '') from unnest(assigned) as name),
            holdfast.noting(notices, '(holdfast_given.holdfast_mutation #>> ''{entity,id}'')::'
                || holdfast.type_of(registered.target, registered.id_column)),
            (select string_agg(format(', holdfast_value.%I', name), '') from unnest(assigned) as name),
            given, holdfast.type_of(registered.target, registered.workspace_column));
    elsif operation = 'update' then
        statement := format(
            'update %1$s as holdfast_row set %2$s from %3$s where %4$s '
            'returning holdfast_given.holdfast_place as place, to_jsonb(holdfast_row.*) as image',
            registered.target,
            (select string_agg(format('%I = %s', each.name, case each.place
                 when 1 then holdfast.noting(notices, format('holdfast_value.%I', each.name))
                 else format('holdfast_value.%I', each.name) end), ', ')
             from unnest(assigned) with ordinality as each (name, place)),
            given, finds);
    else
        statement := format(
            'delete from %1$s as holdfast_row using %2$s where %3$s '
            'returning holdfast_given.holdfast_place as place, null::jsonb as image',
            registered.target, given, finds);
    end if;
    -- what is inserted is told in the order in which it came
    execute format('with made as (%1$s) select array_agg(made.image%2$s), array_agg((made.image ->> $4)::bigint%2$s) from made',
        statement, case when operation <> 'create' then ' order by made.place' end)
    using mutations, mutation_ids, workspace, registered.version_column,
        holdfast.hybrid_time(clock_timestamp() + clock_ahead_max)
    into results, row_versions;
    -- a row is not there, or is another than the edit was made on, or a trigger of the app's left it out
    if cardinality(results) is distinct from cardinality(mutations) then
        perform holdfast.refuse_stray_row();
    end if;
end
$$;

-- As in 0009, but that a run goes in one statement. Where that fails, all go one by one in what is left of this call, which tells
-- whose failure it was. "told" are the outcomes, as text that nobody has to read; noteworthy is a batch in which something was not
-- simply applied.
create or replace function holdfast.apply_mutations(batch jsonb, out told text, out is_noteworthy boolean)
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
    shapes text[];
    -- the last place of the run that each begins or belongs to
    run_ends integer[];
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
    select taken.mutations, taken.seqs, taken.mutation_ids, taken.generations, taken.after_seqs, taken.payload_hashes,
           taken.rebases, taken.standings, taken.outcomes, taken.after_settled, taken.shapes
    into mutations, seqs, ids, generations, afters, hashes, rebases, standings, outcomes, after_settled, shapes
    from holdfast.take_batch(batch) as taken;
    mutation_count := cardinality(mutations);
    settled := '{}';
    if 'known' = any (standings) then
        settled := array(
            select each_one.seq from unnest(seqs, standings) as each_one (seq, standing) where each_one.standing = 'known');
    end if;
    results := array_fill(null::jsonb, array[mutation_count]);
    errors := results;
    row_versions := array_fill(null::bigint, array[mutation_count]);
    run_ends := case
        when mutation_count > 1 and (
            select count(each_one.shape) = mutation_count and min(each_one.shape collate "C") = max(each_one.shape collate "C")
               and count(distinct each_one.mutation #>> '{entity,id}' collate "C") = mutation_count
            from unnest(shapes, mutations) as each_one (shape, mutation)
        ) then array_fill(mutation_count, array[mutation_count])
        else holdfast.run_ends(shapes, mutations)
    end;
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
                if is_together and place < last_place and run_ends[place] > place then
                    group_end := least(run_ends[place], last_place);
                    -- as far as what each comes after is settled by now, or by then
                    select coalesce(place + min(other.index)::integer - 2, group_end) into group_end
                    from unnest(after_settled[place:group_end], afters[place:group_end]) with ordinality
                        as other (after_settled, after_seq, index)
                    where other.index > 1 and not (other.after_settled or coalesce(
                        other.after_seq = any (settled || seqs[place:place + other.index::integer - 2]), false));
                    if group_end > place then
                        select * into performed_together
                        from holdfast.perform_run(mutations[place:group_end], ids[place:group_end]) as performing;
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
            is_noteworthy := true;
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
            is_noteworthy := true;
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

    is_noteworthy := coalesce(is_noteworthy, false) or ('known' = any (standings) and exists (
        select from unnest(outcomes) as known (outcome) where known.outcome ->> 'kind' = 'rejected'));
    told := concat('[', (
        select string_agg(case
            when done.place is not null then concat(
                '{"seq": ', each_one.seq, ', "id": ', each_one.mutation -> 'id', ', "kind": "applied", "result": ',
                coalesce(each_one.result, 'null'), ', "rowVersion": ' || each_one.row_version, '}')
            when each_one.outcome is not null then each_one.outcome::text
            else concat('{"seq": ', each_one.seq, ', "id": ', each_one.mutation -> 'id', ', "kind": "deferred"}')
        end, ', ' order by each_one.place)
        from unnest(mutations, seqs, results, row_versions, outcomes) with ordinality
            as each_one (mutation, seq, result, row_version, outcome, place)
        left join unnest(applied) as done (place) on done.place = each_one.place
    ), ']');
end
$$;

-- A batch as in 0020, answered as text. A server that was rewound carries out nothing for a client that does not know yet: the
-- client first sends again what this server may have forgotten (see 0012).
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
    notice text;
begin
    if batch ? 'epoch' and batch ->> 'epoch' is distinct from epoch then
        -- whose it is, and whether it is well formed; but its floor speaks of what may be forgotten here
        perform holdfast.apply_mutations(batch || '{"mutations": [], "acknowledgedFloor": 0}');
        select jsonb_agg(jsonb_build_object('seq', mutation.value -> 'seq', 'id', mutation.value -> 'id', 'kind', 'deferred')
                   order by mutation.place)::text as told
        into applied
        from jsonb_array_elements(batch -> 'mutations') with ordinality as mutation (value, place);
    else
        select * into applied from holdfast.apply_mutations(batch);
        if applied.is_noteworthy or batch ? 'telemetry'
            or batch @? '$.mutations[*] ? (exists(@.source) || @.attempt > 1 || @.generation > 0)'
        then
            begin
                perform holdfast.take_notes(batch, applied.told::jsonb);
            exception
                -- notes are not worth a batch
                when query_canceled or others then
                    raise log 'holdfast: no notes were taken of a batch: %', sqlstate;
            end;
        end if;
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

-- As in 0011, but that what an update changed is found without a join for each row.
-- Once per statement, not once per row: bulk writes stay cheap. Arguments: entity type, id column, workspace column.
-- Security definer because nobody but the owner may write the log; it reads only the rows its trigger hands it.
-- Relations are named as no column ever is: to_jsonb(n) would record a column called n.
create or replace function holdfast.write_audit()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
declare
    audit_entity_type constant text := tg_argv[0];
    audit_id_column constant text := tg_argv[1];
    audit_workspace_column constant text := tg_argv[2];
    audit_claims constant jsonb := nullif(current_setting('request.jwt.claims', true), '')::jsonb;
    audit_actor constant text := nullif(audit_claims ->> 'sub', '');
    audit_mutation constant uuid := nullif(current_setting('holdfast.mutation_id', true), '')::uuid;
    -- of a statement that carries out several mutations: which of them each row belongs to
    audit_mutations constant jsonb := nullif(current_setting('holdfast.mutation_ids', true), '')::jsonb;
    audit_client constant uuid := nullif(current_setting('holdfast.client_id', true), '')::uuid;
    -- PostgREST and the door set it: the headers, by names in lower case
    audit_headers constant jsonb := nullif(current_setting('request.headers', true), '')::jsonb;
    audit_peer constant text := nullif(current_setting('holdfast.peer_address', true), '');
    audit_ip text;
    audit_agent text;
begin
    if audit_headers is not null or audit_peer is not null then
        audit_ip := holdfast.address_of(audit_headers ->> 'x-forwarded-for', audit_peer,
            (select known.trusted_hops from holdfast.settings as known));
        audit_agent := left(audit_headers ->> 'user-agent', 300);
    end if;
    if tg_op = 'INSERT' then
        insert into holdfast.audit_log
            (workspace_id, actor, action, entity_type, entity_id, new_values, mutation_id, client_id, ip, user_agent)
        select after_image.image ->> audit_workspace_column, audit_actor,
               case when current_setting('holdfast.is_restoring', true) = 'on' then 'restore' else 'create' end,
               audit_entity_type, after_image.image ->> audit_id_column, after_image.image,
               case when audit_mutations is null then audit_mutation else coalesce(
                   (audit_mutations ->> (after_image.image ->> audit_id_column))::uuid, holdfast.refuse_stray_row()) end,
               audit_client, audit_ip, audit_agent
        from (select to_jsonb(holdfast_new_rows.*) as image from holdfast_new_rows offset 0) as after_image;
    elsif tg_op = 'DELETE' then
        insert into holdfast.audit_log
            (workspace_id, actor, action, entity_type, entity_id, old_values, mutation_id, client_id, ip, user_agent)
        select before_image.image ->> audit_workspace_column, audit_actor, 'delete', audit_entity_type,
               before_image.image ->> audit_id_column, before_image.image,
               case when audit_mutations is null then audit_mutation else coalesce(
                   (audit_mutations ->> (before_image.image ->> audit_id_column))::uuid, holdfast.refuse_stray_row()) end,
               audit_client, audit_ip, audit_agent
        from (select to_jsonb(holdfast_old_rows.*) as image from holdfast_old_rows offset 0) as before_image;
    else
        -- both lists are in the order the rows were updated, so numbering pairs them even where the key itself changed
        insert into holdfast.audit_log
            (workspace_id, actor, action, entity_type, entity_id, old_values, new_values, changed_fields,
             mutation_id, client_id, ip, user_agent)
        select after_image.image ->> audit_workspace_column, audit_actor, 'update', audit_entity_type,
               after_image.image ->> audit_id_column, difference.old_values, difference.new_values,
               difference.changed_fields,
               case when audit_mutations is null then audit_mutation else coalesce(
                   (audit_mutations ->> (after_image.image ->> audit_id_column))::uuid, holdfast.refuse_stray_row()) end,
               audit_client, audit_ip, audit_agent
        from (
            select to_jsonb(holdfast_old_rows.*) as image, row_number() over () as place from holdfast_old_rows
        ) as before_image
        join (
            select to_jsonb(holdfast_new_rows.*) as image, row_number() over () as place from holdfast_new_rows
        ) as after_image using (place)
        cross join lateral (
            select coalesce(jsonb_object_agg(field.key, before_image.image -> field.key), '{}') as old_values,
                   coalesce(jsonb_object_agg(field.key, field.value), '{}') as new_values,
                   coalesce(array_agg(field.key order by field.key), '{}') as changed_fields
            from jsonb_each(after_image.image) as field
            where before_image.image -> field.key is distinct from field.value
        ) as difference;
    end if;
    return null;
end
$$;

drop function if exists holdfast.apply_batch(jsonb);
drop function if exists holdfast.perform_together(jsonb[]);
drop function if exists holdfast.is_alike(jsonb, jsonb);
drop function if exists holdfast.may_go_together(jsonb);
drop function if exists holdfast.client_notice();
drop function if exists holdfast.is_handled_apart(jsonb[]);
drop function if exists holdfast.is_plainly_formed(jsonb);

revoke all on function
    holdfast.run_shape(text, text, jsonb, jsonb, text[], boolean, boolean, boolean), holdfast.take_batch(jsonb), holdfast.run_ends(text[], jsonb[]),
    holdfast.type_of(regclass, name), holdfast.noting(text[], text),
    holdfast.perform_run(jsonb[], uuid[]), holdfast.apply_mutations(jsonb),
    holdfast.apply_as_text(jsonb)
from public;
grant execute on function
    holdfast.take_batch(jsonb), holdfast.run_ends(text[], jsonb[]),
    holdfast.type_of(regclass, name), holdfast.noting(text[], text),
    holdfast.perform_run(jsonb[], uuid[]), holdfast.apply_mutations(jsonb),
    holdfast.apply_as_text(jsonb)
to authenticated;

reset role;
