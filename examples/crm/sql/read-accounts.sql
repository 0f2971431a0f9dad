-- What the caller may see, in one statement and therefore in one snapshot. $1: the cursor of the last answer, or null.
-- Gap-free: the new cursor is the oldest transaction still running now. Whatever it and later ones change is sent next
-- time, even if a later one commits first; a row may so be sent twice, and none is ever missed.
with window_of_change as (
    select
        pg_snapshot_xmin(pg_current_snapshot()) as next_cursor,
        -- a cursor from the future belongs to a database that was restored since
        $1::text is null or $1::text::xid8 > pg_snapshot_xmax(pg_current_snapshot()) as is_whole
)
select
    next_cursor::text as cursor,
    is_whole,
    (
        select '[' || coalesce(string_agg(json_build_array(
            id, name, iata, icao, kind, country_code, continent, time_zone, latitude, longitude, elevation_ft,
            scheduled_service, website, wikipedia, runway_length_ft, contact_name, contact_phone, notes, updated_at
        )::text, ','), '') || ']'
        from public.accounts
        where workspace_id = (select holdfast.workspace())
          and changed_xid >= case when is_whole then '0'::xid8 else $1::text::xid8 end
    ) as rows,
    (
        select coalesce(json_agg(distinct entity_id), '[]')::text
        from holdfast.audit_log
        where not is_whole
          and workspace_id = (select holdfast.workspace())
          and entity_type = 'accounts'
          and action = 'delete'
          and transaction_id >= case when is_whole then '0'::xid8 else $1::text::xid8 end
    ) as deleted_ids
from window_of_change
