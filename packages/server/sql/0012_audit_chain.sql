-- A chain of hashes over the audit log, one per workspace, so that a change of the past shows.
-- Needs 0004, 0005 and 0011. Running it twice changes nothing.
--
-- A chain written with the changes themselves would make all writers of a workspace take turns. Rows are sealed a little later
-- instead, in the order of the change feed; what has been committed and not yet sealed (minutes) is not protected.
--
--   hash of a row = sha256(hash of the one before it, the row as text)

set role holdfast_owner;

create table if not exists holdfast.audit_chain (
    -- '' for rows that belong to no workspace
    workspace_id text        not null,
    -- 1, 2, 3, … in the order of the feed
    place        bigint      not null,
    audit_id     bigint      not null,
    occurred_at  timestamptz not null,
    hash         bytea       not null,
    sealed_at    timestamptz not null,
    primary key (workspace_id, place, sealed_at)
) partition by range (sealed_at);

alter table holdfast.audit_chain enable row level security;
revoke all on holdfast.audit_chain from public;

-- Where each chain ends, and where what is kept of it begins.
create table if not exists holdfast.audit_heads (
    workspace_id text   primary key,
    place        bigint not null,
    hash         bytea  not null,
    -- of the last one that was dropped with its month
    kept_place   bigint not null default 0,
    kept_hash    bytea  not null default ''
);

alter table holdfast.audit_heads enable row level security;
revoke all on holdfast.audit_heads from public;

create table if not exists holdfast.seal_state (
    only_row       boolean     primary key default true,
    cursor         text,
    -- every row up to here is sealed
    sealed_id      bigint      not null default 0,
    -- rows of before are gone with their month
    dropped_before timestamptz not null default '-infinity',
    constraint seal_state_has_one_row check (only_row)
);

insert into holdfast.seal_state default values on conflict do nothing;
alter table holdfast.seal_state enable row level security;
revoke all on holdfast.seal_state from public;

insert into holdfast.partitioned_tables (table_name, time_column, keep)
values ('audit_chain', 'sealed_at', interval '90 days')
on conflict do nothing;
do $$ begin perform holdfast.ensure_partitions(); end $$;

create or replace function holdfast.add_to_chain(hash bytea, head bytea, line text)
returns bytea
language sql
immutable
set search_path = ''
return sha256(coalesce(hash, head) || convert_to(line, 'UTF8'));

create or replace aggregate holdfast.chain_hash(bytea, text) (
    sfunc = holdfast.add_to_chain,
    stype = bytea
);

-- A row of the log as it is sealed. Named one by one: a column that a later version adds must not change what was sealed before. Times
-- are written in the time zone of the session, so whoever calls this sets UTC. (Without a search path of its own, as in 0003.)
create or replace function holdfast.audit_line(log holdfast.audit_log)
returns text
language sql
stable
return jsonb_build_object(
    'id', log.id, 'workspace_id', log.workspace_id, 'occurred_at', log.occurred_at, 'actor', log.actor, 'action', log.action,
    'entity_type', log.entity_type, 'entity_id', log.entity_id, 'old_values', log.old_values, 'new_values', log.new_values,
    'changed_fields', log.changed_fields, 'mutation_id', log.mutation_id, 'client_id', log.client_id, 'ip', log.ip,
    'user_agent', log.user_agent, 'transaction_id', log.transaction_id)::text;

-- Security definer: the chain belongs to the owner alone.
create or replace function holdfast.seal_audit(limit_count integer default 10000)
returns bigint
language plpgsql
volatile
security definer
set search_path = ''
set timezone = 'UTC'
as $$
declare
    state holdfast.seal_state%rowtype;
    place holdfast.feed_place;
    -- of an epoch before this one, whose transactions say nothing any more
    old_id bigint := 0;
    sealed_count bigint := 0;
    -- no row of the window has a higher one
    last_id bigint;
    -- ids are read in stretches, in which there are at most as many rows
    upto_id bigint;
    written_count bigint;
begin
    -- before the lock, which draws a transaction number
    perform holdfast.mark_feed();
    select * into state from holdfast.seal_state for update;
    place := holdfast.open_window(state.cursor);
    if place.is_lost or state.cursor is null then
        select known.first_audit_id into old_id from holdfast.epochs as known where known.epoch = place.epoch;
        -- all that is there and not sealed; what is under way comes with the next window
        place.upto := place.seen;
        place.seen := null;
        place.after_id := state.sealed_id;
    end if;

    select case when ids.is_called then ids.last_value else ids.last_value - 1 end into last_id
    from holdfast.audit_log_ids as ids;

    loop
        upto_id := least(place.after_id + limit_count, last_id);
        with page as materialized (
            select log.id, log.occurred_at, coalesce(log.workspace_id, '') as workspace_id, holdfast.audit_line(log) as line
            from holdfast.audit_log as log
            where log.id > place.after_id and log.id <= upto_id
              and (log.id <= old_id or pg_visible_in_snapshot(log.transaction_id, place.upto))
              and (case when place.seen is null
                  then not exists (
                      select from holdfast.audit_chain as done
                      where done.audit_id = log.id and done.occurred_at = log.occurred_at)
                  else not pg_visible_in_snapshot(log.transaction_id, place.seen) end)
        ), chained as (
            select page.id, page.occurred_at, page.workspace_id,
                   coalesce(head.place, 0) + row_number() over own as place,
                   holdfast.chain_hash(coalesce(head.hash, ''), page.line) over own as hash
            from page
            left join holdfast.audit_heads as head using (workspace_id)
            window own as (partition by page.workspace_id order by page.id)
        ), written as (
            insert into holdfast.audit_chain (workspace_id, place, audit_id, occurred_at, hash, sealed_at)
            select chained.workspace_id, chained.place, chained.id, chained.occurred_at, chained.hash, now()
            from chained
            returning audit_chain.workspace_id, audit_chain.place, audit_chain.hash
        ), moved as (
            insert into holdfast.audit_heads as head (workspace_id, place, hash)
            select distinct on (written.workspace_id) written.workspace_id, written.place, written.hash
            from written
            order by written.workspace_id, written.place desc
            on conflict on constraint audit_heads_pkey do update set place = excluded.place, hash = excluded.hash
        )
        select count(*) into written_count from written;
        sealed_count := sealed_count + written_count;
        place.after_id := upto_id;
        exit when upto_id = last_id or sealed_count >= limit_count;
    end loop;

    if upto_id < last_id then
        -- this window goes on
        update holdfast.seal_state set cursor = case
            when place.seen is null then state.cursor
            else format('%s~%s~%s~%s', place.epoch, place.seen, place.after_id, place.upto) end;
    else
        update holdfast.seal_state as known
        set cursor = format('%s~%s', place.epoch, place.upto),
            -- what may still be committed below the highest id is not passed
            sealed_id = greatest(known.sealed_id,
                (holdfast.open_window(format('%s~%s', place.epoch, place.upto))).after_id);
    end if;
    return sealed_count;
end
$$;

comment on function holdfast.seal_audit(integer) is
    'Adds what has been committed to the chains of hashes, so many rows and fewer than twice as many at a time, and says how many. '
    'Part of holdfast.maintain(); call it every few minutes for a chain that lags no more than that.';

-- Security definer: log and chain of all workspaces are for operators.
create or replace function holdfast.verify_audit(
    of_workspace text,
    anchor_place bigint default null,
    anchor_hash bytea default null
)
returns table (place bigint, audit_id bigint, problem text)
language sql
stable
security definer
set search_path = ''
set timezone = 'UTC'
begin atomic
    with kept as (
        select link.place, link.audit_id, link.occurred_at, link.hash,
               coalesce(lag(link.hash) over own, head.kept_hash) as hash_before,
               coalesce(lag(link.place) over own, head.kept_place) as place_before,
               lead(link.place) over own is null as is_last,
               head.place as head_place, head.hash as head_hash
        from holdfast.audit_chain as link
        join holdfast.audit_heads as head using (workspace_id)
        where link.workspace_id = of_workspace
        window own as (order by link.place)
    ), compared as (
        select kept.*, log.id as found_id,
               case when log.id is not null
                   then sha256(kept.hash_before || convert_to(holdfast.audit_line(log), 'UTF8')) end as expected_hash
        from kept
        left join holdfast.audit_log as log
            on log.id = kept.audit_id and log.occurred_at = kept.occurred_at
            and coalesce(log.workspace_id, '') = of_workspace
    )
    select compared.place, compared.audit_id, case
        when compared.place <> compared.place_before + 1 then 'links are missing before this one'
        when compared.found_id is null then 'the row is missing'
        when compared.expected_hash <> compared.hash then 'the row, or the chain at it, was changed'
        else 'the end of the chain was cut off'
    end
    from compared
    where compared.place <> compared.place_before + 1
       or (compared.found_id is null
           and compared.occurred_at >= (select state.dropped_before from holdfast.seal_state as state))
       or compared.expected_hash <> compared.hash
       or (compared.is_last and (compared.place <> compared.head_place or compared.hash <> compared.head_hash))
    union all
    select null, log.id, 'the row was put in later'
    from holdfast.audit_log as log
    where coalesce(log.workspace_id, '') = of_workspace
      and log.id <= (select state.sealed_id from holdfast.seal_state as state)
      and not exists (
          select from holdfast.audit_chain as link
          where link.workspace_id = of_workspace and link.audit_id = log.id and link.occurred_at = log.occurred_at
      )
    union all
    select null, log.id, 'the row is there twice'
    from holdfast.audit_log as log
    where coalesce(log.workspace_id, '') = of_workspace
    group by log.id, log.occurred_at
    having count(*) > 1
    union all
    select anchor_place, null, 'the chain is not the one that was anchored'
    where anchor_place > coalesce(
              (select head.kept_place from holdfast.audit_heads as head where head.workspace_id = of_workspace), 0)
      and not exists (
          select from holdfast.audit_chain as link
          where link.workspace_id = of_workspace and link.place = anchor_place and link.hash = anchor_hash
      )
    order by 1 nulls last, 2;
end;

comment on function holdfast.verify_audit(text, bigint, bytea) is
    'Every row of a workspace''s audit log that was changed, deleted, put in or doubled after it was sealed, as far as the log is '
    'kept; no rows when all is well. Whoever owns the tables could write a whole new chain: keep place and hash of '
    'holdfast.audit_heads elsewhere from time to time, and hand them in as the anchor.';

revoke all on function
    holdfast.add_to_chain(bytea, bytea, text), holdfast.audit_line(holdfast.audit_log), holdfast.chain_hash(bytea, text), holdfast.seal_audit(integer),
    holdfast.verify_audit(text, bigint, bytea)
from public;

reset role;
