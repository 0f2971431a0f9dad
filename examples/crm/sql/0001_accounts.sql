-- The accounts of the CRM: each airport is a customer. Runs once, before the seed.

create table public.accounts (
    id                uuid             not null primary key,
    workspace_id      text             not null,
    -- from the source, under its own names but for kind (type), time_zone (time) and runway_length_ft (runway_length)
    name              text             not null,
    iata              text,
    icao              text,
    kind              text             not null,
    country_code      text             not null,
    continent         text             not null,
    time_zone         text,
    latitude          double precision,
    longitude         double precision,
    elevation_ft      integer,
    scheduled_service boolean          not null default false,
    website           text,
    wikipedia         text,
    runway_length_ft  integer,
    -- what the firm itself writes down
    contact_name      text,
    contact_phone     text,
    notes             text,
    updated_at        timestamptz      not null default now(),
    -- the transaction that changed the row last: how a reader finds what is new since its cursor
    changed_xid       xid8             not null default pg_current_xact_id(),
    constraint accounts_name_length check (length(name) between 1 and 200),
    constraint accounts_iata_shape check (iata ~ '^[A-Z0-9]{3}$'),
    constraint accounts_icao_length check (length(icao) between 2 and 8),
    constraint accounts_country_shape check (country_code ~ '^[A-Z]{2}$'),
    constraint accounts_kind_known check (
        kind in ('large_airport', 'medium_airport', 'small_airport', 'seaplane_base', 'heliport', 'closed')),
    constraint accounts_continent_known check (continent in ('AF', 'AN', 'AS', 'EU', 'NA', 'OC', 'SA')),
    constraint accounts_latitude_range check (latitude between -90 and 90),
    constraint accounts_longitude_range check (longitude between -180 and 180)
);

-- serves the whole list of a workspace and what changed in it since a cursor
create index accounts_by_change on public.accounts (workspace_id, changed_xid);

create function public.stamp_account()
returns trigger
language plpgsql
set search_path = ''
as $$
begin
    new.updated_at := now();
    new.changed_xid := pg_current_xact_id();
    return new;
end
$$;

create trigger accounts_stamp before insert or update on public.accounts
for each row execute function public.stamp_account();

alter table public.accounts enable row level security;
alter table public.accounts force row level security;
grant select, insert, update, delete on public.accounts to authenticated;

create policy accounts_of_the_workspace on public.accounts
    for all to authenticated
    using (workspace_id = (select holdfast.workspace()))
    with check (workspace_id = (select holdfast.workspace()));

-- When the accounts were filled in, and a name for this database: a device that kept a list from another one starts anew.
create table public.crm_seed (
    database_id   uuid        not null primary key default gen_random_uuid(),
    seeded_at     timestamptz not null default now(),
    account_count integer     not null
);

alter table public.crm_seed enable row level security;
revoke all on public.crm_seed from public;
