-- What the caller may see, in one statement and therefore in one snapshot. $1: the cursor of the last answer, or null.
-- Gap-free: the new cursor is the oldest transaction still running now. Whatever it and later ones change is sent next
-- time, even if a later one commits first; a row may so be sent twice, and none is ever missed.
with window_of_change as (
    select
        next_cursor, is_whole, case when is_whole then '0'::xid8 else $1::text::xid8 end as first_xid
    from (
        select
            pg_snapshot_xmin(pg_current_snapshot()) as next_cursor,
            -- a cursor from the future belongs to a database that was restored since
            $1::text is null or $1::text::xid8 > pg_snapshot_xmax(pg_current_snapshot()) as is_whole
    ) as seen
), deleted as (
    select table_name, json_agg(id)::text as ids
    from public.deletions, window_of_change
    where not is_whole and workspace_id = (select holdfast.workspace()) and deleted_xid >= first_xid
    group by table_name
)
select
    next_cursor::text as cursor,
    is_whole,
    (
        select '[' || coalesce(string_agg(json_build_array(
            id, name, iata, icao, kind, country_code, continent, time_zone, latitude, longitude, elevation_ft,
            scheduled_service, website, wikipedia, runway_length_ft, contact_name, contact_phone, notes, updated_at,
            owner, version
        )::text, ','), '') || ']'
        from public.accounts
        where workspace_id = (select holdfast.workspace()) and changed_xid >= first_xid
    ) as accounts,
    (
        select '[' || coalesce(string_agg(json_build_array(
            id, account_id, name, role, email, phone, updated_at, version
        )::text, ','), '') || ']'
        from public.contacts
        where workspace_id = (select holdfast.workspace()) and changed_xid >= first_xid
    ) as contacts,
    (
        select '[' || coalesce(string_agg(json_build_array(
            id, account_id, title, stage, amount_eur, owner, updated_at, version
        )::text, ','), '') || ']'
        from public.deals
        where workspace_id = (select holdfast.workspace()) and changed_xid >= first_xid
    ) as deals,
    coalesce((select ids from deleted where table_name = 'accounts'), '[]') as deleted_accounts,
    coalesce((select ids from deleted where table_name = 'contacts'), '[]') as deleted_contacts,
    coalesce((select ids from deleted where table_name = 'deals'), '[]') as deleted_deals
from window_of_change
