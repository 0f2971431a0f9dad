-- The change feed: what happened in a workspace, read from the audit log in the order of commits, with no gap.
-- Needs 0004 to 0006. Running it twice changes nothing.
--
-- A number drawn from a sequence may commit after a higher one, so "everything above the last number" loses changes. A cursor
-- is a snapshot instead: which transactions had ended. The next one takes a new snapshot; between the two lies a window,
--
--   seen ──────────── window ──────────── upto        rows of transactions that ended between the two snapshots
--     └─ page ─ page ─ page (by id) ──────▶ becomes seen
--
-- and a window's rows are fixed, whoever commits meanwhile. Windows follow each other as their transactions committed. Within
-- one, rows are told in the order of their ids: an id is drawn while its row is locked, so changes of one row, and changes
-- that were made knowing others, are told in the order in which they took effect.

set role holdfast_owner;

-- A server that came back as it was some time ago (fail-over, restore) is another one: cursors and numbers of clients may speak
-- of what it has never seen. Each such beginning is an epoch.
create table if not exists holdfast.epochs (
    place          integer     primary key,
    epoch          uuid        not null unique default gen_random_uuid(),
    -- which cluster on which timeline, which database of it, and which table
    incarnation    text,
    -- when the server started that was last found to be that one, and where this table lay: as long as both stay, so does the rest
    server_since   timestamptz not null,
    lies_at        text        not null,
    reason         text        not null,
    -- changes up to here are of epochs before
    first_audit_id bigint      not null,
    -- changes up to here may have been dropped with their month
    trimmed_id     bigint      not null default 0,
    began_at       timestamptz not null default now()
);

alter table holdfast.epochs enable row level security;
revoke all on holdfast.epochs from public;

-- Says of a transaction number that whatever it, or a later one, put into the log has an id above last_id: where reading begins.
create table if not exists holdfast.feed_marks (
    transaction_id xid8        primary key,
    last_id        bigint      not null,
    marked_at      timestamptz not null default clock_timestamp()
);

alter table holdfast.feed_marks enable row level security;
revoke all on holdfast.feed_marks from public;

-- Which server this is, as far as it can tell: null for a standby. Whatever brings back an earlier state makes it another one: a
-- promoted standby and a recovery to a point in time each begin a new timeline (which a restart does not), and a dump is put back
-- into another cluster, another database of it, or other tables. Security definer: everybody must be told the same.
create or replace function holdfast.incarnation()
returns text
language plpgsql
stable
security definer
set search_path = ''
as $$
declare
    server text := '?';
begin
    if pg_is_in_recovery() then
        return null;
    end if;
    begin
        -- not pg_control_checkpoint, which tells the former timeline until the first checkpoint of a promoted standby
        server := (select system_identifier from pg_control_system()) || '/' || left(pg_walfile_name(pg_current_wal_lsn()), 8);
    exception
        -- Some hosts keep this to themselves (Aurora does, unless it replicates logically). What they bring back says an operator.
        when object_not_in_prerequisite_state or insufficient_privilege or feature_not_supported then
            null;
    end;
    return concat_ws('/', server,
        (select oid from pg_catalog.pg_database where datname = current_database()),
        to_regclass('holdfast.epochs')::oid);
end
$$;

-- Security definer: the marks belong to the owner, and all that a caller causes is one more of them, every five seconds at most.
create or replace function holdfast.mark_feed()
returns void
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
    drawn bigint;
begin
    -- the number of this transaction must be drawn after the id was read
    if pg_current_xact_id_if_assigned() is not null or current_setting('transaction_read_only') = 'on'
        or exists (select from holdfast.feed_marks as recent where recent.marked_at > clock_timestamp() - interval '5 seconds')
    then
        return;
    end if;
    select case when ids.is_called then ids.last_value else ids.last_value - 1 end into drawn
    from holdfast.audit_log_ids as ids;
    insert into holdfast.feed_marks (transaction_id, last_id) values (pg_current_xact_id(), drawn) on conflict do nothing;
end
$$;

create or replace function holdfast.begin_epoch(reason text)
returns uuid
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
    held bigint;
    drawn bigint;
    begun uuid;
begin
    -- Logical replication copies rows and no counters. Of two changes of one row the later must have the higher id, so it goes on above
    -- what is there. (The counter is read after the rows: whatever is drawn meanwhile, it is not set back.)
    held := (
        select max(holdfast.last_audit_id(part.relname::text))
        from pg_catalog.pg_inherits as link
        join pg_catalog.pg_class as part on part.oid = link.inhrelid
        where link.inhparent = 'holdfast.audit_log'::regclass
    );
    perform setval('holdfast.audit_log_ids', held) from holdfast.audit_log_ids as ids where ids.last_value < held;
    select case when ids.is_called then ids.last_value else ids.last_value - 1 end into drawn
    from holdfast.audit_log_ids as ids;
    -- numbers of transactions of another cluster say nothing here
    delete from holdfast.feed_marks;
    insert into holdfast.epochs (place, incarnation, server_since, lies_at, reason, first_audit_id)
    values (coalesce((select max(known.place) from holdfast.epochs as known), 0) + 1, holdfast.incarnation(),
        pg_postmaster_start_time(), pg_relation_filepath('holdfast.epochs'), reason, drawn)
    returning epoch into begun;
    return begun;
end
$$;

comment on function holdfast.begin_epoch(text) is
    'To be called by hand after a restore that Postgres cannot tell from a restart (a snapshot of the disk), before clients are let '
    'in: they then send again what this server may have forgotten, and live readers read everything anew. For operators.';

-- Security definer: the epochs belong to the owner. A new one begins by itself where the server is another.
create or replace function holdfast.current_epoch()
returns uuid
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
    present text;
    known holdfast.epochs%rowtype;
begin
    select * into known from holdfast.epochs order by place desc limit 1;
    -- Asked with every batch, and which server this is takes ten times as long to tell. A standby has started at another time, another
    -- timeline begins after a start or in a standby, and what is put back lies elsewhere: the path names the database and the file.
    if known.server_since = pg_postmaster_start_time() and known.lies_at = pg_relation_filepath('holdfast.epochs') then
        return known.epoch;
    end if;
    present := holdfast.incarnation();
    if present is null or current_setting('transaction_read_only') = 'on' then
        return known.epoch;
    end if;
    if known.incarnation = present then
        -- where two notice it at once, or the snapshot is an old one, the next one notes it
        if current_setting('transaction_isolation') = 'read committed' then
            update holdfast.epochs as same
            set server_since = pg_postmaster_start_time(), lies_at = pg_relation_filepath('holdfast.epochs')
            where same.place in (select free.place from holdfast.epochs as free where free.place = known.place for update skip locked);
        end if;
        return known.epoch;
    end if;
    -- of several who notice it, one begins the epoch
    perform pg_advisory_xact_lock(4856201975);
    select * into known from holdfast.epochs order by place desc limit 1;
    if known.incarnation = present then
        return known.epoch;
    end if;
    return holdfast.begin_epoch(format('the server changed from %s to %s', known.incarnation, present));
end
$$;

do $$
begin
    if not exists (select from holdfast.epochs) then
        perform holdfast.begin_epoch('first');
    end if;
end
$$;

-- Where a reader is, and where its window ends.
do $$
begin
    if to_regtype('holdfast.feed_place') is null then
        create type holdfast.feed_place as (
            epoch    uuid,
            seen     pg_snapshot,
            after_id bigint,
            upto     pg_snapshot,
            -- the reader must read everything anew, since what it has not read may be gone
            is_lost  boolean
        );
    end if;
end
$$;

-- Security definer: it reads marks and epochs, and tells no more of them than where to go on.
create or replace function holdfast.open_window(cursor text)
returns holdfast.feed_place
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
    parts text[];
    known holdfast.epochs%rowtype;
    place holdfast.feed_place;
begin
    place.epoch := holdfast.current_epoch();
    place.is_lost := false;
    if cursor is null then
        place.seen := pg_current_snapshot();
        perform holdfast.mark_feed();
        return place;
    end if;
    if length(cursor) > 100000
        or cursor !~ '^[0-9a-f-]{36}~[0-9]{1,19}:[0-9]{1,19}:[0-9,]*(~[0-9]{1,18}~[0-9]{1,19}:[0-9]{1,19}:[0-9,]*)?$' then
        perform holdfast.refuse('INVALID_REQUEST', 'This is no place in the change feed.',
            'Send the cursor of the last answer as it was, or none to begin with what happens from now on.');
    end if;
    parts := string_to_array(cursor, '~');
    place.is_lost := parts[1] <> place.epoch::text;
    if place.is_lost then
        place.seen := pg_current_snapshot();
        perform holdfast.mark_feed();
        return place;
    end if;
    begin
        place.seen := parts[2]::pg_snapshot;
        if cardinality(parts) = 4 then
            place.after_id := parts[3]::bigint;
            place.upto := parts[4]::pg_snapshot;
        end if;
    exception
        when data_exception then
            perform holdfast.refuse('INVALID_REQUEST', 'This is no place in the change feed.',
                'Send the cursor of the last answer as it was, or none to begin with what happens from now on.');
    end;
    select * into known from holdfast.epochs as present where present.epoch = place.epoch;
    if place.upto is null then
        perform holdfast.mark_feed();
        place.upto := pg_current_snapshot();
        place.after_id := coalesce((
            select mark.last_id from holdfast.feed_marks as mark
            where mark.transaction_id <= pg_snapshot_xmin(place.seen)
            order by mark.transaction_id desc
            limit 1
        ), known.first_audit_id);
    end if;
    if place.after_id < known.trimmed_id then
        place.is_lost := true;
        place.seen := place.upto;
        place.upto := null;
    end if;
    return place;
end
$$;

-- Which of these rows the caller may see now, by the policies of their table. The log outlives what it tells of: the table may be gone, or
-- its ids be of another type by now, and then no row of it has such an id.
create or replace function holdfast.visible_rows(entity_type text, ids text[])
returns text[]
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
    registered holdfast.registered_tables%rowtype;
    visible text[];
    asked text;
begin
    select * into registered from holdfast.registered_tables as known where known.entity_type = visible_rows.entity_type;
    -- null of a table that is gone
    if not coalesce(has_table_privilege(registered.target, 'select'), false) then
        return '{}';
    end if;
    begin
        execute format(
            'select array_agg(to_jsonb(holdfast_value.*) ->> %4$L) '
            'from jsonb_populate_recordset(null::%1$s, $1) as holdfast_value '
            'join %1$s as holdfast_row on holdfast_row.%2$I = holdfast_value.%2$I and holdfast_row.%3$I = holdfast_value.%3$I',
            registered.target, registered.id_column, registered.workspace_column, registered.id_column)
        using (
            select jsonb_agg(jsonb_build_object(
                registered.id_column, id, registered.workspace_column, holdfast.workspace()))
            from unnest(ids) as id
        ) into visible;
    exception
        -- one of them is no id of this table
        when data_exception or check_violation then
            if cardinality(ids) > 1 then
                foreach asked in array ids loop
                    visible := visible || holdfast.visible_rows(entity_type, array[asked]);
                end loop;
            end if;
    end;
    return coalesce(visible, '{}');
end
$$;

-- Whether the caller may see a row now, which is a statement of its own for each: dear, so it comes last where there is a choice.
create or replace function holdfast.may_see(entity_type text, entity_id text)
returns boolean
language sql
volatile
security invoker
set search_path = ''
cost 10000
return entity_id is not null and cardinality(holdfast.visible_rows(entity_type, array[entity_id])) > 0;

-- What one did oneself; what concerns rows that one may see now; admins read all of their workspace. The policies of an app's tables
-- would be worth nothing if the log told everybody what they hide.
drop policy if exists audit_log_readers on holdfast.audit_log;
create policy audit_log_readers on holdfast.audit_log
    for select to authenticated
    using (
        workspace_id = (select holdfast.workspace())
        and (actor = (select holdfast.actor()) or (select holdfast.is_admin()) or holdfast.may_see(entity_type, entity_id))
    );

-- Security definer: which rows of the log come next, newest first, for who then looks which of them it may read: asked of each by the
-- policy, that would be a statement for each that it may not. It tells no more than the feed does, and whether one did it oneself.
create or replace function holdfast.audit_page(
    of_type text, of_id text, of_action text, from_at timestamptz, to_at timestamptz, before_id bigint, limit_count integer
)
returns table (id bigint, occurred_at timestamptz, entity_type text, entity_id text, is_own boolean)
language plpgsql
stable
security definer
set search_path = ''
-- the planner takes the filters of the log for worthless, since the ids of rows come in no order
set enable_seqscan = off
set max_parallel_workers_per_gather = 0
set jit = off
as $$
begin
    -- planned anew, since what is not asked for decides by which index: the history of a row by the filters, and never through all
    -- that its workspace did
    return query execute
        'select log.id, log.occurred_at, log.entity_type, log.entity_id, coalesce(log.actor = holdfast.actor(), false) '
        'from holdfast.audit_log as log where '
        || case when of_id is null then 'log.workspace_id = holdfast.workspace() '
            else 'log.entity_id = $2 and log.workspace_id || '''' = (select holdfast.workspace()) ' end ||
        'and ($1 is null or log.entity_type = $1) and ($3 is null or log.action = $3) '
        'and ($4 is null or log.occurred_at >= $4) and ($5 is null or log.occurred_at < $5) and ($6 is null or log.id < $6) '
        'order by log.id desc limit $7'
    using of_type, of_id, of_action, from_at, to_at, before_id, least(limit_count, 1000);
end
$$;

-- Security definer: a reader has to hear of rows, too, that it may not see any more, to drop them. That is all it hears of those.
create or replace function holdfast.feed_page(after_id bigint, seen pg_snapshot, upto pg_snapshot, limit_count integer)
returns table (
    id bigint, occurred_at timestamptz, transaction_id xid8, action text, entity_type text, entity_id text
)
language sql
stable
security definer
set search_path = ''
begin atomic
    select log.id, log.occurred_at, log.transaction_id, log.action, log.entity_type, log.entity_id
    from holdfast.audit_log as log
    where log.workspace_id = (select holdfast.workspace())
      and log.id > after_id
      and pg_visible_in_snapshot(log.transaction_id, upto)
      and not pg_visible_in_snapshot(log.transaction_id, seen)
    order by log.id
    limit limit_count;
end;

create or replace function holdfast.read_changes(cursor text default null, limit_count integer default 500)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
    -- most that one call may ask for
    limit_count_max constant integer := 1000;
    caller_workspace constant text := holdfast.workspace();
    place holdfast.feed_place;
    changes jsonb;
    has_more boolean;
begin
    if holdfast.actor() is null then
        perform holdfast.refuse('TOKEN_MISSING', 'Nobody is signed in.', 'Sign in and try again.');
    end if;
    if caller_workspace is null then
        perform holdfast.refuse('FOREIGN_WORKSPACE', 'This login does not belong to a workspace.',
            'Sign in to the workspace whose changes are wanted.');
    end if;
    if limit_count not between 1 and limit_count_max then
        perform holdfast.refuse('INVALID_REQUEST', format('A page holds 1 to %s changes.', limit_count_max),
            'Ask for fewer at a time.');
    end if;
    place := holdfast.open_window(cursor);
    if place.upto is null then
        return jsonb_build_object(
            'changes', '[]'::jsonb, 'cursor', format('%s~%s', place.epoch, place.seen), 'hasMore', false,
            'resync', place.is_lost);
    end if;

    with page as materialized (
        select paged.* from holdfast.feed_page(place.after_id, place.seen, place.upto, limit_count + 1) as paged
    ), told as (
        select * from page order by page.id limit limit_count
    ), visible as (
        select asked.entity_type, holdfast.visible_rows(asked.entity_type, asked.ids) as ids
        from (
            select told.entity_type, array_agg(distinct told.entity_id) as ids
            from told where told.action <> 'delete' group by told.entity_type
        ) as asked
    )
    select coalesce(jsonb_agg(jsonb_build_object(
               'id', told.id::text,
               'at', to_char(told.occurred_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
               'transactionId', told.transaction_id::text,
               'actor', log.actor,
               'action', told.action,
               'entityType', told.entity_type,
               'entityId', told.entity_id,
               'oldValues', case when is_shown.yes then log.old_values end,
               'newValues', case when is_shown.yes then log.new_values end,
               'changedFields', case when is_shown.yes then log.changed_fields end,
               'isHidden', not is_shown.yes and told.action <> 'delete',
               'mutationId', log.mutation_id,
               'clientId', log.client_id
           ) order by told.id), '[]'),
           (select count(*) > limit_count from page),
           max(told.id)
    into changes, has_more, place.after_id
    from told
    left join visible on visible.entity_type = told.entity_type
    cross join lateral (
        select told.action <> 'delete' and coalesce(told.entity_id = any (visible.ids), false) as yes
    ) as is_shown
    -- as the caller, so under the policy of the log; one by one, so that it is asked of no other rows
    left join lateral (
        select entry.actor, entry.old_values, entry.new_values, entry.changed_fields, entry.mutation_id, entry.client_id
        from holdfast.audit_log as entry
        where entry.id = told.id and entry.occurred_at = told.occurred_at
        limit 1
    ) as log on true;

    return jsonb_build_object(
        'changes', changes,
        'cursor', case when has_more
            then format('%s~%s~%s~%s', place.epoch, place.seen, place.after_id, place.upto)
            else format('%s~%s', place.epoch, place.upto) end,
        'hasMore', has_more,
        'resync', false);
end
$$;

comment on function holdfast.read_changes(text, integer) is
    'The next changes of the caller''s workspace: {changes, cursor, hasMore, resync}. Without a cursor it answers with the '
    'present place and no changes. "resync": what came after the cursor may be gone, so read everything anew and go on from '
    'the cursor of this answer. Values are told of rows only that the caller may see now; else "isHidden". A deletion tells '
    'the id only, and who did it only to themselves and to admins. Changes of one transaction are complete once "hasMore" is false.';

create or replace function holdfast.feed_head()
returns text
language sql
volatile
set search_path = ''
return holdfast.current_epoch() || '~' || pg_current_snapshot();

comment on function holdfast.feed_head() is
    'Differs from before whenever something may have been committed anywhere: one cheap question for all readers of a server.';

revoke all on function
    holdfast.incarnation(), holdfast.mark_feed(), holdfast.begin_epoch(text), holdfast.current_epoch(),
    holdfast.open_window(text), holdfast.visible_rows(text, text[]), holdfast.may_see(text, text),
    holdfast.audit_page(text, text, text, timestamptz, timestamptz, bigint, integer),
    holdfast.feed_page(bigint, pg_snapshot, pg_snapshot, integer), holdfast.read_changes(text, integer), holdfast.feed_head()
from public;
grant execute on function
    holdfast.mark_feed(), holdfast.current_epoch(), holdfast.open_window(text),
    holdfast.visible_rows(text, text[]), holdfast.may_see(text, text),
    holdfast.audit_page(text, text, text, timestamptz, timestamptz, bigint, integer),
    holdfast.feed_page(bigint, pg_snapshot, pg_snapshot, integer), holdfast.read_changes(text, integer), holdfast.feed_head()
to authenticated;

reset role;
