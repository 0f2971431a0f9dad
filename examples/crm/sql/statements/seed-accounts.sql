-- One row per airport and workspace. $1: the airports as a JSON array; $2: the workspace; $3: its continent, null for all.
-- The id follows from workspace and airport codes, so that a fresh database has the same accounts as the one before.
insert into public.accounts (
    id, workspace_id, name, iata, icao, kind, country_code, continent, time_zone, latitude, longitude, elevation_ft,
    scheduled_service, website, wikipedia, runway_length_ft
)
select
    -- shaped like a UUID made from a name (version 3)
    overlay(overlay(md5($2 || '|' || airport.iata || '|' || airport.icao) placing '3' from 13) placing '8' from 17)::uuid,
    $2, airport.airport, nullif(airport.iata, ''), nullif(airport.icao, ''), airport.type, airport.country_code,
    airport.continent, nullif(airport.time, ''), airport.latitude, airport.longitude, airport.elevation_ft,
    airport.scheduled_service = 'TRUE', nullif(airport.website, ''), nullif(airport.wikipedia, ''), airport.runway_length
from jsonb_to_recordset($1::text::jsonb) as airport (
    iata text, icao text, airport text, type text, country_code text, continent text, time text,
    latitude double precision, longitude double precision, elevation_ft double precision, scheduled_service text,
    website text, wikipedia text, runway_length double precision
)
where $3::text is null or airport.continent = $3
