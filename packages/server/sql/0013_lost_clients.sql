-- Clients that were put back to an earlier state, came back empty, or went away with changes unsent. Needs 0001 to 0003.
-- Running it twice changes nothing.
--
-- Each request says how far the numbers of its client have come, and how many changes stay behind on the device. A client whose
-- numbers are lower than it once said must take another id (the answer says so, and looks at nothing): a new change under an old
-- number would pass for the one that was applied. And an id of a mutation that another client of the same user has sent is known.
-- Where its row was trimmed, its number tells: a client that was put back keeps the numbers of what it carries over.

set role holdfast_owner;

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
    inherited_floor bigint;
    told record;
begin
    if not holdfast.is_uuid(fork -> 'id') or coalesce(fork ->> 'reason', '') not in ('wiped', 'behind') then
        return null;
    end if;
    former_id := (fork ->> 'id')::uuid;
    if fork ->> 'reason' = 'behind' and restored_seq is not null then
        select least(trimmed.floor, restored_seq) into inherited_floor
        from holdfast.clients as former
        join holdfast.trims as trimmed on trimmed.client_id = former.client_id
        where former.client_id = former_id and former.client_id <> batch_client
          and former.workspace_id = holdfast.workspace() and former.actor = holdfast.actor();
        if found then
            update holdfast.clients as own set floor = greatest(own.floor, inherited_floor) where own.client_id = batch_client;
            -- it may be put back as well
            insert into holdfast.trims as known (client_id, floor) values (batch_client, inherited_floor)
            on conflict on constraint trims_pkey do update set floor = greatest(known.floor, excluded.floor);
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
    holdfast.note_fork(uuid, jsonb), holdfast.lost_clients(interval, timestamptz)
from public;

reset role;
