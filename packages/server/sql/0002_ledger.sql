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
    constraint clients_floor_not_negative check (floor >= 0),
    constraint clients_actor_length check (length(actor) between 1 and 200)
) with (fillfactor = 70);

create table if not exists holdfast.ledger (
    client_id       uuid        not null references holdfast.clients,
    -- counts up on the client; never reused, whatever happens there
    seq             bigint      not null,
    workspace_id    text        not null,
    -- made by the client before its first send; equal for every attempt
    mutation_id     uuid        not null,
    -- one higher each time a person retries it after a refusal
    generation      integer     not null,
    -- sha256 over type, operation, entity and payload: tells a repeat from a re-used id
    payload_hash    bytea       not null,
    verdict         text        not null,
    result          jsonb,
    error           jsonb,
    -- the version that the effect gave its row, where rows have one
    row_version     bigint,
    -- how often the client had made the payload anew after a conflict when this verdict fell
    rebases         integer     not null default 0,
    applied_at      timestamptz,
    created_at      timestamptz not null default now(),
    -- when the client's floor passed this row; trimmed 30 days later
    acknowledged_at timestamptz,
    primary key (client_id, seq),
    -- serves the look-up by id, which crosses workspaces so that nobody can take another's id
    constraint ledger_mutation_once unique (mutation_id, generation, workspace_id),
    constraint ledger_seq_positive check (seq > 0),
    constraint ledger_generation_not_negative check (generation >= 0),
    constraint ledger_verdict_known check (verdict in ('applied', 'rejected')),
    -- an effect has a time, a refusal has none
    constraint ledger_applied_at_iff_applied check ((applied_at is null) = (verdict <> 'applied')),
    constraint ledger_error_iff_rejected check ((error is null) = (verdict <> 'rejected')),
    constraint ledger_result_only_if_applied check (result is null or verdict = 'applied')
) with (fillfactor = 85);

-- serves trim_ledger; a block range index costs next to nothing on the way in
create index if not exists ledger_by_age on holdfast.ledger using brin (created_at);

alter table holdfast.workspaces enable row level security;
alter table holdfast.clients enable row level security;
alter table holdfast.ledger enable row level security;
revoke all on holdfast.workspaces, holdfast.clients, holdfast.ledger from public;

create or replace function holdfast.trim_ledger(
    keep interval default interval '30 days',
    at timestamptz default now()
)
returns bigint
language sql
volatile
set search_path = ''
begin atomic
    with trimmed as (
        delete from holdfast.ledger as old
        where old.created_at < at - keep
          and old.acknowledged_at < at - keep
        returning 1
    )
    select count(*) from trimmed;
end;

comment on function holdfast.trim_ledger(interval, timestamptz) is
    'Deletes ledger rows whose client acknowledged them longer than "keep" ago, and says how many. '
    'Deduplication does not suffer: the floor of the client is above them. For operators and schedulers only.';

revoke all on function holdfast.trim_ledger(interval, timestamptz) from public;

reset role;
