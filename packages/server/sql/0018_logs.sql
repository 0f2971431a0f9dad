-- What operators read: retries, admin actions, where mutations come from, figures of users, and the queue as the server knows it.
-- Filled by what rides on apply. Needs 0001 to 0004. Running it twice changes nothing.

set role holdfast_owner;

create sequence if not exists holdfast.log_ids as bigint;

-- One row for each attempt that failed, and for the one that then succeeded.
create table if not exists holdfast.mutation_retry_logs (
    id             bigint      not null default nextval('holdfast.log_ids'),
    workspace_id   text        not null,
    actor          text        not null,
    client_id      uuid        not null,
    mutation_id    uuid        not null,
    type           text        not null,
    -- one higher each time a person retries it after a refusal
    generation     integer     not null,
    attempt_number integer     not null,
    outcome        text        not null,
    error_category text,
    error_code     text,
    error_message  text,
    -- who forced it, when an operator did
    admin          text,
    occurred_at    timestamptz not null default now(),
    primary key (id, occurred_at),
    constraint mutation_retry_logs_outcome_known check (outcome in ('success', 'failure')),
    constraint mutation_retry_logs_error_iff_failure check ((error_code is null) = (outcome = 'success'))
) partition by range (occurred_at);
-- serves the attempts of one mutation
create index if not exists mutation_retry_logs_by_mutation on holdfast.mutation_retry_logs (workspace_id, mutation_id);
-- serves the latest failures of a workspace
create index if not exists mutation_retry_logs_by_time on holdfast.mutation_retry_logs (workspace_id, occurred_at);

create table if not exists holdfast.admin_action_logs (
    id           bigint      not null default nextval('holdfast.log_ids'),
    workspace_id text        not null,
    admin        text        not null,
    action       text        not null,
    mutation_id  uuid,
    details      jsonb       not null default '{}',
    reason       text,
    -- of what was done on a device: under which the device keeps it
    act_key      text,
    occurred_at  timestamptz not null default now(),
    primary key (id, occurred_at),
    constraint admin_action_logs_action_length check (length(action) between 1 and 100),
    constraint admin_action_logs_reason_length check (length(reason) <= 2000)
) partition by range (occurred_at);
create index if not exists admin_action_logs_by_time on holdfast.admin_action_logs (workspace_id, occurred_at);
create index if not exists admin_action_logs_by_act on holdfast.admin_action_logs (workspace_id, act_key) where act_key is not null;
create index if not exists admin_action_logs_by_mutation on holdfast.admin_action_logs (workspace_id, mutation_id)
    where mutation_id is not null;

-- Where in the app mutations were made; only of those that say so.
create table if not exists holdfast.mutation_sources (
    id           bigint      not null default nextval('holdfast.log_ids'),
    workspace_id text        not null,
    actor        text        not null,
    mutation_id  uuid        not null,
    type         text        not null,
    screen       text,
    action       text,
    component    text,
    user_flow    text,
    outcome      text        not null,
    occurred_at  timestamptz not null default now(),
    primary key (id, occurred_at)
) partition by range (occurred_at);
create index if not exists mutation_sources_by_time on holdfast.mutation_sources (workspace_id, occurred_at);

-- As devices count them; a day, a user and a type to a row.
create table if not exists holdfast.user_mutation_metrics (
    workspace_id        text    not null,
    actor               text    not null,
    -- UTC
    day                 date    not null,
    type                text    not null,
    completed_count     bigint  not null default 0,
    failed_count        bigint  not null default 0,
    cancelled_count     bigint  not null default 0,
    retry_count         bigint  not null default 0,
    -- from adding to the confirmation, by the device's clock, in milliseconds
    processing_ms_total bigint  not null default 0,
    processing_ms_max   bigint  not null default 0,
    primary key (workspace_id, actor, day, type)
);
-- serves maintain
create index if not exists user_mutation_metrics_by_day on holdfast.user_mutation_metrics (day);

-- What waits on a device, as it said last.
create table if not exists holdfast.client_reports (
    client_id     uuid        primary key references holdfast.clients,
    workspace_id  text        not null,
    actor         text        not null,
    -- of the last report; the same one sent again is not counted again
    report_id     uuid        not null,
    pending_count bigint      not null,
    failed_count  bigint      not null,
    -- when the oldest that waits was added, by the device's clock
    oldest_at     timestamptz,
    -- the oldest of those that wait: [{"id", "seq", "type", "createdAt"}]
    waiting       jsonb       not null default '[]',
    reported_at   timestamptz not null default now()
);

-- Mutations that failed at least once, with what became of them.
create table if not exists holdfast.mutation_reports (
    client_id      uuid        not null,
    mutation_id    uuid        not null,
    workspace_id   text        not null,
    actor          text        not null,
    type           text        not null,
    payload        jsonb,
    status         text        not null,
    -- attempts after the first
    retry_count    integer     not null,
    error_category text,
    error_code     text,
    error_message  text,
    -- by the device's clock
    created_at     timestamptz not null,
    updated_at     timestamptz not null default now(),
    primary key (client_id, mutation_id),
    constraint mutation_reports_status_known check (status in ('pending', 'completed', 'failed'))
);
create index if not exists mutation_reports_by_status on holdfast.mutation_reports (status, created_at);
create index if not exists mutation_reports_by_type on holdfast.mutation_reports (type, status);
-- serves maintain
create index if not exists mutation_reports_by_age on holdfast.mutation_reports (updated_at);
-- serves mutation_queue, which shows a mutation once
create index if not exists mutation_reports_by_mutation on holdfast.mutation_reports (mutation_id);

-- What an admin has deleted from the queue although the ledger has to remember it.
create table if not exists holdfast.queue_deletions (
    mutation_id  uuid        not null,
    workspace_id text        not null,
    deleted_at   timestamptz not null default now(),
    primary key (mutation_id, workspace_id)
);
alter table holdfast.queue_deletions enable row level security;
revoke all on holdfast.queue_deletions from public;

insert into holdfast.partitioned_tables (table_name, time_column, keep) values
    ('mutation_retry_logs', 'occurred_at', interval '90 days'),
    ('admin_action_logs', 'occurred_at', interval '365 days'),
    ('mutation_sources', 'occurred_at', interval '90 days')
on conflict do nothing;
do $$ begin perform holdfast.ensure_partitions(); end $$;

do $$
declare
    named text;
begin
    foreach named in array array['mutation_retry_logs', 'admin_action_logs', 'mutation_sources', 'user_mutation_metrics',
                                 'client_reports', 'mutation_reports'] loop
        execute format('alter table holdfast.%I enable row level security', named);
        execute format('revoke all on holdfast.%I from public', named);
        execute format('grant select on holdfast.%I to authenticated', named);
        execute format('drop policy if exists %I on holdfast.%I', named || '_own_or_admin', named);
        execute format(
            'create policy %I on holdfast.%I for select to authenticated using (workspace_id = (select holdfast.workspace()) '
            'and (%s (select holdfast.is_admin())))',
            named || '_own_or_admin', named,
            case when named = 'admin_action_logs' then '' else 'actor = (select holdfast.actor()) or' end);
    end loop;
end
$$;

-- When a mutation was made: UUIDs of version 7 begin with that, by the clock of the device.
create or replace function holdfast.made_at(mutation_id uuid, otherwise timestamptz)
returns timestamptz
language sql
immutable
return case when substr(mutation_id::text, 15, 1) = '7'
    then to_timestamp(('x0000' || left(replace(mutation_id::text, '-', ''), 12))::bit(64)::bigint / 1000.0) else otherwise end;

-- It reads as the owner, since the ledger is open to nobody, so it says itself whose rows it shows; and it is a barrier, so that nothing
-- that a caller asks with looks at others. Statuses are written out, so that what is asked for one of them reads nothing of the others.
create or replace view holdfast.mutation_queue with (security_barrier = true) as
with shown as not materialized (
    select own.client_id, own.workspace_id, own.actor, own.floor, own.lost_at
    from holdfast.clients as own
    where own.workspace_id = (select holdfast.workspace())
      and ((select holdfast.is_admin()) or own.actor = (select holdfast.actor()))
)
-- what failed at least once
select report.mutation_id as id, report.type, report.payload, report.status, report.retry_count, report.created_at,
       report.updated_at, report.workspace_id, report.actor, report.client_id, report.error_category, report.error_code,
       report.error_message, (
           select settled.verdict
           from holdfast.ledger as settled
           where settled.mutation_id = report.mutation_id and settled.workspace_id = report.workspace_id
           order by settled.verdict = 'applied' desc
           limit 1
       ) as verdict
from holdfast.mutation_reports as report
where report.workspace_id = (select holdfast.workspace())
  and ((select holdfast.is_admin()) or report.actor = (select holdfast.actor()))
-- what went through at once, and what is settled for longer than notes are kept
union all
select settled.mutation_id, null, null, 'completed', settled.generation,
       holdfast.made_at(settled.mutation_id, settled.settled_at), settled.settled_at, shown.workspace_id, shown.actor,
       shown.client_id, null, null, null, 'applied'
from shown
join holdfast.ledger as settled on settled.client_id = shown.client_id and settled.verdict = 'applied'
where not exists (select from holdfast.mutation_reports as report where report.mutation_id = settled.mutation_id)
  and not exists (
      select from holdfast.queue_deletions as gone
      where gone.mutation_id = settled.mutation_id and gone.workspace_id = shown.workspace_id
  )
union all
select settled.mutation_id, null, null, 'failed', settled.generation,
       holdfast.made_at(settled.mutation_id, settled.settled_at), settled.settled_at, shown.workspace_id, shown.actor,
       shown.client_id, settled.error ->> 'category', settled.error ->> 'code', settled.error ->> 'message', 'rejected'
from shown
join holdfast.ledger as settled on settled.client_id = shown.client_id and settled.verdict = 'rejected'
where not exists (select from holdfast.mutation_reports as report where report.mutation_id = settled.mutation_id)
  and not exists (
      select from holdfast.queue_deletions as gone
      where gone.mutation_id = settled.mutation_id and gone.workspace_id = shown.workspace_id
  )
  -- a person had it tried again, or another client of the user sent it as well
  and not exists (
      select from holdfast.ledger as other
      where other.mutation_id = settled.mutation_id and (other.generation > settled.generation or other.verdict = 'applied')
  )
-- what waits on a device, as that has said last
union all
select (item.value ->> 'id')::uuid, item.value ->> 'type', null, 'pending', 0, (item.value ->> 'createdAt')::timestamptz,
       told.reported_at, shown.workspace_id, shown.actor, shown.client_id, null, null, null, null
from shown
join holdfast.client_reports as told on told.client_id = shown.client_id
cross join lateral jsonb_array_elements(told.waiting) as item
where shown.lost_at is null and (item.value ->> 'seq')::bigint > shown.floor
  and not exists (select from holdfast.ledger as settled where settled.mutation_id = (item.value ->> 'id')::uuid)
  and not exists (select from holdfast.mutation_reports as report where report.mutation_id = (item.value ->> 'id')::uuid);

comment on view holdfast.mutation_queue is
    'Mutations by what became of them. "pending": it failed and waits for its next attempt, or waits on its device, as that has said '
    'last (the oldest of them); "failed": it was given up; "completed": it went through. Those that failed at least once are shown '
    'with payload and error. Readable by whoever made them and by admins of the workspace, who may also delete.';

revoke all on holdfast.mutation_queue from public;
grant select, delete on holdfast.mutation_queue to authenticated;

-- Security definer: notes and deletions belong to the owner. The ledger keeps its row, or the mutation could take effect again; what a
-- device holds it says anew with its next report.
create or replace function holdfast.delete_from_queue()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
    if not holdfast.is_admin() or old.workspace_id is distinct from holdfast.workspace() then
        return null;
    end if;
    delete from holdfast.mutation_reports as report
    where report.mutation_id = old.id and report.workspace_id = old.workspace_id;
    if not found then
        insert into holdfast.admin_action_logs (workspace_id, admin, action, mutation_id, details, reason)
        values (old.workspace_id, holdfast.actor(), 'delete', old.id,
                jsonb_build_object('type', old.type, 'status', old.status, 'actor', old.actor),
                nullif(current_setting('holdfast.reason', true), ''));
    end if;
    update holdfast.client_reports as told
    set waiting = (
        select coalesce(jsonb_agg(item.value order by item.place), '[]')
        from jsonb_array_elements(told.waiting) with ordinality as item (value, place)
        where item.value ->> 'id' <> old.id::text
    )
    where told.client_id = old.client_id and old.verdict is null;
    if old.verdict is not null then
        insert into holdfast.queue_deletions (mutation_id, workspace_id) values (old.id, old.workspace_id)
        on conflict on constraint queue_deletions_pkey do nothing;
    end if;
    return old;
end
$$;

drop trigger if exists delete_from_queue on holdfast.mutation_queue;
create trigger delete_from_queue instead of delete on holdfast.mutation_queue
    for each row execute function holdfast.delete_from_queue();

-- Security definer: nobody else writes the log. The claims say who the admin is.
create or replace function holdfast.log_admin_action(
    action text, mutation_id uuid default null, details jsonb default '{}', reason text default null
)
returns void
language plpgsql
volatile
security definer
set search_path = ''
as $$
begin
    if holdfast.actor() is null then
        perform holdfast.refuse('TOKEN_MISSING', 'Nobody is signed in.', 'Sign in and try again.');
    end if;
    if holdfast.workspace() is null or not holdfast.is_admin() then
        raise exception using errcode = '42501', message = 'Only an admin of the workspace may do this.';
    end if;
    insert into holdfast.admin_action_logs (workspace_id, admin, action, mutation_id, details, reason)
    values (holdfast.workspace(), holdfast.actor(), action, mutation_id, coalesce(details, '{}'), reason);
end
$$;

comment on function holdfast.log_admin_action(text, uuid, jsonb, text) is
    'Records what an admin did, in the transaction in which it is done. The reason may also be said before with '
    'set_config(''holdfast.reason'', …, true).';

create or replace function holdfast.log_deleted_reports()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
    -- the daily round deletes as the owner, for nobody
    if holdfast.actor() is not null then
        insert into holdfast.admin_action_logs (workspace_id, admin, action, mutation_id, details, reason)
        select gone.workspace_id, holdfast.actor(), 'delete', gone.mutation_id,
               jsonb_build_object('type', gone.type, 'status', gone.status, 'actor', gone.actor),
               nullif(current_setting('holdfast.reason', true), '')
        from holdfast_gone as gone;
    end if;
    return null;
end
$$;

drop trigger if exists log_deleted_reports on holdfast.mutation_reports;
create trigger log_deleted_reports after delete on holdfast.mutation_reports referencing old table as holdfast_gone
    for each statement execute function holdfast.log_deleted_reports();

create or replace function holdfast.timestamp_of(value jsonb)
returns timestamptz
language sql
immutable
set search_path = ''
-- a device may send anything; what is no moment of this age is none
return case when value #>> '{}' ~ '^20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?Z$'
        or value #>> '{}' ~ '^20[0-9]{2}-(0[13-9]|1[0-2])-(29|30)T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?Z$'
        or value #>> '{}' ~ '^20[0-9]{2}-(0[13578]|1[02])-31T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?Z$'
    then (value #>> '{}')::timestamp at time zone 'UTC' end;

-- What a device counted: whole, and no more than a sum of many can hold.
create or replace function holdfast.count_of(value jsonb)
returns bigint
language sql
immutable
set search_path = ''
return case when holdfast.is_counter(value, 0) then least((value)::numeric, 1000000000000)::bigint else 0 end;

-- Security definer: nobody else writes the logs. It writes about the client that this transaction has begun a batch for, as the
-- caller who owns it: all that can be forged with it are notes on one's own mutations.
create or replace function holdfast.take_notes(batch jsonb, outcomes jsonb)
returns void
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
    batch_client constant uuid := (batch #>> '{client,id}')::uuid;
    caller constant text := holdfast.actor();
    caller_workspace constant text := holdfast.workspace();
    type_count_max constant integer := 200;
    waiting_count_max constant integer := 20;
    act_count_max constant integer := 20;
    ids_count_max constant integer := 100;
    report constant jsonb := batch -> 'telemetry';
begin
    if not exists (
        select from holdfast.clients as own
        where own.client_id = batch_client and own.workspace_id = caller_workspace and own.actor = caller
          and own.transaction_id = pg_current_xact_id()
    ) then
        perform holdfast.refuse('FOREIGN_CLIENT', 'No batch of this client was begun in this transaction.',
            'Call holdfast.apply, which begins the batch and takes its notes.');
    end if;

    -- A device tells of an act until it hears that it was taken. Who did it the device says; whose login it was is known.
    if jsonb_typeof(report -> 'acts') = 'array' then
        insert into holdfast.admin_action_logs (workspace_id, admin, action, mutation_id, details, reason, act_key)
        select caller_workspace, caller, left(act.value ->> 'kind', 100),
               case when holdfast.is_uuid(touched.id) then (touched.id #>> '{}')::uuid end,
               jsonb_build_object('actor', left(act.value ->> 'actor', 200), 'clientId', batch_client,
                   'touchedCount', holdfast.count_of(act.value -> 'touchedCount'), 'at', holdfast.timestamp_of(act.value -> 'at')),
               left(act.value ->> 'reason', 2000), left(act.value ->> 'key', 300)
        from jsonb_array_elements(report -> 'acts') with ordinality as act (value, place)
        left join lateral jsonb_array_elements(case when jsonb_typeof(act.value -> 'ids') = 'array' then act.value -> 'ids' else '[]' end)
            with ordinality as touched (id, place) on touched.place <= ids_count_max
        where act.place <= act_count_max and act.value ->> 'kind' <> '' and act.value ->> 'key' <> ''
          and not exists (
              select from holdfast.admin_action_logs as known
              where known.workspace_id = caller_workspace and known.act_key = left(act.value ->> 'key', 300) and known.admin = caller
          )
        order by act.place, touched.place;
    end if;

    with answered as (
        select mutation.value as mutation, outcome.value as outcome,
               outcome.value ->> 'kind' in ('refused', 'rejected', 'conflict') as has_failed,
               case when holdfast.is_counter(mutation.value -> 'attempt', 1)
                   then least((mutation.value -> 'attempt')::numeric, 1000000)::integer else 1 end as attempt_number,
               coalesce((mutation.value ->> 'generation')::numeric::integer, 0) as generation
        from jsonb_array_elements(batch -> 'mutations') with ordinality as mutation (value, place)
        join jsonb_array_elements(outcomes) with ordinality as outcome (value, place) using (place)
    ), told as (
        -- what went well at the first attempt leaves no note
        select answered.* from answered
        where answered.has_failed
           or ((answered.attempt_number > 1 or answered.generation > 0) and (
               answered.outcome ->> 'kind' = 'applied'
               or (answered.outcome ->> 'kind' = 'duplicate' and answered.outcome ->> 'verdict' = 'applied')))
    ), logged as (
        insert into holdfast.mutation_retry_logs
            (workspace_id, actor, client_id, mutation_id, type, generation, attempt_number, outcome,
             error_category, error_code, error_message, admin)
        select caller_workspace, caller, batch_client, (told.mutation ->> 'id')::uuid, told.mutation ->> 'type',
               told.generation, told.attempt_number, case when told.has_failed then 'failure' else 'success' end,
               told.outcome #>> '{error,category}', told.outcome #>> '{error,code}',
               left(told.outcome #>> '{error,message}', 1000), (
                   select nullif(forced.details ->> 'actor', caller)
                   from holdfast.admin_action_logs as forced
                   where forced.workspace_id = caller_workspace and forced.mutation_id = (told.mutation ->> 'id')::uuid
                     and forced.admin = caller and forced.act_key is not null and forced.action in ('retry', 'forceRetry')
                   order by forced.id desc
                   limit 1
               )
        from told
    )
    insert into holdfast.mutation_reports as known
        (client_id, mutation_id, workspace_id, actor, type, payload, status, retry_count, error_category, error_code,
         error_message, created_at)
    select batch_client, (told.mutation ->> 'id')::uuid, caller_workspace, caller, told.mutation ->> 'type',
           told.mutation -> 'payload',
           case told.outcome ->> 'kind' when 'rejected' then 'failed' when 'refused' then 'pending'
               when 'conflict' then 'pending' else 'completed' end,
           told.attempt_number - 1, told.outcome #>> '{error,category}', told.outcome #>> '{error,code}',
           left(told.outcome #>> '{error,message}', 1000),
           coalesce(holdfast.timestamp_of(told.mutation -> 'createdAt'), now())
    from told
    on conflict on constraint mutation_reports_pkey do update
        set status = excluded.status, retry_count = greatest(known.retry_count, excluded.retry_count),
            error_category = excluded.error_category, error_code = excluded.error_code,
            error_message = excluded.error_message, payload = excluded.payload, updated_at = now();

    insert into holdfast.mutation_sources
        (workspace_id, actor, mutation_id, type, screen, action, component, user_flow, outcome)
    select caller_workspace, caller, (mutation.value ->> 'id')::uuid, mutation.value ->> 'type',
           left(mutation.value #>> '{source,screen}', 200), left(mutation.value #>> '{source,action}', 200),
           left(mutation.value #>> '{source,component}', 200), left(mutation.value #>> '{source,userFlow}', 200),
           outcome.value ->> 'kind'
    from jsonb_array_elements(batch -> 'mutations') with ordinality as mutation (value, place)
    join jsonb_array_elements(outcomes) with ordinality as outcome (value, place) using (place)
    where jsonb_typeof(mutation.value -> 'source') = 'object' and outcome.value ->> 'kind' in ('applied', 'rejected');

    if not holdfast.is_uuid(report -> 'id') then
        return;
    end if;
    insert into holdfast.client_reports as former
        (client_id, workspace_id, actor, report_id, pending_count, failed_count, oldest_at, waiting)
    values (batch_client, caller_workspace, caller, (report ->> 'id')::uuid,
            holdfast.count_of(report #> '{queue,pending}'), holdfast.count_of(report #> '{queue,failed}'),
            holdfast.timestamp_of(report #> '{queue,oldestAt}'), (
                select coalesce(jsonb_agg(jsonb_build_object(
                           'id', lower(told.value ->> 'id'), 'seq', told.value -> 'seq', 'type', left(told.value ->> 'type', 200),
                           'createdAt', holdfast.timestamp_of(told.value -> 'createdAt')) order by told.place), '[]')
                from jsonb_array_elements(
                    case when jsonb_typeof(report #> '{queue,waiting}') = 'array' then report #> '{queue,waiting}' else '[]' end
                ) with ordinality as told (value, place)
                where told.place <= waiting_count_max and holdfast.is_uuid(told.value -> 'id')
                  and holdfast.is_counter(told.value -> 'seq', 1) and jsonb_typeof(told.value -> 'type') = 'string'
                  and holdfast.timestamp_of(told.value -> 'createdAt') is not null
            ))
    on conflict on constraint client_reports_pkey do update
        set report_id = excluded.report_id, pending_count = excluded.pending_count, failed_count = excluded.failed_count,
            oldest_at = excluded.oldest_at, waiting = excluded.waiting, reported_at = now()
        where former.report_id <> excluded.report_id;
    -- the same report sent again is not counted again
    if not found or jsonb_typeof(report -> 'types') is distinct from 'array' then
        return;
    end if;
    insert into holdfast.user_mutation_metrics as former
        (workspace_id, actor, day, type, completed_count, failed_count, cancelled_count, retry_count,
         processing_ms_total, processing_ms_max)
    select caller_workspace, caller, (now() at time zone 'UTC')::date, left(told.value ->> 'type', 200),
           sum(holdfast.count_of(told.value -> 'completed')), sum(holdfast.count_of(told.value -> 'failed')),
           sum(holdfast.count_of(told.value -> 'cancelled')), sum(holdfast.count_of(told.value -> 'retries')),
           sum(holdfast.count_of(told.value -> 'processingMsTotal')), max(holdfast.count_of(told.value -> 'processingMsMax'))
    from jsonb_array_elements(report -> 'types') with ordinality as told (value, place)
    where told.place <= type_count_max and jsonb_typeof(told.value -> 'type') = 'string' and told.value ->> 'type' <> ''
    group by left(told.value ->> 'type', 200)
    on conflict on constraint user_mutation_metrics_pkey do update
        set completed_count = former.completed_count + excluded.completed_count,
            failed_count = former.failed_count + excluded.failed_count,
            cancelled_count = former.cancelled_count + excluded.cancelled_count,
            retry_count = former.retry_count + excluded.retry_count,
            processing_ms_total = former.processing_ms_total + excluded.processing_ms_total,
            processing_ms_max = greatest(former.processing_ms_max, excluded.processing_ms_max);
end
$$;

-- Notes are not worth a batch.
create or replace function holdfast.try_notes(batch jsonb, outcomes jsonb)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
    perform holdfast.take_notes(batch, outcomes);
exception
    when query_canceled or others then
        raise log 'holdfast: no notes were taken of a batch: %', sqlstate;
end
$$;

revoke all on function
    holdfast.made_at(uuid, timestamptz), holdfast.delete_from_queue(),
    holdfast.log_admin_action(text, uuid, jsonb, text), holdfast.log_deleted_reports(),
    holdfast.timestamp_of(jsonb), holdfast.count_of(jsonb), holdfast.take_notes(jsonb, jsonb),
    holdfast.try_notes(jsonb, jsonb)
from public;
grant execute on function
    holdfast.made_at(uuid, timestamptz), holdfast.log_admin_action(text, uuid, jsonb, text), holdfast.take_notes(jsonb, jsonb),
    holdfast.try_notes(jsonb, jsonb)
to authenticated;

reset role;
