-- Clients that were put back to an earlier state, came back empty, or went away with changes unsent. Needs 0001 to 0003.
-- Running it twice changes nothing.
--
-- Each request says how far the numbers of its client have come, and how many changes stay behind on the device. A client whose
-- numbers are lower than it once said must take another id (the answer says so, and looks at nothing): a new change under an old
-- number would pass for the one that was applied. And an id of a mutation that another client of the same user has sent is known.
-- Where its row was trimmed, its number tells, with when it was made: a client that was put back keeps the numbers of what it carries
-- over, and may have given out some anew before it heard of that.

set role holdfast_owner;

-- Whether a mutation is one of those whose rows were trimmed up to this number. One that does not say when it was made goes by its number.
create or replace function holdfast.is_trimmed(mutation jsonb, trimmed_floor bigint, acknowledged_before timestamptz)
returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
    return coalesce((mutation ->> 'seq')::numeric <= trimmed_floor
        and coalesce(holdfast.timestamp_of(mutation -> 'createdAt') < acknowledged_before, true), false);
end
$$;

-- Whether one of these has a number that its client has acknowledged, and is no mutation that it had then: there is no row of that number
-- nor of that mutation, and none was trimmed. Called by take_batch alone, as the owner.
create or replace function holdfast.is_number_reused(
    of_client uuid, mutations jsonb[], seqs bigint[], mutation_ids uuid[], known_floor bigint
)
returns boolean
language sql
stable
set search_path = ''
begin atomic
    select exists (
        select from unnest(mutations, seqs, mutation_ids) as item (mutation, seq, mutation_id)
        left join holdfast.trims as trimmed on trimmed.client_id = of_client
        where item.seq <= known_floor
          and not holdfast.is_trimmed(item.mutation, trimmed.floor, trimmed.acknowledged_before)
          and not exists (
              select from holdfast.ledger as settled where settled.client_id = of_client and settled.seq = item.seq
          )
          -- settled under another number, or for another client of the user
          and not exists (select from holdfast.ledger as settled where settled.mutation_id = item.mutation_id)
    );
end;

-- Notes that a client has taken the place of another one of the same user, and answers what was lost with that; null for nothing.
-- Told twice, it answers the same. Called by take_batch alone, as the owner, for the caller whose claims are set.
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
    inherited record;
    told record;
begin
    if not holdfast.is_uuid(fork -> 'id') or coalesce(fork ->> 'reason', '') not in ('wiped', 'behind') then
        return null;
    end if;
    former_id := (fork ->> 'id')::uuid;
    if fork ->> 'reason' = 'behind' and restored_seq is not null then
        select least(trimmed.floor, restored_seq) as floor, trimmed.acknowledged_before into inherited
        from holdfast.clients as former
        join holdfast.trims as trimmed on trimmed.client_id = former.client_id
        where former.client_id = former_id and former.client_id <> batch_client
          and former.workspace_id = holdfast.workspace() and former.actor = holdfast.actor();
        if found then
            update holdfast.clients as own
            set inherited_floor = inherited.floor, inherited_before = inherited.acknowledged_before
            where own.client_id = batch_client;
            -- it may be put back as well
            insert into holdfast.trims as known (client_id, floor, acknowledged_before)
            values (batch_client, inherited.floor, inherited.acknowledged_before)
            on conflict on constraint trims_pkey do update set floor = greatest(known.floor, excluded.floor),
                acknowledged_before = greatest(known.acknowledged_before, excluded.acknowledged_before);
        end if;
    end if;
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

revoke all on function
    holdfast.is_trimmed(jsonb, bigint, timestamptz), holdfast.is_number_reused(uuid, jsonb[], bigint[], uuid[], bigint),
    holdfast.note_fork(uuid, jsonb), holdfast.lost_clients(interval, timestamptz)
from public;

reset role;
