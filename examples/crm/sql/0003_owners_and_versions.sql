-- Each account has somebody who looks after it, and counts its changes, so that two people who edit it at once are noticed.

alter table public.accounts
    add column owner   text,
    add column version bigint not null default 1,
    -- a rule that the page does not know: what breaks it is refused here, and told to whoever asked for it
    add constraint accounts_closed_have_no_owner check (kind <> 'closed' or owner is null),
    add constraint accounts_owner_length check (length(owner) between 1 and 100);

select holdfast.register_table('public.accounts', array[
    'name', 'iata', 'icao', 'kind', 'country_code', 'continent', 'time_zone', 'latitude', 'longitude', 'elevation_ft',
    'scheduled_service', 'website', 'wikipedia', 'runway_length_ft', 'contact_name', 'contact_phone', 'notes', 'owner'
], version_column => 'version');
