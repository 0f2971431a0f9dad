-- What each client has been told: one row per client with its floor, and a row per mutation above it.
-- Needs 0001. Running it twice changes nothing.

set role holdfast_owner;

create table if not exists holdfast.workspaces (
    -- as the token says it: a uuid or any other short text
    workspace_id text        primary key,
    created_at   timestamptz not null default now(),
    constraint workspaces_id_length check (length(workspace_id) between 1 and 200)
);

create table if not exists holdfast.clients (
    -- made by the browser profile or installation, one per user and workspace
    client_id      uuid        primary key,
    workspace_id   text        not null references holdfast.workspaces,
    actor          text        not null,
    -- every seq up to here is settled, and the client has stored that: a duplicate for ever, even without a ledger row
    floor          bigint      not null default 0,
    created_at     timestamptz not null default now(),
    last_seen_at   timestamptz not null default now(),
    -- the transaction that holds this client's batch; verdicts are accepted from no other
    transaction_id xid8        not null,
    -- the last number it had given out when it was last heard of
    high_seq       bigint      not null default 0,
    -- how many changes stayed on the device then, besides those it was sending; null for a client that does not say
    unsent_count   integer,
    -- several of its changes in one statement ran out of time: in its next batch each goes alone
    goes_alone     boolean     not null default false,
    -- of the client that it took the place of, see trims; null for none
    inherited_floor  bigint,
    inherited_before timestamptz,
    -- when it was found out that its store was lost, or put back
    lost_at        timestamptz,
    lost_reason    text,
    -- how many changes were lost with it, as far as can be known
    lost_count     integer,
    -- the client that has taken its place
    replaced_by    uuid,
    -- few, because each statement that writes a row makes them ready anew
    constraint clients_values_sane check (floor >= 0 and length(actor) between 1 and 200),
    constraint clients_lost_whole check (case
        when lost_at is null then lost_reason is null and lost_count is null and replaced_by is null
        else lost_reason in ('wiped', 'behind') and lost_count is not null and replaced_by is not null
    end)
-- changed with every batch, so there is room for the next form of a row, and no index on what changes
) with (fillfactor = 70);

-- serves mutation_queue, and the count of a user's new clients; none of these columns ever changes
create index if not exists clients_by_owner on holdfast.clients (workspace_id, actor, created_at);
-- serves lost_clients
create index if not exists clients_lost on holdfast.clients (lost_at) where lost_at is not null;

-- Written once and never again. Every row is written for the client whose row that very transaction holds and has changed; a
-- foreign key would look at that once more for each row, which costs as much as writing it.
create table if not exists holdfast.ledger (
    client_id    uuid        not null,
    -- counts up on the client; never reused, whatever happens there
    seq          bigint      not null,
    workspace_id text        not null,
    -- made by the client before its first send; equal for every attempt
    mutation_id  uuid        not null,
    -- one higher each time a person retries it after a refusal
    generation   integer     not null,
    -- over type, operation, entity and payload: tells a repeat from a re-used id
    payload_hash bigint      not null,
    verdict      text        not null,
    -- as it was answered, letter for letter
    result       json,
    error        jsonb,
    -- the version that the effect gave its row, where rows have one
    row_version  bigint,
    -- how often the client had made the payload anew after a conflict when this verdict fell
    rebases      integer     not null default 0,
    settled_at   timestamptz not null default now(),
    -- names of our own, so that a failure of theirs is known from that of an app's table
    constraint holdfast_ledger_number_once primary key (client_id, seq),
    constraint ledger_numbers_not_negative check (seq > 0 and generation >= 0),
    -- an effect may have a result, a refusal has a reason
    constraint ledger_values_fit_verdict check (case verdict
        when 'applied' then error is null
        when 'rejected' then error is not null and result is null
        else false
    end)
);

-- Serves the look-up by id, which crosses workspaces so that nobody can take another's id. Of one mutation there is one effect, whatever
-- the generations under which several clients of a user send it at the same moment.
create unique index if not exists holdfast_ledger_mutation_once
    on holdfast.ledger (mutation_id, (case verdict when 'applied' then -1 else generation end));
-- serves what failed in mutation_queue, and costs nothing where all goes well
create index if not exists ledger_rejected on holdfast.ledger (client_id) where verdict = 'rejected';

-- Where a client's floor stood at the end of a day on which it was heard of, noted with its first batch after that: what it has
-- acknowledged, without touching a ledger row again.
create table if not exists holdfast.floor_marks (
    client_id uuid   not null references holdfast.clients,
    -- in UTC
    day       date   not null,
    floor     bigint not null,
    primary key (client_id, day)
) with (fillfactor = 70);

-- serves trim_ledger
create index if not exists floor_marks_by_day on holdfast.floor_marks using brin (day);

-- Up to which number a client's rows were trimmed, all of which were acknowledged before that time: for whoever takes its place with
-- changes from before that. A change that was made later is another one, whatever its number.
create table if not exists holdfast.trims (
    client_id           uuid        primary key,
    floor               bigint      not null,
    acknowledged_before timestamptz not null
);

-- What was refused for good and never took effect, once its row is trimmed: for a device that is put back to when it waited. A row
-- with an effect that is trimmed later takes its mark away, so nobody hears "refused" of what was retried with success, and retries it.
create table if not exists holdfast.old_refusals (
    mutation_id uuid        primary key,
    client_id   uuid        not null,
    category    text        not null,
    code        text        not null,
    refused_at  timestamptz not null
);

-- Numbers that were answered by what is known under another number, or of another client: settled, though the ledger has no row of
-- theirs. Until the floor of the client is above them.
create table if not exists holdfast.told_numbers (
    client_id uuid   not null,
    seq       bigint not null,
    primary key (client_id, seq)
);

alter table holdfast.told_numbers enable row level security;
alter table holdfast.old_refusals enable row level security;
alter table holdfast.trims enable row level security;
alter table holdfast.workspaces enable row level security;
alter table holdfast.clients enable row level security;
alter table holdfast.ledger enable row level security;
alter table holdfast.floor_marks enable row level security;
revoke all on holdfast.workspaces, holdfast.clients, holdfast.ledger, holdfast.floor_marks, holdfast.trims,
    holdfast.old_refusals, holdfast.told_numbers from public;

-- Whether a number above the floor of a client is settled.
create or replace function holdfast.is_settled(of_client uuid, of_seq bigint)
returns boolean
language sql
stable
return exists (select from holdfast.ledger as settled where settled.client_id = of_client and settled.seq = of_seq)
    or exists (select from holdfast.told_numbers as told where told.client_id = of_client and told.seq = of_seq);

create or replace function holdfast.trim_ledger(
    keep interval default interval '30 days',
    at timestamptz default now()
)
returns bigint
language sql
volatile
set search_path = ''
begin atomic
    -- bounded, as all of it
    delete from holdfast.old_refusals as refusal where refusal.refused_at < at - interval '400 days';
    delete from holdfast.told_numbers as told
    using holdfast.clients as own
    where own.client_id = told.client_id and own.floor >= told.seq;
    with passed as (
        delete from holdfast.floor_marks as mark
        where mark.day < ((at - keep) at time zone 'UTC')::date
        returning mark.client_id, mark.floor
    ), silent as (
        -- not heard of since, so where its floor stood is nowhere else
        select own.client_id, own.floor
        from holdfast.clients as own
        left join holdfast.trims as known on known.client_id = own.client_id
        where own.last_seen_at < date_trunc('day', at - keep, 'UTC') and own.floor > coalesce(known.floor, 0)
    ), acknowledged as (
        select told.client_id, max(told.floor) as floor
        from (select passed.client_id, passed.floor from passed union all select silent.client_id, silent.floor from silent) as told
        group by told.client_id
    ), noted as (
        insert into holdfast.trims as known (client_id, floor, acknowledged_before)
        select acknowledged.client_id, acknowledged.floor, date_trunc('day', at - keep, 'UTC') from acknowledged
        on conflict on constraint trims_pkey do update set floor = greatest(known.floor, excluded.floor),
            acknowledged_before = greatest(known.acknowledged_before, excluded.acknowledged_before)
    ), trimmed as (
        delete from holdfast.ledger as old
        using acknowledged
        where old.client_id = acknowledged.client_id and old.seq <= acknowledged.floor
        returning old.client_id, old.mutation_id, old.generation, old.verdict, old.error, old.settled_at
    ), overtaken as (
        delete from holdfast.old_refusals as refusal
        using trimmed
        where trimmed.verdict = 'applied' and refusal.mutation_id = trimmed.mutation_id
    ), refused as (
        insert into holdfast.old_refusals as known (mutation_id, client_id, category, code, refused_at)
        select distinct on (trimmed.mutation_id) trimmed.mutation_id, trimmed.client_id,
               coalesce(trimmed.error ->> 'category', 'UNKNOWN_ERROR'), coalesce(trimmed.error ->> 'code', 'UNKNOWN_FAILURE'),
               trimmed.settled_at
        from trimmed
        where trimmed.verdict = 'rejected' and not exists (
            -- also one that is trimmed here
            select from holdfast.ledger as settled where settled.mutation_id = trimmed.mutation_id and settled.verdict = 'applied'
        )
        order by trimmed.mutation_id, trimmed.generation desc
        on conflict on constraint old_refusals_pkey do update
            set category = excluded.category, code = excluded.code, refused_at = excluded.refused_at
    )
    select count(*) from trimmed;
end;

comment on function holdfast.trim_ledger(interval, timestamptz) is
    'Deletes ledger rows whose client acknowledged them longer than "keep" ago (up to a day more), and says how many. '
    'Deduplication does not suffer: the floor of the client is above them, and of what was refused a mark stays for 400 days. '
    'For operators and schedulers only.';

revoke all on function holdfast.is_settled(uuid, bigint), holdfast.trim_ledger(interval, timestamptz) from public;

reset role;
