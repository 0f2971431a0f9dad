-- The people at an account, and what is being sold to it. Neither has a foreign key to the account: a deletion can be undone, and what
-- belongs to the account stays and finds it again; and what is made offline may arrive in another order than it was made.

create table public.contacts (
    id           uuid        not null primary key,
    workspace_id text        not null,
    account_id   uuid        not null,
    name         text        not null,
    role         text,
    email        text,
    phone        text,
    version      bigint      not null default 1,
    updated_at   timestamptz not null default now(),
    changed_xid  xid8        not null default pg_current_xact_id(),
    constraint contacts_name_length check (length(name) between 1 and 200),
    constraint contacts_email_shape check (email ~ '^[^@\s]+@[^@\s]+$')
);

create table public.deals (
    id           uuid        not null primary key,
    workspace_id text        not null,
    account_id   uuid        not null,
    title        text        not null,
    stage        text        not null,
    amount_eur   bigint      not null default 0,
    owner        text,
    version      bigint      not null default 1,
    updated_at   timestamptz not null default now(),
    changed_xid  xid8        not null default pg_current_xact_id(),
    constraint deals_title_length check (length(title) between 1 and 200),
    constraint deals_stage_known check (stage in ('lead', 'offer', 'negotiation', 'won', 'lost')),
    constraint deals_amount_range check (amount_eur between 0 and 1000000000),
    constraint deals_won_have_an_amount check (stage <> 'won' or amount_eur > 0)
);

-- serve what changed in a workspace since a cursor
create index contacts_by_change on public.contacts (workspace_id, changed_xid);
create index deals_by_change on public.deals (workspace_id, changed_xid);

create trigger contacts_stamp before insert or update on public.contacts
for each row execute function public.stamp_account();
create trigger deals_stamp before insert or update on public.deals
for each row execute function public.stamp_account();

alter table public.contacts enable row level security;
alter table public.contacts force row level security;
alter table public.deals enable row level security;
alter table public.deals force row level security;
grant select, insert, update, delete on public.contacts, public.deals to authenticated;

create policy contacts_of_the_workspace on public.contacts
    for all to authenticated
    using (workspace_id = (select holdfast.workspace()))
    with check (workspace_id = (select holdfast.workspace()));
create policy deals_of_the_workspace on public.deals
    for all to authenticated
    using (workspace_id = (select holdfast.workspace()))
    with check (workspace_id = (select holdfast.workspace()));

select holdfast.register_table('public.contacts', array['account_id', 'name', 'role', 'email', 'phone'],
    version_column => 'version');
select holdfast.register_table('public.deals', array['account_id', 'title', 'stage', 'amount_eur', 'owner'],
    version_column => 'version');
