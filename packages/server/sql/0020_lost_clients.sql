-- Clients that were put back to an earlier state, came back empty, or went away with changes unsent. Needs 0001 to 0019.
-- Running it twice changes nothing.
--
-- Each request says how far the numbers of its client have come, and how many changes stay behind on the device. A client whose
-- numbers are lower than it once said must take another id (the answer says so, and looks at nothing): a new change under an old
-- number would pass for the one that was applied. And an id of a mutation that another client of the same user has sent is known.

set role holdfast_owner;

alter table holdfast.clients
    -- the last number it had given out when it was last heard of
    add column if not exists high_seq     bigint  not null default 0,
    -- how many changes stayed on the device then, besides those it was sending; null for a client that does not say
    add column if not exists unsent_count integer,
    -- when it was found out that its store was lost, or put back
    add column if not exists lost_at      timestamptz,
    add column if not exists lost_reason  text,
    -- how many changes were lost with it, as far as can be known
    add column if not exists lost_count   integer,
    -- the client that has taken its place
    add column if not exists replaced_by  uuid;

do $$
begin
    if not exists (select from pg_catalog.pg_constraint where conname = 'clients_lost_whole'
                   and conrelid = 'holdfast.clients'::regclass) then
        alter table holdfast.clients add constraint clients_lost_whole check (
            (lost_at is null) = (lost_reason is null) and (lost_at is null) = (lost_count is null)
            and (lost_at is null) = (replaced_by is null)
        );
        alter table holdfast.clients add constraint clients_lost_reason_known check (lost_reason in ('wiped', 'behind'));
    end if;
end
$$;

-- serves lost_clients
create index if not exists clients_lost on holdfast.clients (lost_at) where lost_at is not null;
create index if not exists clients_unsent on holdfast.clients (last_seen_at) where unsent_count > 0 and lost_at is null;

-- Notes that a client has taken the place of another one of the same user, and answers what was lost with that; null for nothing.
-- Told twice, it answers the same. Called by begin_batch alone, as the owner, for the caller whose claims are set.
create or replace function holdfast.note_fork(batch_client uuid, fork jsonb)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
declare
    former_id uuid;
    reported_unsent constant bigint := case when holdfast.is_counter(fork -> 'unsentCount', 0)
        then (fork ->> 'unsentCount')::numeric::bigint else 0 end;
    restored_seq constant bigint := case when holdfast.is_counter(fork -> 'lastSeq', 0)
        then (fork ->> 'lastSeq')::numeric::bigint end;
    told record;
begin
    if not holdfast.is_uuid(fork -> 'id') or coalesce(fork ->> 'reason', '') not in ('wiped', 'behind') then
        return null;
    end if;
    former_id := (fork ->> 'id')::uuid;
    update holdfast.clients as former
    set lost_at = now(), lost_reason = fork ->> 'reason', replaced_by = batch_client,
        lost_count = least(2147483647, case fork ->> 'reason'
            when 'wiped' then greatest(coalesce(former.unsent_count, 0), reported_unsent)
            -- numbers given out after the state it was put back to, of which no change has come
            else least(coalesce(former.unsent_count, 0), greatest(0,
                former.high_seq - greatest(former.floor, restored_seq) - (
                    select count(*) from holdfast.ledger as settled
                    where settled.client_id = former.client_id and settled.seq > greatest(former.floor, restored_seq))))
        end)::integer
    where former.client_id = former_id and former.client_id <> batch_client and former.lost_at is null
      and former.workspace_id = holdfast.workspace() and former.actor = holdfast.actor();
    select former.client_id, former.lost_reason, former.lost_count into told
    from holdfast.clients as former
    where former.client_id = former_id and former.replaced_by = batch_client
      and former.workspace_id = holdfast.workspace() and former.actor = holdfast.actor();
    if not found then
        return null;
    end if;
    return jsonb_build_object('lost', jsonb_build_object(
        'clientId', told.client_id, 'reason', told.lost_reason, 'unsentCount', told.lost_count));
end
$$;
revoke all on function holdfast.note_fork(uuid, jsonb) from public;

-- As in 0005; what is new are the marks of the client, and that ids of a user's other clients are known.
-- Security definer: clients and ledger belong to the owner alone.
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
    known_high bigint;
    claimed_high constant bigint := case when holdfast.is_counter(batch #> '{client,lastSeq}', 0)
        then (batch #>> '{client,lastSeq}')::numeric::bigint end;
    claimed_unsent constant integer := case when holdfast.is_counter(batch #> '{client,unsentCount}', 0)
        then least((batch #>> '{client,unsentCount}')::numeric, 2147483647)::integer end;
    behind_reason text;
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
    -- Numbers only go up: a client that has given out fewer than it once said was put back to an earlier state, and may give
    -- them out again. Nothing of it is looked at until it has another id.
    select own.high_seq into known_high from holdfast.clients as own where own.client_id = batch_client;
    behind_reason := case
        when claimed_high < known_high then 'behind'
        when claimed_high is not null and exists (
            select from jsonb_array_elements(mutations) as item (value)
            join holdfast.ledger as same_seq
                on same_seq.client_id = batch_client and same_seq.seq = (item.value ->> 'seq')::numeric::bigint
            where same_seq.mutation_id <> (item.value ->> 'id')::uuid
        ) then 'reused'
    end;
    if behind_reason is not null then
        perform set_config('holdfast.client_notice', jsonb_build_object('behind',
            jsonb_build_object('reason', behind_reason, 'highSeq', known_high))::text, true);
        return query
        select item.place::integer, item.value, (item.value ->> 'seq')::numeric::bigint, (item.value ->> 'id')::uuid,
               coalesce((item.value ->> 'generation')::numeric::integer, 0),
               (item.value ->> 'after')::numeric::bigint, null::bytea, 'deferred'::text, null::jsonb, false
        from jsonb_array_elements(mutations) with ordinality as item (value, place)
        order by item.place;
        return;
    end if;
    perform set_config('holdfast.client_notice', coalesce(holdfast.note_fork(batch_client, batch #> '{client,forkedFrom}')::text, ''), true);
    if claimed_floor::bigint > known_floor then
        update holdfast.ledger as settled set acknowledged_at = now()
        where settled.client_id = batch_client
          and settled.seq > known_floor
          and settled.seq <= claimed_floor::bigint;
        known_floor := claimed_floor::bigint;
    end if;
    update holdfast.clients as own
    set floor = known_floor, last_seen_at = now(), transaction_id = pg_current_xact_id(),
        high_seq = greatest(own.high_seq, claimed_high), unsent_count = coalesce(claimed_unsent, own.unsent_count)
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
        left join holdfast.ledger as same_seq
            on same_seq.client_id = batch_client and same_seq.seq = incoming.seq
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

-- What begin_batch has found to say of the client, as a field of the answer; nothing for nothing.
create or replace function holdfast.client_notice()
returns jsonb
language sql
stable
set search_path = ''
return case when coalesce(current_setting('holdfast.client_notice', true), '') = '' then '{}'::jsonb
    else jsonb_build_object('client', current_setting('holdfast.client_notice', true)::jsonb) end;
revoke all on function holdfast.client_notice() from public;
grant execute on function holdfast.client_notice() to authenticated;

-- As in 0017, and with what there is to say of the client.
create or replace function holdfast.apply(batch jsonb)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
    epoch constant text := holdfast.current_epoch();
    answer jsonb;
begin
    if batch ? 'epoch' and batch ->> 'epoch' is distinct from epoch then
        -- whose it is, and whether it is well formed; but its floor speaks of what may be forgotten here
        answer := holdfast.apply_batch(batch || '{"mutations": [], "acknowledgedFloor": 0}');
        return answer || holdfast.client_notice() || jsonb_build_object('epoch', epoch, 'outcomes', coalesce((
            select jsonb_agg(jsonb_build_object('seq', mutation.value -> 'seq', 'id', mutation.value -> 'id', 'kind', 'deferred')
                order by mutation.place)
            from jsonb_array_elements(batch -> 'mutations') with ordinality as mutation (value, place)
        ), '[]'));
    end if;
    answer := holdfast.apply_batch(batch) || holdfast.client_notice();
    if batch ? 'telemetry'
        or answer @? '$.outcomes[*] ? (@.kind == "refused" || @.kind == "rejected" || @.kind == "conflict")'
        or batch @? '$.mutations[*] ? (exists(@.source) || @.attempt > 1 || @.generation > 0)'
    then
        begin
            perform holdfast.take_notes(batch, answer -> 'outcomes');
        exception
            -- notes are not worth a batch
            when query_canceled or others then
                raise log 'holdfast: no notes were taken of a batch: %', sqlstate;
        end;
    end if;
    return answer || jsonb_build_object('epoch', epoch);
end
$$;

-- For operators: whose changes were lost with the store of a device, or wait on one that was not heard of for long.
create or replace function holdfast.lost_clients(
    silent_for interval default interval '7 days',
    at timestamptz default now()
)
returns table (
    client_id    uuid,
    workspace_id text,
    actor        text,
    -- wiped: came back empty · behind: was put back to an earlier state · silent: not heard of, with changes unsent
    reason       text,
    unsent_count integer,
    last_seen_at timestamptz,
    found_at     timestamptz,
    replaced_by  uuid
)
language sql
stable
set search_path = ''
begin atomic
    select lost.client_id, lost.workspace_id, lost.actor, lost.lost_reason, lost.lost_count, lost.last_seen_at,
           lost.lost_at, lost.replaced_by
    from holdfast.clients as lost
    where lost.lost_at is not null
    union all
    select silent.client_id, silent.workspace_id, silent.actor, 'silent', silent.unsent_count, silent.last_seen_at,
           null, null
    from holdfast.clients as silent
    where silent.lost_at is null and silent.unsent_count > 0 and silent.last_seen_at < at - silent_for
    order by 6 desc;
end;

comment on function holdfast.lost_clients(interval, timestamptz) is
    'Clients whose store was wiped or put back, and clients not heard of for "silent_for" with changes unsent. For operators only.';
revoke all on function holdfast.lost_clients(interval, timestamptz) from public;

reset role;
