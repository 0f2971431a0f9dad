-- The round that somebody has to make, and who makes it. Needs 0002, 0004, 0005, 0011, 0012 and 0018.
-- Running it twice changes nothing.

set role holdfast_owner;

-- Clients that have sent no change in all their time, and not been heard of for long, are forgotten: when one comes again it is
-- new. Of every other one the row stays, since nothing else would know its numbers once the ledger has forgotten them.
-- One that comes at this very moment holds its row, and has been heard of when that is looked at again.
create or replace function holdfast.forget_clients(silent_since timestamptz)
returns bigint
language sql
volatile
set search_path = ''
begin atomic
    with gone as (
        delete from holdfast.clients as own
        where own.last_seen_at < silent_since and own.floor = 0 and own.high_seq = 0 and coalesce(own.unsent_count, 0) = 0
          and own.lost_at is null and own.inherited_floor is null
          -- one by one, by the index: there are few such clients, and the ledger is long
          and (select settled.seq from holdfast.ledger as settled where settled.client_id = own.client_id limit 1) is null
          and (select told.seq from holdfast.told_numbers as told where told.client_id = own.client_id limit 1) is null
        returning own.client_id
    ), gone_reports as (
        delete from holdfast.client_reports as report using gone where report.client_id = gone.client_id
    )
    select count(*) from gone;
end;

-- What time it is for whoever deletes for good: what the clock said a day ago, by itself. One that runs ahead for less than a day (after a
-- start with a dead battery, say, until the network tells the time) would cost all that is kept; null until it is known.
create or replace function holdfast.believed_time(at timestamptz)
returns timestamptz
language sql
volatile
set search_path = ''
begin atomic
    update holdfast.settings as known
    set looked_at = case when at >= known.looked_at and at < known.looked_at + interval '1 day' then known.looked_at else at end,
        believed_at = case
            when at >= known.looked_at + interval '1 day' then known.looked_at
            when at < known.believed_at then at
            else known.believed_at
        end
    returning known.believed_at;
end;

-- Security definer: it does what only the owner may, and nothing that depends on who calls it. Making a month and
-- dropping one wait for whoever reads the log (a backup may for hours), and for a drop everybody else waits behind it: not for long, and the
-- rest of the round does not depend on it.
create or replace function holdfast.maintain(at timestamptz default now())
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
set lock_timeout = '2s'
as $$
declare
    -- what is sealed at a time, and for how long it goes on with it
    seal_count constant integer := 10000;
    seal_time_max constant interval := interval '20 seconds';
    started_at constant timestamptz := clock_timestamp();
    months_made integer := 0;
    sealed bigint;
    sealed_in_all bigint := 0;
    done jsonb;
    dropped text[] := '{}';
    is_in_use boolean := false;
begin
    begin
        months_made := holdfast.ensure_partitions(3, at);
    exception
        when lock_not_available then
            is_in_use := true;
    end;
    loop
        sealed := holdfast.seal_audit(seal_count);
        sealed_in_all := sealed_in_all + sealed;
        exit when sealed < seal_count or clock_timestamp() > started_at + seal_time_max;
    end loop;
    done := jsonb_build_object(
        'monthsMade', months_made,
        'auditRowsSealed', sealed_in_all,
        'ledgerRowsTrimmed', holdfast.trim_ledger(at => at));
    -- one mark an hour is near enough for whoever comes back after a day
    delete from holdfast.feed_marks as mark
    where mark.marked_at < at - interval '1 day' and exists (
        select from holdfast.feed_marks as earlier
        where earlier.transaction_id < mark.transaction_id
          and earlier.marked_at > date_trunc('hour', mark.marked_at)
          and earlier.marked_at < mark.marked_at
    );
    perform holdfast.forget_clients(at - interval '30 days');
    delete from holdfast.mutation_reports as old where old.updated_at < at - interval '30 days';
    delete from holdfast.queue_deletions as old
    where not exists (select from holdfast.ledger as settled where settled.mutation_id = old.mutation_id);
    delete from holdfast.user_mutation_metrics as old where old.day < (at - interval '400 days')::date;
    begin
        dropped := holdfast.enforce_retention(holdfast.believed_time(at));
    exception
        when lock_not_available then
            is_in_use := true;
    end;
    update holdfast.settings set maintained_at = clock_timestamp();
    return done || jsonb_build_object('monthsDropped', dropped, 'isLogInUse', is_in_use);
end
$$;

comment on function holdfast.maintain(timestamptz) is
    'The round that somebody has to make: months ahead, seals, the ledger''s old rows, months to drop. Every few minutes or once a '
    'day, by a server or by pg_cron; several at once do no harm.';

-- Of many servers that look after one database one does.
create or replace function holdfast.maintain_if_due(every interval default interval '5 minutes')
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
begin
    -- another server is at it just now
    if not pg_try_advisory_xact_lock(4856201976) then
        return null;
    end if;
    if exists (select from holdfast.settings as known where known.maintained_at > clock_timestamp() - every) then
        return null;
    end if;
    return holdfast.maintain();
end
$$;

comment on function holdfast.maintain_if_due(interval) is
    'maintain(), unless it was done within "every" or another server does it just now; then null. For servers that all have a timer.';

revoke all on function
    holdfast.forget_clients(timestamptz), holdfast.believed_time(timestamptz), holdfast.maintain(timestamptz), holdfast.maintain_if_due(interval)
from public;

reset role;
